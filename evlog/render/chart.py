"""Small pictures of numbers, one line high."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evlog.render.style import Glyphs


def bar(fraction: float | None, width: int, glyphs: Glyphs) -> str:
    """Return a bar over `fraction` of `width`; what is above zero is seen, however little it is."""
    if not fraction or fraction < 0:
        return ""
    steps = len(glyphs.bars)
    filled = max(1, int(min(fraction, 1.0) * width * steps + 0.5))
    whole, rest = divmod(filled, steps)
    return glyphs.bars[-1] * whole + (glyphs.bars[rest - 1] if rest else "")


def sparkline(values: Sequence[float | None], width: int | None, glyphs: Glyphs) -> str:
    """Return one glyph per value, from the least to the largest; more values than `width` are averaged in runs."""
    points = list(values) if width is None or len(values) <= width else _averaged(values, width)
    known = [value for value in points if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    return "".join(" " if point is None else _spark(point - low, high - low, glyphs.sparks) for point in points)


def _spark(above: float, span: float, sparks: str) -> str:
    return sparks[min(len(sparks) - 1, int(above / span * len(sparks)))] if span > 0 else sparks[0]


def _averaged(values: Sequence[float | None], width: int) -> list[float | None]:
    edges = [len(values) * i // width for i in range(width + 1)]
    runs = ([v for v in values[a:b] if v is not None] for a, b in pairwise(edges))
    return [sum(run) / len(run) if run else None for run in runs]
