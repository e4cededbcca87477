"""The attempts of all persons at once, a step at a time (metrics §7.13).

Exact as long as an event cannot be wanted by two steps within one instant; `tangled` tells the persons for whom it can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evlog.kernel.columns import Attempts, numbered
from evlog.kernel.rules import FOREVER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evlog.kernel.columns import Log
    from evlog.kernel.rules import Rules

    Ints = NDArray[np.int64]


def _tied(instant: Ints) -> NDArray[np.bool_]:
    """Whether each row shares its instant with another."""
    tied = np.zeros(len(instant), bool)
    same = instant[1:] == instant[:-1]
    tied[1:] |= same
    tied[:-1] |= same
    return tied


def tangled(log: Log, rows: Ints) -> NDArray[np.bool_]:
    """Whether each row's person has an instant in which one event could fill two steps and another stands beside it.

    Elsewhere an event has one use within its instant, so taking the instant's events in the order of their steps is
    the best there is.
    """
    person, fills = log.person[rows], log.fills[rows]
    if not (fills & (fills - 1)).any():
        return np.zeros(len(rows), bool)
    taking = np.flatnonzero(fills)
    tied = np.zeros(len(rows), bool)
    tied[taking] = _tied(numbered(person[taking], log.ts[rows[taking]]))
    return np.isin(person, person[tied & ((fills & (fills - 1)) != 0)])


def _by_step(log: Log, rows: Ints) -> Ints:
    """The places of the rows with the events of each instant in the order of the steps they fill."""
    instant = numbered(log.person[rows], log.ts[rows])
    at = np.flatnonzero(_tied(instant))
    ordered = np.arange(len(rows), dtype=np.int64)
    ordered[at] = at[np.lexsort((log.fills[rows[at]], instant[at]))]
    return ordered


@dataclass(frozen=True, slots=True)
class _Lane:
    """Events in the order in which they may be taken: their rows in the log, and what is asked of each place."""

    rows: Ints
    person: Ints
    ts: Ints
    fills: Ints
    instant: Ints  # a running number
    order: Ints  # the next step's event must stand higher: by place, or by instant where that is what counts
    shared: bool  # or as high: the very same event may fill both
    upto: Ints  # how many instants that break a strict order there are, to this one
    below: Ints  # and before this one


_Held = list[tuple["Ints", "Ints"]]
"""For each step the places that hold it, and for each such place the latest start (a place) that leads there."""


def _lane(log: Log, rows: Ints, rules: Rules) -> _Lane:
    """The events of `rows` that can fill a step, in the order in which they may be taken."""
    upto, below = _breaks(log, rows, rules)
    kept = log.fills[rows] != 0
    rows, upto, below = rows[kept], upto[kept], below[kept]
    if rules.ties == "step" and not rules.share:
        at = _by_step(log, rows)
        rows, upto, below = rows[at], upto[at], below[at]
    person, ts, fills = log.person[rows], log.ts[rows], log.fills[rows]
    instant = numbered(person, ts)
    by_place = rules.ties == "seq" or (rules.ties == "step" and not rules.share)
    order = np.arange(len(rows), dtype=np.int64) if by_place else instant
    if log.opens is not None:
        fills = np.where(log.opens[rows], fills, fills & ~1)
    if rules.attempt == "first":
        fills = _locked(person, instant, fills, rules)
    shared = rules.share and rules.ties != "strict"
    return _Lane(rows, person, ts, fills, instant, order, shared, upto, below)


def _locked(person: Ints, instant: Ints, fills: Ints, rules: Rules) -> Ints:
    """What events can fill where only the first entry is one: the first to arrive, or all of its instant."""
    entries = np.flatnonzero(fills & 1)
    first = entries[np.unique(person[entries], return_index=True)[1]]
    entering = np.zeros(len(fills), bool)
    entering[first if rules.ties == "seq" else np.isin(instant, instant[first])] = True
    return np.where(entering, fills, fills & ~1)


def _breaks(log: Log, rows: Ints, rules: Rules) -> tuple[Ints, Ints]:
    """How many instants break a strict order, up to each row's and before it."""
    if rules.order != "strict" or not len(rows):
        return np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    breaking = np.ones(len(rows), bool) if log.breaks is None else log.breaks[rows] | (log.fills[rows] != 0)
    instant = numbered(log.person[rows], log.ts[rows])
    broken = np.zeros(instant[-1] + 1, np.int64)
    broken[instant[breaking]] = 1
    upto = np.cumsum(broken)
    return upto[instant], (upto - broken)[instant]


