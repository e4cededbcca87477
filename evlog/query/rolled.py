"""Answers made of sections of rollups, where they can be, in whole or for the days whose events are purged.

A report counts from events in one function, and says here what sections could tell in its place:

    found = rolled.series(question, Series((DAU,), "day", ("dau",), blank=(0,), totals=totals), counted)

Where every period and every total is told by sections, they answer, and no event is read. Else events do, as long as
all are there. Of purged periods sections tell the rows, events the others, and what nobody can tell is null.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from evlog.frozen import dataclass, replace
from evlog.query import renamed
from evlog.query import standing as kept
from evlog.query.ask import Reach
from evlog.query.standing import Standing
from evlog.store.rollups import Period
from evlog.window import local_date

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evlog.query.ask import Question
    from evlog.query.result import Source
    from evlog.query.usable import Held
    from evlog.store.rollups import Section
    from evlog.window import Unit

    Totals = Callable[[Question], "dict[str, Any] | None"]

DAU = Standing("dau", ("day",), {"dau": "dau"})
WAU = Standing("wau", ("day",), {"wau": "wau"}, back=6)
MAU = Standing("mau", ("day",), {"mau": "mau"}, back=29)
WEEKS = Standing("wau", ("week",), {"wau": "wau_calendar"}, options={"calendar": True}, period="week_start")
MONTHS = Standing("mau", ("month",), {"mau": "mau_calendar"}, options={"calendar": True}, period="month")
"""The users of a day, of the 7 and 30 days that end on it, of a week and of a month."""

WITHOUT_USER = "events_without_user"
"""What the definition of every report says beside its numbers."""

EVENTS = Standing(
    "events",
    ("day", "week", "month"),
    {"events": "events", "users": "users", "first": "first", "last": "last"},
    key=("event_type",),
    additive=("events",),
    summary={"events": "events", "users": "users", WITHOUT_USER: WITHOUT_USER},
)
"""The events of a period; how many of them have no user is what every report says beside its numbers."""

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive UTC
_DAY, _TICK = timedelta(days=1), timedelta(microseconds=1)
_LATE = 2  # days that are counted one by one: today, and yesterday where nobody rolled it up yet
_ACTIVE = "SELECT count(*), count(DISTINCT CASE WHEN active THEN person END) FROM seen"
_USERLESS = "SELECT count(*) FROM seen WHERE userless AND list_contains($days, day)"


@dataclass(frozen=True, slots=True)
class Told:
    """Where an answer comes from; `frozen` is the last day of those that only rollups can tell."""

    source: Source = "events"
    frozen: date | None = None
    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()  # columns and totals that may not be known any more
    linked: int | None = None  # how many ids count as another's; None: the question knows

    @property
    def definition(self) -> dict[str, str]:
        """What the definition says of it."""
        return {} if self.frozen is None else {"frozen": f"to {self.frozen}"}


FROM_EVENTS = Told()


@dataclass(frozen=True, slots=True)
class Counted:
    """What a report has counted: rows, each with its group first, totals, and events read (and those without user)."""

    rows: list[tuple[Any, ...]]
    totals: dict[str, Any]
    read: tuple[int, int]
    withheld: int = 0
    told: Told = FROM_EVENTS
    overall: Sequence[tuple[Any, ...]] | None = None  # the rows over all groups, where rows are of several
    beside: Mapping[str, Any] | None = None  # what else the answer is made of, or what is to be said of it


@dataclass(frozen=True, slots=True)
class Series:
    """What sections could tell of a report whose rows are periods.

    `blank` is the row of a period without any event, `totals` tells the totals from sections (None: they cannot), and
    `lost` are the totals that nobody can tell where days of the range are purged.
    """

    standings: tuple[Standing, ...]
    unit: Unit
    columns: tuple[str, ...]
    blank: tuple[Any, ...]
    totals: Totals
    lost: tuple[str, ...] = ("users",)
    widened: bool = False  # the first period counts as a whole where the range cuts it
    everything: bool = False  # from events it would be counted over all of them
    distinct: bool = False  # each number is that of the users active in the days of its reach


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


def settled(question: Question, reach: Reach) -> int | None:
    """How many ids count as another's for the events of a reach; None where the question had to settle it by events."""
    found = renamed.count(question, reach)
    if found is None:
        question.fit(reach)
    return found


def newest(question: Question) -> datetime | None:
    """The instant of the newest event there is so far: as the section of its day tells it, else as events do."""
    until = question.window.until
    last = max((day for day in question.snapshot.days if day <= (until - _TICK).date()), default=None)
    found = None if last is None else _newest(question, last)
    return found or question.newest()


