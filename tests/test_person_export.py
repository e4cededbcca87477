"""Everything about one person, from every tier, in canonical order; nothing about anybody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import storekit as kit
from storekit import DAY_1, DAY_2, event

from evlog.event.record import COLUMNS
from evlog.person.export import export
from evlog.store import layout

if TYPE_CHECKING:
    from pathlib import Path


def test_every_event_of_the_user_and_no_other(tmp_path: Path) -> None:
    store = layout.create(tmp_path / "s")
    kit.ingest(
        store, event("3", DAY_2, "zoe"), event("1", DAY_1, "zoe", n=1), event("x", DAY_1, "bob", note="zoe"),
        event("2", DAY_1, None, anonymous_id="zoe"), event("y", DAY_1, "bob", anonymous_id="zoe"), event("z", DAY_1, "zoe2"),
    )  # fmt: skip
    whole = export(store, "zoe")
    assert whole.names == (*COLUMNS[:3], *COLUMNS[3:], "date")
    assert [row[0] for row in whole.rows] == ["1", "2", "3"]
    kit.here(store.root, "compact", str(DAY_2))
    assert export(store, "zoe").rows == whole.rows
    assert export(store, "nobody").rows == []
    kit.here(store.root, "delete", "zoe")
    assert export(store, "zoe").rows == []
    assert [row[0] for row in export(store, "bob").rows] == ["x", "y"]


def test_an_empty_store(tmp_path: Path) -> None:
    assert export(layout.create(tmp_path / "s"), "zoe").rows == []
