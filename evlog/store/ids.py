"""The id index: is this event stored already? Sorted arrays on disk, merged against a batch; no event is read.

A file holds three columns of little-endian 64-bit numbers, each `n` long: the upper and the lower half of the 128-bit
hash of event_id, and the content hash; sorted by id hash. The scope of an id is its UTC day (metrics §13).
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xxhash

from evlog.errors import StoreDamaged
from evlog.store import durable
from evlog.store.layout import PART_IDS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from pathlib import Path

    from numpy.typing import NDArray

    from evlog.store.layout import Store

    Hashes = NDArray[np.uint64]

ENTRY = 24
_SMALL = 65_536  # arrays up to this many entries are merged in memory, larger ones stay mapped
_PIECES = 4
_READ = 1 << 20  # bytes up to which a file is read: thousands of mappings would be thousands of open files
_HELD = 1_000_000  # entries kept in memory or mapped, in all folders together


class Ids(NamedTuple):
    """Entries as columns; `high` and `low` make the id hash."""

    high: Hashes
    low: Hashes
    content: Hashes

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self.high)


def entries(packed: bytes | bytearray) -> Ids:
    """The entries in `packed` (24 bytes each, big-endian), in the order they came."""
    columns = np.frombuffer(packed, dtype=">u8").astype(np.uint64).reshape(-1, 3)
    return Ids(*(np.ascontiguousarray(columns[:, i]) for i in range(3)))


def arranged(ids: Ids) -> Ids:
    """The same entries, sorted by id hash."""
    return chosen(ids, order(ids))


def chosen(ids: Ids, which: NDArray[np.bool_] | NDArray[np.intp]) -> Ids:
    """Some of the entries: those of a mask, or those at these places."""
    return Ids(*(column[which] for column in ids))


def order(ids: Ids) -> NDArray[np.intp]:
    """Which entry stands where once they are sorted by id hash; the earlier first among equals."""
    found = np.argsort(ids.high, kind="stable")  # the upper half decides all but never
    high, low = ids.high[found], ids.low[found]
    tied = high[1:] == high[:-1]
    return np.lexsort((ids.low, ids.high)) if (tied & (low[1:] != low[:-1])).any() else found


def merged(many: Iterable[Ids]) -> Ids:
    """All entries of `many`, sorted."""
    listed = list(many)
    empty = np.empty(0, np.uint64)
    return arranged(Ids(*(np.concatenate([ids[i] for ids in listed] or [empty]) for i in range(3))))


def without(ids: Ids, event_ids: Iterable[str]) -> Ids:
    """The entries of all events but those with these ids."""
    return chosen(ids, ~_among(ids, event_ids))


def only(ids: Ids, event_ids: Iterable[str]) -> Ids:
    """The entries of the events with these ids."""
    return chosen(ids, _among(ids, event_ids))


def _among(ids: Ids, event_ids: Iterable[str]) -> NDArray[np.bool_]:
    named = entries(b"".join(xxhash.xxh3_128_digest(name.encode()) + bytes(8) for name in event_ids))
    same, other = stored_already(ids, arranged(named))
    return same | other


def chunks(ids: Ids) -> list[bytes]:
    """The bytes of an index file for sorted entries."""
    return [column.astype("<u8").tobytes() for column in ids]


def load(path: Path) -> Ids:
    """The entries of an index file: a large one is mapped, a small one read, since a mapping holds a descriptor."""
    fd = durable.reading(path)
    try:
        size = os.fstat(fd).st_size
        if not size:
            return entries(b"")
        if size % ENTRY:
            raise StoreDamaged(f"{path} is no id index", hint="mend it with: evlog verify --repair")
        held = os.pread(fd, size, 0) if size <= _READ else mmap.mmap(fd, size, access=mmap.ACCESS_READ)
        columns = np.frombuffer(held, dtype="<u8").reshape(3, -1)
    finally:
        os.close(fd)
    return Ids(columns[0], columns[1], columns[2])


def former_name(day: date) -> str:
    """The file of the entries that events of a day had before an erasure renamed them, among the tombstones."""
    return f"{day}.ids"


def former(store: Store, day: date) -> list[Ids]:
    """The entries of events of a day under ids that an erasure took from them; they are duplicates still."""
    try:
        return [load(store.tombstones / former_name(day))]
    except FileNotFoundError:
        return []


def repeats(ids: Ids) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which entries repeat an earlier one of the same batch: (same content, other content), as masks in their order."""
    sorting = order(ids)
    same, other = repeated(chosen(ids, sorting))
    return unsorted(same, sorting), unsorted(other, sorting)


