"""The groups of a break-down over columns of numbers: by users, then events, then text, as `answer.group` has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evlog.query import answer, suppression

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from evlog.query.scope import Scope

    Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Grouped:
    """The groups to show, each with its rows in rising order, and how many are withheld."""

    groups: tuple[tuple[str, Ints], ...]
    withheld: int = 0


def grouped(
    scope: Scope, group: Ints | None, words: Sequence[str], *, person: Ints, events: Ints | None = None
) -> Grouped:
    """The rows of each group; `group` are numbers of `words`, and a row has a person and a number of events, or is one.

    Those past the top are one group; one with fewer than `min_users` persons is withheld, and others with it if its
    numbers would follow from the totals. Without `--by` (no `group`) all rows are one.
    """
    import numpy as np

    if group is None:
        return Grouped((("", np.arange(len(person))),))
    users, sums = _users(group, person, len(words)), _sums(group, events, len(words))
    present = sorted(set(np.unique(group).tolist()), key=lambda n: (-users[n], -sums[n], words[n]))
    top = len(present) if scope.top is None else scope.top
    place = np.zeros(len(words), np.int64)
    place[present] = np.minimum(np.arange(len(present)), top)
    labels = [words[number] for number in present[:top]] + [answer.OTHER] * bool(present[top:])
    order = np.argsort(place[group], kind="stable")
    cuts = np.cumsum(np.bincount(place[group], minlength=len(labels)))[:-1]
    rows = np.split(order, cuts) if labels else []

    def together(cells: Collection[int]) -> int:
        return len(np.unique(person[np.concatenate([rows[cell] for cell in cells])]))

    sizes = [together([cell]) for cell in range(len(rows))]
    cut = suppression.hidden(sizes, scope.min_users, together=together)
    shown = [pair for cell, pair in enumerate(zip(labels, rows, strict=True)) if cell not in cut]
    return Grouped(tuple(shown), len(cut))


def _users(group: Ints, person: Ints, count: int) -> list[int]:
    """The number of persons of each group."""
    import numpy as np

    order = np.lexsort((person, group))
    group, person = group[order], person[order]
    fresh = np.ones(len(group), bool)
    fresh[1:] = (group[1:] != group[:-1]) | (person[1:] != person[:-1])
    return [int(users) for users in np.bincount(group[fresh], minlength=count)]


def _sums(group: Ints, events: Ints | None, count: int) -> list[int]:
    """The number of events of each group."""
    import numpy as np

    if events is None:
        return [int(rows) for rows in np.bincount(group, minlength=count)]
    sums = np.zeros(count, np.int64)
    np.add.at(sums, group, events)
    return [int(total) for total in sums]
