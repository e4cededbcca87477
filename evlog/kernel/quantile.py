"""Percentiles, exact as far as floats are (metrics §12)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def quantile(rising: Sequence[float], percent: int) -> float | None:
    """The percentile by linear interpolation (R-7) of numbers in rising order; None of none.

    The place is found in whole numbers: (n - 1) * 0.9 in floats may fall a hair short of a value that occurs. Between
    whole numbers the line is drawn in whole numbers too, and divided once.
    """
    if not rising:
        return None
    whole, hundredths = divmod((len(rising) - 1) * percent, 100)
    low = rising[whole]
    if not hundredths:
        return float(low)
    return low + (rising[whole + 1] - low) * hundredths / 100
