"""An export as files in a folder, a folder a date as Hive has it, that any engine reads; and their checksums.

Files are written under other names first and renamed when all are whole and safe. Their names say of which commits they
are: the same run, done again, makes the same files, and files of other runs stay as they are.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from evlog.errors import EvlogError, WriteFailed
from evlog.store import durable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import date
    from pathlib import Path
    from typing import BinaryIO

    Write = Callable[[BinaryIO, Iterable[Any]], None]

Partition = Literal["day", "month"]
SUMS = "SHA256SUMS"
ROWS = 1_000_000
"""A file holds no more events than this; what is more goes into another."""

_SCRATCH = ".evlog-"


@dataclass(frozen=True, slots=True)
class Files:
    """What a run writes: the folder, the commits it is of (`after` < batch <= `upto`), how, and as what."""

    folder: Path
    after: int
    upto: int
    suffix: str
    partition: Partition = "day"

    @property
    def stem(self) -> str:
        """What the names of all files of the run begin with."""
        return f"export-{self.after + 1:012d}-{self.upto:012d}"

    def name(self, day: date, number: int) -> str:
        """The name of a file of the run, relative to the folder."""
        return f"{self.key(day)}/{self.stem}-{number}.{self.suffix}"

    def key(self, day: date) -> str:
        """The folder that the events of a day belong in."""
        return f"date={day}" if self.partition == "day" else f"month={day:%Y-%m}"


def must_be_empty(folder: Path) -> None:
    """Refuse a folder that holds something: an export that begins would stand beside it, and be counted twice."""
    if folder.exists() and any(not one.name.startswith(_SCRATCH) for one in folder.iterdir()):
        raise EvlogError(
            f"{folder} is not empty; nothing was written", hint="name a new folder, or --resume FILE to add to it"
        )


@contextmanager
def staged(files: Files, word: str) -> Iterator[Path]:
    """Yield a scratch folder beside the files to be; one that the same word left behind in a crash is emptied."""
    try:
        if not files.folder.is_dir():
            files.folder.mkdir(mode=durable.FOLDER_MODE, parents=True)
            durable.sync_folder(files.folder.parent)
        scratch = files.folder / f"{_SCRATCH}{word}.tmp"
        durable.remove_folder(scratch)
        scratch.mkdir(mode=durable.FOLDER_MODE)
    except OSError as error:
        raise WriteFailed(f"cannot write in {files.folder}: {error.strerror or error}") from error
    try:
        yield scratch
    finally:
        durable.remove_folder(scratch)


def write(files: Files, scratch: Path, days: Iterable[tuple[date, Iterable[Any]]], how: Write) -> dict[str, str]:
    """Write the events into the scratch folder, synced; the SHA-256 of each file by the name it will have."""
    sums: dict[str, str] = {}
    for _, group in groupby(days, key=lambda one: files.key(one[0])):
        batches = _Rows((day, batch) for day, held in group for batch in held)
        number = 0
        while (first := batches.peek()) is not None:
            name = files.name(first[0], number)
            with durable.told_once("write", files.folder / name):
                sums[name] = _written(scratch / str(len(sums)), batches.some(ROWS), how)
            number += 1
    return sums


def publish(files: Files, scratch: Path, sums: dict[str, str], *, again: bool) -> None:
    """Rename the files to their names and write the checksums; `again`: in place of what the same run left before."""
    former = [path for path in files.folder.glob(f"*/{files.stem}-*") if path.is_file()]
    if former and not again:
        raise EvlogError(f"{former[0]} is there already; nothing was written", hint="name a new folder")
    targets = {files.folder / name: scratch / str(number) for number, name in enumerate(sums)}
    with durable.told_once("write in", files.folder):
        for path in former:
            path.unlink()
        for target, source in targets.items():
            durable.folder(target.parent)
            source.replace(target)
        for folder in {path.parent for path in (*targets, *former)}:
            durable.sync_folder(folder)
        durable.write_new(scratch / SUMS, [_sums(files, sums)])
        (scratch / SUMS).replace(files.folder / SUMS)
        durable.sync_folder(files.folder)


def _sums(files: Files, sums: dict[str, str]) -> bytes:
    """The checksums of all files that lie there, as `sha256sum -c` reads them."""
    path = files.folder / SUMS
    lines = durable.read(path).decode("utf-8", "replace").splitlines() if durable.is_there(path) else []
    held = {name: digest for digest, _, name in (line.partition("  ") for line in lines)} | sums
    there = {name: digest for name, digest in held.items() if (files.folder / name).is_file()}
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(there.items())).encode()


def _written(path: Path, batches: Iterable[Any], how: Write) -> str:
    """Write one new file, synced; its SHA-256."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, durable.FILE_MODE)
    with open(fd, "wb") as file:  # noqa: PTH123 - an open descriptor has no path
        how(file, batches)
        file.flush()
        os.fsync(fd)
    with path.open("rb") as again:
        return hashlib.file_digest(again, "sha256").hexdigest()


class _Rows:
    """Record batches that are taken some rows at a time."""

    def __init__(self, batches: Iterator[tuple[date, Any]]) -> None:
        self._batches = batches
        self._next: tuple[date, Any] | None = None

    def peek(self) -> tuple[date, Any] | None:
        """The day and the batch that come next; None at the end."""
        while self._next is None or self._next[1].num_rows == 0:
            self._next = next(self._batches, None)
            if self._next is None:
                return None
        return self._next

    def some(self, rows: int) -> Iterator[Any]:
        """Yield the next so many rows, as batches."""
        while rows and (found := self.peek()) is not None:
            day, batch = found
            taken = min(rows, batch.num_rows)
            self._next = (day, batch.slice(taken))
            rows -= taken
            yield batch.slice(0, taken)
