"""What tests of rollups share: a scope to roll up, and what lies in the store afterwards."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from evlog import rollup, window
from evlog.query.scope import Scope
from evlog.store import rollups

if TYPE_CHECKING:
    from pathlib import Path

    from evlog.store.layout import Store

TODAY = date(2026, 1, 20)


def scope(as_of: date | datetime = TODAY, *, tz: str = "UTC", **more: Any) -> Scope:
    """All events, as of a date or an instant."""
    text = as_of.isoformat()
    now = window.as_of(text, tz=tz, now=datetime(2030, 1, 1))
    return Scope(window.Window(now.day, now.day, now.instant, now.day, tz), **more)


def asked(as_of: date | datetime = TODAY, *, tz: str = "UTC", more: Any = (), **plan: Any) -> rollup.Asked:
    return rollup.Asked(scope(as_of, tz=tz, **plan), more=more, late=timedelta(days=2))


def held(store: Store) -> dict[tuple[str, date, str], rollups.Section]:
    """Every section: by grain, first day and question."""
    return {
        (period.grain, period.first, name): section
        for period, sections in map(rollups.read, rollups.files(store).values())
        for name, section in sections.items()
    }


def numbers(store: Store) -> dict[tuple[str, date, str], Any]:
    """The numbers alone, whenever they were counted."""
    return {key: section.records for key, section in held(store).items()}


def value(store: Store, grain: str, day: date, question: str, metric: str) -> float | None:
    """One number that is about no value of a dimension."""
    records = held(store)[grain, day, question].records
    (found,) = (one.value for one in records if one.metric == metric and not one.dimension)
    return found


def content(store: Store) -> dict[str, bytes]:
    """Every file of rollups with its bytes."""
    return {str(path.relative_to(store.root)): path.read_bytes() for path in _files(store.rollups)}


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def days(done: rollup.Done, metric: str, grain: str = "day") -> list[str]:
    """The periods of which that number changed."""
    return [one.period for one in done.changed if one.metric == metric and one.grain == grain and not one.dimension]
