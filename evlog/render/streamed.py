"""Record batches as bytes, a batch at a time: the formats that need not know the whole before they begin."""

from __future__ import annotations

from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from evlog import render
from evlog.errors import UsageError
from evlog.query.result import Column, Result
from evlog.render.style import Style

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from evlog.query.result import Kind

FORMATS = ("ndjson", "csv", "json", "parquet")
_JSON = ("properties", "context")
_GROUP, _GROUP_BYTES = 131_072, 24 << 20  # of Parquet: a group of rows is held until it is written
_NEVER = datetime(1, 1, 1)  # noqa: DTZ001 - what is streamed says nothing of when


def write(
    to: BinaryIO, batches: Iterable[Any], *, schema: Any, form: str, raw_csv: bool = False, style: Style | None = None
) -> None:
    """Write record batches of that schema to a stream in one of FORMATS, each before the next is asked for."""
    if form not in FORMATS:
        raise UsageError(f"events are no {form}", hint=f"one of: {', '.join(FORMATS)}")
    if form == "parquet":
        _parquet(to, batches, schema)
        return
    columns = tuple(Column(field.name, _kind(field)) for field in schema)
    write_rows(to, _rows(batches), columns=columns, form=form, raw_csv=raw_csv, style=style)


def write_rows(
    to: BinaryIO,
    rows: Iterable[tuple[Any, ...]],
    *,
    columns: tuple[Column, ...],
    form: str,
    raw_csv: bool = False,
    style: Style | None = None,
) -> None:
    """Write rows to a stream in one of FORMATS that are texts, as they come."""
    told = cast("tuple[tuple[Any, ...], ...]", rows)  # read once, in order: that is all these formats do
    result = Result("export", columns, told, _NEVER)
    to.writelines(render.chunks(result, form, style=style or Style(), raw_csv=raw_csv, bare=True))


def _rows(batches: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    return chain.from_iterable(zip(*(column.to_pylist() for column in batch.columns), strict=True) for batch in batches)


def _kind(field: Any) -> Kind:
    kinds: dict[str, Kind] = {"timestamp[us]": "instant", "date32[day]": "date", "int64": "count"}
    return "json" if field.name in _JSON else kinds.get(str(field.type), "text")


def _parquet(to: BinaryIO, batches: Iterable[Any], schema: Any) -> None:
    """Write a Parquet file front to back, so that a pipe takes it too."""
    import pyarrow as pa  # 60 ms
    from pyarrow import parquet

    with parquet.ParquetWriter(pa.PythonFile(_Counted(to), mode="w"), schema, compression="zstd") as writer:
        for table in _grouped(batches, schema):
            writer.write_table(table, row_group_size=_GROUP)


def _grouped(batches: Iterable[Any], schema: Any) -> Iterator[Any]:
    """The batches as tables of about one group of rows: so many, or so many bytes where rows are wide."""
    import pyarrow as pa

    waiting: list[Any] = []
    for batch in batches:
        waiting.append(batch)
        if sum(one.num_rows for one in waiting) >= _GROUP or sum(one.nbytes for one in waiting) >= _GROUP_BYTES:
            yield pa.Table.from_batches(waiting, schema)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting, schema)


class _Counted:
    """A stream that knows how far it is, which a pipe does not; closing it is its owner's business."""

    closed = False

    def __init__(self, to: BinaryIO) -> None:
        self._to = to
        self._at = 0

    def write(self, data: Any) -> int:
        """Write all of `data`."""
        self._to.write(data)
        self._at += len(memoryview(data).cast("B"))
        return len(data)

    def tell(self) -> int:
        """How many bytes were written."""
        return self._at

    def flush(self) -> None:
        """Hand on what was written."""
        self._to.flush()

    def close(self) -> None:
        """Leave the stream open."""
