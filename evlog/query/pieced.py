"""How the rows of an answer are put together: from sections of rollups, from events, or from both.

Where every period and every total is told by sections, they answer, and no event is read. Else events do, as long as
all are there; where sections tell all but a day or two, only these are counted. Of purged periods sections tell the
rows, events the others, and what nobody can tell is null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evlog.frozen import replace
from evlog.query import standing as kept
from evlog.query.ask import Reach
from evlog.query.rolled import (
    EVENTS,
    Counted,
    Told,
    any_partition,
    frozen_notes,
    not_kept,
    settled,
    userless,
    without_user,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from evlog.query.ask import Question
    from evlog.query.result import Source
    from evlog.query.rolled import Series
    from evlog.query.usable import Held
    from evlog.store.rollups import Period

_LATE = 2  # days that are counted one by one: today, and yesterday where nobody rolled it up yet
_ACTIVE = "SELECT count(*), count(DISTINCT CASE WHEN active THEN person END) FROM seen"


def series(question: Question, wanted: Series, counted: Callable[[Question], Counted]) -> Counted:
    """The rows and totals of the window, from sections or from events."""
    if not question.rollups.asked:
        return counted(question)
    run = _Run(question, wanted)
    return run.told() or (run.patched(counted) if run.frozen else run.completed() or counted(question))


class _Run:
    """The periods of a question, and what sections say of them."""

    def __init__(self, question: Question, wanted: Series) -> None:
        self.question, self.wanted = question, wanted
        rollups, window = question.rollups, question.window
        self.periods = rollups.periods(wanted.unit, window.periods(wanted.unit))
        first = window.widened(wanted.unit).first if wanted.widened else window.first
        whole = [one for one in self.periods if one.first >= first and one.last <= window.last]
        rollups.want(*wanted.standings, EVENTS)
        self.held = [rollups.held(standing, whole) for standing in wanted.standings]
        self.events = rollups.held(EVENTS, whole)
        self.frozen = {
            one.first for one in self.periods for standing in wanted.standings if rollups.is_frozen(standing, one)
        }
        self.blank = {one.first for one in whole if rollups.before_all(one)}
        self.gone = [one for one in self.periods if rollups.is_frozen(EVENTS, one)]

    def told(self) -> Counted | None:
        """The answer from sections alone; None where they do not suffice, or where events do and are there."""
        question, wanted = self.question, self.wanted
        if not _is_told([one for one in self.periods if one.first not in self.blank], [*self.held, self.events]):
            return None
        if not self.gone and not any_partition(question):
            return None  # what there is to say of days that hold nothing is said by those that look
        totals = wanted.totals(question)
        if totals is None and not self.gone:
            return None
        linked = settled(question, Reach(None, None) if wanted.everything else self._reach())
        rows = [("", one.first, *self._row(one)) for one in self.periods]
        userless = sum(int(without_user(section)) for section in self.events.sections.values())
        told = replace(self._said("rollups"), linked=linked)
        return Counted(rows, self._or_lost(totals), (0, userless), told=told)

    def completed(self) -> Counted | None:
        """The answer from sections where they tell all but one or two days, as the one that is running.

        The users of these are counted, and those of the whole range, which no section tells: a narrow reading each.
        None where that is not enough.
        """
        question, wanted = self.question, self.wanted
        told = {one for one in self.periods if one.first in self.blank or self._is_held(one)}
        late = [one for one in self.periods if one not in told]
        if not wanted.distinct or len(late) > _LATE or not any(map(self._is_held, told)):
            return None
        if not any_partition(question):
            return None  # what there is to say of days that hold nothing is said by those that look
        question.fit(self._reach())
        active = Active(question)
        rows = [
            ("", one.first, *(self._row(one) if one in told else self._counted(one, active))) for one in self.periods
        ]
        known = sum(int(without_user(section)) for section in self.events.sections.values())
        missing = [one.first for one in late if one.first not in self.events.sections]
        unknown = userless(question, missing) if missing else 0
        totals = wanted.totals(question) or {"users": active.users(question.window.first, question.window.last)}
        return Counted(rows, totals, (active.events, known + unknown), told=Told("both"))

    def _is_held(self, period: Period) -> bool:
        return all(period.first in held.sections for held in [*self.held, self.events])

    def _counted(self, period: Period, active: Active) -> tuple[int, ...]:
        begins = (standing.reach(period)[0] or period.first for standing in self.wanted.standings)
        return tuple(active.users(begin, period.last) for begin in begins)

    def patched(self, counted: Callable[[Question], Counted]) -> Counted:
        """The answer from events where they are there, with what sections tell of purged periods."""
        known = [
            one
            for one in self.periods
            if one.first in self.frozen
            and any(one.first in held.sections and one.first in held.frozen for held in self.held)
        ]
        first = self.question.rollups.first_kept(self.wanted.standings[0], self.wanted.unit)
        if first is None:
            found = counted(self.question)
            return replace(found, told=not_kept(self.question))
        rest = self._rest()
        found = counted(rest) if rest is not None else Counted([], {}, (0, 0))
        totals = found.totals if not self.gone else self.wanted.totals(self.question)
        by_period = {row[1]: row for row in found.rows}
        rows = [
            self._purged(one, first, by_period.get(one.first)) if one.first in self.frozen else by_period[one.first]
            for one in self.periods
        ]
        userless = found.read[1] + self._userless_before(rest)
        source: Source = "events" if not known else "rollups" if rest is None else "both"
        told = self._said(source, known=known)
        read = found.read[0], userless
        return Counted(rows, self._or_lost(totals), read, found.withheld, told, beside=found.beside)

    def _rest(self) -> Question | None:
        """The question from the first period on whose own events are there; None where there is none."""
        if not self.gone:
            return self.question
        after = [one for one in self.periods if one.first > self.gone[-1].first]
        return self.question.narrowed(after[0].first) if after else None

    def _userless_before(self, rest: Question | None) -> int:
        """How many events of the days before the rest had no user, as far as sections or events tell."""
        window = self.question.window
        known = [one for one in self.gone if one.first in self.events.sections]
        told = {day for one in known for day in window.widened(self.wanted.unit).days if one.first <= day <= one.last}
        asked = window.widened(self.wanted.unit) if self.wanted.widened else window
        before = [
            day for day in asked.days if self.gone and (rest is None or day < rest.window.first) and day not in told
        ]
        return userless(self.question, before) + sum(
            int(without_user(self.events.sections[one.first])) for one in known
        )

    def _row(self, period: Period) -> tuple[Any, ...]:
        if period.first in self.blank:
            return self.wanted.blank
        values: dict[str, Any] = {}
        for held in self.held:
            values |= kept.series(held.standing, held.sections[period.first])
        return tuple(values[column] for column in self.wanted.columns)

    def _purged(self, period: Period, first: date, counted: tuple[Any, ...] | None) -> tuple[Any, ...]:
        """The row of a period that needs purged events: by section, or where it needs none of them, as counted.

        Before the first period that any section tells of nothing happened; else what no section tells is not known.
        """
        if period.last < first:
            return ("", period.first, *self.wanted.blank)
        values: dict[str, Any] = {}
        own = dict(zip(self.wanted.columns, counted[2:], strict=True)) if counted else {}
        for held in self.held:
            section = held.sections.get(period.first)
            lost = section is None and self.question.rollups.is_frozen(held.standing, period)
            told = dict.fromkeys(held.standing.metrics) if lost else own
            values |= kept.series(held.standing, section) if section is not None else told
        return ("", period.first, *(values.get(column) for column in self.wanted.columns))

    def _or_lost(self, totals: dict[str, Any] | None) -> dict[str, Any]:
        return dict.fromkeys(self.wanted.lost) if totals is None else totals

    def _said(self, source: Source, *, known: Sequence[Period] | None = None) -> Told:
        purged = [one for one in (self.periods if known is None else known) if one.first in self.frozen]
        lost = (*self.wanted.columns, *self.wanted.lost)
        if not purged:
            return Told(source, lost=lost if self.frozen else ())
        earlier = any(one.first in held.earlier for one in purged for held in self.held)
        notes = frozen_notes(purged[-1].last, earlier=earlier)
        return Told(source, purged[-1].last, notes, lost)

    def _reach(self) -> Reach:
        begins = [standing.reach(one)[0] for standing in self.wanted.standings for one in self.periods[:1]]
        first = None if None in begins else min(begin for begin in begins if begin is not None)
        return Reach(first, self.question.window.last)


class Active:
    """The users active in spans of days, as events tell; each span is read once."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._known: dict[tuple[date, date], int] = {}
        self.events = 0  # of the span with most

    def users(self, first: date, last: date) -> int:
        """How many different users were active from the first to the last day."""
        if (first, last) not in self._known:
            events, users = self._question.rows(_ACTIVE, reach=Reach(first, last))[0]
            self._known[first, last] = int(users)
            self.events = max(self.events, int(events))
        return self._known[first, last]


def _is_told(periods: Sequence[Period], helds: Sequence[Held]) -> bool:
    return all(one.first in held.sections for one in periods for held in helds)
