"""What may be shown of a table when numbers about few people must not come out: by counting sets, and by an attacker.

The attacker knows every number that is shown and the totals of lines, and tries all linear combinations of them: a hidden
number is known to them if the equations leave it one value.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def groups(people: Sequence[set[Any]], least: int) -> set[int]:
    """The groups that are hidden, each given as its people: the small ones, and the smallest others as long as need be."""
    hidden = {place for place, held in enumerate(people) if len(held) < least}
    if len(people) < 2 or sum(map(len, people)) < least:
        return hidden
    order = sorted(range(len(people)), key=lambda place: (len(people[place]), -place))
    for place in order:
        if not hidden or (len(hidden) >= 2 and len(set().union(*(people[one] for one in hidden))) >= least):
            break
        hidden.add(place)
    return hidden


def rows(sizes: Sequence[int], least: int) -> set[int]:
    """The same where only numbers of people are known: those of several rows may all be the same ones."""
    return groups([set(range(size)) for size in sizes], least)


def totals(summary: dict[str, Any], hidden: int, shown: int, people: int, least: int) -> dict[str, Any]:
    """The summary, or nothing where it would tell what is hidden."""
    tells = hidden and (people < least or (hidden == 1 and not shown))
    return dict.fromkeys(summary) if tells else summary


def computable(lines: Iterable[Sequence[int]], hidden: set[int]) -> set[int]:
    """The hidden cells that follow from the totals of lines: Gauss's elimination over fractions."""
    cells = sorted(hidden)
    system = [[Fraction(cell in line) for cell in cells] for line in lines]
    pivots: dict[int, list[Fraction]] = {}
    for equation in system:
        left = equation
        for column, row in pivots.items():
            if left[column]:
                left = [a - left[column] * b for a, b in zip(left, row, strict=True)]
        column = next((place for place, value in enumerate(left) if value), None)
        if column is None:
            continue
        left = [value / left[column] for value in left]
        for other, row in pivots.items():
            if row[column]:
                pivots[other] = [a - row[column] * b for a, b in zip(row, left, strict=True)]
        pivots[column] = left
    return {cells[column] for column, row in pivots.items() if sum(map(bool, row)) == 1}


def held_back(lines: Iterable[Sequence[int]], sizes: Sequence[int], hidden: set[int], least: int) -> None:
    """Assert that no small number of a table comes out, if the totals of these lines of cells are known."""
    small = {number for number, size in enumerate(sizes) if size < least}
    assert small <= hidden
    assert small or not hidden
    for line in lines:
        if len(line) > 1 and sum(sizes[n] for n in line) >= least:
            gone = [n for n in line if n in hidden]
            enough = len(gone) > 1 and max(sizes[n] for n in gone) >= least
            assert not gone or enough or len(gone) == len(line), "a sum about few people comes out"
