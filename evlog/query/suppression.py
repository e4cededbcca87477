"""Which numbers of a table are hidden, so that none about fewer people than asked for can be computed from the others.

A cell about fewer than `least` users is hidden. That is not enough. Totals are known: of all cells (the summary), and
of a row in all groups (the same question without `--by`). Who subtracts from a total what is shown has what is hidden,
if it is one cell; or what a few people did, if all hidden cells are about few. So more cells are hidden, the smallest
first, until in every line of cells whose total can be known

- nothing is hidden, or at least two cells that together are about at least `least` users.

A total can be known where it is of two cells at least and of `least` users. Where all cells of a line are hidden,
nothing more can be done. What is held back is numbers, not bounds (a hidden one is no larger than what the total
leaves), and of groups that are hidden, numbers of each: not what they did together, row by row.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Sequence

    Lines = tuple[Hashable, ...]

_PAIR = 2  # of two hidden cells neither can be computed from their sum


def hidden(
    sizes: Sequence[int],
    least: int,
    *,
    lines: Sequence[Lines] | None = None,
    together: Callable[[Collection[int]], int] | None = None,
) -> frozenset[int]:
    """The numbers of the cells to hide; cell n is about `sizes[n]` users and lies on `lines[n]`, by default all on one.

    `together` says how many users some cells are about; if it is not given, only the users of the largest are sure to
    be different people.
    """
    held = {number for number, size in enumerate(sizes) if size < least}
    if not held:
        return frozenset()
    users = together or (lambda cells: max(sizes[cell] for cell in cells))
    known = _known(sizes, least, lines or [("",)] * len(sizes))

    def unsafe(cells: Sequence[int]) -> bool:
        gone = [cell for cell in cells if cell in held]
        return bool(gone) and len(gone) < len(cells) and (len(gone) < _PAIR or users(gone) < least)

    while short := [cells for cells in known if unsafe(cells)]:
        held |= {min(set(cells) - held, key=lambda cell: (sizes[cell], -cell)) for cells in short}
    return frozenset(held)


def _known(sizes: Sequence[int], least: int, lines: Sequence[Lines]) -> list[list[int]]:
    """The cells of each line whose total can be known."""
    found: dict[Hashable, list[int]] = defaultdict(list)
    for number, own in enumerate(lines):
        for line in own:
            found[line].append(number)
    return [cells for cells in found.values() if len(cells) >= _PAIR and sum(sizes[cell] for cell in cells) >= least]


def crossed(keys: Sequence[Hashable], sizes: Sequence[int], least: int) -> list[Lines]:
    """The lines of cells that are rows of several groups, by what each is about: all that are about it, and the rest.

    The rest is what the same question without groups hides: all that is about few, and the smallest other. Which that
    is, is told by sums: it is sure as long as users keep to one group.
    """
    about: dict[Hashable, list[int]] = defaultdict(list)
    for key, size in zip(keys, sizes, strict=True):
        about[key].append(size)
    few = {key for key, held in about.items() if max(held) < least}
    others = {key: sum(held) for key, held in about.items() if key not in few}
    smallest = {key for key, users in others.items() if users == min(others.values())} if few else set()
    rest: dict[Hashable, Lines] = {
        key: tuple(("rest", other) for other in smallest if key in few or key == other) for key in about
    }
    return [(("all", key), *rest[key]) for key in keys]
