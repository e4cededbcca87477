"""One person's attempts under any rules: the exact search that the faster roads must agree with (metrics §7.13).

`best` goes forward once to learn how deep a chain can come and when the first such is complete, then backward from
there to find which one it is. What is kept of the chains that hold one state is only what a later event can ask of
them: the latest start if the window is limited, the latest step if the time between steps is, and where both are, all
pairs of which none is later in both. Everything else a chain may still do depends on its state alone: exclusions on
how many steps it holds, strict order on nothing but its being alive. In any order the states are all sets of steps: how
many may be looked at is limited, and where only the window counts `slid` needs none. `_greedily` is one pass along a
start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from evlog.kernel.effort import MOST, TooManyWays
from evlog.kernel.moves import NOTHING, InOrder, moves
from evlog.kernel.rules import FOREVER
from evlog.kernel.slid import slid
from evlog.kernel.together import Together, openers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evlog.kernel.effort import Effort
    from evlog.kernel.moments import Moment
    from evlog.kernel.moves import Moves, Taken
    from evlog.kernel.rules import Rules

_Front = list[tuple[int, int]]
"""Pairs of start and latest step, none of them later in both than another."""


class _Suffix(NamedTuple):
    """The rest of a chain; compared in this order, the less the better."""

    instants: tuple[int, ...]
    places: tuple[int, ...]
    steps: tuple[int, ...]


def searched(instants: Sequence[Moment], rules: Rules, effort: Effort | None = None) -> list[Taken]:
    """The attempts of one person: places and steps of each; none without an event to begin with.

    Raises `TooManyWays` where every set of steps would have to be looked at and `effort` is spent.
    """
    if rules.attempt != "best":
        return _greedily(instants, rules)
    found = slid(instants, rules) if _slides(instants, rules) else _best(instants, rules, effort)
    return [found] if found[0] else []


def _slides(instants: Sequence[Moment], rules: Rules) -> bool:
    """Whether any order is asked for, and nothing but the window limits it."""
    if rules.order != "any" or rules.step_window < rules.window:
        return False
    return not (rules.exclusions and any(moment.hit for moment in instants))


def dead(hit: int, level: int, reached: int, rules: Rules) -> bool:
    """Whether exclusions at an instant end a chain that held `level` steps before it and `reached` after it."""
    return any(
        hit >> exclusion.bit & 1 and exclusion.first <= level and reached < exclusion.last
        for exclusion in rules.exclusions
    )


def _best(instants: Sequence[Moment], rules: Rules, effort: Effort | None) -> Taken:
    """The deepest chain, the earliest complete of those, and so on (see `funnel`)."""
    way = moves(rules, effort)
    level, end, states = _furthest(instants, way, rules)
    if not level:
        return NOTHING
    return _chosen(instants[: end + 1], way, rules, level=level, states=states)


def _furthest(instants: Sequence[Moment], way: Moves, rules: Rules) -> tuple[int, int, list[int]]:
    """The deepest level, the number of the first instant at which it is reached, and all states that were held."""
    held: dict[int, _Front] = {}
    known = {0}
    level, end = 0, -1
    for number, moment in enumerate(instants):
        fresh: dict[int, _Front] = {}
        for state, front in ((0, [(moment.ts, moment.ts)]), *held.items()):
            states = way.reached(moment, state)
            alive = _alive(front, moment.ts, rules) if states else []
            if not alive:
                continue
            for reached in states:
                count = reached.bit_count()
                if count > level:
                    level, end = count, number
                if not (moment.hit and dead(moment.hit, state.bit_count(), count, rules)):
                    fresh.setdefault(reached, []).extend((start, moment.ts) for start, _ in alive)
        if level == rules.steps:
            break
        held = _passed(held, moment, rules)
        for reached, front in fresh.items():
            held[reached] = _foremost(held.get(reached, []) + front, rules)
        known.update(fresh)
        if len(known) > MOST:
            raise TooManyWays
    return level, end, sorted(known)


def _alive(front: _Front, ts: int, rules: Rules) -> _Front:
    """Those that an event at `ts` may still join."""
    return [pair for pair in front if ts - pair[0] <= rules.window and ts - pair[1] <= rules.step_window]


def _passed(held: dict[int, _Front], moment: Moment, rules: Rules) -> dict[int, _Front]:
    """Those that outlive an instant they take nothing from."""
    if moment.breaks:
        return {}
    if not moment.hit:
        return held
    levels = {state: state.bit_count() for state in held}
    return {state: held[state] for state, at in levels.items() if not dead(moment.hit, at, at, rules)}


def _foremost(front: _Front, rules: Rules) -> _Front:
    """The pairs worth keeping."""
    if rules.window >= FOREVER:
        return [max(front, key=lambda pair: pair[1])]
    if rules.step_window >= FOREVER:
        return [max(front)]
    kept: _Front = []
    for pair in sorted(set(front), reverse=True):
        if not kept or pair[1] > kept[-1][1]:
            kept.append(pair)
    return kept


def _chosen(instants: Sequence[Moment], way: Moves, rules: Rules, *, level: int, states: list[int]) -> Taken:
    """The preferred chain of the level that ends at the last of the instants.

    `later` holds, by state, when the next event of a chain that gets there must come, and the best rest of it.
    """
    finish = instants[-1].ts
    later: dict[int, tuple[int, _Suffix]] = {}
    found = _Suffix((), (), ())
    for moment in reversed(instants):
        if finish - moment.ts > rules.window:
            break
        here: dict[int, tuple[int, _Suffix]] = {}
        for state in states:
            rest = _rest(moment, way, rules, state=state, level=level, later=later if moment.ts < finish else None)
            if rest is not None:
                here[state] = (moment.ts, rest)
        if 0 in here:
            found = here.pop(0)[1]
            if rules.start == "last":
                break
        later = _preceded(later, moment, rules) | here
    return found.places, found.steps


def _rest(
    moment: Moment, way: Moves, rules: Rules, *, state: int, level: int, later: dict[int, tuple[int, _Suffix]] | None
) -> _Suffix | None:
    """The best rest of a chain that takes something of this instant; `later` is None at the instant it ends at."""
    found: _Suffix | None = None
    if not way.reached(moment, state):
        return None
    for reached, (places, steps) in way.taken(moment, state).items():
        count = reached.bit_count()
        if later is None:
            if count != level:
                continue
            after = _Suffix((), (), ())
        else:
            if reached not in later or (moment.hit and dead(moment.hit, state.bit_count(), count, rules)):
                continue
            ts, after = later[reached]
            if ts - moment.ts > rules.step_window:
                continue
        own = (moment.ts,) * len(places) + after.instants
        rest = _Suffix(own, places + after.places, steps + after.steps)
        found = rest if found is None else min(found, rest)
    return found


def _preceded(later: dict[int, tuple[int, _Suffix]], moment: Moment, rules: Rules) -> dict[int, tuple[int, _Suffix]]:
    """What is still within reach of a chain that comes before this instant and takes nothing from it."""
    if moment.breaks:
        return {}
    if not moment.hit:
        return later
    levels = {state: state.bit_count() for state in later}
    return {state: later[state] for state, at in levels.items() if not dead(moment.hit, at, at, rules)}


class _Walk(Protocol):
    """An attempt on its way."""

    start: int
    latest: int  # the instant of its latest step

    @property
    def level(self) -> int:
        """How many steps it has."""

    @property
    def taken(self) -> Taken:
        """Its places, and the steps they fill."""

    def advanced(self, moment: Moment) -> bool:
        """Whether it took something from the instant: as many steps as it could."""


class _Run:
    """An attempt that goes step after step."""

    __slots__ = ("_way", "latest", "start", "taken")

    def __init__(self, moment: Moment, way: InOrder) -> None:
        self.start = moment.ts
        self.taken = NOTHING
        self._way = way
        self.advanced(moment)

    @property
    def level(self) -> int:
        return len(self.taken[0])

    def advanced(self, moment: Moment) -> bool:
        found = self._way.taken(moment, (1 << self.level) - 1)
        if not found:
            return False
        places, steps = found[max(found)]
        self.taken = self.taken[0] + places, self.taken[1] + steps
        self.latest = moment.ts
        return True


def _begun(moment: Moment, rules: Rules) -> _Walk | None:
    """The attempt that begins here, with all that can be taken here."""
    if not moment.any:
        return None
    if rules.order == "any":
        return Together(moment, rules) if openers(moment, rules) else None
    run = _Run(moment, InOrder(rules))
    return run if run.level else None


def _greedily(instants: Sequence[Moment], rules: Rules) -> list[Taken]:
    """The attempt from the first start, each step as soon as can be; with `all` the next one when it is over."""
    found: list[Taken] = []
    number, within = 0, None
    while number < len(instants):
        walk = _begun(within or instants[number], rules)
        if walk is None:
            number, within = number + 1, None
            continue
        number, within = _walked(walk, instants, number, rules)
        found.append(walk.taken)
        if rules.attempt == "first":
            break
    return found


def _walked(walk: _Walk, instants: Sequence[Moment], number: int, rules: Rules) -> tuple[int, Moment | None]:
    """Where the next attempt may open: the number of an instant, and what is left of it if not all.

    It may open after the conversion, after the window, after an exclusion that ended this one, or where strict order
    was broken.
    """
    while walk.level < rules.steps:
        number += 1
        if number == len(instants) or not _alive([(walk.start, walk.latest)], instants[number].ts, rules):
            return number, None
        moment = instants[number]
        level = walk.level
        advanced = bool(moment.any) and walk.advanced(moment)
        if not advanced and moment.breaks:
            return number, None
        if moment.hit and dead(moment.hit, level, walk.level, rules):
            return number + 1, None
    if rules.ties != "seq":
        return number + 1, None
    left = instants[number].after(walk.taken[0][-1])
    return (number, left) if left.any else (number + 1, None)
