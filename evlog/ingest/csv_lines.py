"""CSV as NDJSON: each row becomes an object, each cell a text (a number where that changes nothing) or nothing."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any

import orjson

from evlog.ingest.source import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evlog.ingest.source import Stream

_READ = 1 << 16
_FIELD_LIMIT = 16 << 20
_INTEGER = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)
_DECIMAL = re.compile(r"-?(?:0|[1-9]\d{0,14})\.\d{1,15}", re.ASCII)
_WORDS = {"true": True, "false": False}


def lines(stream: Stream) -> Iterator[bytes]:
    """The rows of a CSV stream with a header, as NDJSON lines. A row that is too long or too short says so itself.

    Where a quote is never closed there are no rows to tell apart: the stream ends there, and `broken` says so.
    """
    csv.field_size_limit(_FIELD_LIMIT)
    plain = io.BufferedReader(_Raw(stream))  # type: ignore[type-var]  # typeshed wants a wider readinto
    text = io.TextIOWrapper(plain, encoding="utf-8", errors="surrogateescape", newline="")
    rows = csv.reader(text)
    try:
        header = next(rows, [])
        _check(header, stream.source.name)
        yield from _batches(_line(header, row) for row in rows)
    except csv.Error as error:
        stream.broken = stream.broken or f"row {rows.line_num} is no CSV ({error})"


def _check(header: list[str], name: str) -> None:
    twice = [column for column in header if header.count(column) > 1]
    if twice:
        raise SourceError(f"{name}: the column {twice[0]!r} stands twice", hint="give each column a name of its own")


def _batches(found: Iterator[bytes]) -> Iterator[bytes]:
    """Lines joined to pieces of some size."""
    batch: list[bytes] = []
    length = 0
    try:
        for line in found:
            batch.append(line)
            length += len(line)
            if length >= _READ:
                yield b"".join(batch)
                batch, length = [], 0
    except csv.Error:
        yield b"".join(batch)
        raise
    yield b"".join(batch)


def _line(header: list[str], row: list[str]) -> bytes:
    if not row:
        return b"\n"
    if len(row) != len(header):
        return b"%d cells under %d names: %b\n" % (len(row), len(header), _as_it_was(row))
    try:
        return orjson.dumps({name: _value(cell) for name, cell in zip(header, row, strict=True) if cell != ""}) + b"\n"
    except (orjson.JSONEncodeError, TypeError):
        return _as_it_was(row) + b"\n"


def _as_it_was(row: list[str]) -> bytes:
    """About the bytes of the row, in one line."""
    return ",".join(row).replace("\n", " ").encode("utf-8", "surrogateescape")


def _value(cell: str) -> Any:
    """The cell as a value: a number or a truth value only where its text form stays what it was."""
    if _INTEGER.fullmatch(cell):
        return int(cell)
    if _DECIMAL.fullmatch(cell) and repr(float(cell)) == cell:
        return float(cell)
    return _WORDS.get(cell, cell)


class _Raw(io.RawIOBase):
    """The stream as the csv module's text layer wants it."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        data = self._left or self._stream.read(_READ)
        count = min(len(data), len(buffer))
        buffer[:count] = data[:count]
        self._left = data[count:]
        return count
