"""Volume: whole days that hold more or fewer events than that weekday does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING

from evlog.check.finding import Daily, Finding, Measure, by_day
from evlog.store import tombstones

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    from evlog.check.look import Look

WEEKS, LEAST = 8, 4
"""How many of the same weekday before a day say what to expect of it; with fewer than the least nothing is expected."""

_NORMAL = 1.4826  # makes the median absolute deviation that of a normal distribution
_SLACK = 0.05  # of the median: a week is never as even as all that
_COUNTS = "SELECT day, count(*) FROM seen GROUP BY day ORDER BY day"


@dataclass(frozen=True, slots=True)
class Usual:
    """What a weekday usually holds: the median, and a robust deviation from it."""

    middle: float
    spread: float

    def off(self, count: int) -> float:
        """How many deviations a count is away."""
        return abs(count - self.middle) / self.spread

    def range(self, limit: float) -> tuple[float, float]:
        """The fewest and the most events that are no more than `limit` deviations away."""
        return max(self.middle - limit * self.spread, 0.0), self.middle + limit * self.spread


def usual(counts: Sequence[int]) -> Usual | None:
    """What days like these hold; None where there are too few, or most of them are empty.

    The deviation is never below that of counts that come by chance (the root of the median), nor below 5 % of it.
    """
    if len(counts) < LEAST or not (middle := median(counts)):
        return None
    deviation = median(abs(count - middle) for count in counts)
    return Usual(middle, max(_NORMAL * deviation, middle**0.5, _SLACK * middle))


def volume(look: Look, limit: float) -> Iterator[Finding]:
    """Days whose number of events lies outside of what the same weekday held in the 8 weeks before."""
    window = look.question.window
    counts = dict(look.question.rows(_COUNTS, reach=look.question.back(WEEKS * 7)))
    begin = _begin(look)
    yield by_day(
        Measure(
            "volume", "volume", "number", limit,
            "something is sent no more, or twice: look at what changed with evlog report events --days 7",
            f"fewer than {LEAST} weeks before",
        ),
        (_judged(day, counts, begin, limit) for day in window.days if begin is not None and window.over(day)),
    )  # fmt: skip


def _judged(day: date, counts: Mapping[date, int], begin: date, limit: float) -> Daily:
    before = [day - timedelta(weeks=week) for week in range(1, WEEKS + 1)]
    known = [counts.get(one, 0) for one in before if one >= begin]
    found = usual(known)
    if found is None:
        return Daily(day, None, "")
    count = counts.get(day, 0)
    low, high = found.range(limit)
    says = f"{count:,} events on {day}, expected {low:,.0f} to {high:,.0f} (of {len(known)} {day:%A}s before)"
    return Daily(day, found.off(count), says)


def _begin(look: Look) -> date | None:
    """The first day that can be compared: the first of the store is cut, and what was purged is not known."""
    held = look.question.snapshot.days
    if not held:
        return None
    purged = tombstones.load(look.store).purged_before
    first = held[0] + timedelta(days=1)
    return first if purged is None else max(first, purged + timedelta(days=1))
