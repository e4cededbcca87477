"""Commits: one rename makes a batch history; everything after it is applying (docs/design.md, "Order of writing").

This is the only home of the protocol. A caller stages files in a `Staging`, takes the `commit` lock, and hands over
which staged file goes where and what it replaces; recovery is the same applying, done by whoever commits next.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from evlog.errors import StoreDamaged, WriteFailed
from evlog.frozen import dataclass
from evlog.store import durable, layout, locks
from evlog.store.layout import FOLDERS, segment_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from evlog.store.layout import Store

INGEST = "ingest"
"""The `why` of commits that add events and replace none."""

_OWNER = "owner"
_KEPT = 8  # applied records that stay: the newest carries the batch number, the rest help whoever looks


class Unfinished(WriteFailed):
    """A step after the commit failed: the batch is history all the same, and whole."""

    hint = "what it did is committed; mend the disk: the next command that writes completes it"


@dataclass(frozen=True, slots=True)
class Record:
    """What one commit does: renames of staged files to final names, then unlinks. Paths relative to the store."""

    batch: int
    why: str
    renames: tuple[tuple[str, str], ...]
    unlinks: tuple[str, ...]
    received: str = ""  # the newest `received_at` that the store ever saw, as names of segments spell it


class Staging:
    """A folder of files that are not yet visible, flocked for as long as its process lives."""

    def __init__(self, store: Store, path: Path) -> None:
        self.store = store
        self.path = path
        self._writer = durable.Writer()
        self._serial = 0

    def serial(self) -> int:
        """A number that no other staged file of this folder has."""
        self._serial += 1
        return self._serial

    def file(self, name: str) -> Path:
        """Where the staged file `name` lies."""
        return self.path / name

    def write(self, name: str, chunks: Iterable[bytes | bytearray | memoryview]) -> None:
        """Write the staged file `name`; durable after `sync`."""
        self._writer.write(self.file(name), chunks)

    def adopt(self, name: str) -> None:
        """Make a staged file durable that somebody else wrote."""
        durable.sync(self.file(name))

    def sync(self) -> None:
        """Make every file written so far durable."""
        self._writer.sync()

    def drop(self) -> None:
        """Let go of files that were written and not synced."""
        self._writer.drop()

    def relative(self, name: str) -> str:
        """The staged file `name` as a record names it."""
        return f"staging/{self.path.name}/{name}"


@contextmanager
def staging(store: Store) -> Iterator[Staging]:
    """A staging folder of one's own; what is left in it at the end is removed.

    Unless a commit that names it could not be applied to its end: then recovery needs the files.
    """
    staged = Staging(store, store.staging / os.urandom(16).hex())
    fd = None
    try:
        with locks.staging(store):
            durable.folder(staged.path)
            fd = locks.owned(staged.path / _OWNER)
        assert fd is not None, "nobody else knows this folder yet"
        yield staged
    finally:
        staged.drop()
        _leave(store, staged.path, fd)


def _leave(store: Store, path: Path, fd: int | None) -> None:
    """Remove a staging folder of one's own, unless recovery needs it, and then let go of it."""
    try:
        _remove_unneeded(store, path)
    except KeyboardInterrupt:  # what was begun is ended first: nothing is left lying about
        _remove_unneeded(store, path)
        raise
    finally:
        if fd is not None:
            os.close(fd)


def _remove_unneeded(store: Store, path: Path) -> None:
    needed = f"staging/{path.name}/"
    if not any(source.startswith(needed) for record in unapplied(store) for source, _ in record.renames):
        with locks.staging(store):  # a sweep finds all of it, or nothing
            durable.remove_folder(path)


def newest(store: Store) -> int:
    """The number of the newest commit; 0 in a store that has none."""
    return max((_number(name) for name in durable.files(store.journal, "")), default=0)


def unapplied(store: Store) -> list[Record]:
    """The records that are committed and perhaps not wholly applied (at most one, unless files were copied around)."""
    found = []
    for name in durable.files(store.journal, ".json"):
        try:
            found.append(_read(store.journal / name))
        except FileNotFoundError:
            continue  # applied meanwhile
    return found


def commit(
    staged: Staging, why: str, renames: Iterable[tuple[str, str]], *, unlinks: Sequence[str] = (), batches: int = 1
) -> int:
    """Commit staged files to their final names and remove what they replace; the number of the commit.

    The caller holds the commit lock and has recovered; every staged file is synced here if it is not yet. `renames`
    maps names in the staging folder to paths in the store. With `batches` > 1 the commit takes that many numbers, the
    last being its own.
    """
    store = staged.store
    batch = newest(store) + batches
    if batch == batches:
        layout.settle(store)
    moves = tuple((staged.relative(name), to) for name, to in renames)
    names = (segment_name(to.rpartition("/")[2]) for _, to in moves)
    received = max([last_received(store), *(name.received for name in names if name is not None)])
    record = Record(batch, why, moves, tuple(unlinks), received)
    staged.sync()
    durable.sync_folder(staged.path)
    for folder in {(store.root / target).parent for _, target in record.renames}:
        durable.is_folder(folder)  # what stands in the way of applying is told before anything is committed
    try:
        _write(store, record)
        _apply(store, record)
    except WriteFailed as error:
        path = _path(store, batch)
        if durable.is_there(path) or durable.is_there(path.with_suffix(".done")):
            raise Unfinished(str(error)) from error
        raise
    return batch


