"""Parts: the Parquet file of one partition, plain for any reader and silent about ids in its footer.

pyarrow writes them, since it can leave out the statistics of single columns; DuckDB cannot. Importing it costs about
150 ms, so nothing but compaction, erasure and what reads parts as such does.
"""

from __future__ import annotations

import os
from itertools import chain, compress
from typing import TYPE_CHECKING, Any

from evlog.errors import StoreDamaged
from evlog.store import durable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_COVERS = b"evlog.covers"
_SAID = b"\x18\x0c" + _COVERS + b"\x18"  # the key as a footer spells it (Thrift, compact); length and value follow
_MAGIC = b"PAR1"
_END = 8  # bytes after the footer: its length, and the magic word
_COMPARED = ["user_key", "ts", "seq", "event_type"]  # columns with statistics: they prune, and hold no id
_SINGLE = ("event_id",)  # texts that come once each: what they have in common are their lengths
_SORTED = ("user_id", "session_id")  # texts whose repeats stand side by side, where zstd finds them
_PACKED = ("ts", "seq")  # small differences, in as few bits as they need: nothing is left to zstd
_FEW = 4  # a dictionary pays where a value comes so often, on average
_TEXTS = ("event_type", "event_id", "category", "user_id")
_MORE_TEXTS = (
    "anonymous_id", "session_id", "target_type", "target_id", "feature", "source", "properties", "context",
)  # fmt: skip
ROW_GROUP = 131_072
_GROUP_BYTES = 16 << 20


def load() -> None:
    """Import what it takes to make parts: once, before processes are forked that will."""
    import pyarrow.compute
    import pyarrow.parquet  # noqa: F401


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
    """A chunked column of texts as a dictionary, if they come again often enough for it to pay; else whole."""
    if name in _SINGLE or name in _SORTED:
        return texts.combine_chunks()
    short = texts.dictionary_encode().combine_chunks()
    return short if _pays(short) else texts.combine_chunks()


def _pays(short: Any) -> bool:
    return _FEW * len(short.dictionary) <= len(short)


def taken(values: Any, rows: Any) -> Any:
    """These rows of a column or table. That they are there is not looked up, which costs as much as taking them."""
    import pyarrow.compute as pc

    return pc.take(values, rows, boundscheck=False)


def chosen(values: Any, rows: NDArray[np.intp] | None) -> Any:
    """These rows of a column (None: all)."""
    import pyarrow as pa

    return values if rows is None else taken(values, pa.array(rows))


def joined(pieces: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The columns of several pieces of a part without its keys, whole and folded anew; the pieces are used up."""
    import pyarrow as pa

    if len(pieces) == 1:
        return pieces[0]
    columns = {}
    for one in schema():
        if one.name != "user_key":
            columns[one.name] = _whole([piece.pop(one.name) for piece in pieces], one)
    pa.default_memory_pool().release_unused()
    return columns


def _whole(chunks: list[Any], one: Any) -> Any:
    """A column of its chunks, folded where that pays; of what is large and mostly unfolded it is not tried."""
    import pyarrow as pa

    short = [pa.types.is_dictionary(chunk.type) for chunk in chunks]
    if one.type == "string" and 2 * sum(compress(map(len, chunks), short)) > sum(map(len, chunks)):
        told = [chunk if known else chunk.dictionary_encode() for chunk, known in zip(chunks, short, strict=True)]
        whole = pa.chunked_array(told).combine_chunks()
        return whole if _pays(whole) else whole.cast(one.type)
    plain = pa.chunked_array([chunk.cast(one.type) for chunk in chunks], one.type)
    small = plain.nbytes <= _GROUP_BYTES
    return folded(plain, one.name) if one.type == "string" and small else plain.combine_chunks()


def columns(batches: Iterable[Any]) -> dict[str, Any]:
    """The columns of record batches, whole and folded."""
    import pyarrow as pa

    table = pa.Table.from_batches(batches)
    texts = {one.name for one in schema() if one.type == "string"}
    whole = ((name, table.column(name)) for name in table.column_names)
    return {name: folded(column, name) if name in texts else column.combine_chunks() for name, column in whole}


def write(path: Path, batches: Iterable[Any], *, covers: int) -> int:
    """Write the new part `path` from record batches, sorted as they come; the number of rows. Not yet synced.

    Which columns have a dictionary is told by the first of them.
    """
    import pyarrow as pa

    tables = _grouped(batches, pa)
    first = _shaped(next(tables, schema().empty_table()), None)
    return _write(path, chain([first], (_shaped(table, first.schema) for table in tables)), covers=covers)


def write_table(path: Path, table: Any, *, covers: int) -> int:
    """Write the new part `path` from one table, sorted and folded; the number of rows. Not yet synced."""
    return _write(path, iter([table.select(schema().names)]), covers=covers)


def _write(path: Path, tables: Iterator[Any], *, covers: int) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = next(tables)
    short = [one.name for one in first.schema if pa.types.is_dictionary(one.type)]
    rows = 0
    with (
        durable.told_once("write", path),
        pq.ParquetWriter(
            path,
            first.schema.with_metadata({_COVERS: b"%d" % covers}),
            compression={name: "none" if name in _PACKED else "zstd" for name in first.schema.names},
            use_dictionary=[*short, "received_at"],
            column_encoding=dict.fromkeys(_SINGLE, "DELTA_LENGTH_BYTE_ARRAY")
            | dict.fromkeys(_PACKED, "DELTA_BINARY_PACKED"),
            write_statistics=_COMPARED,
            store_schema=False,
        ) as writer,
    ):
        path.chmod(durable.FILE_MODE)
        writer.add_key_value_metadata({_COVERS.decode(): str(covers)})
        for table in chain([first], tables):
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
            columns[one.name] = folded(pa.chunked_array([column.cast(one.type)]), one.name)
        else:
            columns[one.name] = column.cast(wanted)
    return pa.table(columns)


def _grouped(batches: Iterable[Any], pa: Any) -> Iterator[Any]:
    """The batches as tables of about one row group: so many rows, or so many bytes where rows are wide."""
    waiting: list[Any] = []
    count = size = 0
    for batch in batches:
        waiting.append(pa.Table.from_batches([batch]))
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
