"""Locks: BSD flock on files that are never unlinked; a lock dies with its process.

`commit` is held for the time of one commit and always waited for. `maintenance` is held by one command at a time, which
fails at once with exit 4, or waits for as long as it was told to.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from evlog.errors import StoreLocked
from evlog.store.durable import told_once, writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from evlog.store.layout import Store

_POLL = 0.05  # seconds between two tries while waiting with a limit


def commit(store: Store) -> AbstractContextManager[None]:
    """Hold the commit lock, waiting for it: the holder needs it for milliseconds."""
    return held(store.locks / "commit")


def staging(store: Store) -> AbstractContextManager[None]:
    """Hold the lock under which staging folders are born and swept up: no sweep meets one that has no owner yet."""
    return held(store.locks / "staging")


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the flock of `path`, waiting for it."""
    fd = _open(path)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextmanager
def maintenance(store: Store, command: str, *, wait: float | None = 0.0) -> Iterator[int]:
    """Hold the maintenance lock for `command`; wait at most `wait` seconds (None: for ever), else StoreLocked.

    Yield its descriptor: a forked process that keeps it would hold the lock too.
    """
    fd = _open(store.locks / "maintenance")
    try:
        _take(fd, wait)
        with told_once("write", store.locks / "maintenance"):
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"evlog {command} (process {os.getpid()})".encode(), 0)
        yield fd
    finally:
        os.close(fd)


def awaited(path: Path) -> None:
    """Return once nobody holds the flock of `path`; at once if it is not there."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    finally:
        os.close(fd)


def _take(fd: int, wait: float | None) -> None:
    if wait is None:
        fcntl.flock(fd, fcntl.LOCK_EX)
        return
    give_up = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up:
                holder = os.pread(fd, 200, 0).decode(errors="replace") or "another command"
                raise StoreLocked("maintenance", holder) from None
            time.sleep(_POLL)
        else:
            return


def _open(path: Path) -> int:
    with told_once("open", path):
        return writing(path, os.O_RDWR | os.O_CREAT)


def owned(path: Path) -> int | None:
    """A descriptor that holds the flock of `path`, or None if a living process holds it already."""
    fd = _open(path)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd
