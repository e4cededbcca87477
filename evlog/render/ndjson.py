"""The rows of a result as NDJSON: an object a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.render.json import chunked, objects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evlog.query.result import Result


def lines(result: Result) -> Iterator[bytes]:
    """Yield the rows in chunks of lines."""
    return chunked(row + b"\n" for row in objects(result))
