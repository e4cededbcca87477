"""The events that an export sends: whole days in order, each read from files that held until it was read.

What is sent cannot be taken back when a file was replaced meanwhile. So a day is read to its end before its first event
goes out: into memory, and a large one into a file that has no name. The commits are fixed when the export begins; what
they brought is told by `seq`, wherever compaction, merging or an archive has put it since.
"""

from __future__ import annotations

import re
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any

from evlog import engine
from evlog.errors import EvlogError
from evlog.event.record import COLUMNS
from evlog.query import view, where
from evlog.store import journal, snapshot, tombstones
from evlog.store.layout import SEQ_BITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from datetime import date
    from typing import IO

    from evlog.engine import Engine
    from evlog.query.where import Condition
    from evlog.store.layout import Store
    from evlog.store.snapshot import Part, Segment, Snapshot
    from evlog.window import Window

_MEMORY = (
    "160MB",
    "220MB",
    "400MB",
    "1GB",
)  # of the engine, for a day; the next only where the one before was too little
_SMALL = 8 << 20  # bytes: what is smaller is sorted, and held, in memory
_BATCH = 4_096  # events that are handled at once
_NO_COMMIT = (1 << 36) - 1
_PARAMETER = re.compile(r"\$(\w+)")

_SENT = """
WITH events AS NOT MATERIALIZED ({events})
SELECT event_id, ts, event_type, category, user_id, anonymous_id, session_id, target_type, target_id, feature, source,
       properties, context, received_at, seq, date
FROM   events
WHERE  seq >= $from_seq AND (seq < $before_seq OR seq >= $strange_seq)
AND    {window}
AND    {where}
ORDER BY ts, seq, event_id
"""
_UTC_DATE = "date BETWEEN $first AND $last AND ts < $until"
_LOCAL_DATE = """CAST(timezone($tz, CAST(ts AS TIMESTAMPTZ)) AS DATE) BETWEEN $first AND $last AND ts < $until"""


class Erased(EvlogError):
    """Somebody was erased while an export was on its way: what it holds of them must not count as sent."""

    hint = "run it again: nothing was published, and no resume point was moved; what went to stdout, throw away"

    def __init__(self) -> None:
        super().__init__("a user was erased while the export was made")


@dataclass(frozen=True, slots=True)
class Asked:
    """Which events: of commits after `after` up to `upto`, in the window (None: of any time), as the conditions say.

    `every`: also those that an archive of another store brought, which count commits of their own.
    """

    after: int
    upto: int
    where: tuple[Condition, ...] = ()
    window: Window | None = None
    every: bool = False


@cache
def schema() -> Any:
    """The columns of an exported event: those of `events`, then its UTC date."""
    import pyarrow as pa

    moment = pa.timestamp("us")
    kinds = {"ts": moment, "received_at": moment, "seq": pa.int64()}
    return pa.schema([*((name, kinds.get(name, pa.string())) for name in COLUMNS), ("date", pa.date32())])


def newest(store: Store) -> int:
    """The number of the newest commit: an export that begins now reaches to it."""
    return journal.newest(store)


def days(store: Store, asked: Asked) -> Iterator[tuple[date, Iterator[Any]]]:
    """Yield each UTC day that has events, and its batches in canonical order; a day is read when its turn comes."""
    seen = snapshot.snapshot(store)
    with engine.connect(engine.Limits(threads=1, memory=_MEMORY[0])) as small:
        for day in _days(seen, asked.window):
            files = replace(
                seen,
                hot=tuple(one for one in seen.hot if one.day == day and one.name.batch > asked.after),
                cold=tuple(one for one in seen.cold if one.day == day),
                memory=None,
            )
            with _spool(store) as spool:
                if _read(store, day, files, partial(_written, small, store, asked, spool)):
                    yield day, _batches(spool)


@contextmanager
def unerased(store: Store) -> Iterator[None]:
    """Do something of which nothing may come where a user is erased meanwhile: raises Erased at its end."""
    before = tombstones.load(store).users
    yield
    if tombstones.load(store).users - before:
        raise Erased


def _days(seen: Snapshot, window: Window | None) -> list[date]:
    """The partitions that may hold events of the window."""
    first, last = (window.first, window.last) if window else (None, None)
    hot = {file.day for file in view.pruned(seen.hot, first, last)}
    return sorted(hot | {file.day for file in view.pruned(seen.cold, first, last)})


