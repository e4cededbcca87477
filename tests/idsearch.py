"""An independent search of a store for an id: every file read back, every string decoded, JSON in strings too.

It shares no code with evlog, so that an erasure that never looked somewhere does not hide it from its own proof.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path


def strings(value: Any) -> list[str]:
    """Every string in a value, and every string in the JSON that a string holds."""
    if isinstance(value, str):
        inner: Any = None
        if value[:1] in ("{", "["):
            try:
                inner = json.loads(value)
            except ValueError:
                inner = None
        return [value, *strings(inner)]
    if isinstance(value, dict):
        return [text for pair in value.items() for one in pair for text in strings(one)]
    if isinstance(value, list):
        return [text for one in value for text in strings(one)]
    if isinstance(value, int) and not isinstance(value, bool):
        return [str(value)] if abs(value) >= 10**7 else []
    return []


def readable(name: str) -> bool:
    """Whether a file is lines of JSON, or a part; in all others bytes are all there is."""
    lines = (".ndjson", ".rejects", ".json", ".done", ".links", ".rollup", ".log", ".entry", "audit/head")
    return name.endswith((".parquet", *lines))


def texts(root: Path) -> dict[str, list[str]]:
    """Every decoded string in every file of a store, by file."""
    found: dict[str, list[str]] = {}
    for path in (path for path in root.rglob("*") if path.is_file()):
        name = str(path.relative_to(root))
        if path.suffix == ".parquet":
            file = pq.ParquetFile(path)
            found[name] = strings(file.read().drop_columns(["user_key", "seq", "ts", "received_at"]).to_pylist())
            found[name] += [
                str(file.metadata.row_group(i).column(j).statistics)
                for i in range(file.num_row_groups)
                for j in range(file.metadata.num_columns)
            ]
        elif readable(name):
            parsed = [json.loads(line) for line in path.read_bytes().split(b"\n") if line]
            for one in parsed:
                for ours in (
                    "seq",
                    "batch",
                    "length",
                    "offset",
                    "ts",
                    "received_at",
                    "at",
                    "due",
                    "computed_at",
                    "first",
                ):
                    one.pop(ours, None)
            found[name] = strings(parsed) + [
                base64.b64decode(one["raw_base64"]).decode(errors="replace") for one in parsed if "raw_base64" in one
            ]
            found[name] += [_unescaped(one["raw"]) for one in parsed if "raw" in one]
        else:
            found[name] = [path.read_bytes().decode(errors="replace")]
    return found


def _unescaped(text: str) -> str:
    return (
        re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
        .replace('\\"', '"')
        .replace("\\\\", "\\")
    )


def places(root: Path, user: str) -> list[tuple[str, str]]:
    """(file, string) wherever the id is spoken of: anywhere, if it is long; as a whole word or value, if it is short."""
    long = len(user.encode()) >= 8 and not user.isspace()
    whole = rf"\A{re.escape(user)}\Z" if user.isdigit() or user.isspace() else rf"(?<![\w-]){re.escape(user)}(?![\w-])"
    pattern = re.compile(re.escape(user) if long else whole)
    found = texts(root).items()
    return [(name, text) for name, said in found for text in said if pattern.search(text) and (long or readable(name))]
