"""`evlog rollup` as people and cron call it."""

from __future__ import annotations

import json
import threading
from datetime import date
from typing import TYPE_CHECKING

import pytest
import storekit as kit
from storekit import DAY_1, DAY_2, event
from test_cli_calls import evlog

from evlog.store import layout, locks, rollups, runs

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["evlog"]  # a fixture
PLAN = """
[events.seen]
[events.stop]

[funnels.through]
steps = ["seen", "stop"]
window = "2d"
"""
AS_OF = ("--as-of", "2026-01-08")


@pytest.fixture
def store(tmp_path: Path) -> layout.Store:
    made = layout.create(tmp_path / "evlog-data")
    kit.ingest(made, event("1"), event("2", user="ann"), event("3", DAY_2, event_type="stop"))
    return made


def rolled(evlog, *words: str):
    code, out, err = evlog("rollup", *AS_OF, "--format", "json", *words)
    assert code == 0, err
    return json.loads(out)


def files(store: layout.Store) -> set[tuple[str, str]]:
    found = (name.split("/")[2:] for name in rollups.files(store))
    return {(grain, name.removesuffix(".rollup")) for grain, name in found}


@pytest.mark.long
def test_all_that_is_held_is_counted_and_the_second_run_finds_nothing(evlog, store):
    found = rolled(evlog)
    assert found["rows"] == []
    assert found["summary"]["periods"] == found["summary"]["first"] == 4 + 4 + 1 + 1
    assert {"provisional", "final", "frozen", "records"} <= found["summary"].keys()
    assert files(store) >= {
        ("hour", "2026-01-05"),
        ("day", "2026-01-08"),
        ("week", "2026-01-05"),
        ("month", "2026-01-01"),
    }
    again = evlog("rollup", *AS_OF)
    assert again[0] == 0
    assert again[2] == "there is nothing new to count\n"


@pytest.mark.long
def test_what_changed_is_told_with_the_old_number_the_new_one_and_the_reason(evlog, store):
    rolled(evlog)
    kit.ingest(store, event("late", user="cid"))
    found = rolled(evlog)
    dau = {"grain": "day", "period": "2026-01-05", "report": "dau", "metric": "dau", "dimension": "", "of": ""}
    assert dau | {"old": 2, "new": 3, "why": "late events"} in found["rows"]
    kit.ingest(store, event("late-2", user="dan"))
    code, out, err = evlog("rollup", *AS_OF)
    assert code == 0
    assert any(
        line.split() == ["day", "2026-01-05", "dau", "dau", "3", "4", "late", "events"] for line in out.splitlines()
    )
    assert "more numbers changed: see --format ndjson" in err


@pytest.mark.long
def test_a_range_is_counted_by_its_ends_or_its_length(evlog, store):
    rolled(evlog, "--grain", "day", "--from", "2026-01-06", "--to", "2026-01-07")
    assert files(store) == {("day", "2026-01-06"), ("day", "2026-01-07")}
    rolled(evlog, "--grain", "week", "--grain", "hour", "--days", "1")
    assert files(store) >= {("hour", "2026-01-08"), ("week", "2026-01-05")}
    rolled(evlog, "--grain", "day", "--to", "2026-01-05")
    assert ("day", "2026-01-05") in files(store)
    assert ("day", "2026-01-08") not in files(store)


def test_a_dry_run_says_which_periods_and_why_and_changes_nothing(evlog, store):
    before = kit.tree(store.root)
    code, out, err = evlog("rollup", *AS_OF, "--dry-run", "--grain", "day", "--format", "csv")
    assert code == 0
    assert out.splitlines()[:2] == [
        "grain,period,why,questions",
        f"day,2026-01-05,new,{out.splitlines()[1].split(',')[3]}",
    ]
    assert "dry run" in err
    assert kit.tree(store.root) == before


@pytest.mark.long
def test_a_zone_has_rollups_of_its_own(evlog, store):
    rolled(evlog)
    rolled(evlog, "--tz", "Europe/Berlin", "--grain", "day")
    assert {path.name for path in store.rollups.iterdir()} >= {"UTC", "Europe~Berlin"}
    assert rolled(evlog)["summary"]["periods"] == 0


@pytest.mark.long
def test_a_success_is_quiet_and_a_line_tells_of_each_run(evlog, store):
    assert evlog("--quiet", "rollup", *AS_OF) == (0, "", "")
    (line,) = runs.read(store, "rollup")
    assert line.keys() == {"at", "periods", "records", "changed", "seconds"}
    assert (line["at"], line["periods"]) == ("2026-01-09T00:00:00Z", 10)
    evlog("rollup", *AS_OF)
    assert [one["periods"] for one in runs.read(store, "rollup")] == [10, 0]


@pytest.mark.long
def test_the_funnels_of_the_plan_are_counted(evlog, store, tmp_path):
    (tmp_path / "plan.toml").write_text(PLAN)
    rolled(evlog, "--plan", str(tmp_path / "plan.toml"))
    _, sections = rollups.read(store.rollups / "UTC" / "day" / "2026-01-05.rollup")
    (name,) = [name for name in sections if name.startswith("funnel ")]
    users = {one.of: one.value for one in sections[name].records if one.metric == "users"}
    assert users == {'[1,"seen"]': 2, '[2,"stop"]': 1}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--grain", "year"), "--grain: expected hour, day, week or month, got 'year'"),
        (("--days", "3", "--from", "2026-01-05"), "exclude each other"),
        (("--from", "2026-01-07", "--to", "2026-01-05"), "ends (2026-01-05) before it begins"),
        (("--wait", "soon"), "--wait"),
    ],
)
def test_what_cannot_be_meant_is_said_at_once(evlog, store, words, says):
    code, _, err = evlog("rollup", *AS_OF, *words)
    assert code == 2
    assert says in err
    assert not files(store)


@pytest.mark.long
def test_two_at_once_do_not_get_into_each_others_way(evlog, store):
    with locks.maintenance(store, "rollup"):
        code, out, err = evlog("rollup", *AS_OF)
        assert (code, out) == (4, "")
        assert "evlog rollup" in err
        letting_go = threading.Event()
    done = []

    def holder() -> None:
        with locks.maintenance(store, "rollup"):
            letting_go.set()
            threading.Event().wait(0.3)
            done.append("first")

    thread = threading.Thread(target=holder)
    thread.start()
    letting_go.wait()
    assert rolled(evlog, "--wait", "1m")["summary"]["periods"] == 10
    thread.join()
    assert done == ["first"]


def test_no_store_is_told(evlog):
    assert evlog("rollup")[0] == 1


@pytest.mark.long
def test_purged_days_keep_what_was_counted_of_them(evlog, store):
    code, _, err = evlog("purge", "--older-than", "1d", "--as-of", "2026-01-07", "--yes", "--force")
    assert code == 0, err
    assert store.days() == [DAY_2]
    _, sections = rollups.read(store.rollups / "UTC" / "day" / f"{DAY_1}.rollup")
    assert [one.value for one in sections["dau"].records] == [2]
    before = (store.rollups / "UTC" / "day" / f"{DAY_1}.rollup").read_bytes()
    rolled(evlog)
    assert (store.rollups / "UTC" / "day" / f"{DAY_1}.rollup").read_bytes() == before
    assert date(2026, 1, 5) == DAY_1