def _read(store: Store, day: date, files: Snapshot, write: Callable[[Snapshot], bool]) -> bool:
    """Whether the day has events to send; they are in the spool, from files that were all there to the end."""
    try:
        found = write(files)
    except (EvlogError, OSError, ValueError):
        if files.holds():
            raise
    else:
        if files.holds():
            return found
    return snapshot.steady(store, write, first=day, last=day)


def _written(small: Engine, store: Store, asked: Asked, spool: IO[bytes], seen: Snapshot) -> bool:
    """Whether these files hold events to send; they are written to the spool, in place of what it held."""
    hot = [one for one in seen.hot if one.name.batch > asked.after]
    cold = [one for one in seen.cold if _newest(one) >= (asked.after + 1) << SEQ_BITS]
    if not hot and not cold:
        return False
    question = _sql(asked, hot, cold, strange=seen.batch if asked.every else None)
    size = sum(one.stamp[1] for one in hot) + sum(one.stamp[1] for one in cold)
    engines: list[AbstractContextManager[Engine]] = [nullcontext(small)] if size <= _SMALL else []
    engines += [_spilling(store, memory) for memory in _MEMORY]
    for opened in engines[:-1]:
        with suppress(engine.OutOfMemory), opened as connection:
            return _sorted(connection, question, spool)
    with engines[-1] as connection:
        return _sorted(connection, question, spool)


@contextmanager
def _spilling(store: Store, memory: str) -> Iterator[Engine]:
    """Yield an engine that may spill into the store, where an erasure waits for it to be gone."""
    with (
        journal.staging(store) as staged,
        engine.connect(engine.Limits(threads=1, memory=memory, spill=staged.path)) as connection,
    ):
        yield connection


def _sorted(connection: Engine, question: tuple[str, Mapping[str, Any]], spool: IO[bytes]) -> bool:
    """Write the events of a question to the spool, in canonical order; whether there are any."""
    import pyarrow as pa

    sql, params = question
    for name, value in params.items():
        connection.run(f"SET VARIABLE {name} = $value", {"value": value})
    some = False
    spool.seek(0)
    spool.truncate()
    with pa.ipc.new_stream(spool, schema(), options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        for batch in connection.batches(sql, rows=_BATCH):
            some = some or batch.num_rows > 0
            writer.write_batch(batch.cast(schema()))
    return some


def _sql(asked: Asked, hot: list[Segment], cold: list[Part], *, strange: int | None) -> tuple[str, Mapping[str, Any]]:
    """The question to the engine, which streams only what takes no parameters: they become variables.

    Commits after `strange` are none of this store.
    """
    events, params = view.view(hot, cold)
    condition, values = where.as_sql(asked.where, "where")
    window = "TRUE"
    bounds = {
        "from_seq": asked.after,
        "before_seq": asked.upto,
        "strange_seq": _NO_COMMIT if strange is None else strange,
    }
    params |= values | {name: (batch + 1) << SEQ_BITS for name, batch in bounds.items()}
    if asked.window is not None:
        params |= {"first": asked.window.first, "last": asked.window.last, "until": asked.window.until}
        window = _UTC_DATE
        if asked.window.tz != "UTC":
            params["tz"], window = asked.window.tz, _LOCAL_DATE
    said = _SENT.format(events="{events}", window=window, where=condition)
    return _PARAMETER.sub(r"getvariable('\1')", said).replace("{events}", events), params


def _newest(part: Part) -> int:
    """The highest `seq` in a part, as the statistics of its footer say; where they do not, it may be any."""
    import pyarrow.parquet as pq

    footer = pq.read_metadata(part.path)
    place = footer.schema.names.index("seq")
    told = [footer.row_group(number).column(place).statistics for number in range(footer.num_row_groups)]
    return max((one.max if one is not None and one.has_min_max else 1 << 62 for one in told), default=-1)


@contextmanager
def _spool(store: Store) -> Iterator[IO[bytes]]:
    """Yield a file in memory that, once it is large, lies on the disk of the store without a name."""
    with SpooledTemporaryFile(max_size=_SMALL, dir=str(store.staging)) as spool:
        yield spool


def _batches(spool: IO[bytes]) -> Iterator[Any]:
    import pyarrow as pa

    spool.seek(0)
    with pa.ipc.open_stream(spool) as reader:
        yield from reader
