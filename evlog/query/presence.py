"""Who was there on which day: the one table that dau, wau, mau, active and usage count from.

The files are read once, into a row for each day, group and person; every number after that is a count over this table.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from evlog.query import answer, apart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from evlog.query.ask import Question

_RULE = "a user is active on a day with any event"

_BY_GROUP = "SELECT DISTINCT grp, place, person, day FROM shown WHERE active > 0"
_OVERALL = "SELECT DISTINCT '' AS grp, 1 AS place, person, day FROM base WHERE active > 0"
_ALONE = "SELECT '' AS grp, 1 AS place, person, day FROM base WHERE active > 0"
"""Who was there, without a break-down: then the rows that `keep` keeps are one for each person and day."""

_SPANS = """
CREATE TEMP TABLE IF NOT EXISTS {spans} AS
WITH present AS ({present}),
     followed AS (
         SELECT grp, place, day, lead(day) OVER (PARTITION BY place, person ORDER BY day) AS next
         FROM   present)
SELECT   grp, place, day, next, count(*) AS persons
FROM     followed
GROUP BY grp, place, day, next
"""
_EACH_DAY = """
WITH present AS ({present}),
     counted AS (
         SELECT   place, day, count(*) AS users
         FROM     present
         GROUP BY place, day)
SELECT   grid.grp, grid.day, coalesce(users, 0)
FROM     (SELECT grp, place, unnest($days) AS day FROM ({groups})) AS grid
         LEFT JOIN counted ON counted.place = grid.place AND counted.day = grid.day
ORDER BY grid.place, grid.day
"""
_RUNNING = """
WITH changes AS (
         SELECT grp, place, day, persons AS change FROM {spans}
         UNION ALL
         SELECT grp, place, {stop}, -persons FROM {spans}
         UNION ALL
         SELECT grp, place, day, 0 FROM ({groups}), (SELECT unnest($days) AS day)),
     daily AS (
         SELECT   grp, place, day, sum(change) AS change
         FROM     changes
         GROUP BY grp, place, day),
     running AS (
         SELECT grp, place, day, sum(change) OVER (PARTITION BY place ORDER BY day) AS total
         FROM   daily)
SELECT   grp, day, CAST(total AS BIGINT)
FROM     running
WHERE    day BETWEEN $first AND $last
ORDER BY place, day
"""

_USERS_END = "least(day + CAST($length AS INTEGER), next)"
_DAYS_END = "day + CAST($length AS INTEGER)"  # every active day counts for itself
_ROLLING = _RUNNING.replace("{stop}", _USERS_END)
_DAYS_ACTIVE = _RUNNING.replace("{stop}", _DAYS_END)

_CALENDAR = """
WITH present AS ({present}),
     calendar AS (SELECT unnest($days) AS day, unnest($periods) AS period),
     counted AS (
         SELECT   place, period, count(DISTINCT person) AS users
         FROM     present JOIN calendar USING (day)
         GROUP BY place, period)
SELECT   grid.grp, grid.period, coalesce(users, 0)
FROM     (SELECT DISTINCT grp, place, period FROM ({groups}), calendar) AS grid
         LEFT JOIN counted ON counted.place = grid.place AND counted.period = grid.period
ORDER BY grid.place, grid.period
"""

_USERS = "SELECT {grp}, count(DISTINCT person) FROM base WHERE active > 0 AND in_range {each}"
_DAILY = "SELECT grp, day, count(DISTINCT person) FROM base WHERE active > 0 AND in_range GROUP BY grp, day"


def keep(question: Question, *, back: int = 0) -> None:
    """Read the window, and `back` days before it, into table `base`."""
    question.keep_present("base", question.back(back))


def rule(question: Question) -> str:
    """In words, what makes a user active."""
    scope = question.scope
    if scope.active_events:
        return f"{_RULE} of: {', '.join(scope.active_events)}"
    return f"{_RULE} but: {', '.join(scope.inactive)}" if scope.inactive else _RULE


def rolling(question: Question, length: int, *, overall: bool = False) -> list[tuple[str, date, int]]:
    """Group, day, and the distinct users of the `length` days that end on it, for each day of the window (metrics §2).

    Each day present covers the days up to the next day present, `length` at most: a running sum of where such spans
    begin and end counts each user once, and needs no row for each user, day and window. A day alone needs no spans.
    """
    if length == 1:
        present, groups = _present(question, overall=overall)
        days = {"days": list(question.window.days)}
        return question.engine.rows(_EACH_DAY.format(present=present, groups=groups), days)
    return _ran(question, _ROLLING, length, overall=overall)


def overall(question: Question, length: int, rows: list[tuple[str, date, int]]) -> list[tuple[str, date, int]]:
    """The same over all groups; `rows` themselves where nothing is broken down."""
    return rows if question.scope.by is None else rolling(question, length, overall=True)


def days_active(question: Question, length: int, *, overall: bool = False) -> list[tuple[str, date, int]]:
    """Group, day, and the sum of daily users over the `length` days that end on it, for each day of the window."""
    return _ran(question, _DAYS_ACTIVE, length, overall=overall)


def calendar(question: Question, periods: Mapping[date, date], *, overall: bool = False) -> list[tuple[str, date, int]]:
    """Group, period, and its distinct users; `periods` says in which period each day of the window lies."""
    params = {"days": list(periods), "periods": list(periods.values())}
    present, groups = _present(question, overall=overall)
    return question.engine.rows(_CALENDAR.format(present=present, groups=groups), params)


def users(question: Question) -> int:
    """The distinct users active in the window."""
    return int(question.engine.rows(_USERS.format(**apart.ALL))[0][1])


def users_each(question: Question) -> dict[str, int]:
    """The same of each period of a question of periods apart, by its label; of a period without any it says nothing."""
    return dict(question.engine.rows(_USERS.format(**apart.EACH)))


def days_each(question: Question) -> list[tuple[str, date, int]]:
    """Period and day, and the distinct users of the day, for each day with any; of a question of periods apart."""
    return question.engine.rows(_DAILY)


def _present(question: Question, *, overall: bool) -> tuple[str, str]:
    """Who was there, and which groups there are: all as one where that is wanted, or where nothing is broken down."""
    if overall:
        return _OVERALL, answer.ONE_GROUP
    if question.scope.by is None and not question.apart:
        return _ALONE, answer.ONE_GROUP
    return _BY_GROUP, answer.GROUPS


def _ran(question: Question, sql: str, length: int, *, overall: bool) -> list[tuple[str, date, int]]:
    """A running sum over the spans between the days that users are present: they are gathered once for all lengths."""
    spans = "overall_spans" if overall else "spans"
    present, groups = _present(question, overall=overall)
    question.engine.run(_SPANS.format(spans=spans, present=present))
    days = list(question.window.days)
    params = {"length": length, "days": days, "first": days[0], "last": days[-1]}
    return question.engine.rows(sql.format(spans=spans, groups=groups), params)


def short_history(question: Question, length: int) -> dict[str, Any]:
    """For the definition: up to which day `length` days reach back before the first day that the store holds."""
    first = question.snapshot.days[0] if question.snapshot.days else None
    until = None if first is None else first + timedelta(days=length - 2)
    if until is None or until < question.window.first or length == 1:
        return {}
    return {"short_history": f"to {until}: the {length} days reach back before the first day held"}


def cut(labels: Sequence[str]) -> dict[str, Any]:
    """For the definition: the periods that the range cuts."""
    return {"cut": ", ".join(labels)} if labels else {}


def cut_note(labels: Sequence[str]) -> list[str]:
    """The same, said."""
    return [f"cut by the range: {', '.join(labels)}"] if labels else []
