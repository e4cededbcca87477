"""The state of a store at a glance, counted from indexes and one look at the newest partitions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import storekit as kit
from storekit import DAY_1, DAY_2, NOW, event

from evlog import purge
from evlog.status import status
from evlog.store import layout

if TYPE_CHECKING:
    from pathlib import Path


def test_an_empty_store(tmp_path: Path) -> None:
    told = status(layout.create(tmp_path / "s"), now=NOW)
    assert (told.events, told.segments, told.parts, told.bytes, told.batches) == (0, 0, 0, 0, 0)
    assert (told.first_day, told.last_day, told.newest_event, told.last_received) == (None,) * 4
    assert told.rejects == {}


def test_it_counts_what_is_there(tmp_path: Path) -> None:
    store = layout.create(tmp_path / "s")
    kit.ingest(store, event("1"), event("2", user="eve"), event("3", DAY_2), b"{bad", b"{worse", event("1", n=2))
    kit.here(store.root, "compact", str(DAY_2))
    kit.ingest(store, event("4"), event("1"), now=NOW + timedelta(seconds=1))
    kit.here(store.root, "delete", "eve")
    told = status(store, now=NOW)
    assert (told.events, told.hot_events, told.cold_events) == (3, 2, 1) == (len(kit.rows(store)), 2, 1)
    assert (told.segments, told.parts, told.to_compact) == (2, 1, 2)
    assert (told.first_day, told.last_day) == (DAY_1, DAY_2)
    assert told.newest_event == datetime(2026, 1, 6, 10)
    assert told.last_received == NOW + timedelta(seconds=1)
    assert told.rejects == {"bad_json": 2, "id_conflict": 1}
    assert (told.erased_users, told.purged_before, told.unapplied) == (1, None, 0)
    files = [*(store.root / "events").rglob("*.ndjson"), *(store.root / "parquet").rglob("*.parquet")]
    assert told.bytes == sum(path.stat().st_size for path in files)
    kit.here(store.root, "purge", str(DAY_2))
    assert status(store, now=NOW).purged_before == DAY_2


def test_who_is_here_now(tmp_path: Path) -> None:
    store = layout.create(tmp_path / "s")
    seen = {"a": 0, "b": 4, "c": 6, "d": 29, "e": 31, "later": -1}
    for name, minutes in seen.items():
        kit.ingest(store, {**event(name, user=name), "ts": f"{NOW - timedelta(minutes=minutes)}Z".replace(" ", "T")})
    told = status(store, now=NOW)
    assert (told.users_5m, told.users_30m) == (2, 4)


def test_the_last_receipt_outlives_compaction(tmp_path: Path) -> None:
    """Every commit carries it on, so that the clock can be held against it when no segment is left."""
    store = layout.create(tmp_path / "s")
    kit.ingest(store, event("1"))
    kit.here(store.root, "compact", str(DAY_2))
    told = status(store, now=NOW)
    assert (told.segments, told.last_received) == (0, NOW)
    assert purge.plan(store, before=DAY_1).newest_received == layout.received_text(NOW)
