"""Crashes and failing disks: a process is killed, or its disk fails, at each system call that changes something.

After each: a reader sees whole batches, what was acknowledged among them; `verify` finds nothing once the next command
has recovered; and the same command again ends where an undisturbed one ends. A share of the points runs with the other
tests, all of them with EVLOG_TORTURE=1.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import storekit as kit
import torture
from storekit import DAY_1, DAY_2, DAY_3, event
from tracelint import CHANGING, lint, read

from evlog.store import journal, layout, locks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KILL_SHARE, FAIL_SHARE = 43, 97  # one point in so many
COLUMNS = "event_id, ts, event_type, user_id, properties"
USER = "alice_the_erased"

TRACED = (
    "strace",
    "-f",
    "-qq",
    "-y",
    "-s",
    "64",
    "--seccomp-bpf",
    "-e",
    f"trace={','.join(CHANGING)},openat,close,flock",
)


@dataclass(frozen=True)
class Scenario:
    """A command upon a store, and the contents it may leave at each count of acknowledgements."""

    command: str
    args: tuple[str, ...]
    base: Path
    states: list[list[Any]]  # what a reader may see, in order; the last one is where an undisturbed run ends
    acks: list[int]  # which state is the least at so many acknowledgements
    columns: str = COLUMNS  # what is compared
    rolled: Any = None  # the records of rollups in the end


def _base(root: Path, build: Callable[[layout.Store], None]) -> Path:
    build(layout.create(root))
    return root


def _three_batches(store: layout.Store) -> None:
    kit.ingest(store, *(event(f"a{i}", DAY_1, note=f"with {USER}") for i in range(3)), event("b", DAY_2, USER), b"{bad")
    kit.ingest(store, event("c", DAY_1, USER), event("d", DAY_2), event("e", DAY_3), f"{{{USER}".encode())
    kit.ingest(store, event("f", DAY_1), event("g", DAY_3, None, anonymous_id=USER))


def _late(store: layout.Store) -> None:
    _three_batches(store)
    kit.here(store.root, "compact", str(DAY_3))
    kit.ingest(store, event("late", DAY_1, USER), event("late", DAY_2))


def _linked(store: layout.Store) -> None:
    _three_batches(store)
    kit.here(store.root, "link", "a device", USER)
    kit.here(store.root, "link", "another", "bob")


def _rolled(store: layout.Store) -> None:
    _three_batches(store)
    kit.here(store.root, "rollup")
    kit.ingest(store, event("late", DAY_1), event("late", DAY_2))


@pytest.fixture(scope="module")
def scenarios(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scenario]:
    home = tmp_path_factory.mktemp("bases")
    one = kit.written(
        home / "1.ndjson", event("a0", note=f"with {USER}"), event("n1", DAY_2), event("n2", DAY_3), b"{worse"
    )
    two = kit.written(home / "2.ndjson", event("n1", DAY_2), event("n3", DAY_3), event("n4", DAY_3), event("n3", DAY_2))

    def scenario(
        name: str, command: str, *args: str, build: Callable[[layout.Store], None] = _late, columns: str = COLUMNS
    ) -> Scenario:
        base = _base(home / name, build)
        states = [kit.rows(layout.open_store(base), columns)]
        done = shutil.copytree(base, home / f"{name}-done")
        kit.here(done, command, *args, told=lambda _: states.append(kit.rows(layout.open_store(done), columns)))
        kit.sound(layout.open_store(done))
        rolled = kit.rolled(layout.open_store(done))
        return Scenario(command, args, base, states, list(range(len(states))), columns, rolled)

    return {
        "ingest": scenario("ingest", "ingest", str(one), str(two), build=_three_batches),
        "first": scenario("first", "ingest", str(one), build=lambda _: None),
        "compact": scenario("compact", "compact", str(DAY_3), build=_three_batches, columns="*"),
        "again": scenario("again", "compact", str(DAY_3), columns="*"),
        "merge": scenario("merge", "merge", str(DAY_1), build=_three_batches, columns="*"),
        "purge": scenario("purge", "purge", str(DAY_2)),
        "delete": scenario("delete", "delete", USER),
        "link": scenario("link", "link", "a device", "bob", build=_three_batches, columns="*"),
        "unsaid": scenario("unsaid", "delete", USER, build=_linked),
        "anonymise": scenario("anonymise", "anonymise", USER, columns="event_id, ts, event_type"),
        "suppress": scenario("suppress", "suppress", USER, columns="*"),
        "rollup": scenario("rollup", "rollup", columns="*"),
        "anew": scenario("anew", "rollup", build=_rolled, columns="*"),
    }


NAMES = (
    "ingest", "first", "compact", "again", "merge", "purge", "delete", "link", "unsaid", "anonymise", "suppress", "rollup",
    "anew",
)  # fmt: skip


def _points(scenario: Scenario, home: Path) -> list[tuple[str, int]]:
    """Every (system call, how many-th) of an undisturbed run; each thread counts for itself."""
    store, log = shutil.copytree(scenario.base, home / "counted"), home / "counted.log"
    done = kit.process(store, scenario.command, *scenario.args, under=(*TRACED, "-o", str(log)))
    assert done.returncode == 0, done.stderr
    counts: Counter[str] = Counter()
    for (_, name), count in Counter((call.thread, call.name) for call in read(log) if call.name in CHANGING).items():
        counts[name] = max(counts[name], count)
    return [(name, number) for name in sorted(counts) for number in range(1, counts[name] + 1)]


def _legal(scenario: Scenario, root: Path, least: int) -> None:
    """Assert that what a reader sees is one of the allowed states, and not one before what was acknowledged."""
    assert kit.doubles(kit.outside(root)) == []
    if not (root / "evlog.json").exists():
        return
    seen = kit.rows(layout.Store(root), scenario.columns)
    assert seen in scenario.states[scenario.acks[least] :]


def _converges(scenario: Scenario, root: Path) -> None:
    """Assert that the same command again ends where an undisturbed one ends."""
    kit.here(root, scenario.command, *scenario.args)
    store = layout.open_store(root)
    assert kit.rows(store, scenario.columns) == scenario.states[-1]
    assert kit.rolled(store) == scenario.rolled
    with locks.commit(store):
        journal.recover(store)
    kit.sound(store)


@pytest.mark.parametrize("name", NAMES)
def test_killed_at_any_system_call(scenarios: dict[str, Scenario], name: str, tmp_path: Path) -> None:
    scenario = scenarios[name]
    _needs_strace("kill", name)
    points = torture.share(_points(scenario, tmp_path), KILL_SHARE, name)
    for call, number in points:
        store = shutil.copytree(scenario.base, tmp_path / f"{call}-{number}")
        inject = f"inject={call}:signal=KILL:when={number}"
        done = kit.process(
            store,
            scenario.command,
            *scenario.args,
            under=("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject),
        )
        assert done.returncode != 0, (call, number)
        _legal(scenario, store, kit.acked(done))
        _converges(scenario, store)
        shutil.rmtree(store)
    print(f"\nkill {name}: {len(points)} points")


@pytest.mark.parametrize("name", NAMES)
def test_a_disk_that_fails_at_any_system_call(scenarios: dict[str, Scenario], name: str, tmp_path: Path) -> None:
    scenario = scenarios[name]
    _needs_strace("fail", name)
    wanted = [(error, *point) for point in _points(scenario, tmp_path) for error in ("EIO", "ENOSPC")]
    points = torture.share(wanted, FAIL_SHARE, name)
    told = 0
    for error, call, number in points:
        store = shutil.copytree(scenario.base, tmp_path / f"{error}-{call}-{number}")
        inject = f"inject={call}:error={error}:when={number}"
        done = kit.process(
            store,
            scenario.command,
            *scenario.args,
            under=("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject),
        )
        assert done.returncode in (0, 1), (error, call, number, done.stderr[-2000:])
        told += done.returncode
        if done.returncode == 0:  # only tidying up may fail in silence
            assert call in ("unlink", "unlinkat", "rmdir"), (error, call, number)
        _legal(scenario, store, kit.acked(done))
        _converges(scenario, store)
        shutil.rmtree(store)
    print(f"\nfail {name}: {len(points)} points, {told} told")


def _needs_strace(suite: str, name: str) -> None:
    if not torture.can_trace():
        print(f"\n{suite} {name}: skipped, strace is missing or forbidden here")
        pytest.skip("needs strace, and leave to use it")


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_writing(scenarios: dict[str, Scenario], name: str, tmp_path: Path) -> None:
    """Synced before renamed, folders before the acknowledgement, nothing removed before what replaces it lasts."""
    assert _linted(scenarios[name], tmp_path) == []


LAZY = """
real = journal._apply
def lazy(store, record):
    sync, durable.sync_folder = durable.sync_folder, lambda path: None
    real(store, record)
    durable.sync_folder = sync
