"""Writing that lasts: new files only, synced before anyone hears of them, never through a symlink.

A failed write, fsync or rename is told once as WriteFailed and never retried (invariant 13): after a failed fsync the
kernel may have dropped the data, and a second fsync would lie.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from evlog.errors import StoreDamaged, WriteFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FILE_MODE, FOLDER_MODE = 0o600, 0o700
SCRATCH = ".tmp"
_AWAY = "move it away, then try again"
_MANY = 128  # descriptors held at most: a shell may allow no more than 256
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def told_once(what: str, path: Path) -> Iterator[None]:
    """Turn an OSError of a durable step into the one sentence a person needs."""
    try:
        yield
    except OSError as error:
        raise WriteFailed(f"cannot {what} {path}: {error.strerror or error}") from error


class Writer:
    """Writes new files one after the other and syncs them all at the end: the disk then needs one round, not many."""

    def __init__(self) -> None:
        self._open: dict[Path, int] = {}

    def write(self, path: Path, chunks: Iterable[bytes | bytearray | memoryview]) -> None:
        """Write `chunks` to the new file `path`; not durable before `sync`."""
        with told_once("write", path):
            self._open[path] = fd = os.open(path, _NEW, FILE_MODE)
            for chunk in chunks:
                _write_all(fd, chunk)
        if len(self._open) >= _MANY:
            self.sync()

    def sync(self) -> None:
        """Make everything written so far durable."""
        for path in list(self._open):
            fd = self._open.pop(path)
            with told_once("sync", path):
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)

    def drop(self) -> None:
        """Let go of what was written and is not wanted."""
        while self._open:
            os.close(self._open.popitem()[1])


def write_new(path: Path, chunks: Iterable[bytes | bytearray | memoryview]) -> int:
    """Write `chunks` to the new file `path`, synced; the number of bytes written."""
    with told_once("write", path):
        fd = os.open(path, _NEW, FILE_MODE)
        try:
            written = sum(_write_all(fd, chunk) for chunk in chunks)
            os.fsync(fd)
        finally:
            os.close(fd)
    return written


def _write_all(fd: int, chunk: bytes | bytearray | memoryview) -> int:
    view = memoryview(chunk)
    done = 0
    while done < len(view):
        done += os.write(fd, view[done:])
    return done


def sync(path: Path) -> None:
    """Sync a file that somebody else wrote (a Parquet writer, say)."""
    with told_once("sync", path):
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    with told_once("sync", path):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def replace_whole(path: Path, data: bytes) -> None:
    """Put `data` at `path`, whole or not at all: scratch file, sync, rename, sync of the folder."""
    with _scratch(path, data) as scratch:
        with told_once("rename", path):
            scratch.replace(path)
        sync_folder(path.parent)


def put_first(path: Path, data: bytes) -> None:
    """Put `data` at `path`, whole, unless something is there already: who comes first is right."""
    with _scratch(path, data) as scratch:
        with told_once("make", path):
            try:
                path.hardlink_to(scratch)
            except (FileExistsError, FileNotFoundError):  # somebody else was first, and perhaps swept up after us
                if not is_there(path):
                    raise
        sync_folder(path.parent)


@contextmanager
def _scratch(path: Path, data: bytes) -> Iterator[Path]:
    """Yield a synced file beside `path` that holds `data`; gone afterwards, unless it became `path`."""
    scratch = path.with_name(f".{path.name}.{os.urandom(16).hex()}{SCRATCH}")
    try:
        write_new(scratch, [data])
        yield scratch
    finally:
        with suppress(OSError):  # litter: the next recovery sweeps it up
            scratch.unlink(missing_ok=True)


def folder(path: Path) -> Path:
    """`path`, which is a folder of ours when this returns: made if absent, and never a symlink."""
    if is_folder(path):
        return path
    with told_once("make", path):
        path.mkdir(mode=FOLDER_MODE, exist_ok=True)
    if not is_folder(path):  # pragma: no cover - lost a race against something that is no folder
        raise StoreDamaged(f"{path} is in the way: expected a folder")
    sync_folder(path.parent.resolve())  # a folder above a store may be reached through a symlink, as /tmp often is
    return path


def remove_folder(path: Path) -> None:
    """Remove a folder of ours with all that is in it, as far as that can be done; anything else of its name stays."""
    with suppress(OSError):
        if stat.S_ISDIR(path.lstat().st_mode):  # of a pipe, rmtree would wait for the other end
            import shutil  # 2 ms: it imports every way of compressing

            shutil.rmtree(path, ignore_errors=True)


def is_there(path: Path) -> bool:
    """Whether anything has this name, be it a symlink that leads nowhere."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def is_folder(path: Path) -> bool:
    """Whether `path` is a real folder; a symlink or anything else in its place is an error, not followed."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(mode):
        kind = "a symlink" if stat.S_ISLNK(mode) else "no folder"
        raise _in_the_way(path, kind)
    return True


def read(path: Path) -> bytes:
    """The bytes of a file of the store; never through a symlink."""
    with open(reading(path), "rb") as file:
        return file.read()


def reading(path: Path) -> int:
    """A descriptor to read a file of the store with; StoreDamaged where something else is in its place.

    A pipe is not waited for.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _in_the_way(path, "a symlink") from error
        raise
    return _plain(fd, path)


def writing(path: Path, flags: int) -> int:
    """A descriptor of a file of the store that is written over or on: plain, and without another name elsewhere."""
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, FILE_MODE)
    return _plain(fd, path, names=1)


def _plain(fd: int, path: Path, *, names: int | None = None) -> int:
    found = os.fstat(fd)
    if stat.S_ISREG(found.st_mode) and (names is None or found.st_nlink <= names):
        return fd
    os.close(fd)
    raise _in_the_way(path, "a hard link" if stat.S_ISREG(found.st_mode) else "no plain file")


def _in_the_way(path: Path, kind: str) -> StoreDamaged:
    return StoreDamaged(f"{path} is {kind}; evlog follows none inside a store", hint=_AWAY)


def files(path: Path, suffix: str) -> list[str]:
    """The names of the plain files in a folder that end in `suffix`, sorted; none if the folder is absent."""
    return sorted(inodes(path, suffix))


def inodes(path: Path, suffix: str) -> dict[str, int]:
    """The same names, each with the number of the file it stands for just now."""
    with _scanned(path) as entries:
        return {e.name: e.inode() for e in entries if e.name.endswith(suffix) and e.is_file(follow_symlinks=False)}


def folders(path: Path, prefix: str = "") -> list[str]:
    """The names of the real folders in a folder that begin with `prefix`, sorted; none if it is absent."""
    with _scanned(path) as entries:
        return sorted(e.name for e in entries if e.name.startswith(prefix) and e.is_dir(follow_symlinks=False))


def others(path: Path) -> list[str]:
    """The names in a folder that are neither plain files nor real folders: symlinks and the like, sorted."""
    with _scanned(path) as entries:
        plain = ((e.is_file(follow_symlinks=False) or e.is_dir(follow_symlinks=False), e.name) for e in entries)
        return sorted(name for ours, name in plain if not ours)


@contextmanager
def _scanned(path: Path) -> Iterator[Iterable[os.DirEntry[str]]]:
    """Yield the entries of a folder, none if it is absent; a symlink in its place is an error, not followed."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        yield ()
        return
    except NotADirectoryError:
        is_folder(path)  # tells what it is
        raise
    try:
        with os.scandir(fd) as entries:
            yield entries
    finally:
        os.close(fd)
