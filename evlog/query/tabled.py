"""Tables made of sections of rollups: of a range that is one kept period whole, of purged days what may be added up.

The sections of a range of days say how many events there were, and not how many users: these are told where the range
is just a day, a week or a month, or where no row of purged days is about the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from evlog.query import rolled
from evlog.query import standing as kept
from evlog.query.ask import Reach
from evlog.query.rolled import EVENTS, Counted, Told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import date

    from evlog.query.ask import Question
    from evlog.query.standing import Standing
    from evlog.query.usable import Held
    from evlog.store.rollups import Period, Section

    Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """What sections could tell of a report whose rows are about values.

    `columns` are those after the key, as the report has them. `instants` are told as such; of `least` and `most` the
    range has the least and the greatest of its days. `order` sorts rows (group first) that were put together. `sums`
    are the totals that may be added up. `beside` is another table of the same periods, whose rows a total is made of.
    """

    standing: Standing
    columns: tuple[str, ...]
    order: Callable[[Row], Any]
    sums: tuple[str, ...] = ()
    instants: tuple[str, ...] = ()
    least: tuple[str, ...] = ()
    most: tuple[str, ...] = ()
    beside: Standing | None = None
    texts: bool = False  # the key is text, though its values may have been told as numbers


def table(question: Question, wanted: Table, counted: Callable[[Question], Counted]) -> Counted:
    """The rows and totals of the window, from sections or from events."""
    rollups = question.rollups
    if not rollups.asked:
        return counted(question)
    rollups.want(wanted.standing, EVENTS, *([wanted.beside] if wanted.beside else []))
    for period in _kept_periods(question, wanted.standing):
        found = _whole(question, wanted, period)
        if found is not None:
            return found
    days = rollups.periods("day", question.window.days)
    gone = [one for one in days if rollups.is_frozen(EVENTS, one)]
    if not gone:
        return counted(question)
    held = rollups.held(wanted.standing, gone)
    first = rollups.first_kept(wanted.standing, "day")
    if first is None:
        found = counted(question)
        return replace(found, told=rolled.not_kept(question))
    after = [one.first for one in days if one.first > gone[-1].first]
    rest = counted(question.narrowed(after[0])) if after else None
    return _together(question, wanted, held, rest, first)


def totals(question: Question, standing: Standing) -> dict[str, Any] | None:
    """The totals of the window, as the section of a table tells them that is about just that period."""
    for period in _kept_periods(question, standing):
        section = question.rollups.held(standing, [period]).sections.get(period.first)
        if section is not None:
            return dict(kept.summed(standing, section))
    return None


def _kept_periods(question: Question, standing: Standing) -> Iterable[Period]:
    """The periods that a section may be about which are just the window."""
    window = question.window
    for grain in standing.grains:
        if grain == "hour":
            continue
        (period,) = question.rollups.periods(grain, [window.widened(grain).first])
        if (period.first, period.last) == (window.first, window.last):
            yield period


def _whole(question: Question, wanted: Table, period: Period) -> Counted | None:
    """The answer of a section of just that period; None where there is none, or where events do and hold nothing."""
    rollups = question.rollups
    asked = [wanted.standing, EVENTS, *([wanted.beside] if wanted.beside else [])]
    helds = [rollups.held(one, [period]) for one in asked]
    gone = rollups.is_frozen(EVENTS, period)
    if any(not held.whole for held in helds) or not (gone or rolled.any_partition(question)):
        return None
    section = helds[0].sections[period.first]
    linked = rolled.settled(question, _reach(wanted.standing, period))
    rows = [("", *key, *(values[name] for name in wanted.columns)) for key, values in _values(wanted, section).items()]
    told = Told("rollups", linked=linked)
    if gone:
        notes = rolled.frozen_notes(period.last, earlier=bool(helds[0].earlier))
        told = Told("rollups", period.last, notes, linked=linked)
    more = _sum([helds[-1].sections[period.first]], wanted.beside) if wanted.beside else None
    totals: dict[str, Any] = dict(kept.summed(wanted.standing, section))
    return Counted(rows, totals, (0, _userless(wanted, helds[0], helds[1])), told=told, beside=more)


def _together(question: Question, wanted: Table, held: Held, rest: Counted | None, first: date) -> Counted:
    """What sections say of the purged days, added to what events say of the rest."""
    rollups, standing = question.rollups, wanted.standing
    found: dict[Row, dict[str, Any]] = {}
    for section in held.sections.values():
        for key, values in _values(wanted, section).items():
            found[key] = _added(wanted, found[key], values) if key in found else values
    for row in rest.rows if rest else ():
        key = row[1 : 1 + len(standing.key)]
        values = dict(zip(wanted.columns, row[1 + len(key) :], strict=True))
        found[key] = _added(wanted, found[key], values) if key in found else values
    rows = sorted(
        (("", *key, *(values[name] for name in wanted.columns)) for key, values in found.items()), key=wanted.order
    )
    events = rollups.held(EVENTS, held.periods)
    userless = _userless(wanted, held, events) + (rest.read[1] if rest else 0)
    more = None
    if wanted.beside is not None:
        more = _sum(rollups.held(wanted.beside, held.periods).sections.values(), wanted.beside)
        for name, number in (rest.beside or {}).items() if rest else ():
            more[name] = more.get(name, 0) + number
    told = _told(wanted, held, rest, first)
    return Counted(rows, _totals(wanted, held, rest), (rest.read[0] if rest else 0, userless), told=told, beside=more)


def _told(wanted: Table, held: Held, rest: Counted | None, first: date) -> Told:
    if not held.sections:
        return Told(notes=("purged days of the range are not rolled up: they count as empty",))
    last = max(one.last for one in held.periods if one.first in held.sections)
    lost = [
        name for name in wanted.standing.metrics if name not in {*wanted.standing.additive, *wanted.least, *wanted.most}
    ]
    notes = rolled.frozen_notes(last, earlier=bool(held.earlier))
    missing = [one for one in held.periods if one.first not in held.sections and one.first >= first]
    if missing:
        notes = (*notes, f"purged days that are not rolled up ({missing[0].first} …) count as empty")
    return Told("rollups" if rest is None else "both", last, notes, (*lost, *wanted.standing.summary))


def _totals(wanted: Table, held: Held, rest: Counted | None) -> dict[str, Any]:
    """The totals that may be added up; the others are not known."""
    found: dict[str, Any] = dict.fromkeys((*wanted.standing.summary, *(rest.totals if rest else ())))
    for name in wanted.sums:
        told = [kept.summed(wanted.standing, section)[name] or 0 for section in held.sections.values()]
        found[name] = sum(told) + (rest.totals[name] if rest else 0)
    return found


def _added(wanted: Table, one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = dict.fromkeys(wanted.columns)
    for name in wanted.columns:
        both = [value for value in (one[name], other[name]) if value is not None]
        if name in wanted.standing.additive:
            found[name] = sum(both) if len(both) == 2 else None  # noqa: PLR2004 - the two of them
        elif name in wanted.least:
            found[name] = min(both, default=None)
        elif name in wanted.most:
            found[name] = max(both, default=None)
    return found


def _values(wanted: Table, section: Section) -> dict[Row, dict[str, Any]]:
    """The values of each row of a section, by its key."""
    found = {}
    for spelled, values in kept.table(wanted.standing, section).items():
        told: dict[str, Any] = {name: values.get(name) for name in wanted.columns}
        told |= {name: _instant(told[name]) for name in wanted.instants}
        key = kept.keys(wanted.standing, spelled)
        found[tuple(one if one is None else str(one) for one in key) if wanted.texts else key] = told
    return found


def _instant(microseconds: float | None) -> datetime | None:
    return None if microseconds is None else rolled.EPOCH + timedelta(microseconds=int(microseconds))


def _sum(sections: Iterable[Section], standing: Standing) -> dict[str, Any]:
    """The first additive column of a table by its (one) key, over several sections; in the order of the first."""
    found: dict[str, Any] = {}
    for section in sections:
        for spelled, values in kept.table(standing, section).items():
            (key,) = kept.keys(standing, spelled)
            found[key] = found.get(key, 0) + (values[standing.additive[0]] or 0)
    return found


def _userless(wanted: Table, own: Held, events: Held) -> int:
    """How many events had no user: of those that the report reads, where it says so, else of all."""
    if rolled.WITHOUT_USER in wanted.standing.summary:
        return int(sum(kept.summed(wanted.standing, one)[rolled.WITHOUT_USER] or 0 for one in own.sections.values()))
    return int(sum(rolled.without_user(one) for one in events.sections.values()))


def _reach(standing: Standing, period: Period) -> Reach:
    return Reach(standing.reach(period)[0], period.last)
