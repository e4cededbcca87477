"""What readers see while others write: whole batches, nothing twice, nothing lost; and strangers at the cold tier."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import storekit as kit
import torture
from storekit import DAY_1, DAY_2, event

from evlog import engine
from evlog.query import view
from evlog.store import journal, layout, locks, snapshot
from evlog.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable


USER = "alice_the_erased"
SIZE = 6
BATCHES, SNAPSHOTS = torture.much(150, 15), torture.much(1000, 60)


@pytest.fixture
def store(tmp_path: Path) -> layout.Store:
    made = layout.create(tmp_path / "s")
    for number in range(5):
        kit.ingest(made, event(f"a{number}"), event(f"b{number}", DAY_2, USER, note="x"))
    return made


COMMANDS = {
    "compact": ("compact", "2026-01-07"),
    "merge": ("merge", "2026-01-01"),
    "purge": ("purge", "2026-01-06"),
    "delete": ("delete", USER),
}


@pytest.mark.parametrize("moment", ["_listed", "_parts", "_staged"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_between_two_looks_of_a_reader(
    store: layout.Store, name: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader has read the journal, and perhaps listed the hot tier; now the command runs to its end."""
    before = kit.ids(store)
    real, ran = getattr(snapshot, moment), []

    def interrupted(*args: Any) -> Any:
        found = list(real(*args))[: None if moment != "_listed" or ran else 3]  # the listing saw only some of it
        if not ran:
            ran.append(name)
            kit.here(store.root, *COMMANDS[name])
        return iter(found)

    monkeypatch.setattr(snapshot, moment, interrupted)
    seen = kit.ids(store)
    assert ran
    monkeypatch.undo()
    assert seen in (before, kit.ids(store))


