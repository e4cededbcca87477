"""The rows of a funnel in the order its kernel wants: by owner, time and arrival; and those of entrants only.

Parts are read day after day and are sorted by user, so rows come in a few long runs. These are cut at the same users,
and what lies between two cuts is sorted by itself: it is small, and two processors do two at once. That rows of a user
come in the order of time and arrival is looked at, not believed.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from evlog.kernel.slices import ROWS, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Columns = dict[str, Ints]

_RUNS = 4_096  # more of them, and they are no runs
_SAMPLE = 97  # every so many rows tell where users lie


def sorted_rows(rows: Mapping[str, Ints], *, entrants: bool = False) -> Columns:
    """The columns sorted by (owner, ts, seq).

    Or of `entrants` only, who have an event that fits step 1: with their owners numbered from 0, and without `seq`.
    """
    finish: Callable[[Columns], Columns] = _of_entrants if entrants else dict
    runs = np.flatnonzero(rows["owner"][1:] < rows["owner"][:-1]) + 1
    if len(runs) > _RUNS or len(rows["owner"]) <= ROWS:
        return _numbered([finish(_sorted(rows))], entrants=entrants)
    cuts = np.sort(rows["owner"][::_SAMPLE])[:: max(ROWS // _SAMPLE, 1)][1:]
    bounds = [0, *runs.tolist(), len(rows["owner"])]
    places = [
        [first, *(np.searchsorted(rows["owner"][first:last], cuts) + first).tolist(), last]
        for first, last in pairwise(bounds)
    ]

    def slice_(number: int) -> Columns:
        mine = [slice(run[number], run[number + 1]) for run in places]
        return finish(_sorted({name: np.concatenate([column[one] for one in mine]) for name, column in rows.items()}))

    return _numbered(spread(slice_, range(len(cuts) + 1)), entrants=entrants)


def _sorted(rows: Mapping[str, Ints]) -> Columns:
    order = np.argsort(rows["owner"], kind="stable")
    found = {name: column[order] for name, column in rows.items()}
    if _in_order(found["owner"], found["ts"], found["seq"]):
        return found
    order = np.lexsort((rows["seq"], rows["ts"], rows["owner"]))
    return {name: column[order] for name, column in rows.items()}


def _in_order(owner: Ints, ts: Ints, seq: Ints) -> bool:
    """Whether rows sorted by owner are sorted by time and arrival too."""
    later = (ts[1:] > ts[:-1]) | ((ts[1:] == ts[:-1]) & (seq[1:] >= seq[:-1]))
    return bool((later | (owner[1:] != owner[:-1])).all())


def _of_entrants(rows: Columns) -> Columns:
    """The rows of those who have an event that fits step 1, numbered from 0."""
    owner = rows["owner"]
    first = np.ones(len(owner), bool)
    first[1:] = owner[1:] != owner[:-1]
    begins = np.flatnonzero(first)
    if not len(begins):
        return {name: column for name, column in rows.items() if name != "seq"}
    entered = (np.bitwise_or.reduceat(rows["fills"], begins) & 1) != 0
    lengths = np.diff(begins, append=len(owner))
    kept = np.repeat(entered, lengths)
    found = {name: column[kept] for name, column in rows.items() if name != "seq"}
    return {**found, "owner": np.repeat(np.arange(int(entered.sum())), lengths[entered])}


def _numbered(slices: list[Columns], *, entrants: bool) -> Columns:
    """The slices one after the other; where owners are numbered, their numbers go on from slice to slice."""
    if entrants:
        after = np.cumsum([0, *(int(one["owner"].max(initial=-1)) + 1 for one in slices)])
        slices = [{**one, "owner": one["owner"] + first} for one, first in zip(slices, after[:-1], strict=True)]
    return {name: np.concatenate([one[name] for one in slices]) for name in slices[0]}
