"""Who did an optional step on the way (metrics §7.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evlog.kernel.columns import numbered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evlog.kernel.columns import Attempts, Log
    from evlog.kernel.rules import Rules

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]


def did_between(found: Attempts, log: Log, rules: Rules, *, matching: Bools, after: int) -> Bools:
    """Whether each attempt has an event that matches, of those outside its chain, between two required steps.

    From the instant of the required step `after` (from 1) to that of the next, both included; where the chain ends at
    `after`, for as long as an event could have joined it. `log` is the log of the attempts, with its times as `graced`
    gives them; it holds the matching events too.
    """
    done = np.zeros(len(found.person), bool)
    on = np.flatnonzero(found.level >= after)
    if not len(on):
        return done
    chain = found.chain[on]
    instant = numbered(log.person, log.ts)
    begin = np.searchsorted(instant, instant[chain[:, after - 1]], side="left")
    end = _time_over(log, chain, rules, after=after)
    goes_on = np.flatnonzero(found.level[on] > after)
    end[goes_on] = np.searchsorted(instant, instant[chain[goes_on, min(after, rules.steps - 1)]], side="right")
    before = np.concatenate(([0], np.cumsum(matching)))
    own = (chain >= begin[:, None]) & (chain < end[:, None]) & matching[chain] & _firsts(chain)
    done[on] = before[end] - before[begin] > own.sum(axis=1)
    return done


def _firsts(chain: Ints) -> Bools:
    """Whether each row of a chain stands there for the first time: an event may fill several steps."""
    first = np.ones(chain.shape, bool)
    for step in range(1, chain.shape[1]):
        first[:, step] = (chain[:, :step] != chain[:, step : step + 1]).all(axis=1)
    return first


def _time_over(log: Log, chain: Ints, rules: Rules, *, after: int) -> Ints:
    """The first row of the log, for each chain, that is too late to join it, or the person's last and one more."""
    begin, last = chain[:, 0], chain[:, after - 1]
    limit = np.minimum(log.ts[begin] + rules.window, log.ts[last] + rules.step_window)
    low, high = last.copy(), np.searchsorted(log.person, log.person[last], side="right")
    while (low < high).any():
        middle = (low + high) // 2
        inside = log.ts[np.minimum(middle, len(log.ts) - 1)] <= limit
        low = np.where((low < high) & inside, middle + 1, low)
        high = np.where((low <= middle) & ~inside, middle, high)
    return low