def last_received(store: Store) -> str:
    """The newest `received_at` that the store ever saw, as names of segments spell it; empty where it saw none."""
    last = max((name for name in durable.files(store.journal, "") if _number(name)), default="")
    for suffix in (".json", ".done"):
        try:
            return _read((store.journal / last).with_suffix(suffix)).received if last else ""
        except FileNotFoundError:
            continue  # applied meanwhile
    return ""


def replaced_since(store: Store, batch: int) -> bool:
    """Whether a commit after `batch` did more than add events: then a look at the folders may have seen half of it."""
    newer = [name for name in durable.files(store.journal, "") if _number(name) > batch]
    return len(newer) >= _KEPT or any(_replaces(store, name) for name in newer)


def since(store: Store, batch: int) -> list[Record] | None:
    """The commits after `batch`, in order; None where some of them are known no more."""
    names = [name for name in durable.files(store.journal, "") if _number(name)]
    if min(map(_number, names), default=0) > batch:
        return None
    found: list[Record] = []
    for name in names:
        if _number(name) > batch:
            path = store.journal / name
            try:
                found.append(_read(path if durable.is_there(path) else path.with_suffix(".done")))
            except FileNotFoundError:  # trimmed meanwhile
                return None
    return found


def _replaces(store: Store, name: str) -> bool:
    for path in (store.journal / name, (store.journal / name).with_suffix(".done")):
        try:
            return _read(path).why != INGEST
        except FileNotFoundError:
            continue  # applied, or trimmed, meanwhile
    return True


def living(store: Store) -> list[Path]:
    """The locks of the staging folders that lie there just now; each is free once its run has ended."""
    return [store.staging / name / _OWNER for name in durable.folders(store.staging)]


def recover(store: Store) -> int:
    """Apply what was committed and not applied, and sweep up after dead processes; how many records were applied.

    The caller holds the commit lock.
    """
    records = unapplied(store)
    if records:
        durable.sync_folder(store.journal)  # who wrote them may have died before their names were durable
    for record in records:
        _apply(store, record, again=True)
    _sweep(store)
    return len(records)


def _write(store: Store, record: Record) -> None:
    body = {
        "batch": record.batch,
        "why": record.why,
        "renames": record.renames,
        "unlinks": record.unlinks,
        "received": record.received,
    }
    durable.replace_whole(_path(store, record.batch), json.dumps(body).encode() + b"\n")


def _read(path: Path) -> Record:
    try:
        body = json.loads(durable.read(path))
        renames = tuple((str(source), str(target)) for source, target in body["renames"])
        unlinks = tuple(map(str, body["unlinks"]))
        record = Record(int(body["batch"]), str(body["why"]), renames, unlinks, str(body.get("received", "")))
        ours = all(map(_is_inside, (*(name for pair in renames for name in pair), *record.unlinks)))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreDamaged(f"{path} is not a commit record") from error
    if not ours:
        raise StoreDamaged(f"{path} names files outside of the store")
    return record


def _is_inside(name: str) -> bool:
    top, *rest = PurePosixPath(name).parts
    return top in FOLDERS and bool(rest) and ".." not in rest


def _path(store: Store, batch: int) -> Path:
    """Where the record of a commit lies until it is applied."""
    return store.journal / f"{batch:012d}.json"


def _apply(store: Store, record: Record, *, again: bool = False) -> None:
    """Do what `record` says; again does no harm: a rename whose source is gone has happened."""
    root = store.root
    touched = {root / target: root / source for source, target in record.renames}
    for target in sorted({folder for path in touched for folder in path.parents if root in folder.parents}):
        durable.folder(target)
        if again:  # who made it may have died before its name was durable
            durable.sync_folder(target.parent)
    for target, source in touched.items():
        with durable.told_once("rename", target):
            try:
                source.rename(target)
            except FileNotFoundError:
                if not durable.is_there(target):
                    raise
    for parent in {path.parent for path in touched}:
        durable.sync_folder(parent)
    gone = [root / name for name in record.unlinks]
    for path in gone:
        with durable.told_once("remove", path):
            path.unlink(missing_ok=True)
    for parent in {path.parent for path in gone}:
        if durable.is_folder(parent):
            durable.sync_folder(parent)
            _drop_if_empty(root, parent)
    _mark_applied(store, record.batch)


def _drop_if_empty(root: Path, folder: Path) -> None:
    """Remove the folder of a partition that has nothing left in it."""
    if folder.parent == root:
        return
    try:
        folder.rmdir()
    except OSError:
        return
    durable.sync_folder(folder.parent)


def _mark_applied(store: Store, batch: int) -> None:
    path = _path(store, batch)
    with durable.told_once("rename", path):
        path.rename(path.with_suffix(".done"))
        if durable.is_there(path):  # both names are one file, left by a power loss: then a rename does nothing
            path.unlink()
        for name in durable.files(store.journal, ".done")[:-_KEPT]:
            (store.journal / name).unlink(missing_ok=True)
    durable.sync_folder(store.journal)


def _sweep(store: Store) -> None:
    """Remove staging folders whose owner is dead, and scratch files of the commit that nobody finished."""
    with locks.staging(store):
        for name in durable.folders(store.staging):
            path = store.staging / name
            fd = locks.owned(path / _OWNER)
            if fd is not None:
                os.close(fd)
                durable.remove_folder(path)
    for folder in (store.journal, store.tombstones, store.root):
        for name in durable.files(folder, durable.SCRATCH):
            with durable.told_once("remove", folder / name):
                (folder / name).unlink(missing_ok=True)


def _number(name: str) -> int:
    stem = name.partition(".")[0]
    return int(stem) if stem.isascii() and stem.isdecimal() else 0
