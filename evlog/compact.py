"""Compaction: the segments of a partition become its one Parquet part; readers see no difference at any instant.

A plan says which partitions; applying it commits one partition at a time, so an interrupt keeps what is done. A day
that is still open gets no part, but where many small segments have come together, they are merged into one.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evlog import engine
from evlog.query import view
from evlog.store import durable, ids, journal, locks, parts, snapshot, tombstones
from evlog.store.layout import PART, PART_IDS, SEQ_BITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

    from evlog.engine import Engine
    from evlog.store.journal import Staging
    from evlog.store.layout import SegmentName, Store
    from evlog.store.snapshot import Part, Segment
    from evlog.store.tombstones import Tombstones

_MEMORY = ("160MB", "220MB", "400MB", "1GB")
_MANY = 64  # small segments of an open day that are worth merging
_SMALL = 4 << 20  # bytes: a merged segment grows past this and is then left alone
_RELATIVE = re.compile(rb',"seq":(\d+)\}\n')  # the end of a line whose `seq` counts from its batch

_USERS = """
SELECT DISTINCT user_id
FROM   events
WHERE  user_id IS NOT NULL
ORDER BY user_id
"""

_KEYS = """
CREATE OR REPLACE TEMP TABLE keys AS
SELECT unnest($users) AS user_id,
       unnest($keys)  AS user_key
