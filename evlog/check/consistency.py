"""Consistency: what contradicts other events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.check import doubled, paired
from evlog.check.finding import Finding, Measure, by_day, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evlog.check.look import Look

_SHARED = """
WITH held AS (
         SELECT   session_id, min(day) AS day, count(DISTINCT person) AS users
         FROM     seen
         WHERE    session_id IS NOT NULL
         GROUP BY session_id)
SELECT   day, count(*) AS sessions, count(*) FILTER (users > 1) AS shared
FROM     held
GROUP BY day
ORDER BY day
"""


def sessions(look: Look, limit: float) -> Iterator[Finding]:
    """Session ids that more than one user has; a session counts on its first day."""
    yield by_day(
        Measure(
            "sessions", "consistency", "rate", limit,
            "have the sender make a new session_id when the user changes; or link the ids: evlog user link",
            "no session_id",
        ),
        (share(day, shared, of, "sessions have two users") for day, of, shared in look.question.rows(_SHARED)),
    )  # fmt: skip


def references(look: Look, limit: float) -> Iterator[Finding]:
    """Completions of a target that their user never started, not in the 30 days before the range either."""
    yield by_day(
        Measure(
            "references", "consistency", "rate", limit,
            "look at what sends the start: it is lost, or names another target", "no completion",
        ),
        (
            share(day, unstarted, of, "completions are of something never started")
            for day, of, _, unstarted in paired.days(look)
        ),
    )  # fmt: skip


def ids(look: Look, limit: float) -> Iterator[Finding]:
    """Events whose id an event of the same or of an earlier day has: on two days one id is two events."""
    window = look.question.window
    yield by_day(
        Measure(
            "ids", "consistency", "rate", limit,
            "the sender gives an id twice, or sends one event with two times", "no event",
        ),
        (
            share(day, again, of, "events bear the id of another event")
            for day, of, again in doubled.days(look.store, look.question.snapshot, window.first, window.last)
        ),
    )  # fmt: skip