journal._apply = lazy
"""
SWAPPED = """
real = journal._apply
def swapped(store, record):
    [(store.root / name).unlink(missing_ok=True) for name in record.unlinks]
    real(store, record)
journal._apply = swapped
"""
TOUCHED = """
real = journal._mark_applied
def touched(store, batch):
    [open(path, 'ab').close() for path in (store.root / 'events').rglob('*.ndjson')]
    real(store, batch)
journal._mark_applied = touched
"""
NO_FILE_SYNC = "durable.Writer.sync = lambda self: self.drop()"
MUTANTS = {
    "a file is not synced": (NO_FILE_SYNC, "ingest", "renamed before it was synced"),
    "a part is not synced": ("durable.sync = lambda path: None", "compact", "renamed before it was synced"),
    "a folder is not synced": ("durable.sync_folder = lambda path: None", "ingest", "folder not synced"),
    "the folder of what replaces is not synced": (LAZY, "compact", "removed before"),
    "removed before it is replaced": (SWAPPED, "compact", "removed before"),
    "a published file is written to": (TOUCHED, "ingest", "published file opened for writing"),
    "modes are wide": ("durable.FILE_MODE = 0o644", "ingest", "mode"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_lint_sees_a_wrong_order(scenarios: dict[str, Scenario], mutant: str, tmp_path: Path) -> None:
    code, name, says = MUTANTS[mutant]
    found = _linted(scenarios[name], tmp_path, f"from evlog.store import durable, journal\n{code}")
    assert any(says in line for line in found), found


def _linted(scenario: Scenario, home: Path, mutant: str = "") -> list[str]:
    _needs_strace("lint", scenario.command)
    store, log = shutil.copytree(scenario.base, home / "linted"), home / "lint.log"
    done = kit.process(store, scenario.command, *scenario.args, under=(*TRACED, "-o", str(log)), mutant=mutant)
    assert done.returncode == 0, done.stderr
    assert re.search(rb"acked", done.stdout)
    return lint(read(log), store)
