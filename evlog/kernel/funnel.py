"""Attempts at a funnel: how far each person came, and along which events (metrics §7).

A person's *attempt* is a chain of distinct events e1…em of which each ei fills step i, in time order, all within the
window from e1, the end included. Of all attempts the one kept is the deepest; then the one that completes earliest;
then the one that starts latest (or earliest, with `start="first"`); then the one whose steps come earliest; then, among
events of one instant, the one that arrived first.

Three roads give the same answer. `swept` (in order) and `gathered` (in any order) take all persons at once, a step at
a time, and know the rules most asked for. `search` takes one person at a time and knows all rules: it gets the persons
and the rules that the others do not know. In any order it lets a matching slide over the person's instants (`slid`) and
looks at every set of steps only where exclusions or a window for each step decide.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from evlog.kernel.columns import Attempts, Log, entering, graced, numbered, taken
from evlog.kernel.effort import TooManyWays, allowed
from evlog.kernel.folded import folded
from evlog.kernel.gathered import gathered
from evlog.kernel.moments import Own, moments
from evlog.kernel.rules import FOREVER, Rules
from evlog.kernel.search import searched
from evlog.kernel.slices import slices, spread
from evlog.kernel.swept import swept, tangled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

_ROUNDS = 20  # of one attempt each; who makes more is searched: a pass over all rows for each would be slow

__all__ = ["Attempts", "Log", "TooManyWays", "attempts", "folded", "graced", "last_entries"]


def attempts(log: Log, rules: Rules) -> Attempts:
    """The attempts of everyone in the log who began one (metrics §7.4, §7.5, §7.13).

    In any order with exclusions or a window for each step, `TooManyWays` is raised where the sets of steps that would
    have to be looked at are too many.
    """
    log = graced(log, rules)
    if rules.remove and rules.exclusions:
        return _untainted(_found(log, replace(rules, exclusions=())), log, rules)
    return _found(log, rules)


def last_entries(log: Log, rules: Rules | None = None) -> Ints:
    """The rows of everyone's last event that an attempt may begin with, by person."""

    def last(slice_: slice) -> Ints:
        part = taken(log, slice_)
        entries = np.flatnonzero(entering(part, rules or Rules(1)))
        who = part.person[entries]
        is_last = np.ones(len(entries), bool)
        is_last[:-1] = who[1:] != who[:-1]
        rows: Ints = entries[is_last] + slice_.start
        return rows

    return np.concatenate(spread(last, slices(log.person)))


def _found(log: Log, rules: Rules) -> Attempts:
    """The attempts of all who may begin one, each along the road that knows the rules.

    Persons have nothing to do with each other: the fast roads take some at a time, so that their columns stay near the
    processor, and as many at once as there are processors.
    """

    def quick(slice_: slice) -> tuple[Attempts, Ints]:
        part = taken(log, slice_)
        rows = _of_entrants(part, rules)
        hard = _hard(part, rows, rules)
        easy = _at_once(part, rows[~hard], rules)
        return replace(easy, chain=np.where(easy.chain < 0, -1, easy.chain + slice_.start)), rows[hard] + slice_.start

    whole = rules.attempt == "all"  # what one may try is allowed for all together
    found = spread(quick, [slice(0, len(log.person))] if whole else slices(log.person))
    easy = _in_turn([part for part, _ in found])
    return _joined(easy, _one_by_one(log, np.concatenate([rows for _, rows in found]), rules))


def _in_turn(parts: list[Attempts]) -> Attempts:
    """The attempts of persons who come one after the other."""
    told = [part.filled for part in parts if part.filled is not None]
    return Attempts(
        np.concatenate([part.person for part in parts]),
        np.concatenate([part.level for part in parts]),
        np.concatenate([part.chain for part in parts]),
        np.concatenate(told) if told else None,
    )


def _at_once(log: Log, rows: Ints, rules: Rules) -> Attempts:
    """The attempts of the persons of `rows` along a fast road; with `all` the first of everyone, and so on."""
    road = gathered if rules.order == "any" else swept
    if rules.attempt != "all":
        return road(log, rows, rules)
    locked = replace(rules, attempt="first")
    found = road(log, rows[:0], locked)
    for _ in range(_ROUNDS):
        turn = road(log, rows, locked)
        found = _joined(found, turn)
        rows = rows[_over(log, rows, turn, rules)] if len(turn.person) else rows[:0]
    return _joined(found, _one_by_one(log, rows, rules))


def _over(log: Log, rows: Ints, turn: Attempts, rules: Rules) -> Bools:
    """Whether each row comes after its person's attempt: after its conversion, or else after its window."""
    at = np.minimum(np.searchsorted(turn.person, log.person[rows]), len(turn.person) - 1)
    last = turn.chain[:, -1][at]
    ts = log.ts[rows]
    after = rows > last if rules.ties == "seq" else ts > log.ts[last]
    late = ts > log.ts[turn.chain[at, 0]] + rules.window
    return np.asarray((turn.person[at] == log.person[rows]) & np.where(last >= 0, after, late), np.bool_)


