"""Crashes and failing disks: evlog is killed, or its disk fails, at each system call that changes something.

After each: a reader sees whole batches, what was acknowledged among them; so does a stranger with DuckDB; `verify` finds
nothing once the next command has recovered; and the same words again end where an undisturbed run ends. A share of the
points runs with the other tests, all of them with EVLOG_TORTURE=1.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import aftermath
import faults
import pytest
import scenarios
import storekit as kit
import torture
from scenarios import SCENARIOS

from evlog.errors import WriteFailed
from evlog.store import durable, journal, layout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Tally
    from scenarios import Scenario

KILL_SHARE, FAIL_SHARE = 40, 90  # one point in so many
QUICK = ("ingest", "delete")  # of which a share runs with the other tests
TIDYING = ("unlink", "unlinkat", "rmdir")  # what may fail and be swept up by the next command, so that nobody is told
NO_SPACE = tuple(name for name in faults.CHANGING if name not in TIDYING)  # what may need room on the disk
UNLOGGED = b"not the line of this run"  # a run that is stored, and says that its line in the log of runs is not
TIMED = ("stream",)  # how often it writes depends on when its lines come: a point may not be met, and all is as usual
NAMES = tuple(SCENARIOS) if torture.ALL else QUICK


@pytest.fixture(scope="module")
def judge() -> Iterator[aftermath.Judge]:
    yield aftermath.Judge()
    scenarios.forget()


def disturb(
    scenario: Scenario,
    home: Path,
    point: faults.Point,
    fault: faults.Fault,
    judge: aftermath.Judge,
    *,
    mutant: str = "",
) -> list[str]:
    """Run a command whose `point` is its end, or fails, and judge what it left; what is wrong with it."""
    store = scenarios.build(scenario, home)
    done = scenarios.call(scenario, store, under=point.under(fault), mutant=mutant)
    try:
        _answered(scenario, point, fault, done.returncode, done.stderr)
        assert aftermath.truthful(scenario, store, done.stderr)
        judge(scenario, store, scenarios.acked(scenario, store, done))
    except Exception as error:  # noqa: BLE001 - whatever a point brings to light, the others are tried as well
        return [f"{scenario.name}, {fault} at {point.call} {point.number}: {error!r:.1500} ({done.stderr!r:.600})"]
    finally:
        shutil.rmtree(home)
    return []


def _answered(scenario: Scenario, point: faults.Point, fault: faults.Fault, code: int, stderr: bytes) -> None:
    """Assert that a killed process says nothing of success, and one whose disk failed says so, in a sentence."""
    if fault == "KILL":
        assert code not in (0, scenario.ends) or scenario.name in TIMED
    elif code == 1:
        assert aftermath.told(stderr)
    else:
        assert code == scenario.ends
        assert point.call in TIDYING or UNLOGGED in stderr


@pytest.mark.parametrize("name", NAMES)
def test_killed_at_any_system_call(name: str, judge: aftermath.Judge, tmp_path: Path, tally: Tally) -> None:
    needs_strace(tally)
    scenario, wrong = SCENARIOS[name], []
    chosen = torture.share(faults.points(scenario, tmp_path / "counted"), KILL_SHARE, name)
    for number, point in enumerate(chosen):
        wrong += disturb(scenario, tmp_path / str(number), point, "KILL", judge)
    tally("killed", points=len(chosen))
    assert wrong == []


@pytest.mark.parametrize("name", NAMES)
def test_a_disk_that_fails_at_any_system_call(name: str, judge: aftermath.Judge, tmp_path: Path, tally: Tally) -> None:
    needs_strace(tally)
    scenario, wrong = SCENARIOS[name], []
    found = faults.points(scenario, tmp_path / "counted")
    wanted: list[tuple[faults.Point, faults.Fault]] = [(point, "EIO") for point in found]
    wanted += [(point, "ENOSPC") for point in found if point.call in NO_SPACE]
    chosen = torture.share(wanted, FAIL_SHARE, name)
    for number, (point, fault) in enumerate(chosen):
        wrong += disturb(scenario, tmp_path / str(number), point, fault, judge)
    tally("a disk that fails", points=len(chosen))
    assert wrong == []


def test_a_commit_that_cannot_be_marked_says_that_it_is_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record has another name by then, and its events are there."""
    store = layout.create(tmp_path / "s")
    real = durable.sync_folder

    def failing(path: Path) -> None:
        if path == store.journal and any(path.glob("*.done")):
            raise WriteFailed("cannot sync the journal")
        real(path)

    monkeypatch.setattr(durable, "sync_folder", failing)
    with pytest.raises(journal.Unfinished, match="cannot sync the journal"):
        kit.ingest(store, kit.event("a"))
    assert kit.ids(store) == ["a"]


def test_an_error_after_the_first_of_two_commits_does_not_say_that_nothing_happened(
    tmp_path: Path, tally: Tally
) -> None:
    needs_strace(tally)
    scenario = SCENARIOS["replay"]
    last = max(point for point in faults.points(scenario, tmp_path / "counted") if point.call == "mkdir")
    store = scenarios.build(scenario, tmp_path / "home")
    before = scenarios.look(scenario, store)
    done = scenarios.call(scenario, store, under=last.under("EIO"))
    assert done.returncode == 1
    assert aftermath.told(done.stderr)
    assert scenarios.look(scenario, store) != before
    assert b"nothing was published" not in done.stderr


def needs_strace(tally: Tally) -> None:
    """Leave a test out, and count that, where nothing can be injected."""
    if not torture.can_trace():
        tally("kill and failing disk", skipped=1, why="needs strace, and leave to use it")


# -- the method, tried on an evlog that is broken -----------------------------------------------------------------------

UNRECORDED = """
from evlog.store import journal
journal._write = lambda store, record: None
journal._mark_applied = lambda store, batch: None
"""
SWALLOWED = """
import contextlib
from evlog.store import durable, journal
durable.told_once = lambda what, path: contextlib.suppress(OSError)
"""
SAID_BEFORE = """
import sys
from evlog.store import journal
real = journal.commit
def commit(*words, **more):
    print("stored", flush=True)
    return real(*words, **more)
journal.commit = commit
"""
MUTANTS: dict[str, tuple[str, str, faults.Fault, int]] = {
    "renamed without a record": (UNRECORDED, "delete", "KILL", 3),
    "a failure is swallowed": (SWALLOWED, "ingest", "EIO", 1),
    "acknowledged before it is committed": (SAID_BEFORE, "ingest", "KILL", 0),
}
"""A mutant, the command that shows it, the fault, and before which rename after the commit record: 0 is its own."""


@pytest.mark.parametrize("mutant", MUTANTS if torture.ALL else ("a failure is swallowed",))
def test_a_broken_evlog_is_seen(mutant: str, judge: aftermath.Judge, tmp_path: Path, tally: Tally) -> None:
    needs_strace(tally)
    code, name, fault, number = MUTANTS[mutant]
    scenario = SCENARIOS[name]
    point = faults.after_commit(scenario, tmp_path / "counted")[0]
    at = faults.Point(point.call, point.number + number - 1)
    assert disturb(scenario, tmp_path / "whole", at, fault, judge) == []
    assert disturb(scenario, tmp_path / "broken", at, fault, judge, mutant=code) != []
