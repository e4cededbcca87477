"""The rows of a result as CSV with a header, quoted as RFC 4180 says; lines end in LF, which `cut` and `awk` expect."""

from __future__ import annotations

import csv
import math
import re
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from evlog.render.escape import escape
from evlog.render.flat import flat, plain
from evlog.render.json import dumped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from evlog.query.result import Result

_CHUNK = 1000
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")  # the last four: their full-width twins
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def rows(result: Result, *, raw: bool = False, seen: bool = False) -> Iterator[bytes]:
    """Yield header and rows in chunks; text that a spreadsheet would run as a formula gets a `'` unless `raw`.

    `seen`: it goes to a terminal, so that what would steer it is written out.
    """
    columns, records = flat(result)
    told = str if raw else disarmed
    text = (lambda cell: escape(told(cell))) if seen else told
    header = [text(column.name) for column in columns]
    cells = ([_cell(value, text) for value in record] for record in records)
    yield from _written(chain([header] if header else [], cells))


def disarmed(text: str) -> str:
    """Return `text` so that a spreadsheet takes it for text; what is a number in full stays one.

    No two texts become the same: one that begins with `'` and a sign gets one more `'`.
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def _cell(value: Any, text: Callable[[str], str]) -> str:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, (dict, list, tuple)):
        return text(dumped(value).decode())
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    other = plain(value)
    return text(other) if isinstance(other, str) else str(other)


def _written(lines: Iterable[list[Any]]) -> Iterator[bytes]:
    """Yield the lines in chunks. The writer quotes a lone CR only where lines end in CR LF; that CR goes afterwards."""
    pending = iter(lines)
    while some := list(islice(pending, _CHUNK)):
        taken = _Taken()
        csv.writer(taken).writerows(some)
        yield "".join(f"{line[:-2]}\n" for line in taken).encode("utf-8", "backslashreplace")


class _Taken(list[str]):
    """The lines of a CSV writer, one by one."""

    def write(self, line: str) -> None:
        self.append(line)