def _of_entrants(log: Log, rules: Rules) -> Ints:
    """The rows of persons who may begin an attempt."""
    if not len(log.person):
        return np.zeros(0, np.int64)
    number = numbered(log.person)
    entered = np.zeros(number[-1] + 1, bool)
    entered[number[entering(log, rules)]] = True
    return np.flatnonzero(entered[number])


def _hard(log: Log, rows: Ints, rules: Rules) -> Bools:
    """Whether each row's person must be searched for."""
    if not _plain(rules):
        return np.ones(len(rows), bool)
    if rules.order == "any":
        hard = np.isin(log.person[rows], log.person[rows[(log.fills[rows] & (log.fills[rows] - 1)) != 0]])
    else:
        hard = tangled(log, rows) if rules.ties == "step" and not rules.share else np.zeros(len(rows), bool)
    if rules.exclusions and log.excluded is not None:
        hard |= np.isin(log.person[rows], log.person[rows[log.excluded[rows] != 0]])
    return hard


def _plain(rules: Rules) -> bool:
    """Whether one of the fast roads knows the rules, exclusions apart: whom they concern is searched for.

    A greedy attempt is the deepest of its start, which is what the fast roads find, unless a later event for a step
    would have left more room for the next.
    """
    roomy = rules.step_window >= FOREVER
    if rules.order == "any":
        return rules.step_window >= rules.window and rules.ties != "strict"
    return rules.attempt == "best" or (rules.order == "ordered" and roomy)


def _one_by_one(log: Log, rows: Ints, rules: Rules) -> Attempts:
    """The attempts of the persons of `rows`, one person after the other."""
    own = taken(log, rows)
    who, first = np.unique(own.person, return_index=True)
    bounds = [*first.tolist(), len(rows)]
    columns = [None if c is None else c.tolist() for c in (own.ts, own.fills, own.excluded, own.opens, own.breaks)]
    person: list[int] = []
    chains: list[tuple[int, ...]] = []
    filled: list[tuple[int, ...]] = []
    effort = allowed(len(rows))
    for name, (begin, end) in zip(who.tolist(), pairwise(bounds), strict=True):
        ts, fills, *others = (None if c is None else c[begin:end] for c in columns)
        for places, steps in searched(moments(Own(ts or [], fills or [], *others), rules), rules, effort):
            person.append(name)
            chains.append(tuple(begin + place for place in places))
            filled.append(steps)
    told = _matrix(filled, rules.steps) if rules.order == "any" else None
    chain = np.append(rows, -1)[_matrix(chains, rules.steps)]
    level = np.fromiter(map(len, chains), np.int64, len(chains))
    return Attempts(np.array(person, np.int64), level, chain, told)


def _matrix(rows: list[tuple[int, ...]], width: int) -> Ints:
    """The rows, each filled up with -1."""
    flat = [value for row in rows for value in (*row, *(-1,) * (width - len(row)))]
    return np.array(flat, np.int64).reshape(len(rows), width)


def _untainted(found: Attempts, log: Log, rules: Rules) -> Attempts:
    """The attempts in which no exclusion was met (metrics §7.9 `remove`)."""
    tainted = np.zeros(len(found.person), bool)
    for exclusion in rules.exclusions:
        if log.excluded is None:
            break
        rows = np.flatnonzero((log.excluded >> exclusion.bit) & 1)
        on = np.flatnonzero(found.level > exclusion.first)
        begin = found.chain[on, exclusion.first - 1]
        end = found.chain[on, np.minimum(found.level[on], exclusion.last) - 1]
        instant = numbered(log.person, log.ts)
        between = np.searchsorted(instant[rows], instant[end]) - np.searchsorted(
            instant[rows], instant[begin], side="right"
        )
        tainted[on] |= between > 0
    keep = ~tainted
    filled = None if found.filled is None else found.filled[keep]
    return Attempts(found.person[keep], found.level[keep], found.chain[keep], filled)


def _joined(one: Attempts, other: Attempts) -> Attempts:
    """Both, in the order of persons; either may be empty."""
    if not len(one.person) or not len(other.person):
        return one if len(one.person) else other
    person = np.concatenate((one.person, other.person))
    order = np.argsort(person, kind="stable")
    level = np.concatenate((one.level, other.level))
    chain = np.concatenate((one.chain, other.chain))
    filled = None
    if one.filled is not None and other.filled is not None:
        filled = np.concatenate((one.filled, other.filled))[order]
    return Attempts(person[order], level[order], chain[order], filled)
