"""Ids that more than one stored event has, told from the id indexes: no event is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.store import ids
from evlog.store.layout import PART_IDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from evlog.store.ids import Ids
    from evlog.store.layout import Store
    from evlog.store.snapshot import Snapshot

_BUCKET_BITS = 4  # the ids are held against each other a sixteenth at a time, so that a long range takes little memory


def days(store: Store, seen: Snapshot, first: date, last: date) -> list[tuple[date, int, int]]:
    """Of each partition from `first` to `last`: its events, and those whose id an earlier event of the range has."""
    import numpy as np

    found = list(_indexes(store, seen, first, last))
    dates = sorted({day for day, _ in found})
    places = {day: place for place, day in enumerate(dates)}
    again = np.zeros(len(dates), np.int64)
    for bucket in range(1 << _BUCKET_BITS):
        pieces = [(places[day], *_piece(index, bucket)) for day, index in found]
        again += np.bincount(_repeated(pieces), minlength=len(dates))
    totals = dict.fromkeys(dates, 0)
    for day, index in found:
        totals[day] += len(index)
    return [(day, totals[day], int(again[places[day]])) for day in dates]


def _indexes(store: Store, seen: Snapshot, first: date, last: date) -> Iterator[tuple[date, Ids]]:
    named = [(part.day, store.ids(part.day) / PART_IDS) for part in seen.cold]
    named += [(segment.day, store.ids(segment.day) / segment.name.file(".ids")) for segment in seen.hot]
    for day, path in named:
        if first <= day <= last and (index := _loaded(path)) is not None:
            yield day, index


def _loaded(path: Path) -> Ids | None:
    """An index; None where it has gone: then its segment has too, and the snapshot is asked again."""
    try:
        return ids.load(path)
    except FileNotFoundError:
        return None


def _piece(index: Ids, bucket: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The entries of a sorted index whose ids lie in the bucket."""
    import numpy as np

    width = 64 - _BUCKET_BITS
    begin = np.searchsorted(index.high, np.uint64(bucket << width))
    over = bucket + 1 == 1 << _BUCKET_BITS
    end = len(index) if over else np.searchsorted(index.high, np.uint64((bucket + 1) << width))
    return index.high[begin:end], index.low[begin:end]


def _repeated(pieces: list[tuple[int, NDArray[np.uint64], NDArray[np.uint64]]]) -> NDArray[np.int64]:
    """The place of the day of every entry that repeats one before it, by day."""
    import numpy as np

    if not pieces:
        return np.zeros(0, np.int64)
    day = np.concatenate([np.full(len(high), place, np.int64) for place, high, _ in pieces])
    high = np.concatenate([high for _, high, _ in pieces])
    low = np.concatenate([low for _, _, low in pieces])
    order = np.lexsort((day, low, high))
    day, high, low = day[order], high[order], low[order]
    repeats: NDArray[np.int64] = day[1:][(high[1:] == high[:-1]) & (low[1:] == low[:-1])]
    return repeats
