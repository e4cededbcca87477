"""An answer: what was asked, how it is defined, and the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from evlog.frozen import dataclass, field

if TYPE_CHECKING:
    from datetime import datetime

Kind = Literal["text", "date", "instant", "count", "number", "rate", "seconds", "flag", "list", "json"]
"""What a column holds. rate: a fraction 0..1; seconds: a duration; instant: a naive UTC datetime; list: numbers."""


Source = Literal["events", "rollups", "both"]
"""What an answer was made of."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a result: its name for machines, what it holds, and how a table may help the eye.

    What stands `aside` is for machines: a table leaves it out.
    """

    name: str
    kind: Kind = "text"
    bar: bool = False  # a table may draw a small bar (or, with dates beside it, a sparkline)
    item: Kind = "number"  # what each value of a list is
    aside: bool = False
    heat: bool = False  # a table colours each value of a list by a scale; the summary of that name is its last row
    labels: tuple[str, ...] = ()  # what the places of such a list are called; their numbers from 0 if not said


@dataclass(frozen=True, slots=True)
class Result:
    """One report's answer; the shape of docs and of `--format json`.

    `rows` are tuples in the order of `columns`. Values are str, int, float, bool, None, date, datetime (naive UTC)
    or lists of numbers. `summary` and `definition` are ordered. `notes` are said on stderr, a line each.
    """

    report: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    as_of: datetime
    params: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    summary_kinds: dict[str, Kind] = field(default_factory=dict)  # kinds of the summary's values; count if absent
    definition: dict[str, Any] = field(default_factory=dict)
    events_read: int = 0
    complete: bool = True
    source: Source = "events"
    marks: frozenset[int] = frozenset()  # row numbers a table marks with ⚠
    partial: frozenset[int] = frozenset()  # row numbers a table marks with *
    partial_means: str = "still running"  # of a period; what the * says
    notes: tuple[str, ...] = ()
