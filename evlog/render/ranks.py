"""Horizontal bars: a name, a bar, its value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evlog.render import axis, chart
from evlog.render.ink import Ink, clipped, plain, width
from evlog.render.lanes import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evlog.query.result import Kind
    from evlog.render.ink import Line
    from evlog.render.style import Glyphs

MOST = 30
_ROOMY = 40  # columns from which on something is said beside the values
_SMALL = 0.2  # rates below are drawn against the largest, or nothing would be seen


@dataclass(frozen=True, slots=True)
class Rank:
    """One bar: its name, its value (None: not known), what is said beside it, and whether it is marked."""

    name: str
    value: float | None
    beside: str = ""
    marked: bool = False


def bars(
    ranks: Sequence[Rank], kind: Kind, *, columns: int, glyphs: Glyphs, title: str = "", most: int = MOST
) -> list[Line]:
    """Return a line for each of the first `most`, and how many more there are; above them what is drawn."""
    seen = ranks[:most]
    top = _full(seen, kind)
    values = [clipped(shown(rank.value, kind, glyphs), columns // 2, glyphs) for rank in seen]
    said = max(map(len, values), default=0)
    beside = _longest([rank.beside for rank in seen], columns // 4 if columns >= _ROOMY else 0)
    names = _longest([rank.name for rank in seen], max(4, (columns - said - beside) * 2 // 5))
    room = max(1, columns - names - said - beside - 3 - 2 * (beside > 0))
    lines = [
        _bar(rank, value, (names, room, said, beside), top, glyphs) for rank, value in zip(seen, values, strict=True)
    ]
    head = f"{title}; a full bar is {axis.labels([top], kind)[0]}" if title and kind == "rate" and top < 1 else title
    more = [plain(f"{glyphs.cut} {len(ranks) - most:,} more", "dim")] if len(ranks) > most else []
    return [*([plain(clipped(head, columns, glyphs), "dim")] if head else []), *lines, *more]


def _longest(texts: Sequence[str], most: int) -> int:
    return min(max((width(plain(text)) for text in texts), default=0), most)


def _full(ranks: Sequence[Rank], kind: Kind) -> float:
    largest = max((rank.value for rank in ranks if rank.value is not None), default=0.0)
    return max(largest, 1.0) if kind == "rate" and largest > _SMALL else largest


def _bar(rank: Rank, value: str, widths: tuple[int, int, int, int], top: float, glyphs: Glyphs) -> Line:
    names, room, said, beside = widths
    name = clipped(rank.name, names, glyphs)
    drawn = chart.bar(rank.value / top if rank.value and top > 0 else None, room, glyphs)
    look = "yellow" if rank.marked else "cyan"
    warn = Ink(glyphs.warn, "yellow") if rank.marked else Ink(" ")
    tail = clipped(rank.beside, beside, glyphs)
    return (
        Ink(name + " " * (names - width(plain(name)))),
        warn,
        Ink(" "),
        Ink(drawn.ljust(room), look),
        Ink(f" {value:>{said}}"),
        Ink(f"  {' ' * (beside - width(plain(tail)))}{tail}" if beside else "", "dim"),
    )
