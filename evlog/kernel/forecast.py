"""A forecast of evenly spaced numbers: seasonal-naive with linear drift, with its past errors (metrics §18.10).

What comes is what was one season ago (the same weekday of the last week; with a season of 1, the last number), and the
drift since: the mean change from one season to the next. The interval is that of the errors this rule made one season
ahead inside the series, from their 10th to their 90th percentile, widened by the root of the seasons ahead.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum, sqrt
from typing import TYPE_CHECKING

from evlog.kernel.quantile import quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

LOW, HIGH = 10, 90  # percentiles of the errors: 80 % lie between
FEWEST = 7  # changes from one season to the next, without which errors say nothing


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is expected, and between which numbers it lies in four of five cases."""

    expected: float
    low: float
    high: float

    @property
    def above_zero(self) -> Forecast:
        """The same of what is never below zero."""
        return Forecast(max(self.expected, 0.0), max(self.low, 0.0), max(self.high, 0.0))


def least(season: int) -> int:
    """How many numbers a forecast needs: two seasons, and enough changes."""
    return max(2 * season, season + FEWEST)


def forecast(series: Sequence[float | None], season: int, ahead: int) -> list[Forecast] | None:
    """The next `ahead` numbers after the series (None: there was none); None if it is too short to tell."""
    pairs = [
        (earlier, later)
        for earlier, later in zip(series, series[season:], strict=False)
        if earlier is not None and later is not None
    ]
    last = {place % season: (place, value) for place, value in enumerate(series) if value is not None}
    if len(pairs) < FEWEST or len(last) < season:
        return None
    drift = fsum([*(later for _, later in pairs), *(-earlier for earlier, _ in pairs)]) / len(pairs)
    errors = sorted(later - earlier - drift for earlier, later in pairs)
    low, high = quantile(errors, LOW) or 0.0, quantile(errors, HIGH) or 0.0
    found = []
    for place in range(len(series), len(series) + ahead):
        at, value = last[place % season]
        seasons = (place - at) // season
        expected, wide = value + seasons * drift, sqrt(seasons)
        found.append(Forecast(expected, expected + wide * low, expected + wide * high))
    return found


def slope(points: Sequence[tuple[int, float]]) -> float | None:
    """The change from one place to the next, by least squares; None of fewer than two places."""
    if len(points) < 2:  # noqa: PLR2004 - a line
        return None
    middle = fsum(x for x, _ in points) / len(points)
    level = fsum(y for _, y in points) / len(points)
    return fsum((x - middle) * (y - level) for x, y in points) / fsum((x - middle) ** 2 for x, _ in points)
