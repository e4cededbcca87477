"""What every check looks at: an open question over the range, and the thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evlog.query.ask import Question
    from evlog.store.layout import Store

LIVE = timedelta(days=1)
"""What arrives within that of its time is live; what is older was brought in later, and its lag says nothing."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that is fine; None switches the check off."""

    rejects: float | None = 0.01
    nulls: float | None = 0.05
    duplicates: float | None = 0.01
    wrong: float | None = 0.01  # of events, completions, sessions that contradict others
    late: float | None = 0.05  # of live events, those older than a day when they come
    lag: timedelta | None = timedelta(minutes=5)
    freshness: timedelta | None = timedelta(days=2)
    volume: float | None = 3.5  # robust deviations from the median of the weekday
    rate_per_user: float | None = 10_000  # events of one user a day; below 1: a share of the day's events
    rollup_seconds: float | None = 60
    overdue: timedelta | None = timedelta(days=2)  # how long a job may be outstanding
    ingest_rate: float | None = None  # the fewest events a minute that a run of ingest may take in
    commits: float = 0
    retention: timedelta = timedelta(days=90)
    retention_said: bool = False  # whether somebody did; else only who has purged before is asked for more


@dataclass(frozen=True, slots=True)
class Rule:
    """What the plan says of one field or property of an event type."""

    event_type: str
    field: str  # a column, or empty
    key: str  # a property, or empty
    required: bool = False
    low: float | None = None
    high: float | None = None
    one_of: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What to call it: TYPE.FIELD."""
        return f"{self.event_type}.{self.field or self.key}"

    @property
    def ranged(self) -> bool:
        """Whether it says which values may be."""
        return self.low is not None or self.high is not None or bool(self.one_of)


@dataclass(frozen=True, slots=True)
class Look:
    """An open question whose window is the range, the thresholds, and the rules of the plan."""

    question: Question
    limits: Limits
    rules: Sequence[Rule] = ()
    expect_rollup: bool = False  # a store that was never rolled up is behind too

    @property
    def store(self) -> Store:
        """The store."""
        return self.question.store
