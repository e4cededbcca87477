"""Compaction: the segments of a partition become its one Parquet part; readers see no difference at any instant.

A plan says which partitions; applying it commits one partition at a time, so an interrupt keeps what is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evlog import engine
from evlog.query import view
from evlog.store import ids, journal, locks, parts, snapshot, tombstones
from evlog.store.layout import PART, PART_IDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from evlog.engine import Engine
    from evlog.store.journal import Staging
    from evlog.store.layout import Store
    from evlog.store.snapshot import Part, Segment
    from evlog.store.tombstones import Tombstones

_MEMORY = "220MB"

_USERS = """
SELECT DISTINCT user_id
FROM   day
WHERE  user_id IS NOT NULL
ORDER BY user_id
"""

_KEYS = """
CREATE OR REPLACE TEMP TABLE keys AS
SELECT unnest($users) AS user_id,
       unnest($keys)  AS user_key
"""

_SORTED = """
SELECT   day.* EXCLUDE (date), keys.user_key
FROM     day
LEFT JOIN keys USING (user_id)
ORDER BY keys.user_key NULLS LAST, day.ts, day.seq, day.event_id
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
    """What a compaction would do."""

    days: tuple[Day, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """What compacting one partition did."""

    day: date
    events: int
    segments: int
    bytes_in: int
    bytes_out: int


def plan(store: Store, *, before: date | None) -> Plan:
    """The partitions before `before` (None: all of them) that have segments."""
    seen = snapshot.snapshot(store)
    cold = {part.day: part for part in seen.cold}
    hot: dict[date, list[Segment]] = {}
    for segment in seen.hot:
        if before is None or segment.day < before:
            hot.setdefault(segment.day, []).append(segment)
    return Plan(tuple(Day(day, tuple(hot[day]), cold.get(day)) for day in sorted(hot)))


def run(
    store: Store,
    *,
    before: date | None,
    wait: float | None = 0.0,
    done: Callable[[Done, int], None] = lambda day, total: None,
) -> list[Done]:
    """Compact every closed partition; `done` hears of each, and how many there are."""
    with locks.maintenance(store, "compact", wait=wait):
        with locks.commit(store):
            journal.recover(store)
        found = plan(store, before=before)
        told = []
        for day in found.days:
            told.append(_compact(store, day))
            done(told[-1], len(found.days))
    return told


def _compact(store: Store, day: Day) -> Done:
    """Write the part of one partition and commit it in place of what it covers."""
    highest = max(segment.name.batch for segment in day.segments)
    if day.part is not None:
        highest = max(highest, parts.covers(day.part.path))
    with journal.staging(store) as staged:
        limits = engine.Limits(memory=_MEMORY, spill=staged.path)
        with engine.connect(limits) as connection:
            rows = _write(connection, staged, day, tombstones.load(store), covers=highest)
        staged.write("part.ids", ids.chunks(_ids(store, day)))
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


def _write(connection: Engine, staged: Staging, day: Day, known: Tombstones, *, covers: int) -> int:
    """Sort the events of a partition into a staged part; how many there are."""
    body, variables = view.view(day.segments, (day.part,) if day.part else ())
    for name, value in variables.items():
        connection.run(f"SET VARIABLE {name} = $value", {"value": value})
    connection.run(f"CREATE OR REPLACE TEMP VIEW day AS {body}")
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
