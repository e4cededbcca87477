"""The answer of a funnel in numbers: its rows by group and period, its summary, and which rows may still grow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from evlog.query.funnel import read
from evlog.query.funnel.apart import Apart
from evlog.query.funnel.asked import TICK
from evlog.query.funnel.entrants import EPOCH, run
from evlog.query.funnel.groups import Breakdown, Group, withheld
from evlog.query.funnel.lanes import laid
from evlog.query.funnel.rows import bars, histogram, summary
from evlog.window import midnight, period_after, period_begin

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    import numpy as np

    from evlog.query.ask import Question
    from evlog.query.funnel.asked import Asked
    from evlog.query.funnel.entrants import Run
    from evlog.query.funnel.groups import Told
    from evlog.query.funnel.lanes import Lanes
    from evlog.query.funnel.read import Read
    from evlog.query.funnel.rows import Bars

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """Rows with their group first, the summary, the numbers of rows that may grow, and how many groups are withheld."""

    rows: tuple[Row, ...]
    summary: dict[str, Any]
    growing: tuple[int, ...]
    withheld: int
    open: int = 0


def counted(question: Question, asked: Asked, found: Read) -> Counted:
    """The numbers of the funnel, over the events that `read.keep` has found."""
    columns = read.columns_of(question, asked, found)
    apart = question.scope.by is not None and asked.options["attribution"] == "all"
    lanes = laid(columns, asked, apart=apart)
    names = read.names(question)
    if asked.sideways:
        return _sideways(question, asked, Apart(lanes, asked), names)
    whole = run(lanes, asked, lanes.columns["day"] >= 0 if asked.free else None)
    periods = _periods(question, asked, lanes) if asked.per else {}
    breakdown = Breakdown(question, asked, names)
    told = breakdown.whole(whole, tuple(periods.values()))
    if asked.per:
        parts = {begin: (one, breakdown.told(one)) for begin, one in periods.items()}
        rows, growing = _trend(question, asked, parts)
    else:
        rows, growing = _plain(asked, told)
    numbers = summary(asked, told.counted, int(told.everyone.still_open.sum()))
    if asked.at_step is not None and question.scope.by is not None:
        numbers["step_not_reached"] = told.step_not_reached
    return Counted(tuple(rows), numbers, tuple(growing), withheld(breakdown.groups), numbers["open"])


def _plain(asked: Asked, told: Told) -> tuple[list[Row], list[int]]:
    """The rows of all groups; later steps may grow where someone may come further."""
    rows: list[Row] = []
    growing: list[int] = []
    for group, entrants, own in told.groups:
        if entrants.still_open.any():
            growing += range(len(rows) + 1, len(rows) + len(asked.steps))
        rows += _rows(asked, (group.name,), bars(own, asked, entrants))
    return rows, growing


def _rows(asked: Asked, head: Row, steps: Iterator[Bars]) -> Iterator[Row]:
    for number, (step, bar) in enumerate(zip(asked.steps, steps, strict=True), 1):
        text = f"did at least {number}" if asked.rules.order == "any" else step.text
        times = (histogram(bar.times, asked),) if asked.histogram else ()
        yield (*head, number, text, *bar.cells, *times)


def _periods(question: Question, asked: Asked, lanes: Lanes) -> dict[date, Run]:
    """A run for each period of the range: only its own events may be the first of an attempt (metrics §7.8)."""
    window = question.window
    assert asked.per is not None
    begins = [period_begin(day, asked.per, window.week_start) for day in window.days]
    day = lanes.columns["day"]
    found = {}
    for begin in dict.fromkeys(begins):
        days = [number for number, own in enumerate(begins) if own == begin]
        opens = (day >= days[0]) & (day <= days[-1])
        found[begin] = _run_of(lanes, asked, opens)
    return found


def _run_of(lanes: Lanes, asked: Asked, opens: np.ndarray[Any, np.dtype[np.bool_]]) -> Run:
    """The run in which only these may be first; what lies past their windows is left out beforehand."""
    ts = lanes.columns["ts"]
    last = int(ts[opens].max()) if opens.any() else 0
    near = ts - last <= asked.reach + asked.rules.grace
    columns = {name: column[near] for name, column in lanes.columns.items()}
    return run(replace(lanes, lane=lanes.lane[near], columns=columns), asked, opens[near])


def _trend(question: Question, asked: Asked, parts: dict[date, tuple[Run, Told]]) -> tuple[list[Row], list[int]]:
    """The rows of all groups and their periods."""
    rows: list[Row] = []
    growing: list[int] = []
    shown: Sequence[Group] = [group for group, *_ in next(iter(parts.values()))[1].groups] if parts else ()
    for place, group in enumerate(shown):
        for begin, (_, told) in parts.items():
            entered, reached = _over(question, asked, begin)
            first = len(rows)
            growing += [] if entered else [first]
            growing += [] if reached else range(first + 1, first + len(asked.steps))
            _, entrants, own = told.groups[place]
            rows += _rows(asked, (group.name, begin), bars(own, asked, entrants))
    return rows, growing


def _over(question: Question, asked: Asked, begin: date) -> tuple[bool, bool]:
    """Whether nobody can enter in the period any more, and whether nobody who did can come further."""
    window = question.window
    assert asked.per is not None
    last = min(period_after(begin, asked.per) - timedelta(days=1), window.last)
    entered = window.over(last)
    if asked.options["cut"]:
        return entered, window.over(window.last)
    end = (midnight(last + timedelta(days=1), window.tz) - EPOCH) // TICK
    return entered, entered and (
        bool(asked.options["complete_only"]) or end + asked.reach <= (window.as_of - EPOCH) // TICK
    )


def _sideways(question: Question, asked: Asked, apart: Apart, names: tuple[str, ...]) -> Counted:
    """The numbers of steps that are counted each by itself."""
    everyone = apart.of(None, 0)
    grouped = question.scope.by is not None
    groups = apart.groups(names, question.scope) if grouped else [(Group("", ()), everyone)]
    rows = [
        row
        for group, members in groups
        if not group.withheld
        for row in _rows(asked, (group.name,), apart.bars(members))
    ]
    return Counted(tuple(rows), apart.summary(everyone), (), withheld([group for group, _ in groups]))
