"""What a chain may take from one instant (metrics §7.1, §7.2, §7.5).

A chain's *state* is the set of steps it has filled, a bit each; in order it is a run of low bits. A *move* is the
events it takes from one instant, as their places and the steps they fill, in the order of the chain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from evlog.kernel.effort import Effort
from evlog.kernel.tied import assigned, longest_run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evlog.kernel.moments import Moment
    from evlog.kernel.rules import Rules

Taken = tuple[tuple[int, ...], tuple[int, ...]]
"""Places of the events taken, and the steps (from 0) they fill."""

NOTHING: Taken = ((), ())


class Moves(Protocol):
    """The moves that one way of going through the steps allows."""

    def reached(self, moment: Moment, state: int) -> Iterable[int]:
        """The states that the instant leads to."""

    def taken(self, moment: Moment, state: int) -> dict[int, Taken]:
        """The same states, each with its preferred move: the first to arrive, then the lowest steps."""


def moves(rules: Rules, effort: Effort | None = None) -> Moves:
    """The moves of the rules; in any order they raise `TooManyWays` when the effort is spent."""
    return AnyOrder(rules, effort or Effort()) if rules.order == "any" else InOrder(rules)


class InOrder:
    """Step after step: the run of steps that follow those held."""

    def __init__(self, rules: Rules) -> None:
        self.steps = rules.steps
        self.ties = rules.ties
        self.share = rules.share

    def reached(self, moment: Moment, state: int) -> Iterable[int]:
        """The states that the instant leads to."""
        if not (moment.any & ~state) & (state + 1):
            return ()
        level = state.bit_count()
        return [(1 << end) - 1 for end in range(level + 1, level + self._run(moment, level) + 1)]

    def taken(self, moment: Moment, state: int) -> dict[int, Taken]:
        """The same states with the moves that lead there."""
        level = state.bit_count()
        return {
            reached: (self._places(moment, level, reached.bit_count()), tuple(range(level, reached.bit_count())))
            for reached in self.reached(moment, state)
        }

    def _run(self, moment: Moment, level: int) -> int:
        """How many steps from `level` on the instant's events can fill; the first of them they can."""
        if level >= self.steps:
            return 0
        if self.ties == "strict":
            return 1
        if self.ties == "seq":
            return len(self._in_turn(moment, level, self.steps))
        if self.share:
            lacking = ~(moment.any >> level)
            return min((lacking & -lacking).bit_length() - 1, self.steps - level)
        return longest_run(moment.masks, level, self.steps)

    def _places(self, moment: Moment, level: int, end: int) -> tuple[int, ...]:
        if self.ties == "seq":
            return tuple(self._in_turn(moment, level, end))
        if self.ties == "strict" or self.share:
            return tuple(_first(moment, step) for step in range(level, end))
        return tuple(moment.places[number] for number in assigned(moment.masks, level, end))

    def _in_turn(self, moment: Moment, level: int, end: int) -> list[int]:
        """The places that fill the steps below `end`, each as soon as it arrives."""
        found: list[int] = []
        for place, mask in zip(moment.places, moment.masks, strict=True):
            while level < end and mask >> level & 1:
                found.append(place)
                level += 1
                if not self.share:
                    break
        return found


def _first(moment: Moment, step: int) -> int:
    """The place of the first to arrive that can fill the step."""
    return next(place for place, mask in zip(moment.places, moment.masks, strict=True) if mask >> step & 1)


class AnyOrder:
    """Whatever step comes: distinct events for distinct steps. The chain begins with an event that may open it."""

    def __init__(self, rules: Rules, effort: Effort) -> None:
        self.effort = effort
        self.steps = rules.steps
        self.ties = rules.ties
        self.share = rules.share
        self.first = 1 if rules.anchored else -1  # the steps that may come first

    def reached(self, moment: Moment, state: int) -> Iterable[int]:
        """The states that the instant leads to."""
        self.effort.spend(1)
        if not moment.any & ~state:
            return ()
        if state and len(moment.masks) == 1 and not self.share:
            return [state | 1 << step for step in _bits(moment.any & ~state)]
        return self.taken(moment, state)

    def taken(self, moment: Moment, state: int) -> dict[int, Taken]:
        """The same states with the moves that lead there."""
        events = list(zip(moment.places, moment.masks, strict=True))
        if state:
            return self._added({state: NOTHING}, events)
        found: dict[int, Taken] = {}
        tried: set[int] = set()  # of two like events the first is the better to begin with
        for number, (place, mask) in enumerate(events):
            if moment.opens[number] and mask not in tried:
                tried.add(mask)
                rest = self._beside(events, number)
                for step in _bits(mask & self.first):
                    _keep(found, self._opened(place, step, rest))
        return found

    def _opened(self, place: int, step: int, rest: list[tuple[int, int]]) -> dict[int, Taken]:
        """What the instant leads to from an empty chain whose first event is this."""
        begun: dict[int, Taken] = {1 << step: ((place,), (step,))}
        return begun if self.ties == "strict" else begun | self._added(begun, rest)

    def _beside(self, events: list[tuple[int, int]], number: int) -> list[tuple[int, int]]:
        """The events that may follow one of them inside its instant."""
        earlier = [] if self.ties == "seq" else events[:number]
        return earlier + events[number + (not self.share) :]

    def _added(self, begun: dict[int, Taken], events: list[tuple[int, int]]) -> dict[int, Taken]:
        """The states that more of the events lead to."""
        if self.ties == "strict":
            found: dict[int, Taken] = {}
            for place, mask in events:
                self.effort.spend(len(begun))
                _keep(found, _one_more(begun, place, mask))
            return found
        held = dict(begun)
        for place, mask in self._needed(events):
            fresh = _one_more(held, place, mask)
            while fresh:
                self.effort.spend(len(held) + len(fresh))
                _keep(held, fresh)
                fresh = _one_more(fresh, place, mask) if self.share else {}
        return {state: taken for state, taken in held.items() if state not in begun}

    def _needed(self, events: list[tuple[int, int]]) -> Iterable[tuple[int, int]]:
        """As many events of one mask as there are steps: more cannot all be used."""
        left: dict[int, int] = {}
        for place, mask in events:
            left[mask] = left.get(mask, self.steps) - 1
            if left[mask] >= 0:
                yield place, mask


def _one_more(held: dict[int, Taken], place: int, mask: int) -> dict[int, Taken]:
    """The states after one event has filled one step more."""
    found: dict[int, Taken] = {}
    for state, (places, steps) in held.items():
        for step in _bits(mask & ~state):
            _keep(found, {state | 1 << step: ((*places, place), (*steps, step))})
    return found


def _keep(held: dict[int, Taken], fresh: dict[int, Taken]) -> None:
    """Take over what is new or preferred."""
    for state, taken in fresh.items():
        if state not in held or taken < held[state]:
            held[state] = taken


def _bits(mask: int) -> Iterable[int]:
    """The numbers of the bits that are set."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
