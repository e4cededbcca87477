"""A move that dies at any point: each day is whole in the store or whole in the archive, and the same call again ends it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import archivekit
import pytest
import storekit as kit
from storekit import DAY_1, DAY_2, DAY_3, NOW, event

from evlog import purge
from evlog.archive import out, restore, verify
from evlog.archive.seal import Seal
from evlog.store import audit, journal, layout, locks

if TYPE_CHECKING:
    from pathlib import Path

OLD = [DAY_1, DAY_2, DAY_3]
SHARE = 8  # points of each command; every one of them was tried once
_DYING = """
import os, pathlib
import archivekit, storekit
calls = 0
def counting(real):
    def call(*words, **more):
        global calls
        calls += 1
        if calls == {point}:
            os._exit(9)
        return real(*words, **more)
    return call
os.fsync = counting(os.fsync)
for name in ("rename", "replace", "unlink", "mkdir", "rmdir"):
    setattr(pathlib.Path, name, counting(getattr(pathlib.Path, name)))
def here(root, command, told):
    from test_archive_crash import act
    act(root, command)
    print("calls", calls, flush=True)
storekit.here = here
"""


def act(root: Path, command: str) -> None:
    """Move the old days out, or bring them back."""
    store, archive = layout.open_store(root), root.parent / "arc"
    if command == "out":
        with out.writing(store, archive, Seal(), at=NOW) as writer:
            purge.apply(store, archivekit.KEPT, carrier=writer)
    else:
        restore.restore(store, restore.Asked(archive), at=NOW)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder with store and archive, before either command."""
    home = tmp_path_factory.mktemp("bases")
    (home / "out").mkdir()
    archivekit.filled(home / "out" / "s")
    shutil.copytree(home / "out", home / "back")
    act(home / "back" / "s", "out")
    return {"out": home / "out", "back": home / "back"}


def points(base: Path, command: str, home: Path) -> list[int]:
    """A share of the calls that change something."""
    shutil.copytree(base, home / "counted")
    done = kit.process(home / "counted" / "s", command, mutant=_DYING.format(point=0))
    assert done.returncode == 0, done.stderr
    count = int(done.stdout.split()[1])
    assert count > 2 * SHARE
    return sorted({1 + number * (count - 1) // (SHARE - 1) for number in range(SHARE)})


@pytest.mark.long
@pytest.mark.parametrize("command", ["out", "back"])
def test_killed_at_any_point(bases: dict[str, Path], command: str, tmp_path: Path) -> None:
    whole = kit.rows(layout.open_store(bases["out"] / "s"))
    stays = [row for row in whole if row[-1] not in OLD]
    allowed = [whole, stays]
    for point in points(bases[command], command, tmp_path):
        home = shutil.copytree(bases[command], tmp_path / f"{command}-{point}")
        done = kit.process(home / "s", command, mutant=_DYING.format(point=point))
        assert done.returncode == 9, (point, done.stderr)
        store = layout.open_store(home / "s")
        seen = kit.rows(store)
        assert seen in allowed, point
        if seen == stays:
            assert all(held.says == verify.SOUND for held in verify.verify(home / "arc")), point
        act(home / "s", command)
        assert kit.rows(store) == (stays if command == "out" else whole), point
        assert all(held.says == verify.SOUND for held in verify.verify(home / "arc")), point
        assert len(list((home / "arc").rglob("*.parquet"))) == len(OLD), point
        assert list((home / "arc").rglob("*.tmp")) == [], point
        with locks.commit(store):
            journal.recover(store)
        kit.sound(store)
        assert audit.findings(store) == []
        act(home / "s", "back")
        assert kit.rows(store) == whole, point


def test_what_comes_in_while_days_move_out_is_moved_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = archivekit.filled(tmp_path / "s")
    real, came = out.Writer.take, []

    def take(self: out.Writer, *words: object) -> None:
        real(self, *words)  # type: ignore[arg-type]
        if not came:
            came.append(kit.ingest(store, event("meanwhile", DAY_2)))

    monkeypatch.setattr(out.Writer, "take", take)
    act(tmp_path / "s", "out")
    assert "meanwhile" not in kit.ids(store)
    assert len(list((tmp_path / "arc").rglob("*.parquet"))) == len(OLD)
    assert all(held.says == verify.SOUND for held in verify.verify(tmp_path / "arc"))
    act(tmp_path / "s", "back")
    assert "meanwhile" in kit.ids(store)


def test_what_comes_in_while_days_come_back_stands_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    store = archivekit.filled(tmp_path / "s")
    whole = kit.ids(store)
    act(tmp_path / "s", "out")
    real, came = restore._Restore.read, []

    def read(self: restore._Restore, *words: object) -> None:
        real(self, *words)  # type: ignore[arg-type]
        if not came:
            came.append(kit.ingest(store, event("a2", user="ann"), rules=replace(kit.RULES, backfill=True)))

    monkeypatch.setattr(restore._Restore, "read", read)
    act(tmp_path / "s", "back")
    assert came[0].tally.stored == 1
    assert kit.ids(store) == whole
    kit.sound(store)


def test_two_that_write_into_one_archive_do_not_meet(tmp_path: Path) -> None:
    from evlog.errors import EvlogError

    one, two = (archivekit.filled(tmp_path / name) for name in ("one", "two"))
    with (
        out.writing(one, tmp_path / "arc", Seal(), at=NOW),
        pytest.raises(EvlogError, match="another evlog writes"),
        out.writing(two, tmp_path / "arc", Seal(), at=NOW),
    ):
        pass
