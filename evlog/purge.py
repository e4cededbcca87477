"""Purge: whole days older than the retention go, from every tier, and stay gone.

A plan says what would go; applying it is one commit: the tombstone of the days, and the unlinks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from evlog.store import durable, ids, journal, locks, quarantine, tombstones
from evlog.store.layout import PART, PART_IDS, segment_name

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def plan(store: Store, *, before: date) -> Plan:
    """What a purge of every day before `before` would remove."""
    days = store.days()
    found = tuple(_day(store, day) for day in days if day < before)
    old = sum(_is_old(body, before) for file in quarantine.files(store) for body in (r.body for r in file.read()))
    return Plan(before, found, old, len(days), journal.last_received(store) or None)


def apply(store: Store, before: date, *, wait: float | None = 0.0) -> Plan:
    """Purge every day before `before`; what went. Nothing of it comes back, by no late event and no replay."""
    with locks.maintenance(store, "purge", wait=wait), journal.staging(store) as staged, locks.commit(store):
        journal.recover(store)
        found = plan(store, before=before)
        renames, unlinks = _quarantine(staged, store, before)
        known = tombstones.load(store)
        if found.days and (known.purged_before is None or known.purged_before < before):
            staged.write("days", [tombstones.days_file(purged_before=before)])
            renames.append(("days", f"tombstones/{tombstones.DAYS}"))
        unlinks += [file for day in found.days for file in day.files]
        if renames or unlinks:
            journal.commit(staged, "purge", renames, unlinks=unlinks)
    return found


def _day(store: Store, day: date) -> Day:
    segments = [f"events/date={day}/{name}" for name in durable.files(store.segments(day), ".ndjson")]
    indexes = [f"ids/{day}/{name}" for name in durable.files(store.ids(day), ".ids")]
    cold = [f"parquet/date={day}/{PART}"] if store.part(day).exists() else []
    files = (*segments, *cold, *indexes)
    size = sum((store.root / name).stat().st_size for name in files)
    return Day(day, files, _events(store, indexes, has_part=bool(cold)), size)


def _events(store: Store, indexes: Iterable[str], *, has_part: bool) -> int:
    """How many events a partition holds, by the size of its indexes."""
    names = [name for name in indexes if has_part or not name.endswith(PART_IDS)]
    return sum((store.root / name).stat().st_size for name in names) // ids.ENTRY


def _is_old(body: dict[str, object], before: date) -> bool:
    """Whether a reject goes: by the day of its event where that is known, else by when it came."""
    return str(body.get("day") or body["received_at"])[:10] < before.isoformat()


def _quarantine(staged: journal.Staging, store: Store, before: date) -> tuple[list[tuple[str, str]], list[str]]:
    """The quarantine without what is old: files to put in place, files to remove."""
    renames: list[tuple[str, str]] = []
    unlinks: list[str] = []
    for file in quarantine.files(store):
        held = list(file.read())
        kept = [found for found in held if not _is_old(found.body, before)]
        target = f"quarantine/{file.path.name}"
        if not kept:
            unlinks += [target, target.replace(quarantine.SUFFIX, ".ids")]
        elif len(kept) < len(held):
            name = f"{staged.serial()}-quarantine"
            staged.write(name, [quarantine.record(found.body) for found in kept])
            renames.append((name, target))
    return renames, unlinks + _cleared(store, before)


def _cleared(store: Store, before: date) -> list[str]:
    """The hashes of rejects that were cleared, once they are old themselves."""
    whole = {file.path.with_suffix(".ids").name for file in quarantine.files(store)}
    lonely = [name for name in durable.files(store.quarantine, ".ids") if name not in whole]
    told = ((name, segment_name(name)) for name in lonely)
    return [f"quarantine/{name}" for name, said in told if said is not None and said.received_at.date() < before]
