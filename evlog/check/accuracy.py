"""Accuracy: what cannot be true as it is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.check import paired, ruled
from evlog.check.finding import Finding, Measure, by_day, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evlog.check.look import Look

_AHEAD = "SELECT day, sum(ahead), sum(events) FROM arrived GROUP BY day ORDER BY day"


def order(look: Look, limit: float) -> Iterator[Finding]:
    """Completions that come before the first start of their user and target."""
    yield by_day(
        Measure(
            "order", "accuracy", "rate", limit,
            "look at the clocks of the senders, and at what sends the start", "no completion",
        ),
        (share(day, early, of, "completions come before their start") for day, of, early, _ in paired.days(look)),
    )  # fmt: skip


def ranges(look: Look, limit: float) -> Iterator[Finding]:
    """Values outside of what the plan lets in: they came in before it said so."""
    yield by_day(
        Measure(
            "ranges", "accuracy", "rate", limit,
            "mend the sender or the plan; new events like these are rejected", "the plan limits no value",
        ),
        ruled.outside(look),
    )  # fmt: skip


def clocks(look: Look, limit: float) -> Iterator[Finding]:
    """Events whose time lies more than 5 minutes after they came in."""
    yield by_day(
        Measure(
            "clocks", "accuracy", "rate", limit,
            "set the clocks of the senders", "no event",
        ),
        (
            share(day, int(ahead), int(of), "events are ahead of the clock here")
            for day, ahead, of in look.question.engine.rows(_AHEAD)
        ),
    )  # fmt: skip
