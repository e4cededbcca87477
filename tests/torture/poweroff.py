"""A command of evlog in this process, and a power cut of it: from the n-th call on that would change a file, none works.

What is raised is no Exception, so nothing catches it, and what `finally` would tidy fails in the same way, as after the
death of a process. Its locks are let go of: descriptors that it left open are closed. Only what C libraries write on
their own goes on, and that is a scratch file in a staging folder.
"""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from evlog.cli import clock
from evlog.cli.run import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

CHANGING = (
    "write", "pwrite", "writev", "fsync", "fdatasync", "rename", "replace", "link", "symlink", "unlink", "remove",
    "mkdir", "rmdir", "ftruncate", "truncate", "chmod", "fchmod", "utime",
)  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class PowerOff(BaseException):
    """The power is off."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command answered; `off` where the power went before its end, `calls` that would have changed something."""

    code: int
    out: str
    err: str
    off: bool
    calls: int


class Power:
    """Counts the calls that change something; `at` is the first of them that does not work any more (0: all do)."""

    def __init__(self, at: int = 0) -> None:
        self.at, self.calls, self.off = at, 0, False

    def spend(self) -> None:
        """Count one; PowerOff if there is none left."""
        self.calls += not self.off
        if self.off or self.calls == self.at:
            self.off = True
            raise PowerOff

    def guarded(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """A call that needs power."""

        def guard(*args: Any, **more: Any) -> Any:
            self.spend()
            return None if real is _fsync else real(*args, **more)

        return guard

    def opening(self, path: Any, flags: int, *more: Any, **named: Any) -> int:
        """`os.open`, which needs power only to write."""
        if flags & _WRITING:
            self.spend()
        return _open(path, flags, *more, **named)


_open, _fsync = os.open, os.fsync


def evlog(*words: str, now: datetime, at: int = 0, said: str = "") -> Ran:
    """Run evlog on words at an instant, with `said` on its stdin; the power goes at the `at`-th call, if it comes so far."""
    power, out, err = Power(at), _text(), _text()
    with _here(now, out, err, said), _powered(power):
        try:
            code = run(words)
        except PowerOff:
            code = -1
        if power.off:  # be it that somebody caught it: then what they answered went nowhere
            code = -1
            gc.collect()  # what waits to be tidied meets a dead machine
    return Ran(code, _said(out), _said(err), power.off, power.calls)


@contextmanager
def _powered(power: Power) -> Iterator[None]:
    """Let every call that changes something ask for power; at the end close what was left open."""
    before = _descriptors()
    guards = {name: power.guarded(getattr(os, name)) for name in CHANGING}
    try:
        with mock.patch.multiple(os, open=power.opening, **guards):
            yield
    finally:
        for fd in _descriptors() - before if power.off else ():
            with suppress(OSError):
                os.close(fd)


@contextmanager
def _here(now: datetime, out: io.TextIOWrapper, err: io.TextIOWrapper, said: str) -> Iterator[None]:
    """Stand in for what a process has of its own: streams, environment, clock, hooks."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EVLOG_")}
    hooks = {"excepthook": sys.excepthook, "unraisablehook": lambda _: None}
    before = signal.getsignal(signal.SIGTERM)
    streams = {"stdout": out, "stderr": err, "stdin": io.StringIO(said)}
    with (
        mock.patch.multiple(sys, **streams, **hooks),
        mock.patch.dict(os.environ, clean, clear=True),
        mock.patch.object(clock, "now", return_value=now),
    ):
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)


def _descriptors() -> set[int]:
    """The descriptors of files that are open now: pipes and sockets are not a command's."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if link.readlink().is_absolute():
                found.add(int(link.name))
    return found


def _text() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


def _said(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()
