"""Results as people and programs want them: one file per format, written to a stream that the caller owns."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from evlog.errors import UsageError
from evlog.render.style import Style

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evlog.query.result import Result

FORMATS = ("table", "json", "ndjson", "csv", "markdown", "parquet")
BINARY = frozenset({"parquet"})
"""Formats that do not belong on a terminal."""

_ON_A_PIPE = Style()


def write(
    result: Result,
    to: BinaryIO,
    *,
    form: str = "table",
    style: Style = _ON_A_PIPE,
    raw_csv: bool = False,
    bare: bool = False,
) -> None:
    """Write a result to a stream of bytes in one of FORMATS, or as a picture: `plot`.

    `style` says where it goes; `raw_csv` leaves cells that a spreadsheet would run as they are; `bare` leaves of a JSON
    document the name of the report and the rows.
    """
    to.writelines(chunks(result, form, style=style, raw_csv=raw_csv, bare=bare))


def chunks(  # noqa: PLR0911 - one for each format
    result: Result, form: str, *, style: Style = _ON_A_PIPE, raw_csv: bool = False, bare: bool = False
) -> Iterator[bytes]:
    """Return the bytes of a result in pieces. Each format is imported when it is asked for."""
    match form:
        case "table":
            from evlog.render import table

            return table.chunks(result, style)
        case "plot":
            from evlog.render import plot

            return plot.chunks(result, style)
        case "json":
            from evlog.render import json

            return json.document(result, bare=bare)
        case "ndjson":
            from evlog.render import ndjson

            return ndjson.lines(result)
        case "csv":
            from evlog.render import csv

            return csv.rows(result, raw=raw_csv, seen=style.width is not None)
        case "markdown":
            from evlog.render import markdown

            return markdown.table(result)
        case "parquet":
            from evlog.render import parquet

            return parquet.file(result)
        case _:
            raise UsageError(f"there is no format {form!r}", hint=f"one of: {', '.join(FORMATS)}")
