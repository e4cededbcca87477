"""Tables of several periods at once: what a report answers to each of them alone, counted in one go.

A report whose rows are about values (a table, query/standing.py) may be asked of many periods: each day of a year, say.
Its function `each` tells the answer of every one from a question whose groups are periods (`Question.apart`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evlog.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from evlog.query.ask import Question

ALL = {"grp": "''", "each": ""}
EACH = {"grp": "grp", "each": "GROUP BY grp"}
"""What a SELECT of totals, `SELECT {grp}, … FROM base {each}`, is made with: of all rows, or of each period."""

WITHOUT_USER = "events_without_user"
_USERLESS = "SELECT grp, CAST(coalesce(sum(userless) FILTER (in_range), 0) AS BIGINT) FROM base GROUP BY grp"


@dataclass(frozen=True, slots=True)
class Alone:
    """The answer to one period: its rows, key and then numbers, and what summary and definition say by name."""

    rows: list[tuple[Any, ...]]
    said: Mapping[str, Any]


def told(
    rows: Iterable[tuple[Any, ...]], said: Mapping[str, Mapping[str, Any]], userless: Mapping[str, int]
) -> dict[str, Alone]:
    """The answers by the label of their period: of rows that begin with it, and of totals and events without user."""
    found: dict[str, list[tuple[Any, ...]]] = {label: [] for label in said}
    for label, *row in rows:
        found[label].append(tuple(row))
    return {label: Alone(mine, {**said[label], WITHOUT_USER: userless.get(label, 0)}) for label, mine in found.items()}


def totals(question: Question, sql: str, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What a SELECT of a label and of totals by these names says, by label."""
    return {label: dict(zip(names, values, strict=True)) for label, *values in question.engine.rows(sql)}


def userless(question: Question) -> dict[str, int]:
    """How many events of each period have no user, by the kept table `base`."""
    return dict(question.engine.rows(_USERLESS))
