"""A weighted mean of measures that are scaled to 0..100 (metrics §18.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_FULL = 100.0


def scaled(values: Floats, low: Floats, high: Floats) -> Floats:
    """Each value (a row for each user, a column for each component) on the way from `low`, 0, to `high`, 100.

    Beyond the ends nothing is gained or lost. What is absent (nan) stays absent.
    """
    clipped: Floats = np.clip((values - low) / (high - low), 0, 1) * _FULL
    return clipped


def scores(parts: Floats, weights: Floats) -> Floats:
    """The weighted mean of each row's parts; an absent part is left out and its weight with it, nan where all are."""
    there = ~np.isnan(parts)
    weight = there @ weights
    total = np.where(there, parts, 0) @ weights
    return _ratio(total, weight)


def means(values: Floats, begin: Ints) -> Floats:
    """The mean of each run of rows, column by column, without what is absent; nan where all is.

    The runs begin at the rows `begin`.
    """
    if not len(begin):
        return np.zeros((0, values.shape[1]))
    there = ~np.isnan(values)
    count = np.add.reduceat(there, begin, axis=0, dtype=np.int64)
    total = np.add.reduceat(np.where(there, values, 0), begin, axis=0)
    return _ratio(total, count)


def _ratio(total: Floats, whole: Floats) -> Floats:
    """The ratio, nan where the whole is 0."""
    ratio: Floats = np.divide(total, whole, out=np.full(total.shape, np.nan), where=whole > 0)
    return ratio
