"""The invariants of docs/design.md, one test each, in representative form; their full sweeps stand in files of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import pytest
import storekit as kit
from storekit import DAY_1, DAY_2, DAY_3, event

from evlog.errors import WriteFailed
from evlog.ingest.source import Source
from evlog.store import durable, journal, layout, locks, snapshot

USER = "alice_the_erased"
LIMIT = 400 << 20


@pytest.fixture
def store(tmp_path: Path) -> layout.Store:
    made = layout.create(tmp_path / "s")
    kit.ingest(made, event("1"), event("2", DAY_2, USER), event("3", DAY_2, note=USER), b"{bad")
    return made


def test_atomic_batch(store: layout.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 1: all events of a batch, in all its days, or none; wherever the writer stops."""
    real = Path.rename
    for stop in range(1, 9):
        calls = []

        def rename(self: Path, target: Path, _calls: list[Path] = calls, _stop: int = stop) -> Path:
            _calls.append(self)
            if len(_calls) == _stop:
                raise SystemExit
            return real(self, target)

        monkeypatch.setattr(Path, "rename", rename)
        before = kit.ids(store)
        names = [f"n{stop}", f"n{stop}b", f"n{stop}c"]
        try:
            kit.ingest(store, *(event(name, day) for name, day in zip(names, (DAY_1, DAY_2, DAY_3), strict=True)))
        except SystemExit:
            assert set(kit.ids(store)) - set(before) in (set(), set(names))
        monkeypatch.undo()
        with locks.commit(store):
            journal.recover(store)
        kit.sound(store)
    assert len(calls) > 5


def test_durable_ack(store: layout.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 2: nothing is acknowledged before its record lasts (test_crash has every system call)."""
    order: list[str] = []
    real = durable.sync_folder
    monkeypatch.setattr(durable, "sync_folder", lambda path: (order.append(path.name), real(path))[1])
    path = kit.written(store.root.parent / "x.ndjson", event("acked"))
    kit.run(
        store,
        [Source(str(path))],
        kit.RULES,
        clock=lambda: kit.NOW,
        stored=lambda _: order.append("ACK"),
        options=kit.ONE_PROCESS,
    )
    at = order.index("ACK")
    assert {"journal", "date=2026-01-05", "2026-01-05"} <= set(order[:at])
    assert "date=2026-01-05" in order[order.index("journal") : at]
    assert "ACK" not in order[at + 1 :]


def test_no_loss(store: layout.Store) -> None:
    """Invariant 3: readable = accepted - duplicate - erased - purged."""
    told = kit.ingest(
        store,
        *(event(f"x{i}", (DAY_1, DAY_2, DAY_3)[i % 3], USER if i % 5 == 0 else "bob") for i in range(30)),
        event("x1", DAY_2),
    ).tally
    accepted = told.stored + told.duplicates + 3
    removed = sum(row[4] == USER for row in kit.rows(store))
    kit.here(store.root, "compact", str(DAY_2))
    kit.here(store.root, "delete", USER)
    purged = sum(row[-1] == DAY_1 for row in kit.rows(store))
    kit.here(store.root, "purge", str(DAY_2))
    assert len(kit.ids(store)) == accepted - told.duplicates - removed - purged


def test_no_double(store: layout.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 4: one row an id and day, though a compaction stands still with both tiers on disk."""
    real = Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda self, **more: _stop() if "events" in str(self) else real(self, **more))
    with pytest.raises(SystemExit):
        kit.here(store.root, "compact", str(DAY_3))
    monkeypatch.undo()
    assert list(store.segments(DAY_1).iterdir()), "the segment still lies beside its part"
    assert store.part(DAY_1).exists()
    assert kit.ids(store) == ["1", "2", "3"]
    assert kit.ingest(store, event("1")).tally.duplicates == 1
    assert kit.ids(store) == ["1", "2", "3"]
    kit.sound(store)


def _stop() -> None:
    raise SystemExit


def test_compaction_is_invisible(store: layout.Store) -> None:
    """Invariant 5: the same rows, all columns of them, before and after."""
    before = kit.rows(store)
    kit.here(store.root, "compact", str(DAY_3))
    assert snapshot.snapshot(store).hot == ()
    assert kit.rows(store) == before


def test_idempotent(store: layout.Store) -> None:
    """Invariant 6: a command run again changes nothing (after a crash: test_crash)."""
    for command in (("compact", str(DAY_2)), ("delete", USER), ("purge", str(DAY_2))):
        kit.here(store.root, *command)
        before = kit.tree(store.root)
        kit.here(store.root, *command)
        after = kit.tree(store.root)
        assert after == before, command


def test_reingest_changes_nothing(store: layout.Store) -> None:
    """Invariant 7: 0 stored, n duplicates, in either tier; the quarantine does not grow either."""
    for command in ((), ("compact", str(DAY_2))):
        if command:
            kit.here(store.root, *command)
        before = {name: data for name, data in kit.tree(store.root).items() if "journal" not in name}
        told = kit.ingest(store, event("1"), event("2", DAY_2, USER), event("3", DAY_2, note=USER), b"{bad").tally
        assert (told.stored, told.duplicates, told.rejected) == (0, 3, 1)
        assert kit.tree(store.root) == before


def test_nothing_counts_up(store: layout.Store) -> None:
    """Invariant 8: a rollup is a recomputation. There are none yet: what the store holds is events and nothing derived."""
    held = {path.relative_to(store.root).parts[0] for path in store.root.rglob("*") if path.is_file()}
    assert held <= {"evlog.json", "events", "parquet", "ids", "quarantine", "journal", "tombstones", "locks"}


