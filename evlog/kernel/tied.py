"""Which steps in a row the events of one instant can fill: the exact matching rule (metrics §7.5 `step`, §7.13).

An instant is a list of masks, one an event: bit i says that the event can fill step i. Steps count from 0 here.
"""

from __future__ import annotations


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
