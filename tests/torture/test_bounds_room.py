"""No room, no right to write, somebody else's store: a sentence and exit 1, nothing lost, and it works once it can.

The disk is a little file system in memory, which only root may mount; without that the suite is left out and says so.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from itertools import repeat
from typing import TYPE_CHECKING

import aftermath
import bounds
import pytest
import scenarios
import storekit as kit
import torture
from bases import WHERE
from storekit import DAY_1, event

from evlog.store import layout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Tally

FULL = (
    "ingest", "stream", "compact", "compact-late", "merge", "rollup", "purge", "delete", "anonymise", "suppress", "link",
    "archive", "restore", "replay", "export",
)  # fmt: skip
FEW = ("delete",)  # with the other tests
LEFT_KB = (0, 4, 8, 16, 32, 64, 128, 512) if torture.ALL else (4,)  # KiB that are left
READING = (
    ("report", "events", "--all-time"), ("status",), ("verify",), ("overview", "--as-of", "latest"),
    ("export", "--all-time", "--format", "csv"), ("sql", "SELECT count(*) AS n FROM events"), ("rejects", "list"),
    ("funnel", "seen", "seen", "--all-time"), ("user", "journey", "bob"), ("audit", "show"),
)  # fmt: skip
WRITING = (
    ("compact", "--all"), ("user", "delete", "bob", "--yes"), ("user", "link", "a device", "bob"),
    ("purge", "--older-than", "7d", "--as-of", "2026-01-20", "--yes"), ("rollup", "--from", str(DAY_1), "--to", str(DAY_1)),
)  # fmt: skip


@pytest.fixture
def disk(tmp_path: Path, tally: Tally) -> Iterator[Path]:
    """A disk of 48 MiB of our own."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", path]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        tally("small disks", skipped=1, why="needs root, and leave to mount")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


@contextlib.contextmanager
def _ballast(disk: Path, left_kb: int) -> Iterator[None]:
    """Fill a disk but for so many KiB, for as long as this is entered."""
    path = disk / "ballast"
    with path.open("wb", buffering=0) as file:
        with pytest.raises(OSError, match="No space left"):
            file.writelines(repeat(bytes(1 << 20)))
        file.truncate(max(0, file.tell() - (left_kb << 10)))
    yield
    path.unlink()


@pytest.mark.parametrize("name", FULL if torture.ALL else FEW)
def test_a_disk_without_room(name: str, disk: Path, tally: Tally) -> None:
    scenario, done, told = scenarios.SCENARIOS[name], 0, 0
    for left in LEFT_KB:
        store = scenarios.build(scenario, disk / f"{left}")
        with _ballast(disk, left):
            ran = scenarios.call(scenario, store)
            if ran.returncode == 1:
                assert aftermath.told(ran.stderr) or name.startswith(("ingest", "stream")), (name, left, ran.stderr)
                assert b"No space left on device" in ran.stderr, (name, left, ran.stderr)
                told += 1
            else:
                assert ran.returncode == scenario.ends, (name, left, ran.stderr)
                done += 1
            assert b"Traceback" not in ran.stderr
        aftermath.legal(scenario, store, scenario.steps if ran.returncode == scenario.ends else 0)
        aftermath.converges(scenario, store)
        shutil.rmtree(store.parent)
    tally("full disks", disks=len(LEFT_KB), told=told, done=done)


def _ran(store: Path, words: tuple[str, ...], *, nobody: bool = False) -> bounds.Ran:
    python = [sys.executable, "-m", "evlog", "--data", str(store), *words]
    who = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if nobody else []
    env = WHERE | {"EVLOG_AS_OF": "2026-01-20"} | ({"HOME": "/nowhere"} if nobody else {})
    return bounds.command([*who, *python], env=env, cwd="/")


def _filled(path: Path) -> Path:
    store = layout.create(path)
    kit.ingest(store, *(event(f"e{n}", DAY_1) for n in range(20)), b"{bad")
    kit.here(path, "compact", "2026-02-01")
    kit.ingest(store, event("late", DAY_1))
    return path


def test_a_store_that_cannot_be_written_answers_and_says_why_it_does_not_change(disk: Path, tally: Tally) -> None:
    store = _filled(disk / "s")
    reading = READING if torture.ALL else READING[:1]
    usual = [_ran(store, words) for words in reading]
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for words, before in zip(reading, usual, strict=True):
        now = _ran(store, words)
        assert (now.code, now.out) == (before.code, before.out), (words, now)
    for words in WRITING if torture.ALL else WRITING[:1]:
        now = _ran(store, words)
        assert now.code == 1, (words, now)
        assert now.err.startswith("evlog: "), (words, now)
        assert "Read-only file system" in now.err, (words, now)
    tally("read-only stores", calls=len(reading) + len(WRITING))


def test_a_store_of_somebody_else_is_told_in_a_sentence(tally: Tally, tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        tally("stores of somebody else", skipped=1, why="needs root and setpriv")
    store = _filled(tmp_path / "s")
    for path in (tmp_path, *tmp_path.parents):
        if path.owner() == "root" and str(path) != "/" and path.is_relative_to(kit.FAST or "/tmp"):
            path.chmod(path.stat().st_mode | 0o011)
    readable = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", "import evlog, typer"],
        cwd="/", env=bounds.plain(WHERE), capture_output=True, check=False,
    )  # fmt: skip
    if readable.returncode != 0:
        tally("stores of somebody else", skipped=1, why="evlog itself cannot be read by another user")
    for words in (READING + WRITING) if torture.ALL else (READING[0], WRITING[0]):
        now = _ran(store, words, nobody=True)
        assert now.code == 1, (words, now)
        assert now.err.startswith("evlog: "), (words, now)
        assert "Permission denied" in now.err, (words, now)
        assert "Traceback" not in now.err, (words, now)
    assert len(kit.ids(layout.open_store(store))) == 21
    tally("stores of somebody else", calls=len(READING + WRITING))
