"""What makes a chain of events an attempt at a funnel (metrics §7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Order = Literal["ordered", "strict", "any"]
"""ordered: others may lie between; strict: nothing of the person strictly between two steps; any: in any order."""

Attempt = Literal["best", "first", "all"]
"""best: the deepest of all; first: locked to the first step 1, greedy; all: one after the other, none overlapping."""

Ties = Literal["step", "strict", "seq"]
"""step: events of one instant in the order that helps; strict: each step strictly later; seq: as they arrived."""

Attribution = Literal["first", "last"]
"""The first or the last value along the chain that is not absent (metrics §7.11)."""

Start = Literal["last", "first"]
"""Which start of several that lead to one completion: the latest, or the earliest in the window (metrics §7.6)."""

FOREVER = 1 << 62  # microseconds: longer than any log, and no sum with an instant overflows


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Events that may not lie strictly between step `first` and step `last` (both from 1), told by a bit."""

    bit: int  # bit of `Log.excluded`
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Rules:
    """The number of steps, the time they may take, and which chains of events count. Times are microseconds.

    `window` runs from step 1 to the last, `step_window` from each step to the next, both ends included; both may hold.
    """

    steps: int
    window: int = FOREVER
    ties: Ties = "step"
    order: Order = "ordered"
    attempt: Attempt = "best"
    step_window: int = FOREVER
    exclusions: tuple[Exclusion, ...] = ()
    remove: bool = False  # who is hit by an exclusion leaves the funnel; else only the chain is dead (metrics §7.9)
    grace: int = 0  # events within it of the first of them are one instant (metrics §7.5)
    start: Start = "last"
    share: bool = False  # one event may fill several steps, as in ClickHouse and Umami (metrics §7.1)
    anchored: bool = False  # any order, but step 1 comes first
