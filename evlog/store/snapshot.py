"""What a reader sees: whole batches only, each event once, with no lock taken.

The journal is read first, then hot, then cold. Batches committed after that first look are told by their number and
left out; a partition's segments that its part covers are left out too (docs/design.md, "What a reader sees").
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from evlog.errors import EvlogError, StoreDamaged
from evlog.frozen import dataclass
from evlog.store import durable, journal, parts
from evlog.store.layout import FIRSTS, PART, day_of, segment_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

    from evlog.store.layout import SegmentName, Store

T = TypeVar("T")
Stamp = tuple[int, int, int]
"""Which file it was: inode, size, mtime."""

_TRIES = 20


class StoreBusy(EvlogError):
    """Files kept being replaced while they were read."""

    hint = "try again when maintenance is over"


@dataclass(frozen=True, slots=True)
class Segment:
    """A visible segment: its partition, its name, and where its bytes lie just now."""

    day: date
    name: SegmentName
    path: Path
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Part:
    """A visible part, and the file it was when it was seen (inode, size, mtime)."""

    day: date
    path: Path
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Memory:
    """The first-seen memory as it stands with a snapshot: where it lies just now (None: there is none yet)."""

    path: Path
    stamp: Stamp | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files that make up the store at one commit, for a range of partitions."""

    batch: int
    hot: tuple[Segment, ...]
    cold: tuple[Part, ...]
    memory: Memory | None = None

    @property
    def files(self) -> tuple[Segment | Part, ...]:
        """The files of both tiers."""
        return (*self.hot, *self.cold)

    @property
    def segments(self) -> tuple[Path, ...]:
        """The files of the hot tier."""
        return tuple(segment.path for segment in self.hot)

    @property
    def parts(self) -> tuple[Path, ...]:
        """The files of the cold tier."""
        return tuple(part.path for part in self.cold)

    @property
    def days(self) -> list[date]:
        """The partitions that hold events, in order."""
        return sorted({part.day for part in self.cold} | {segment.day for segment in self.hot})

    def holds(self) -> bool:
        """Whether every file is still the one that was seen: what was read from them is then a true answer."""
        read = (*self.files, *((self.memory,) if self.memory is not None else ()))
        return all(_stamp(file.path) == file.stamp for file in read)


def snapshot(store: Store, first: date | None = None, last: date | None = None) -> Snapshot:
    """The files to read for the partitions from `first` to `last` (both included; None: no bound)."""
    for _ in range(_TRIES):
        seen = _look(store, first, last)
        if seen is not None:
            return seen
    raise StoreBusy(f"the files of {store.root} kept changing")


def steady(store: Store, read: Callable[[Snapshot], T], *, first: date | None = None, last: date | None = None) -> T:
    """What `read` makes of a snapshot that held until it was done; asked again when files were replaced meanwhile."""
    for _ in range(_TRIES):
        seen = snapshot(store, first, last)
        try:
            answer = read(seen)
        except (EvlogError, OSError, ValueError):  # what a file that went or changed makes of a reader
            if seen.holds():
                raise
            continue
        if seen.holds():
            return answer
    raise StoreBusy(f"the files of {store.root} kept changing")


def _look(store: Store, first: date | None, last: date | None) -> Snapshot | None:
    """The snapshot, or None where files were replaced under our eyes."""
    batch = journal.newest(store)
    records = journal.unapplied(store)
    pending = {target: source for record in records for source, target in record.renames}
    gone = {store.root / name for record in records for name in record.unlinks}
    hot = _hot(store, pending, gone)
    cold = list(_parts(store, pending, gone))
    memory = _memory(store, pending)

    def wanted(day: date) -> bool:
        return (first is None or day >= first) and (last is None or day <= last)

    segments = [segment for segment in hot if segment.name.batch <= batch and wanted(segment.day)]
    found = [part for part in cold if wanted(part.day)]
    both = {segment.day for segment in segments}
    try:
        covers = {part.day: parts.covers(part.path) for part in found if part.day in both}
    except FileNotFoundError:
        return None
    if any(_stamp(part.path) != part.stamp for part in found if part.day in both):
        return None
    if journal.replaced_since(store, batch):
        return None
    kept = [segment for segment in segments if segment.name.batch > covers.get(segment.day, -1)]
    return Snapshot(batch, tuple(kept), tuple(found), memory)


def _memory(store: Store, pending: dict[str, str]) -> Memory:
    """The first-seen memory: the committed one, even where its rename is still to come."""
    staged = store.root / pending.get(FIRSTS, FIRSTS)
    stamp = _stamp(staged)
    return Memory(staged, stamp) if stamp is not None else Memory(store.root / FIRSTS, _stamp(store.root / FIRSTS))


def _hot(store: Store, pending: dict[str, str], gone: set[Path]) -> list[Segment]:
    """The segments of all commits: where a rename is still to come, the staged file, in place of what it replaces."""
    staged = {(segment.day, segment.name): segment for segment in _staged(store, pending)}
    found = {(segment.day, segment.name): segment for segment in _listed(store) if segment.path not in gone}
    found |= {key: new for key, new in staged.items() if key not in found or _stamp(new.path) == new.stamp}
    return [found[key] for key in sorted(found)]


def _staged(store: Store, pending: dict[str, str]) -> Iterator[Segment]:
    """Segments that are committed but not yet renamed."""
    for target, source in pending.items():
        tier, _, rest = target.partition("/")
        folder, _, file = rest.partition("/")
        day, name = day_of(folder), segment_name(file)
        stamp = _stamp(store.root / source)
        if tier == "events" and day is not None and name is not None and stamp is not None:
            yield Segment(day, name, store.root / source, stamp)


def _listed(store: Store) -> Iterator[Segment]:
    events = store.root / "events"
    for folder in durable.folders(events, "date="):
        day = day_of(folder)
        if day is None:
            continue
        for file in durable.files(events / folder, ".ndjson"):
            name, stamp = segment_name(file), _stamp(events / folder / file)
            if name is not None and stamp is not None:
                yield Segment(day, name, events / folder / file, stamp)


def _parts(store: Store, pending: dict[str, str], gone: set[Path]) -> Iterator[Part]:
    """The part of each partition: the committed one, even where its rename is still to come."""
    parquet = store.root / "parquet"
    names = {day: name for name in durable.folders(parquet, "date=") if (day := day_of(name)) is not None}
    staged = {
        day_of(target.split("/")[1]): store.root / source
        for target, source in pending.items()
        if target.startswith("parquet/") and target.endswith(f"/{PART}")
    }
    if not (staged or gone):  # nearly always; ten years of partitions are looked at one by one here
        for day, name in sorted(names.items()):
            place = f"{parquet}/{name}/{PART}"
            stamp = _stamp(place)
            if stamp is not None:
                yield Part(day, Path(place), stamp)
        return
    for day in sorted(day for day in {*names, *staged} if day is not None):
        for path in (staged.get(day), store.part(day)):
            stamp = _stamp(path) if path is not None and path not in gone else None
            if path is not None and stamp is not None:
                yield Part(day, path, stamp)
                break


def _stamp(path: Path | str) -> Stamp | None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise StoreDamaged(f"{path} is no plain file; evlog follows no symlink inside a store", hint="move it away")
    return found.st_ino, found.st_size, found.st_mtime_ns