"""

_SORTED = """
SELECT   events.* EXCLUDE (date), keys.user_key
FROM     events
LEFT JOIN keys USING (user_id)
ORDER BY keys.user_key NULLS LAST, events.ts, events.seq, events.event_id
"""


@dataclass(frozen=True, slots=True)
class Day:
    """One partition to compact: its segments, and the part they join, if there is one."""

    day: date
    segments: tuple[Segment, ...]
    part: Part | None

    @property
    def bytes_in(self) -> int:
        """The size of what will be replaced."""
        return sum(segment.stamp[1] for segment in self.segments) + (self.part.stamp[1] if self.part else 0)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a compaction would do: days that become parts, and open days whose small segments are merged."""

    days: tuple[Day, ...]
    merges: tuple[Day, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """What compacting one partition did."""

    day: date
    events: int
    segments: int
    bytes_in: int
    bytes_out: int
    into: Literal["part", "segment"] = "part"


def plan(store: Store, *, before: date | None) -> Plan:
    """The partitions before `before` (None: all) that have segments; of the others those with many small ones."""
    seen = snapshot.snapshot(store)
    cold = {part.day: part for part in seen.cold}
    hot: dict[date, list[Segment]] = {}
    for segment in seen.hot:
        hot.setdefault(segment.day, []).append(segment)
    closed = [Day(day, tuple(hot[day]), cold.get(day)) for day in sorted(hot) if before is None or day < before]
    small = {day: tuple(one for one in hot[day] if one.stamp[1] < _SMALL) for day in sorted(hot)}
    merges = [Day(day, small[day], None) for day in small if len(small[day]) > _MANY]
    return Plan(tuple(closed), tuple(day for day in merges if before is not None and day.day >= before))


def run(
    store: Store,
    *,
    before: date | None,
    wait: float | None = 0.0,
    done: Callable[[Done, int], None] = lambda _day, _total: None,
) -> list[Done]:
    """Compact every closed partition and merge in open ones; `done` hears of each, and how many there are."""
    with locks.maintenance(store, "compact", wait=wait):
        with locks.commit(store):  # under the lock nothing is on its way from one name to another
            journal.recover(store)
            found = plan(store, before=before)
        told: list[Done] = []
        for work, days in ((_compact, found.days), (_merge, found.merges)):
            for day in days:
                told.append(work(store, day))
                done(told[-1], len(found.days) + len(found.merges))
    return told


def _compact(store: Store, day: Day) -> Done:
    """Write the part of one partition and commit it in place of what it covers."""
    highest = max(segment.name.batch for segment in day.segments)  # the part covers none of these
    with journal.staging(store) as staged:
        rows = _sorted_part(staged, day, tombstones.load(store), covers=highest)
        staged.write("part.ids", ids.chunks(_ids(store, day)))
        staged.sync()
        size = staged.file("part").stat().st_size
        with locks.commit(store):
            journal.recover(store)
            journal.commit(
                staged,
                "compact",
                [("part.ids", f"ids/{day.day}/{PART_IDS}"), ("part", f"parquet/date={day.day}/{PART}")],
                unlinks=_covered(day),
            )
    return Done(day.day, rows, len(day.segments), day.bytes_in, size)


def _sorted_part(staged: Staging, day: Day, known: Tombstones, *, covers: int) -> int:
    """Sort the events of a partition into a staged part, in little memory if it can be done; how many there are.

    A sort spills, but what the engine holds besides is hard to foretell, so a limit that was too small is raised. One
    thread, since each one reads NDJSON in pieces of 18 MiB.
    """
    for memory in _MEMORY[:-1]:
        with (
            contextlib.suppress(engine.OutOfMemory),
            engine.connect(engine.Limits(threads=1, memory=memory, spill=staged.path)) as connection,
        ):
            return _write(connection, staged, day, known, covers=covers)
        staged.file("part").unlink(missing_ok=True)
    with engine.connect(engine.Limits(threads=1, memory=_MEMORY[-1], spill=staged.path)) as connection:
        return _write(connection, staged, day, known, covers=covers)


def _write(connection: Engine, staged: Staging, day: Day, known: Tombstones, *, covers: int) -> int:
    """Sort the events of a partition into a staged part; how many there are."""
    view.offer(connection, day.segments, (day.part,) if day.part else ())
    users = [str(user) for (user,) in connection.rows(_USERS)]
    connection.run(_KEYS, {"users": users, "keys": [known.user_key(user) for user in users]})
    rows = parts.write(staged.file("part"), connection.batches(_SORTED), covers=covers)
    staged.adopt("part")
    return rows


def _ids(store: Store, day: Day) -> ids.Ids:
    """The ids of everything the new part will hold."""
    folder = store.ids(day.day)
    names = [segment.name.file(".ids") for segment in day.segments] + ([PART_IDS] if day.part else [])
    return ids.merged([ids.load(folder / name) for name in names])


def _covered(day: Day) -> list[str]:
    """What the new part makes superfluous, as the journal names it."""
    names = [segment.name for segment in day.segments]
    return [f"events/date={day.day}/{name.file('.ndjson')}" for name in names] + [
        f"ids/{day.day}/{name.file('.ids')}" for name in names
    ]


def _merge(store: Store, day: Day) -> Done:
    """Put one segment in place of many; it has the name of the newest, and its lines carry what their names said."""
    *older, newest = sorted(day.segments, key=lambda segment: segment.name)
    events = 0

    def lines() -> Iterator[bytes]:
        nonlocal events
        for segment in (*older, newest):
            text, count = _absolute(durable.read(segment.path), segment.name)
            events += count
            yield text

    with journal.staging(store) as staged:
        staged.write("lines", lines())
        staged.write("ids", ids.chunks(_ids(store, day)))
        staged.sync()
        size = staged.file("lines").stat().st_size
        into = Day(day.day, (newest,), None)
        renames = list(zip(("lines", "ids"), _covered(into), strict=True))
        with locks.commit(store):
            journal.recover(store)
            journal.commit(staged, "merge", renames, unlinks=_covered(Day(day.day, tuple(older), None)))
    return Done(day.day, events, len(day.segments), day.bytes_in, size, "segment")


def _absolute(raw: bytes, name: SegmentName) -> tuple[bytes, int]:
    """The lines of a segment with their `seq` in the store and their `received_at`, and how many there are."""
    base = name.batch << SEQ_BITS
    received = name.received_at.isoformat(timespec="microseconds").encode()

    def whole(found: re.Match[bytes]) -> bytes:
        return b',"seq":%d,"received_at":"%bZ"}\n' % (base + int(found[1]), received)

    return _RELATIVE.sub(whole, raw), raw.count(b"\n")
