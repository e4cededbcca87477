"""The view `rollups`: every number that rollups keep, a row each, for a person's own SELECT."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from evlog.query.standing import partitions
from evlog.store import rollups, tombstones
from evlog.window import midnight

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    from evlog.engine import Engine
    from evlog.store.layout import Store
    from evlog.store.rollups import Period, Record, Section
    from evlog.store.tombstones import Tombstones

LATE = timedelta(days=2)
"""How long late events are expected after a period, where nobody says otherwise."""

_CHUNK = 50_000  # rows that are handed to the engine at once
_TABLE = """
CREATE TEMP TABLE rollups (
    metric VARCHAR, dimension VARCHAR, dimension_value VARCHAR, value DOUBLE,
    grain VARCHAR, period_start TIMESTAMP, period_end TIMESTAMP, tz VARCHAR, state VARCHAR,
    computed_at TIMESTAMP, definition VARCHAR, report VARCHAR)
"""
_COLUMNS = (
    *("metric", "dimension", "dimension_value", "value", "grain", "period_start", "period_end", "tz", "state"),
    *("computed_at", "definition", "report"),
)
_FILL = """
INSERT INTO rollups
SELECT unnest(CAST($metric AS VARCHAR[])), unnest(CAST($dimension AS VARCHAR[])),
       unnest(CAST($dimension_value AS VARCHAR[])), unnest(CAST($value AS DOUBLE[])),
       unnest(CAST($grain AS VARCHAR[])),
       unnest(CAST($period_start AS TIMESTAMP[])), unnest(CAST($period_end AS TIMESTAMP[])),
       unnest(CAST($tz AS VARCHAR[])), unnest(CAST($state AS VARCHAR[])),
       unnest(CAST($computed_at AS TIMESTAMP[])), unnest(CAST($definition AS VARCHAR[])),
       unnest(CAST($report AS VARCHAR[]))
"""
_HOUR = timedelta(hours=1)


def offer(engine: Engine, store: Store, *, as_of: datetime, late: timedelta = LATE, filled: bool = True) -> None:
    """Make the table `rollups` of all that the store keeps; without rows, if nobody asks for any.

    A period begins and ends (not included) at an instant. It is final once `late` has passed since its end, and frozen
    once events of its days are purged.
    """
    engine.run(_TABLE)
    rows = _rows(store, as_of, late) if filled else iter(())
    while chunk := list(islice(rows, _CHUNK)):
        columns = zip(*chunk, strict=True)
        engine.run(_FILL, {name: list(column) for name, column in zip(_COLUMNS, columns, strict=True)})


def _rows(store: Store, as_of: datetime, late: timedelta) -> Iterator[tuple[Any, ...]]:
    stones = tombstones.load(store)
    for _, path in sorted(rollups.files(store).items()):
        period, sections = _read(path)
        if period is None:
            continue
        begin, end = midnight(period.first, period.tz), midnight(period.last + timedelta(days=1), period.tz)
        state = _state(period, stones, is_final=end + late <= as_of)
        for section in sections.values():
            for one in section.records:
                yield _row(period, section, one, state=state, span=(begin, end))


def _row(
    period: Period, section: Section, one: Record, *, state: str, span: tuple[datetime, datetime]
) -> tuple[Any, ...]:
    begin, end = span
    if one.hour:
        begin = datetime.fromisoformat(one.hour).replace(tzinfo=None)
        end = begin + _HOUR
    named = (one.metric, one.dimension or None, one.of if one.dimension else None, one.value)
    report = section.question.partition(" ")[0]
    return (*named, period.grain, begin, end, period.tz, state, section.computed_at, section.definition, report)


def _read(path: Path) -> tuple[Period | None, dict[str, Section]]:
    """A file's period and sections; nothing of a file that is replaced or removed just now."""
    try:
        return rollups.read(path)
    except FileNotFoundError:
        return None, {}


def _state(period: Period, stones: Tombstones, *, is_final: bool) -> str:
    """How the numbers of a period stand that look at nothing but its own days."""
    first, last = partitions(period.first, period.last, period.tz)
    days: list[date] = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    if any(stones.purged(day.isoformat()) for day in days):
        return "frozen"
    return "final" if is_final else "provisional"
