"""Records what a command does to its files, in this process: neither root nor strace is needed.

Every call of `os` that changes a tree is replaced for the time of the recording (`pathlib` and `shutil` go through the
same names). What a library writes without them (pyarrow, `io.open`) is seen when its file is synced or named. A file
is known by a number of its own and not by its name, so that a rename moves it and nothing else.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Slot = tuple[int, str, int | None]  # a name in a folder, and the node it stands for from now on
ROOT = 0


class Killed(BaseException):
    """The recorded process is dead: nothing that it still tries to do happens."""


@dataclass(frozen=True, slots=True)
class Op:
    """One step: names that change, a file's new content, or a file or folder that is synced."""

    what: str
    text: str
    slots: tuple[Slot, ...] = ()
    node: int = -1
    data: bytes = b""


@dataclass(slots=True)
class Tree:
    """Names and contents: of each folder its names, of each file its bytes."""

    folders: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT: {}})
    files: dict[int, bytes] = field(default_factory=dict)

    def at(self, parts: Sequence[str]) -> int | None:
        """The node that a path stands for."""
        node: int | None = ROOT
        for part in parts:
            node = self.folders.get(node, {}).get(part) if node is not None else None
        return node

    def put(self, slot: Slot) -> None:
        """Let a name stand for a node, or for nothing."""
        folder, name, node = slot
        if node is None:
            self.folders[folder].pop(name, None)
        else:
            self.folders[folder][name] = node

    def copy(self) -> Tree:
        """A tree of its own with the same names."""
        return Tree({folder: dict(names) for folder, names in self.folders.items()}, dict(self.files))


class Recorder:
    """The steps of a command below `home`; `kill` is the number of the step before which its process dies."""

    def __init__(self, home: Path, *, kill: int | None = None) -> None:
        self.home = home.resolve()
        self.live, self.ops = Tree(), []
        self._next, self._kill, self._real = 1, kill, {name: getattr(os, name) for name in _WRAPPED}
        self._take(ROOT, self.home)
        self.base = self.live.copy()

    def mark(self, what: str) -> None:
        """Note that something was acknowledged."""
        self.ops.append(Op(what, what))

    @contextmanager
    def recording(self) -> Iterator[Recorder]:
        """Record what happens meanwhile; a death that was asked for ends it without an error."""
        for name, wrap in _WRAPPED.items():
            setattr(os, name, _bound(wrap, self, self._real[name]))
        try:
            yield self
        except Killed:
            self.mark("died")
        finally:
            self._kill = None
            for name, real in self._real.items():
                setattr(os, name, real)

    # -- what the wrapped calls tell ----------------------------------------------------------------------------------

    def alive(self) -> None:
        """Die here, if it is time."""
        if self._kill is not None and len(self.ops) >= self._kill:
            raise Killed

    def note(self, op: Op) -> None:
        """Keep a step, and let the live tree follow it."""
        self.ops.append(op)
        for slot in op.slots:
            self.live.put(slot)

    def parts(self, path: Any, dir_fd: int | None = None) -> tuple[str, ...] | None:
        """A path below home as its parts; None if it lies elsewhere."""
        base = _behind(dir_fd) if dir_fd is not None else Path.cwd()
        named = base / os.fsdecode(path)
        whole = named.parent.resolve() / named.name
        return whole.relative_to(self.home).parts if whole.is_relative_to(self.home) else None

    def of(self, fd: int) -> int | None:
        """The node of an open file or folder, made known if nobody saw it come about; None if it lies elsewhere."""
        parts = self.parts(_behind(fd))
        return None if parts is None else self.known(parts)

    def known(self, parts: tuple[str, ...]) -> int | None:
        """The node at a path; a file that a library made is noted now, and so is what it wrote since."""
        node = self.live.at(parts)
        path = self.home.joinpath(*parts)
        if node is None and path.is_file():
            node = self.new(b"")
            self.note(Op("create", "/".join(parts), self.slots(parts, node)))
        if node in self.live.files and path.is_file():
            self.wrote(node, path.read_bytes(), "/".join(parts))
        return node

    def wrote(self, node: int, data: bytes, text: str) -> None:
        """Note the content of a file, if it is another than was known."""
        if self.live.files[node] != data:
            self.live.files[node] = data
            self.note(Op("write", text, node=node, data=data))

    def new(self, data: bytes | None) -> int:
        """A node that nobody had; a folder without `data`."""
        node, self._next = self._next, self._next + 1
        if data is None:
            self.live.folders[node] = {}
        else:
            self.live.files[node] = data
        return node

    def slots(self, parts: tuple[str, ...], node: int | None) -> tuple[Slot, ...]:
        """The name at a path, standing for a node from now on."""
        folder = self.live.at(parts[:-1])
        assert folder is not None, parts
        return ((folder, parts[-1], node),)

    def _take(self, node: int, path: Path) -> None:
        for entry in sorted(os.scandir(path), key=lambda one: one.name):
            inner = self.new(None if entry.is_dir() else Path(entry.path).read_bytes())
            self.live.put((node, entry.name, inner))
            if entry.is_dir():
                self._take(inner, Path(entry.path))


