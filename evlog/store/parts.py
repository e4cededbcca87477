"""Parts: the Parquet file of one partition, plain for any reader and silent about ids in its footer.

pyarrow writes them, since it can leave out the statistics of single columns; DuckDB cannot. Importing it costs about
150 ms, so nothing but compaction, erasure and a partition with both tiers does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evlog.errors import StoreDamaged
from evlog.store import durable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_COVERS = b"evlog.covers"
_COMPARED = ["user_key", "ts", "seq", "event_type"]  # columns with statistics: they prune, and hold no id
_DICTIONARY = [
    "event_type", "category", "user_id", "anonymous_id", "session_id", "target_type", "target_id", "feature", "source",
    "context", "received_at",
]  # fmt: skip
_TEXTS = ("event_type", "event_id", "category", "user_id")
_MORE_TEXTS = (
    "anonymous_id", "session_id", "target_type", "target_id", "feature", "source", "properties", "context",
)  # fmt: skip
ROW_GROUP = 131_072
_GROUP_BYTES = 24 << 20


def schema() -> Any:
    """The columns of a part."""
    import pyarrow as pa

    moment = pa.timestamp("us")
    return pa.schema(
        [(name, pa.string()) for name in _TEXTS]
        + [("ts", moment), ("user_key", pa.int64())]
        + [(name, pa.string()) for name in _MORE_TEXTS]
        + [("received_at", moment), ("seq", pa.int64())]
    )


def write(path: Path, batches: Iterable[Any], *, covers: int) -> int:
    """Write the new part `path` from record batches, sorted as they come; the number of rows. Not yet synced."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = schema()
    told = columns.with_metadata({_COVERS: b"%d" % covers})
    rows = 0
    with (
        durable.told_once("write", path),
        pq.ParquetWriter(
            path, told, compression="zstd", use_dictionary=_DICTIONARY, write_statistics=_COMPARED, store_schema=False
        ) as writer,
    ):
        path.chmod(durable.FILE_MODE)
        writer.add_key_value_metadata({_COVERS.decode(): str(covers)})
        for table in _grouped(batches, pa):
            writer.write_table(table.select(columns.names).cast(columns), row_group_size=ROW_GROUP)
            rows += table.num_rows
    return rows


def _grouped(batches: Iterable[Any], pa: Any) -> Iterator[Any]:
    """The batches as tables of about one row group: so many rows, or so many bytes where rows are wide."""
    waiting: list[Any] = []
    count = size = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        size += batch.nbytes
        if count >= ROW_GROUP or size >= _GROUP_BYTES:
            yield pa.Table.from_batches(waiting)
            waiting, count, size = [], 0, 0
    if waiting:
        yield pa.Table.from_batches(waiting)


def covers(path: Path) -> int:
    """The highest batch whose segments the part covers."""
    try:
        return int((_footer(path).metadata or {})[_COVERS])
    except (KeyError, ValueError) as error:
        raise StoreDamaged(f"{path} does not say what it covers") from error


def rows(path: Path) -> int:
    """How many events a part holds, by its footer."""
    count: int = _footer(path).num_rows
    return count


def _footer(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_metadata(path)
    except pa.ArrowInvalid as error:
        raise StoreDamaged(f"{path} is no Parquet file: {error}") from error


def read(path: Path) -> Iterator[Any]:
    """The record batches of a part, in order."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=65_536)
