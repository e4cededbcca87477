"""Why an attempt came no further: the first event that could have been its next, and what kept it out (metrics §7)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from evlog.kernel.columns import graced, taken
from evlog.kernel.funnel import attempts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from evlog.kernel.columns import Log
    from evlog.kernel.rules import Rules

    Ints = NDArray[np.int64]

Cause = Literal["never", "earlier", "tied", "window", "step_window", "between", "excluded"]
"""never: no event can fill the step (none but those in the chain); earlier: only before the chain got there, last by
`row`; tied: `row` stands at the instant of the step before; window, step_window: `row` came `late` microseconds too
late; between: `row` broke the strict order; excluded: `row` matches an exclusion."""


@dataclass(frozen=True, slots=True)
class Why:
    """What kept the next step out: the row of the log to show for it, and how late that was."""

    cause: Cause
    row: int | None = None
    late: int | None = None  # microseconds
    candidate: int | None = None  # the row of the event that would have been next


@dataclass(frozen=True, slots=True)
class Explained:
    """One attempt: its rows, the steps (from 0) they fill, and why there is no further one; None if complete."""

    rows: tuple[int, ...]
    steps: tuple[int, ...]
    why: Why | None
    removed: bool = False  # out of the funnel, by the exclusion that `why` tells


def explained(log: Log, person: int, rules: Rules) -> tuple[Explained, ...]:
    """The attempts of one person (or lane), in the order of time; none if nothing could be a first step.

    With `remove` the attempts that an exclusion removes are told as well.
    """
    own = np.flatnonzero(log.person == person)
    mine = graced(taken(log, own), rules)
    unmoved = replace(rules, exclusions=()) if rules.remove else rules
    found = attempts(mine, unmoved)
    told: list[Explained] = []
    for chain, level, number in zip(found.chain, found.level.tolist(), range(len(found.level)), strict=True):
        steps = tuple(range(level)) if found.filled is None else tuple(found.filled[number, :level].tolist())
        attempt = _Attempt(mine, unmoved, tuple(chain[:level].tolist()), steps)
        hit = _Attempt(mine, rules, attempt.places, steps).tainted() if rules.remove else None
        why = attempt.why() if hit is None else Why("excluded", hit)
        places = own[list(attempt.places)].tolist()
        told.append(Explained(tuple(places), steps, _placed(why, own), removed=hit is not None))
    return tuple(told)


def _placed(why: Why | None, own: Ints) -> Why | None:
    """The same with rows of the whole log."""
    if why is None:
        return None
    row = None if why.row is None else int(own[why.row])
    return replace(why, row=row, candidate=None if why.candidate is None else int(own[why.candidate]))


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A chain in one person's log, by places."""

    log: Log
    rules: Rules
    places: tuple[int, ...]
    steps: tuple[int, ...]

    def why(self) -> Why | None:
        """Why there is no next step."""
        if len(self.places) == self.rules.steps:
            return None
        able = self._able()
        after = able[self._follows(able)]
        if len(after):
            return self._obstacle(int(after[0]))
        tied = able[self.log.ts[able] == self.log.ts[self.places[-1]]]
        if len(tied):
            return Why("tied", int(tied[-1]), candidate=int(tied[-1]))
        return Why("earlier", int(able[-1]), candidate=int(able[-1])) if len(able) else Why("never")

    def tainted(self) -> int | None:
        """The place of the first event that hits the chain; None if none does (metrics §7.9)."""
        return min(self._hits(self.log.ts[list(self.places)].tolist()), default=None)

    def _able(self) -> Ints:
        """The places of the events outside the chain that can fill a step that may be next."""
        wanted = 1 << len(self.places)
        if self.rules.order == "any":
            wanted = ((1 << self.rules.steps) - 1) & ~sum(1 << step for step in self.steps)
        fits = (self.log.fills & wanted) != 0
        fits[list(self.places)] = False
        return np.flatnonzero(fits)

    def _follows(self, able: Ints) -> NDArray[np.bool_]:
        """Whether each may come after the last event of the chain, as ties go."""
        last = self.places[-1]
        if self.rules.ties == "seq":
            return able > last
        soonest = self.log.ts[last] + (self.rules.ties == "strict")
        return np.asarray(self.log.ts[able] >= soonest, np.bool_)

    def _obstacle(self, candidate: int) -> Why:
        """What kept this event out: of several the one that came first."""
        found = min(self._obstacles(candidate), key=lambda obstacle: obstacle[0])[1]
        return replace(found, candidate=candidate)

    def _obstacles(self, candidate: int) -> Iterator[tuple[int, Why]]:
        """What keeps the event out, each with its instant."""
        ts = self.log.ts
        chain = ts[list(self.places)].tolist()
        at = int(ts[candidate])
        for place in self._hits([*chain, at]):
            yield int(ts[place]), Why("excluded", place)
        if self.rules.order == "strict":
            for place in np.flatnonzero((ts > chain[-1]) & (ts < at) & self._breaking())[:1].tolist():
                yield int(ts[place]), Why("between", place)
        for cause, end in (
            ("step_window", chain[-1] + self.rules.step_window),
            ("window", chain[0] + self.rules.window),
        ):
            if at > end:
                yield end, Why("window" if cause == "window" else "step_window", candidate, at - end)

    def _hits(self, instants: list[int]) -> Iterator[int]:
        """The place, for each exclusion, of the first event that hits a chain of these instants."""
        if self.log.excluded is None:
            return
        for exclusion in self.rules.exclusions:
            if len(instants) > exclusion.first:
                begin, end = instants[exclusion.first - 1], instants[min(exclusion.last, len(instants)) - 1]
                inside = (self.log.ts > begin) & (self.log.ts < end)
                yield from np.flatnonzero(inside & ((self.log.excluded >> exclusion.bit & 1) == 1))[:1].tolist()

    def _breaking(self) -> NDArray[np.bool_]:
        """Whether each event breaks a strict order."""
        if self.log.breaks is None:
            return np.ones(len(self.log.ts), bool)
        return np.asarray(self.log.breaks | (self.log.fills != 0), np.bool_)
