"""A result as columns of text, for tables that people read: escaped, rounded, marked."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

from evlog.frozen import dataclass
from evlog.render import human
from evlog.render.escape import escape
from evlog.render.flat import flat, plain
from evlog.render.json import dumped

if TYPE_CHECKING:
    from collections.abc import Callable

    from evlog.query.result import Column, Kind, Result
    from evlog.render.style import Glyphs

_RIGHT = frozenset({"count", "number", "rate", "seconds"})
_MARKED = frozenset({"text", "date", "instant"})


@dataclass(frozen=True, slots=True)
class Lane:
    """One column as it will be seen, and the values behind it."""

    column: Column
    header: str
    cells: tuple[str, ...]
    values: tuple[Any, ...]

    @property
    def right(self) -> bool:
        """Whether it is set flush right, as numbers are."""
        return self.column.kind in _RIGHT

    @property
    def folds(self) -> bool:
        """Whether its cells may run over several lines."""
        return self.column.kind in ("text", "json", "list")


def lanes(result: Result, glyphs: Glyphs, *, short: bool = False) -> list[Lane]:
    """Return the columns of a result, lists opened; `short` leaves the seconds of instants out."""
    columns, rows = flat(result)
    taken = list(rows)
    marked = next((i for i, column in enumerate(columns) if column.kind in _MARKED), 0)
    return [
        _lane(column, [row[i] for row in taken], glyphs, short=short, marks=_marks(result, glyphs, at=i == marked))
        for i, column in enumerate(columns)
    ]


def shown(value: Any, kind: Kind, glyphs: Glyphs) -> str:
    """Return one value as people read it; what is not of its kind is shown as it is."""
    return _show(value, kind, glyphs, short=True, places=None)


def _lane(column: Column, values: list[Any], glyphs: Glyphs, *, short: bool, marks: dict[int, str]) -> Lane:
    places = human.places_for([float(v) for v in values if _is_number(v)]) if column.kind == "number" else None
    cells = [_show(value, column.kind, glyphs, short=short, places=places) for value in values]
    for row, mark in marks.items():
        cells[row] = f"{cells[row]} {mark}"
    header = column.name.removesuffix("_s") if column.kind == "seconds" else column.name
    header = column.labels[0] if column.labels else header
    return Lane(column, escape(header), tuple(cells), tuple(values))


def _marks(result: Result, glyphs: Glyphs, *, at: bool) -> dict[int, str]:
    """Return the mark of each row that has one, if this is the column that carries them."""
    rows = sorted(result.marks | result.partial) if at else ()
    return {row: ("*" * (row in result.partial)) + (glyphs.warn * (row in result.marks)) for row in rows}


def _show(value: Any, kind: Kind, glyphs: Glyphs, *, short: bool, places: int | None) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return glyphs.null
    if _is_number(value):
        return _NUMBERS.get(kind, human.number)(value) if places is None else human.number(value, places=places)
    if isinstance(value, datetime):
        return human.instant(value, short=short)
    if isinstance(value, (list, tuple)):
        return ", ".join(_show(item, kind, glyphs, short=short, places=None) for item in value)
    return escape(_worded(value))


def _worded(value: Any) -> str:
    if isinstance(value, bool):
        return human.flag(value)
    return dumped(value).decode() if isinstance(value, dict) else str(plain(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _count(value: float) -> str:
    return human.count(value) if isinstance(value, int) or value.is_integer() else human.number(value)


_NUMBERS: dict[Kind, Callable[[float], str]] = {"count": _count, "rate": human.rate, "seconds": human.duration}
