"""The part of one partition: sorted in memory where the day fits, else by the engine, which spills."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from evlog import engine
from evlog.query import view
from evlog.store import durable, lines, locks, parts
from evlog.store.snapshot import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import date

    from numpy.typing import NDArray

    from evlog.engine import Engine
    from evlog.store.journal import Staging
    from evlog.store.keys import Keys
    from evlog.store.snapshot import Part

    Numbers = NDArray[np.int64]

T = TypeVar("T")

_MEMORY = ("100MB", "160MB", "220MB", "400MB", "1GB")
_FITS = 40 << 20  # bytes of the columns of a day, which take twice as much while sorted; two are made at a time
_ALONE = 2  # times as much, for one
_DAY_BITS = 37  # the microseconds of a day
_room = bytearray()  # for the lines of one day after the other

_EVENTS = "SELECT events.* EXCLUDE (date) FROM events"
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
class Made:
    """A staged part: how many events it holds, and whether each key in it stands for one user."""

    events: int
    apart: bool


def in_memory(staged: Staging, day: Day, keys: Keys, *, covers: int, times: int = 1) -> Made | None:
    """Stage the part of a partition, synced, or None where its events take too much memory.

    It takes `times` the memory that each of two days may take which are made side by side.
    """
    import pyarrow as pa

    columns = _columns(staged, day, times * _FITS)
    if columns is None:
        return None
    columns["user_key"], order, apart = _order(columns, keys)
    rows = pa.array(order)
    table = pa.table({name: parts.taken(columns.pop(name), rows) for name in list(columns)})
    return _adopted(staged, day, Made(parts.write_table(staged.file(_name(day)), table, covers=covers), apart))


def alone(staged: Staging, day: Day, keys: Keys, *, covers: int) -> Made | None:
    """The same for a day beside which no other is made."""
    return in_memory(staged, day, keys, covers=covers, times=_ALONE)


def by_engine(staged: Staging, day: Day, keys: Keys, *, covers: int) -> Made:
    """Stage the part of a partition, synced; the engine sorts, and spills."""
    made = _by_engine(staged, _name(day), lambda connection: _spilled(connection, staged, day, keys, covers=covers))
    return _adopted(staged, day, made)


def _name(day: Day) -> str:
    return f"{day.day}-part"


def _adopted(staged: Staging, day: Day, made: Made) -> Made:
    staged.adopt(_name(day))
    return made


def _columns(staged: Staging, day: Day, most: int) -> dict[str, Any] | None:
    """The events of a day, column by column; None where they take too much memory."""
    pieces: list[dict[str, Any]] = []
    size = 0
    for piece in _pieces(staged, day):
        pieces.append(piece)
        size += sum(column.nbytes for column in piece.values())
        if size > most:
            return None
    return parts.joined(pieces)


def _pieces(staged: Staging, day: Day) -> Iterator[dict[str, Any]]:
    """Yield the columns of some events of a day, till there are no more; odd lines are put apart meanwhile."""
    odd: list[Segment] = []
    for found in lines.read(day.segments, _room):
        yield _plain(found)
        odd += _put_apart(staged, day, found, len(odd))
        del found  # before the next ones are read
    if odd:
        yield _odd(staged, odd)
    if day.part is not None:
        yield from (parts.columns([batch]) for batch in parts.read(day.part.path))


def _plain(found: lines.Lines) -> dict[str, Any]:
    """The events of the lines that are not odd; whose objects have numbers with exponents, are found to be odd too."""
    import pyarrow as pa

    objects = {name: parts.folded(found.text(name)) for name in lines.OBJECTS}
    for texts in objects.values():
        found.odd |= _spelled_otherwise(texts)
    rows = np.flatnonzero(~found.odd) if found.odd.any() else None
    objects = {name: parts.chosen(texts, rows) for name, texts in objects.items()}
    texts = {name: parts.folded(parts.chosen(found.text(name), rows), name) for name in lines.TEXTS if name != "ts"}
    ts = lines.moments(parts.chosen(found.text("ts"), rows))
    seq, received = lines.arrivals(found, rows)
    moments = {name: pa.array(told, pa.timestamp("us")) for name, told in (("ts", ts), ("received_at", received))}
    return texts | objects | moments | {"seq": pa.array(seq)}


def _spelled_otherwise(texts: Any) -> NDArray[np.bool_]:
    """Which of these texts, folded or not, hold a number with an exponent."""
    import pyarrow as pa

    if not isinstance(texts, pa.DictionaryArray):
        return lines.spelled_otherwise(texts)
    which = np.append(lines.spelled_otherwise(texts.dictionary), False)  # at the end what stands for null
    return which[texts.indices.fill_null(len(which) - 1).to_numpy()] if which.any() else np.zeros(len(texts), bool)


def _put_apart(staged: Staging, day: Day, found: lines.Lines, number: int) -> list[Segment]:
    """Put odd lines into files of their own, since the engine reads files; the segments that these are."""
    some: list[Segment] = []
    for segment, held in found.odd_lines():
        path = staged.file(f"{day.day}-odd-{number + len(some)}")
        durable.write_new(path, [held])
        info = os.lstat(path)
        some.append(Segment(day.day, segment.name, path, (info.st_ino, info.st_size, info.st_mtime_ns)))
    return some


def _odd(staged: Staging, odd: list[Segment]) -> dict[str, Any]:
    """The columns of the events of odd lines, as the engine reads them."""

    def read(connection: Engine) -> dict[str, Any]:
        view.offer(connection, odd, ())
        return parts.columns(connection.batches(_EVENTS))

    found = _by_engine(staged, None, read)
    for segment in odd:
        segment.path.unlink()
    return found


def _order(columns: Mapping[str, Any], keys: Keys) -> tuple[Any, Numbers, bool]:
    """The key of each row's user, and the rows by key, ts, seq and event_id; who has no user comes last.

    And whether the keys tell users apart.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    users = columns["user_id"].dictionary_encode()
    of_user = keys.of(users.dictionary) if len(users.dictionary) else np.zeros(1, np.int64)
    code = users.indices.fill_null(0).to_numpy()
    nobody = users.is_null().to_numpy(zero_copy_only=False)
    known, rank = np.unique(of_user, return_inverse=True)
    of_row = pa.array(of_user[code], mask=nobody)
    ts = columns["ts"].cast(pa.int64()).to_numpy()
    seq = columns["seq"].to_numpy()
    first = ts.min(initial=ts[0]) if len(ts) else 0
    place = np.where(nobody, len(known), rank[code]) << _DAY_BITS | ts - first
    order = np.argsort(place)
    tied = np.diff(place[order]) == 0
    if tied.any():
        some = np.flatnonzero(np.append(tied, False) | np.insert(tied, 0, False))
        rows = order[some]
        told = {"place": place[rows], "seq": seq[rows], "event_id": columns["event_id"].take(pa.array(rows))}
        order[some] = rows[pc.sort_indices(pa.table(told), [(name, "ascending") for name in told]).to_numpy()]
    return of_row, order, len(known) == len(of_user)


