"""A scale of colours for rates, and the triangle of cohorts drawn with it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from evlog.render.ink import Ink, clipped, packed, plain, width
from evlog.render.lanes import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evlog.query.result import Kind
    from evlog.render.ink import Line
    from evlog.render.style import Glyphs, Style

_SCALE = ((254, 16), (195, 16), (152, 16), (109, 16), (66, 231), (30, 231), (23, 231))
"""From the least to the most: the background out of the 256 colours, and the colour of the figures on it."""

_CELL = 4
_NAME = 4  # the least columns of a name
_SIGNED = 6  # a cell with a shade beside its figures


def top(rates: Sequence[Sequence[float | None]]) -> float:
    """Return the rate that the strongest colour stands for: the largest, but for period 0 where that is all of them."""
    known = [[rate for rate in row if rate is not None and math.isfinite(rate)] for row in rates]
    later = [rate for row in known for rate in row[1:]]
    return max(later, default=max((rate for row in known for rate in row), default=0.0)) or 1.0


def look(rate: float | None, most: float) -> str:
    """Return the codes of a terminal with 256 colours for a rate."""
    if rate is None or not math.isfinite(rate):
        return ""
    ground, figures = _SCALE[_place(rate, most, len(_SCALE))]
    return f"38;5;{figures};48;5;{ground}"


def colours(rate: float | None, most: float) -> str:
    """Return the same in the words of rich."""
    if rate is None or not math.isfinite(rate):
        return "dim"
    ground, figures = _SCALE[_place(rate, most, len(_SCALE))]
    return f"color({figures}) on color({ground})"


def shade(rate: float | None, most: float, glyphs: Glyphs) -> str:
    """Return the same where there is no colour: a glyph; a blank for nothing."""
    if rate is None or not math.isfinite(rate) or rate <= 0:
        return " "
    return glyphs.shades[_place(rate, most, len(glyphs.shades))]


def _place(rate: float, most: float, count: int) -> int:
    return min(count - 1, max(0, int(rate / most * count)))


def triangle(
    names: Sequence[tuple[str, ...]],
    rates: Sequence[Sequence[float | None]],
    *,
    heads: Sequence[str],
    labels: Sequence[str],
    kind: Kind,
    style: Style,
    last: int = 0,
) -> list[Line]:
    """Return a line for each row: its names, then its rates in percent on the colour of the scale; a legend below.

    `heads` stand above the names, `labels` above the periods; of the rows, the `last` ones are averages.
    """
    glyphs, most = style.glyphs, top(rates)
    margins = _margins([*names, tuple(heads)], style.canvas // 2)
    margin, cell = sum(margins) + 2 * len(margins), _CELL if style.deep else _SIGNED
    wide = max((len(row) for row in rates), default=0)
    fit = max(1, min(wide, (style.canvas - margin) // cell))
    head = (*_names(tuple(heads), margins, glyphs, look_="bold"), *_heads(labels, fit, cell, glyphs))
    looks = ["bold" if n >= len(rates) - last else "" for n in range(len(rates))]
    rows = [
        (*_names(name, margins, glyphs, look_=look_), *_cells(row[:fit], most, kind, style))
        for name, row, look_ in zip(names, rates, looks, strict=True)
    ]
    cut = [plain(clipped(left_out(wide - fit, glyphs), style.canvas, glyphs), "dim")] if fit < wide else []
    return [head, *rows, *cut, *legend(most, kind, style)]


def _margins(texts: Sequence[tuple[str, ...]], most: int) -> list[int]:
    """Return the widths of the names: the widest give way first, and where that is not enough, the last go."""
    wanted = [max(width(plain(name)) for name in column) for column in zip(*texts, strict=True)]
    kept = wanted[: max(1, most // (_NAME + 2))]
    while sum(kept) + 2 * len(kept) > most and max(kept) > _NAME:
        kept[kept.index(max(kept))] -= 1
    return kept


def _names(texts: Sequence[str], widths: Sequence[int], glyphs: Glyphs, *, look_: str) -> list[Ink]:
    """Return the first name flush left, the others, which are numbers, flush right."""
    inks = []
    for place, (text, columns) in enumerate(zip(texts, widths, strict=False)):
        told = clipped(text, columns, glyphs)
        blanks = " " * (columns - width(plain(told)))
        inks.append(Ink(f"{blanks}{told}  " if place == len(texts) - 1 and place else f"{told}{blanks}  ", look_))
    return inks


def _heads(labels: Sequence[str], count: int, cell: int, glyphs: Glyphs) -> list[Ink]:
    return [Ink(f"{clipped(label, cell - 1, glyphs):>{cell - 1}} ", "bold") for label in labels[:count]]


def _cells(row: Sequence[float | None], most: float, kind: Kind, style: Style) -> list[Ink]:
    return [ink for rate in row for ink in _cell(rate, most, kind, style)]


def _cell(rate: float | None, most: float, kind: Kind, style: Style) -> tuple[Ink, ...]:
    text = clipped(_figures(rate, kind, style.glyphs), 4 if not style.deep else _CELL - 1, style.glyphs)
    if style.deep:
        return (Ink(f"{text:>{_CELL - 1}} ", look(rate, most)),)
    return (Ink(f"{text:>4}"), Ink(f"{shade(rate, most, style.glyphs)} ", "cyan"))


def _figures(rate: float | None, kind: Kind, glyphs: Glyphs) -> str:
    if rate is None or not math.isfinite(rate):
        return glyphs.blank
    return f"{math.floor(rate * 100 + 0.5)}" if kind == "rate" and abs(rate) < 1e9 else shown(rate, kind, glyphs)  # noqa: PLR2004 - no percentage


def left_out(count: int, glyphs: Glyphs) -> str:
    """Return how many periods there was no room for."""
    return f"{glyphs.cut} {count} more period{'s' * (count != 1)}: other formats hold them all"


def legend(most: float, kind: Kind, style: Style) -> list[Line]:
    """Return what the colours stand for."""
    glyphs = style.glyphs
    least, largest = (clipped(shown(end, kind, glyphs), style.canvas // 3, glyphs) for end in (0.0, most))
    steps = len(_SCALE) if style.deep else len(glyphs.shades)
    room = style.canvas - width(plain(least)) - width(plain(largest)) - 2
    each = max(0, min(2, room // steps))
    middles = [(n + 0.5) / steps * most for n in range(steps)]
    scale = [
        Ink(" " * each, look(m, most)) if style.deep else Ink(shade(m, most, glyphs) * each, "cyan") for m in middles
    ]
    ends = (Ink(f"{least} "), Ink(f" {largest}"))
    return packed(
        [
            (ends[0], *scale, ends[1]),
            plain(clipped(f"{glyphs.blank} not over, or nobody", style.canvas, glyphs), "dim"),
        ],
        style.canvas,
    )
