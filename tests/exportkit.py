"""What the tests of export share: a call of evlog in this process, and what a stranger reads in what came of it."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import signal
import sys
from typing import TYPE_CHECKING, Any, Self

from evlog.cli.run import run

if TYPE_CHECKING:
    from pathlib import Path

INTERRUPTED = 130
SUFFIXES = ("ndjson", "csv", "json", "parquet")


class Said(contextlib.AbstractContextManager["Said"]):
    """Catches what a call writes to stdout and stderr."""

    def __init__(self) -> None:
        self._kept: list[Any] = []
        self.out = io.BytesIO()
        self.err = io.BytesIO()

    def __enter__(self) -> Self:
        self._kept = [sys.stdout, sys.stderr, sys.excepthook, signal.getsignal(signal.SIGTERM)]
        sys.stdout = io.TextIOWrapper(self.out, "utf-8")
        sys.stderr = io.TextIOWrapper(self.err, "utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            stream.detach()
        sys.stdout, sys.stderr, sys.excepthook = self._kept[:3]
        signal.signal(signal.SIGTERM, self._kept[3])


def evlog(root: Path, *words: str) -> tuple[int, bytes, str]:
    """Run evlog on a store: its exit code, stdout and stderr. Whoever ends evlog meanwhile means the tests."""
    with Said() as said:
        code = run(["--data", str(root), *words])
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    return code, said.out.getvalue(), said.err.getvalue().decode()


def sent(root: Path, *words: str) -> list[dict[str, Any]]:
    """The events that an export sends to stdout."""
    code, out, err = evlog(root, "export", *words)
    assert code == 0, err
    return [json.loads(line) for line in out.splitlines()]


def ids(events: list[dict[str, Any]]) -> list[str]:
    return [event["event_id"] for event in events]


def read(path: Path, form: str) -> list[dict[str, Any]]:
    """The rows of an exported file, by a reader that is not ours; instants and dates as text."""
    if form == "ndjson":
        return [json.loads(line) for line in path.read_bytes().splitlines()]
    if form == "json":
        return json.loads(path.read_bytes())["rows"]
    if form == "csv":
        return list(csv.DictReader(path.read_text("utf-8").splitlines(keepends=True)))
    return parquet(str(path), hive=False)


def parquet(glob: str, *, hive: bool = True) -> list[dict[str, Any]]:
    """The rows that a stranger's DuckDB finds, without any code of ours."""
    import duckdb

    with duckdb.connect() as connection:
        cursor = connection.execute(
            "SELECT * FROM read_parquet($glob, hive_partitioning = $hive)", {"glob": glob, "hive": hive}
        )
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def lake(folder: Path, form: str = "ndjson") -> list[dict[str, Any]]:
    """The rows of every file below a folder of exports; the date is that of the folder."""
    rows = []
    for path in sorted(folder.glob(f"*/*.{form}")):
        name, _, value = path.parent.name.partition("=")
        rows += [row | {name: value} for row in read(path, form)]
    return rows


def summed(folder: Path) -> None:
    """Assert that SHA256SUMS names every file there is, and is right."""
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    told = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    there = {str(p.relative_to(folder)): p for p in folder.glob("*/*") if p.is_file()}
    assert told == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in there.items()}
    assert {path.name for path in folder.iterdir() if path.is_file()} == {"SHA256SUMS"}
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
