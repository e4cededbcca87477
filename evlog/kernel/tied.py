"""One person's best attempt where events share instants: the exact matching rule (metrics §7.5 `step`, §7.13).

An instant is a list of masks, one an event: bit i says that the event can fill step i. Steps and levels count from 0
here: who holds level l has filled steps 0…l-1, and step l is next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def attempt(ts: Sequence[int], fills: Sequence[int], *, steps: int, window: int) -> list[int]:
    """The places of the chosen attempt's events, step by step; empty without a step 1. `ts` must rise."""
    instants = _instants(ts, fills, steps)
    level, start = _deepest(instants, steps, window)
    chain: list[int] = []
    for instant in instants:
        if len(chain) == level:
            break
        if instant.ts >= start:
            chain += [instant.places[i] for i in assigned(instant.masks, len(chain), level)]
    return chain


class _Instant:
    """The events of one instant: their places, their masks, and the steps that any of them can fill."""

    __slots__ = ("any", "masks", "places", "ts")

    def __init__(self, ts: int) -> None:
        self.ts = ts
        self.places: list[int] = []
        self.masks: list[int] = []
        self.any = 0


def _instants(ts: Sequence[int], fills: Sequence[int], steps: int) -> list[_Instant]:
    """The instants in order.

    Of events with one mask only as many are kept as there are steps: more cannot all be used, and the sender of ten
    thousand events in one instant would make the matching slow.
    """
    instants: list[_Instant] = []
    last: int | None = None
    for place, (at, mask) in enumerate(zip(ts, fills, strict=True)):
        if at != last:
            instant = _Instant(at)
            instants.append(instant)
            last = at
        if len(instant.masks) < steps or instant.masks.count(mask) < steps:
            instant.places.append(place)
            instant.masks.append(mask)
            instant.any |= mask
    return instants


def _deepest(instants: list[_Instant], steps: int, window: int) -> tuple[int, int]:
    """The deepest level, and the latest start that leads there by the first instant at which it is reached.

    `latest[l]` is the latest start among the chains that hold level l. A later start leaves more of the window, so
    no other chain of that level need be known. Levels are taken from the top, so that each sees the state before
    the instant.
    """
    latest: list[int | None] = [None] * (steps + 1)
    best, start = 0, 0
    for instant in instants:
        top = best
        for level in range(min(top, steps - 1), -1, -1):
            since = latest[level] if level else instant.ts
            if since is None or not instant.any >> level & 1 or instant.ts - since > window:
                continue
            for reached in range(level + 1, level + longest_run(instant.masks, level, steps) + 1):
                held = latest[reached]
                latest[reached] = since if held is None else max(held, since)
                best = max(best, reached)
        if best > top:
            start = latest[best] or 0
        if best == steps:
            break
    return best, start


def longest_run(masks: list[int], first: int, steps: int) -> int:
    """How many of the steps `first`, `first + 1`… below `steps` distinct events can fill, with none left out.

    Steps join one by one along augmenting paths; the first that finds none ends the run, since then no matching
    whatever fills them all.
    """
    if len(masks) == 1:
        return masks[0] >> first & 1
    holder: dict[int, int] = {}
    for step in range(first, steps):
        if not _augmented(step, masks, holder, set()):
            return step - first
    return steps - first


def _augmented(step: int, masks: list[int], holder: dict[int, int], seen: set[int]) -> bool:
    """Whether `step` got an event, others moving over for it; `holder` maps events to their steps."""
    for event, mask in enumerate(masks):
        if mask >> step & 1 and event not in seen:
            seen.add(event)
            if event not in holder or _augmented(holder[event], masks, holder, seen):
                holder[event] = step
                return True
    return False


def assigned(masks: list[int], first: int, steps: int) -> list[int]:
    """The events that fill the longest run from `first`, the earliest arrived for the earliest step."""
    end = first + longest_run(masks, first, steps)
    free = list(masks)
    chosen: list[int] = []
    for step in range(first, end):
        for event, mask in enumerate(free):
            if not mask >> step & 1:
                continue
            free[event] = 0
            if longest_run(free, step + 1, end) == end - step - 1:
                chosen.append(event)
                break
            free[event] = mask
    return chosen
