"""How many steps some events can fill, kept up as events come and go (metrics §7.2).

Events and steps are masks: an event of mask m can fill every step whose bit is set in m, and one only. Events of one
mask are alike, so they are counted. As many steps are filled as can be at all times: what comes or goes moves others
over along one augmenting path, and that there is none is the proof that no other choice fills more.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Filling(Protocol):
    """Which steps the events at hand fill."""

    size: int  # the steps that are filled

    def add(self, mask: int) -> bool:
        """Whether one event more fills one step more, or several."""

    def remove(self, mask: int) -> None:
        """Let go of an event of this mask."""


def bits(mask: int) -> Iterable[int]:
    """The bits that are set, each as a mask."""
    while mask:
        low = mask & -mask
        yield low
        mask ^= low


class Matching:
    """Steps filled by one event each, no event by two."""

    __slots__ = ("_holder", "_spare", "free", "size")

    def __init__(self, steps: int) -> None:
        self.free = (1 << steps) - 1
        self.size = 0
        self._holder: dict[int, int] = {}  # the mask of the event that fills each step
        self._spare: dict[int, int] = {}  # how many events of each mask fill none

    def add(self, mask: int) -> bool:
        """Whether one event more fills one step more; of two alike the second never does if the first does not."""
        if mask in self._spare:
            self._spare[mask] += 1
            return False
        if not self._filled(mask):
            self._spare[mask] = 1
            return False
        self.size += 1
        return True

    def remove(self, mask: int) -> None:
        """Let go of an event of this mask: a spare one if there is, else another moves over if it can."""
        left = self._spare.pop(mask, 0)
        if left > 1:
            self._spare[mask] = left - 1
        if left:
            return
        step = next(step for step, own in self._holder.items() if own == mask)
        del self._holder[step]
        if not (self._spare and self._refilled(step)):
            self.free |= step
            self.size -= 1

    def closed(self, step: int) -> bool:
        """Whether the step could be taken out of the matching with no event of it left over; if so it is out."""
        if step & self.free:
            self.free ^= step
            return True
        own = self._holder.pop(step, 0)
        if own and self._filled(own):
            return True
        if own:
            self._holder[step] = own
        return False

    def _filled(self, mask: int) -> bool:
        """Whether an event of this mask got a step."""
        if step := mask & self.free:
            step &= -step
            self.free ^= step
            self._holder[step] = mask
            return True
        return bool(self.free) and self._moved(mask)

    def _moved(self, mask: int) -> bool:
        """Whether an event of this mask got a step that others moved over for; `came` is the way back."""
        queue = [step for step in bits(mask) if step in self._holder]
        came = dict.fromkeys(queue, 0)
        for step in queue:
            own = self._holder[step]
            if free := own & self.free:
                free &= -free
                self.free ^= free
                came[free] = step
                self._shifted(free, mask, came)
                return True
            for other in bits(own):
                if other not in came and other in self._holder:
                    came[other] = step
                    queue.append(other)
        return False

    def _shifted(self, step: int, mask: int, came: dict[int, int]) -> None:
        """Give the step to what held the one before on the way, and so on; the first of the way is for the mask."""
        while before := came[step]:
            self._holder[step] = self._holder[before]
            step = before
        self._holder[step] = mask

    def _refilled(self, step: int) -> bool:
        """Whether a spare event filled the step, others moving over for it."""
        came = {step: 0}
        queue = [step]
        for vacant in queue:
            for mask in self._spare:
                if mask & vacant:
                    self._lent(vacant, mask, came)
                    return True
            for other, own in self._holder.items():
                if own & vacant and other not in came:
                    came[other] = vacant
                    queue.append(other)
        return False

    def _lent(self, step: int, mask: int, came: dict[int, int]) -> None:
        """Give the step to a spare event of this mask, and what held it to the next on the way."""
        self._spare[mask] -= 1
        if not self._spare[mask]:
            del self._spare[mask]
        while step:
            own = self._holder.get(step, 0)
            self._holder[step] = mask
            mask, step = own, came[step]


class Cover:
    """Steps filled by events of which each may fill all that it can (`share`)."""

    __slots__ = ("_count", "_union", "size")

    def __init__(self) -> None:
        self.size = 0
        self._union = 0
        self._count: dict[int, int] = {}

    def add(self, mask: int) -> bool:
        """Whether one event more fills one step more, or several."""
        self._count[mask] = self._count.get(mask, 0) + 1
        if not mask & ~self._union:
            return False
        self._union |= mask
        self.size = self._union.bit_count()
        return True

    def remove(self, mask: int) -> None:
        """Let go of an event of this mask."""
        self._count[mask] -= 1
        if not self._count[mask]:
            del self._count[mask]
            self._union = 0
            for own in self._count:
                self._union |= own
            self.size = self._union.bit_count()


@lru_cache(maxsize=1 << 12)
def lowest(masks: tuple[int, ...], steps: int) -> tuple[int, ...]:
    """The step that each event fills if all fill one: the first the lowest it can, then the second, and so on."""
    left = _matched(masks, steps)
    found: list[int] = []
    for mask in masks:
        left.remove(mask)
        found.append(next(step.bit_length() - 1 for step in bits(mask) if left.closed(step)))
    return tuple(found)


def foremost(events: Sequence[Sequence[int]], steps: int) -> tuple[int, ...]:
    """Which mask of each event's several is taken if all fill a step: the first of the first, and so on."""
    unions = []
    for masks in events:
        unions.append(0)
        for mask in masks:
            unions[-1] |= mask
    left = _matched(unions, steps)
    found: list[int] = []
    for union, masks in zip(unions, events, strict=True):
        left.remove(union)
        for number, mask in enumerate(masks):
            if left.add(mask):
                found.append(number)
                break
            left.remove(mask)
    return tuple(found)


def _matched(masks: Iterable[int], steps: int) -> Matching:
    """The events, each with a step."""
    found = Matching(steps)
    for mask in masks:
        found.add(mask)
    return found
