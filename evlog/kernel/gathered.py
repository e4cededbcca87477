"""The attempts in any order of all persons at once, where no event can fill two steps (metrics §7.2).

Then who holds most steps in a window holds the step of every event in it, and a chain is the first event of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evlog.kernel.columns import Attempts, entering, numbered, taken

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evlog.kernel.columns import Log
    from evlog.kernel.rules import Rules

    Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Lane:
    """The events that fill a step, by place; `by_step` are the places of each step, `entries` those that may begin."""

    rows: Ints
    log: Log
    instant: Ints
    heads: Ints  # the first place of each instant, by its number
    by_step: list[Ints]
    entries: Ints


def gathered(log: Log, rows: Ints, rules: Rules) -> Attempts:
    """The attempts of the persons of `rows`, whose events fill one step each."""
    lane = _lane(log, rows[log.fills[rows] != 0], rules)
    ends = np.append(lane.heads[1:], len(lane.rows))[: len(lane.heads)] - 1
    entry = np.searchsorted(lane.entries, _begins(lane, ends, rules.window))
    ends, entry = ends[entry < len(lane.entries)], entry[entry < len(lane.entries)]
    entry = lane.entries[entry]
    ends, entry = ends[entry <= ends], entry[entry <= ends]
    level, at = _deepest(lane, ends, entry, rules)
    end, opener = ends[at], entry[at]
    if rules.start == "last":
        opener = _latest(lane, end, opener, rules)
    chain, filled = _chains(lane, opener, end, rules)
    return Attempts(lane.log.person[end], level, np.append(lane.rows, -1)[chain], filled)


def _lane(log: Log, rows: Ints, rules: Rules) -> _Lane:
    own = taken(log, rows)
    instant = numbered(own.person, own.ts)
    heads = np.flatnonzero(np.diff(instant, prepend=-1))
    by_step = [np.flatnonzero((own.fills >> step) & 1) for step in range(rules.steps)]
    entries = np.flatnonzero(entering(own, rules))
    if rules.attempt == "first":
        entries = entries[np.unique(own.person[entries], return_index=True)[1]]
    return _Lane(rows, own, instant, heads, by_step, entries)


def _begins(lane: _Lane, ends: Ints, window: int) -> Ints:
    """The first place of each end's person whose window holds the end, by bisection."""
    person, ts = lane.log.person, lane.log.ts
    low, high = np.searchsorted(person, person[ends], side="left"), ends.copy()
    while (low < high).any():
        middle = (low + high) // 2
        early = ts[ends] - ts[middle] > window
        low, high = np.where(early, middle + 1, low), np.where(early, high, middle)
    return low


def _floor(lane: _Lane, opener: Ints, rules: Rules) -> Ints:
    """The first place that may be in a chain that begins with each opener."""
    return opener if rules.ties == "seq" else lane.heads[lane.instant[opener]]


def _newest(lane: _Lane, step: int, ends: Ints) -> Ints:
    """The last place of the step up to each end; -1 without."""
    places = lane.by_step[step]
    return np.append(places, -1)[np.searchsorted(places, ends, side="right") - 1]


def _deepest(lane: _Lane, ends: Ints, opener: Ints, rules: Rules) -> tuple[Ints, Ints]:
    """The level of each person, and which of the ends is the first to have it."""
    floor = _floor(lane, opener, rules)
    counts = np.zeros(len(ends), np.int64)
    for step in range(rules.steps):
        counts += _newest(lane, step, ends) >= floor
    who, first = np.unique(lane.log.person[ends], return_index=True)
    level = np.maximum.reduceat(counts, first) if len(first) else counts
    reached = np.flatnonzero(counts == np.repeat(level, np.diff(np.append(first, len(ends)))))
    return level, reached[np.searchsorted(lane.log.person[ends[reached]], who)]


def _latest(lane: _Lane, end: Ints, opener: Ints, rules: Rules) -> Ints:
    """The first to arrive of the latest instant at which a chain as deep can begin."""
    floor = _floor(lane, opener, rules)
    needed = end.copy()
    for step in range(rules.steps):
        newest = _newest(lane, step, end)
        needed = np.where(newest >= floor, np.minimum(needed, newest), needed)
    if rules.ties == "seq":
        last = np.searchsorted(lane.entries, needed, side="right") - 1
    else:
        last = np.searchsorted(lane.instant[lane.entries], lane.instant[needed], side="right") - 1
    entries = lane.instant[lane.entries]
    return lane.entries[np.searchsorted(entries, entries[last])]


def _chains(lane: _Lane, opener: Ints, end: Ints, rules: Rules) -> tuple[Ints, Ints]:
    """The places and steps of the chains: the opener, then the first event of each other step."""
    none = len(lane.rows)
    floor = _floor(lane, opener, rules)
    found = np.full((len(end), rules.steps), none, np.int64)
    for step in range(rules.steps):
        places = np.append(lane.by_step[step], none)
        first = places[np.searchsorted(lane.by_step[step], floor)]
        found[:, step] = np.where(first <= end, first, none)
        opened = (lane.log.fills[opener] >> step & 1) == 1
        found[opened, step] = -1
    order = np.argsort(found, axis=1, kind="stable")
    chain = np.take_along_axis(found, order, axis=1)
    filled = np.where(chain == none, -1, order)
    chain = np.where(chain == none, -1, chain)
    chain[:, 0] = opener
    return chain, filled
