"""Rolled-up numbers held against the events they were counted from, for a few of the newest days."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from evlog import reports
from evlog.check.finding import Daily, Finding, Measure, by_day
from evlog.query import standing
from evlog.query.ask import ask
from evlog.store import rollups
from evlog.window import midnight, period_after

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    from evlog.check.look import Look
    from evlog.query.ask import Question
    from evlog.query.standing import Standing
    from evlog.store.rollups import Period, Record, Section

DAYS = 3
"""How many days are counted anew."""

_Numbers = dict[tuple[str, str, str], float | None]


def rollups_hold(look: Look, _limit: float) -> Iterator[Finding]:
    """The share of the numbers of a rolled-up day that counting its events anew does not give."""
    measure = Measure(
        "rollups", "consistency", "rate", 0.0,
        "count anew with: evlog rollup --from DAY --to DAY; then look for what wrote into rollups/",
        "nothing rolled up to compare",
    )  # fmt: skip
    yield by_day(measure, _days(look))


def _days(look: Look) -> Iterator[Daily]:
    done = 0
    for period, sections in _newest(look):
        differ, numbers, first = _compared(look, period, sections)
        if numbers:
            says = f"{differ:,} of {numbers:,} rolled-up numbers of {period.first} are not what its events say"
            yield Daily(period.first, differ / numbers, f"{says} ({first})" if first else says)
            done += 1
        if done == DAYS:
            return


def _newest(look: Look) -> Iterator[tuple[Period, Mapping[str, Section]]]:
    """The rollups of days in the zone, the newest first."""
    window = look.question.window
    held = set(look.question.snapshot.days)
    for name, path in sorted(rollups.files(look.store).items(), reverse=True):
        period, sections = rollups.read(path)
        known = name == period.target and period.grain == "day" and period.tz == window.tz
        if known and period.last <= window.last and period.first in held:
            yield period, sections


def _compared(look: Look, period: Period, sections: Mapping[str, Section]) -> tuple[int, int, str]:
    """How many numbers of a day differ, of how many, and the first that does."""
    differ, numbers, first = 0, 0, ""
    for name, section in sections.items():
        asked = _standing(name)
        if asked is None or not _countable(look, period, section, asked):
            continue
        found = _counted(look, period, asked, section)
        if found is None:
            continue
        kept = _numbers(section.records)
        wrong = sorted(key for key in kept.keys() | found.keys() if not _same(kept.get(key), found.get(key)))
        numbers += len(kept.keys() | found.keys())
        differ += len(wrong)
        if wrong and not first:
            first = f"{wrong[0][0]}: {kept.get(wrong[0])}, counted anew {found.get(wrong[0])}"
    return differ, numbers, first


def _standing(name: str) -> Standing | None:
    """The standing question of that name; None where no report asks it any more."""
    report = name.partition(" ")[0]
    asked = standing.all_of([reports.load(report)]) if report in reports.names() else ()
    return next((one for one in asked if one.name == name), None)


def _countable(look: Look, period: Period, section: Section, asked: Standing) -> bool:
    """Whether a section speaks of a whole day and of no other, by the definition that holds now."""
    scope = replace(look.question.scope, window=_window(look, period))
    over = midnight(period_after(period.last, "day"), period.tz) <= section.computed_at
    alone = asked.back == 0 and asked.onward == 0 and asked.settles
    return alone and over and section.definition == asked.definition(scope)


def _window(look: Look, period: Period) -> Any:
    return replace(look.question.window, first=period.first, last=period.last)


def _counted(look: Look, period: Period, asked: Standing, section: Section) -> _Numbers | None:
    """The numbers as the events say them; None where the events changed since: then the next rollup counts them."""
    scope = replace(look.question.scope, window=_window(look, period))
    answer: Any = partial(_answer, asked=asked, section=section, day=period.first)
    return cast("_Numbers | None", ask(look.store, scope, answer, rollups=False))


def _answer(question: Question, *, asked: Standing, section: Section, day: date) -> _Numbers | None:
    first, last = standing.partitions(day, day, question.window.tz)
    changed = rollups.changes(question.store, question.snapshot)
    if any(touch.batch > section.batch for one, touch in changed.items() if first <= one <= last):
        return None
    found = reports.load(asked.report).report(question, **asked.asked("day"))
    if asked.key:
        return _numbers(standing.of_table(asked, found))
    return _numbers(standing.of_series(asked, found).get(day, ()))


def _numbers(records: Sequence[Record]) -> _Numbers:
    return {(one.metric, one.dimension, one.of): one.value for one in records}


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
