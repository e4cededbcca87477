"""Power loss: at each system call that changes something the process dies, and with it whatever was not synced.

The store lies on a file system of its own that is shut down without flushing. What is mounted afterwards is judged as
after a kill: whole batches, what was acknowledged among them, and the same words again end it. Mutants that forget to
sync show that the method sees it. Needs root, a loop device and strace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import aftermath
import duckdb
import faults
import power
import pytest
import scenarios
import storekit as kit
import torture
from scenarios import SCENARIOS

from evlog.errors import EvlogError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Tally
    from scenarios import Scenario

SHARE = 60  # one point in so many
QUICK = ("ingest",)
NAMES = tuple(SCENARIOS) if torture.ALL else QUICK


@pytest.fixture(scope="module")
def judge() -> Iterator[aftermath.Judge]:
    yield aftermath.Judge()
    scenarios.forget()


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory: what is tried is the order of syncs, not a disk."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(dir=kit.FAST, prefix="evlog-power-") as folder:
        yield tmp_path.__class__(folder)


@pytest.fixture
def disk(fast: Path) -> Callable[[str], power.Disk]:
    """What gives a disk with the home of a scenario, ready to be copied."""

    def made(name: str) -> power.Disk:
        scenarios.build(SCENARIOS[name], fast / "home")
        return power.disk_of(fast / "home", fast / "base.img")

    return made


def _lost(
    scenario: Scenario, base: power.Disk, point: faults.Point | None, judge: Callable[..., None], mutant: str = ""
) -> None:
    """Lose power at `point`, or right after the command has ended, and judge what the disk holds then."""
    disk = base.copied(base.image.with_name("run.img"))
    with disk.mounted() as folder:
        store = folder / "home" / scenarios.STORE
        done = scenarios.call(scenario, store, under=point.under("KILL") if point else (), mutant=mutant)
        least = scenarios.acked(scenario, store, done, lasting=True)
        disk.cut()
    try:
        with disk.mounted() as folder:
            judge(scenario, folder / "home" / scenarios.STORE, least)
    except BaseException as error:
        error.add_note(f"{scenario.name}: power lost at {point}; it said {done.stdout!r} {done.stderr[-300:]!r}")
        raise
    finally:
        disk.gone()


@pytest.mark.parametrize("name", NAMES)
def test_power_lost_at_any_system_call(
    name: str, disk: Callable[[str], power.Disk], judge: aftermath.Judge, fast: Path, tally: Tally
) -> None:
    _needs_root(tally)
    scenario, base = SCENARIOS[name], disk(name)
    chosen = torture.share(faults.points(scenario, fast / "counted"), SHARE, name)
    for point in chosen:
        _lost(scenario, base, point, judge)
    tally("power lost", points=len(chosen))


@pytest.mark.parametrize("name", NAMES)
def test_power_lost_right_after_the_answer(
    name: str, disk: Callable[[str], power.Disk], judge: aftermath.Judge, tally: Tally
) -> None:
    _needs_root(tally)
    _lost(SCENARIOS[name], disk(name), None, judge)
    tally("power lost after the answer", points=1)


def _needs_root(tally: Tally) -> None:
    if not (torture.can_mount() and torture.can_trace()):
        tally("power lost", skipped=1, why="needs root, a loop device and strace")


# -- the method, tried on an evlog that forgets to sync -----------------------------------------------------------------

FORGETS = {
    "files": "durable.Writer.sync = lambda self: self.drop()",
    "parts": "durable.sync = lambda path: None",
    "records": (
        "import contextlib, os\n"
        "def write_new(path, chunks):\n"
        "    with open(path, 'xb') as file:\n"
        "        return sum(map(file.write, chunks))\n"
        "durable.write_new = write_new"
    ),
    "every folder": "durable.sync_folder = lambda path: None",
    "anything": "import os\nos.fsync = os.fdatasync = lambda fd: None",
}
SEEN = {"files": "ingest", "records": "ingest", "anything": "ingest", "parts": "delete", "every folder": "delete"}
"""A mutant, and the command whose loss shows it. What ext4 hides is told in docs/testing.md."""


@pytest.mark.parametrize("forgets", SEEN if torture.ALL else ("records",))
def test_what_is_not_synced_is_lost(
    forgets: str, disk: Callable[[str], power.Disk], judge: aftermath.Judge, fast: Path, tally: Tally
) -> None:
    """Nothing is wrong at the same instant where evlog is as it is."""
    _needs_root(tally)
    scenario = SCENARIOS[SEEN[forgets]]
    base = disk(scenario.name)
    at = faults.after_commit(scenario, fast / "counted")[0] if forgets == "records" else None
    _lost(scenario, base, at, judge)
    with pytest.raises((AssertionError, EvlogError, duckdb.Error)):
        _lost(scenario, base, at, judge, FORGETS[forgets])
    tally("power lost, a sync forgotten", seen=1)
