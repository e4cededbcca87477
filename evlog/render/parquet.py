"""The rows of a result as Parquet: columns typed also where there are no rows, all else of the result as metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evlog.errors import EvlogError
from evlog.render.flat import distinct, plain
from evlog.render.json import dumped, facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from evlog.query.result import Column, Kind, Result

_FACTS = b"evlog.result"


def file(result: Result) -> Iterator[bytes]:
    """Yield the file in one piece; instants are UTC without a zone, as in the store's own parts."""
    import pyarrow as pa  # 60 ms
    from pyarrow import parquet

    columns = distinct(result.columns)
    arrays = [_array(column, [row[i] for row in result.rows]) for i, column in enumerate(columns)]
    table = pa.table(arrays, names=[_name(column) for column in columns])
    sink = pa.BufferOutputStream()
    parquet.write_table(table.replace_schema_metadata({_FACTS: dumped(facts(result))}), sink, compression="zstd")
    yield memoryview(sink.getvalue()).tobytes()


def _array(column: Column, values: list[Any]) -> pa.Array:
    import pyarrow as pa

    try:
        return pa.array([_fitting(value, column.kind) for value in values], type=_type(column.kind, column.item))
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise EvlogError(
            f"column {_name(column)} does not fit Parquet as {column.kind}: {error}", hint="write it with --format csv"
        ) from error


def _type(kind: Kind, item: Kind) -> pa.DataType:
    import pyarrow as pa

    if kind == "list":
        return pa.list_(_type(item, "number"))
    exact = {"date": pa.date32(), "instant": pa.timestamp("us"), "count": pa.int64(), "flag": pa.bool_()}
    return exact.get(kind) or (pa.string() if kind in ("text", "json") else pa.float64())


def _fitting(value: Any, kind: Kind) -> Any:
    """Return a value as the column holds it: numbers as floats where fractions may stand, anything as text."""
    if value is None:
        return None
    match kind:
        case "text" | "json":
            return _text(value if isinstance(value, str) else _told(value, kind))
        case "number" | "rate" | "seconds":
            return float(value)
        case _:
            return value


def _told(value: Any, kind: Kind) -> str:
    return (
        dumped(value).decode() if kind == "json" or isinstance(value, (dict, list, tuple, bool)) else str(plain(value))
    )


def _text(value: str) -> str:
    return value.encode("utf-8", "backslashreplace").decode()


def _name(column: Column) -> str:
    return _text(column.name)
