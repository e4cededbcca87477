"""What a funnel must say of one person, by trying every chain of distinct events (metrics §7)."""

from __future__ import annotations

from itertools import pairwise, permutations
from typing import NamedTuple


class Seen(NamedTuple):
    """One event: its instant and the steps (from 0) it can fill."""

    ts: int
    steps: frozenset[int]


def best_chain(log: list[Seen], steps: int, *, window: int | None, ties: str) -> tuple[int, ...]:
    """The places of the chosen chain: deepest, earliest end, latest start, earliest instants, first to arrive."""
    chains = [
        places
        for length in range(1, min(steps, len(log)) + 1)
        for places in permutations(range(len(log)), length)
        if _is_attempt([log[place] for place in places], places, window=window, ties=ties)
    ]
    return min(chains, key=lambda places: _rank(log, places), default=())


def _is_attempt(chain: list[Seen], places: tuple[int, ...], *, window: int | None, ties: str) -> bool:
    if any(step not in event.steps for step, event in enumerate(chain)):
        return False
    pairs = list(pairwise(chain))
    if ties == "strict" and any(one.ts >= other.ts for one, other in pairs):
        return False
    if ties == "step" and any(one.ts > other.ts for one, other in pairs):
        return False
    if ties == "seq" and list(places) != sorted(places):
        return False
    return window is None or chain[-1].ts - chain[0].ts <= window


def _rank(log: list[Seen], places: tuple[int, ...]) -> tuple[int, int, int, list[int], tuple[int, ...]]:
    instants = [log[place].ts for place in places]
    return -len(places), instants[-1], -instants[0], instants, places
