"""What sections of rollups tell of a question: its periods, its totals, the events beside them.

A report counts from events in one function, and says here what sections could tell in its place; how the two become one
answer is `pieced.series`:

    found = pieced.series(question, Series((DAU,), "day", ("dau",), blank=(0,), totals=totals), counted)
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from evlog.frozen import dataclass
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
