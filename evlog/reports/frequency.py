"""How often users come: sessions begun in each week, per user active in it (metrics §9)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from evlog.query import answer, pieced, presence, rolled, sessions
from evlog.query.ranked import grouped
from evlog.query.result import Column
from evlog.query.rolled import Counted, Series
from evlog.query.standing import Standing
from evlog.window import period_after

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from evlog.query.ask import Question
    from evlog.query.result import Result
    from evlog.query.sessions import Rule, Visits

    Ints = NDArray[np.int64]

HELP = "sessions that users begin in a week"
EXAMPLE = "evlog report frequency --days 28"
COLUMNS = (
    Column("week_start", "date"),
    Column("users", "count"),
    Column("sessions", "count"),
    Column("per_user", "number", bar=True),
)
ROLLUP = (
    Standing(
        "frequency",
        ("week",),
        {"users": "users", "sessions": "sessions", "per_user": "sessions_per_user"},
        back=1,
        settles=False,  # an id may name a session that began long before
    ),
)
_ACTIVE = "CASE WHEN active THEN 1 ELSE 0 END"
_EPOCH, _DAY = date(1970, 1, 1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Weeks:
    """What a person did in a week of the window (and in a group); columns of equal length."""

    person: Ints
    week: Ints  # its number in the window
    events: Ints
    begun: Ints  # sessions
    active: NDArray[np.bool_]
    group: Ints | None


def report(
    question: Question,
    *,
    timeout: Annotated[str | None, "a longer gap ends a session that has no id; none: no gap does"] = "30m",
    ignore_session_id: Annotated[bool, "tell sessions apart by gaps alone"] = False,
) -> Result:
    """Sessions begun in each week of the window, and users active in it."""
    window = question.window
    rule = sessions.Rule(sessions.timeout(timeout), ignore_ids=ignore_session_id)

    def counted(asked: Question) -> Counted:
        return _counted(asked, rule)

    weeks, totals = window.weeks, ("users", "sessions", "per_user_week")
    series = Series(ROLLUP, "week", ("users", "sessions", "per_user"), (0, 0, None), totals=_one_week, lost=totals)
    told = pieced.series(question, series, counted) if rule == sessions.Rule() else counted(question)
    cut = [week for week in weeks if week < window.first or period_after(week, "week") - _DAY > window.last]
    return answer.result(
        question,
        "frequency",
        columns=COLUMNS,
        rows=told.rows,
        rule=f"{rule.said}; a session lies in the week of its first event, {window.week_start} first; "
        f"{presence.rule(question)}; per_user: sessions / users",
        options={"timeout": rule.timeout, "ignore_session_id": ignore_session_id, "week_start": window.week_start},
        summary=_summed(told) if told.told.frozen else told.totals,
        kinds={"per_user_week": "number"},
        definition=presence.cut([str(week) for week in cut]),
        by="value at the first event of the session",
        read=told.read,
        withheld=told.withheld,
        complete=window.complete and window.over(period_after(weeks[-1], "week") - _DAY),
        partial=[number for number, row in enumerate(told.rows) if row[1] in cut or not _over(question, row[1])],
        partial_means="not a whole week",
        notes=presence.cut_note([str(week) for week in cut]),
        told=told.told,
    )


def _counted(question: Question, rule: Rule) -> Counted:
    texts = {} if question.scope.by is None else {"grp": "grp"}
    pieces, words, read = [], dict[str, tuple[str, ...]](), (0, 0)
    for visits in sessions.each(question, rule, numbers={"active": _ACTIVE}, texts=texts):
        pieces.append(_found(question, visits))
        words, read = visits.words, (read[0] + visits.events, read[1] + visits.userless)
    found = sessions.joined(pieces)
    groups = grouped(question.scope, found.group, words.get("grp", ()), person=found.person, events=found.events)
    rows = [row for label, held in groups.groups for row in _rows(question, label, found, held)]
    return Counted(rows, _summary(question, found), read, groups.withheld)


def _one_week(question: Question) -> dict[str, Any] | None:
    """The totals as a section tells them: of one week."""
    found = rolled.whole(question, {}, ROLLUP)
    return None if found is None else {"users": found["users"], "sessions": found["sessions"],
                                       "per_user_week": found["per_user"]}  # fmt: skip


def _summed(told: Counted) -> dict[str, Any]:
    """The totals where days are purged: sessions may be added up, and users of each week."""
    users, count = (rolled.total([row[place] for row in told.rows]) for place in (2, 3))
    return {**told.totals, "sessions": count, "per_user_week": count / users if users else None}


def _over(question: Question, week: date) -> bool:
    return question.window.over(period_after(week, "week") - _DAY)


def _found(question: Question, visits: Visits) -> _Weeks:
    """What each person did in each week of the window; a session stands in the group of its first event."""
    import numpy as np

    window = question.window
    begins = np.zeros(len(visits.day), np.int64)
    begins[visits.runs().first] = 1
    held = np.flatnonzero(visits.within(window.first, window.last))
    week = np.searchsorted([(week - _EPOCH).days for week in window.weeks], visits.day[held], side="right") - 1
    keys = [week, visits.person[held]] + ([visits.columns["grp"][held]] if "grp" in visits.columns else [])
    order = np.lexsort(keys)
    fresh = np.zeros(len(order), bool)
    fresh[:1] = True
    for key in keys:
        fresh[1:] |= np.diff(key[order]) != 0
    first = np.flatnonzero(fresh)

    def summed(column: Ints) -> Ints:
        return np.add.reduceat(column[order], first, dtype=np.int64) if len(first) else np.empty(0, np.int64)

    group = keys[2][order][first] if "grp" in visits.columns else None
    return _Weeks(
        person=keys[1][order][first],
        week=week[order][first],
        events=np.diff(np.append(first, len(order))),
        begun=summed(begins[held]),
        active=summed(visits.columns["active"][held]) > 0,
        group=group,
    )


def _rows(question: Question, label: str, found: _Weeks, held: Ints) -> Iterator[tuple[Any, ...]]:
    """A row for each week, of these persons and weeks."""
    for number, week in enumerate(question.window.weeks):
        here = held[found.week[held] == number]
        users, count = _users(found, here), int(found.begun[here].sum())
        yield (label, week, users, count, count / users if users else None)


def _users(found: _Weeks, held: Ints) -> int:
    """The persons who were active there."""
    import numpy as np

    return len(np.unique(found.person[held[found.active[held]]]))


def _summary(question: Question, found: _Weeks) -> dict[str, Any]:
    """All users and sessions of the window, and the sessions per user and week."""
    import numpy as np

    held = np.arange(len(found.person))
    weekly = sum(row[2] for row in _rows(question, "", found, held))
    count = int(found.begun.sum())
    return {"users": _users(found, held), "sessions": count, "per_user_week": count / weekly if weekly else None}