@pytest.mark.parametrize("stop", ["write", "folders", "renames", "half"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_commit_that_stands_still_half_applied(
    store: layout.Store, name: str, stop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader sees all of it or nothing, wherever the writer stopped."""
    before = kit.ids(store)
    monkeypatch.setattr(journal, "_apply", _standing_still(stop))
    with pytest.raises(_StoodStillError):
        kit.here(store.root, *COMMANDS[name])
    during = kit.ids(store)
    monkeypatch.undo()
    with locks.commit(store):
        assert journal.recover(store) == 1
    assert during == kit.ids(store)
    assert (during == before) == (name in ("compact", "merge"))
    kit.sound(store)


class _StoodStillError(Exception):
    pass


def _standing_still(stop: str) -> Callable[[layout.Store, journal.Record], None]:
    def apply(store: layout.Store, record: journal.Record) -> None:
        for number, (source, target) in enumerate(record.renames):
            if stop in ("renames", "half") and (stop == "renames" or number % 2):
                (store.root / target).parent.mkdir(exist_ok=True)
                (store.root / source).rename(store.root / target)
        if stop == "renames":
            for name in record.unlinks[::2]:
                (store.root / name).unlink()
        raise _StoodStillError

    return apply


def test_a_batch_that_is_half_there_is_told_by_its_number(store: layout.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader has read the journal; then a batch is committed, and one of its two segments is in place."""
    before = kit.ids(store)
    real, ran = journal.unapplied, []

    def looked(which: layout.Store) -> list[journal.Record]:
        found = real(which)
        if not ran:
            ran.append(1)
            monkeypatch.setattr(journal, "_apply", _standing_still("half"))
            with pytest.raises(_StoodStillError):
                kit.ingest(store, event("new"), event("new", DAY_2))
        return found

    monkeypatch.setattr(journal, "unapplied", looked)
    assert kit.ids(store) == before
    assert ran
    monkeypatch.undo()
    assert len(kit.ids(store)) == len(before) + 2


@pytest.mark.parametrize("command", [*COMMANDS.values(), ("verify",)])
def test_maintenance_looks_while_nobody_commits(
    store: layout.Store, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it would be told of a staged file that is renamed before it is read."""
    real, free = snapshot.snapshot, []

    def looked(which: layout.Store, *steady: object) -> snapshot.Snapshot:
        if steady:  # a question put beforehand, which is asked again when files were replaced
            return real(which, *steady)  # type: ignore[arg-type]
        fd = locks.owned(store.locks / "commit")
        if fd is not None:
            os.close(fd)
        free.append(fd)
        return real(which)

    monkeypatch.setattr(snapshot, "snapshot", looked)
    if command == ("verify",):
        verify(store)
    else:
        kit.here(store.root, *command)
    assert set(free) <= {None}


def test_segments_of_later_batches_are_not_seen(store: layout.Store) -> None:
    seen = snapshot.snapshot(store)
    kit.ingest(store, event("later"))
    assert seen.holds()
    assert len(snapshot.snapshot(store).hot) == len(seen.hot) + 1
    assert snapshot.snapshot(store, DAY_2, DAY_2).days == [DAY_2]
    assert snapshot.snapshot(store, None, DAY_1).days == [DAY_1]


def test_an_answer_from_files_that_were_replaced_is_asked_again(store: layout.Store) -> None:
    calls = []

    def read(seen: snapshot.Snapshot) -> int:
        calls.append(len(seen.hot))
        if len(calls) == 1:
            kit.here(store.root, "compact", "2026-01-07")
            raise FileNotFoundError
        return len(seen.cold)

    assert snapshot.steady(store, read) == 2
    assert calls == [10, 0]
    with pytest.raises(ZeroDivisionError):
        snapshot.steady(store, lambda _: 1 // 0)


def test_readers_take_no_lock(store: layout.Store) -> None:
    with locks.maintenance(store, "compact"), locks.commit(store):
        assert len(kit.ids(store)) == 10


_INGEST = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import storekit as kit
store = kit.layout.open_store(Path(sys.argv[1]))
me = sys.argv[2]
for number in range({batches}):
    batch = f"{{me}}-{{number}}"
    events = [kit.event(f"{{batch}}-{{i}}", kit.DAY_1 if i % 2 else kit.DAY_2, batch, batch=batch) for i in range({size})]
    shared = [kit.event(f"both-{{number}}", kit.DAY_1, None)]
    path = kit.written(store.root.parent / f"{{me}}.in", *events, *shared)
    kit.run(store, [kit.Source(str(path))], kit.RULES, clock=lambda: kit.NOW, options=kit.ONE_PROCESS)
"""
_COMPACT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import storekit as kit
while not (Path(sys.argv[1]).parent / "over").exists():
    kit.here(Path(sys.argv[1]), "compact", "2026-01-07")
    kit.here(Path(sys.argv[1]), "merge", "2026-01-01")
"""


def test_two_ingests_a_compactor_and_readers_at_once(tmp_path: Path) -> None:
    store = layout.create(tmp_path / "s")
    fill = {"tests": str(_HERE), "batches": BATCHES, "size": SIZE}
    writers = [_python(_INGEST.format(**fill), store.root, name) for name in ("one", "two")]
    compactor = _python(_COMPACT.format(**fill), store.root)
    strangers = _Strangers(store.root)
    strangers.start()
    least, looks = 0, 0
    while any(writer.poll() is None for writer in writers) or looks < SNAPSHOTS:
        seen = _look(store)
        counts = Counter(batch for batch, _ in seen if batch is not None)
        assert set(counts.values()) <= {SIZE}, "a batch was seen in part"
        assert kit.doubles([name for _, name in seen]) == []
        assert len(seen) >= least, "events were gone again"
        least, looks = len(seen), looks + 1
    (tmp_path / "over").touch()
    said = [process.communicate(timeout=60)[1].decode() for process in (*writers, compactor)]
    strangers.join(timeout=30)
    assert [process.returncode for process in (*writers, compactor)] == [0, 0, 0], said
    assert least == 2 * BATCHES * SIZE + BATCHES
    assert strangers.faults == []
    assert strangers.looks > 10
    assert strangers.reopened <= 1
    kit.sound(store)


def _look(store: layout.Store) -> list[tuple[str | None, str]]:
    def read(seen: snapshot.Snapshot) -> list[tuple[str | None, str]]:
        with engine.connect() as connection:
            body, params = view.relation(seen.hot, seen.cold)
            found = connection.rows(
                f"SELECT json_extract_string(properties, '$.batch'), event_id FROM ({body})", params
            )
            return [(batch, name) for batch, name in found]

    return snapshot.steady(store, read)


def _python(code: str, *args: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), *map(str, args)], stderr=subprocess.PIPE)


class _Strangers(threading.Thread):
    """Somebody with DuckDB, and somebody with pyarrow, at the cold tier, who know nothing of evlog."""

    def __init__(self, root: Path) -> None:
        super().__init__(daemon=True)
        self.root, self.faults, self.looks = root, [], 0
        self.reopened = 0  # looks that failed, loudly, since a file was replaced while DuckDB opened it twice

    def run(self) -> None:
        import pyarrow.dataset as ds

        while not (self.root.parent / "over").exists():
            parts = self._parts()
            try:
                found = kit.outside(self.root)
                if not found:
                    time.sleep(0.01)
                    continue
                rows = (
                    ds.dataset(self.root / "parquet", format="parquet", partitioning="hive")
                    .to_table(["event_id"])
                    .num_rows
                )
                if kit.doubles(found) or rows < len(found):
                    self.faults.append(f"{len(found)} rows, then {rows}")
            except Exception as error:  # noqa: BLE001 - any error at all is what this looks for
                if "TProtocolException" in repr(error) and self._parts() != parts:
                    self.reopened += 1
                else:
                    self.faults.append(repr(error))
            self.looks += 1

    def _parts(self) -> set[int]:
        return {path.stat().st_ino for path in (self.root / "parquet").glob("*/*.parquet")}


_HERE = Path(__file__).parent.parent
