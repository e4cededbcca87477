"""The clock: nothing else in evlog reads it."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The present instant as naive UTC, with microseconds; a report's as-of is cut to the second."""
    return datetime.now(UTC).replace(tzinfo=None)
