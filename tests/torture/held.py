"""A command in a process of its own that stops at a step of the order of writing, and goes on when it is told to.

The steps are those of docs/design.md, "Order of writing", numbered where a command takes one of them again.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from evlog.errors import EvlogError
from evlog.store import journal, locks, tombstones

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

_PATIENCE = 120.0  # seconds that nothing takes
Step = tuple[str, int]
"""A step and how often it was taken by then."""


class Stops:
    """Patches evlog so that each step of the protocol is heard of: `reached` may take its time."""

    def __init__(self, reached: Callable[[Step], None]) -> None:
        self._reached, self._count = reached, Counter[str]()
        self._load, self._held, self._sync = tombstones.load, locks.held, journal.Staging.sync
        self._write, self._apply, self._mark = journal._write, journal._apply, journal._mark_applied
        tombstones.load = self._loaded
        locks.held = self._locked
        journal.Staging.sync = lambda staging: self._synced(staging)  # noqa: PLW0108 - bound, it would not hear whose
        journal._write = self._written
        journal._apply = self._applied
        journal._mark_applied = self._marked

    def _stop(self, step: str) -> None:
        self._count[step] += 1
        self._reached((step, self._count[step]))

    def _loaded(self, store: Any) -> Any:
        found = self._load(store)
        self._stop("tombstones read")
        return found

    @contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        if path.name != "commit":
            with self._held(path):
                yield
            return
        self._stop("before the lock")
        with self._held(path):
            self._stop("under the lock")
            yield
        self._stop("after the lock")

    def _synced(self, staging: Any) -> None:
        self._sync(staging)
        self._stop("staged")

    def _written(self, store: Any, record: Any) -> None:
        self._stop("before the record")
        self._write(store, record)
        self._stop("recorded")

    def _applied(self, store: Any, record: Any, **how: Any) -> None:
        for source, target in record.renames[::2]:
            (store.root / target).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if (store.root / source).exists():
                (store.root / source).rename(store.root / target)
        self._stop("half applied")
        self._apply(store, record, **how)

    def _marked(self, store: Any, batch: int) -> None:
        self._stop("before the mark")
        self._mark(store, batch)


@dataclass(slots=True)
class Actor:
    """A process that runs one command; it stops at the steps it was asked to stop at."""

    process: Any
    pipe: Connection
    steps: list[Step] = field(default_factory=list)  # it took
    code: int | None = None
    says: str = ""

    @property
    def pid(self) -> int:
        """Its process."""
        return int(self.process.pid)

    def step(self) -> Step | None:
        """The step at which it stands now; None when it has ended."""
        assert self.pipe.poll(_PATIENCE), "it neither stops nor ends"
        return self._heard()

    def _heard(self) -> Step | None:
        try:
            kind, told = self.pipe.recv()
        except EOFError:
            kind, told = "end", (-9, "killed", [])
        if kind == "stop":
            return told  # type: ignore[no-any-return]
        self.code, self.says, self.steps = told
        self.process.join()
        return None

    def go_on(self) -> None:
        """Let it take the next step."""
        self.pipe.send("go on")

    def ends(self) -> int:
        """Its exit code, once it has gone through all steps."""
        while self.code is None and self.step() is not None:
            self.go_on()
        assert self.code is not None
        return self.code

    def ends_or_waits(self) -> bool:
        """Whether it comes to its end; else it waits for a lock that somebody holds who stands still."""
        give_up = time.monotonic() + _PATIENCE
        while time.monotonic() < give_up:
            if self.pipe.poll(0.01):
                self._heard()
                return True
            if _waits(self.pid):
                return False
        raise AssertionError("it neither ends nor waits")

    def killed(self) -> None:
        """Kill it where it stands."""
        os.kill(self.pid, signal.SIGKILL)
        self.process.join()


def _waits(pid: int) -> bool:
    """Whether a process waits for somebody's flock, as the kernel has it."""
    return any("->" in line and f" {pid} " in line for line in Path("/proc/locks").read_text().splitlines())


@cache
def clean() -> Any:
    """What starts processes off one that has imported all there is, and never ran any of it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["held", "pairs", "members", "pyarrow.dataset", "pyarrow.parquet", "duckdb"])
    with mock.patch.dict(os.environ, {"PYTHONPATH": os.pathsep.join(sys.path)}):  # it looks nowhere else
        forkserver.ensure_running()
    return context


def start(act: Callable[..., Any], *args: Any, stop: Step | None = None) -> Actor:
    """Run `act` in a process of its own that stops at one step (None: at none)."""
    context = clean()
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(theirs, stop, act, args))
    process.start()
    theirs.close()
    return Actor(process, ours)


def _run(pipe: Connection, stop: Step | None, act: Callable[..., Any], args: tuple[Any, ...]) -> None:
    steps: list[Step] = []

    def reached(step: Step) -> None:
        steps.append(step)
        if step == stop:
            pipe.send(("stop", step))
            pipe.recv()

    Stops(reached)
    code, says = 0, ""
    try:
        act(*args)
    except EvlogError as error:
        code, says = error.exit_code, str(error)
    except BaseException:  # noqa: BLE001 - told, whatever it is
        code, says = 70, traceback.format_exc()
    pipe.send(("end", (code, says, steps)))
