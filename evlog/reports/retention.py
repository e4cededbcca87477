"""Retention: of those who began in a period, how many came back in which period after it (metrics §8)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated, Any, Literal

from evlog.errors import UsageError
from evlog.query import acts, answer, cells, cohorts, first_seen, returned
from evlog.query import periods as calendar
from evlog.query.cells import Row, Span
from evlog.query.result import Column
from evlog.query.returned import Sheet
from evlog.query.rolled import Told

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    from evlog.query.ask import Question
    from evlog.query.cohorts import Cell, Size
    from evlog.query.first_seen import Past
    from evlog.query.result import Result
    from evlog.window import Unit

HELP = "how many of those who began in a period came back, period by period"
EXAMPLE = "evlog report retention --start signup --period week --periods 8"
ROLLUP = (returned.RETURNS,)
_MOST_PERIODS = 36_525
_BRACKET = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_PLACES = "SELECT DISTINCT place FROM groups ORDER BY place"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked for: the options, resolved."""

    unit: Unit
    mode: Literal["on", "unbounded"]
    clock: cohorts.Clock
    after: bool  # --p0 return
    spans: tuple[Span, ...]
    brackets: bool
    horizon: int | None

    @property
    def reach(self) -> int:
        """The last period after the cohort's own that any cell counts or waits for."""
        return max(self.horizon or 0, *(span.last for span in self.spans))


