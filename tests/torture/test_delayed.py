"""Delayed system calls: strace holds one call of a command back while another command runs, and readers look.

A schedule stops a command at a step of the protocol; this stops it before any sync, rename, unlink or mkdir, inside the
kernel, with whatever locks it holds by then. The end is that of a serial order, or the second was told of the lock.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import faults
import held
import pairs
import pytest
import serial
import storekit as kit
import torture
from pairs import COMMANDS
from serial import LOCKED, Alone, End, differs

import evlog
from evlog.store import layout

if TYPE_CHECKING:
    from conftest import Tally
    from faults import Point

_CODE = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
import pairs
from evlog.errors import EvlogError
try:
    pairs.run({name!r}, Path({home!r}))
except EvlogError as error:
    sys.exit(error.exit_code)
"""
_DELAY = 1_500_000  # microseconds: longer than another command takes
_PATIENCE = 120.0  # seconds that nothing takes
_HELD = (
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "rmdir",
    "link",
    "linkat",
)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Alone:
    return serial.built(tmp_path_factory.mktemp("delayed"))


def _words(name: str, home: Path) -> list[str]:
    here = Path(__file__).parent
    paths = [str(Path(evlog.__file__).parents[1]), str(here), str(here.parent)]
    return [sys.executable, "-c", _CODE.format(paths=paths, name=name, home=str(home))]


def _points(alone: Alone, name: str, tmp_path: Path) -> list[Point]:
    """The calls of an undisturbed run that can be held back."""
    home, log = pairs.copied(alone.base, tmp_path / "counted"), tmp_path / "counted.log"
    subprocess.run([*faults.COUNTED, "-o", str(log), *_words(name, home)], check=True)
    return [point for point in faults.thinned(log) if point.call in _HELD]


@pytest.mark.long
@pytest.mark.parametrize("first", COMMANDS if torture.ALL else ("ingest", "compact"))
def test_a_call_is_held_back_while_another_command_runs(alone: Alone, first: str, tmp_path: Path, tally: Tally) -> None:
    if not torture.can_trace():
        tally("delayed calls", skipped=1, why="needs strace, and leave to use it")
        return
    others = cycle([*list(COMMANDS)[len(first) % 5 :], *list(COMMANDS)[: len(first) % 5]])
    points = torture.share(_points(alone, first, tmp_path), 20, first)
    met = sum(
        _delayed(alone, pairs.copied(alone.base, tmp_path / str(number)), first, next(others), point=point)
        for number, point in enumerate(points)
    )
    tally("delayed calls", points=len(points), met_another=met)
    assert met > 0


def _delayed(alone: Alone, home: Path, first: str, second: str, *, point: Point) -> bool:
    """Let the two meet at that call, and judge the end; whether the second came while the first was held back."""
    story, looks, log = f"{first} at {point}, {second}", alone.looks(first, second), home.with_suffix(".log")
    with subprocess.Popen([*_strace(point, log), *_words(first, home)]) as one:
        _reached(log, point, one)
        met = one.poll() is None
        assert pairs.seen(home) in looks, story
        other = held.start(pairs.run, second, home)
        while one.poll() is None:
            assert pairs.seen(home) in looks, story
        codes = one.wait(_PATIENCE), other.ends()
    end = End(codes, pairs.told(home))
    allowed = [*alone.ends(first, second), *_too_late(alone, first, second)]
    assert end in allowed, (story, other.says, differs(end, allowed))
    kit.sound(layout.open_store(home / "s"))
    return met


def _too_late(alone: Alone, first: str, second: str) -> list[End]:
    """The end where the first found the store locked by the second, which was quicker to begin its work."""
    return [End((LOCKED, 0), alone.end(second)[1])] if {first, second} <= pairs.MAINTENANCE else []


def _strace(point: Point, log: Path) -> list[str]:
    inject = f"inject={point.call}:delay_enter={_DELAY}:when={point.number}"
    return ["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={point.call}", "-e", inject]


def _reached(log: Path, point: Point, process: subprocess.Popen[bytes]) -> None:
    """Return when the call is being held back: some thread has begun so many of them; or when all is over."""
    give_up = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < give_up:
        if log.exists() and _most(log, point.call) >= point.number:
            return
        time.sleep(0.01)


def _most(log: Path, call: str) -> int:
    """How many calls of that name the thread that made most of them has begun."""
    threads: dict[bytes, int] = {}
    for line in log.read_bytes().split(os.linesep.encode()):
        thread, _, told = line.partition(b" ")
        if told.lstrip().startswith(call.encode() + b"("):
            threads[thread] = threads.get(thread, 0) + 1
    return max(threads.values(), default=0)
