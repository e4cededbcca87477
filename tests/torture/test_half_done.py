"""What is left where a command is refused, fails half-way, has nothing to do, or meets what another did by halves."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest import mock

import acts
import archivekit
import commands
import pytest
import storekit as kit
from storekit import DAY_1, DAY_2, DAY_3, NOW, event
from test_locked import once

from evlog.archive import out, restore
from evlog.archive.restore import Asked
from evlog.archive.seal import Seal
from evlog.errors import EvlogError, StoreDamaged, WriteFailed
from evlog.person import erase, link
from evlog.store import audit, durable, journal, layout, links, pseudonym, purged, snapshot, tombstones

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> layout.Store:
    made = layout.create(tmp_path / acts.STORE)
    kit.ingest(made, event("a", DAY_1, "alice"), event("b", DAY_2, "bob"))
    return made


# -- commits ------------------------------------------------------------------------------------------------------------


def test_a_pipe_where_a_folder_should_be_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with mock.patch.object(shutil, "rmtree", side_effect=AssertionError):
        durable.remove_folder(tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()


def test_what_is_in_the_way_is_told_before_anything_is_committed(store: layout.Store) -> None:
    (store.root / "events" / f"date={DAY_3}").symlink_to(store.root.parent)
    with pytest.raises(StoreDamaged, match="symlink"):
        kit.ingest(store, event("c", DAY_3))
    assert journal.unapplied(store) == []


def test_a_commit_that_is_history_says_so_when_a_later_step_fails(store: layout.Store) -> None:
    with mock.patch.object(journal, "_apply", side_effect=WriteFailed("full")), pytest.raises(journal.Unfinished):
        kit.ingest(store, event("c", DAY_3))
    assert kit.ids(store) == ["a", "b", "c"]


def test_a_tier_keeps_its_folder_when_its_last_file_goes(store: layout.Store) -> None:
    durable.write_new(store.links / "old", [b""])
    with journal.staging(store) as staged:
        journal.commit(staged, "a test", [], unlinks=["links/old"])
    assert store.links.is_dir()


def test_the_names_that_lead_to_a_store_last_once_it_holds_something(tmp_path: Path) -> None:
    store, synced, real = layout.create(tmp_path / "s"), [], durable.sync_folder
    with mock.patch.object(durable, "sync_folder", lambda path: [synced.append(path), real(path)]):
        kit.ingest(store, event("a"))
    assert {store.root, store.root.parent} <= set(synced)


def test_no_folder_is_made_for_a_store_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(EvlogError):
        layout.create(tmp_path / os.fsdecode(b"\xff") / "s")
    assert list(tmp_path.iterdir()) == []


# -- readers ------------------------------------------------------------------------------------------------------------


def test_what_is_wrong_with_the_question_is_not_asked_again(store: layout.Store) -> None:
    asked = []

    def read(seen: snapshot.Snapshot) -> None:
        asked.append(seen)
        raise EvlogError("this is no question")

    with pytest.raises(EvlogError, match="no question"):
        snapshot.steady(store, read)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("name", "owner"),
    [("newest", journal), ("unapplied", journal), ("_hot", snapshot), ("_parts", snapshot), ("_memory", snapshot)],
)
@pytest.mark.parametrize("after", [False, True])
def test_the_events_of_a_commit_are_seen_from_its_number_on(
    store: layout.Store, name: str, owner: Any, *, after: bool
) -> None:
    with once(owner, name, lambda: commands.half_committed(store.root.parent), after=after):
        seen = snapshot.snapshot(store)
    assert {segment.name.batch for segment in seen.hot} == set(range(1, seen.batch + 1))


def test_a_link_that_is_committed_and_not_applied_is_read(store: layout.Store) -> None:
    with mock.patch.object(journal, "_apply", side_effect=WriteFailed("full")), pytest.raises(journal.Unfinished):
        link.link(store, "device", "alice", now=NOW)
    assert [one.target for file in links.files(store) for one in file.read()] == ["alice"]


@pytest.mark.parametrize("after", [False, True])
def test_tombstones_that_change_while_they_are_read_are_of_a_stamp_of_before(
    store: layout.Store, *, after: bool
) -> None:
    with once(purged, "document", lambda: erase.erase_each(store, ["alice"], erase.How()), after=after):
        known = tombstones.load(store)
    assert known.erased("alice") or known.stamp != tombstones.current(store)
    assert known.stamp != tombstones.current(store)


def test_the_log_tells_of_no_key_that_was_never_made(store: layout.Store, tmp_path: Path) -> None:
    with pytest.raises(WriteFailed):
        pseudonym.rotate(store, tmp_path / "nowhere" / "key", now=NOW)
    assert audit.read(store) == []


def test_an_act_is_told_after_an_entry_that_nobody_can_read(store: layout.Store) -> None:
    durable.write_new(store.audit / "head", [b"no entry"])
    audit.tell(store, audit.Act("told", NOW))
    assert {one.path for one in audit.findings(store)} == {"audit/000000000001.entry"}


# -- archives -----------------------------------------------------------------------------------------------------------


def _left_in(archive: Path) -> list[str]:
    return sorted(str(one.relative_to(archive)) for one in archive.rglob("*"))


@pytest.fixture
def filled(tmp_path: Path) -> layout.Store:
    return archivekit.filled(tmp_path / acts.STORE)


def test_a_copy_of_no_days_writes_nothing(filled: layout.Store, tmp_path: Path) -> None:
    with out.writing(filled, tmp_path / "arc", Seal(), at=NOW) as writer:
        assert out.copy(filled, DAY_1, writer) is None
    assert _left_in(tmp_path / "arc") == []
    assert audit.read(filled) == []


def test_an_archive_holds_nothing_of_a_run_that_failed(filled: layout.Store, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only
    with (
        mock.patch.object(out.Writer, "settle", side_effect=WriteFailed("full")),
        pytest.raises(WriteFailed),
        out.writing(filled, tmp_path / "arc", Seal(), at=NOW) as writer,
    ):
        out.copy(filled, archivekit.KEPT, writer)
    assert _left_in(tmp_path / "arc") == []
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - names only
    assert list(filled.staging.iterdir()) == []


def test_an_archive_is_swept_of_what_the_dead_left(filled: layout.Store, tmp_path: Path) -> None:
    day = tmp_path / "arc" / f"date={DAY_1}"
    day.mkdir(parents=True)
    (day / ".events.parquet.0.tmp").touch()
    for name in (out.MANIFEST, out.SUMS):
        (tmp_path / "arc" / f".{name}.0.tmp").touch()
    (tmp_path / "arc" / ".mine.tmp").touch()
    with out.writing(filled, tmp_path / "arc", Seal(), at=NOW) as writer:
        out.copy(filled, archivekit.KEPT, writer)
    assert [one.name for one in (tmp_path / "arc").rglob("*.tmp")] == [".mine.tmp"]


def test_two_runs_do_not_write_into_one_archive_at_a_time(filled: layout.Store, tmp_path: Path) -> None:
    with (
        out.writing(filled, tmp_path / "arc", Seal(), at=NOW),
        pytest.raises(EvlogError, match="another evlog"),
        out.writing(filled, tmp_path / "arc", Seal(), at=NOW),
    ):
        pass


def test_a_sealed_day_is_opened_for_its_owner_alone(filled: layout.Store, tmp_path: Path) -> None:
    with out.writing(filled, tmp_path / "arc", Seal(), at=NOW) as writer:
        out.copy(filled, archivekit.KEPT, writer)
    asked, modes = Asked(tmp_path / "arc"), []
    wanted = [replace(one, encryption="age") for one in restore.plan(filled, asked)]

    def opened(source: Path, target: Any, *_: object) -> None:
        modes.append(os.fstat(target.fileno()).st_mode & 0o777)
        target.write(source.read_bytes())

    umask = os.umask(0)
    try:
        with journal.staging(filled) as staged, mock.patch.object(restore.seal, "opened", opened):
            restore._Restore(filled, staged, asked, wanted, tombstones.load(filled)).read(lambda *_: None)
    finally:
        os.umask(umask)
    assert modes == [0o600] * len(wanted)
