"""Steps from one event to the next within runs of events, counted (metrics §18.10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evlog.kernel.rules import FOREVER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evlog.kernel.sessions import Runs

    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Edges:
    """Columns of equal length, a row a step from one event to the next of the same run."""

    position: Ints  # the place of the first of the two events in its run, from 1
    source: Ints  # row of the first event
    target: Ints  # row of the second
    run: Ints  # number of the run


@dataclass(frozen=True, slots=True)
class Counted:
    """Columns of equal length, a row for each different step, by (position, source, target)."""

    position: Ints
    source: Ints
    target: Ints
    count: Ints
    users: Ints


def edges(runs: Runs) -> Edges:
    """The steps in these runs, in their order."""
    run = np.repeat(np.arange(len(runs.begins)), runs.events)
    at = np.repeat(runs.begins, runs.events) + _within(runs)
    inner = at + 1 < runs.ends[run]
    at, run = at[inner], run[inner]
    return Edges(at - runs.begins[run] + 1, runs.rows[at], runs.rows[at + 1], run)


def _within(runs: Runs) -> Ints:
    """The place of each event in its run, from 0."""
    events = runs.events
    return np.arange(int(events.sum())) - np.repeat(np.cumsum(events) - events, events)


def cut_to(runs: Runs, start: Flags | None, end: Flags | None) -> tuple[Runs, Ints]:
    """The runs from their first `start` on and up to the first `end` after it, and their numbers in `runs`.

    Both say of each row whether it is one; None: the run's own. Runs without one are left out.
    """
    begins, ends = runs.begins, runs.ends
    kept = np.arange(len(begins))
    if start is not None:
        at = _next(start[runs.rows])[begins]
        on = at < ends
        begins, ends, kept = at[on], ends[on], kept[on]
    if end is not None:
        at = _next(end[runs.rows])[begins if start is None else begins + 1]
        on = at < ends
        begins, ends, kept = begins[on], at[on] + 1, kept[on]
    return type(runs)(runs.rows, begins, ends), kept


def _next(flags: Flags) -> Ints:
    """The first place from each on, and past the end, at which a flag stands; past the end if none does."""
    places = np.append(np.where(flags, np.arange(len(flags)), len(flags)), len(flags))
    return np.minimum.accumulate(places[::-1])[::-1]


def counted(position: Ints, source: Ints, target: Ints, person: Ints) -> Counted:
    """How often each step occurs, and of how many persons; `source` and `target` are numbers of what they are."""
    key = _together(_together(position, source), target)
    order = np.argsort(_together(key, person))
    key, person = key[order], person[order]
    fresh = np.ones(len(key), bool)
    fresh[1:] = key[1:] != key[:-1]
    begins = np.flatnonzero(fresh)
    fresh[1:] |= person[1:] != person[:-1]
    users = np.add.reduceat(fresh, begins, dtype=np.int64) if len(begins) else begins
    first = order[begins]
    return Counted(position[first], source[first], target[first], np.diff(np.append(begins, len(key))), users)


def _together(high: Ints, low: Ints) -> Ints:
    """A number for each pair, in the order of the pairs; where the plain product would not fit, of their ranks."""
    if not len(low):
        return low
    if (int(high.max()) + 1) * (int(low.max()) + 1) > FOREVER:
        high, low = (np.unique(column, return_inverse=True)[1] for column in (high, low))
    return high.astype(np.int64) * (int(low.max()) + 1) + low
