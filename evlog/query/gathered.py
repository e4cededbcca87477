"""Small segments of a partition as one, where there are many: a question opens each of its files once per statement.

That takes half a millisecond a file, however little is in it, and a report has half a dozen such statements. So they
are read once, into memory, as what a merge would make of them (store/merged.py).
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from evlog.frozen import replace
from evlog.store import durable
from evlog.store.merged import absolute
from evlog.store.snapshot import Segment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evlog.engine import Engine
    from evlog.store.snapshot import Snapshot

_MANY = 8  # small segments of one partition that are worth it
_SMALL = 64 << 10  # bytes: a larger one is opened as soon as it is read
_MOST = 32 << 20  # bytes that may stand in memory
_FILES = 64  # that are held open: a shell may allow no more than 256
_OPEN = "/proc/self/fd"


@contextmanager
def gathered(seen: Snapshot, engine: Engine) -> Iterator[Snapshot]:
    """Yield the snapshot that an engine is to read: with one segment in place of many small ones of a partition.

    They are read before its first statement. Whether they still are what was read, `seen` itself knows (`holds`).
    """
    many = _many(seen)
    if not (many and sys.platform == "linux" and os.path.exists(_OPEN)):  # noqa: PTH110 - nothing else needs a path
        yield seen
        return
    with ExitStack() as held:
        gone = {segment for group in many for segment in group}
        made = [_one(group, held, engine) for group in many]
        kept = [segment for segment in seen.hot if segment not in gone]
        yield replace(seen, hot=tuple(sorted([*kept, *made], key=lambda segment: (segment.day, segment.name))))


def _many(seen: Snapshot) -> list[list[Segment]]:
    """The small segments of partitions that have many, as far as there is room for them."""
    small = (segment for segment in seen.hot if segment.stamp[1] <= _SMALL)
    groups = [list(group) for _, group in groupby(small, key=lambda segment: segment.day)]
    found: list[list[Segment]] = []
    room = _MOST
    for group in sorted(groups, key=len, reverse=True)[:_FILES]:
        size = sum(segment.stamp[1] for segment in group)
        if len(group) >= _MANY and size <= room:
            found.append(group)
            room -= size
    return found


def _one(segments: Sequence[Segment], held: ExitStack, engine: Engine) -> Segment:
    """One segment of all their lines, in memory; it has the name of the newest."""
    assert sys.platform == "linux"
    fd = os.memfd_create("segments")
    held.callback(os.close, fd)

    def fill() -> None:
        with open(fd, "wb", closefd=False) as file:
            file.writelines(absolute(durable.read(segment.path), segment.name) for segment in segments)

    engine.beforehand(fill)
    newest = max(segments, key=lambda segment: segment.name)
    return Segment(newest.day, newest.name, Path(f"{_OPEN}/{fd}"), newest.stamp)
