"""Which value of a breakdown an attempt belongs to (metrics §7.11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evlog.kernel.rules import Attribution

    Ints = NDArray[np.int64]


def attributed(chain: Ints, values: Ints, attribution: Attribution | int) -> Ints:
    """The value of each chain; -1 where all its events lack one.

    `chain` holds rows of `values` (-1: the chain has ended), `values` numbers of values (-1: absent). A number asks
    for the value at that step (from 1): -1 also where the chain did not get there (`chain[:, step - 1]` is -1 then).
    """
    told = np.append(values, -1)[chain]
    if isinstance(attribution, int):
        return np.asarray(told[:, attribution - 1], np.int64)
    if attribution == "last":
        told = told[:, ::-1]
    present = told >= 0
    at = np.argmax(present, axis=1)
    return np.where(present.any(axis=1), told[np.arange(len(told)), at], -1)
