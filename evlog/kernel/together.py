"""Chains in any order that take all they can, instant by instant (metrics §7.2).

Events that can fill steps together are a matroid: who takes each event that fills one step more, in the order of time,
ends with as many steps as can be, and no chain with this start has its k-th step earlier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from evlog.kernel.matching import Matching, bits, foremost, lowest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evlog.kernel.moments import Moment
    from evlog.kernel.moves import Taken
    from evlog.kernel.rules import Rules

_Events = list[tuple[int, int]]
"""Places with masks, as they arrived."""


class Together:
    """The chains from one instant: all of the same length, by what they begin with."""

    def __init__(self, moment: Moment, rules: Rules) -> None:
        """The chains that begin here; `openers(moment, rules)` must not be empty."""
        self.start = self.latest = moment.ts
        self._rest = -2 if rules.anchored else -1  # the steps that any event may fill
        self._held = _kept(list(_begun(moment, rules, self._rest)))

    @property
    def level(self) -> int:
        """How many steps each has."""
        return self._held[0].level

    @property
    def taken(self) -> Taken:
        """The preferred of them."""
        return min(chain.taken for chain in self._held)

    def advanced(self, moment: Moment) -> bool:
        """Whether one more step could be taken from the instant; then all that can be is."""
        level = self.level
        events = _able(moment, self._rest)
        for chain in self._held:
            chain.take(events)
        self._held = _kept(self._held)
        if self.level == level:
            return False
        self.latest = moment.ts
        return True


class _Chain(Protocol):
    """One chain on its way."""

    @property
    def level(self) -> int:
        """How many steps it has."""

    @property
    def taken(self) -> Taken:
        """Its places, and the steps they fill."""

    def take(self, events: _Events) -> None:
        """Take all that can be from what stands at one instant."""


class _Matched:
    """A chain of distinct events, or with strict ties of distinct instants."""

    __slots__ = ("_chosen", "_filling", "_singly", "_steps")

    def __init__(self, opener: _Events, rules: Rules) -> None:
        self._steps = rules.steps
        self._singly = rules.ties == "strict"  # an instant counts as one event: any of those that stand there
        self._filling = Matching(rules.steps)
        self._filling.add(_union(opener))
        self._chosen = [opener]

    @property
    def level(self) -> int:
        return len(self._chosen)

    @property
    def taken(self) -> Taken:
        which = (0,) * self.level
        if self._singly:
            which = foremost([[mask for _, mask in events] for events in self._chosen], self._steps)
        links = [events[number] for events, number in zip(self._chosen, which, strict=True)]
        return tuple(place for place, _ in links), lowest(tuple(mask for _, mask in links), self._steps)

    def take(self, events: _Events) -> None:
        if not self._filling.free:
            return
        for own in [events] if self._singly and events else [[event] for event in events]:
            if self._filling.add(_union(own)):
                self._chosen.append(own)


class _Shared:
    """A chain in which an event fills all the steps it can, and the opener this one first."""

    __slots__ = ("_filled", "_links")

    def __init__(self, place: int, step: int) -> None:
        self._filled = step
        self._links = [(place, step)]

    @property
    def level(self) -> int:
        return len(self._links)

    @property
    def taken(self) -> Taken:
        places, steps = zip(*self._links, strict=True)
        return places, tuple(step.bit_length() - 1 for step in steps)

    def take(self, events: _Events) -> None:
        for place, mask in events:
            self._links += [(place, step) for step in bits(mask & ~self._filled)]
            self._filled |= mask


def openers(moment: Moment, rules: Rules) -> list[int]:
    """The numbers of the events that a chain may begin with; of those that arrive in turn only the first is worth it.

    One later in its instant leads to nothing better: the first takes its part.
    """
    first = 1 if rules.anchored else -1
    able = [number for number, mask in enumerate(moment.masks) if moment.opens[number] and mask & first]
    return able[:1] if rules.ties == "seq" else able


def shares(rules: Rules) -> bool:
    """Whether one event may fill several steps; never where each must come strictly later."""
    return rules.share and rules.ties != "strict"


def _begun(moment: Moment, rules: Rules, rest: int) -> Iterable[_Chain]:
    """The chains that begin at the instant, with all they can take there."""
    able = openers(moment, rules)
    first = 1 if rules.anchored else -1
    if rules.ties == "strict":
        yield _Matched([(moment.places[number], moment.masks[number] & first) for number in able], rules)
        return
    events = list(zip(moment.places, moment.masks, strict=True))
    if not (rules.anchored and not rules.share):
        able = able[:1]
    likes: dict[int, int] = {}
    for number in able:
        likes.setdefault(moment.masks[number], number)  # of two alike the first is the better to begin with
    for mask, number in likes.items():
        beside = ([] if rules.ties == "seq" else events[:number]) + events[number + (not rules.share) :]
        others = [(place, own & rest) for place, own in beside if own & rest]
        place = moment.places[number]
        chains: list[_Chain] = [_Matched([(place, mask & first)], rules)]
        if rules.share:
            chains = [_Shared(place, step) for step in bits(mask & first)]
        for chain in chains:
            chain.take(others)
            yield chain


def _kept(chains: Sequence[_Chain]) -> list[_Chain]:
    """The chains with the most steps: no other ever catches up."""
    if len(chains) == 1:
        return list(chains)
    most = max(chain.level for chain in chains)
    return [chain for chain in chains if chain.level == most]


def _able(moment: Moment, rest: int) -> _Events:
    """The events that can fill one of these steps."""
    return [(place, own) for place, mask in zip(moment.places, moment.masks, strict=True) if (own := mask & rest)]


def _union(events: _Events) -> int:
    found = 0
    for _, mask in events:
        found |= mask
    return found
