"""Events for purged days stay out, unless somebody lets them in: then they are there until the next purge."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import archivekit
import pytest
import storekit as kit
from archivekit import NOW
from storekit import DAY_1, DAY_2, event

from evlog import purge, replay
from evlog.store import quarantine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archivekit import Here


@pytest.fixture
def evlog(monkeypatch: pytest.MonkeyPatch, capfdbinary: Any, tmp_path: Path) -> Iterator[Here]:
    archivekit.filled(tmp_path / "evlog-data")
    kit.written(tmp_path / "late.ndjson", event("late"), event("late", DAY_2), event("fine", archivekit.KEPT))
    yield from archivekit.calls(monkeypatch, capfdbinary, tmp_path)


def test_late_events_are_refused_or_let_in_until_the_next_purge(evlog: Here) -> None:
    evlog("purge", "--older-than", "90d")
    refused = evlog.json("ingest", "late.ndjson", code=3)
    assert (refused["stored"], refused["reasons"]) == (1, {"beyond_retention": 2})
    code, _, err = evlog("ingest", "--backfill", "late.ndjson")
    assert code == 0
    assert "2 events went into purged days" in err
    assert kit.ids(evlog.store).count("late") == 2
    kit.sound(evlog.store)
    again = evlog.json("ingest", "--backfill", "late.ndjson")
    assert (again["stored"], again["duplicates"]) == (0, 3)
    assert evlog.json("ingest", "late.ndjson", code=3)["reasons"] == {"beyond_retention": 2}
    done = evlog.json("purge", "--older-than", "90d")
    assert [row["events"] for row in done["rows"]] == [1, 1]
    assert "late" not in kit.ids(evlog.store)
    assert evlog.json("ingest", "late.ndjson", code=3)["reasons"] == {"beyond_retention": 2}


def test_nothing_is_said_where_no_purged_day_is_touched(evlog: Here) -> None:
    assert "purged" not in evlog("ingest", "--backfill", "late.ndjson")[2]
    evlog("purge", "--older-than", "90d")
    assert "purged" not in evlog("ingest", "--backfill", "--max-rejects", "9", str(evlog.root / "none.ndjson"))[2]


def test_a_dry_run_says_it_too_and_lets_nothing_in(evlog: Here) -> None:
    evlog("purge", "--older-than", "90d")
    before = kit.tree(evlog.store.root)
    code, _, err = evlog("ingest", "--backfill", "--dry-run", "late.ndjson")
    assert (code, "2 events went into purged days" in err) == (0, True)
    assert kit.tree(evlog.store.root) == before


def test_replay_lets_them_in_by_the_same_word(evlog: Here) -> None:
    purge.apply(evlog.store, DAY_2)
    assert kit.ingest(evlog.store, event("late"), now=NOW).tally.rejected == 1
    assert replay.run(evlog.store, kit.RULES, now=NOW).stayed == 1
    told = replay.run(evlog.store, replace(kit.RULES, backfill=True), now=NOW)
    assert (told.left, told.tally.stored) == (1, 1)
    assert list(quarantine.rejects(evlog.store)) == []
    assert "late" in kit.ids(evlog.store)
    assert purge.apply(evlog.store, DAY_2).events == 1


@pytest.mark.long
def test_a_frozen_rollup_is_not_counted_anew(monkeypatch: pytest.MonkeyPatch, capfdbinary: Any, tmp_path: Path) -> None:
    archivekit.filled(tmp_path / "evlog-data")
    kit.written(tmp_path / "late.ndjson", event("late", user="somebody else"))
    for evlog in archivekit.calls(monkeypatch, capfdbinary, tmp_path, rolls=True):
        asked = ("report", "dau", "--from", str(DAY_1), "--to", str(DAY_1))
        before = evlog.json(*asked)["rows"]
        evlog("purge", "--older-than", "90d")
        assert evlog("ingest", "--backfill", "late.ndjson")[0] == 0
        assert evlog("rollup", "--grain", "day", "--from", str(DAY_1), "--to", str(DAY_1))[0] == 0
        assert evlog.json(*asked)["rows"] == before == [{"date": str(DAY_1), "dau": 2}]
