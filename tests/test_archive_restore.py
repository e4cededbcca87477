"""Days come back: checked first, each event once and as it was, nobody who was erased, and they may go again."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import archivekit
import pytest
import storekit as kit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from storekit import DAY_1, DAY_2, DAY_3, NOW, event
from torture import much

from evlog import purge
from evlog.archive import log, out, restore
from evlog.archive.seal import Seal
from evlog.person import erase
from evlog.store import audit, layout, rollups, tombstones
from evlog.store.snapshot import StoreBusy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    from archivekit import Here

OLD = [DAY_1, DAY_2, DAY_3]
GONE = ("archive", "--older-than", "90d", "--to", "arc")


@pytest.fixture
def evlog(monkeypatch: pytest.MonkeyPatch, capfdbinary: Any, tmp_path: Path) -> Iterator[Here]:
    archivekit.filled(tmp_path / "evlog-data")
    yield from archivekit.calls(monkeypatch, capfdbinary, tmp_path)


def moved(store: layout.Store, folder: Path, before: date) -> None:
    """Move days out, as the command does, but for rollups."""
    with out.writing(store, folder, Seal(), at=NOW) as writer:
        purge.apply(store, before, carrier=writer)


def back(store: layout.Store, folder: Path, **asked: Any) -> list[restore.Back]:
    return restore.restore(store, restore.Asked(folder, **asked), at=NOW)


def test_what_went_comes_back_as_it_was(evlog: Here) -> None:
    before = kit.rows(evlog.store)
    evlog(*GONE)
    told = evlog.json("archive", "restore", "arc")
    assert told["summary"] == {"days": 3, "events": 6, "stored": 6, "duplicates": 0, "erased": 0}
    assert kit.rows(evlog.store) == before
    kit.sound(evlog.store)
    kit.here(evlog.store.root, "compact", "2026-12-31")
    assert kit.rows(evlog.store) == before
    kit.sound(evlog.store)


def test_restoring_twice_stores_nothing(evlog: Here) -> None:
    evlog(*GONE)
    evlog("archive", "restore", "arc")
    before = kit.tree(evlog.store.root)
    told = evlog.json("archive", "restore", "arc")
    assert told["summary"] == {"days": 3, "events": 6, "stored": 0, "duplicates": 6, "erased": 0}
    assert kit.tree(evlog.store.root) == before


def test_a_range_of_days_and_only_these_are_open_again(evlog: Here) -> None:
    before = kit.rows(evlog.store)
    evlog(*GONE)
    told = evlog.json("archive", "restore", "arc", "--from", str(DAY_2), "--to", str(DAY_2))
    assert [row["date"] for row in told["rows"]] == [str(DAY_2)]
    assert kit.rows(evlog.store) == [row for row in before if row[-1] not in {DAY_1, DAY_3}]
    late = kit.ingest(evlog.store, event("late", DAY_2), event("late", DAY_1), event("b1", DAY_2))
    assert (late.tally.stored, late.tally.duplicates) == (1, 1)
    assert late.tally.reasons == {"beyond_retention": 1}
    assert evlog.json("archive", "restore", "arc", "--from", "2027-01-01")["rows"] == []


def test_the_next_purge_takes_restored_days_again_and_shuts_them(evlog: Here) -> None:
    evlog(*GONE)
    purged = tombstones.load(evlog.store).purged_before
    stays = kit.rows(evlog.store)
    evlog("archive", "restore", "arc")
    assert tombstones.load(evlog.store).restored == {str(day) for day in OLD}
    assert tombstones.load(evlog.store).purged_before == purged
    purge.apply(evlog.store, DAY_2)  # a longer retention than before
    assert tombstones.load(evlog.store).restored == {str(DAY_2), str(DAY_3)}
    assert kit.ingest(evlog.store, event("late", DAY_1)).tally.reasons == {"beyond_retention": 1}
    assert purged is not None
    purge.apply(evlog.store, purged)
    assert kit.rows(evlog.store) == stays
    assert tombstones.load(evlog.store).restored == frozenset()
    assert kit.ingest(evlog.store, event("late", DAY_2)).tally.reasons == {"beyond_retention": 1}
    kit.sound(evlog.store)


def test_a_restored_day_is_marked_for_rollups_and_told_in_the_audit_log(evlog: Here) -> None:
    evlog(*GONE)
    evlog("archive", "restore", "arc", "--to", str(DAY_1))
    assert {day: touch.why for day, touch in rollups.touched(evlog.store).items()} == {DAY_1: "restored"}
    [entry] = [entry for entry in audit.read(evlog.store) if entry["what"] == "archive restore"]
    assert entry["details"]["from"] == str(evlog.root / "arc")
    assert (entry["details"]["days"], entry["details"]["stored"]) == (1, 3)
    assert audit.findings(evlog.store) == []


@pytest.mark.long
@pytest.mark.parametrize("report", ["dau", "events", "active", "retention"])
def test_reports_go_on_telling_what_rollups_say(evlog: Here, report: str) -> None:
    asked = ("report", report, "--from", str(DAY_1), "--to", str(DAY_3), "--as-of", str(NOW.date()))
    evlog("rollup", "--as-of", str(NOW.date()))
    evlog(*GONE)
    gone = evlog.json(*asked)
    assert gone["rows"]
    evlog("archive", "restore", "arc", "--from", str(DAY_2), "--to", str(DAY_2))
    known = gone["rows"], gone["summary"]
    back = evlog.json(*asked)
    assert (back["rows"], back["summary"]) == known
    assert evlog.json("rollup", "--as-of", str(NOW.date()))["rows"] == []
    again = evlog.json(*asked)
    assert (again["rows"], again["summary"]) == known


def test_days_that_never_rest_do_not_come_back(evlog: Here) -> None:
    evlog(*GONE)
    rules = replace(kit.RULES, backfill=True)

    def late(_done: int, _total: int) -> None:
        kit.ingest(evlog.store, event(f"new{len(kit.rows(evlog.store))}"), rules=rules)

    with pytest.raises(StoreBusy, match=r"events kept coming into days .* none of them did") as told:
        restore.restore(evlog.store, restore.Asked(evlog.root / "arc"), at=NOW, seen=late)
    assert told.value.hint == "run it again once nothing sends events of these days any more"
    assert {row[-1] for row in kit.rows(evlog.store)}.isdisjoint({DAY_2, DAY_3})
    assert evlog.json("archive", "restore", "arc")["summary"]["stored"] == 6


def test_a_dry_run_counts_and_stores_nothing(evlog: Here) -> None:
    evlog(*GONE)
    before = kit.tree(evlog.store.root)
    assert evlog.json("archive", "restore", "arc", "--dry-run")["summary"]["stored"] == 6
    assert kit.tree(evlog.store.root) == before


@pytest.mark.parametrize("change", ["a byte", "cut", "gone", "manifest", "swapped"])
def test_what_was_changed_is_refused_whole(evlog: Here, change: str) -> None:
    evlog(*GONE)
    before = kit.tree(evlog.store.root)
    one, two = (evlog.root / "arc" / f"date={day}" / "events.parquet" for day in (DAY_1, DAY_2))
    manifest = evlog.root / "arc" / "manifest.ndjson"
    if change == "a byte":
        raw = bytearray(two.read_bytes())
        raw[len(raw) // 2] ^= 1
        two.write_bytes(raw)
    elif change == "cut":
        two.write_bytes(two.read_bytes()[:-1])
    elif change == "gone":
        two.unlink()
    elif change == "swapped":
        first, second = one.read_bytes(), two.read_bytes()
        one.write_bytes(second)
        two.write_bytes(first)
    else:
        manifest.write_bytes(manifest.read_bytes().splitlines(keepends=True)[0])
    code, _, err = evlog("archive", "restore", "arc")
    assert code == 1
    assert "nothing was restored" in err
    assert kit.tree(evlog.store.root) == before


def test_an_archive_of_another_store_needs_force(evlog: Here) -> None:
    before = kit.rows(evlog.store)
    evlog(*GONE)
    evlog("--data", "other", "init")
    layout.create(evlog.root / "other")
    code, _, err = evlog("--data", "other", "archive", "restore", "arc")
    assert (code, "another store" in err) == (1, True)
    assert evlog("--data", "other", "archive", "restore", "arc", "--force")[0] == 0
    theirs = layout.open_store(evlog.root / "other")
    assert kit.rows(theirs) == [row for row in before if row[-1] in OLD]
    kit.sound(theirs)


def test_a_manifest_that_was_written_anew_needs_force(evlog: Here) -> None:
    """Checksums that fit each other prove nothing: the audit log knows what was written."""
    evlog(*GONE)
    manifest = evlog.root / "arc" / "manifest.ndjson"
    lines = manifest.read_text().splitlines()
    body = json.loads(lines[0]) | {"rows": 99}
    manifest.write_text("\n".join([json.dumps(body), *lines[1:]]) + "\n")
    code, _, err = evlog("archive", "restore", "arc")
    assert (code, "audit log" in err) == (1, True)
    assert evlog("archive", "restore", "arc", "--force")[0] == 0


def test_forged_parquet_with_fitting_checksums_is_no_way_around_the_days(evlog: Here) -> None:
    evlog(*GONE)
    folder = evlog.root / "arc"
    shutil.copy(folder / f"date={DAY_2}" / "events.parquet", folder / f"date={DAY_1}" / "events.parquet")
    one, two, three = (json.loads(line) for line in (folder / "manifest.ndjson").read_text().splitlines())
    told = {name: two[name] for name in ("rows", "bytes", "sha256", "content")}
    lines = [json.dumps(body) + "\n" for body in (one | told, two, three)]
    (folder / "manifest.ndjson").write_text("".join(lines))
    before = kit.tree(evlog.store.root)
    code, _, err = evlog("archive", "restore", "arc", "--force")
    assert (code, "belongs to another day" in err) == (1, True)
    assert kit.tree(evlog.store.root) == before


# -- the erased ----------------------------------------------------------------------------------------------------------

ALICE = "alice_the_erased"


@pytest.fixture
def spoken(tmp_path: Path) -> layout.Store:
    store = layout.create(tmp_path / "s")
    kit.ingest(
        store,
        event("1", user=ALICE),
        event("2", user=None, anonymous_id=ALICE),
        event("3", anonymous_id=ALICE, note=f"met {ALICE}, twice", deep=[{ALICE: ALICE}]),
        event("4", target_type="user", target_id=ALICE),
        event("5"),
    )
    return store


def test_the_erased_stay_out(spoken: layout.Store, tmp_path: Path) -> None:
    moved(spoken, tmp_path / "arc", DAY_2)
    erase.erase(spoken, ALICE)
    [told] = back(spoken, tmp_path / "arc")
    assert (told.events, told.stored, told.erased) == (5, 3, 2)
    assert kit.ids(spoken) == ["3", "4", "5"]
    held = b"".join(path.read_bytes() for path in spoken.root.rglob("*") if path.is_file())
    assert ALICE.encode() not in held
    third = next(row for row in kit.rows(spoken, "event_id, anonymous_id, properties") if row[0] == "3")
    assert third[1] == "[erased]"
    assert json.loads(third[2]) == {"note": "met [erased], twice", "deep": [{"[erased]": "[erased]"}]}
    kit.sound(spoken)
    assert [one.erased for one in back(spoken, tmp_path / "arc")] == [2]


def test_a_day_of_none_but_the_erased_stays_gone(tmp_path: Path) -> None:
    store = layout.create(tmp_path / "s")
    kit.ingest(store, event("1", user=ALICE), event("2", DAY_2))
    moved(store, tmp_path / "arc", DAY_2)
    erase.erase(store, ALICE)
    before = kit.tree(store.root)
    assert back(store, tmp_path / "arc") == [restore.Back(DAY_1, 1, 0, 0, 1)]
    assert kit.tree(store.root) == before
    assert tombstones.load(store).purged(str(DAY_1))


# -- any store -----------------------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('abcé"', max_size=3), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 3), st.sampled_from(["bob", "ann", None]), st.dictionaries(st.text("kqx", min_size=1), VALUES)
    ),
    max_size=6,
)


@settings(max_examples=much(18, 2), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(EVENTS, st.booleans()), min_size=1, max_size=3), st.integers(1, 4))
def test_any_store_is_the_same_after_there_and_back(batches: list[tuple[list[Any], bool]], keep: int) -> None:
    import tempfile
    from datetime import timedelta
    from pathlib import Path

    with tempfile.TemporaryDirectory(dir=kit.FAST) as folder:
        store, archive = layout.create(Path(folder) / "s"), Path(folder) / "a"
        sent = []
        for number, (events, compacted) in enumerate(batches):
            sent.append([
                event(f"e{number}-{n}", DAY_1 + timedelta(days=offset), user, properties=told)
                for n, (offset, user, told) in enumerate(events)
            ])  # fmt: skip
            kit.ingest(store, *sent[-1])
            if compacted:
                kit.here(store.root, "compact", "2027-01-01")
        before, boundary = kit.rows(store), DAY_1 + timedelta(days=keep)
        moved(store, archive, boundary)
        left = [row for row in before if row[-1] < boundary]
        assert kit.rows(store) == [row for row in before if row[-1] >= boundary]
        if not left:
            return
        assert sum(one.stored for one in back(store, archive)) == len(left)
        assert kit.rows(store) == before
        kit.sound(store)
        again = [kit.ingest(store, *events).tally for events in sent if events]
        assert all(
            (one.stored, one.rejected) == (0, 0) for one in again
        )  # sent again it is a duplicate, not a conflict
        moved(store, archive, boundary)
        assert len(list(archive.rglob("*.parquet"))) == len({row[-1] for row in left})
        assert len(log.archives(store)) == 2