def test_purge_is_total_and_final(store: layout.Store) -> None:
    """Invariant 9: nothing of the day in any tier, nothing comes in again."""
    kit.here(store.root, "compact", str(DAY_3))
    kit.ingest(store, event("late"))
    kit.here(store.root, "purge", str(DAY_2))
    assert not any("2026-01-05" in str(path) for path in store.root.rglob("*"))
    assert kit.ingest(store, event("again")).tally.reasons == {"beyond_retention": 1}


def test_erasure_is_total(store: layout.Store) -> None:
    """Invariant 10: the bytes of the id are in no file and no name (Parquet read back: test_person_erase)."""
    kit.here(store.root, "compact", str(DAY_2))
    kit.here(store.root, "delete", USER)
    assert not any(USER.encode() in path.read_bytes() for path in store.root.rglob("*") if path.is_file())
    assert not any(USER in str(path) for path in store.root.rglob("*"))
    assert USER not in str(kit.rows(store))
    assert "[erased]" in str(kit.rows(store))


def test_no_resurrection(store: layout.Store) -> None:
    """Invariant 11: the tombstone keeps them out."""
    kit.here(store.root, "delete", USER)
    told = kit.ingest(store, event("2", DAY_2, USER), event("new", DAY_1, None, anonymous_id=USER)).tally
    assert (told.erased, told.stored) == (2, 0)


def test_readers_never_block_ingest(store: layout.Store) -> None:
    """Invariant 12: ingest goes on beside a reader and beside maintenance that is at work."""

    def read(_seen: snapshot.Snapshot) -> int:
        return kit.ingest(store, event("while one reads")).tally.stored

    assert snapshot.steady(store, read) == 1
    with locks.maintenance(store, "compact"), journal.staging(store):
        done = threading.Thread(target=kit.ingest, args=(store, event("while one compacts")), daemon=True)
        done.start()
        done.join(timeout=10)
        assert not done.is_alive()
    assert {"while one reads", "while one compacts"} <= set(kit.ids(store))


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_failed_write_is_told_and_never_retried(
    store: layout.Store, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 13: nothing is published, the error is told, and the call is not made again."""
    before, calls = kit.rows(store), []

    def failing(*args: object) -> int:
        calls.append(args)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, call, failing)
    with pytest.raises(WriteFailed, match="Input/output error"):
        kit.ingest(store, event("lost"))
    monkeypatch.undo()
    assert len(calls) == 1
    assert kit.rows(store) == before
    assert kit.ingest(store, event("lost")).tally.stored == 1
    kit.sound(store)


def test_bad_input_changes_nothing_of_good_input(tmp_path: Path) -> None:
    """Invariant 14: the same rows with and without the bad lines; every line is counted once."""
    good = [event("1"), event("2", DAY_2)]
    bad = [b"{", b"null", b"\xff", b"[" * 100, b'{"a":1,"a":2}', b'{"event_id":"1"}', b"x" * (2 << 20)]
    clean, mixed = layout.create(tmp_path / "clean"), layout.create(tmp_path / "mixed")
    kit.ingest(clean, *good)
    told = kit.ingest(mixed, *bad[:4], good[0], *bad[4:], b"", good[1]).tally
    columns = "event_id, ts, event_type, user_id, received_at"
    assert kit.rows(mixed, columns) == kit.rows(clean, columns)
    assert told.balanced
    assert (told.read, told.stored, told.rejected, told.blank) == (9, 2, 7, 1)


@pytest.mark.long
def test_bounded_memory(tmp_path: Path) -> None:
    """Invariant 15: a compaction of 54 MB of text, in a process of its own (the bench measures larger ones)."""
    store = layout.create(tmp_path / "s")
    text = "".join(chr(65 + i % 26) for i in range(2000))
    for batch in range(3):
        kit.ingest(store, *(event(f"{batch}-{i}", DAY_1, f"u{i}", a=text, b=f"{i}") for i in range(9000)))
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import storekit as kit; kit.here(kit.Path(sys.argv[1]), 'compact', '2026-01-06')"
    code += (
        "\nprint(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"  # ru_maxrss knows the parent's
    )
    done = subprocess.run([sys.executable, "-c", code, str(store.root)], capture_output=True, check=True)
    assert 0 < int(done.stdout) << 10 < LIMIT


def test_nothing_outside_is_written(store: layout.Store, tmp_path: Path) -> None:
    """Invariant 16: whatever an id says; the rest of it stands in test_store_paths."""
    (tmp_path / "s.in").unlink()
    outside = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if store.root not in (path, *path.parents)}
    kit.ingest(store, event("../../../escape", DAY_1, "../up"))
    kit.here(store.root, "compact", str(DAY_2))
    kit.here(store.root, "delete", "../up")
    (tmp_path / "s.in").unlink()
    assert {
        path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if store.root not in (path, *path.parents)
    } == outside
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_published_files_are_never_written_to(store: layout.Store) -> None:
    """Invariant 17: what is published changes its inode or goes; a file that stays has the bytes it had."""
    kit.ingest(store, event("more"), event("more", DAY_2, n=1))
    seen: dict[tuple[str, int], bytes] = {}
    for command in (("merge", "2026-01-01"), ("compact", str(DAY_2)), ("delete", USER), ("purge", str(DAY_2))):
        for path in (path for path in store.root.rglob("*") if path.is_file() and "locks" not in path.parts):
            held = path.open("rb")  # an open file keeps its inode from being used again
            key = (str(path), os.fstat(held.fileno()).st_ino)
            assert seen.setdefault(key, held.read()) == path.read_bytes()
            _OPEN.append(held)
        kit.here(store.root, *command)
    assert len(seen) > 10
    while _OPEN:
        _OPEN.pop().close()


_OPEN: list[BinaryIO] = []
