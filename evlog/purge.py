"""Purge: whole days older than the retention go, from every tier, and stay gone.

A plan says what would go; applying it is one commit: the tombstone of the days, the memory of who was first seen when
(metrics §13), and the unlinks.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from evlog import engine
from evlog.query import view
from evlog.store import durable, firsts, ids, journal, locks, quarantine, snapshot, tombstones
from evlog.store.layout import FIRSTS, PART, PART_IDS, segment_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from evlog.store.layout import Store
    from evlog.store.snapshot import Snapshot, Stamp
    from evlog.store.tombstones import Tombstones

_MEMORY = ("220MB", "1GB")  # of the engine; the second only where the first was too little
_SAID = "SET VARIABLE inactive = $inactive"
_SAID_TOO = "SET VARIABLE remembered = $remembered"
_FIRSTS = """
SELECT   CASE WHEN list_contains(CAST(getvariable('remembered') AS VARCHAR[]), event_type) THEN event_type END AS what,
         NOT list_contains(CAST(getvariable('inactive') AS VARCHAR[]), event_type) AS active,
         user_id IS NULL AS anonymous,
         coalesce(user_id, anonymous_id) AS id,
         epoch_us(min(ts)) AS ts
FROM     events
WHERE    id IS NOT NULL AND (what IS NOT NULL OR active)
GROUP BY what, active, anonymous, id
"""


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


def apply(
    store: Store,
    before: date,
    *,
    wait: float | None = 0.0,
    inactive: Sequence[str] = (),
    remember: Sequence[str] = (),
) -> Plan:
    """Purge every day before `before`; what went. Nothing of it comes back, by no late event and no replay.

    Since when each id was active stays known: by any event but of the types `inactive`, and by each of the types
    `remember`. Ingest goes on while these instants are looked up; it waits while the purge commits.
    """
    with locks.maintenance(store, "purge", wait=wait), journal.staging(store) as staged:
        memory = _Memory(store, staged, before, inactive, remember)
        with locks.commit(store):  # under the lock nothing is on its way from one name to another
            journal.recover(store)
            seen = snapshot.snapshot(store)
        memory.take(seen)
        with locks.commit(store):
            journal.recover(store)
            found = plan(store, before=before)
            memory.take(snapshot.snapshot(store))  # what came in meanwhile
            renames, unlinks = _quarantine(staged, store, before)
            known = tombstones.load(store)
            if found.days:
                renames.append(memory.file())
            if found.days and (known.purged_before is None or known.purged_before < before):
                staged.write("days", [tombstones.days_file(purged_before=before)])
                renames.append(("days", f"tombstones/{tombstones.DAYS}"))
            unlinks += [file for day in found.days for file in day.files]
            if renames or unlinks:
                journal.commit(staged, "purge", renames, unlinks=unlinks)
    return found


@dataclass(slots=True)
class _Memory:
    """The first instants that a purge keeps, in the making; each file is read once."""

    store: Store
    staged: journal.Staging
    before: date
    inactive: Sequence[str]
    remember: Sequence[str]
    _taken: set[Stamp] = field(default_factory=set)
    _found: list[NDArray[Any]] = field(default_factory=list)

    def take(self, seen: Snapshot) -> None:
        """Take in what the files that go hold, but for those that were taken in already."""
        hot = [file for file in seen.hot if file.day < self.before and file.stamp not in self._taken]
        cold = [file for file in seen.cold if file.day < self.before and file.stamp not in self._taken]
        if not hot and not cold:
            return
        for memory in _MEMORY:
            with (
                suppress(*((engine.OutOfMemory,) if memory != _MEMORY[-1] else ())),
                engine.connect(engine.Limits(threads=1, memory=memory, spill=self.staged.path)) as connection,
            ):
                self._found += self._read(connection, hot, cold)
                break
        self._taken |= {file.stamp for file in hot} | {file.stamp for file in cold}

    def file(self) -> tuple[str, str]:
        """The staged file of the memory, and where it belongs."""
        known, earlier = firsts.held(self.store), tombstones.load(self.store).purged_before
        since = dict.fromkeys(self._names(), earlier) | dict(known.since)
        before = max(self.before, earlier or self.before)
        self.staged.write("firsts", [firsts.content(firsts.merged(known, since, self._found, before=before))])
        return "firsts", FIRSTS

    def _names(self) -> list[str]:
        """What is remembered: any activity, the types asked for, and those that were asked for before."""
        return sorted({firsts.ANY, *self.remember, *firsts.held(self.store).since})

    def _read(self, connection: engine.Engine, hot: Sequence[Any], cold: Sequence[Any]) -> list[NDArray[Any]]:
        names, known = self._names(), tombstones.load(self.store)
        view.offer(connection, hot, cold)
        connection.run(_SAID, {"inactive": list(self.inactive)})
        connection.run(_SAID_TOO, {"remembered": [name for name in names if name != firsts.ANY]})
        return [part for batch in connection.batches(_FIRSTS, rows=65_536) for part in _entries(batch, names, known)]


def _entries(batch: Any, names: Sequence[str], known: Tombstones) -> list[NDArray[Any]]:
    """The entries that a record batch of first instants makes: of each type, and of any where it is active."""
    import numpy as np
    import pyarrow.compute as pc

    made = []
    for number, name in enumerate(names):
        chosen = batch.filter(
            batch["active"] if name == firsts.ANY else pc.fill_null(pc.equal(batch["what"], name), fill_value=False)
        )
        hashes = bytes.fromhex("".join(known.subject(one) for one in chosen["id"].to_pylist()))
        kinds = np.where(np.asarray(chosen["anonymous"].to_pylist(), bool), firsts.ANONYMOUS, firsts.USER)
        made.append(firsts.entries(number, kinds, hashes, chosen["ts"].to_numpy()))
    return made


def _day(store: Store, day: date) -> Day:
    segments = [f"events/date={day}/{name}" for name in durable.files(store.segments(day), ".ndjson")]
    indexes = [f"ids/{day}/{name}" for name in durable.files(store.ids(day), ".ids")]
    cold = [f"parquet/date={day}/{PART}"] if store.part(day).exists() else []
    former = f"tombstones/{ids.former_name(day)}"
    files = (*segments, *cold, *indexes, *([former] if durable.is_there(store.root / former) else []))
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