def _behind(fd: int) -> Path:
    """The path of an open file or folder."""
    return Path(f"/proc/self/fd/{fd}").readlink()


def _bound(wrap: Callable[..., Any], recorder: Recorder, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*words: Any, **more: Any) -> Any:
        return wrap(recorder, real, *words, **more)

    return call


def _open(to: Recorder, real: Callable[..., int], path: Any, flags: int, *words: Any, **more: Any) -> int:
    parts = (
        None if isinstance(path, int) or not flags & (os.O_CREAT | os.O_TRUNC) else to.parts(path, more.get("dir_fd"))
    )
    if parts is None:
        return real(path, flags, *words, **more)
    to.alive()
    fd, node = real(path, flags, *words, **more), to.live.at(parts)
    if node is None:
        to.note(Op("create", "/".join(parts), to.slots(parts, to.new(b""))))
    elif flags & os.O_TRUNC:
        to.wrote(node, b"", "/".join(parts))
    return fd


def _written(to: Recorder, real: Callable[..., Any], fd: int, *words: Any) -> Any:
    """Of write, pwrite, ftruncate, and of fsync: what the file holds afterwards."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        return real(fd, *words)
    to.alive()
    done = real(fd, *words)
    to.of(fd)
    return done


def _synced(to: Recorder, real: Callable[..., None], fd: int) -> None:
    to.alive()
    real(fd)
    node = to.of(fd)
    if node is not None:
        to.note(Op("sync", str(_behind(fd).relative_to(to.home)), node=node))


def _renamed(to: Recorder, real: Callable[..., None], source: Any, target: Any, **more: Any) -> None:
    to.alive()
    old, new = to.parts(source), to.parts(target)
    node = to.known(old) if old is not None else None
    real(source, target, **more)
    if node is not None and old is not None and new is not None:
        to.note(Op("rename", f"{'/'.join(old)} to {'/'.join(new)}", (*to.slots(new, node), *to.slots(old, None))))


def _linked(to: Recorder, real: Callable[..., None], source: Any, target: Any, **more: Any) -> None:
    to.alive()
    old, new = to.parts(source), to.parts(target)
    real(source, target, **more)
    if old is not None and new is not None:
        to.note(Op("link", f"{'/'.join(old)} as {'/'.join(new)}", to.slots(new, to.known(old))))


def _removed(to: Recorder, real: Callable[..., None], path: Any, *, dir_fd: int | None = None) -> None:
    to.alive()
    parts = to.parts(path, dir_fd)
    real(path, dir_fd=dir_fd)
    if parts is not None and to.live.at(parts) is not None:
        to.note(Op("unlink", "/".join(parts), to.slots(parts, None)))


def _made(to: Recorder, real: Callable[..., None], path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
    to.alive()
    real(path, mode, dir_fd=dir_fd)
    parts = to.parts(path, dir_fd)
    if parts is not None:
        to.note(Op("mkdir", "/".join(parts), to.slots(parts, to.new(None))))


_WRAPPED: dict[str, Callable[..., Any]] = {
    "open": _open,
    **dict.fromkeys(("write", "pwrite", "ftruncate"), _written),
    **dict.fromkeys(("fsync", "fdatasync"), _synced),
    **dict.fromkeys(("rename", "replace"), _renamed),
    "link": _linked,
    **dict.fromkeys(("unlink", "remove", "rmdir"), _removed),
    "mkdir": _made,
}
