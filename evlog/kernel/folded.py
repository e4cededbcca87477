"""One attempt of each person, where several go through the funnel in their name (metrics §7.11).

A *lane* is what goes through as one: a session, a value held constant, or both. The kernel takes lanes for persons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evlog.kernel.columns import Attempts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evlog.kernel.columns import Log
    from evlog.kernel.rules import Start

    Ints = NDArray[np.int64]


def folded(found: Attempts, lane_person: Ints, log: Log, *, start: Start = "last") -> Attempts:
    """The preferred attempt of each person over all their lanes, by person; `lane_person` tells whose each lane is.

    The preference is the one among the chains of a person (see `funnel`), the lowest rows last.
    """
    rows = kept(found, lane_person, log, start=start)
    filled = None if found.filled is None else found.filled[rows]
    return Attempts(lane_person[found.person[rows]], found.level[rows], found.chain[rows], filled)


def kept(found: Attempts, lane_person: Ints, log: Log, *, start: Start = "last") -> Ints:
    """The numbers of the attempts that `folded` keeps."""
    if not len(found.person):
        return np.zeros(0, np.int64)
    person = lane_person[found.person]
    if (person[1:] > person[:-1]).all():  # one attempt each
        return np.arange(len(person))
    order = np.lexsort(tuple(reversed((person, *_preference(found, log, start)))))
    mine = person[order]
    first = np.ones(len(order), bool)
    first[1:] = mine[1:] != mine[:-1]
    return order[first]


def _preference(found: Attempts, log: Log, start: Start) -> list[Ints]:
    """Columns by which attempts are compared, the less the better."""
    every = np.arange(len(found.level))
    instants = np.where(found.chain < 0, 0, log.ts[found.chain])
    begun = instants[:, 0] if start == "first" else -instants[:, 0]
    filled = [] if found.filled is None else list(found.filled.T)
    return [-found.level, instants[every, found.level - 1], begun, *instants.T, *found.chain.T, *filled]