def report(
    question: Question,
    *,
    start: Annotated[str | None, "step that puts a user into a cohort (default: any active event)"] = None,
    return_: Annotated[str | None, "step that counts as a return (default: any active event)"] = None,
    period: Annotated[Literal["day", "week", "month"] | None, "default: week; with --brackets day"] = None,
    periods: Annotated[int, "periods 0 to N-1 are shown; 0 is the cohort's own"] = 8,
    mode: Annotated[Literal["on", "unbounded"], "on: in that very period; unbounded: in it or later"] = "on",
    brackets: Annotated[str | None, "ranges of periods instead, such as 0,1-3,4-7: a return anywhere inside"] = None,
    clock: Annotated[Literal["calendar", "rolling"], "rolling: 24 h (7, 30 times) from the start on"] = "calendar",
    cohort: Annotated[
        Literal["first-ever", "first-in-range", "recurring"], "recurring: in each period with a start"
    ] = "first-ever",
    p0: Annotated[Literal["cohort", "return"], "return: period 0 too needs a return, after the start"] = "cohort",
    base: Annotated[Literal["cohort", "previous"], "rates are shares of the cohort, or of the cell before"] = "cohort",
    horizon: Annotated[int | None, "with unbounded: only returns up to that period count"] = None,
    partial: Annotated[bool, "show cells that are still running"] = False,
    average: Annotated[Literal["pooled", "simple"], "simple: the mean of the cohorts' rates"] = "pooled",
    hide_empty: Annotated[bool, "leave cohorts of nobody out"] = False,
    by_return: Annotated[
        bool, "a row for each period of the range and age of the cohorts that came back in it"
    ] = False,
) -> Result:
    """Cohorts by the period they began in, and their returns."""
    asked = _asked(period, periods, mode=mode, brackets=brackets, clock=clock, after=p0 == "return", horizon=horizon)
    began, came = acts.read(start, "start"), acts.read(return_, "return")
    if by_return:
        return _by_return(question, asked, began, came, cohort)

    def counted() -> _Counted:
        return _counted(question, asked, began, came, cohort)

    usual = (start, return_, mode, brackets, clock, cohort, p0) == (
        None,
        None,
        "on",
        None,
        "calendar",
        "first-ever",
        "cohort",
    )
    found = _told(question, asked, counted, partial=partial) if usual else counted()
    begins, past = question.window.widened(asked.unit).periods(asked.unit), _past(question, began, cohort)
    overall, shown = found.overall, found.shown
    kept = [row for row in shown if row.size or not hide_empty]
    rates = cells.averages(overall, base, average)
    return answer.result(
        question,
        "retention",
        columns=_columns(asked),
        rows=[
            (row.group, row.cohort, row.size, cells.retained(row, partial=partial),
             cells.rates(row, base, partial=partial))
            for row in kept
        ],
        rule=_rule(asked, began.says, came.says, cohort),
        options={
            "start": start, "return": return_, "period": asked.unit, "periods": None if brackets else periods,
            "mode": mode, "brackets": brackets, "clock": clock, "cohort": cohort, "p0": p0, "base": base,
            "horizon": horizon, "partial": partial, "average": average, "hide_empty": hide_empty,
        },
        summary={
            "size": sum(row.size for row in overall),
            "cohorts": sum(row.size > 0 for row in overall),
            "rate": rates,
        },
        kinds={"rate": "list"},
        definition=_definition(question, asked, base, average, past),
        by="value at the start event",
        read=found.read,
        withheld=found.withheld,
        complete=question.window.over(calendar.last_day(begins[-1], asked.unit)),
        partial=[
            number
            for number, row in enumerate(kept)
            if not question.window.over(calendar.last_day(row.cohort, asked.unit))
            or (partial and any(cell.begun and not cell.known for cell in row.cells))
        ],
        notes=[*_notes(question, asked, past), *(past.notes if cohort == "first-ever" else [])],
        told=found.told,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Counted:
    """The cohorts of all groups together and of each that is shown, and what was read for them."""

    overall: list[Row]
    shown: list[Row]
    read: tuple[int, int]
    withheld: int = 0
    told: Told = Told()  # noqa: RUF009 - frozen


def _counted(question: Question, asked: _Asked, began: acts.Act, came: acts.Act, cohort: cohorts.Cohort) -> _Counted:
    is_lived = _is_lived(question, asked, began, came, cohort)
    begins, past = _keep(question, asked, began, came, cohort, is_lived=is_lived)
    withheld = answer.group(question)
    sheet = _Sheet(question, asked, begins, past)
    overall = sheet.rows("", sheet.everywhere)
    shown = [row for label, place in answer.groups(question) for row in sheet.rows(label, (place,))]
    read = cohorts.read_lived(question) if is_lived and _is_any(question, began) else cohorts.read(question, asked.unit)
    return _Counted(overall, shown, read, withheld)


def _is_lived(question: Question, asked: _Asked, began: acts.Act, came: acts.Act, cohort: cohorts.Cohort) -> bool:
    """Whether one reading tells both who began and who came back."""
    plain = began == came and cohort == "first-ever" and asked.clock == "calendar" and not asked.after
    return plain and question.alone and question.scope.by is None


def _is_any(question: Question, act: acts.Act) -> bool:
    """Whether every event of a person is the act."""
    return act == acts.ACTIVE and not (question.scope.inactive or question.scope.active_events)


def _told(question: Question, asked: _Asked, counted: Callable[[], _Counted], *, partial: bool) -> _Counted:
    """The cohorts from sections where they can tell them, else from events."""
    if not question.rollups.asked:
        return counted()
    sheet = returned.told(question, asked.unit, len(asked.spans), partial=partial)
    if sheet is None:
        found = counted()
        sheet = returned.filled(question, asked.unit, Sheet(found.shown, found.read, found.told))
    return _Counted(sheet.rows, sheet.rows, sheet.read, told=sheet.told)


def _past(question: Question, began: acts.Act, cohort: cohorts.Cohort) -> Past:
    return first_seen.past_of(question, began) if cohort == "first-ever" else first_seen.past(question)


def _by_return(question: Question, asked: _Asked, began: acts.Act, came: acts.Act, cohort: cohorts.Cohort) -> Result:
    """The same cells, told by the period of return: who came back in it, by the age of their cohort."""
    if asked.brackets or asked.mode != "on" or asked.clock != "calendar" or question.scope.by is not None:
        raise UsageError("--by-return is about single calendar periods", hint="leave the other options out")
    window, ages = question.window, len(asked.spans)
    periods = window.widened(asked.unit).periods(asked.unit)
    earlier = calendar.before(periods[0], asked.unit, ages - 1, window)
    found = _counted(question.narrowed((*earlier, *periods)[0]), asked, began, came, cohort)
    numbers = {row.cohort: row for row in found.overall}
    begins = (*earlier, *periods)
    rows = [
        ("", period, age, cohort_of.cohort, cohort_of.size, *_returned(cohort_of, age))
        for place, period in enumerate(periods, len(earlier))
        for age in range(ages)
        for cohort_of in (numbers[begins[place - age]],)
    ]
    return answer.result(
        question,
        "retention",
        columns=_BY_RETURN,
        rows=rows,
        rule=_rule(asked, began.says, came.says, cohort),
        options={"period": asked.unit, "periods": ages, "cohort": cohort, "by_return": True},
        definition={"cells": "null until over, by what plays now and by the end of the range"},
        read=found.read,
        withheld=found.withheld,
        partial=[number for number, row in enumerate(rows)
                 if not window.over(calendar.last_day(row[1], asked.unit))],
        notes=calendar.widened(question, asked.unit),
    )  # fmt: skip


def _returned(row: Row, age: int) -> tuple[int | None, float | None]:
    cell = row.cells[age]
    return (cell.people, cell.people / row.size if row.size else None) if cell.known else (None, None)


_BY_RETURN = (
    Column("period", "date"),
    Column("age", "count"),
    Column("cohort", "date"),
    Column("size", "count"),
    Column("retained", "count", bar=True),
    Column("rate", "rate"),
)


def _keep(
    question: Question, asked: _Asked, began: acts.Act, came: acts.Act, cohort: cohorts.Cohort, *, is_lived: bool
) -> tuple[tuple[date, ...], Past]:
    begins = calendar.keep(question, asked.unit)
    most = asked.horizon if asked.mode == "unbounded" else asked.reach
    if is_lived:
        return begins, cohorts.keep_lived(question, began, most=most)
    exactly = asked.clock == "rolling" or asked.after
    past = cohorts.keep_starts(question, began, cohort, asked.unit, exactly=exactly)
    cohorts.keep_gaps(question, came, unit=asked.unit, clock=asked.clock, most=most, after=asked.after)
    return begins, past


class _Sheet:
    """The counts of a retention table, from which rows are made for a group or for several together."""

    def __init__(self, question: Question, asked: _Asked, begins: tuple[date, ...], past: Past) -> None:
        self._asked = asked
        self._begins = begins
        self._sizes = cohorts.sizes(question)
        self._counts = _counts(question, asked)
        self._work = cells.clockwork(
            question.window, asked.unit, asked.clock, calendar.onward(begins, asked.unit, asked.reach + 1), past
        )
        self.everywhere = tuple(int(place) for (place,) in question.engine.rows(_PLACES))

    def rows(self, group: str, places: Sequence[int]) -> list[Row]:
        """The cohorts of the groups at these places, taken together."""
        return [self._row(group, places, number) for number in range(len(self._begins))]

    def _row(self, group: str, places: Sequence[int], number: int) -> Row:
        size = _together([self._sizes[place, number] for place in places if (place, number) in self._sizes])
        people = size.people if size else 0
        found = [self._cell(places, number, n, size, people) for n in range(len(self._asked.spans))]
        return Row(group, self._begins[number], people, tuple(found))

    def _cell(self, places: Sequence[int], number: int, n: int, size: Size | None, people: int) -> cells.Cell:
        asked = self._asked
        span = asked.spans[n]
        is_size = span.first == 0 and not asked.after
        count = people if is_size else sum(self._counts.get((place, number, n), 0) for place in places)
        waits = span if asked.horizon is None else Span(span.first, asked.horizon)
        return self._work.cell(count, waits, number, size, is_size=is_size)


def _counts(question: Question, asked: _Asked) -> Mapping[Cell, int]:
    """How many of each cohort are retained in each cell."""
    if asked.brackets:
        return cohorts.within(question, [(span.first, span.last) for span in asked.spans])
    return cohorts.on(question) if asked.mode == "on" else _unbounded(cohorts.last(question), len(asked.spans))


def _unbounded(last: Mapping[Cell, int], columns: int) -> dict[Cell, int]:
    """How many returned in each period or later, of how many returned for the last time in each."""
    tallies: dict[tuple[int, int], list[int]] = {}
    for (place, number, gap), count in last.items():
        tallies.setdefault((place, number), [0] * columns)[min(gap, columns - 1)] += count
    return {
        (place, number, n): count
        for (place, number), tally in tallies.items()
        for n, count in zip(range(columns - 1, -1, -1), accumulate(reversed(tally)), strict=True)
    }


def _together(sizes: Sequence[Size]) -> Size | None:
    if not sizes:
        return None
    first, last = min(size.first for size in sizes), max(size.last for size in sizes)
    return cohorts.Size(sum(size.people for size in sizes), first, last)


def _asked(
    unit: Unit | None,
    count: int,
    *,
    mode: Literal["on", "unbounded"],
    brackets: str | None,
    clock: cohorts.Clock,
    after: bool,
    horizon: int | None,
) -> _Asked:
    if not 1 <= count <= _MOST_PERIODS:
        raise UsageError(f"--periods {count} is out of range", hint=f"give 1 to {_MOST_PERIODS}")
    if brackets is not None and mode == "unbounded":
        raise UsageError("--brackets and --mode unbounded exclude each other", hint="give one of them")
    spans = tuple(Span(n, n) for n in range(count)) if brackets is None else _brackets(brackets)
    _horizon(horizon, mode, count)
    usual: Unit = "week" if brackets is None else "day"
    return _Asked(unit or usual, mode, clock, after, spans, brackets is not None, horizon)


def _horizon(horizon: int | None, mode: str, count: int) -> None:
    if horizon is None:
        return
    if mode != "unbounded":
        raise UsageError("--horizon is for --mode unbounded", hint="add --mode unbounded")
    if not count - 1 <= horizon <= _MOST_PERIODS:
        raise UsageError(
            f"--horizon {horizon} is out of range", hint=f"with --periods {count} give {count - 1} to {_MOST_PERIODS}"
        )


def _brackets(text: str) -> tuple[Span, ...]:
    """The ranges that `0,1-3,4-7` says."""
    found = []
    for piece in text.split(","):
        match = _BRACKET.fullmatch(piece.strip())
        span = Span(int(match[1]), int(match[2] or match[1])) if match else None
        if span is None or span.last < span.first or span.last > _MOST_PERIODS:
            raise UsageError(f"--brackets: {piece.strip()!r} is no range of periods", hint="write 0,1-3,4-7")
        found.append(span)
    return tuple(found)


def _columns(asked: _Asked) -> tuple[Column, ...]:
    labels = tuple(_label(span) for span in asked.spans) if asked.brackets else ()
    return (
        Column("cohort", "date"),
        Column("size", "count"),
        Column("retained", "list", item="count", aside=True, labels=labels),
        Column("rate", "list", item="rate", heat=True, labels=labels),
    )


def _label(span: Span) -> str:
    return str(span.first) if span.first == span.last else f"{span.first}-{span.last}"


def _rule(asked: _Asked, start: str, back: str, cohort: cohorts.Cohort) -> str:
    enters = {
        "first-ever": f"{asked.unit} of the first {start} ever",
        "first-in-range": f"{asked.unit} of the first {start} in the range",
        "recurring": f"each {asked.unit} with {start}",
    }[cohort]
    where = "in or after" if asked.mode == "unbounded" else "in"
    what = "a range of periods" if asked.brackets else "the period"
    until = "" if asked.horizon is None else f", up to period {asked.horizon}"
    length = cohorts.LENGTHS[asked.unit].days * 24
    since = "calendar periods" if asked.clock == "calendar" else f"periods of {length} h from the start on"
    first = "period 0: a return after the start" if asked.after else "period 0: the cohort"
    return f"cohort: {enters}; retained: with {back} {where} {what}{until}; {since}; {first}"


def _definition(
    question: Question, asked: _Asked, base: cells.Base, average: cells.Average, past: Past
) -> dict[str, Any]:
    told = {
        "cells": "null until over, by what plays now and by the end of the range"
        + (" (rolling: for the whole cohort)" if asked.clock == "rolling" else ""),
        "rate": ("share of the cohort" if base == "cohort" else "share of the cell before")
        + f"; summary: {average} over the cohorts whose cell is known",
    }
    if past.purged is not None:
        told["purged"] = f"days before {past.purged.date()}; cells there are null"
        told["first_ever"] = past.says or ""
    if question.scope.where:
        told["where"] = "starts and returns are events that fit; the first ever is the first that fits"
    return {key: value for key, value in told.items() if value}


def _notes(question: Question, asked: _Asked, past: Past) -> list[str]:
    notes = calendar.widened(question, asked.unit)
    last = calendar.last_day(question.window.periods(asked.unit)[-1], asked.unit)
    if question.window.last < last and question.window.over(last):
        notes.append(f"the last {asked.unit} is cut by the range: its cells are null")
    if asked.mode == "unbounded" and asked.horizon is None:
        notes.append("unbounded: cells of young cohorts still rise; --horizon compares at equal age")
    if past.purged is not None and past.purged.date() > question.window.widened(asked.unit).first:
        notes.append(f"days before {past.purged.date()} are purged")
    return notes
