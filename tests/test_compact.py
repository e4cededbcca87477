"""Compaction is invisible: the same rows before and after, from whichever tier; and many small segments become one."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
import storekit as kit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from storekit import DAY_1, DAY_2, DAY_3, NOW, event
from torture import much

from evlog import compact
from evlog.errors import EvlogError, StoreDamaged
from evlog.store import ids, layout, parts, snapshot

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> layout.Store:
    return layout.create(tmp_path / "s")


def fill(store: layout.Store, batches: int, *, day: date = DAY_1, label: str = "e") -> None:
    for number in range(batches):
        kit.ingest(
            store,
            event(f"{label}{number}", day, n=2**53 + 1),
            event(f"{label}{number}x", day, None),
            now=NOW + timedelta(seconds=number),
        )


def test_only_closed_days_become_parts_and_no_row_changes(store: layout.Store) -> None:
    fill(store, 3)
    fill(store, 2, day=DAY_2)
    before = kit.rows(store)
    done = compact.run(store, before=DAY_2)
    assert [(one.day, one.events, one.segments, one.into) for one in done] == [(DAY_1, 6, 3, "part")]
    assert kit.rows(store) == before
    assert [part.day for part in snapshot.snapshot(store).cold] == [DAY_1]
    assert compact.run(store, before=DAY_2) == []
    assert [one.day for one in compact.run(store, before=None)] == [DAY_2]
    assert kit.rows(store) == before
    assert sorted(kit.outside(store.root)) == sorted((row[0], row[-1]) for row in before)
    kit.sound(store)


def test_late_events_join_the_part(store: layout.Store) -> None:
    fill(store, 2)
    compact.run(store, before=DAY_2)
    fill(store, 3, label="late")
    fill(store, 2)  # again: duplicates
    before = kit.rows(store)
    assert len(before) == 10
    assert [(one.events, one.segments) for one in compact.run(store, before=DAY_2)] == [(10, 3)]
    assert kit.rows(store) == before
    assert list((store.root / "events").iterdir()) == []
    assert [path.name for path in store.ids(DAY_1).iterdir()] == [layout.PART_IDS]
    kit.sound(store)


@pytest.mark.parametrize("batch", [0, 7, 127, 128, 999_999_999_999])
def test_what_a_part_covers_is_read_from_its_last_bytes(tmp_path: Path, batch: int) -> None:
    """No text of an event is taken for it, though the least and the greatest event type stand in the footer."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    liar = "\x18\x0cevlog.covers\x18\x0277\x00"
    columns = [pa.array([liar if one.name == "event_type" else None], one.type) for one in parts.schema()]
    path = tmp_path / "events.parquet"
    parts.write(path, [pa.record_batch(columns, schema=parts.schema())], covers=batch)
    assert parts.covers(path) == batch == int(pq.read_metadata(path).metadata[b"evlog.covers"])
    whole = path.read_bytes()
    for damaged in (
        whole[:-1],
        whole[:7],
        b"",
        whole[:-8] + b"\xff\xff\xff\x7fPAR1",
        whole.replace(b"evlog.covers", b"evlog.cover_"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(StoreDamaged):
            parts.covers(path)


def test_what_a_part_holds(store: layout.Store) -> None:
    """Sorted by user, time and arrival; a key for each user; a footer that names nobody; which batches it covers."""
    import pyarrow.parquet as pq

    kit.ingest(
        store,
        event("1", user="zoe"),
        event("2", user="adam"),
        event("3", None or DAY_1, None),
        event("4", user="zoe", n=1.5),
    )
    kit.ingest(store, event("5", user="zoe", ts="2026-01-05T09:00:00Z"))
    compact.run(store, before=DAY_2)
    file = pq.ParquetFile(store.part(DAY_1))
    rows = file.read().to_pylist()
    keys = [row["user_key"] for row in rows]
    assert keys[-1] is None
    assert keys[:-1] == sorted(keys[:-1])
    assert len({(row["user_key"], row["user_id"]) for row in rows}) == 3
    assert [row["event_id"] for row in rows if row["user_id"] == "zoe"] == ["5", "1", "4"]
    assert parts.covers(store.part(DAY_1)) == 2
    assert parts.rows(store.part(DAY_1)) == 5
    group = file.metadata.row_group(0)
    told = {group.column(i).path_in_schema for i in range(group.num_columns) if group.column(i).is_stats_set}
    assert told == {"user_key", "ts", "seq", "event_type"}
    packed = {group.column(i).path_in_schema: group.column(i).compression for i in range(group.num_columns)}
    assert {name for name, how in packed.items() if how != "ZSTD"} == {"ts", "seq"}


def test_a_plan_is_what_a_run_does(store: layout.Store) -> None:
    fill(store, 2)
    fill(store, 1, day=DAY_3)
    planned = compact.plan(store, before=DAY_3).days
    done = compact.run(store, before=DAY_3)
    assert [(one.day, len(one.segments), one.bytes_in) for one in planned] == [
        (one.day, one.segments, one.bytes_in) for one in done
    ]


def test_an_interrupt_keeps_the_days_that_are_done(store: layout.Store) -> None:
    fill(store, 1)
    fill(store, 1, day=DAY_2)
    before = kit.rows(store)

    def stop(_done: compact.Done, total: int) -> None:
        assert total == 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compact.run(store, before=None, done=stop)
    assert kit.rows(store) == before
    assert [part.day for part in snapshot.snapshot(store).cold] == [DAY_1]
    assert len(compact.run(store, before=None)) == 1
    kit.sound(store)


def test_what_is_stored_while_a_part_is_written_stays(store: layout.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, 2)
    real = compact._ids

    def meanwhile(*args: object) -> ids.Ids:
        kit.ingest(store, event("meanwhile"), event("e0"))
        return real(*args)

    monkeypatch.setattr(compact, "_ids", meanwhile)
    compact.run(store, before=DAY_2)
    monkeypatch.undo()
    assert kit.ids(store) == ["e0", "e0x", "e1", "e1x", "meanwhile"]
    assert len(snapshot.snapshot(store).hot) == 1
    kit.sound(store)


def test_many_small_segments_of_an_open_day_become_one(store: layout.Store) -> None:
    fill(store, compact._MANY + 1)
    before = kit.rows(store)
    done = compact.run(store, before=DAY_1)
    assert [(one.day, one.events, one.segments, one.into) for one in done] == [
        (DAY_1, 2 * compact._MANY + 2, compact._MANY + 1, "segment")
    ]
    assert kit.rows(store) == before, "received_at and seq are those of before"
    assert len(snapshot.snapshot(store).hot) == 1
    kit.sound(store)
    assert kit.ingest(store, event("e3", n=2**53 + 1)).tally.duplicates == 1
    assert compact.run(store, before=DAY_1) == []
    fill(store, 2, label="more")
    after = kit.rows(store)
    assert [one.into for one in compact.run(store, before=DAY_2)] == ["part"]
    assert kit.rows(store) == after
    kit.sound(store)


def test_merging_what_was_merged(store: layout.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact, "_MANY", 2)
    for label in "abc":
        fill(store, 3, label=label)
        before = kit.rows(store)
        compact.run(store, before=DAY_1)
        assert kit.rows(store) == before
        assert len(snapshot.snapshot(store).hot) <= 2
    kit.here(store.root, "delete", "bob")
    assert [row[4] for row in kit.rows(store)] == [None] * 9
    kit.sound(store)


def test_large_segments_are_left_alone(store: layout.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact, "_MANY", 2)
    kit.ingest(store, *(event(f"big{i}", text="x" * 100) for i in range(50)))
    monkeypatch.setattr(compact, "_SMALL", 4096)
    fill(store, 3)
    before = kit.rows(store)
    assert [one.segments for one in compact.run(store, before=DAY_1)] == [3]
    assert len(snapshot.snapshot(store).hot) == 2
    assert kit.rows(store) == before
    kit.sound(store)


def test_a_full_disk_is_told_and_nothing_changes(store: layout.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, 2)
    before = kit.rows(store)

    def full(*_args: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    import pyarrow.parquet as pq

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(EvlogError, match="No space left"):
        compact.run(store, before=DAY_2)
    monkeypatch.undo()
    assert kit.rows(store) == before
    kit.sound(store)


@settings(max_examples=much(45, 5), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.one_of(
            st.sampled_from(["compact", "merge"]),
            st.lists(st.tuples(st.integers(0, 9), st.sampled_from([DAY_1, DAY_2])), min_size=1, max_size=4),
        ),
        max_size=8,
    )
)
def test_any_history_of_batches_and_compactions(history: list[str | list[tuple[int, date]]]) -> None:
    """Against a dictionary: the first of each (day, id) is stored, and no compaction changes anything."""
    import tempfile
    from pathlib import Path

    model: dict[tuple[date, str], int] = {}
    with tempfile.TemporaryDirectory(dir=kit.FAST) as folder:
        store = layout.create(Path(folder) / "s")
        for number, step in enumerate(history):
            if isinstance(step, str):
                kit.here(store.root, step, str(DAY_2))
                continue
            kit.ingest(store, *(event(f"e{n}", day, v=number * 10 + place) for place, (n, day) in enumerate(step)))
            for place, (n, day) in enumerate(step):
                model.setdefault((day, f"e{n}"), number * 10 + place)
            found = kit.rows(store, "date, event_id, CAST(json_extract(properties, '$.v') AS INT)")
            assert {(day, name): value for day, name, value in found} == model
            assert len(found) == len(model)
        kit.sound(store)
