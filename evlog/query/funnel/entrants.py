"""Who entered the funnel, how far each came, and when: the kernel's attempts, lane by lane, and their best by owner."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from evlog.errors import UsageError
from evlog.kernel.funnel import Attempts, Log, TooManyWays, attempts, folded, graced, last_entries
from evlog.query.funnel.asked import TICK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from evlog.query.funnel.asked import Asked
    from evlog.query.funnel.lanes import Lanes
    from evlog.window import Window

    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive UTC


@dataclass(frozen=True, slots=True)
class Entrants:
    """All who took step 1: how far, along which rows, when, and whether they may still come further."""

    owner: Ints
    level: Ints
    chain: Ints  # an entrant, a step: rows of the run's columns, -1 past the level
    instants: Ints  # the same in microseconds, of use below the level only
    still_open: Flags

    def only(self, kept: Flags | Ints) -> Entrants:
        """Those of the entrants."""
        return Entrants(
            self.owner[kept], self.level[kept], self.chain[kept], self.instants[kept], self.still_open[kept]
        )


@dataclass(frozen=True, slots=True)
class Run:
    """The attempts of all lanes; of a period if the entries were restricted to one."""

    lanes: Lanes
    log: Log
    attempts: Attempts  # by lane
    latest: Ints  # of each lane: the instant of its latest entry

    def among(self, lanes: Flags | None, asked: Asked, window: Window) -> Entrants:
        """The entrants with their best of these lanes (None: all); every attempt is kept where all count."""
        found = self.attempts if lanes is None else _only(self.attempts, lanes[self.attempts.person])
        owner = self.lanes.owner
        best = found if asked.rules.attempt == "all" else folded(found, owner, self.log, start=asked.rules.start)
        owners = owner[best.person] if asked.rules.attempt == "all" else best.person
        instants = self.log.ts[best.chain]
        best_of_all = asked.rules.attempt == "best"
        entered = _latest(owner, self.latest, lanes)[owners] if best_of_all else instants[:, 0]
        running = _running(entered, window, asked) & (best.level < asked.rules.steps)
        return Entrants(owners, best.level, best.chain, instants, running)


@contextmanager
def bounded() -> Iterator[None]:
    """Say what to ask instead where there is more to try than anybody would wait for."""
    try:
        yield
    except TooManyWays as error:
        hint = "ask for fewer steps, or leave --step-window and --exclude out"
        raise UsageError("too many sets of steps to try in any order", hint=hint) from error


def run(lanes: Lanes, asked: Asked, opens: Flags | None = None) -> Run:
    """The attempts of all lanes; where `opens` is given, only such events may be the first of one."""
    columns = lanes.columns
    breaks = _breaks(columns) if asked.rules.order == "strict" else None
    log = Log(lanes.lane, columns["ts"], columns["fills"], columns.get("excluded"), opens, breaks)
    with bounded():
        found = attempts(log, asked.rules)
    return Run(lanes, graced(log, asked.rules), found, _latest_entries(lanes, log, asked))


def _breaks(columns: Mapping[str, Ints]) -> Flags:
    """Whether each event that fits no step breaks a strict order; an optional step never does (metrics §7.10)."""
    breaks = columns["breaks"] != 0 if "breaks" in columns else np.zeros(len(columns["ts"]), bool)
    return breaks & (columns["side"] == 0) if "side" in columns else breaks


def _latest_entries(lanes: Lanes, log: Log, asked: Asked) -> Ints:
    """The instant of each lane's latest event that may be the first of an attempt."""
    latest = np.full(len(lanes.owner), np.iinfo(np.int64).min)
    rows = last_entries(log, asked.rules)
    latest[lanes.lane[rows]] = log.ts[rows]
    return latest


def _latest(owner: Ints, latest: Ints, lanes: Flags | None) -> Ints:
    """The instant of each owner's latest entry in these lanes."""
    found = np.full(int(owner.max(initial=-1)) + 1, np.iinfo(np.int64).min)
    kept = slice(None) if lanes is None else lanes
    np.maximum.at(found, owner[kept], latest[kept])
    return found


def _running(entered: Ints, window: Window, asked: Asked) -> Flags:
    """Whether events still to come may lie in the funnel window of each entry (metrics §7.7)."""
    if asked.options["cut"] and window.complete:
        return np.zeros(len(entered), bool)
    return entered + asked.reach >= (window.until - EPOCH) // TICK


def _only(found: Attempts, kept: Flags) -> Attempts:
    filled = None if found.filled is None else found.filled[kept]
    return Attempts(found.person[kept], found.level[kept], found.chain[kept], filled)
