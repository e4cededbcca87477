"""How days leave the store: rolled up first, in one commit, with what keeps them out and what remembers them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from evlog.errors import EvlogError
from evlog.purge import days
from evlog.purge.memory import Memory
from evlog.store import audit, durable, journal, locks, quarantine, rollups, snapshot, tombstones
from evlog.store.layout import segment_name
from evlog.store.snapshot import StoreBusy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime

    from evlog.purge.days import Plan
    from evlog.store.layout import Store
    from evlog.store.snapshot import Snapshot

_TRIES = 5


class NotRolledUp(EvlogError):
    """The final rollup of days that are to go could not be made, so they stay."""

    hint = "nothing was removed; mend it and run it again, or let the numbers of these days go with --force"


class Carrier(Protocol):
    """What carries days elsewhere before they go (an archive)."""

    def take(self, seen: Snapshot, before: date) -> None:
        """Carry the days before `before`; asked again where events came in meanwhile."""

    def settle(self) -> audit.Act:
        """Make last what was taken; what the audit log says of it. The commit lock is held, the days go next."""


@dataclass(frozen=True, slots=True)
class Signed:
    """Who asked, and when: for the audit log."""

    at: datetime  # naive UTC
    by: str = ""


def apply(
    store: Store,
    before: date,
    *,
    wait: float | None = 0.0,
    inactive: Sequence[str] = (),
    remember: Sequence[str] = (),
    rollups_before: date | None = None,
    roll: Callable[[], object] | None = None,
    force: bool = False,
    signed: Signed | None = None,
    carrier: Carrier | None = None,
) -> Plan:
    """Purge every day before `before`; what went. Nothing of it comes back, by no late event and no replay.

    Since when each id was active stays known: by any event but of the types `inactive`, and by each of the types
    `remember`. `roll` makes the final rollups of these days, while the maintenance lock is held; where it fails,
    nothing goes unless `force` says so. Rollups whose period ended before `rollups_before` go too. With a `carrier` the
    days are moved, and the quarantine stays. Ingest goes on meanwhile; it waits while the purge commits.
    """
    with (
        locks.maintenance(store, "purge" if carrier is None else "archive", wait=wait),
        journal.staging(store) as staged,
    ):
        memory = Memory(store, staged, before, inactive, remember)
        there = frozenset(rollups.files(store))
        work = _Leaving(store, staged, before, rollups_before, there, memory, carrier, signed)
        for _ in range(_TRIES):
            seen = _settled(store)
            unrolled = _rolled(roll, force=force) if roll is not None and _leaving(seen, before) else None
            memory.take(seen)
            if carrier is not None:
                carrier.take(seen, before)
            done = work.commit(seen, still=roll is not None or carrier is not None)
            if done is not None:
                return replace(done, unrolled=unrolled)
    raise StoreBusy(
        f"events kept coming into days of {store.root} that are to go; none of them went",
        hint=f"run it again once nothing sends events from before {before} any more",
    )


def _settled(store: Store) -> Snapshot:
    with locks.commit(store):  # under the lock nothing is on its way from one name to another
        journal.recover(store)
        return snapshot.snapshot(store)


def _leaving(seen: Snapshot, before: date) -> set[object]:
    """The files that go, each as the file it was."""
    return {(file.day, file.path.name, file.stamp) for file in seen.files if file.day < before}


def _rolled(roll: Callable[[], object], *, force: bool) -> str | None:
    """None once the final rollups are made; why they are not, where they may be missing."""
    try:
        roll()
    except EvlogError as error:
        if not force:
            raise NotRolledUp(f"the final rollup of the days to remove failed: {error}") from error
        return str(error)
    return None


@dataclass(frozen=True, slots=True)
class _Leaving:
    """The commit of a purge."""

    store: Store
    staged: journal.Staging
    before: date
    rollups_before: date | None
    there: frozenset[str]  # the rollups before the final ones were made
    memory: Memory
    carrier: Carrier | None
    signed: Signed | None

    def commit(self, seen: Snapshot, *, still: bool) -> Plan | None:
        """What went; None where the days are not as they were `seen`, and must be `still` so."""
        with locks.commit(self.store):
            journal.recover(self.store)
            now = snapshot.snapshot(self.store)
            if still and _leaving(now, self.before) != _leaving(seen, self.before):
                return None
            moved = self.carrier is not None
            found = days.plan(self.store, before=self.before, rollups_before=self.rollups_before, rejects=not moved)
            self.memory.take(now)  # what came in meanwhile
            renames, unlinks = ([], []) if moved else _quarantine(self.staged, self.store, self.before)
            if found.days:
                renames += [self.memory.file(), *self._tombstone()]
            unlinks += [*(file for day in found.days for file in day.files), *found.rollups]
            found = replace(found, rollups=tuple(name for name in found.rollups if name in self.there))
            if renames or unlinks:
                renames += self._told(found)
                journal.commit(self.staged, "archive" if moved else "purge", renames, unlinks=unlinks)
        return found

    def _tombstone(self) -> list[tuple[str, str]]:
        """The file that keeps events of the days out, if it must change."""
        known = tombstones.load(self.store)
        purged = max(self.before, known.purged_before or self.before)
        restored = frozenset(day for day in known.restored if day >= self.before.isoformat())
        if (purged, restored) == (known.purged_before, known.restored):
            return []
        self.staged.write("days", [tombstones.days_file(purged_before=purged, restored=restored)])
        return [("days", f"tombstones/{tombstones.DAYS}")]

    def _told(self, found: Plan) -> list[tuple[str, str]]:
        """The entry of the audit log."""
        if self.carrier is not None:
            return [audit.entry(self.staged, self.carrier.settle())]
        if self.signed is None:
            return []
        details = {
            "before": found.before.isoformat(),
            "days": len(found.days),
            "events": found.events,
            "rejects": found.rejects,
            "rollups": len(found.rollups),
        }
        return [audit.entry(self.staged, audit.Act("purge", self.signed.at, self.signed.by, details=details))]


def _quarantine(staged: journal.Staging, store: Store, before: date) -> tuple[list[tuple[str, str]], list[str]]:
    """The quarantine without what is old: files to put in place, files to remove."""
    renames: list[tuple[str, str]] = []
    unlinks: list[str] = []
    for file in quarantine.files(store):
        held = list(file.read())
        kept = [found for found in held if not days.is_old(found.body, before)]
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
