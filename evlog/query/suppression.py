"""Which numbers of a table are hidden, so that none about fewer people than asked for can be computed from the others.

A cell about fewer than `least` users is hidden. That is not enough. Totals are known: of the groups of an answer (its
summary), of the rows of a group, of a row in all groups (the same question without `--by`). Who subtracts from one what
is shown has what is hidden, if it is one cell; or what a few people did, if all hidden cells are about few. So more are
hidden, the smallest first, until in every line whose total can be known

- nothing is hidden, or at least two cells that together are about at least `least` users;
- no sum or difference of lines leaves a single cell that is too small.

A total can be known where it is of two cells at least and of `least` users. Where all in reach is hidden, nothing more
can be done. What is held back is numbers, not bounds: a hidden one is still no larger than what the total leaves.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Mapping, Sequence

    Ends = tuple[Hashable, Hashable]

_PAIR = 2  # of two hidden cells neither can be computed from their sum
_NOWHERE = object()
"""The other end of a cell that lies on one known line only."""


def hidden(
    sizes: Sequence[int],
    least: int,
    *,
    lines: Sequence[Ends] | None = None,
    together: Callable[[Collection[int]], int] | None = None,
) -> frozenset[int]:
    """The numbers of the cells to hide; cell n is about `sizes[n]` users and lies on the two lines `lines[n]`.

    Without `lines` all lie on one. `together` says how many users some cells are about; if it is not given, only the
    users of the largest are sure to be different people.
    """
    held = {number for number, size in enumerate(sizes) if size < least}
    if not held:
        return frozenset()
    table = _Table(sizes, least, lines or [("", _NOWHERE)] * len(sizes), together)
    small = frozenset(held)
    while more := table.unsafe(held) or table.exposed(held, small):
        held |= more
    return frozenset(held)


class _Table:
    """Cells and the lines of which a total can be known."""

    def __init__(
        self,
        sizes: Sequence[int],
        least: int,
        lines: Sequence[Ends],
        together: Callable[[Collection[int]], int] | None,
    ) -> None:
        self.sizes = sizes
        self.least = least
        self.together = together or (lambda cells: max(sizes[cell] for cell in cells))
        found: dict[Hashable, list[int]] = defaultdict(list)
        for number, ends in enumerate(lines):
            for end in ends:
                found[end].append(number)
        self.known = {end: cells for end, cells in found.items() if self._can_be_known(end, cells)}
        self.ends = [[end if end in self.known else _NOWHERE for end in pair] for pair in lines]

    def _can_be_known(self, end: Hashable, cells: Sequence[int]) -> bool:
        return end is not _NOWHERE and len(cells) >= _PAIR and sum(self.sizes[cell] for cell in cells) >= self.least

    def unsafe(self, held: Collection[int]) -> set[int]:
        """What to hide next for the sake of each line by itself."""
        return {
            self._smallest(shown)
            for cells in self.known.values()
            if (shown := [cell for cell in cells if cell not in held])
            and (gone := [cell for cell in cells if cell in held])
            and (len(gone) < _PAIR or self.together(gone) < self.least)
        }

    def exposed(self, held: Collection[int], small: Collection[int]) -> set[int]:
        """What to hide next for cells that follow from several lines: those without which the others fall apart."""
        near = (
            {cell for end in self.ends[number] for cell in self.known.get(end, ()) if cell not in held}
            for number in bridges({cell: self.ends[cell] for cell in sorted(held)})
            if number in small
        )
        return {self._smallest(cells) for cells in near if cells}

    def _smallest(self, cells: Collection[int]) -> int:
        """The smallest of the cells; of equal ones the last."""
        return min(cells, key=lambda cell: (self.sizes[cell], -cell))


def bridges(edges: Mapping[int, Sequence[Hashable]]) -> set[int]:
    """The edges of a graph that lie on no circle; an edge is a number and its two ends.

    Where nodes are known totals and edges hidden cells, in rows and columns, these are the cells that can be computed.
    """
    around: dict[Hashable, list[tuple[int, Hashable]]] = defaultdict(list)
    for number, (one, other) in edges.items():
        around[one].append((number, other))
        around[other].append((number, one))
    first: dict[Hashable, int] = {}
    lowest: dict[Hashable, int] = {}
    return set(chain.from_iterable(_walk(start, around, first, lowest) for start in list(around) if start not in first))


def _walk(
    start: Hashable,
    around: Mapping[Hashable, Sequence[tuple[int, Hashable]]],
    first: dict[Hashable, int],
    lowest: dict[Hashable, int],
) -> list[int]:
    """The bridges among what can be reached from `start`: edges over which nothing leads back."""
    found = []
    first[start] = lowest[start] = len(first)
    path = [(start, -1, iter(around[start]))]
    while path:
        node, came, rest = path[-1]
        step = next(rest, None)
        if step is None:
            path.pop()
            if path:
                before = path[-1][0]
                lowest[before] = min(lowest[before], lowest[node])
                found += [came] if lowest[node] > first[before] else []
        elif step[0] != came:
            number, other = step
            if other in first:
                lowest[node] = min(lowest[node], first[other])
            else:
                first[other] = lowest[other] = len(first)
                path.append((other, number, iter(around[other])))
    return found
