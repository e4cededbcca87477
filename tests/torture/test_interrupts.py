"""Ctrl-C, `kill` and a terminal that hangs up, at any moment of any command.

The exit code is 130, one line says what was kept, nobody is left behind, nothing lies about, and the same words again
end what they began. A signal comes at system calls that change something (strace sends it), and after a delay.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aftermath
import bounds
import faults
import pytest
import scenarios
import torture

import evlog
from evlog.store import journal, layout

if TYPE_CHECKING:
    from conftest import Tally
    from scenarios import Scenario

INTERRUPTED = 130
SIGNALS = ("INT", "TERM", "HUP")
MOMENTS = 12  # of each command, after which a signal comes
STEP = 12  # one point in so many: there are thousands, and the crash suites stop at each
FEW = ("ingest by two", "compact")  # with the other tests: a point of each
_TWO = ("--workers", "2")
_STORED = re.compile(r"(\d+) events (?:in \d+ batches )?are stored")


def _cases() -> dict[str, Scenario]:
    """Every command of the crash suites, and ingest with workers of its own."""
    every = dict(scenarios.SCENARIOS)
    for name in ("ingest", "stream"):
        one = every[name]
        every[f"{name} by two"] = replace(one, argv=(*one.argv, *_TWO))
    return every


CASES = _cases()


@pytest.mark.parametrize("name", CASES if torture.ALL else FEW)
def test_a_signal_at_any_system_call(name: str, tally: Tally, tmp_path: Path) -> None:
    if not torture.can_trace():
        tally("signals at system calls", skipped=1, why="needs strace")
    scenario = CASES[name]
    every = faults.points(scenario, tmp_path / "counted")
    points = every[len(name) % STEP :: STEP] if torture.ALL else every[-8:-7]
    stopped = 0
    for number, point in enumerate(points):
        kind = SIGNALS[(number + len(name)) % len(SIGNALS)]
        home = tmp_path / f"{point.call}-{point.number}"
        store = scenarios.build(scenario, home)
        inject = f"inject={point.call}:signal={kind}:when={point.number}"
        under = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={point.call}", "-e", inject)
        done = scenarios.call(scenario, store, under=under)
        stopped += _holds(scenario, store, done, where=f"{kind} at {point.call} {point.number}")
    tally("signals at system calls", points=len(points), stopped=stopped)


@pytest.mark.parametrize("name", CASES if torture.ALL else FEW[:1])
def test_a_signal_after_a_while(name: str, tally: Tally, tmp_path: Path) -> None:
    scenario, dice, stopped = CASES[name], random.Random(name), 0
    moments = torture.much(MOMENTS, 1)
    for number in range(moments):
        kind = SIGNALS[number % len(SIGNALS)]
        store = scenarios.build(scenario, tmp_path / str(number))
        done = _signalled(scenario, store, kind, after=dice.uniform(0, 0.8))
        stopped += _holds(scenario, store, done, where=f"{kind}, moment {number}")
    tally("signals after a while", moments=moments, stopped=stopped)


def _signalled(scenario: Scenario, store: Path, kind: str, *, after: float) -> subprocess.CompletedProcess[bytes]:
    """Run a command and send a signal to all of its processes, as a terminal does; counted from when it listens."""
    words = [sys.executable, "-m", "evlog", "--data", store.name, *scenario.argv]
    piped = subprocess.PIPE
    home = bounds.plain({"PYTHONPATH": str(Path(evlog.__file__).parents[1])})
    with subprocess.Popen(
        words, stdin=piped, stdout=piped, stderr=piped, cwd=store.parent, env=home, start_new_session=True
    ) as child:
        assert child.stdin is not None
        for piece in scenario.stdin:
            child.stdin.write(piece)
        child.stdin.flush()
        assert bounds.until(lambda: _listens(child.pid) or child.poll() is not None)
        time.sleep(after)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, getattr(signal, f"SIG{kind}"))
        out, err = child.communicate(timeout=60)
    return subprocess.CompletedProcess(words, child.returncode, out, err)


def _listens(pid: int) -> bool:
    """Whether a process has taken SIGTERM into its own hands."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
    return False


def _holds(scenario: Scenario, store: Path, done: subprocess.CompletedProcess[bytes], *, where: str) -> bool:
    """Assert that a signal did no harm; whether it ended the command."""
    said = done.stderr.decode()
    assert done.returncode in (INTERRUPTED, scenario.ends), (where, done.returncode, said)
    assert "Traceback" not in said, (where, said)
    assert "xception ignored" not in said, (where, said)
    assert "bug in evlog" not in said, (where, said)
    assert _living(store.parent) == [], where
    assert _left(store) == [], where
    stopped = done.returncode == INTERRUPTED
    if stopped:
        assert [line for line in said.splitlines() if "interrupted; " in line], (where, said)
        _kept_what_it_said(scenario, store, said)
    aftermath.legal(scenario, store, 0 if stopped else scenario.steps)
    aftermath.converges(scenario, store)
    return stopped


def _kept_what_it_said(scenario: Scenario, store: Path, said: str) -> None:
    """Assert that as many events are there as an interrupted ingest said, or more."""
    told = _STORED.search(said)
    if told is not None:
        before = len(scenarios.states(scenario.name)[0].rows)
        assert len(scenarios.look(scenario, store)) - before >= int(told[1]), said


def _living(home: Path) -> list[str]:
    """The processes that still run in a home."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (path / "cwd").resolve() == home.resolve():
                found.append((path / "cmdline").read_text())
    return found


def _left(store: Path) -> list[Any]:
    """What lies about in a store: staging folders that no commit needs, scratch files."""
    if not (store / layout.MARKER).exists():
        return []
    opened = layout.open_store(store)
    needed = {source.split("/")[1] for record in journal.unapplied(opened) for source, _ in record.renames}
    staged = [path.name for path in (store / "staging").iterdir() if path.name not in needed]
    return staged + aftermath.litter(store.parent)
