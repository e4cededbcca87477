"""Whether two shares differ, by how much, and whether users were split as planned (metrics §18.10).

Plain arithmetic: the tests of an experiment need no statistics package.
"""

from __future__ import annotations

from math import erfc, exp, gamma, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Z95 = 1.959963984540054
"""The standard normal quantile of 0.975."""


def p_value(part: int, whole: int, other_part: int, other_whole: int) -> float | None:
    """The two-sided p-value of the two-proportion z test with pooled variance; None where all or none converted."""
    if not whole or not other_whole:
        return None
    pooled = (part + other_part) / (whole + other_whole)
    variance = pooled * (1 - pooled) * (1 / whole + 1 / other_whole)
    if variance <= 0:
        return None
    return erfc(abs(part / whole - other_part / other_whole) / sqrt(2 * variance))


def wilson(part: int, whole: int, *, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a share; an end that is 0 or 1 is exactly so."""
    share, width = part / whole, z * z / whole
    middle, half = share + width / 2, z * sqrt(share * (1 - share) / whole + width / (4 * whole))
    low = 0.0 if part == 0 else (middle - half) / (1 + width)
    high = 1.0 if part == whole else (middle + half) / (1 + width)
    return low, high


def newcombe(part: int, whole: int, other_part: int, other_whole: int, *, z: float = Z95) -> tuple[float, float] | None:
    """Newcombe's interval (method 10) of `part / whole - other_part / other_whole`; None where a whole is 0."""
    if not whole or not other_whole:
        return None
    share, other = part / whole, other_part / other_whole
    low, high = wilson(part, whole, z=z)
    other_low, other_high = wilson(other_part, other_whole, z=z)
    below = sqrt((share - low) ** 2 + (other_high - other) ** 2)
    above = sqrt((high - share) ** 2 + (other - other_low) ** 2)
    return share - other - below, share - other + above


def split_p_value(counts: Sequence[int], shares: Sequence[float]) -> float | None:
    """The chi-square p-value of `counts` having come from a split in these shares; None with fewer than two of them."""
    total, whole = sum(counts), sum(shares)
    if len(counts) < 2 or not total:  # noqa: PLR2004 - one is no split
        return None
    expected = [total * share / whole for share in shares]
    statistic = sum((count - wanted) ** 2 / wanted for count, wanted in zip(counts, expected, strict=True))
    return chi_square_beyond(statistic, len(counts) - 1)


def chi_square_beyond(statistic: float, freedom: int) -> float:
    """The probability that a chi-square with `freedom` degrees exceeds `statistic`.

    A finite sum for whole degrees: the upper incomplete gamma function, built up by halves from erfc or exp.
    """
    x = statistic / 2
    odd = freedom % 2
    total, at = (erfc(sqrt(x)), 0.5) if odd else (exp(-x), 1.0)
    term = exp(-x) * sqrt(x) / gamma(1.5) if odd else exp(-x) * x
    while at < freedom / 2:
        total += term
        at += 1
        term *= x / at
    return total
