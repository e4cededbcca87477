"""What happens between two steps: something else is committed at a chosen moment, and the command must notice.

Each moment is forced: a function that runs there is wrapped, and what comes in between is done by it, in this process.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock

import acts
import archivekit
import commands
import pytest
import storekit as kit
from storekit import DAY_1, DAY_2, DAY_3, NOW, event

from evlog import compact, engine, purge, rollup
from evlog.archive import out, restore
from evlog.archive.restore import Asked
from evlog.archive.seal import Seal
from evlog.compact import part
from evlog.ingest import commit
from evlog.person import closure, erase, link, pending
from evlog.person import suppress as consent
from evlog.store import audit, durable, journal, layout, links, locks, quarantine, rollups, snapshot, tombstones

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
def once(owner: Any, name: str, first: Callable[[], object], *, after: bool = False) -> Iterator[list[int]]:
    """Do `first` before (or right after) the first call of a function; yields a list that grows with each call."""
    real, calls = getattr(owner, name), []

    def wrapped(*words: Any, **more: Any) -> Any:
        calls.append(1)
        now = len(calls) == 1
        if now and not after:
            first()
        done = real(*words, **more)
        if now and after:
            first()
        return done

    with mock.patch.object(owner, name, wrapped):
        yield calls


@contextmanager
def never_waiting() -> Iterator[None]:
    """Let a lock that would be waited for raise BlockingIOError instead."""
    with mock.patch.object(fcntl, "flock", lambda fd, how: REAL_FLOCK(fd, how | fcntl.LOCK_NB)):
        yield


# -- ingest -------------------------------------------------------------------------------------------------------------


def test_a_batch_that_was_parsed_before_a_purge_is_parsed_again(store: layout.Store) -> None:
    with once(commit.Committer, "commit", lambda: purge.apply(store, DAY_2)) as calls:
        done = kit.ingest(store, event("late", DAY_1), event("fresh", DAY_2))
    assert (done.tally.stored, done.tally.reasons["beyond_retention"], len(calls)) == (1, 1, 2)
    assert kit.ids(store) == ["b", "c", "fresh"]


def test_an_event_that_another_ingest_stored_meanwhile_is_a_duplicate(store: layout.Store) -> None:
    def other() -> None:
        batch = store.root.parent / "other.in"
        kit.written(batch, event("both"))
        kit.run(store, [kit.Source(str(batch))], kit.RULES, clock=lambda: NOW, options=kit.ONE_PROCESS)

    with once(commit.Committer, "commit", other):
        done = kit.ingest(store, event("both"), event("mine"))
    assert (done.tally.stored, done.tally.duplicates) == (1, 1)
    assert kit.ids(store) == ["a", "b", "both", "c", "mine"]


# -- purge, archive, restore --------------------------------------------------------------------------------------------


def test_a_purge_counts_again_what_came_in_while_it_counted(store: layout.Store) -> None:
    counted = []

    def roll() -> None:
        counted.append(kit.ids(store))
        if len(counted) == 1:
            kit.ingest(store, event("late", DAY_1))

    purge.apply(store, DAY_2, roll=roll)
    assert [("late" in seen) for seen in counted] == [False, True]
    assert kit.ids(store) == ["b", "c"]


def test_a_purge_remembers_who_came_in_while_it_read(store: layout.Store) -> None:
    with once(purge.leave._Leaving, "commit", lambda: kit.ingest(store, event("late", DAY_1, "zoe"))):
        purge.apply(store, DAY_2)
    from evlog.store import firsts

    known, held = tombstones.load(store), firsts.held(store)
    hashes = {one for _, one, _ in held.read([firsts.ANY])}
    assert hashes == {bytes.fromhex(known.subject(user)) for user in ("alice", "zoe")}


def test_a_purge_takes_old_rejects_and_rollups_that_it_made_itself(store: layout.Store) -> None:
    kit.ingest(store, b"{bad", now=datetime(2025, 12, 1))

    def roll() -> None:
        rollup.finish(store, rollup.Asked(kit.SCOPE), before=DAY_2, held=True)

    with acts.few_questions():
        purge.apply(
            store, DAY_2, roll=roll, rollups_before=date(2026, 2, 1), signed=purge.Signed(NOW)
        )  # fmt: skip
    assert quarantine.files(store) == []
    assert rollups.files(store) == {}
    (told,) = audit.read(store)
    assert (told["details"]["rejects"], told["details"]["rollups"]) == (1, 0)


def test_an_archive_takes_what_came_in_while_it_wrote(tmp_path: Path) -> None:
    acts._filled(tmp_path)
    store = layout.open_store(tmp_path / acts.STORE)
    with (
        out.writing(store, tmp_path / acts.ARCHIVE, Seal(), at=NOW) as writer,
        once(purge.leave._Leaving, "commit", lambda: kit.ingest(store, event("late", DAY_1))),
    ):
        purge.apply(store, archivekit.KEPT, carrier=writer)
    assert writer.written is not None
    assert writer.written.events == 7


def test_a_restore_reads_again_where_events_came_in(tmp_path: Path) -> None:
    acts._moved(tmp_path)
    store = layout.open_store(tmp_path / acts.STORE)
    restore.restore(store, Asked(tmp_path / acts.ARCHIVE, DAY_1, DAY_1), at=NOW)

    def meanwhile() -> None:
        kit.ingest(store, event("b1", DAY_2), event("a9", DAY_1), rules=kit.Rules(plan=kit.Plan.open(), backfill=True))

    with once(restore._Restore, "commit", meanwhile) as calls:
        restore.restore(store, Asked(tmp_path / acts.ARCHIVE), at=NOW)
    assert len(calls) == 2
    assert kit.doubles(kit.rows(store, "event_id, date")) == []


# -- erasure, consent, links --------------------------------------------------------------------------------------------


def test_an_erasure_takes_an_id_that_became_theirs_meanwhile(store: layout.Store) -> None:
    both = event("link", DAY_3, "alice", anonymous_id="device")
    kit.ingest(store, event("of-device", DAY_2, None, anonymous_id="device"))
    with once(erase.Rewrite, "files", lambda: kit.ingest(store, both)):
        erase.erase_each(store, ["alice"], erase.How())
    assert kit.ids(store) == ["b", "c"]


def test_an_erasure_takes_what_came_in_meanwhile(store: layout.Store) -> None:
    with once(erase.Rewrite, "files", lambda: kit.ingest(store, event("late", DAY_3, "alice")), after=True):
        erase.erase_each(store, ["alice"], erase.How())
    assert kit.ids(store) == ["b", "c"]


def test_an_erasure_goes_on_where_a_commit_waited_and_is_applied_meanwhile(store: layout.Store) -> None:
    commands.half_committed(store.root.parent)
    with once(erase.Rewrite, "files", lambda: kit.ingest(store, event("late", DAY_3, "alice"))):
        erase.erase_each(store, ["alice"], erase.How())
    assert kit.ids(store) == ["b", "c", "left-1", "left-2"]


def test_an_erasure_ends_only_when_batches_in_flight_have(store: layout.Store) -> None:
    with journal.staging(store), never_waiting(), pytest.raises(BlockingIOError):
        erase.erase_each(store, ["alice"], erase.How())
    erase.erase_each(store, ["alice"], erase.How())
    assert kit.ids(store) == ["b", "c"]


def test_an_erasure_sweeps_up_what_a_batch_in_flight_left(store: layout.Store) -> None:
    def died() -> None:
        (store.staging / "dead").mkdir(mode=0o700)
        durable.write_new(store.staging / "dead" / "0.lines", [b"alice"])

    with once(erase, "_settle", died):
        erase.erase_each(store, ["alice"], erase.How())
    assert list(store.staging.iterdir()) == []


def test_an_erasure_sweeps_up_under_the_lock(store: layout.Store) -> None:
    fd = locks._open(store.locks / "commit")
    with (
        once(erase, "_settle", lambda: REAL_FLOCK(fd, fcntl.LOCK_EX)),
        never_waiting(),
        pytest.raises(BlockingIOError),
    ):
        erase.erase_each(store, ["alice"], erase.How())
    os.close(fd)


def test_only_who_waits_can_be_spared(store: layout.Store) -> None:
    with pytest.raises(pending.NobodyWaits):
        pending.cancel(store, ["nobody"], now=NOW)


def test_consent_reaches_an_id_that_became_theirs_meanwhile(store: layout.Store) -> None:
    both = event("link", DAY_3, "alice", anonymous_id="device")
    with once(journal, "recover", lambda: None), once(closure, "of_each", lambda: kit.ingest(store, both), after=True):
        consent.suppress(store, ["alice"], now=NOW)
    kit.ingest(store, event("later", DAY_3, None, anonymous_id="device"))
    assert "later" not in kit.ids(store)


def test_a_link_is_judged_again_where_another_was_made_meanwhile(store: layout.Store) -> None:
    def other() -> None:
        link.link(store, "b", "a", now=NOW)

    with once(closure, "asked", other, after=True), pytest.raises(link.Circle):
        link.link(store, "a", "b", now=NOW)


def test_nobody_is_linked_to_who_was_erased_meanwhile(store: layout.Store) -> None:
    with (
        once(closure, "asked", lambda: erase.erase_each(store, ["alice"], erase.How()), after=True),
        pytest.raises(link.Erased),
    ):
        link.link(store, "device", "alice", now=NOW)
    assert links.files(store) == []


# -- compaction ---------------------------------------------------------------------------------------------------------


def test_a_large_day_is_sorted_in_little_memory_and_once_more_where_that_is_too_little(
    store: layout.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = engine.connect, []
    monkeypatch.setattr(part, "_FITS", -1)

    def connect(limits: Any = None) -> Any:
        asked.append(limits and limits.memory)
        return real(limits) if limits is not None else real()

    def too_little() -> None:
        raise engine.OutOfMemory("too little")

    with mock.patch.object(engine, "connect", connect), once(part, "_spilled", too_little):
        compact.run(store, before=DAY_2)
    assert [memory for memory in asked if memory in part._MEMORY] == [*part._MEMORY[:2]]
    assert kit.ids(store) == ["a", "b", "c"]


def test_a_compaction_leaves_what_came_in_meanwhile(store: layout.Store) -> None:
    with once(part, "in_memory", lambda: kit.ingest(store, event("late", DAY_1)), after=True):
        compact.run(store, before=DAY_2)
    assert kit.ids(store) == ["a", "b", "c", "late"]


# -- readers ------------------------------------------------------------------------------------------------------------

COMPACTED = [
    ("newest", journal), ("unapplied", journal), ("_hot", snapshot), ("_parts", snapshot), ("_memory", snapshot),
    ("replaced_since", journal),
]  # fmt: skip


@pytest.mark.parametrize(("name", "owner"), COMPACTED)
@pytest.mark.parametrize("after", [False, True])
def test_a_reader_sees_each_event_once_whatever_happens_where(
    store: layout.Store, name: str, owner: Any, *, after: bool
) -> None:
    def meanwhile() -> None:
        kit.here(store.root, "compact", str(DAY_3))
        kit.ingest(store, event("late", DAY_1))

    with once(owner, name, meanwhile, after=after):
        seen = [name for (name,) in kit.rows(store, "event_id")]
    assert seen in (["a", "b", "c"], ["a", "b", "c", "late"])


def test_the_log_is_read_as_it_stands_between_two_acts(store: layout.Store) -> None:
    for _ in range(2):
        audit.tell(store, audit.Act("told", NOW - timedelta(days=1)))
    with once(durable, "others", lambda: audit.tell(store, audit.Act("told", NOW))):
        assert audit.findings(store) == []
