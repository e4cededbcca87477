"""Which start each completion closes, and what becomes of the other starts and completions (metrics §10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

Choice = Literal["latest", "first"]
START, COMPLETE, ABANDON = 0, 1, 2
"""What an act is."""


@dataclass(frozen=True, slots=True)
class Acts:
    """Starts, completions and abandonments: columns of equal length, sorted by (key, ts, starts first, arrival).

    `key` numbers person, pair and target together.
    """

    key: Ints
    ts: Ints  # microseconds
    kind: Ints  # START, COMPLETE, ABANDON


@dataclass(frozen=True, slots=True)
class Fates:
    """What became of each act: a start is completed, abandoned, superseded or unmatched; a completion is paired or not.

    `mate` is the row of what closed a start, or of the start that was closed; -1 without one.
    """

    mate: Ints
    completed: Flags  # a start that a completion closed
    abandoned: Flags  # a start that an abandonment closed
    superseded: Flags  # a start that gave way to another one
    unmatched: Flags  # a start that nothing closed
    extra: Flags  # a completion after the completion of a start, with no new start
    orphan: Flags  # a completion without a start, or after its abandonment
    reopened: Flags  # an orphan after an abandonment


def fates(acts: Acts, choice: Choice) -> Fates:
    """What became of each act.

    A completion or abandonment closes the latest open start (or the first), and supersedes all others that are open: so
    the acts of a key fall into runs, each some starts and the one act that closes them, if there is one.
    """
    count = len(acts.key)
    starts = acts.kind == START
    begin = np.flatnonzero(_begins(acts, starts))
    end = np.append(begin[1:], count)[: len(begin)] - 1
    run = np.repeat(np.arange(len(begin)), end - begin + 1)
    closing = ~starts[end] & (end > begin)
    mate = np.full(count, -1, np.int64)
    closers = end[closing]
    closed = closers - 1 if choice == "latest" else begin[closing]
    mate[closed], mate[closers] = closers, closed
    paired = mate >= 0
    done = np.zeros(count, bool)
    done[closed] = acts.kind[closers] == COMPLETE
    lone = (acts.kind == COMPLETE) & ~paired
    before = _closed_before(acts, begin, end, closing)[run]
    return Fates(
        mate=mate,
        completed=done,
        abandoned=starts & paired & ~done,
        superseded=starts & ~paired & closing[run],
        unmatched=starts & ~closing[run],
        extra=lone & (before == COMPLETE),
        orphan=lone & (before != COMPLETE),
        reopened=lone & (before == ABANDON),
    )


def _begins(acts: Acts, starts: Flags) -> Flags:
    """Whether a run begins with the act: a new key, or what comes after the act that closes."""
    begins = np.ones(len(acts.key), bool)
    begins[1:] = (acts.key[1:] != acts.key[:-1]) | ~starts[:-1]
    return begins


def _closed_before(acts: Acts, begin: Ints, end: Ints, closing: Flags) -> Ints:
    """What closed the last start before each run, within the key; START if nothing has."""
    held = np.where(closing, np.arange(len(begin)), -1)
    last = np.maximum.accumulate(np.concatenate([np.full(1, -1), held]))[:-1]
    same = (last >= 0) & (acts.key[begin[last]] == acts.key[begin]) if len(begin) else np.zeros(0, bool)
    return np.where(same, acts.kind[end[last]], START)
