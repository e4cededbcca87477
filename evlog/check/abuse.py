"""Abuse: one user with more events a day than anybody has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.check.finding import Daily, Finding, Measure, by_day

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evlog.check.look import Look

_TODO = "a loop, a robot or an attack: evlog report top user_id --days 1 says whose they are"
_IDLE = "no event has a user"
_MOST = """
WITH counted AS (
         SELECT   day, coalesce(person, 'anon:' || anonymous_id) AS who, count(*) AS events
         FROM     seen
         WHERE    who IS NOT NULL
         GROUP BY day, who)
SELECT   day, max(events) AS most, CAST(sum(events) AS BIGINT) AS total
FROM     counted
GROUP BY day
ORDER BY day
"""


def rate_per_user(look: Look, limit: float) -> Iterator[Finding]:
    """The most events that one user has on a day; a limit below 1 is a share of the day's events that have a user."""
    found = look.question.rows(_MOST)
    if limit < 1:
        days = [Daily(day, most / total, f"one user has {most:,} of {total:,} events on {day}")
                for day, most, total in found]  # fmt: skip
        yield by_day(Measure("rate_per_user", "abuse", "rate", limit, _TODO, _IDLE), days)
        return
    days = [Daily(day, most, f"one user has {most:,} events on {day}") for day, most, _ in found]
    yield by_day(Measure("rate_per_user", "abuse", "count", limit, _TODO, _IDLE), days)