def _newest(question: Question, partition: date) -> datetime | None:
    """The newest event of the newest partition, by the sections of its days; None where they do not tell."""
    window, rollups = question.window, question.rollups
    begin = datetime.combine(partition, time())
    first, last = local_date(begin, window.tz), min(local_date(begin + _DAY - _TICK, window.tz), window.today)
    held = rollups.held(EVENTS, rollups.periods("day", [first, *([last] if last > first else [])]))
    if held.frozen or not held.whole:
        return None
    rows = (row for section in held.sections.values() for row in kept.table(EVENTS, section).values())
    newest = max((row["last"] or 0 for row in rows), default=None)
    return None if newest is None else EPOCH + timedelta(microseconds=int(newest))


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


def users(question: Question) -> int | None:
    """The distinct users of the window as a section tells them: of a day, of 7 or 30 days, of a week or a month."""
    found = whole(question, {1: DAU, 7: WAU, 30: MAU}, (WEEKS, MONTHS))
    return None if found is None else int(next(iter(found.values())) or 0)


def whole(
    question: Question, ending: Mapping[int, Standing], calendar: Sequence[Standing] = ()
) -> dict[str, float | None] | None:
    """What a section says of a window that is just one kept period: so many days ending on its last, or a period."""
    window = question.window
    standing = ending.get((window.last - window.first).days + 1)
    asked = [(standing, Period("day", window.last, window.last, window.tz))] if standing is not None else []
    asked += [(one, period) for one in calendar for period in question.rollups.periods(_unit(one), [window.first])
              if period.last == window.last and period.first == _begin(question, _unit(one))]  # fmt: skip
    for one, period in asked:
        section = question.rollups.held(one, [period]).sections.get(period.first)
        if section is not None:
            return kept.series(one, section)
    return None


def totals_of_users(question: Question) -> dict[str, Any] | None:
    """The total `users` as a section tells it."""
    found = users(question)
    return None if found is None else {"users": found}


def overall(found: Counted, place: int) -> list[Any]:
    """A column of the rows over all groups; sections know of one group only."""
    return [row[place] for row in (found.rows if found.overall is None else found.overall)]


def total(values: Sequence[Any]) -> Any:
    """The sum; None where one of the values is not known."""
    return None if any(value is None for value in values) else sum(values)


def mean(values: Sequence[Any]) -> float | None:
    """The mean; None where one of the values is not known."""
    found = total(values)
    return None if found is None else found / len(values)


def greatest(values: Sequence[Any]) -> Any:
    """The greatest; None where one of the values is not known."""
    return None if any(value is None for value in values) else max(values)


def frozen_notes(last: date, *, earlier: bool = False) -> tuple[str, ...]:
    """What to say of days that only rollups tell."""
    said = (f"to {last} from rollups: the events are purged",)
    return (*said, "some of these were counted when the plan said otherwise") if earlier else said


def not_kept(question: Question) -> Told:
    """What to say where days are purged and no rollup tells of them."""
    return Told(
        notes=(f"days of the range are purged, and not rolled up in {question.window.tz}: they count as empty",)
    )


def _unit(standing: Standing) -> Unit:
    grain = standing.grains[0]
    return "day" if grain == "hour" else grain


def _begin(question: Question, unit: Unit) -> date:
    return question.window.widened(unit).first


def _is_told(periods: Sequence[Period], helds: Sequence[Held]) -> bool:
    return all(one.first in held.sections for one in periods for held in helds)


def types(question: Question) -> set[str]:
    """The event types that sections know of, where days are purged: events do not name them any more."""
    rollups = question.rollups
    if not (rollups.asked and rollups.gone(date.min)):
        return set()
    return {
        kept.keys(EVENTS, one)[0] for section in rollups.kept(EVENTS, "month") for one in kept.table(EVENTS, section)
    }


def userless(question: Question, days: Sequence[date]) -> int:
    """How many events of these days had no user: as sections tell, or as events do where they are there."""
    rollups = question.rollups
    asked = rollups.periods("day", days)
    held = rollups.held(EVENTS, asked)
    there = [one.first for one in asked if one.first not in held.sections and not rollups.is_frozen(EVENTS, one)]
    counted = question.rows(_USERLESS, {"days": there}, reach=Reach(there[0], there[-1])) if there else [(0,)]
    return int(counted[0][0]) + sum(int(without_user(section)) for section in held.sections.values())


def without_user(section: Section) -> float:
    """How many events of a period have no user, by the section of its events."""
    return kept.summed(EVENTS, section)[WITHOUT_USER] or 0


def any_partition(question: Question) -> bool:
    """Whether the store holds a day of the window."""
    return any(question.window.first <= day <= question.window.last for day in question.snapshot.days)
