"""Parts: the Parquet file of one partition, plain for any reader and silent about ids in its footer.

pyarrow writes them, since it can leave out the statistics of single columns; DuckDB cannot. Importing it costs about
150 ms, so nothing but compaction, erasure and what reads parts as such does.
"""

from __future__ import annotations

import os
from itertools import chain
from typing import TYPE_CHECKING, Any

from evlog.errors import StoreDamaged
from evlog.store import durable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_COVERS = b"evlog.covers"
_SAID = b"\x18\x0c" + _COVERS + b"\x18"  # the key as a footer spells it (Thrift, compact); length and value follow
_MAGIC = b"PAR1"
_END = 8  # bytes after the footer: its length, and the magic word
_COMPARED = ["user_key", "ts", "seq", "event_type"]  # columns with statistics: they prune, and hold no id
_SINGLE = ("event_id",)  # texts that come once each: no dictionary is tried
_SHORT = ("event_id", "user_id", "anonymous_id", "session_id", "target_id")  # texts whose lengths hardly differ
_FEW = 4  # a dictionary pays where a value comes so often, on average
_TEXTS = ("event_type", "event_id", "category", "user_id")
_MORE_TEXTS = (
    "anonymous_id", "session_id", "target_type", "target_id", "feature", "source", "properties", "context",
)  # fmt: skip
ROW_GROUP = 131_072
_GROUP_BYTES = 16 << 20


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


def folded(texts: Any, name: str = "") -> Any:
    """A column of texts as a dictionary, if they come again often enough for it to pay; else as it is."""
    if name in _SINGLE:
        return texts
    short = texts.dictionary_encode()
    return short if _FEW * len(short.dictionary) <= len(texts) else texts


def taken(values: Any, rows: Any) -> Any:
    """These rows of a column or table. That they are there is not looked up, which costs as much as taking them."""
    import pyarrow.compute as pc

    return pc.take(values, rows, boundscheck=False)


def unfolded(table: Any) -> Any:
    """The same table without dictionaries, its columns in the order of a part."""
    import pyarrow as pa

    return pa.table(
        {one.name: table.column(one.name).cast(one.type) for one in schema() if one.name in table.schema.names}
    )


def write(path: Path, batches: Iterable[Any], *, covers: int) -> int:
    """Write the new part `path` from record batches or tables, sorted as they come; the number of rows. Not yet synced.

    Which columns have a dictionary is told by the first of them.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = _grouped(batches, pa)
    first = _shaped(next(tables, schema().empty_table()), None)
    short = [one.name for one in first.schema if pa.types.is_dictionary(one.type)]
    spelled = {name: "DELTA_LENGTH_BYTE_ARRAY" for name in _SHORT if name not in short}
    rows = 0
    with (
        durable.told_once("write", path),
        pq.ParquetWriter(
            path,
            first.schema.with_metadata({_COVERS: b"%d" % covers}),
            compression="zstd",
            use_dictionary=[*short, "received_at"],
            column_encoding=spelled | {"ts": "DELTA_BINARY_PACKED", "seq": "DELTA_BINARY_PACKED"},
            write_statistics=_COMPARED,
            store_schema=False,
        ) as writer,
    ):
        path.chmod(durable.FILE_MODE)
        writer.add_key_value_metadata({_COVERS.decode(): str(covers)})
        for table in chain([first], (_shaped(table, first.schema) for table in tables)):
            writer.write_table(table, row_group_size=ROW_GROUP)
            rows += table.num_rows
    return rows


def _shaped(table: Any, like: Any) -> Any:
    """The columns of a part, with dictionaries where `like` has them; where there is no such yet, where they pay."""
    import pyarrow as pa

    columns = {}
    for one in schema():
        column = table.column(one.name)
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        wanted = one.type if like is None else like.field(one.name).type
        if pa.types.is_dictionary(column.type) and (like is None or pa.types.is_dictionary(wanted)):
            columns[one.name] = column
        elif pa.types.is_dictionary(wanted):
            columns[one.name] = column.cast(one.type).dictionary_encode()
        elif like is None and one.type == pa.string():
            columns[one.name] = folded(column.cast(one.type), one.name)
        else:
            columns[one.name] = column.cast(wanted)
    return pa.table(columns)


def _grouped(batches: Iterable[Any], pa: Any) -> Iterator[Any]:
    """The batches as tables of about one row group: so many rows, or so many bytes where rows are wide."""
    waiting: list[Any] = []
    count = size = 0
    for batch in batches:
        waiting.append(batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch]))
        count += batch.num_rows
        size += batch.nbytes
        if count >= ROW_GROUP or size >= _GROUP_BYTES:
            yield pa.concat_tables(waiting)
            waiting, count, size = [], 0, 0
    if waiting:
        yield pa.concat_tables(waiting)


def covers(path: Path) -> int:
    """The highest batch whose segments the part covers.

    Read from the bytes of the footer, in which no text of an event comes after the file's own words: it takes 20 µs,
    and no pyarrow.
    """
    whole = footer(path)
    place = whole.rfind(_SAID) + len(_SAID)
    length = whole[place] if len(_SAID) <= place < len(whole) else 0
    told = whole[place + 1 : place + 1 + length]
    if not (told.isdigit() and len(told) == length):
        raise StoreDamaged(f"{path} does not say what it covers")
    return int(told)


def footer(path: Path) -> bytes:
    """The bytes of the footer of a part."""
    fd = durable.reading(path)
    try:
        size = os.fstat(fd).st_size
        end = os.pread(fd, _END, max(0, size - _END))
        length = int.from_bytes(end[:4], "little")
        if end[4:] != _MAGIC or length > size - _END:
            raise StoreDamaged(f"{path} is no Parquet file: it has no footer")
        return os.pread(fd, length, size - _END - length)
    finally:
        os.close(fd)


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


def texts(path: Path) -> Iterator[Any]:
    """The columns of texts of a part as record batches; those that the file spells by a dictionary come as one.

    It takes a third of the time that reading all of them as they are takes.
    """
    import pyarrow.parquet as pq

    metadata = _footer(path)
    group = metadata.row_group(0) if metadata.num_row_groups else None
    columns = [group.column(number) for number in range(group.num_columns)] if group else []
    found = {one.path_in_schema: one.has_dictionary_page for one in columns if one.physical_type == "BYTE_ARRAY"}
    short = [name for name, folded in found.items() if folded]
    with pq.ParquetFile(path, metadata=metadata, read_dictionary=short) as file:
        for number in range(metadata.num_row_groups):
            yield from file.read_row_group(number, columns=list(found)).to_batches()
