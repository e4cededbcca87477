"""Events and users of each hour: an hour by the clocks of the zone, told by the instant at which it begins."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from evlog.store.rollups import Record
from evlog.window import midnight, spelled, zone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evlog.query.ask import Question
    from evlog.window import Window

_STEP = timedelta(minutes=15)  # every offset from UTC is a multiple of it

_HOURS = """
WITH placed AS (
         SELECT day, event_type, person,
                ts - (timezone($zone, CAST(ts AS TIMESTAMPTZ))
                      - date_trunc('hour', timezone($zone, CAST(ts AS TIMESTAMPTZ)))) AS hour
         FROM   seen
         WHERE  in_range)
SELECT   day, hour, event_type, count(*) AS events, count(DISTINCT person) AS users
FROM     placed
GROUP BY GROUPING SETS ((day, hour), (day, hour, event_type))
ORDER BY day, hour, event_type NULLS FIRST
"""


def records(question: Question) -> dict[date, tuple[Record, ...]]:
    """For each day of the window: events and users of every hour that has begun, and of each event type in it."""
    counted: dict[tuple[date, datetime], list[Record]] = defaultdict(list)
    for day, hour, kind, events, users in question.rows(_HOURS, {"zone": question.window.tz}):
        counted[day, hour] += _pair(spelled(hour), events, users, kind)
    window = question.window
    return {
        day: tuple(
            record for hour in begun(day, window) for record in counted[day, hour] or _pair(spelled(hour), 0, 0, None)
        )
        for day in window.days
    }


def _pair(hour: str, events: int, users: int, kind: str | None) -> list[Record]:
    dimension = ("", "") if kind is None else ("event_type", kind)
    return [Record("events", events, *dimension, hour), Record("users", users, *dimension, hour)]


def begun(day: date, window: Window) -> list[datetime]:
    """The instants at which the hours of a day begin, but for those that are still to come."""
    return sorted({hour for hour in _hours(day, window.tz) if hour < window.until})


def _hours(day: date, tz: str) -> Iterator[datetime]:
    at, end, known = midnight(day, tz), midnight(day + timedelta(days=1), tz), zone(tz)
    while at < end:
        local = at.replace(tzinfo=UTC).astimezone(known)
        yield at - timedelta(minutes=local.minute, seconds=local.second)
        at += _STEP
