"""Days of an archive, back in the store: checked first, without the erased, each event once.

They come as segments whose lines say their own `seq` and `received_at`, in one commit that also lets late events of
these days in again. Rollups that were frozen stay frozen: what they counted may be more than what came back.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evlog.archive import log, manifest, seal
from evlog.archive.manifest import ArchiveDamaged
from evlog.archive.segments import Segments
from evlog.errors import EvlogError
from evlog.store import audit, durable, journal, locks, rollups, tombstones
from evlog.store.snapshot import StoreBusy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime
    from pathlib import Path

    from evlog.archive.manifest import Entry
    from evlog.store.layout import Store

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """Which days to bring back (None: no bound), with which keys, and whether a strange manifest is taken too."""

    folder: Path
    first: date | None = None
    last: date | None = None
    identities: tuple[Path, ...] = ()
    force: bool = False
    dry_run: bool = False

    def wants(self, day: date) -> bool:
        """Whether a day is asked for."""
        return (self.first is None or day >= self.first) and (self.last is None or day <= self.last)


@dataclass(frozen=True, slots=True)
class Back:
    """What became of one day: how many events its files hold, and of these were stored, there already, or erased."""

    day: date
    events: int
    stored: int
    duplicates: int
    erased: int


@dataclass(slots=True)
class _Day:
    """A day in the making."""

    segments: Segments
    indexes: dict[str, int]  # the id indexes of the day as they were
    counts: Counter[str] = field(default_factory=Counter)


def plan(store: Store, asked: Asked) -> list[Entry]:
    """The files that a restore would read, all of them sound; it refuses what is not this store's, or was changed."""
    entries, sha = manifest.load(asked.folder)
    wanted = [entry for entry in entries if asked.wants(entry.day)]
    if not asked.force:
        _ours(store, asked.folder, wanted, sha)
    for entry in wanted:
        if fault := manifest.fault(asked.folder, entry):
            raise ArchiveDamaged(f"{asked.folder / entry.file}: {fault}; nothing was restored")
    return wanted


def restore(
    store: Store,
    asked: Asked,
    *,
    at: datetime,
    by: str = "",
    wait: float | None = 0.0,
    seen: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Back]:
    """Bring days back; what became of each. Again changes nothing."""
    with locks.maintenance(store, "archive restore", wait=wait):
        wanted = plan(store, asked)
        for _ in range(_TRIES):
            with journal.staging(store) as staged:
                work = _Restore(store, staged, asked, wanted, tombstones.load(store))
                work.read(seen)
                if asked.dry_run or work.commit(at, by):
                    return work.told()
    raise StoreBusy(
        f"events kept coming into days of {store.root} that are to come back; none of them did",
        hint="run it again once nothing sends events of these days any more",
    )


def _by_day(entry: Entry) -> date:
    return entry.day


def _ours(store: Store, folder: Path, wanted: Sequence[Entry], sha: str) -> None:
    """Refuse an archive of another store, and one whose manifest this store did not write."""
    mine = manifest.store_id(store)
    if any(entry.store != mine for entry in wanted):
        raise EvlogError(f"{folder} holds the archive of another store", hint="if it is meant, say --force")
    if wanted and sha not in {known.manifest for known in log.archives(store)}:
        hint = "nothing was restored; if it is meant, say --force"
        raise ArchiveDamaged(f"{folder / manifest.MANIFEST} is not as this store's audit log knows it", hint=hint)


@dataclass(slots=True)
class _Restore:
    """The commit of a restore in the making."""

    store: Store
    staged: journal.Staging
    asked: Asked
    wanted: Sequence[Entry]
    known: tombstones.Tombstones
    days: dict[date, _Day] = field(default_factory=dict)

    def read(self, seen: Callable[[int, int], None]) -> None:
        """Stage what comes back."""
        day: _Day | None = None
        for number, entry in enumerate(sorted(self.wanted, key=_by_day), 1):
            if day is None or entry.day not in self.days:
                if day is not None:
                    day.segments.close()  # one day at a time stands in memory
                names = durable.inodes(self.store.ids(entry.day), ".ids")
                segments = Segments(self.store, self.staged, entry.day, self.known)
                day = self.days[entry.day] = _Day(segments, names)
            self._file(entry, day)
            seen(number, len(self.wanted))
        if day is not None:
            day.segments.close()
        self.staged.sync()

    def commit(self, at: datetime, by: str) -> bool:
        """Whether it was done; not where events came in meanwhile."""
        store = self.store
        with locks.commit(store):
            journal.recover(store)
            if any(durable.inodes(store.ids(day), ".ids") != one.indexes for day, one in self.days.items()):
                return False
            batch = journal.newest(store) + 1
            renames = [rename for one in self.days.values() for rename in one.segments.renames(batch)]
            renames += self._lifted()
            if renames:
                back = [day for day, one in self.days.items() if one.counts["stored"]]
                self.staged.write("touched", [rollups.touching(store, back, why="restored")])
                renames.append(("touched", rollups.TOUCHED))
                renames.append(audit.entry(self.staged, self._act(at, by)))
                journal.commit(self.staged, "restore", renames)
        return True

    def told(self) -> list[Back]:
        """What became of each day."""
        return [
            Back(day, *(one.counts[name] for name in ("events", "stored", "duplicates", "erased")))
            for day, one in sorted(self.days.items())
        ]

    def _file(self, entry: Entry, day: _Day) -> None:
        """Read one file of the archive, opened in the store's own staging if it is sealed."""
        path = self.asked.folder / entry.file
        if not entry.encryption:
            day.counts.update(day.segments.take(path))
            return
        name = f"{self.staged.serial()}-opened"
        target = self.staged.file(name)
        with durable.told_once("write", target), target.open("xb") as file:
            target.chmod(durable.FILE_MODE)
            seal.opened(path, file, entry, self.asked.identities)
        if manifest.digest(target)[0] != entry.content:
            raise ArchiveDamaged(f"{path} holds other content than its manifest says; nothing was restored")
        day.counts.update(day.segments.take(target))
        target.unlink()

    def _lifted(self) -> list[tuple[str, str]]:
        """The tombstone of days, without those that are back."""
        before, known = self.known.purged_before, self.known.restored
        if before is None:
            return []
        back = {str(day) for day, one in self.days.items() if day < before and one.counts["stored"]}
        if back <= known:
            return []
        self.staged.write("days", [tombstones.days_file(purged_before=before, restored=known | back)])
        return [("days", f"tombstones/{tombstones.DAYS}")]

    def _act(self, at: datetime, by: str) -> audit.Act:
        counts: Counter[str] = sum((one.counts for one in self.days.values()), Counter())
        details: dict[str, Any] = {"from": str(self.asked.folder.resolve()), "days": len(self.days), **counts}
        return audit.Act("archive restore", at, by, details=details)
