"""What a purge would remove: pure, and what `--dry-run` shows."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from evlog.store import durable, ids, journal, quarantine, rollups
from evlog.store.layout import PART, PART_IDS

if TYPE_CHECKING:
    from evlog.store.layout import Store


@dataclass(frozen=True, slots=True)
class Day:
    """One partition that goes: its files and their size."""

    day: date
    files: tuple[str, ...]  # as the journal names them
    events: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a purge would do: remove every partition before `before`, of `total` partitions in the store."""

    before: date
    days: tuple[Day, ...]
    rejects: int  # lines in quarantine that go as well
    total: int
    newest_received: str | None  # received_at of the newest batch, as file names spell it
    rollups: tuple[str, ...] = ()  # rollup files whose period is over for long enough, as the journal names them
    unrolled: str | None = None  # why the days went without a final rollup, where somebody forced that

    @property
    def events(self) -> int:
        """How many events go."""
        return sum(day.events for day in self.days)

    @property
    def takes_most(self) -> bool:
        """Whether more than half of the days would go: then somebody must mean it."""
        return len(self.days) * 2 > self.total


def cutoff(today: date, days: int) -> date:
    """The first day that stays: `days` whole UTC days before today do, and today."""
    try:
        return today - timedelta(days=days)
    except OverflowError:
        return date.min


def plan(store: Store, *, before: date, rollups_before: date | None = None, rejects: bool = True) -> Plan:
    """What a purge of every day before `before` would remove, and of every rollup that ended before `rollups_before`.

    Without `rejects` the quarantine stays as it is.
    """
    days = store.days()
    found = tuple(_day(store, day) for day in days if day < before)
    old = _rejects(store, before) if rejects else 0
    stale = _rollups(store, rollups_before) if rollups_before is not None else ()
    return Plan(before, found, old, len(days), journal.last_received(store) or None, stale)


def is_old(body: dict[str, object], before: date) -> bool:
    """Whether a reject goes: by the day of its event where that is known, else by when it came."""
    return str(body.get("day") or body["received_at"])[:10] < before.isoformat()


def _rejects(store: Store, before: date) -> int:
    return sum(is_old(found.body, before) for file in quarantine.files(store) for found in file.read())


def _rollups(store: Store, before: date) -> tuple[str, ...]:
    """The rollup files whose period ended before `before`; a name tells when it began, so few are opened."""
    begun = {name: path for name, path in rollups.files(store).items() if _first(name) < before.isoformat()}
    return tuple(sorted(name for name, path in begun.items() if rollups.read(path)[0].last < before))


def _first(name: str) -> str:
    """When the period of a rollup file begins."""
    return name.rpartition("/")[2].removesuffix(rollups.SUFFIX)


def _day(store: Store, day: date) -> Day:
    segments = [f"events/date={day}/{name}" for name in durable.files(store.segments(day), ".ndjson")]
    indexes = [f"ids/{day}/{name}" for name in durable.files(store.ids(day), ".ids")]
    rest = (f"parquet/date={day}/{PART}", f"tombstones/{ids.former_name(day)}")
    there = ((name, _size(store, name)) for name in (*segments, *indexes, *rest))
    sizes = {name: size for name, size in there if size is not None}
    cold = rest[0] in sizes
    files = (*segments, *(name for name in rest[:1] if cold), *indexes, *(name for name in rest[1:] if name in sizes))
    held = sum(sizes.get(name, 0) for name in indexes if cold or not name.endswith(PART_IDS))
    return Day(day, files, held // ids.ENTRY, sum(sizes.values()))


def _size(store: Store, name: str) -> int | None:
    """How large a file is; None where there is none. It is asked of every file that goes: no path is made of it."""
    try:
        return os.lstat(f"{store.root}/{name}").st_size
    except FileNotFoundError:
        return None
