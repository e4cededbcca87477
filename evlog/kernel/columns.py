"""The columns a funnel is computed from, and those it is answered with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from evlog.kernel.moments import clustered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evlog.kernel.rules import Rules

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Log:
    """The events that matter to a funnel: columns of equal length, sorted by (person, ts, arrival).

    Those that fill no step matter as what stands in between: for strict order (all of the person's events that are in
    scope) and for exclusions.
    """

    person: Ints  # or any other number of what goes through the funnel as one: a session, a value held constant
    ts: Ints  # microseconds
    fills: Ints  # bit i: the event can fill step i (from 0)
    excluded: Ints | None = None  # bit of `Exclusion.bit`: the event matches it
    opens: Bools | None = None  # whether an attempt may begin with the event; None: all may (metrics §7.7)
    breaks: Bools | None = None  # whether an event that fills no step breaks strict order; None: all do


@dataclass(frozen=True, slots=True)
class Attempts:
    """The attempt of each person who began one, by person; with `attempt="all"` several, in the order of time.

    `chain[p, k]` is the row of the event done as the k-th, -1 past the level; it fills step k, or step `filled[p, k]`
    with order `any` (-1 past the level).
    """

    person: Ints
    level: Ints
    chain: Ints
    filled: Ints | None = None


def graced(log: Log, rules: Rules) -> Log:
    """The log with the events of each cluster at one instant; times are to be taken from it (metrics §7.5)."""
    if rules.grace <= 0:
        return log
    return replace(log, ts=clustered(log.person, log.ts, log.fills, grace=rules.grace))


def entering(log: Log, rules: Rules) -> Bools:
    """Whether an attempt may begin with each event."""
    wanted = -1 if rules.order == "any" and not rules.anchored else 1
    first = np.asarray((log.fills & wanted) != 0, np.bool_)
    return first if log.opens is None else first & log.opens


def taken(log: Log, rows: Ints | slice) -> Log:
    """The log with these rows only."""
    return Log(
        log.person[rows],
        log.ts[rows],
        log.fills[rows],
        excluded=None if log.excluded is None else log.excluded[rows],
        opens=None if log.opens is None else log.opens[rows],
        breaks=None if log.breaks is None else log.breaks[rows],
    )


def numbered(*columns: Ints) -> Ints:
    """A running number for each run of equal rows."""
    if not len(columns[0]):
        return np.zeros(0, np.int64)
    changes = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        changes[1:] |= column[1:] != column[:-1]
    return np.cumsum(changes)
