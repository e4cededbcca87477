"""What is wrong with a command that is watched: `faults(NAME)`; `left` tries it where an earlier commit waits."""

from __future__ import annotations

import atexit
import os
import shutil
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING
from unittest import mock

import one_engine
import storekit as kit
from acts import STORE, few_questions
from commands import AUDITED, COMMANDS, half_committed, left_behind, left_names, living
from watchlint import Lint

from evlog.store import audit, journal, layout, locks
from evlog.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator


@cache
def bases() -> Path:
    """Where the homes lie, for as long as this process and its children live."""
    found = Path(mkdtemp(prefix="evlog-watched-", dir=kit.FAST))
    atexit.register(_removed, found, os.getpid())
    return found


def _removed(path: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(path)


def base(name: str, *, left: bool = False) -> Path:
    """The home of a command as it finds it, built once for all commands that begin alike."""
    build = COMMANDS[name].build
    home = bases() / f"{build.__module__}.{build.__qualname__}-{left}"
    if not home.exists():
        half = home.with_name(f"{home.name}.{os.getpid()}")
        half.mkdir()
        build(half)
        if left:
            left_behind(half)
        half.rename(home)
    return home


def faults(name: str, *, left: bool = False, died: bool = False) -> list[str]:
    """Everything that is wrong with a command: with its steps, and with what comes of it.

    `died`: another process commits and dies before it has applied that, just before the command takes the commit lock again.
    """
    command, home = COMMANDS[name], Path(mkdtemp(prefix="evlog-watch-", dir=kit.FAST))
    shutil.copytree(base(name, left=left), home, dirs_exist_ok=True, symlinks=True)
    lives = left and not command.waits
    alive = living(home) if lives else -1
    umask, before = os.umask(0), _descriptors()
    try:
        with one_engine.shared(), few_questions():
            lint = Lint(home, STORE, alone=command.alone)
            lint.inherits(*(left_names(home) if left else ()))
            with lint.watch.on(), _dying(home, lint) if died else nullcontext():
                command.run(home, lint.acknowledged)
            kept = _descriptors() - before
            lint.found += [f"{kept} descriptors are still open"] if kept > 0 else []
            return lint.found + list(_after(name, home, lint.records, left=left, died=died))
    finally:
        os.umask(umask)
        if lives:
            os.close(alive)
        shutil.rmtree(home)


def _descriptors() -> int:
    """How many files are open; DuckDB and pyarrow keep theirs elsewhere."""
    return sum(os.path.islink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd"))  # noqa: PTH114, PTH208


@contextmanager
def _dying(home: Path, lint: Lint) -> Iterator[None]:
    """Let another process die in the middle of its commit, just before the commit lock is taken for the second time."""
    real, calls = locks.held, []

    def held(path: Path) -> AbstractContextManager[None]:
        calls.append(path.name)
        if path.name == "commit" and calls.count("commit") == 2:
            with mock.patch.object(locks, "held", real), lint.deaf():
                half_committed(home)
        return real(path)

    with mock.patch.object(locks, "held", held):
        yield


def _after(name: str, home: Path, records: list[str], *, left: bool, died: bool) -> Iterator[str]:
    """Yield what is wrong with what came of it."""
    command = COMMANDS[name]
    undisturbed = not left and not died
    if undisturbed and tuple(records) != command.commits:
        yield f"committed {records}, not {list(command.commits)}"
    if undisturbed:
        command.after(home)
        acts_told = [one["what"] for one in audit.read(layout.open_store(home / STORE))]
        if acts_told != AUDITED.get(name, acts_told):
            yield f"the audit log says {acts_told}"
    store = layout.open_store(home / STORE)
    if left and not died:
        yield from _swept(store, [] if command.waits else ["living"])
    if command.ids is not None and undisturbed:
        seen = kit.ids(store)
        if seen != command.ids:
            yield f"a reader sees {seen}, not {command.ids}"
    with locks.commit(store):
        journal.recover(store)
    found = verify(store).findings
    yield from (f"{one.path}: {one.says}" for one in found)
    yield from (f"{path.name} lies about" for path in store.root.rglob("*.tmp"))


def _swept(store: layout.Store, wanted: list[str]) -> Iterator[str]:
    """Yield what recovery forgot, and what it should have left alone."""
    there = sorted(one.name for one in store.staging.iterdir())
    if there != wanted:
        yield f"staging holds {there}"
    elif wanted and len(list((store.staging / "living").iterdir())) != 2:
        yield "the staging folder of a living run was emptied"
