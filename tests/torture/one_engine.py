"""One engine for many small stores: connecting takes longer than what is asked of a store of ten events."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

import pyarrow.parquet as pq
import storekit as kit

from evlog import engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def shared() -> Iterator[None]:
    """Let every connection be a cursor of one, with temporary tables of its own, and nothing kept of files."""
    import duckdb

    with duckdb.connect(":memory:", config={"threads": 1, "enable_external_file_cache": False}) as one:

        @contextmanager
        def connect(_limits: Any = None) -> Iterator[engine.Engine]:
            cursor = one.cursor()
            try:
                cursor.execute("SET TimeZone = 'UTC'")
                yield engine.Engine(cursor)
            finally:
                cursor.close()

        with mock.patch.object(engine, "connect", connect), mock.patch.object(kit, "outside", _outside):
            yield


def _outside(root: Path) -> list[tuple[str, str]]:
    """(event id, day) of each row of the cold tier, read by pyarrow, file by file."""
    parts = sorted((root / "parquet").glob("*/*.parquet"))
    return [
        (one, part.parent.name) for part in parts for one in pq.read_table(part, columns=["event_id"])[0].to_pylist()
    ]
