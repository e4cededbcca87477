"""Numbers in properties: their count, sum, mean, extremes and percentiles (metrics §12), exact and the same every run.

A value counts if its text form is a number, as in `--where`: 5 and "5" are one, true is none. What is absent or no
number is left out, never taken for zero. The engine only gathers the values: its own sums of floats depend on the order
in which threads come.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum
from typing import TYPE_CHECKING, Any, Literal

from evlog.errors import UsageError
from evlog.kernel.quantile import quantile
from evlog.query import where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from evlog.query.ask import Question
    from evlog.query.result import Kind

Measure = Literal["count", "users", "sum", "avg", "min", "max", "p50", "p90", "p95", "p99"]

MEASURES: tuple[Measure, ...] = ("count", "users", "sum", "avg", "min", "max", "p50", "p90", "p95", "p99")
OF_EVENTS = ("count", "users")  # these need no property
_JSON = ("properties", "context")
_HELD = """
SELECT bool_or(coalesce(len(v{place}) > 0, FALSE)), CAST(coalesce(sum(odd{place}), 0) AS BIGINT)
FROM   base
WHERE  {among}
"""
_LARGEST = "1e290"  # beyond it sums would overflow; no quantity is that large


@dataclass(frozen=True, slots=True)
class Property:
    """A numeric property: the path of its key."""

    path: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its key as columns are named after it: `a.b` of `properties.a.b`."""
        return ".".join(self.path[1:] if self.path[0] == "properties" else self.path)


def properties(option: str, keys: Sequence[str]) -> tuple[Property, ...]:
    """The properties that the keys name, each once; UsageError if a key names a column or nothing."""
    return tuple(dict.fromkeys(_property(option, key) for key in keys))


def _property(option: str, key: str) -> Property:
    try:
        path = where.path(key)
    except UsageError as error:
        raise UsageError(f"{option}: {error}", hint=error.hint) from None
    if path[0] not in _JSON or len(path) == 1:
        raise UsageError(f"{option} {key}: not a property but a column", hint="write properties.a.b or context.x")
    return Property(path)


def values(found: Sequence[Property]) -> tuple[str, dict[str, Any]]:
    """What a SELECT over `seen` adds, and its parameters: the number of each property, and whether it holds none.

    `, … AS v0, … AS odd0, … AS v1` and so on.
    """
    pieces: list[str] = []
    params: dict[str, Any] = {}
    for place, one in enumerate(found):
        text, known = where.text_sql(one.path, f"property_{place}")
        number, _ = where.number_sql(one.path, f"property_{place}")
        params |= known
        pieces.append(
            f", CASE WHEN abs({number}) <= {_LARGEST} THEN {number} END AS v{place}, "
            f"{text} IS NOT NULL AND v{place} IS NULL AS odd{place}"
        )
    return "".join(pieces), params


def gathered(count: int) -> str:
    """What a grouped SELECT over such rows adds: lists of the numbers, and how many values were none."""
    return "".join(
        f", list(v{place}) FILTER (v{place} IS NOT NULL) AS v{place}, count(*) FILTER (odd{place}) AS odd{place}"
        for place in range(count)
    )


def joined(count: int) -> str:
    """What a SELECT adds that groups such groups: their lists as one."""
    return "".join(f", flatten(list(v{place})) AS v{place}" for place in range(count))


def lists(question: Question, sql: str, count: int) -> Iterator[tuple[list[float], ...]]:
    """The numbers, rising, of each property and row of `sql`, which answers `v0`, `v1`… in a total order."""
    if not count:
        yield from (() for _ in question.engine.rows(sql))
        return
    import numpy as np

    found = question.engine.arrays(sql)
    for row in zip(*(found[f"v{place}"] for place in range(count)), strict=True):
        yield tuple((np.sort(held) + 0.0).tolist() if _held(held) else [] for held in row)  # adding 0.0 mends -0.0


def _held(row: Any) -> bool:
    import numpy as np

    return isinstance(row, np.ndarray) and len(row) > 0


def measured(measure: Measure, rising: Sequence[float]) -> float | None:
    """The measure of numbers in rising order; None of none. The sum is the float next to the true one."""
    if measure == "count" or not rising:
        return len(rising) if measure == "count" else None
    if measure in _OF_NUMBERS:
        return _OF_NUMBERS[measure](rising)
    return quantile(rising, int(measure[1:]))


_OF_NUMBERS: dict[Measure, Callable[[Sequence[float]], float]] = {
    "sum": fsum,
    "avg": lambda rising: fsum(rising) / len(rising),
    "min": lambda rising: rising[0],
    "max": lambda rising: rising[-1],
}


def kind(measure: Measure) -> Kind:
    """What a column of the measure holds."""
    return "count" if measure in OF_EVENTS else "number"


def notes(question: Question, found: Sequence[Property], *, among: str = "TRUE") -> list[str]:
    """What to say of properties that no event of table `base` has (`among` those rows), or that hold other values."""
    said = []
    for place, one in enumerate(found):
        held, odd = question.engine.rows(_HELD.format(place=place, among=among))[0]
        said += [f"no event has {one.name} as a number"] if held is False else []
        said += [f"values of {one.name} that are no numbers, left out: {odd}"] if odd else []
    return said
