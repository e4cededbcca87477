"""Days on their way into an archive: written and read back beside their final names, then named all at once.

Nothing that lies in an archive is ever overwritten. A day whose events lie there already is not written again; one that
comes with other events (a late batch let in, say) gets a file of its own beside the first.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import uuid
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evlog.archive import day as days
from evlog.archive import log, manifest
from evlog.archive.manifest import MANIFEST, SUMS, Entry
from evlog.errors import EvlogError, WriteFailed
from evlog.store import audit, durable, journal, layout, locks, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date, datetime
    from pathlib import Path

    from evlog.archive.seal import Seal
    from evlog.store.layout import Store
    from evlog.store.snapshot import Snapshot

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Written:
    """What an archive took in at one time."""

    folder: Path
    entries: tuple[Entry, ...]
    manifest: str  # its SHA-256
    encryption: str
    copied: bool = False

    @property
    def first(self) -> date:
        """The first day."""
        return min(entry.day for entry in self.entries)

    @property
    def last(self) -> date:
        """The last day."""
        return max(entry.day for entry in self.entries)

    @property
    def days(self) -> int:
        """How many days."""
        return len({entry.day for entry in self.entries})

    @property
    def events(self) -> int:
        """How many events."""
        return sum(entry.rows for entry in self.entries)


@dataclass(frozen=True, slots=True)
class _Taken:
    """A day that was taken: the files it was, its entry, and its scratch file (None: it lies there already)."""

    files: frozenset[object]
    entry: Entry
    scratch: Path | None


@dataclass(slots=True)
class Writer:
    """Takes days into an archive; what `purge.apply` asks to carry days away."""

    store: Store
    folder: Path
    seal: Seal
    at: datetime
    by: str
    seen: Callable[[int, int], None]
    written: Written | None = None
    _held: tuple[Entry, ...] = ()
    _taken: dict[date, _Taken] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)
    _staging: journal.Staging | None = None

    def take(self, seen: Snapshot, before: date) -> None:
        """Write the days before `before`, and read them back; again those that changed since."""
        mine = manifest.store_id(self.store)
        self._sweep()
        self._held = manifest.there(self.folder)
        if any(entry.store != mine for entry in self._held):
            raise EvlogError(f"{self.folder} holds the archive of another store", hint="name another folder")
        wanted = [day for day in seen.days if day < before]
        for number, day in enumerate(wanted, 1):
            self._take(seen, day)
            self.seen(number, len(wanted))

    def settle(self) -> audit.Act:
        """Name what was taken, with its manifest and checksums, durable; what the audit log says of it."""
        entries = tuple(taken.entry for taken in self._taken.values())
        everything = {entry.file: entry for entry in (*self._held, *entries)}.values()
        body = manifest.content(everything)
        durable.replace_whole(self.folder / MANIFEST, body)  # first: no file lies there that it does not know
        for taken in self._taken.values():
            if taken.scratch is not None:
                self._name(taken.entry, taken.scratch)
        durable.replace_whole(self.folder / SUMS, manifest.sums(everything, body))
        self.written = Written(self.folder, entries, manifest.sha256(body), self.seal.kind)
        return log.act(self.written, self.at, self.by)

    def drop(self) -> None:
        """Remove what was written and not named."""
        for taken in self._taken.values():
            if taken.scratch is not None:
                with suppress(OSError):
                    taken.scratch.unlink(missing_ok=True)
                    taken.scratch.parent.rmdir()  # if nothing else is there
        self._open.close()

    @property
    def staged(self) -> journal.Staging:
        """A staging folder of its own, from the first day on: an erasure waits for all who have one.

        So nobody may have one while they wait for maintenance to end.
        """
        if self._staging is None:
            self._staging = self._open.enter_context(journal.staging(self.store))
        return self._staging

    def _sweep(self) -> None:
        """Remove what a process left that died while it wrote here."""
        mine = {taken.scratch for taken in self._taken.values()}
        for file in durable.files(self.folder, durable.SCRATCH):
            if file.startswith((f".{MANIFEST}.", f".{SUMS}.")):
                (self.folder / file).unlink(missing_ok=True)
        for name in durable.folders(self.folder, "date="):
            for file in durable.files(self.folder / name, durable.SCRATCH):
                if file.startswith(".events") and self.folder / name / file not in mine:
                    (self.folder / name / file).unlink(missing_ok=True)

    def _take(self, seen: Snapshot, day: date) -> None:
        hot = [file for file in seen.hot if file.day == day]
        cold = [file for file in seen.cold if file.day == day]
        files = frozenset((file.path.name, file.stamp) for some in (hot, cold) for file in some)
        known = self._taken.pop(day, None)
        if known is not None and known.files == files:
            self._taken[day] = known
            return
        if known is not None and known.scratch is not None:
            known.scratch.unlink(missing_ok=True)
        name = f"{self.staged.serial()}-{day}.day"
        rows = days.written(self.staged, name, hot, cold)
        plain = self.staged.file(name)
        days.checked(plain, self.store, day, hot, cold)
        entry, scratch = self._sealed(day, plain, rows)
        self._taken[day] = _Taken(files, entry, scratch)
        plain.unlink()

    def _sealed(self, day: date, plain: Path, rows: int) -> tuple[Entry, Path | None]:
        """The entry of a day, and the file beside its final place; the entry that lies there if it is the same day."""
        content, _ = manifest.digest(plain)
        for entry in self._held:
            same = (entry.day, entry.content, entry.encryption, entry.recipients)
            if same == (day, content, self.seal.kind, self.seal.recipients):
                fault = manifest.fault(self.folder, entry)
                if fault is None:
                    return entry, None
                if fault != manifest.MISSING:
                    raise manifest.ArchiveDamaged(f"{self.folder / entry.file}: {fault}")
                self._held = tuple(other for other in self._held if other != entry)  # nobody got as far as naming it
        place = _free(self.folder, day, self.seal.suffix)
        durable.folder(place.parent)
        scratch = place.with_name(f".{place.name}.{uuid.uuid4().hex}{durable.SCRATCH}")
        try:
            sha, size = _copied(plain, scratch, self.seal)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise
        file = str(place.relative_to(self.folder))
        kind, recipients = self.seal.kind, self.seal.recipients
        mine = manifest.store_id(self.store)
        return Entry(mine, day, file, rows, size, sha, content, kind, recipients), scratch

    def _name(self, entry: Entry, scratch: Path) -> None:
        target = self.folder / entry.file
        if durable.is_there(target):
            raise WriteFailed(f"{target} came about meanwhile")
        with durable.told_once("rename", target):
            scratch.rename(target)
        durable.sync_folder(target.parent)


@contextmanager
def writing(
    store: Store,
    folder: Path,
    seal: Seal,
    *,
    at: datetime,
    by: str = "",
    seen: Callable[[int, int], None] = lambda _done, _total: None,
) -> Iterator[Writer]:
    """Yield what takes days of `store` into the archive at `folder`; what it did not settle is gone at the end."""
    whole = folder.resolve()
    layout.must_be_utf8(whole)
    if whole.is_relative_to(store.root.resolve()) or store.root.resolve().is_relative_to(whole):
        raise EvlogError(f"{folder} and the store lie in each other", hint="name a folder elsewhere")
    for path in reversed([whole, *whole.parents]):
        if not path.exists():
            durable.folder(path)
    with _alone(whole):
        writer = Writer(store, whole, seal, at, by, seen)
        try:
            yield writer
        finally:
            writer.drop()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep every other evlog from writing into an archive, where its disk knows locks."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise EvlogError(f"another evlog writes into {folder}", hint="try again when it is done") from error
    except OSError:
        pass
    try:
        yield
    finally:
        os.close(fd)


def copy(store: Store, before: date, writer: Writer, *, wait: float | None = 0.0) -> Written | None:
    """Archive every day before `before` and let it stay; what was written, None where there is no such day."""
    with locks.maintenance(store, "archive", wait=wait):
        with locks.commit(store):
            journal.recover(store)
            seen = snapshot.snapshot(store)
        writer.take(seen, before)
        if not any(day < before for day in seen.days):
            return None
        told = writer.settle()
        audit.tell(store, replace(told, details={**told.details, "copied": True}))
        assert writer.written is not None
        return replace(writer.written, copied=True)


def _free(folder: Path, day: date, suffix: str) -> Path:
    """The first name for a file of a day that nothing has."""
    number, place = 1, folder / f"date={day}" / f"events.parquet{suffix}"
    while durable.is_there(place):
        number += 1
        place = place.with_name(f"events-{number}.parquet{suffix}")
    return place


class Hashing:
    """A file being written: what passes through is hashed."""

    def __init__(self, fd: int) -> None:
        self._fd, self.sha, self.size = fd, hashlib.sha256(), 0

    def write(self, piece: bytes) -> int:
        """Write all of a piece."""
        view = memoryview(piece)
        while view:
            view = view[os.write(self._fd, view) :]
        self.sha.update(piece)
        self.size += len(piece)
        return len(piece)

    def flush(self) -> None:
        """Nothing is held back."""


def _copied(plain: Path, scratch: Path, seal: Seal) -> tuple[str, int]:
    """Write the new file `scratch`, sealed and synced, and read it back; its SHA-256 and size."""
    with durable.told_once("write", scratch):
        fd = os.open(scratch, _NEW, durable.FILE_MODE)
        try:
            target = Hashing(fd)
            seal.write(plain, target)
            os.fsync(fd)
        finally:
            os.close(fd)
    told = target.sha.hexdigest(), target.size
    if manifest.digest(scratch) != told:
        raise WriteFailed(f"{scratch} does not hold what was written to it")
    return told
