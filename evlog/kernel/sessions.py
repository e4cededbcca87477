"""Which session each event belongs to (metrics §9), and the runs of events that sessions are.

An event that names a session belongs to it: a session is then all events of one person with that id, whatever lies
between them in time, other sessions included. Events without an id are told apart by inactivity, and their gaps are
measured among themselves alone: what is in a named session is said by its sender, so it neither ends nor prolongs one
that nobody named, and no session changes because another sender's events came in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evlog.kernel.rules import FOREVER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

OUTSIDE = -1  # the session of an event that belongs to none


def numbered(
    person: Ints,
    explicit: Ints,
    ts: Ints,
    *,
    timeout: int,
    day: Ints | None = None,
    extends: Flags | None = None,
    max_length: int = FOREVER,
    split_idle: bool = False,
) -> Ints:
    """The number of each row's session, from 0; `OUTSIDE` of none. Rows are sorted by (person, ts, arrival).

    `explicit` is the number of the session id (-1: none), times are microseconds. A gap longer than `timeout` ends a
    session that no id names, and with `split_idle` a named one too. With `day`, sessions are cut where it changes;
    an event more than `max_length` after the first of its session begins another.

    Where `extends` is false (types that make nobody active), an event without an id neither begins nor prolongs a
    session: it belongs to the one that still runs, or to none.
    """
    order = _by_name(person, explicit)
    person, explicit, ts = person[order], explicit[order], ts[order]
    first = _changes(person, explicit)
    named = explicit >= 0
    alive = named if extends is None else named | extends[order]
    fresh = _fresh(ts, first, alive if extends is not None else None, timeout=timeout)
    if not split_idle:
        fresh = np.where(named, ~first, fresh)
    inside = fresh if extends is None else fresh | alive
    begins = ~fresh if extends is None else alive & ~fresh
    if day is not None:
        begins |= fresh & _changes(day[order])
    if max_length < FOREVER:
        begins |= fresh & _over_long(ts, begins, inside, first=first, most=max_length)
    session = np.empty(len(ts), np.int64)
    number = np.cumsum(begins) - 1
    session[order] = number if extends is None else np.where(inside, number, OUTSIDE)
    return session


def _by_name(person: Ints, explicit: Ints) -> Ints:
    """The rows by person and session id, those of one id as they came."""
    if not (explicit >= 0).any():
        return np.arange(len(person), dtype=np.int64)
    return np.lexsort((explicit, person)).astype(np.int64, copy=False)


def _changes(*columns: Ints) -> Flags:
    """Whether each row differs from the one before; the first does."""
    changed = np.ones(len(columns[0]), bool)
    changed[1:] = False
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return changed


def _fresh(ts: Ints, first: Flags, alive: Flags | None, *, timeout: int) -> Flags:
    """Whether each row follows, not more than `timeout` later, one of its run that prolongs the session."""
    if alive is None:
        fresh = ~first
        fresh[1:] &= ts[1:] - ts[:-1] <= timeout
        return fresh
    places = np.arange(len(ts))
    last = np.maximum.accumulate(np.where(alive, places, -1))
    before = np.concatenate((np.full(min(1, len(ts)), -1), last[:-1]))
    run = np.maximum.accumulate(np.where(first, places, 0))
    fresh_enough: Flags = (before >= run) & (ts - ts[before] <= timeout)
    return fresh_enough


def _over_long(ts: Ints, begins: Flags, inside: Flags, *, first: Flags, most: int) -> Flags:
    """The rows at which a session of that greatest length has to begin anew.

    A session ends where the next begins, or where another run does: that may have rows of no session at its head.
    """
    starts, bounds = np.flatnonzero(begins), np.flatnonzero(begins | first)
    ends = np.append(bounds, len(ts))[np.searchsorted(bounds, starts, side="right")]
    cut = np.zeros(len(ts), bool)
    while len(starts):
        after = _first_after(ts, starts, ends, ts[starts] + most)
        on = after < ends
        starts, ends = after[on], ends[on]
        cut[starts] = True
    return cut & inside


def _first_after(ts: Ints, low: Ints, high: Ints, bound: Ints) -> Ints:
    """For each stretch of rows from `low` to `high`, rising in time, the first row past its bound; `high` if none."""
    low, high = low.copy(), high.copy()
    while (open_ := low < high).any():
        middle = (low + high) >> 1
        past = np.where(open_, ts[np.minimum(middle, len(ts) - 1)] > bound, True)  # noqa: FBT003 - numpy's own order
        high = np.where(open_ & past, middle, high)
        low = np.where(open_ & ~past, middle + 1, low)
    return low


@dataclass(frozen=True, slots=True)
class Runs:
    """The events of each session in their order: session n is `rows[begins[n]:ends[n]]`."""

    rows: Ints
    begins: Ints
    ends: Ints

    @property
    def first(self) -> Ints:
        """The row of each session's first event."""
        return self.rows[self.begins]

    @property
    def last(self) -> Ints:
        """The row of each session's last event."""
        return self.rows[self.ends - 1]

    @property
    def events(self) -> Ints:
        """The number of events in each session."""
        return self.ends - self.begins


def runs(session: Ints) -> Runs:
    """The runs of the sessions that `numbered` told, by number; or of any numbers from 0 without a hole."""
    rows = np.argsort(session, kind="stable").astype(np.int64, copy=False)
    told = session[rows]
    outside = int(np.searchsorted(told, 0))
    rows, told = rows[outside:], told[outside:]
    begins = np.flatnonzero(_changes(told))
    return Runs(rows, begins, np.append(begins[1:], len(rows))[: len(begins)])
