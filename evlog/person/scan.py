"""The proof of an erasure: every file of the store is read back and searched for the id."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from evlog.store import parts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from evlog.person.mention import Mention
    from evlog.store.layout import Store

_LONG = 8


def scan(store: Store, mention: Mention) -> tuple[int, int]:
    """How many files were read, and in how many of them the id was found: as bytes, in names, in decoded strings."""
    files = sorted(path for path in store.root.rglob("*") if path.is_file() and not path.is_symlink())
    return len(files), sum(_speaks(path, mention, store.root) for path in files)


def _speaks(path: Path, mention: Mention, root: Path) -> bool:
    if mention.spoken(str(path.relative_to(root))):
        return True
    raw = path.read_bytes()
    if len(mention.user.encode()) >= _LONG and (mention.user.encode() in raw or mention.needle.encode() in raw):
        return True
    return any(mention.spoken(value) for value in _values(path, raw))


def _values(path: Path, raw: bytes) -> Iterator[Any]:
    """The decoded values of a file: rows of Parquet, lines of JSON; nothing of what is neither."""
    if path.name.startswith("events.parquet") or raw[:4] == b"PAR1":
        for batch in parts.read(path):
            for row in batch.to_pylist():
                yield from (_opened(value) for value in row.values() if isinstance(value, str))
    elif path.suffix in {".ndjson", ".rejects", ".json", ".done"}:
        yield from map(_opened, raw.decode(errors="replace").splitlines())


def _opened(text: str) -> Any:
    """The JSON in `text`, opened wherever a string holds JSON again; the text itself where it is none."""
    if text[:1] not in "{[\"":
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, dict) and "raw" in value and isinstance(value["raw"], str):
        return [value, _opened(value["raw"])]
    return value



