"""A result as one JSON document, in the shape the command line promises; a line per row, so that it can be read."""

from __future__ import annotations

import json
import math
import re
from datetime import date
from typing import TYPE_CHECKING, Any

from evlog.render.flat import distinct, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evlog.query.result import Result

_CHUNK = 1000  # rows that are written at once
_FEW = 400  # rows that are written sooner than orjson is imported
_LONG = 63  # bits of a number that orjson spells
_STEERING = re.compile(  # what a terminal would obey and JSON may hold bare: DEL, C1, line separators, bidi controls
    rb"\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]"
)


def document(result: Result, *, bare: bool = False) -> Iterator[bytes]:
    """Yield the document in chunks; `bare` leaves only the name of the report and the rows."""
    head = {"report": result.report} if bare else facts(result)
    yield _writer(result)(head)[:-1] + b',"rows":['
    rows = iter(objects(result))
    first = next(rows, None)
    if first is not None:
        yield b"\n" + first
        yield from chunked(b",\n" + row for row in rows)
        yield b"\n"
    yield b"]}\n"


def facts(result: Result) -> dict[str, Any]:
    """Return everything of a result but its rows."""
    return {
        "report": result.report,
        "params": result.params,
        "generated_at": result.as_of,
        "source": result.source,
        "events_read": result.events_read,
        "complete": result.complete,
        "definition": result.definition,
        "summary": result.summary,
    }


def objects(result: Result) -> Iterator[bytes]:
    """Yield each row as a JSON object; a column of kind json is a value in it, not text."""
    names = [column.name for column in distinct(result.columns)]
    documents = [name for name, column in zip(names, result.columns, strict=True) if column.kind == "json"]
    written = _writer(result)
    for row in result.rows:
        record = dict(zip(names, row, strict=True))
        for name in documents:
            record[name] = _parsed(record[name])
        yield written(record)


def _writer(result: Result) -> Callable[[object], bytes]:
    """Return what writes the values of a result: they are few, or orjson is worth its import, as where they stream."""
    return spelled if isinstance(result.rows, tuple) and len(result.rows) <= _FEW else dumped


def spelled(value: object) -> bytes:
    """Return the same as `dumped`, by the standard library where both spell it alike."""
    if not _is_alike(value):
        return dumped(value)
    told = json.dumps(value, default=plain, separators=(",", ":"), ensure_ascii=False)
    try:
        return _STEERING.sub(_written_out, told.encode())
    except UnicodeEncodeError:
        return dumped(value)


def _is_alike(value: object) -> bool:
    """Whether both write the same: usual numbers, texts, dates, and lists and objects of these."""
    match value:
        case None | bool() | str() | date():
            return True
        case int():
            return value.bit_length() <= _LONG
        case float():
            return "e" not in (told := repr(value)) and "n" not in told  # an exponent; inf and nan
        case dict():
            return all(isinstance(key, str) and _is_alike(inner) for key, inner in value.items())
        case list() | tuple():
            return all(map(_is_alike, value))
        case _:
            return False


def dumped(value: object) -> bytes:
    """Return `value` as compact JSON; integers beyond 64 bits and lone surrogates go the slow way."""
    import orjson  # 10 ms

    options = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    try:
        return _STEERING.sub(_written_out, orjson.dumps(value, default=plain, option=options))
    except TypeError:
        return json.dumps(_finite(value), default=plain, separators=(",", ":"), allow_nan=False).encode()


def chunked(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines joined, many at a time."""
    from itertools import islice

    while chunk := b"".join(islice(lines, _CHUNK)):
        yield chunk


def _written_out(match: re.Match[bytes]) -> bytes:
    return f"\\u{ord(match.group().decode()):04x}".encode()


def _parsed(value: object) -> object:
    import orjson

    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def _finite(value: object) -> object:
    """Return `value` with null for NaN and the infinities, as orjson has it, and keys as text."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {str(key): _finite(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_finite(inner) for inner in value]
        case _:
            return value
