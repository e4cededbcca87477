"""Completeness: what should be said and is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.check import ruled
from evlog.check.finding import Finding, Measure, by_day, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evlog.check.look import Look

_NOBODYS = "SELECT day, sum(nobodys), sum(peopled) FROM arrived GROUP BY day ORDER BY day"
_SESSIONLESS = """
SELECT   day, sum(sessionless), sum(events)
FROM     arrived
WHERE    (SELECT sum(events) > sum(sessionless) FROM arrived)
GROUP BY day
ORDER BY day
"""


def nulls(look: Look, limit: float) -> Iterator[Finding]:
    """Events that say nothing of who did them, or in which session; types the plan calls inactive need no user."""
    yield by_day(
        Measure(
            "nulls.user_id", "completeness", "rate", limit,
            "have the sender say user_id or anonymous_id", "no event",
        ),
        (share(day, int(part), int(of), "events name nobody") for day, part, of in look.question.engine.rows(_NOBODYS)),
    )  # fmt: skip
    yield by_day(
        Measure(
            "nulls.session_id", "completeness", "rate", limit,
            "have the sender say session_id with every event", "no session_id",
        ),
        (
            share(day, int(part), int(of), "events have no session_id")
            for day, part, of in look.question.engine.rows(_SESSIONLESS)
        ),
    )  # fmt: skip


def required(look: Look, limit: float) -> Iterator[Finding]:
    """Events that lack what the plan requires of their type: they came in before it did."""
    yield by_day(
        Measure(
            "required", "completeness", "rate", limit,
            "have the sender say it; new events without are rejected", "the plan requires nothing",
        ),
        ruled.missing(look),
    )  # fmt: skip
