"""What a dashboard asks beside its reports: who is here now, how parts are completed, what is new (metrics §6, §11)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from evlog.query.ask import Reach

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from evlog.query.ask import Question
    from evlog.query.scope import Part

_NOW = """
SELECT count(DISTINCT person) FILTER (ts >= $until - INTERVAL 5 MINUTES) AS five,
       count(DISTINCT person) AS thirty
FROM   seen
WHERE  active AND ts >= $until - INTERVAL 30 MINUTES
"""
_IN_RANGE = "SELECT CAST(coalesce(sum(events) FILTER (in_range), 0) AS BIGINT) FROM base"

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
WITH told AS (
         SELECT coalesce(target_id, '(none)') AS target,
                coalesce(json_extract_string(properties, '/status'),
                         json_extract_string(properties, '/status_code')) AS status,
                coalesce(json_extract_string(properties, '/message'),
                         json_extract_string(properties, '/error'),
                         json_extract_string(properties, '/code')) AS message,
                person, ts
         FROM   seen
         WHERE  CASE WHEN len($errors) > 0 THEN list_contains($errors, event_type)
                     ELSE event_type = 'error' OR ends_with(event_type, '_error') OR coalesce(category = 'error', FALSE)
                END)
SELECT   target, status, message, count(*) AS events, count(DISTINCT person) AS users, min(ts) AS first
FROM     told
GROUP BY target, status, message
HAVING   first >= $since
ORDER BY events DESC, target, status NULLS LAST, message NULLS LAST
"""

_PARTS = """
WITH done AS (
         SELECT   person, target_id, bool_or(coalesce(ended >= began, FALSE)) AS completed
         FROM     base
         WHERE    began IS NOT NULL
         GROUP BY person, target_id),
     members AS (SELECT unnest($place) AS place, unnest($target) AS target_id, unnest($needed) AS needed),
     each AS (
         SELECT   place, person, count(*) FILTER (completed AND needed) AS have
         FROM     done JOIN members USING (target_id)
         GROUP BY place, person),
     parts AS (SELECT unnest($part) AS place, unnest($least) AS least)
SELECT   place,
         count(person) AS started,
         count(*) FILTER (have >= least) AS completed
FROM     parts LEFT JOIN each USING (place)
GROUP BY place
ORDER BY place
"""
_PAIRS = """
SELECT   pair,
         count(DISTINCT person) FILTER (began IS NOT NULL) AS started,
         count(DISTINCT person) FILTER (ended >= began) AS completed
FROM     base
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
    """The events of the window, from table `base` of a report that kept it."""
    return int(question.engine.rows(_IN_RANGE)[0][0])


def news(question: Question, since: datetime) -> News:
    """What is new since that instant, in two readings: one of all events, one of errors."""
    params = {"since": since, "until": question.window.until}
    ever = Reach(None, None)
    question.keep("firsts", _ALL_TIME, params, reach=ever)
    events, users, new_users, late = question.engine.rows(_TOTALS, {"since": since})[0]
    types = question.engine.rows(_NEW_TYPES, {"since": since})
    errors = question.rows(_NEW_ERRORS, {"since": since, "errors": list(question.scope.errors)}, reach=ever)
    return News(events, users, new_users, late, tuple(types), tuple(errors))


def parts(question: Question, asked: Sequence[Part]) -> list[tuple[Part, int, int]]:
    """Each part, who started any of its targets, and who completed all required ones; from `base` of drop-off."""
    members = [(n, target, target in part.required) for n, part in enumerate(asked) for target in part.targets]
    params = {
        "place": [place for place, _, _ in members],
        "target": [target for _, target, _ in members],
        "needed": [needed for _, _, needed in members],
        "part": list(range(len(asked))),
        "least": [max(1, len(set(part.required))) for part in asked],
    }
    return [(asked[place], started, completed) for place, started, completed in question.engine.rows(_PARTS, params)]


def pairs(question: Question) -> list[tuple[int, int, int]]:
    """Each pair by its place, who started anything, and who completed it; from `base` of drop-off."""
    return question.engine.rows(_PAIRS)
