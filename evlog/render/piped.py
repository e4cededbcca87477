"""A table in a pipe: nothing is cut, folded or coloured, so it is set without rich, whose import takes 25 ms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.render import fit
from evlog.render.lanes import lanes
from evlog.render.outline import barred, bars, below, sparklines
from evlog.render.style import UNICODE, Glyphs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evlog.query.result import Result
    from evlog.render.style import Style

_GAP = "  "
_NARROW = frozenset("".join(getattr(UNICODE, name) for name in Glyphs.__match_args__))
"""Signs beside ASCII that are known to be one column wide."""


def text(result: Result, style: Style) -> str | None:
    """Return the table as `table.text` has it; None where how wide a sign is, is for rich to say."""
    told = [*_body(result, style.glyphs), *_sparklines(result, style), *(line for line, _ in below(result, style, len))]
    whole = "".join(f"{line.rstrip(' ')}\n" for line in told)
    signs = set(whole) - {"\n"}
    return whole if all(sign in _NARROW or (sign.isascii() and sign.isprintable()) for sign in signs) else None


def _body(result: Result, glyphs: Glyphs) -> Iterator[str]:
    """Yield header, rule and rows."""
    found = lanes(result, glyphs)
    bar = barred(result)
    layout = fit.whole(found, bar=bar is not None, measure=len)
    widths: list[int] = []
    columns: list[Sequence[str]] = []
    for lane, width in zip(found, layout.widths, strict=True):
        columns.append([_set(cell, width, right=lane.right) for cell in (lane.header, *lane.cells)])
        widths.append(width)
        if lane.column.name == bar:
            columns.append([_set(cell, layout.bar, right=False) for cell in ("", *bars(lane, layout.bar, glyphs))])
            widths.append(layout.bar)
    header, *rows = zip(*columns, strict=True)
    yield _GAP.join(header)
    yield glyphs.rule * (sum(widths) + len(_GAP) * (len(widths) - 1))
    yield from map(_GAP.join, rows)


def _set(cell: str, width: int, *, right: bool) -> str:
    return cell.rjust(width) if right else cell.ljust(width)


def _sparklines(result: Result, style: Style) -> list[str]:
    found = sparklines(result, lanes(result, style.glyphs), style, len)
    if not found:
        return []
    widths = [max(map(len, cells)) for cells in zip(*found, strict=True)]
    return ["", *(_GAP.join(map(str.ljust, cells, widths)) for cells in found)]
