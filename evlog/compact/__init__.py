"""Compaction: the segments of a partition become its one Parquet part; readers see no difference at any instant.

A plan says which partitions; applying it commits one partition at a time, so an interrupt keeps what is done. A day
that is still open gets no part, but where many small segments have come together, they are merged into one.
"""

from __future__ import annotations

from collections import deque
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from evlog.compact import part
from evlog.compact.part import Day
from evlog.compact.workers import ahead
from evlog.store import durable, ids, journal, keys, locks, parts, snapshot, tombstones
from evlog.store.layout import PART, PART_IDS
from evlog.store.merged import absolute

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from datetime import date

    from evlog.compact.part import Made
    from evlog.store.journal import Staging
    from evlog.store.layout import Store
    from evlog.store.snapshot import Segment

__all__ = ["Day", "Done", "Plan", "plan", "run"]

M = TypeVar("M", "Made", "Made | None")

_MANY = 64  # small segments of an open day that are worth merging
_SMALL = 4 << 20  # bytes: a merged segment grows past this and is then left alone
_WORTH = 8 << 20  # bytes of days that are worth processes of their own, whose memory goes with them


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
    with locks.maintenance(store, "compact", wait=wait) as lock:
        with locks.commit(store):  # under the lock nothing is on its way from one name to another
            journal.recover(store)
            found = plan(store, before=before)
        told: list[Done] = []
        for work in (_compacted(store, found.days, lock), _merged(store, found.merges)):
            with closing(work) as each:
                for one in each:
                    told.append(one)
                    done(one, len(found.days) + len(found.merges))
    return told


def _compacted(store: Store, days: Sequence[Day], lock: int) -> Generator[Done]:
    """Write the part of each partition and commit it in place of what it covers; the commits are in order."""
    if not days:
        return
    known = keys.Keys(tombstones.load(store))
    with journal.staging(store) as staged, closing(_made(staged, days, known, lock)) as made:
        for day, one in made:
            size = staged.file(f"{day.day}-part").stat().st_size
            _commit(staged, day, one)
            yield Done(day.day, one.events, len(day.segments), day.bytes_in, size)


def _made(staged: Staging, days: Sequence[Day], known: keys.Keys, lock: int) -> Generator[tuple[Day, Made]]:
    """Each day with what was staged of it, in order; one that is too large is made while nobody makes another."""
    left = deque(days)
    while left:
        with closing(_in_memory(staged, list(left), known, lock)) as each:
            for made in each:
                if made is None:
                    break
                yield left.popleft(), made
        if left:
            (made,) = ahead(1, lambda _: _stage(staged, left[0], known, part.alone), without=[lock])
            yield left[0], made or _stage(staged, left[0], known, part.by_engine)
            left.popleft()


def _in_memory(staged: Staging, days: Sequence[Day], known: keys.Keys, lock: int) -> Generator[Made | None]:
    """What was staged of each day, None where it is too large; side by side and ahead, where there is enough to do."""

    def make(number: int) -> Made | None:
        return _stage(staged, days[number], known, part.in_memory)

    if sum(day.bytes_in for day in days) >= _WORTH:
        parts.load()
        yield from ahead(len(days), make, without=[lock])
    else:
        yield from map(make, range(len(days)))


def _stage(staged: Staging, day: Day, known: keys.Keys, make: Callable[..., M]) -> M:
    """Stage the part of a partition and its ids, synced; not where it is too large to be made so."""
    for name in durable.files(staged.path, ""):
        if name.startswith(f"{day.day}-"):  # from a worker that was ended
            staged.file(name).unlink()
    highest = max(segment.name.batch for segment in day.segments)  # the part covers none of these
    made = make(staged, day, known, covers=highest)
    if made is not None:
        durable.write_new(staged.file(f"{day.day}-ids"), ids.chunks(_ids(staged.store, day)))
    return made


def _commit(staged: Staging, day: Day, made: Made) -> None:
    """Put what was staged of a partition in place of what it covers."""
    renames = [
        (f"{day.day}-ids", f"ids/{day.day}/{PART_IDS}"),
        (f"{day.day}-part", f"parquet/date={day.day}/{PART}"),
    ]
    with locks.commit(staged.store):
        journal.recover(staged.store)
        if not made.apart:
            keys.mark(staged.store)
        journal.commit(staged, "compact", renames, unlinks=_covered(day))


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


def _merged(store: Store, days: Sequence[Day]) -> Generator[Done]:
    """Merge the small segments of each open partition."""
    return (_merge(store, day) for day in days)


def _merge(store: Store, day: Day) -> Done:
    """Put one segment in place of many; it has the name of the newest, and its lines carry what their names said."""
    *older, newest = sorted(day.segments, key=lambda segment: segment.name)
    events = 0

    def lines() -> Iterator[bytes]:
        nonlocal events
        for segment in (*older, newest):
            raw = durable.read(segment.path)
            events += raw.count(b"\n")
            yield absolute(raw, segment.name)

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
