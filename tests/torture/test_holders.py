"""Locks: who holds one keeps others out, a holder is named and awaited; and bounds that no store shows."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from datetime import date
from typing import TYPE_CHECKING
from unittest import mock

import pytest
import storekit as kit
from storekit import DAY_1, DAY_2, DAY_3, NOW, event

from evlog import compact, purge, replay
from evlog.archive import out, restore
from evlog.archive.restore import Asked
from evlog.errors import EvlogError, StoreLocked
from evlog.export import resume
from evlog.person import erase
from evlog.store import durable, journal, layout, locks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BEFORE = date(2026, 1, 1)
REAL_FLOCK = fcntl.flock


@pytest.fixture
def store(tmp_path: Path) -> layout.Store:
    made = layout.create(tmp_path / "s")
    kit.ingest(made, event("a", DAY_1, "alice"), event("b", DAY_2, "bob"), event("c", DAY_3, "carl"))
    return made


@contextmanager
def never_waiting() -> Iterator[None]:
    """Let a lock that would be waited for raise BlockingIOError instead."""
    with mock.patch.object(fcntl, "flock", lambda fd, how: REAL_FLOCK(fd, how | fcntl.LOCK_NB)):
        yield


# -- locks themselves ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wait", [None, 0.0, 0.01])
def test_maintenance_is_one_at_a_time_and_names_its_holder(store: layout.Store, wait: float | None) -> None:
    with locks.maintenance(store, "a command with a long name"):
        pass
    with (
        locks.maintenance(store, "purge", wait=wait),
        pytest.raises(StoreLocked, match=rf"evlog purge \(process {os.getpid()}\)"),
        locks.maintenance(store, "compact"),
    ):
        pass
    with locks.maintenance(store, "compact"):
        pass


def test_maintenance_that_was_waited_for_is_held(store: layout.Store) -> None:
    fd = locks._open(store.locks / "maintenance")
    locks._take(fd, None)
    with never_waiting(), pytest.raises(BlockingIOError):
        locks._take(locks._open(store.locks / "maintenance"), None)
    with pytest.raises(StoreLocked), locks.maintenance(store, "compact"):
        pass
    os.close(fd)


def test_maintenance_can_be_waited_for(store: layout.Store) -> None:
    with locks.maintenance(store, "purge"), never_waiting(), pytest.raises(BlockingIOError):
        locks._take(locks._open(store.locks / "maintenance"), None)


def test_an_owner_is_awaited(store: layout.Store) -> None:
    with journal.staging(store) as staged, never_waiting(), pytest.raises(BlockingIOError):
        locks.awaited(staged.file("owner"))
    locks.awaited(store.staging / "gone" / "owner")


def test_a_sweep_and_the_birth_of_a_staging_folder_exclude_each_other(store: layout.Store) -> None:
    with locks.staging(store), never_waiting():
        with pytest.raises(BlockingIOError):
            journal._sweep(store)
        with pytest.raises(BlockingIOError), journal.staging(store):
            pass


def test_a_lock_is_no_symlink(store: layout.Store, tmp_path: Path) -> None:
    (tmp_path / "strange").touch()
    (store.locks / "link").symlink_to(tmp_path / "strange")
    with pytest.raises(OSError, match="symbolic"):
        locks.awaited(store.locks / "link")


@pytest.mark.parametrize("again", ["commit", "staging"])
def test_a_lock_is_held_by_one(store: layout.Store, again: str) -> None:
    take = getattr(locks, again)
    with take(store), never_waiting(), pytest.raises(BlockingIOError), take(store):
        pass


def test_two_runs_never_write_into_one_archive(tmp_path: Path) -> None:
    with out._alone(tmp_path), pytest.raises(EvlogError, match="another evlog"), out._alone(tmp_path):
        pass
    with out._alone(tmp_path):
        pass


def test_a_resume_point_is_moved_by_one_run(store: layout.Store, tmp_path: Path) -> None:
    with resume.turn(store, tmp_path / "point"), pytest.raises(StoreLocked), resume.turn(store, tmp_path / "point"):
        pass
    with resume.turn(store, tmp_path / "point"):
        pass


COMMANDS = [
    lambda store: compact.run(store, before=DAY_2),
    lambda store: purge.apply(store, DAY_2),
    lambda store: erase.erase_each(store, ["alice"], erase.How()),
    replay.clear,
    lambda store: replay.run(store, kit.RULES, now=NOW),
    kit.verify,
    lambda store: kit.here(store.root, "rollup"),
    lambda store: out.copy(store, DAY_2, mock.Mock()),
    lambda store: restore.restore(store, Asked(store.root.parent), at=NOW),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_waits_its_turn(store: layout.Store, command: Callable[[layout.Store], object]) -> None:
    with locks.maintenance(store, "another"), pytest.raises(StoreLocked):
        command(store)


@pytest.mark.parametrize("command", COMMANDS[:-1])
def test_a_command_looks_at_a_store_that_nobody_is_changing(
    store: layout.Store, command: Callable[[layout.Store], object]
) -> None:
    kit.ingest(store, b"{bad")
    with locks.commit(store), never_waiting(), pytest.raises(BlockingIOError):
        command(store)


# -- bounds that no store shows -----------------------------------------------------------------------------------------


def test_few_descriptors_are_held_however_many_files_are_written(tmp_path: Path) -> None:
    writer = durable.Writer()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only
    for number in range(3 * durable._MANY):
        writer.write(tmp_path / str(number), [b"x"])
        assert len(os.listdir("/proc/self/fd")) <= before + durable._MANY  # noqa: PTH208 - names only
    writer.sync()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - names only


def test_a_commit_that_failed_half_way_lets_go_of_what_it_wrote(store: layout.Store) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only
    with suppress(ZeroDivisionError), journal.staging(store) as staged:
        staged.write("one", [b"x"])
        raise ZeroDivisionError
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - names only
    assert list(store.staging.iterdir()) == []


def test_the_key_is_of_the_first_who_made_it(tmp_path: Path) -> None:
    durable.put_first(tmp_path / "key", b"first")
    durable.put_first(tmp_path / "key", b"second")
    assert durable.read(tmp_path / "key") == b"first"
