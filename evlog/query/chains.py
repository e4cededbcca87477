"""Chains of links between ids: where each one ends, circles broken at their latest link, mutual ids made one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Link = tuple[str, str, int]
"""From an id, to an id, and when it was said: the greatest said of an id holds."""


def ends(links: Iterable[Link], mutual: Iterable[tuple[str, str]]) -> tuple[dict[str, str], int]:
    """Whom each id in `links` and `mutual` means in the end, and how many links were left out for closing a circle."""
    said: dict[str, list[tuple[int, str]]] = {}
    for source, target, moment in links:
        said.setdefault(source, []).append((moment, target))
    for found in said.values():
        found.sort()
    known = sorted(said)
    left_out = 0
    while latest := [_latest(circle, said) for circle in _circles({one: found[-1][1] for one, found in said.items()})]:
        for one in latest:
            said[one].pop()
            if not said[one]:
                del said[one]
        left_out += len(latest)
    together = _together({one: found[-1][1] for one, found in said.items()}, mutual)
    return {one: one for one in known} | together, left_out


def _latest(circle: list[str], said: Mapping[str, list[tuple[int, str]]]) -> str:
    """The id in a circle whose link was said last."""
    return max(circle, key=lambda one: (said[one][-1][0], one))


def _circles(onward: Mapping[str, str]) -> list[list[str]]:
    """The circles among ids each of which leads to one other."""
    found: list[list[str]] = []
    walk: dict[str, int] = {}  # an id → the number of the walk that first came by
    for number, start in enumerate(onward):
        path: list[str] = []
        one = start
        while one in onward and one not in walk:
            walk[one] = number
            path.append(one)
            one = onward[one]
        if walk.get(one) == number and one in onward:
            found.append(path[path.index(one) :])
    return found


def _together(onward: Mapping[str, str], mutual: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Whom each id means: where its chain ends, and the first (as text) of those that are one with that."""
    above: dict[str, str] = dict(onward)

    def end(one: str) -> str:
        path = []
        while one in above:
            path.append(one)
            one = above[one]
        for passed in path:
            above[passed] = one  # the next walk is short
        return one

    ids = set(onward) | set(onward.values())
    for one, other in mutual:
        ids |= {one, other}
        first, second = sorted((end(one), end(other)))
        if first != second:
            above[second] = first
    return {one: end(one) for one in sorted(ids)}
