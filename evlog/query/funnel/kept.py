"""A funnel of the plan out of sections: who took its steps in periods whose events are purged.

A section knows the users and times of each step, and not the times of the whole funnel: while events are there, they
answer. It is found by what its question asks, whatever words it was written in.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evlog.query import rolled
from evlog.query import standing as kept
from evlog.query.funnel.asked import Given, resolve
from evlog.query.funnel.counted import Counted
from evlog.query.funnel.rows import rate
from evlog.query.rolled import EVENTS, Told
from evlog.query.standing import Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from evlog.query.ask import Question
    from evlog.query.funnel.asked import Asked
    from evlog.query.usable import Held
    from evlog.store.rollups import Period, Section
    from evlog.window import Unit

    Row = tuple[Any, ...]

_UNITS: tuple[Unit, ...] = ("day", "week", "month")
_METRICS = {name: name for name in ("users", "median_s", "mean_s", "p90_s")}
_TIMES = ("median_s", "mean_s")
_WORDS = ("window", "step_window")  # options that say the same in several ways; the rules hold what they mean


def told(
    question: Question, asked: Asked, counted: Callable[[Question], tuple[Counted, tuple[int, int]]]
) -> tuple[Counted, tuple[int, int], Told] | None:
    """The numbers where entries of the range are purged, as far as sections tell them; None where events do."""
    rollups, window = question.rollups, question.window
    if not rollups.asked or asked.histogram:
        return None
    for unit in (asked.per,) if asked.per else _UNITS:
        periods = rollups.periods(unit, window.periods(unit))
        gone = [one for one in periods if rollups.is_frozen(EVENTS, one)]
        if not gone:
            return None
        is_window = len(periods) == 1 and (periods[0].first, periods[0].last) == (window.first, window.last)
        standing = _standing(question, asked, gone) if asked.per or is_window else None
        if standing is not None:
            return _together(question, asked, rollups.held(standing, gone), periods, counted)
    found, read = counted(question)
    return found, read, Told(notes=("days of the range are purged: who began then is not counted",))


def _together(
    question: Question,
    asked: Asked,
    held: Held,
    periods: Sequence[Period],
    counted: Callable[[Question], tuple[Counted, tuple[int, int]]],
) -> tuple[Counted, tuple[int, int], Told]:
    rows: list[Row] = []
    for one in held.periods:
        head = ("", one.first) if asked.per else ("",)
        whole = question.window.first <= one.first and one.last <= question.window.last
        section = held.sections.get(one.first) if whole else None
        rows += _rows(asked, head, held.standing, section) if section is not None else _unknown(asked, head)
    after = [one.first for one in periods if one.first > held.periods[-1].first]
    userless = sum(
        int(rolled.without_user(one)) for one in question.rollups.held(EVENTS, held.periods).sections.values()
    )
    rest, read = counted(question.narrowed(after[0])) if after else (Counted((), {}, (), 0), (0, 0))
    last = max((one.last for one in held.periods if one.first in held.sections), default=None)
    notes = rolled.frozen_notes(last, earlier=bool(held.earlier)) if last else ()
    source = Told("both" if after else "rollups", last, notes, (*_TIMES, "entered", "converted", "conversion"))
    growing = tuple(number + len(rows) for number in rest.growing)
    totals = _totals(asked, rows if len(periods) == 1 else [])
    return Counted((*rows, *rest.rows), totals, growing, 0, rest.open), (read[0], read[1] + userless), source


def _standing(question: Question, asked: Asked, periods: Sequence[Period]) -> Standing | None:
    """The question of a section that asks for just this funnel."""
    for one in periods:
        for name in question.rollups.names(one):
            report, _, said = name.partition(" ")
            if report == "funnel" and said and _is_same(asked, json.loads(said)):
                return Standing("funnel", _UNITS, _METRICS, key=("step", "event"), options=json.loads(said))
    return None


def _is_same(asked: Asked, options: dict[str, Any]) -> bool:
    other = resolve(Given(tuple(options["steps"]), {key: one for key, one in options.items() if key != "steps"}))
    plain = [{key: one for key, one in which.options.items() if key not in _WORDS} for which in (asked, other)]
    return plain[0] == plain[1] and replace(asked, per=None, options={}) == replace(other, options={})


def _rows(asked: Asked, head: Row, standing: Standing, section: Section) -> Iterator[Row]:
    """The rows of a period: rates follow from the users of the steps."""
    found = {kept.keys(standing, spelled): values for spelled, values in kept.table(standing, section).items()}
    entered = before = 0
    for place, ((step, text), values) in enumerate(found.items()):
        users = int(values.get("users") or 0)
        entered, before = (users, users) if place == 0 else (entered, before)
        gate = place in asked.required
        dropped = before - users if gate else None
        times = (values.get(name) for name in ("median_s", "mean_s", "p90_s"))
        yield (*head, step, text, users, rate(users, entered), rate(users, before), dropped, *times)
        before = users if gate else before


def _unknown(asked: Asked, head: Row) -> Iterator[Row]:
    """The rows of a purged period of which no section tells."""
    for number, step in enumerate(asked.steps, 1):
        yield (*head, number, step.text, *(None,) * 7)


def _totals(asked: Asked, rows: Sequence[Row]) -> dict[str, Any]:
    """The summary, as far as the steps of one period tell it."""
    users = {row[-9]: row[-7] for row in rows}
    entered, converted = (users.get(asked.required[place] + 1) for place in (0, -1))
    known = entered is not None and converted is not None
    whole = rows[-1][-3:-1] if rows and len(asked.steps) == 2 else (None, None)  # noqa: PLR2004 - from first to last
    return {
        "entered": entered,
        "converted": converted,
        "conversion": rate(converted or 0, entered or 0) if known else None,
        "median_s": whole[0],
        "mean_s": whole[1],
        "open": 0,
    }
