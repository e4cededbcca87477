"""The cells of a retention table: which are numbers, which are not known yet, and what they average to (metrics §8)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evlog.query.cohorts import LENGTHS
from evlog.window import midnight

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from evlog.query.cohorts import Clock, Size
    from evlog.query.first_seen import Past
    from evlog.window import Unit, Window

Base = Literal["cohort", "previous"]
Average = Literal["pooled", "simple"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of a cohort; `known`: all it counts has happened; `begun`: some of it has."""

    people: int
    known: bool
    begun: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A cohort: its group, the first day of its period, its size and its cells."""

    group: str
    cohort: date
    size: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """The periods of a cell, counted from the cohort's own; both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Clockwork:
    """What tells whether a cell is known."""

    unit: Unit
    clock: Clock
    edges: tuple[datetime, ...]  # when the window's periods begin, and so many after them as cells reach
    limit: datetime  # up to which returns count: what plays now, or the end of the range
    past: Past

    def cell(self, people: int, span: Span, number: int, size: Size | None, *, is_size: bool) -> Cell:
        """The cell of a cohort (by the number of its period) whose size may be none."""
        first, last = self._ends(span, number, size)
        purged = self.past.purged
        told = purged is None or first >= purged or (is_size and self.past.remembered)
        return Cell(people, told and last <= self.limit, told and first < self.limit)

    def _ends(self, span: Span, number: int, size: Size | None) -> tuple[datetime, datetime]:
        """When the first of the cohort enters the cell, and when the last has left it.

        By the rolling clock a cohort of nobody lives from the begin of its period.
        """
        if self.clock == "calendar":
            return self.edges[number + span.first], self.edges[number + span.last + 1]
        begin = self.edges[number]
        earliest, latest = (size.first, size.last) if size else (begin, begin)
        length = LENGTHS[self.unit]
        return earliest + span.first * length, latest + (span.last + 1) * length


def clockwork(window: Window, unit: Unit, clock: Clock, begins: Sequence[date], past: Past) -> Clockwork:
    """The clockwork of a window, given the first days of its periods and of those after them."""
    edges = tuple(midnight(begin, window.tz) for begin in begins)
    return Clockwork(unit, clock, edges, min(window.as_of, window.end), past)


def retained(row: Row, *, partial: bool) -> list[int | None]:
    """The numbers of a row; None where they are not known, or with `partial` not even begun."""
    return [cell.people if cell.known or (partial and cell.begun) else None for cell in row.cells]


def rates(row: Row, base: Base, *, partial: bool) -> list[float | None]:
    """The same as shares of the cohort, or of the cell before."""
    numbers = retained(row, partial=partial)
    bases: list[int | None] = [row.size] * len(numbers) if base == "cohort" else [row.size, *numbers[:-1]]
    return [_share(number, whole) for number, whole in zip(numbers, bases, strict=True)]


def averages(rows: Sequence[Row], base: Base, average: Average) -> list[float | None]:
    """Each column over the cohorts whose cell is known: all their people together, or the mean of their rates."""
    columns = len(rows[0].cells) if rows else 0
    return [_average([row for row in rows if row.cells[n].known], n, base, average) for n in range(columns)]


def _average(rows: Sequence[Row], n: int, base: Base, average: Average) -> float | None:
    if average == "simple":
        found = [rate for row in rows if (rate := rates(row, base, partial=False)[n]) is not None]
        return math.fsum(found) / len(found) if found else None
    kept = [row for row in rows if base == "cohort" or n == 0 or row.cells[n - 1].known]
    wholes = [row.size if base == "cohort" or n == 0 else row.cells[n - 1].people for row in kept]
    return _share(sum(row.cells[n].people for row in kept), sum(wholes))


def _share(number: int | None, whole: int | None) -> float | None:
    return number / whole if number is not None and whole else None
