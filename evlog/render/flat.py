"""Rows without lists, for the formats that have none; and values as machines want them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from evlog.frozen import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from decimal import Decimal

    from evlog.query.result import Column, Result

    Row = tuple[Any, ...]


def flat(result: Result) -> tuple[tuple[Column, ...], Iterator[Row]]:
    """Return columns and rows in which a list column `n` has become `n_0`, `n_1` and so on, as many as the longest."""
    widths = [_longest(result, i) if column.kind == "list" else None for i, column in enumerate(result.columns)]
    columns = [
        spread
        for column, width in zip(distinct(result.columns), widths, strict=True)
        for spread in ([column] if width is None else _spread(column, width))
    ]
    rows = iter(result.rows) if not any(w is not None for w in widths) else _opened(result.rows, widths)
    return tuple(columns), rows


def distinct(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the columns with no name twice: the second `n` of a SELECT is `n_2`."""
    taken: set[str] = set()
    named = []
    for column in columns:
        name, nth = column.name, 2
        while name in taken:
            name, nth = f"{column.name}_{nth}", nth + 1
        taken.add(name)
        named.append(column if name == column.name else replace(column, name=name))
    return tuple(named)


def instant(moment: datetime) -> str:
    """Return a time as ISO 8601 in UTC with Z; one without a zone is UTC."""
    utc = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return f"{utc.isoformat()}Z"


def plain(value: object) -> Any:
    """Return what stands in JSON for a value that JSON does not know; a number is itself."""
    for kind, told in _PLAIN:
        if isinstance(value, kind):
            return told(value)
    from decimal import Decimal  # 1 ms, and few values are such

    return _exact(value) if isinstance(value, Decimal) else str(value)


def _exact(value: Decimal) -> int | float:
    return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)


def _longest(result: Result, index: int) -> int:
    return max((len(row[index]) for row in result.rows if row[index]), default=1)


def _spread(column: Column, width: int) -> list[Column]:
    return [
        replace(column, name=f"{column.name}_{i}", kind=column.item, bar=False, labels=column.labels[i : i + 1])
        for i in range(width)
    ]


def _opened(rows: tuple[Row, ...], widths: list[int | None]) -> Iterator[Row]:
    for row in rows:
        cells: list[Any] = []
        for value, width in zip(row, widths, strict=True):
            cells.extend([value] if width is None else [*(value or ()), *[None] * (width - len(value or ()))])
        yield tuple(cells)


_PLAIN: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (int, int),
    (float, float),
    (datetime, instant),  # before date, which it is too
    (date, date.isoformat),
    (time, time.isoformat),
    (timedelta, timedelta.total_seconds),
    (bytes, lambda value: value.decode("utf-8", "backslashreplace")),
    (frozenset, sorted),
    (set, sorted),
)
