"""What an erasure makes of a part: the same in the same order; sorted again where events have another user now."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from evlog import engine
from evlog.person.crowd import escaped
from evlog.person.retold import JSON, SAME, Outcome
from evlog.store import parts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from evlog.person.going import Going
    from evlog.person.retold import Event
    from evlog.store.journal import Staging
    from evlog.store.tombstones import Tombstones

_MEMORY = ("220MB", "400MB", "1GB")  # of the engine; more only where less was too little
_NAMED = "SET VARIABLE part = $part"
_SORTED = """
SELECT   *
FROM     read_parquet(getvariable('part'), hive_partitioning = false)
ORDER BY user_key NULLS LAST, ts, seq, event_id
"""
_APART = """
SELECT count(DISTINCT user_id) = count(DISTINCT user_key) AS apart
FROM   read_parquet(getvariable('part'), hive_partitioning = false)
"""
_encode = msgspec.json.Encoder(order="deterministic").encode


def may_speak(path: Path, going: Going) -> bool:
    """Whether any row of a part may speak of anybody; where ids are short, or JSON is escaped, whether one does."""
    found = doubtful = False
    for batch in parts.texts(path):
        if going.crowd.in_columns(batch):
            found = True
            break
        doubtful |= escaped(batch)
    if found and all(one.long for one in going.crowd.mentions.each):
        return True
    return (found or doubtful) and any(_speaks(batch, going) for batch in parts.read(path))


def _speaks(batch: Any, going: Going) -> bool:
    return any(told is not SAME for _, told in _told(batch, going, Outcome()))


def _told(batch: Any, going: Going, out: Outcome) -> Iterator[tuple[int, Event | None]]:
    """What is left of each row of a batch that may speak of anybody."""
    import pyarrow as pa

    near = going.crowd.rows(batch)
    for row, event in zip(near, batch.take(pa.array(list(near), pa.int64())).to_pylist(), strict=True):
        yield row, going.retelling.event(_opened(event), near[row], out)


def retold(path: Path, going: Going, known: Tombstones, out: Outcome) -> Iterator[Any]:
    """Yield the record batches of a part as the erasure leaves them, in the order of the part."""
    for batch in parts.read(path):
        left = _retold(batch, going, known, out)
        out.kept += left.num_rows
        if left.num_rows:
            yield left


def _retold(batch: Any, going: Going, known: Tombstones, out: Outcome) -> Any:
    import pyarrow as pa

    order: list[int | None] = list(range(batch.num_rows))
    new: list[Event] = []
    for row, told in _told(batch, going, out):
        if told is None:
            order[row] = None
        elif told is not SAME:
            order[row] = batch.num_rows + len(new)
            new.append(_closed(told, known))
    if order == list(range(batch.num_rows)):
        return batch
    both = pa.Table.from_batches([batch, pa.RecordBatch.from_pylist(new, schema=batch.schema)])
    chosen = pa.array([row for row in order if row is not None], pa.int64())
    left = both.take(chosen).combine_chunks().to_batches()
    return left[0] if left else batch.slice(0, 0)


def sorted_again(staged: Staging, name: str, *, covers: int) -> tuple[str, bool]:
    """The name of a staged part with the rows of the staged part `name`, sorted as parts are; it spills to disk.

    And whether its keys tell users apart.
    """
    again = f"{staged.serial()}-sorted"
    for memory in _MEMORY:
        with (
            contextlib.suppress(*((engine.OutOfMemory,) if memory != _MEMORY[-1] else ())),
            engine.connect(engine.Limits(threads=1, memory=memory, spill=staged.path)) as connection,
        ):
            connection.run(_NAMED, {"part": str(staged.file(name))})
            parts.write(staged.file(again), connection.batches(_SORTED), covers=covers)
            ((apart,),) = connection.rows(_APART)
            break
    staged.file(name).unlink()
    return again, bool(apart)


def _opened(row: Event) -> Event:
    """A row with its JSON opened."""
    return row | {name: orjson.loads(row[name]) for name in JSON if row[name] is not None}


def _closed(event: Event, known: Tombstones) -> Event:
    user = event["user_id"]
    told = {name: _encode(event[name]).decode() for name in JSON if event[name] is not None}
    return event | told | {"user_key": None if user is None else known.user_key(user)}
