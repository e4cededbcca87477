"""Watches a command in this process: every call that changes a file, with the locks that are held just then.

Neither root nor strace is needed. What a library writes without `os` (pyarrow) is seen when it is synced or named.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(slots=True)
class Step:
    """One call: on which path of the home, with which other one, under which flags or mode, holding which locks."""

    call: str
    path: str
    to: str = ""
    flags: int = 0
    mode: int = 0
    inode: int = 0
    held: dict[str, bool] = field(default_factory=dict)  # lock file → whether it is held exclusively


class Watch:
    """Tells `hears` of each step below `home`, just before it is done; of what may fail, afterwards."""

    def __init__(self, home: Path, hears: Callable[[Step], None]) -> None:
        self.home, self._hears = os.path.realpath(home), hears
        self._held: dict[int, tuple[str, bool]] = {}
        self._real = {name: getattr(os, name) for name in _CALLS}
        self._flock, self._close, self._lstat = fcntl.flock, os.close, os.lstat

    @contextmanager
    def on(self) -> Iterator[None]:
        """Watch for as long as this lasts."""
        patches = [mock.patch.object(os, name, self._told(name, call)) for name, call in _CALLS.items()]
        patches += [mock.patch.object(fcntl, "flock", self._locks), mock.patch.object(os, "close", self._closes)]
        for one in patches:
            one.start()
        try:
            yield
        finally:
            for one in patches:
                one.stop()

    def inside(self, path: Any, dir_fd: int | None = None) -> str | None:
        """A path below home, relative to it; None if it lies elsewhere."""
        if isinstance(path, int):
            return self.inside(_opened_as(path))
        base = _opened_as(dir_fd) if dir_fd is not None else str(Path.cwd())
        whole = os.path.normpath(f"{base}/{path}" if not str(path).startswith("/") else path)
        return whole[len(self.home) + 1 :] if f"{whole}/".startswith(self.home + "/") else None

    def inode(self, path: Any) -> int:
        """The number of a file or descriptor; 0 where there is none."""
        try:
            return os.fstat(path).st_ino if isinstance(path, int) else self._lstat(path).st_ino
        except OSError:
            return 0

    def _told(self, name: str, call: Callable[..., Step | None]) -> Callable[..., Any]:
        def told(*words: Any, **more: Any) -> Any:
            step = call(self, *words, **more)
            done = self._real[name](*words, **more) if name in _SEEN_AFTERWARDS else None
            if step is not None:
                step.call, step.held = name, dict(self._held.values())
                self._hears(step)
            return done if name in _SEEN_AFTERWARDS else self._real[name](*words, **more)

        return told

    def _locks(self, fd: int, how: int) -> None:
        self._flock(fd, how)
        path = self.inside(fd)
        if path is not None:
            self._held[fd] = path, bool(how & fcntl.LOCK_EX)
            self._hears(Step("flock", path, held=dict(self._held.values())))

    def _closes(self, fd: int) -> None:
        self._held.pop(fd, None)
        self._close(fd)


def _opened_as(fd: int) -> str:
    return str(Path(f"/proc/self/fd/{fd}").readlink())


def _path(watch: Watch, path: Any, *_: Any, dir_fd: int | None = None, **__: Any) -> Step | None:
    inside = watch.inside(path, dir_fd)
    return None if inside is None else Step("", inside, inode=watch.inode(path) if dir_fd is None else 0)


def _opened(watch: Watch, path: Any, flags: int, mode: int = 0o777, **more: Any) -> Step | None:
    step = _path(watch, path, **more)
    if step is not None:
        step.flags, step.mode = flags, mode
    return step


def _made(watch: Watch, path: Any, mode: int = 0o777, **more: Any) -> Step | None:
    step = _path(watch, path, **more)
    if step is not None:
        step.mode = mode
    return step


def _named(watch: Watch, source: Any, target: Any, **_: Any) -> Step | None:
    step, to = _path(watch, source), watch.inside(target)
    if step is not None:
        step.to = to or os.fspath(target)
    return step


_SEEN_AFTERWARDS = ("rmdir",)
_CALLS: dict[str, Callable[..., Step | None]] = {
    "open": _opened,
    "mkdir": _made,
    **dict.fromkeys(("rename", "replace", "link"), _named),
    **dict.fromkeys(("write", "pwrite", "ftruncate", "fsync", "unlink", "remove", "rmdir", "chmod", "scandir"), _path),
}
