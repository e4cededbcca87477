"""Attempts at a funnel: how far each person came, and along which events (metrics §7).

A person's *attempt* is a chain of distinct events e1…em of which each ei fills step i, in time order, all within the
window from e1, the end included. Of all attempts the one kept is the deepest; then the one that completes earliest;
then the one that starts latest; then the one whose steps come earliest; then, among events of one instant, the one
that arrived first.

Two roads give the same answer. `_swept` takes all persons at once, a step at a time, and is exact as long as an
event cannot be wanted by two steps within one instant; the persons for whom it can go through `tied.attempt`, one by
one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from evlog.kernel.tied import attempt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evlog.kernel.rules import Rules, Ties

    Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Log:
    """The events that can fill a step: columns of equal length, sorted by (person, ts, arrival)."""

    person: Ints
    ts: Ints  # microseconds
    fills: Ints  # bit i: the event can fill step i (from 0)


@dataclass(frozen=True, slots=True)
class Attempts:
    """The attempt of each person who took step 1, by person; `chain[p, i]` is the row of step i, -1 past the level."""

    person: Ints
    level: Ints
    chain: Ints


def attempts(log: Log, rules: Rules) -> Attempts:
    """The best attempt of everyone in the log who took step 1 (metrics §7.4, §7.5, §7.13)."""
    rows = _of_entrants(log)
    if rules.ties != "step":
        return _swept(log, rows, rules)
    instant = _numbered(log.person[rows], log.ts[rows])
    tied = _tied(instant)
    tangled = _tangled(log, rows, tied)
    smooth = rows[~tangled]
    plain = _swept(log, _by_step(log, smooth, instant[~tangled], tied[~tangled]), rules)
    return _joined(plain, _one_by_one(log, rows[tangled], rules))


def last_entries(log: Log) -> Ints:
    """The rows of everyone's last event that can be step 1, by person."""
    entries = np.flatnonzero(log.fills & 1)
    who = log.person[entries]
    last = np.ones(len(entries), bool)
    last[:-1] = who[1:] != who[:-1]
    return entries[last]


def _of_entrants(log: Log) -> Ints:
    """The rows of persons who took step 1."""
    if not len(log.person):
        return np.zeros(0, np.int64)
    number = _numbered(log.person)
    entered = np.zeros(number[-1] + 1, bool)
    entered[number[(log.fills & 1) == 1]] = True
    return np.flatnonzero(entered[number])


def _numbered(*columns: Ints) -> Ints:
    """A running number for each run of equal rows."""
    if not len(columns[0]):
        return np.zeros(0, np.int64)
    changes = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        changes[1:] |= column[1:] != column[:-1]
    return np.cumsum(changes)


def _tied(instant: Ints) -> NDArray[np.bool_]:
    """Whether each row shares its instant with another."""
    tied = np.zeros(len(instant), bool)
    same = instant[1:] == instant[:-1]
    tied[1:] |= same
    tied[:-1] |= same
    return tied


def _tangled(log: Log, rows: Ints, tied: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each row's person has an instant in which one event could fill two steps and another stands beside it.

    Elsewhere an event has one use within its instant, so taking the instant's events in the order of their steps is
    the best there is.
    """
    person = log.person[rows]
    fills = log.fills[rows]
    knots = person[tied & ((fills & (fills - 1)) != 0)]
    return np.isin(person, knots)


def _by_step(log: Log, rows: Ints, instant: Ints, tied: NDArray[np.bool_]) -> Ints:
    """The rows with the events of each instant in the order of the steps they fill."""
    at = np.flatnonzero(tied)
    ordered = rows.copy()
    ordered[at] = rows[at[np.lexsort((log.fills[rows[at]], instant[at]))]]
    return ordered


@dataclass(frozen=True, slots=True)
class _Lane:
    """Events in the order in which they may be taken: their rows in the log, and what is asked of each place."""

    rows: Ints
    person: Ints
    ts: Ints
    fills: Ints
    instant: Ints  # a running number
    order: Ints  # the next step's event must stand higher: by place, or with strict ties by instant


_Held = list[tuple["Ints", "Ints"]]
"""For each step the places that hold it, and for each such place the latest start (a place) that leads there."""


def _lane(log: Log, rows: Ints, ties: Ties) -> _Lane:
    """The events of `rows`, in that order."""
    person, ts = log.person[rows], log.ts[rows]
    instant = _numbered(person, ts)
    order = instant if ties == "strict" else np.arange(len(rows), dtype=np.int64)
    return _Lane(rows, person, ts, log.fills[rows], instant, order)


def _swept(log: Log, rows: Ints, rules: Rules) -> Attempts:
    """The best attempts of all persons at once, where events are taken in the order of `rows`."""
    lane = _lane(log, rows, rules.ties)
    held = _held(lane, rules)
    entrants = np.unique(lane.person[held[0][0]])
    level = np.zeros(len(entrants), np.int64)
    start = np.zeros(len(entrants), np.int64)
    for number, (here, starts) in enumerate(held, 1):
        who, first = np.unique(lane.person[here], return_index=True)
        last = np.searchsorted(lane.instant[here], lane.instant[here[first]], side="right") - 1
        at = np.searchsorted(entrants, who)
        level[at] = number
        start[at] = starts[last]
    return Attempts(entrants, level, _earliest(lane, held, level=level, start=start))


def _held(lane: _Lane, rules: Rules) -> _Held:
    """The places that hold each step.

    Places rise with person and time, and so do the starts that lead to each step. So the last place before an event
    that holds the step before has the latest start; it is an earlier person's only if this one has none.
    """
    here = np.flatnonzero(lane.fills & 1)
    held = [(here, here)]
    for step in range(1, rules.steps):
        before, starts = held[-1]
        here = np.flatnonzero((lane.fills >> step) & 1)
        last = np.searchsorted(lane.order[before], lane.order[here], side="left") - 1
        here, last = here[last >= 0], last[last >= 0]
        start = starts[last]
        kept = (lane.person[start] == lane.person[here]) & (lane.ts[here] - lane.ts[start] <= rules.window)
        held.append((here[kept], start[kept]))
    return held


def _earliest(lane: _Lane, held: _Held, *, level: Ints, start: Ints) -> Ints:
    """The rows of each chain: from the start's instant on, every step as soon as it can be taken."""
    chain = np.full((len(level), len(held)), -1, np.int64)
    entries = held[0][0]
    place = entries[np.searchsorted(lane.instant[entries], lane.instant[start], side="left")]
    chain[:, 0] = lane.rows[place]
    for step in range(1, len(held)):
        on = np.flatnonzero(level > step)
        here = held[step][0]
        place[on] = here[np.searchsorted(lane.order[here], lane.order[place[on]], side="right")]
        chain[on, step] = lane.rows[place[on]]
    return chain


def _one_by_one(log: Log, rows: Ints, rules: Rules) -> Attempts:
    """The best attempts of the persons of `rows`, each by the exact matching of `tied.attempt`."""
    who, first = np.unique(log.person[rows], return_index=True)
    bounds = [*first.tolist(), len(rows)]
    ts, fills = log.ts[rows].tolist(), log.fills[rows].tolist()
    level = np.zeros(len(who), np.int64)
    chain = np.full((len(who), rules.steps), -1, np.int64)
    for number, (begin, end) in enumerate(pairwise(bounds)):
        places = attempt(ts[begin:end], fills[begin:end], steps=rules.steps, window=rules.window)
        level[number] = len(places)
        chain[number, : len(places)] = rows[begin:end][places]
    return Attempts(who, level, chain)


def _joined(one: Attempts, other: Attempts) -> Attempts:
    """Both, in the order of persons."""
    person = np.concatenate((one.person, other.person))
    order = np.argsort(person, kind="stable")
    level = np.concatenate((one.level, other.level))
    chain = np.concatenate((one.chain, other.chain))
    return Attempts(person[order], level[order], chain[order])
