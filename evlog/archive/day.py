"""One day as a Parquet file of its own: plain columns, in order of time, for any reader.

The same events give the same bytes, so that a day that was archived already is known again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from evlog import engine
from evlog.errors import EvlogError
from evlog.event.record import COLUMNS, entry
from evlog.query import view
from evlog.store import durable, ids
from evlog.store.layout import PART_IDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date
    from pathlib import Path

    from evlog.engine import Engine
    from evlog.store.journal import Staging
    from evlog.store.layout import Store
    from evlog.store.snapshot import Part, Segment

_LIMITS = ("160MB", "220MB", "400MB", "1GB")  # of the engine; the next where the one before was too little
_ROWS = 65_536  # a row group
_SORTED = """
SELECT   * EXCLUDE (date)
FROM     events
ORDER BY ts, seq, event_id
"""
_MOMENTS = ("ts", "received_at")


class NotWhole(EvlogError):
    """A day that was read back from its archive is not the day that lies in the store."""

    hint = "nothing left the store; look closer with: evlog verify"


def schema() -> Any:
    """The columns of an archived day: those of `events`."""
    import pyarrow as pa

    kinds = dict.fromkeys(_MOMENTS, pa.timestamp("us")) | {"seq": pa.int64()}
    return pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])


def written(staged: Staging, name: str, hot: Sequence[Segment], cold: Sequence[Part]) -> int:
    """Write the events of these files to the staged file `name`; how many there are."""
    for memory in _LIMITS:
        with (
            suppress(*((engine.OutOfMemory,) if memory != _LIMITS[-1] else ())),
            engine.connect(engine.Limits(threads=1, memory=memory, spill=staged.path)) as connection,
        ):
            return _write(connection, staged.file(name), hot, cold)
        staged.file(name).unlink(missing_ok=True)
    raise AssertionError  # pragma: no cover - the last limit returns or raises


def _write(connection: Engine, path: Path, hot: Sequence[Segment], cold: Sequence[Part]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    view.offer(connection, hot, cold)
    rows, columns = 0, schema()
    with (
        durable.told_once("write", path),
        pq.ParquetWriter(path, columns, compression="zstd", store_schema=False) as writer,
    ):
        path.chmod(durable.FILE_MODE)
        for batch in connection.batches(_SORTED):
            table = pa.Table.from_batches([batch])
            writer.write_table(table.select(columns.names).cast(columns), row_group_size=_ROWS)
            rows += table.num_rows
    return rows


def read(path: Path) -> Iterator[Any]:
    """The record batches of an archived day, in order; EvlogError where it is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=8_192, columns=list(COLUMNS)):
                yield pa.Table.from_batches([batch]).select(COLUMNS).cast(schema())
    except (pa.ArrowInvalid, KeyError, OSError) as error:
        raise EvlogError(f"{path.name} is no archived day: {error}") from error


def checked(path: Path, store: Store, day: date, hot: Sequence[Segment], cold: Sequence[Part]) -> None:
    """Raise NotWhole unless the file, read back, holds the events that the id index knows of these files."""
    import numpy as np

    found = bytearray()
    for table in read(path):
        found += b"".join(entry(event_id, b"") for event_id in table.column("event_id").to_pylist())
    names = [*(segment.name.file(".ids") for segment in hot), *([PART_IDS] if cold else [])]
    wanted, held = ids.merged([ids.load(store.ids(day) / name) for name in names]), ids.entries(found)
    held = ids.arranged(held)
    if not (np.array_equal(held.high, wanted.high) and np.array_equal(held.low, wanted.low)):
        raise NotWhole(f"the events of {day} are not those that its index knows: {len(held)} read, {len(wanted)} known")
