"""What another process leaves half done at a chosen moment, and the order of steps that only a failure shows."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager, suppress
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

from evlog import replay, verify
from evlog.archive import day as days
from evlog.archive import out, restore
from evlog.archive.manifest import MANIFEST, SUMS
from evlog.archive.restore import Asked
from evlog.archive.seal import Seal
from evlog.errors import EvlogError, WriteFailed
from evlog.ingest import commit
from evlog.ingest.run import Options, Tolerance
from evlog.person import erase, link, pending
from evlog.person import suppress as consent
from evlog.store import durable, journal, layout, linked, locks, quarantine, rollups, tombstones

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> layout.Store:
    made = layout.create(tmp_path / acts.STORE)
    kit.ingest(made, event("a", DAY_1, "alice"), event("b", DAY_2, "bob"))
    return made


@pytest.fixture
def filled(tmp_path: Path) -> layout.Store:
    return archivekit.filled(tmp_path / acts.STORE)


@contextmanager
def dying() -> Iterator[None]:
    """Whoever commits here dies before anything of it is applied."""
    dies = mock.patch.object(journal, "_apply", side_effect=OSError)
    with dies, mock.patch.object(journal, "_leave", commands._died), suppress(OSError):
        yield


def _ingest(store: layout.Store, *events: Any, **options: Any) -> Any:
    path = kit.written(store.root.parent / "more.ndjson", *events)
    chosen = Options(workers=1, **options)
    return kit.run(store, [kit.Source(str(path))], kit.RULES, clock=lambda: NOW, options=chosen)


# -- a commit that nobody applied ---------------------------------------------------------------------------------------


def _gone(store: layout.Store) -> None:
    with dying():
        erase.erase_each(store, ["alice"], erase.How())


def test_a_batch_is_parsed_again_where_an_erasure_waits_to_be_applied(store: layout.Store) -> None:
    with once(commit.Committer, "commit", lambda: _gone(store)):
        kit.ingest(store, event("late", DAY_1, "alice"), event("of-bob", DAY_1, "bob"))
    assert kit.ids(store) == ["b", "of-bob"]


def test_nobody_is_linked_to_who_is_erased_by_a_commit_that_waits(store: layout.Store) -> None:
    with once(locks, "commit", lambda: _gone(store)), pytest.raises(link.Erased):
        link.link(store, "device", "alice", now=NOW)


def _awaited(store: layout.Store, user: str) -> None:
    pending.await_erasure(store, [user], due=NOW, mode="delete", now=NOW)


def test_who_waits_by_a_commit_that_waits_goes_on_waiting(store: layout.Store) -> None:
    with dying():
        _awaited(store, "alice")
    _awaited(store, "bob")
    assert [one.user for one in pending.pending(store)] == ["alice", "bob"]


def test_who_waits_by_a_commit_that_waits_can_be_spared(store: layout.Store) -> None:
    with dying():
        _awaited(store, "alice")
    assert [one.user for one in pending.cancel(store, ["alice"], now=NOW)] == ["alice"]


def test_a_restore_reads_again_where_a_commit_waits_that_brings_the_same(filled: layout.Store) -> None:
    acts._archived(filled.root.parent, lambda: None)
    archive = filled.root.parent / acts.ARCHIVE
    restore.restore(filled, Asked(archive, DAY_1, DAY_1), at=NOW)
    rules = replace(kit.RULES, backfill=True)

    def meanwhile() -> None:
        with dying():
            kit.ingest(filled, event("b1", DAY_2), rules=rules)

    with once(restore._Restore, "commit", meanwhile) as calls:
        restore.restore(filled, Asked(archive), at=NOW)
    assert len(calls) == 2
    assert kit.doubles(kit.rows(filled, "event_id, date")) == []


def test_days_that_are_back_are_open_again(filled: layout.Store) -> None:
    acts._archived(filled.root.parent, lambda: None)
    restore.restore(filled, Asked(filled.root.parent / acts.ARCHIVE), at=NOW)
    assert tombstones.load(filled).restored == {str(day) for day in (DAY_1, DAY_2, DAY_3)}


# -- ingest -------------------------------------------------------------------------------------------------------------


def test_a_batch_that_is_all_stored_meanwhile_adds_nothing(store: layout.Store) -> None:
    with once(commit.Committer, "commit", lambda: _ingest(store, event("both"))):
        done = kit.ingest(store, event("both"))
    assert (done.tally.stored, done.tally.duplicates) == (0, 1)
    assert kit.ids(store) == ["a", "b", "both"]


def test_a_dry_run_that_parses_again_counts_each_event_once(store: layout.Store) -> None:
    with once(commit.Committer, "commit", lambda: consent.suppress(store, ["alice"], now=NOW)):
        done = _ingest(store, event("new"), dry_run=True)
    assert (done.tally.stored, done.tally.duplicates) == (1, 0)


def test_events_without_an_id_that_are_parsed_again_keep_their_names(store: layout.Store) -> None:
    nameless = {"ts": f"{DAY_1}T11:00:00Z", "event_type": "seen", "user_id": "bob"}
    with once(commit.Committer, "commit", lambda: consent.suppress(store, ["alice"], now=NOW)):
        assert _ingest(store, nameless, nameless).tally.stored == 2
    assert _ingest(store, nameless, nameless).tally.duplicates == 2


def test_batches_of_one_commit_bear_numbers_of_their_own(store: layout.Store) -> None:
    _ingest(store, event("c", DAY_3), tolerance=Tolerance(count=5))
    names = [name for name in os.listdir(store.root / "events" / f"date={DAY_3}")]  # noqa: PTH208, C416 - names only
    assert [layout.segment_name(name).batch for name in names] == [journal.newest(store)] == [2]


def test_a_batch_whose_files_cannot_be_synced_leaves_none(store: layout.Store) -> None:
    with mock.patch.object(journal.Staging, "sync", side_effect=WriteFailed("full")), pytest.raises(WriteFailed):
        kit.ingest(store, event("c"))
    assert list(store.staging.iterdir()) == []


def test_replaying_in_vain_or_for_show_commits_nothing(store: layout.Store) -> None:
    kit.ingest(store, b"{bad", event("nobody", DAY_1, "null"))
    before = kit.tree(store.root)
    replay.run(store, kit.RULES, now=NOW)
    replay.run(store, replace(kit.RULES, placeholder_users="null"), now=NOW, dry_run=True)
    after = kit.tree(store.root)
    assert {name for name in before | after if before.get(name) != after.get(name)} <= {"locks/maintenance"}


def test_of_two_lines_the_one_that_gets_in_leaves_the_quarantine(store: layout.Store) -> None:
    kit.ingest(store, b"{bad", event("named", DAY_1, "null"))
    replay.run(store, replace(kit.RULES, placeholder_users="null"), now=NOW)
    assert [found.code for file in quarantine.files(store) for found in file.read()] == ["bad_json"]


def test_lines_that_cannot_be_replayed_are_counted_and_no_batch(store: layout.Store) -> None:
    kit.ingest(store, b"{" + b"x" * 300, rules=replace(kit.RULES, max_line=200))
    told = replay.run(store, kit.RULES, now=NOW)
    assert (told.unreplayable, told.tally.batches) == (1, 0)


def test_a_repair_of_what_is_sound_commits_nothing(store: layout.Store) -> None:
    verify.verify(store, repair=True)
    assert journal.newest(store) == 1


# -- erasure ------------------------------------------------------------------------------------------------------------


def test_an_erasure_sweeps_up_after_a_batch_that_died_while_it_was_awaited(store: layout.Store) -> None:
    path = store.staging / "dying"
    path.mkdir(mode=0o700)
    durable.write_new(path / "0.lines", [b"alice"])
    fd = locks.owned(path / "owner")
    assert fd is not None
    with once(locks, "awaited", lambda: os.close(fd)):
        erase.erase_each(store, ["alice"], erase.How())
    assert list(store.staging.iterdir()) == []


def test_who_waits_and_is_erased_at_once_waits_no_more(store: layout.Store) -> None:
    _awaited(store, "alice")
    erase.erase_each(store, ["alice"], erase.How())
    assert pending.pending(store) == []


@pytest.mark.parametrize("anonymise", [False, True])
def test_a_receipt_bears_the_checksums_of_what_lies_there(store: layout.Store, *, anonymise: bool) -> None:
    kit.ingest(store, *(event(f"z{n}", DAY_1, user) for n, user in enumerate(["zoe", "bob", "alice", "zoe"])))
    kit.here(store.root, "compact", str(DAY_3))
    receipt = erase.erase_each(store, ["alice"], erase.How(anonymise=anonymise))
    told = {one.path: one.after for one in receipt.files if one.after is not None}
    assert f"parquet/date={DAY_1}/{layout.PART}" in told
    assert {name: hashlib.sha256((store.root / name).read_bytes()).hexdigest() for name in told} == told


def test_every_id_of_who_is_erased_is_kept_out(store: layout.Store) -> None:
    kit.ingest(store, event("link", DAY_2, "alice", anonymous_id="device"))
    erase.erase_each(store, ["alice"], erase.How())
    known = tombstones.load(store)
    assert known.erased("alice")
    assert known.erased("device")


def test_a_trial_tells_the_days_that_would_change(store: layout.Store) -> None:
    receipt = erase.erase_each(store, ["alice"], erase.How(dry_run=True))
    assert receipt.days == (DAY_1,)


# -- archives and rollups -----------------------------------------------------------------------------------------------


def _copied(store: layout.Store) -> None:
    with out.writing(store, store.root.parent / acts.ARCHIVE, Seal(), at=NOW) as writer:
        out.copy(store, archivekit.KEPT, writer)


def test_no_day_is_named_in_an_archive_before_its_manifest(filled: layout.Store) -> None:
    with mock.patch.object(durable, "replace_whole", side_effect=WriteFailed("full")), pytest.raises(WriteFailed):
        _copied(filled)
    assert [one for one in (filled.root.parent / acts.ARCHIVE).rglob("*") if one.is_file()] == []


def test_checksums_come_when_the_days_lie_there(filled: layout.Store) -> None:
    seen, real = {}, durable.replace_whole

    def replaced(path: Path, data: bytes) -> None:
        seen[path.name] = len(list(path.parent.glob("*/*.parquet")))
        real(path, data)

    with mock.patch.object(durable, "replace_whole", replaced):
        _copied(filled)
    assert (seen[MANIFEST], seen[SUMS]) == (0, 3)


def test_a_day_that_reads_back_wrong_never_reaches_the_archive(filled: layout.Store) -> None:
    with mock.patch.object(days, "checked", side_effect=days.NotWhole("other events")), pytest.raises(days.NotWhole):
        _copied(filled)
    assert [one for one in (filled.root.parent / acts.ARCHIVE).rglob("*") if one.is_file()] == []


def test_a_file_that_came_about_meanwhile_is_not_overwritten(filled: layout.Store) -> None:
    theirs = filled.root.parent / acts.ARCHIVE / f"date={DAY_1}" / "events.parquet"
    with (
        once(out.Writer, "settle", lambda: theirs.write_bytes(b"theirs")),
        pytest.raises(WriteFailed, match="meanwhile"),
    ):
        _copied(filled)
    assert theirs.read_bytes() == b"theirs"


def test_no_archive_is_begun_inside_a_store(filled: layout.Store) -> None:
    with pytest.raises(EvlogError, match="in each other"), out.writing(filled, filled.root / "arc", Seal(), at=NOW):
        pass
    assert not (filled.root / "arc").exists()


def test_who_does_not_get_an_archive_holds_nothing_of_it(tmp_path: Path) -> None:
    with out._alone(tmp_path):
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only
        with pytest.raises(EvlogError), out._alone(tmp_path):
            pass
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - names only


def test_what_was_only_copied_comes_back_into_a_store_that_never_purged(filled: layout.Store) -> None:
    _copied(filled)
    before = kit.ids(filled)
    told = restore.restore(filled, Asked(filled.root.parent / acts.ARCHIVE), at=NOW)
    assert sum(one.stored for one in told) == 0
    assert kit.ids(filled) == before


def test_who_is_who_is_committed_before_anything_is_counted_by_it(store: layout.Store) -> None:
    targets, real = [], journal.commit

    def committed(staged: journal.Staging, why: str, renames: Any, **more: Any) -> int:
        targets.append([target for _, target in renames])
        return real(staged, why, renames, **more)

    def rolled() -> list[list[str]]:
        targets.clear()
        with mock.patch.object(journal, "commit", committed), acts.few_questions():
            kit.here(store.root, "rollup")
        return [sorted(names) for names in targets]

    kit.ingest(store, event("of-device", DAY_1, None, anonymous_id="device"))
    rolled()
    kit.ingest(store, event("link", DAY_3, "bob", anonymous_id="device"))
    assert rolled()[0] == sorted([linked.LINKED, rollups.TOUCHED])
