"""The groups of `--by`, where a report has its rows as arrays: the same rule as `answer.group` has for tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from evlog.query.scope import Scope

    Ints = NDArray[np.int64]

OTHER = "(other)"


def ranked(scope: Scope, names: Sequence[str], number: Ints, person: Ints) -> tuple[list[tuple[str, Ints]], int]:
    """The groups to show, each with its places in the arrays, and how many are withheld.

    `number` is the group of each row, `person` whose it is. Groups come by users, then rows, then text; those past the
    top are one group; one with fewer than `min_users` users is withheld. Without `--by` all rows are one group.
    """
    import numpy as np

    if scope.by is None:
        return [("", np.arange(len(number)))], 0
    rows = np.bincount(number, minlength=len(names)).tolist()
    users = _users(number, person, len(names))
    order = sorted(
        (one for one, size in enumerate(rows) if size), key=lambda one: (-users[one], -rows[one], names[one])
    )
    top = len(order) if scope.top is None else scope.top
    sorted_by = np.argsort(number, kind="stable")
    members = np.split(sorted_by, np.cumsum(rows)[:-1])
    groups = [(names[one], members[one]) for one in order[:top]]
    if order[top:]:
        groups.append((OTHER, np.sort(np.concatenate([members[one] for one in order[top:]]))))
    shown = [group for group in groups if len(np.unique(person[group[1]])) >= scope.min_users]
    return shown, len(groups) - len(shown)


def _users(number: Ints, person: Ints, count: int) -> list[int]:
    """The distinct persons of each group."""
    import numpy as np

    held = np.unique(np.stack([number, person]), axis=1)[0]
    users: list[int] = np.bincount(held, minlength=count).tolist()
    return users
