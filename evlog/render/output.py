"""Files that people name: whole or not there."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from evlog.errors import UsageError, WriteFailed
from evlog.render.escape import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

_HINT = "nothing was written; name another place, or make room, and run the same command again"


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """Yield a stream whose bytes become the file `path` on success, and on failure leave what was there.

    A new file is for its owner alone, since rows name people; one that is replaced keeps its mode. A symlink stays and
    its target is replaced. What is no file (a pipe, /dev/null) is written as it comes.
    """
    try:
        found = _found(path)
        if found is not None and not stat.S_ISREG(found.st_mode):
            with path.open("wb") as stream:
                yield stream
            return
        with _scratch(Path(os.path.realpath(path)), found) as stream:
            yield stream
    except OSError as error:
        raise WriteFailed(f"cannot write {escape(str(path))}: {error.strerror or error}", hint=_HINT) from error


def _found(path: Path) -> os.stat_result | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise UsageError(f"{escape(str(path))} is a folder", hint="name the file to write in it")
    return found


@contextmanager
def _scratch(path: Path, found: os.stat_result | None) -> Iterator[BinaryIO]:
    """Yield a new file beside `path`. The order is the promise: data to disk, the name, the folder that holds it."""
    fd, name = tempfile.mkstemp(prefix=".evlog-", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as stream:
            if found is not None:
                os.fchmod(fd, stat.S_IMODE(found.st_mode))
            yield stream
            stream.flush()
            os.fsync(fd)
        Path(name).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