def swept(log: Log, rows: Ints, rules: Rules) -> Attempts:
    """The best attempts of the persons of `rows`; all of a person's events are among them."""
    lane = _lane(log, rows, rules)
    held = _held(lane, rules)
    entrants = np.unique(lane.person[held[0][0]])
    level = np.zeros(len(entrants), np.int64)
    start = np.zeros(len(entrants), np.int64)
    end = np.zeros(len(entrants), np.int64)
    for number, (here, starts) in enumerate(held, 1):
        who, first = np.unique(lane.person[here], return_index=True)
        last = np.searchsorted(lane.instant[here], lane.instant[here[first]], side="right") - 1
        at = np.searchsorted(entrants, who)
        level[at] = number
        start[at] = starts[last]
        end[at] = here[first]
    places = [here for here, _ in held]
    if rules.order == "strict" or rules.step_window < FOREVER:
        places = _leading(lane, places, rules, level=level, end=end)
    if rules.start == "first":
        start = _first_starts(lane, places[0], rules, end=end)
    return Attempts(entrants, level, _earliest(lane, places, level=level, start=start))


def _held(lane: _Lane, rules: Rules) -> _Held:
    """The places that hold each step.

    Places rise with person and time, and so do the starts that lead to each step. So the last place before an event
    that holds the step before has the latest start, and is itself the latest; it is an earlier person's only if this
    one has none.
    """
    here = np.flatnonzero(lane.fills & 1)
    held = [(here, here)]
    for step in range(1, rules.steps):
        before, starts = held[-1]
        here = np.flatnonzero((lane.fills >> step) & 1)
        last = np.searchsorted(lane.order[before], lane.order[here], side="right" if lane.shared else "left") - 1
        here, last = here[last >= 0], last[last >= 0]
        start = starts[last]
        kept = _joins(lane, before[last], here, rules) & (lane.ts[here] - lane.ts[start] <= rules.window)
        held.append((here[kept], start[kept]))
    return held


def _joins(lane: _Lane, before: Ints, here: Ints, rules: Rules) -> NDArray[np.bool_]:
    """Whether each event may follow the one before it as the next step."""
    joins = lane.person[before] == lane.person[here]
    if rules.step_window < FOREVER:
        joins &= lane.ts[here] - lane.ts[before] <= rules.step_window
    if rules.order == "strict":
        joins &= lane.below[here] <= lane.upto[before]
    return np.asarray(joins, np.bool_)


def _leading(lane: _Lane, places: list[Ints], rules: Rules, *, level: Ints, end: Ints) -> list[Ints]:
    """Those of the places from which the chain can still be complete at its end: the next of them decides."""
    entrants = lane.person[end]
    found = [np.zeros(0, np.int64)] * len(places)
    after = found[0]
    for step in range(len(places) - 1, -1, -1):
        here = places[step]
        who = np.searchsorted(entrants, lane.person[here])
        leads = (level[who] == step + 1) & (lane.instant[here] == lane.instant[end[who]])
        following = np.searchsorted(lane.order[after], lane.order[here], side="left" if lane.shared else "right")
        on = np.flatnonzero((level[who] > step + 1) & (following < len(after)))
        leads[on] = _joins(lane, here[on], after[following[on]], rules)
        after = found[step] = here[leads]
    return found


def _first_starts(lane: _Lane, entries: Ints, rules: Rules, *, end: Ints) -> Ints:
    """The first entry of each entrant whose window holds the end of the chain."""
    who = np.searchsorted(lane.person[end], lane.person[entries])
    usable = entries[lane.ts[end[who]] - lane.ts[entries] <= rules.window]
    return usable[np.unique(lane.person[usable], return_index=True)[1]]


def _earliest(lane: _Lane, places: list[Ints], *, level: Ints, start: Ints) -> Ints:
    """The rows of each chain: from the start's instant on, every step as soon as it can be taken."""
    chain = np.full((len(level), len(places)), -1, np.int64)
    entries = places[0]
    place = entries[np.searchsorted(lane.instant[entries], lane.instant[start], side="left")]
    chain[:, 0] = lane.rows[place]
    for step in range(1, len(places)):
        on = np.flatnonzero(level > step)
        here = places[step]
        next_one = np.searchsorted(lane.order[here], lane.order[place[on]], side="left" if lane.shared else "right")
        place[on] = here[next_one]
        chain[on, step] = lane.rows[place[on]]
    return chain
