"""One person's log as instants: what happened at each, and whether it breaks or excludes (metrics §7.5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from evlog.kernel.rules import Rules

    Ints = NDArray[np.int64]


@dataclass(slots=True)
class Moment:
    """The events of one instant that can fill a step, in order of arrival, and what else stands there."""

    ts: int
    places: list[int] = field(default_factory=list)
    masks: list[int] = field(default_factory=list)
    opens: list[bool] = field(default_factory=list)
    any: int = 0  # all steps that some event can fill
    hit: int = 0  # all exclusions that some event matches
    breaks: bool = False  # with strict order: no chain goes on past it

    def after(self, place: int) -> Moment:
        """The events that arrived after `place`."""
        kept = [number for number, own in enumerate(self.places) if own > place]
        masks = [self.masks[number] for number in kept]
        found = Moment(self.ts, [self.places[number] for number in kept], masks, [self.opens[n] for n in kept])
        for mask in masks:
            found.any |= mask
        return found


@dataclass(frozen=True, slots=True)
class Own:
    """One person's columns; `ts` rises. See `funnel.Log` for what they mean."""

    ts: Sequence[int]
    fills: Sequence[int]
    excluded: Sequence[int] | None = None
    opens: Sequence[bool] | None = None
    breaks: Sequence[bool] | None = None


def moments(own: Own, rules: Rules) -> list[Moment]:
    """The instants in order.

    Of events with one mask only as many are kept as there are steps: more cannot all be used, and the sender of ten
    thousand events in one instant would make the matching slow. Where arrival decides, all stay: the last may count.
    """
    found: list[Moment] = []
    last: int | None = None
    ranked = rules.ties == "seq"
    strict = rules.order == "strict"
    every = (1 << rules.steps) - 1
    for place, at in enumerate(own.ts):
        if at != last:
            moment = Moment(at)
            found.append(moment)
            last = at
        mask = own.fills[place]
        moment.hit |= own.excluded[place] if own.excluded is not None else 0
        moment.breaks |= strict and (own.breaks is None or bool(own.breaks[place]) or mask != 0)
        opens = own.opens is None or bool(own.opens[place])
        mask &= every if opens or rules.order == "any" else every - 1
        if mask and (ranked or _wanted(moment, mask, opens=opens, steps=rules.steps)):
            moment.places.append(place)
            moment.masks.append(mask)
            moment.opens.append(opens)
            moment.any |= mask
    return found


def _wanted(moment: Moment, mask: int, *, opens: bool, steps: int) -> bool:
    """Whether one more event like this can be of use."""
    if len(moment.masks) < steps:
        return True
    alike = sum(own == mask and may is opens for own, may in zip(moment.masks, moment.opens, strict=True))
    return alike < steps


def clustered(person: Ints, ts: Ints, fills: Ints, *, grace: int) -> Ints:
    """The times with every cluster's events at the time of its first (metrics §7.5).

    A cluster is an event that can fill a step and all within `grace` after it; the next such event begins another.
    Events that fill no step join the cluster they lie in, and begin none: who stands by does not move the others.
    """
    begins = np.flatnonzero(fills != 0)
    if grace <= 0 or not len(begins):
        return ts
    heads = begins[_heads(person[begins], ts[begins], grace)]
    last = np.searchsorted(heads, np.arange(len(ts)), side="right") - 1
    head = heads[last]
    inside = (last >= 0) & (person[head] == person) & (ts - ts[head] <= grace)
    return np.where(inside, ts[head], ts)


def _heads(person: Ints, ts: Ints, grace: int) -> Ints:
    """The places of the first events of clusters; one jump to the next for each."""
    fresh = np.ones(len(ts), bool)
    fresh[1:] = (person[1:] != person[:-1]) | (ts[1:] - ts[:-1] > grace)
    heads = np.flatnonzero(fresh)
    ends = np.append(heads[1:], len(ts))
    # Inside a run of small gaps each next head is the first event past the last one's grace.
    long = ts[ends - 1] - ts[heads] > grace
    more: list[int] = []
    for begin, end in zip(heads[long].tolist(), ends[long].tolist(), strict=True):
        at = begin + int(np.searchsorted(ts[begin:end], ts[begin] + grace, side="right"))
        while at < end:
            more.append(at)
            at += int(np.searchsorted(ts[at:end], ts[at] + grace, side="right"))
    return np.sort(np.append(heads, np.array(more, np.int64)))
