"""Columns cut between persons, and the pieces worked on side by side."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

ROWS = 1 << 18  # a dozen columns of so many numbers fit the caches of a processor

One = TypeVar("One")
Other = TypeVar("Other")


def slices(person: NDArray[np.int64]) -> list[slice]:
    """Slices of some `ROWS` rows that hold persons whole; `person` is sorted. There is one at least."""
    ends = person[ROWS - 1 :: ROWS]
    cuts = np.unique(np.searchsorted(person, ends, side="right"))
    bounds = [0, *(int(cut) for cut in cuts if cut < len(person)), len(person)]
    return [slice(first, last) for first, last in pairwise(bounds)]


def spread(work: Callable[[One], Other], pieces: Sequence[One]) -> list[Other]:
    """The work done on each piece, in their order: by threads, since numpy lets go of the interpreter."""
    if len(pieces) < 2:  # noqa: PLR2004 - no more than one
        return [work(piece) for piece in pieces]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(work, pieces))
