"""How many sessions begin on each day, how long they are and how much happens in them (metrics §9)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from evlog.kernel.quantile import quantile
from evlog.query import answer, pieced, rolled, sessions
from evlog.query.ranked import grouped
from evlog.query.result import Column
from evlog.query.rolled import Counted, Series
from evlog.query.standing import Standing
from evlog.window import limit

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from evlog.query.ask import Question
    from evlog.query.ranked import Grouped
    from evlog.query.result import Result
    from evlog.query.sessions import Rule, Visits

    Ints = NDArray[np.int64]

HELP = "sessions of each day: how many, how long, how much happens in them"
EXAMPLE = "evlog report sessions --days 30 --timeout 30m"
COLUMNS = (
    Column("date", "date"),
    Column("sessions", "count", bar=True),
    Column("users", "count"),
    Column("mean_s", "seconds"),
    Column("median_s", "seconds"),
    Column("p90_s", "seconds"),
    Column("events_per_session", "number"),
    Column("bounce_rate", "rate"),
)
_KINDS = {column.name: column.kind for column in COLUMNS}
_NAMES = tuple(column.name for column in COLUMNS[1:])
ROLLUP = (
    Standing(
        "sessions",
        ("day",),
        {"sessions": "sessions", "users": "users_with_sessions", **{name: f"session_{name}" for name in _NAMES[2:]}},
        back=1,
        onward=1,
        settles=False,  # an id may name a session that goes on for days
    ),
)
_BLANK = (0, 0, None, None, None, None, None)
_RULE = (
    "{}; a session lies on the day of its first event; seconds: last minus first event{}, "
    "without sessions still open; bounce: one event"
)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive UTC
_TICK, _DAY = timedelta(microseconds=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Sessions:
    """The sessions that began in the window, by day; columns of equal length."""

    person: Ints
    day: Ints
    length: Ints  # microseconds
    events: Ints
    still_open: NDArray[np.bool_]
    timed: NDArray[np.bool_]  # its length counts
    group: Ints | None

    def of(self, rows: Ints) -> tuple[Any, ...]:
        """The numbers of these sessions, in the order of the columns."""
        import numpy as np

        count = len(rows)
        rising = np.sort(self.length[rows][self.timed[rows]]).data  # whole numbers, unlike the array's
        middle, high = quantile(rising, 50), quantile(rising, 90)
        return (
            count,
            len(np.unique(self.person[rows])),
            sum(rising) / (len(rising) * 1_000_000) if rising else None,
            None if middle is None else middle / 1_000_000,
            None if high is None else high / 1_000_000,
            int(self.events[rows].sum()) / count if count else None,
            int((self.events[rows] == 1).sum()) / count if count else None,
        )


def report(
    question: Question,
    *,
    timeout: Annotated[str | None, "a longer gap ends a session; none: no gap does"] = "30m",
    split_midnight: Annotated[bool, "local midnight ends a session"] = False,
    ignore_session_id: Annotated[bool, "tell sessions apart by gaps alone"] = False,
    split_idle: Annotated[bool, "the timeout ends a session with an id, too"] = False,
    max_length: Annotated[str | None, "an event later than this after the first begins another session"] = None,
    nonzero: Annotated[bool, "leave sessions without length out of the seconds"] = False,
) -> Result:
    """Sessions of each day of the window: those whose first event lies on it."""
    rule = sessions.Rule(
        sessions.timeout(timeout),
        split_midnight=split_midnight,
        ignore_ids=ignore_session_id,
        max_length=limit(max_length) if max_length is not None else None,
        split_idle=split_idle,
    )

    def counted(asked: Question) -> Counted:
        return _counted(asked, rule, nonzero=nonzero)

    series = Series(ROLLUP, "day", _NAMES, _BLANK, totals=_one_day, lost=(*_NAMES, "open"), everything=True)
    usual = rule == sessions.Rule() and not nonzero
    told = pieced.series(question, series, counted) if usual else counted(question)
    quality = dict(told.beside or {})
    return answer.result(
        question,
        "sessions",
        columns=COLUMNS,
        rows=told.rows,
        rule=_RULE.format(rule.said, ", if any" if nonzero else ""),
        options={
            "timeout": rule.timeout,
            "split_midnight": split_midnight,
            "ignore_session_id": ignore_session_id,
            "split_idle": split_idle,
            "max_length": rule.max_length,
            "nonzero": nonzero,
        },
        summary=_summed(told) if told.told.frozen else told.totals,
        kinds={**{name: kind for name, kind in _KINDS.items() if name != "date"}, "open": "count"},
        definition=quality,
        by="value at the first event of the session",
        read=told.read,
        withheld=told.withheld,
        partial=[number for number, row in enumerate(told.rows) if not question.window.over(row[1])],
        notes=_notes(quality),
        told=told.told,
    )


def _counted(question: Question, rule: Rule, *, nonzero: bool) -> Counted:
    texts = {} if question.scope.by is None else {"grp": "grp"}
    pieces: list[_Sessions] = []
    read, quality, words = (0, 0), Counter[str](), dict[str, tuple[str, ...]]()
    for visits in sessions.each(question, rule, texts=texts):
        pieces.append(_found(question, visits, rule, nonzero=nonzero))
        read = (read[0] + visits.events, read[1] + visits.userless)
        quality.update(_quality(visits, rule))
        words = visits.words
    found = _by_day(sessions.joined(pieces))
    groups = grouped(question.scope, found.group, words.get("grp", ()), person=found.person, events=found.events)
    rows = list(_rows(question, found, groups))
    return Counted(rows, _summary(found), read, groups.withheld, beside=dict(quality))


def _by_day(found: _Sessions) -> _Sessions:
    """The same sessions, the earliest day first."""
    import numpy as np

    order, held = np.argsort(found.day, kind="stable"), dict[str, Any]()
    for name in (one.name for one in fields(found)):
        column = getattr(found, name)
        held[name] = None if column is None else column[order]
    return _Sessions(**held)


def _one_day(question: Question) -> dict[str, Any] | None:
    """The totals as a section tells them: of one day."""
    found = rolled.whole(question, {1: ROLLUP[0]})
    return None if found is None else {**found, "open": 0}


def _summed(told: Counted) -> dict[str, Any]:
    """The totals where days are purged: sessions and their events may be added up."""
    held = [row for row in told.rows if row[2]]
    count = rolled.total([row[2] for row in told.rows])
    if told.totals["sessions"] is not None or not count:
        return told.totals
    events, bounced = (sum(round(row[2] * row[place]) for row in held) for place in (7, 8))
    return {**told.totals, "sessions": count, "events_per_session": events / count, "bounce_rate": bounced / count}


def _found(question: Question, visits: Visits, rule: Rule, *, nonzero: bool) -> _Sessions:
    """The sessions that began in the window."""
    import numpy as np

    runs = visits.runs()
    kept = np.flatnonzero(visits.within(question.window.first, question.window.last, day=visits.day[runs.first]))
    first, last = runs.first[kept], runs.last[kept]
    length = visits.ts[last] - visits.ts[first]
    age = (question.window.as_of - _EPOCH) // _TICK - visits.ts[last]
    still_open = age < sessions.ticks(rule.timeout)
    timed = ~still_open & (length > 0) if nonzero else ~still_open
    group = visits.columns["grp"][first] if "grp" in visits.columns else None
    return _Sessions(visits.person[first], visits.day[first], length, runs.events[kept], still_open, timed, group)


def _rows(question: Question, found: _Sessions, groups: Grouped) -> Iterator[tuple[Any, ...]]:
    """A row for each group and day; days without a session too."""
    import numpy as np

    days = question.window.days
    numbers = [(day - _EPOCH.date()).days for day in days]
    for label, rows in groups.groups:
        begins = np.searchsorted(found.day[rows], numbers)
        ends = np.searchsorted(found.day[rows], numbers, side="right")
        for day, begin, end in zip(days, begins.tolist(), ends.tolist(), strict=True):
            yield (label, day, *found.of(rows[begin:end]))


def _summary(found: _Sessions) -> dict[str, Any]:
    """The same over all days and groups, and how many sessions are still open."""
    import numpy as np

    names = [column.name for column in COLUMNS[1:]]
    numbers = found.of(np.arange(len(found.person)))
    return {**dict(zip(names, numbers, strict=True)), "open": int(found.still_open.sum())}


def _quality(visits: Visits, rule: Rule) -> dict[str, Any]:
    """What may be amiss with the session ids of the senders (metrics §9)."""
    if rule.ignore_ids:
        return {}
    return {"ids_of_several_users": visits.shared_ids, "ids_with_long_gaps": visits.gaps(rule)}


def _notes(quality: dict[str, Any]) -> list[str]:
    shared, gaps = quality.get("ids_of_several_users"), quality.get("ids_with_long_gaps")
    notes = []
    if shared:
        notes.append(f"{_plural(shared, 'session id')} with more than one user: a session for each")
    if gaps:
        notes.append(f"{_plural(gaps, 'session')} with an id and a gap over the timeout: see --split-idle")
    return notes


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"
