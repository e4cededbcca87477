"""One person's best attempt in any order: a window slides over the instants, a matching with it (metrics §7.2).

How many steps can be filled between two instants is the size of a matching, and never less for more instants. So
the first opener whose window holds an instant has the deepest chain that ends there, and the latest start is found by
going back from the end until as many steps are filled. Which of the chains between these two is told by `together`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evlog.kernel.matching import Cover, Matching
from evlog.kernel.moves import NOTHING
from evlog.kernel.together import Together, openers, shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evlog.kernel.matching import Filling
    from evlog.kernel.moments import Moment
    from evlog.kernel.moves import Taken
    from evlog.kernel.rules import Rules


def slid(instants: Sequence[Moment], rules: Rules) -> Taken:
    """The deepest chain, the earliest complete of those, and so on (see `funnel`)."""
    able = [moment for moment in instants if moment.any]
    stands = [_stand(moment, rules) for moment in able]
    begin, end, level = _furthest(stands, rules)
    if not level:
        return NOTHING
    if rules.start == "last":
        begin = _latest(stands, rules, begin=begin, end=end, level=level)
    chains = Together(able[begin], rules)
    for moment in able[begin + 1 : end + 1]:
        if chains.level == level:
            break
        chains.advanced(moment)
    return chains.taken


@dataclass(frozen=True, slots=True)
class _Stand:
    """One instant as the matching sees it: the masks of its events, without step 1 where only an opener may fill it.

    Where a chain begins here it may use those `kept` and not those `lost`; `openers` are the masks to begin with.
    """

    ts: int
    lost: list[int]
    kept: list[int]
    openers: list[int]


def _stand(moment: Moment, rules: Rules) -> _Stand:
    """The instant by its ties."""
    able = openers(moment, rules)
    rest = -2 if rules.anchored else -1
    if rules.ties == "strict":
        opener = 0
        for number in able:
            opener |= moment.masks[number]
        return _Stand(moment.ts, [moment.any & rest], [], [opener & rest] if able else [])
    masks = [mask & rest for mask in moment.masks] if rules.anchored else moment.masks
    before = able[0] if able and rules.ties == "seq" else 0
    return _Stand(moment.ts, masks[:before], masks[before:], [masks[number] for number in able])


def _filling(rules: Rules) -> Filling:
    return Cover() if shares(rules) else Matching(rules.steps)


def _furthest(stands: Sequence[_Stand], rules: Rules) -> tuple[int, int, int]:
    """The deepest level, after the first stand at which it is reached and the first from which it is."""
    begin = end = level = 0
    filling, start = _filling(rules), -1
    for number, stand in enumerate(stands):
        if start >= 0 and stand.ts - stands[start].ts > rules.window:
            start = _moved(filling, stands, start, number, rules)
        if start >= 0:
            _add(filling, stand.lost)
        elif stand.openers:
            start = number
        else:
            continue
        _add(filling, stand.kept)
        if filling.size < level:
            continue
        reached = _level(filling, stands[start], rules)
        if reached > level:
            begin, end, level = start, number, reached
            if level == rules.steps:
                break
    return begin, end, level


def _moved(filling: Filling, stands: Sequence[_Stand], start: int, number: int, rules: Rules) -> int:
    """The next start whose window holds the stand of this number; -1 if none before it. The matching goes along."""
    early = stands[number].ts - rules.window
    _remove(filling, stands[start].kept)
    for at in range(start + 1, number):
        stand = stands[at]
        _remove(filling, stand.lost)
        if stand.ts >= early and stand.openers:
            return at
        _remove(filling, stand.kept)
    return -1


def _latest(stands: Sequence[_Stand], rules: Rules, *, begin: int, end: int, level: int) -> int:
    """The last start from which the level is reached by the end; `begin` is one."""
    filling = _filling(rules)
    for at in range(end, begin, -1):
        stand = stands[at]
        _add(filling, stand.kept)
        if stand.openers and filling.size + 1 >= level and _level(filling, stand, rules) >= level:
            return at
        _add(filling, stand.lost)
    return begin


def _level(filling: Filling, start: _Stand, rules: Rules) -> int:
    """The steps of the deepest chain that begins there."""
    if rules.anchored:
        if rules.ties == "strict" or rules.share:
            return filling.size + 1
        return 1 + max(_without(filling, mask) for mask in dict.fromkeys(start.openers))
    return _with(filling, start.openers[0]) if rules.ties == "strict" else filling.size


def _with(filling: Filling, mask: int) -> int:
    """The steps that are filled with one event more."""
    filling.add(mask)
    size = filling.size
    filling.remove(mask)
    return size


def _without(filling: Filling, mask: int) -> int:
    """The steps that are filled with one event less."""
    filling.remove(mask)
    size = filling.size
    filling.add(mask)
    return size


def _add(filling: Filling, masks: list[int]) -> None:
    for mask in masks:
        filling.add(mask)


def _remove(filling: Filling, masks: list[int]) -> None:
    for mask in masks:
        filling.remove(mask)
