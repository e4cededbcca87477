"""What a dashboard asks beside its reports: who is here now, how parts are completed, what is new (metrics §6, §11)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from evlog.query import failures
from evlog.query.ask import Reach
from evlog.query.parts import roll_up

if TYPE_CHECKING:
    from datetime import datetime

    from evlog.query.ask import Question
    from evlog.query.scope import Part

_NOW = """
SELECT count(DISTINCT person) FILTER (ts >= $until - INTERVAL 5 MINUTES) AS five,
       count(DISTINCT person) AS thirty
FROM   seen
WHERE  active AND ts >= $until - INTERVAL 30 MINUTES
"""
_IN_RANGE = "SELECT count(*) FROM seen WHERE in_range"

_ALL_TIME = """
SELECT   event_type, person,
         min(ts) AS first,
         min(ts) FILTER (active) AS first_active,
         count(*) AS events,
         count(*) FILTER (received_at >= $since AND received_at < $until AND ts < $since) AS late
FROM     seen
GROUP BY GROUPING SETS ((event_type), (person))
"""
_TOTALS = """
SELECT coalesce(CAST(sum(events) FILTER (event_type IS NOT NULL) AS BIGINT), 0),
       count(first_active) FILTER (person IS NOT NULL),
       count(*) FILTER (person IS NOT NULL AND first_active >= $since),
       coalesce(CAST(sum(late) FILTER (event_type IS NOT NULL) AS BIGINT), 0)
FROM   firsts
"""
_NEW_TYPES = """
SELECT   event_type, CAST(events AS BIGINT), first
FROM     firsts
WHERE    event_type IS NOT NULL AND first >= $since
ORDER BY events DESC, event_type
"""
_NEW_ERRORS = """
SELECT   target, status, message, count(*) AS events, count(DISTINCT person) AS users, min(ts) AS first
FROM     told
WHERE    failed
GROUP BY target, status, message
HAVING   first >= $since
ORDER BY events DESC, target, status NULLS LAST, message NULLS LAST
"""

_COMPLETED = """
SELECT   pair,
         count(DISTINCT person) FILTER (began IS NOT NULL) AS started,
         count(DISTINCT person) FILTER (ended >= began) AS completed
FROM     {base}
GROUP BY pair
ORDER BY pair
"""


@dataclass(frozen=True, slots=True)
class News:
    """What came since an instant, and how much there is in all."""

    events: int  # of all time up to now
    users: int
    new_users: int
    late: int  # events of before that instant that came in after it
    types: tuple[tuple[str, int, datetime], ...]
    errors: tuple[tuple[Any, ...], ...]


def now(question: Question) -> tuple[int, int]:
    """The active users of the last 5 and the last 30 minutes up to what plays now."""
    today = question.window.today
    reach = Reach(today - timedelta(days=1), None)
    five, thirty = question.rows(_NOW, {"until": question.window.until}, reach=reach)[0]
    return int(five), int(thirty)


def in_range(question: Question) -> int:
    """The events of the window."""
    return int(question.rows(_IN_RANGE)[0][0])


def news(question: Question, since: datetime) -> News:
    """What is new since that instant, in two readings: one of all events, one of errors."""
    params = {"since": since, "until": question.window.until}
    ever = Reach(None, None)
    question.keep("firsts", _ALL_TIME, params, reach=ever)
    events, users, new_users, late = question.engine.rows(_TOTALS, {"since": since})[0]
    types = question.engine.rows(_NEW_TYPES, {"since": since})
    errors = question.rows(failures.TOLD + _NEW_ERRORS, {"since": since, **failures.params(question.scope)}, reach=ever)
    return News(events, users, new_users, late, tuple(types), tuple(errors))


def parts(question: Question) -> list[tuple[Part, int, int]]:
    """Each part of the plan, who started any of its targets, and who completed all required ones; after drop-off."""
    asked = question.scope.parts
    if not asked:
        return []
    roll_up(question, table="rolled")
    told = {place: (started, completed) for place, started, completed in _completed(question, "rolled")}
    return [(part, *told.get(place, (0, 0))) for place, part in enumerate(asked)]


def pairs(question: Question) -> list[tuple[int, int, int]]:
    """Each pair by its place, who started anything, and who completed it; from `base` of drop-off."""
    return _completed(question, "base")


def _completed(question: Question, table: str) -> list[tuple[int, int, int]]:
    return question.engine.rows(_COMPLETED.format(base=table))
