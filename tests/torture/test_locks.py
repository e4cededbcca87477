"""Locks die with their holder: whoever comes next goes on at once, whatever the dead one left running or written."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import held
import pytest
import storekit as kit
import torture
from storekit import DAY_1, DAY_2, NOW, event

from evlog import purge
from evlog.archive import out
from evlog.archive.seal import Seal
from evlog.errors import StoreLocked
from evlog.ingest.run import Options, run
from evlog.ingest.source import Source
from evlog.store import journal, layout, locks

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Tally

ROUNDS = torture.much(20, 1)


@pytest.fixture
def store(tmp_path: Path) -> layout.Store:
    made = layout.create(tmp_path / "s")
    kit.ingest(made, event("a"), event("b", DAY_2, "alice_the_erased"))
    return made


def _ingest(root: str, name: str, workers: int = 1) -> None:
    asked = Options(workers=workers)
    run(layout.open_store(Path(root)), [Source(name)], kit.RULES, clock=lambda: NOW, options=asked)


def _staging_lock(root: str) -> None:
    with locks.staging(layout.open_store(Path(root))):
        locks.held(Path(root) / "locks" / "commit").__enter__()  # where it stands still, with both


HOLDERS: dict[str, tuple[Callable[..., None], tuple[str, ...], held.Step]] = {
    "maintenance": (kit.here, ("compact", "2026-01-07"), ("staged", 1)),
    "maintenance and commit": (kit.here, ("delete", "alice_the_erased"), ("before the record", 1)),
    "commit, recorded": (kit.here, ("purge", "2026-01-06"), ("half applied", 1)),
    "commit, of an ingest": (_ingest, ("1.ndjson",), ("recorded", 1)),
    "an ingest in flight": (_ingest, ("1.ndjson",), ("before the lock", 1)),
    "staging": (_staging_lock, (), ("before the lock", 1)),
}


def _started(store: layout.Store, name: str) -> held.Actor:
    act, args, step = HOLDERS[name]
    path = kit.written(store.root.parent / "1.ndjson", event("n1"), event("n2", DAY_2))
    actor = held.start(act, *_rooted(act, store), *(str(path) if one == path.name else one for one in args), stop=step)
    assert actor.step() == step
    return actor


def _rooted(act: Callable[..., None], store: layout.Store) -> tuple[Path | str]:
    return (store.root if act is kit.here else str(store.root),)


@pytest.mark.parametrize("name", HOLDERS)
def test_a_lock_dies_with_its_holder(store: layout.Store, name: str, tally: Tally) -> None:
    """Every command there is goes on at once, and what the dead one had committed is there."""
    before = {path.name: path.stat().st_ino for path in store.locks.iterdir()}
    for _ in range(ROUNDS):
        actor = _started(store, name)
        recorded = bool(journal.unapplied(store))
        actor.killed()
        for command in (("compact", "2026-01-08"), ("delete", "nobody_at_all"), ("merge", "2026-01-01")):
            next_one = held.start(kit.here, store.root, *command)
            assert next_one.ends_or_waits(), f"{command} waits for a dead process"
            assert next_one.ends() == 0, next_one.says
        kit.sound(store)
        assert ("n1" in kit.ids(store)) <= (name == "commit, of an ingest")
        assert recorded == (name in ("commit, recorded", "commit, of an ingest")) or ROUNDS > 1
    after = {path.name: path.stat().st_ino for path in store.locks.iterdir()}
    assert before.items() <= after.items(), "a lock file was unlinked"
    tally("locks of the dead", points=ROUNDS)


@pytest.mark.parametrize("command", ["compact", "purge", "delete", "rollup"])
def test_a_held_lock_names_its_holder(store: layout.Store, command: str) -> None:
    actor = _started(store, "maintenance")
    words = {
        "compact": ["compact"],
        "purge": ["purge", "--older-than", "1d", "--yes"],
        "delete": ["user", "delete", "bob", "--yes"],
        "rollup": ["rollup"],
    }
    done = _evlog(store, *words[command])
    waited = _evlog(store, *words[command], "--wait", "1s")
    actor.killed()
    for one in (done, waited):
        assert one.returncode == 4
        assert f"evlog compact (process {actor.pid})".encode() in one.stderr


def test_who_waits_goes_on_when_the_holder_is_killed(store: layout.Store) -> None:
    actor = _started(store, "maintenance")
    waiting = held.start(_waiting, str(store.root))
    assert not waiting.ends_or_waits()
    actor.killed()
    assert waiting.ends() == 0


def _waiting(root: str) -> None:
    with locks.maintenance(layout.open_store(Path(root)), "test", wait=None):
        pass


def test_an_archive_that_waits_has_no_staging_folder(store: layout.Store) -> None:
    """An erasure holds maintenance and waits for every owner of one: each would wait for the other for ever."""
    with locks.maintenance(store, "user delete"):
        archive = held.start(_archived, str(store.root))
        assert not archive.ends_or_waits()
        assert journal.living(store) == []
    assert archive.ends() == 0, archive.says


def _archived(root: str) -> None:
    made = layout.open_store(Path(root))
    with out.writing(made, Path(root).parent / "arc", Seal(), at=NOW) as writer:
        purge.apply(made, DAY_2, carrier=writer, wait=None)


def _evlog(store: layout.Store, *words: str) -> subprocess.CompletedProcess[bytes]:
    call = [sys.executable, "-m", "evlog", "--data", str(store.root), *words]
    return subprocess.run(call, capture_output=True, check=False, timeout=120)


def test_what_a_lock_file_says_is_no_lock(store: layout.Store) -> None:
    """The name of a holder stays when it is dead; it is only told while the lock is held."""
    path = store.locks / "maintenance"
    with locks.maintenance(store, "compact"):
        pass
    path.write_text("evlog compact (process 1)")
    inode = path.stat().st_ino
    told = pytest.raises(StoreLocked, match=rf"evlog purge \(process {os.getpid()}\)")
    with locks.maintenance(store, "purge"), told, locks.maintenance(store, "compact"):
        pass
    assert path.stat().st_ino == inode
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_shorter_name_leaves_nothing_of_a_longer_one(store: layout.Store) -> None:
    (store.locks / "maintenance").write_text("evlog archive restore (process 4194304) and more")
    with locks.maintenance(store, "purge"):
        assert (store.locks / "maintenance").read_text() == f"evlog purge (process {os.getpid()})"


# -- whom the dead leave behind ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["idle", "in flight"])
def test_workers_of_a_killed_ingest_hold_nothing(tmp_path: Path, moment: str) -> None:
    """Two workers, and the parent is killed while one waits for its turn, or before they had anything to do."""
    store = layout.create(tmp_path / "s")
    reading, writing = os.pipe()
    call = [sys.executable, "-m", "evlog", "--data", str(store.root), "ingest", "--workers", "2", "-"]
    flush = ["--flush-interval", "1s"]
    process = subprocess.Popen([*call, *flush], stdin=reading, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(reading)
    if moment == "in flight":
        os.write(writing, kit.lines(event("n1"), event("n2", DAY_2)))
        _until(lambda: len(kit.ids(store)) == 2)
        os.write(writing, kit.lines(event("n3")))
    _until(lambda: len(_children(process.pid)) == 2)
    workers = _children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for command in (("compact", "2026-01-08"), ("delete", "alice_the_erased")):
        following = held.start(kit.here, store.root, *command)
        assert following.ends() == 0, following.says
    _until(lambda: not any(map(_lives, workers)))
    os.close(writing)
    kit.sound(store)


def test_a_killed_worker_leaves_no_lock(tmp_path: Path) -> None:
    store = layout.create(tmp_path / "s")
    call = [sys.executable, "-m", "evlog", "--data", str(store.root), "ingest", "--workers", "2", "-"]
    process = subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _until(lambda: len(_children(process.pid)) == 2)
    for worker in _children(process.pid):
        os.kill(worker, signal.SIGKILL)
    said = process.communicate(kit.lines(event("n1")), timeout=120)[1]
    assert process.returncode == 1
    assert b"a worker process died" in said
    kit.here(store.root, "compact", "2026-01-08")
    kit.sound(store)


def test_a_program_that_outlives_its_evlog_holds_nothing(tmp_path: Path) -> None:
    """gpg goes on after the archive that called it was killed; neither the store nor the archive is locked by it."""
    store = layout.create(tmp_path / "s")
    kit.ingest(store, *(event(f"e{day}", DAY_1.replace(day=day)) for day in range(5, 15)))
    gpg = tmp_path / "bin" / "gpg"
    gpg.parent.mkdir()
    gpg.write_text(f"#!/bin/sh\necho $$ >> {tmp_path}/pids\nexec sleep 60\n")
    gpg.chmod(0o700)
    words = ["archive", "--older-than", "7d", "--as-of", "2026-01-14", "--force", "--yes"]
    words += ["--to", str(tmp_path / "arc")]
    call = [sys.executable, "-m", "evlog", "--data", str(store.root), *words]
    environ = os.environ | {"PATH": f"{gpg.parent}:{os.environ['PATH']}"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*call, "--encrypt-to-gpg", "KEY"], env=environ, **quiet)
    _until(lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text().endswith("\n"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert all(map(_lives, left))
    try:
        assert _evlog(store, *words).returncode == 0
    finally:
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    kit.sound(store)


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < give_up, "it never came to that"
        time.sleep(0.02)
