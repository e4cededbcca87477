"""The cells of a retention table out of sections: those of each period tell who came back in it, by the cohorts' age.

So a record depends on its own period and on who began when, and a cohort whose own days are purged keeps its cells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evlog.query import rolled
from evlog.query import standing as kept
from evlog.query.ask import Reach
from evlog.query.cells import Cell, Row
from evlog.query.rolled import EVENTS, Told
from evlog.query.standing import EVER, Standing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from evlog.query.ask import Question
    from evlog.query.result import Source
    from evlog.query.usable import Held
    from evlog.store.rollups import Period, Section
    from evlog.window import Unit

AGES = 13
"""How many periods of age sections tell of."""

RETURNS = Standing(
    "retention",
    ("day", "week", "month"),
    {"size": "cohort_size", "retained": "retained"},
    key=("age",),
    options={"by_return": True, "periods": AGES},
    grain_option="period",
    period="period",
    back=EVER,
)
_Numbers = dict["date", "Mapping[str, Mapping[str, float | None]]"]
"""Of each period, by its first day: size and retained of the cohorts by the age that they had in it."""
_NOBODY: dict[str, float | None] = {"size": 0, "retained": 0}


@dataclass(frozen=True, slots=True)
class Sheet:
    """The rows of a retention table, what was read of events for it, and where it comes from."""

    rows: list[Row]
    read: tuple[int, int]
    told: Told


def told(question: Question, unit: Unit, ages: int, *, partial: bool) -> Sheet | None:
    """The table from sections alone; None where they do not suffice.

    Of a period that still runs the days tell who began in it; its cells are not known, so they must not be asked for
    (`partial`).
    """
    if ages > AGES:
        return None
    periods, held = _held(question, unit)
    rollups = question.rollups
    blank = [one for one in held.periods if rollups.before_all(one)]
    held = replace(held, periods=tuple(one for one in held.periods if one not in blank))
    days = [one for one in rollups.periods("day", question.window.days) if not rollups.before_all(one)]
    events = rollups.held(EVENTS, days)
    running = _running(question, periods[-1], days, partial=partial)
    if running is None or not (held.whole and events.whole and rolled.any_partition(question)):
        return None
    question.fit(Reach(None, question.window.last))
    numbers = _numbers(held) | _of_nobody(blank) | running
    rows = []
    for place, period in enumerate(periods):
        size = _people(numbers, place, 0, "size", periods) or 0
        cells = [_cell(numbers, periods, place, age) for age in range(ages)]
        rows.append(Row("", period.first, size, tuple(cell or Cell(0, known=False, begun=False) for cell in cells)))
    userless = sum(int(rolled.without_user(one)) for one in events.sections.values())
    return Sheet(rows, (0, userless), _said(held, "rollups"))


def filled(question: Question, unit: Unit, sheet: Sheet) -> Sheet:
    """The table from events with the cells that only sections know: those of purged periods."""
    periods, held = _held(question, unit)
    if not held.frozen:
        return sheet
    frozen = {first: one for first, one in held.sections.items() if first in held.frozen}
    first = question.rollups.first_kept(RETURNS, unit)
    blank = [one for one in held.periods if first is not None and one.last < first]
    numbers = _numbers(held) | _of_nobody(blank)
    rows = [_filled(row, place, periods, numbers) for place, row in enumerate(sheet.rows)]
    userless = rolled.userless(question, question.window.days)
    return Sheet(rows, (sheet.read[0], userless), _said(held, "both" if frozen else "events"))


def _running(question: Question, period: Period, days: Sequence[Period], *, partial: bool) -> _Numbers | None:
    """Who began in a period that still runs, as its days tell it; nothing of one that is over; None: nobody tells."""
    if period.last <= question.window.last:
        return {}
    held = question.rollups.held(RETURNS, [one for one in days if one.first >= period.first])
    if partial or held.frozen or not held.whole:
        return None
    new = sum(_by_age(one)["0"]["size"] or 0 for one in held.sections.values())
    return {period.first: {"0": {"size": new, "retained": None}}}


def _held(question: Question, unit: Unit) -> tuple[tuple[Period, ...], Held]:
    window = question.window
    periods = question.rollups.periods(unit, window.widened(unit).periods(unit))
    return periods, question.rollups.held(RETURNS, [one for one in periods if one.last <= window.last])


def _numbers(held: Held) -> _Numbers:
    return {first: _by_age(section) for first, section in held.sections.items()}


def _of_nobody(periods: Sequence[Period]) -> _Numbers:
    """The numbers of periods before anything happened."""
    return {one.first: dict.fromkeys(map(str, range(AGES)), _NOBODY) for one in periods}


def _by_age(section: Section) -> Mapping[str, Mapping[str, float | None]]:
    return {str(kept.keys(RETURNS, of)[0]): values for of, values in kept.table(RETURNS, section).items()}


def _people(
    numbers: _Numbers,
    place: int,
    age: int,
    column: str,
    periods: Sequence[Period],
) -> int | None:
    """A number of the cohort at that place, as the section tells it of the period in which it was that old."""
    if place + age >= len(periods):
        return None
    value = numbers.get(periods[place + age].first, {}).get(str(age), {}).get(column)
    return None if value is None else int(value)


def _cell(numbers: _Numbers, periods: Sequence[Period], place: int, age: int) -> Cell | None:
    people = _people(numbers, place, age, "retained", periods)
    return None if people is None else Cell(people, known=True, begun=True)


def _filled(
    row: Row,
    place: int,
    periods: Sequence[Period],
    numbers: _Numbers,
) -> Row:
    cells = [cell if cell.known else _cell(numbers, periods, place, age) or cell for age, cell in enumerate(row.cells)]
    own = _people(numbers, place, 0, "size", periods)
    return Row(row.group, row.cohort, row.size if own is None else max(own, row.size), tuple(cells))


def _said(held: Held, source: Source) -> Told:
    frozen = [one for one in held.periods if one.first in held.frozen and one.first in held.sections]
    if not frozen:
        return Told(source)
    return Told(source, frozen[-1].last, rolled.frozen_notes(frozen[-1].last, earlier=bool(held.earlier)))
