"""Attempts at a funnel under any rules, by trying every chain of one person's events (metrics §7).

A chain is a list of links: the place of an event, and the step (from 0) that it fills.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Chain = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Event:
    """An instant, the steps the event can fill, the exclusions it matches; whether it may begin, whether it breaks."""

    ts: int
    steps: frozenset[int] = frozenset()
    hits: frozenset[int] = frozenset()
    opens: bool = True
    breaks: bool = True


@dataclass(frozen=True)
class Asked:
    """The rules; an exclusion is its number, the step it holds from and the one it holds to (from 1)."""

    steps: int
    window: float = math.inf
    step_window: float = math.inf
    ties: str = "step"
    order: str = "ordered"
    attempt: str = "best"
    exclusions: tuple[tuple[int, int, int], ...] = ()
    remove: bool = False
    grace: int = 0
    start: str = "last"
    share: bool = False
    anchored: bool = False


def attempts(log: list[Event], asked: Asked) -> list[Chain]:
    """All attempts that count, in the order of time."""
    log = clustered(log, asked.grace)
    if asked.remove:
        free = attempts(log, replace(asked, remove=False, exclusions=(), grace=0))
        return [chain for chain in free if not _excluded(chain, log, asked)]
    begins = [place for place in range(len(log)) if _may_begin(log, place, asked)]
    if asked.attempt == "best":
        chains = [chain for place in begins for chain in _chains(((place, None),), log, asked)]
        return [min(chains, key=lambda chain: _rank(chain, log, asked))] if chains else []
    found: list[Chain] = []
    while begins:
        if asked.ties == "seq":
            locked = begins[:1]
        else:
            locked = [place for place in begins if log[place].ts == log[begins[0]].ts]
        chains = [chain for place in locked for chain in _chains(((place, None),), log, asked)]
        found.append(min(chains, key=lambda chain: _earliness(chain, log, asked)))
        begins = [place for place in begins if _is_over(found[-1], place, log, asked)]
        if asked.attempt == "first":
            break
    return found


def clustered(log: list[Event], grace: int) -> list[Event]:
    """The log with the events of each cluster at the instant of the first that can fill a step."""
    heads: list[int] = []
    for event in log:
        if event.steps and (not heads or event.ts > heads[-1] + grace):
            heads.append(event.ts)
    return [replace(event, ts=max((h for h in heads if h <= event.ts <= h + grace), default=event.ts)) for event in log]


def _may_begin(log: list[Event], place: int, asked: Asked) -> bool:
    return log[place].opens and bool(log[place].steps if _free(asked) else 0 in log[place].steps)


def _free(asked: Asked) -> bool:
    return asked.order == "any" and not asked.anchored


def _chains(begun: tuple, log: list[Event], asked: Asked) -> Iterator[Chain]:
    """All chains that go on from here. Part of a chain that counts counts too, so a bad one need not be continued."""
    place, step = begun[-1]
    if step is None:
        for step in sorted(log[place].steps) if _free(asked) else [0]:
            yield from _chains(((place, step),), log, asked)
        return
    if not _counts(begun, log, asked):
        return
    yield begun
    for place in range(len(log)):
        for step in log[place].steps:
            yield from _chains((*begun, (place, step)), log, asked)


def _counts(chain: Chain, log: list[Event], asked: Asked) -> bool:
    places, steps = zip(*chain, strict=True)
    instants = [log[place].ts for place in places]
    if len(set(steps)) < len(steps) or (asked.order != "any" and steps != tuple(range(len(steps)))):
        return False
    if not asked.share and len(set(places)) < len(places):
        return False
    if instants[-1] - instants[0] > asked.window or not _in_turn(places, instants, asked):
        return False
    if any(later - earlier > asked.step_window for earlier, later in pairwise(instants)):
        return False
    if asked.order == "strict" and any(
        earlier < event.ts < later and (event.breaks or event.steps)
        for earlier, later in pairwise(instants)
        for event in log
    ):
        return False
    return not _excluded(chain, log, asked)


def _in_turn(places: tuple[int, ...], instants: list[int], asked: Asked) -> bool:
    if asked.ties == "strict":
        return all(earlier < later for earlier, later in pairwise(instants))
    if asked.ties == "step":
        return all(earlier <= later for earlier, later in pairwise(instants))
    return all(one < other or (asked.share and one == other) for one, other in pairwise(places))


def _excluded(chain: Chain, log: list[Event], asked: Asked) -> bool:
    instants = [log[place].ts for place, _ in chain]
    return any(
        number in event.hits and instants[first - 1] < event.ts < instants[min(last, len(chain)) - 1]
        for number, first, last in asked.exclusions
        if len(chain) > first
        for event in log
    )


def _rank(chain: Chain, log: list[Event], asked: Asked) -> tuple:
    places, steps = zip(*chain, strict=True)
    instants = [log[place].ts for place in places]
    start = instants[0] if asked.start == "first" else -instants[0]
    return -len(chain), instants[-1], start, instants, places, steps


def _earliness(chain: Chain, log: list[Event], asked: Asked) -> tuple:
    """Each step as soon as it can be, before anything else."""
    places, steps = zip(*chain, strict=True)
    instants = [log[place].ts for place in places]
    return [*instants, *[math.inf] * (asked.steps - len(chain))], places, steps


def _is_over(chain: Chain, place: int, log: list[Event], asked: Asked) -> bool:
    """Whether the attempt is over when the event comes: converted, out of time, excluded, or its order broken."""
    ts = log[place].ts
    instants = [log[own].ts for own, _ in chain]
    if len(chain) == asked.steps:
        return place > chain[-1][0] if asked.ties == "seq" else ts > instants[-1]
    if ts > instants[0] + asked.window or ts > instants[-1] + asked.step_window:
        return True
    if asked.order == "strict" and any(instants[-1] < e.ts <= ts and (e.breaks or e.steps) for e in log):
        return True
    return any(
        number in event.hits and first <= len(chain) < last and instants[first - 1] < event.ts < ts
        for number, first, last in asked.exclusions
        for event in log
    )