def repeated(ids: Ids) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The same of entries that are sorted, the earlier first among equals."""
    again = np.zeros(len(ids), bool)
    again[1:] = (ids.high[1:] == ids.high[:-1]) & (ids.low[1:] == ids.low[:-1])
    if not again.any():
        return again, again.copy()
    first = np.maximum.accumulate(np.where(again, 0, np.arange(len(ids))))
    same = again & (ids.content == ids.content[first])
    return same, again & ~same


def stored_already(ids: Ids, known: Ids) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which entries are in the sorted `known`: (same content, other content), as masks."""
    same = np.zeros(len(ids), bool)
    other = np.zeros(len(ids), bool)
    if not len(known):
        return same, other
    at = np.searchsorted(known.high, ids.high)
    pending = np.flatnonzero(at < len(known))
    while len(pending):  # one round, but for the rare ids whose upper halves are equal
        where = at[pending]
        near = known.high[where] == ids.high[pending]
        hit = near & (known.low[where] == ids.low[pending])
        equal = known.content[where] == ids.content[pending]
        same[pending[hit & equal]] = True
        other[pending[hit & ~equal]] = True
        pending = pending[near & ~hit]
        at[pending] += 1
        pending = pending[at[pending] < len(known)]
    return same, other


def unsorted(mask: NDArray[np.bool_], sorting: NDArray[np.intp]) -> NDArray[np.bool_]:
    """A mask of sorted entries as one of the entries as they came; `sorting`: see `order`."""
    back = np.empty_like(mask)
    back[sorting] = mask
    return back


@dataclass(slots=True)
class _Folder:
    """What is known of the index files of one folder: their names, and their entries in sorted arrays."""

    names: dict[str, int] = field(default_factory=dict)  # with the file it was: an erasure puts another in its place
    arrays: list[Ids] = field(default_factory=list)

    def add(self, name: str, inode: int, ids: Ids) -> None:
        """Learn one more file; many small ones are merged, so that thousands of tiny segments cost few look-ups."""
        self.names[name] = inode
        self.arrays.append(ids)
        small = [array for array in self.arrays if len(array) <= _SMALL]
        if len(small) > _PIECES:
            self.arrays = [array for array in self.arrays if len(array) > _SMALL] + [merged(small)]

    def __len__(self) -> int:
        """How many entries are held."""
        return sum(map(len, self.arrays))


@dataclass(slots=True)
class Index:
    """The id index of a store, kept between the commits of one run: only new files are opened.

    Logs are mostly in order of time, so the folders used last are kept, up to a number of entries in all.
    """

    store: Store
    _folders: dict[Path, _Folder] = field(default_factory=dict)  # the one used last stands last

    def known(self, day: date) -> list[Ids]:
        """The sorted arrays that hold the ids of a partition; certain only under the commit lock."""
        return [*self._of(self.store.ids(day)), *former(self.store, day)]

    def quarantined(self) -> list[Ids]:
        """The sorted arrays that hold the hashes of the lines in quarantine."""
        return self._of(self.store.quarantine)

    def _of(self, path: Path) -> list[Ids]:
        names = durable.inodes(path, ".ids")
        folder = self._folders.pop(path, None)
        if folder is None or not folder.names.items() <= names.items() or PART_IDS in folder.names:
            folder = _Folder()  # compacted meanwhile: what was learned of these files is void
        for name in sorted(names.keys() - folder.names.keys()):
            folder.add(name, names[name], load(path / name))
        held = sum(map(len, self._folders.values())) + len(folder)
        while self._folders and held > _HELD:
            held -= len(self._folders.pop(next(iter(self._folders))))
        self._folders[path] = folder
        return folder.arrays