def _by_engine(staged: Staging, name: str | None, work: Callable[[Engine], T]) -> T:
    """What `work` makes with an engine, in little memory if it can be done; it stages `name`.

    A sort spills, but what the engine holds besides is hard to foretell, so a limit that was too small is raised. One
    thread, since each one reads NDJSON in pieces of 18 MiB; one at a time, since it takes as much memory as a day.
    """
    with locks.held(staged.file("engine")):
        for memory in _MEMORY[:-1]:
            with (
                contextlib.suppress(engine.OutOfMemory),
                engine.connect(engine.Limits(threads=1, memory=memory, spill=staged.path)) as connection,
            ):
                return work(connection)
            if name is not None:
                staged.file(name).unlink(missing_ok=True)
        with engine.connect(engine.Limits(threads=1, memory=_MEMORY[-1], spill=staged.path)) as connection:
            return work(connection)


def _spilled(connection: Engine, staged: Staging, day: Day, keys: Keys, *, covers: int) -> Made:
    """Sort the events of a partition into a staged part by the engine."""
    import pyarrow as pa

    view.offer(connection, day.segments, (day.part,) if day.part else ())
    users = [str(user) for (user,) in connection.rows(_USERS)]
    of_user = keys.of(pa.array(users, pa.string())).tolist()
    connection.run(_KEYS, {"users": users, "keys": of_user})
    rows = parts.write(staged.file(f"{day.day}-part"), connection.batches(_SORTED), covers=covers)
    return Made(rows, len(set(of_user)) == len(users))
