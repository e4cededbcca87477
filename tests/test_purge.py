"""Purge is total and final: whole days go, from every tier, with what is in quarantine; and none comes in again."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import storekit as kit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from storekit import DAY_1, DAY_2, DAY_3, NOW, event
from torture import much

from evlog import purge, replay
from evlog.event.plan import Plan
from evlog.ingest.rules import Rules
from evlog.store import layout, quarantine

if TYPE_CHECKING:
    from pathlib import Path

OPEN = Plan.open()


@pytest.fixture
def store(tmp_path: Path) -> layout.Store:
    made = layout.create(tmp_path / "s")
    kit.ingest(made, event("1"), event("2", DAY_2), event("3", DAY_3))
    kit.here(made.root, "compact", str(DAY_3))
    kit.ingest(made, event("4"), event("5", DAY_2), event("6", DAY_3))
    return made


def test_whole_days_go_from_every_tier(store: layout.Store) -> None:
    kept = [row for row in kit.rows(store) if row[-1] >= DAY_2]
    planned = purge.plan(store, before=DAY_2)
    before = kit.tree(store.root)
    done = purge.apply(store, DAY_2)
    assert planned == done
    assert [(one.day, one.events) for one in done.days] == [(DAY_1, 2)]
    assert set(done.days[0].files) == {name for name in before if "2026-01-05" in name}
    assert done.days[0].bytes == sum(len(before[name]) for name in done.days[0].files)
    assert kit.rows(store) == kept
    assert not any("2026-01-05" in str(path) for path in store.root.rglob("*"))
    kit.sound(store)


def test_the_boundary_is_the_day_itself(store: layout.Store) -> None:
    """`before` stays: a retention of N days keeps the N days before today, and today."""
    purge.apply(store, DAY_2)
    assert {row[-1] for row in kit.rows(store)} == {DAY_2, DAY_3}
    assert purge.apply(store, DAY_2).days == ()


def test_late_events_are_refused_and_replay_brings_none_back(store: layout.Store) -> None:
    purge.apply(store, DAY_2)
    late = kit.ingest(
        store, event("late"), event("1"), event("fine", DAY_2), {**event("t"), "ts": "2026-01-06T00:30:00+01:00"}
    )
    assert late.tally.reasons == {"beyond_retention": 3}
    assert late.tally.stored == 1
    told = replay.run(store, kit.RULES, now=NOW)
    assert (told.left, told.stayed) == (0, 3)
    assert {row[-1] for row in kit.rows(store)} == {DAY_2, DAY_3}
    kit.sound(store)


def test_a_later_retention_does_not_open_the_days_again(store: layout.Store) -> None:
    purge.apply(store, DAY_3)
    purge.apply(store, DAY_1)
    assert kit.ingest(store, event("late", DAY_2)).tally.reasons == {"beyond_retention": 1}


def test_backfill_is_let_in_when_asked_for(store: layout.Store) -> None:
    purge.apply(store, DAY_2)
    assert kit.ingest(store, event("late"), rules=Rules(plan=OPEN, backfill=True)).tally.stored == 1


def test_an_ingest_in_flight_meets_the_tombstone(store: layout.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from evlog.ingest import commit

    real, ran = commit.Committer.stage, []

    def staged(self: commit.Committer, *args: object) -> object:
        batch = real(self, *args)  # type: ignore[arg-type]
        if not ran:
            ran.append(purge.apply(store, DAY_2))
        return batch

    monkeypatch.setattr(commit.Committer, "stage", staged)
    outcome = kit.ingest(store, event("flying"), event("fine", DAY_2))
    assert (outcome.tally.stored, outcome.tally.rejected) == (1, 1)
    assert "flying" not in kit.ids(store)
    kit.sound(store)


def test_quarantine_ages_out(tmp_path: Path) -> None:
    store = layout.create(tmp_path / "s")
    old, new = NOW - timedelta(days=30), NOW
    kit.ingest(store, b"{old", now=old)
    kit.ingest(store, b"{cleared", now=old)
    kit.ingest(
        store,
        b"{new",
        event("x", DAY_2),
        event("x", DAY_2, other=1),
        event("y", DAY_3),
        event("y", DAY_3, other=1),
        now=new,
    )
    assert sorted(found.code for found in quarantine.rejects(store)) == ["bad_json"] * 3 + ["id_conflict"] * 2
    cleared = quarantine.files(store)[1]
    cleared.path.unlink()
    planned = purge.plan(store, before=DAY_3)
    assert planned.rejects == 2  # the old line, and the conflict of the day that goes
    assert purge.apply(store, DAY_3).rejects == 2
    assert sorted(found.raw[:4] for found in quarantine.rejects(store)) == [kit.lines(event("y"))[:4], b"{new"]
    assert sorted(path.suffix for path in store.quarantine.iterdir()) == [".ids", ".rejects"]
    kit.sound(store)


def test_more_than_half_is_told(store: layout.Store) -> None:
    assert not purge.plan(store, before=DAY_2).takes_most
    assert purge.plan(store, before=DAY_3).takes_most


def test_an_empty_store(tmp_path: Path) -> None:
    store = layout.create(tmp_path / "s")
    done = purge.apply(store, DAY_3)
    assert (done.days, done.rejects, done.total, done.newest_received) == ((), 0, 0, None)
    kit.sound(store)


@settings(max_examples=much(45, 5), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=8), st.integers(0, 7))
def test_any_store_keeps_exactly_the_days_from_the_boundary_on(batches: list[tuple[int, bool]], keep: int) -> None:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory(dir=kit.FAST) as folder:
        store = layout.create(Path(folder) / "s")
        for number, (offset, compacted) in enumerate(batches):
            kit.ingest(store, event(f"e{number}", DAY_1 + timedelta(days=offset)))
            if compacted:
                kit.here(store.root, "compact", "2027-01-01")
        before, boundary = kit.rows(store), DAY_1 + timedelta(days=keep)
        planned = purge.plan(store, before=boundary)
        done = purge.apply(store, boundary)
        assert dataclasses.replace(done) == planned
        assert kit.rows(store) == [row for row in before if row[-1] >= boundary]
        assert done.events == len(before) - len(kit.rows(store))
        assert {layout.day_of(path.name) for path in (store.root / "ids").iterdir()} == set(store.days())
        kit.sound(store)


def test_the_command_remembers_what_starts_a_pair_and_leaves_inactive_types_out() -> None:
    from types import SimpleNamespace

    from evlog.cli import leaving

    pairs = {"x": SimpleNamespace(start="begin"), "a": SimpleNamespace(start="open")}
    funnels = {"f": SimpleNamespace(steps=("visit|land[x=1]", "buy"))}
    plan = SimpleNamespace(inactive_types=frozenset({"ping"}), pairs=pairs, funnels=funnels)
    named = SimpleNamespace(remember=("signup",))
    told = leaving.remembered(SimpleNamespace(plan=lambda: plan, settings=named))  # type: ignore[arg-type]
    assert told == (["ping"], ["begin", "land", "open", "signup", "visit"])
    assert leaving.remembered(SimpleNamespace(plan=lambda: None, settings=named)) == ([], ["signup"])  # type: ignore[arg-type]


def test_what_is_kept_of_renamed_ids_goes_with_its_day(store: layout.Store) -> None:
    former = [store.tombstones / f"{day}.ids" for day in (DAY_1, DAY_2)]
    for path in former:
        path.touch()
    purge.apply(store, DAY_2)
    assert [path.exists() for path in former] == [False, True]


def test_a_purge_of_nothing_leaves_no_memory(store: layout.Store) -> None:
    before = kit.tree(store.root)
    purge.apply(store, DAY_1)
    assert kit.tree(store.root) == before


def test_a_rerun_changes_nothing(store: layout.Store) -> None:
    purge.apply(store, DAY_2)
    before = kit.tree(store.root)
    purge.apply(store, DAY_2)
    assert kit.tree(store.root) == before
