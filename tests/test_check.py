"""What `evlog check` promises: each check holds on a log that is fine, and fails on one that is not, with its day."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import storekit as kit
from checkup import Desk, changed, days, desk, event, later

from evlog.check import CHECKS
from evlog.check.finding import Daily, Measure, by_day
from evlog.store import journal, layout, runs

__all__ = ["desk"]  # a fixture
END = ("--as-of", "2026-03-10", "--days", "10")
PLAN = """
[events.buy.properties]
price = {{ type = "number", {price} }}
size = {{ type = "string", {size} }}
[events.view]
required = [{view}]
additional = true
[events.buy]
required = []
"""


def plan(**said: str) -> None:
    Path("plan.toml").write_text(
        PLAN.format(**{"price": "required = false", "size": "required = false", "view": "", **said})
    )


def failed(desk: Desk, name: str, *words: str, since: str | None, until: str | None = None) -> dict:
    """The finding of a check that must fail alone, loudly and with its day."""
    code, found, err = desk.checked("--only", name.partition(".")[0], *(words or END))
    assert code == 1
    one = found[name]
    assert (one["verdict"], one["since"], one["until"]) == ("failed", since, until)
    assert one["value"] > one["threshold"]
    assert one["says"]
    assert one["todo"]
    (line,) = [line for line in err.splitlines() if f" {name} " in line]
    assert line.startswith(f"evlog: check {name} failed since {since}" if since else f"evlog: check {name} failed")
    assert one["todo"] in line
    return one


def fine(desk: Desk, name: str, *words: str, verdict: str = "ok") -> dict:
    """The finding of a check that must hold, or have nothing to judge."""
    code, found, err = desk.checked("--only", name.partition(".")[0], *(words or END))
    assert (code, err, found[name]["verdict"], found[name]["since"]) == (0, "", verdict, None)
    assert found[name]["todo"] == ""
    return found[name]


# -- completeness --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["user_id", "session_id"])
def test_a_field_that_events_lack_fails_from_the_day_on_which_they_began_to(desk, field):
    desk.ingest(*changed(days(1, 10, 20), lambda day, n: n == 0, **{field: None}))
    assert fine(desk, f"nulls.{field}")["value"] == 0.05  # 5% is not above 5%
    desk.ingest(*changed(days(1, 10, 20), lambda day, n: day >= 7 and 1 <= n <= 2, event_id=None, **{field: None}))
    assert failed(desk, f"nulls.{field}", since="2026-03-07")["value"] == pytest.approx(3 / 22)


def test_who_is_anonymous_is_somebody_and_a_session_that_nobody_sends_is_not_missing(desk):
    desk.ingest(*changed(days(1, 10), lambda day, n: True, user_id=None, session_id=None, anonymous_id="a1"))
    fine(desk, "nulls.user_id")
    fine(desk, "nulls.session_id", verdict="no data")


def test_types_that_make_nobody_active_need_no_user(desk):
    desk.ingest(*changed(days(1, 10), lambda day, n: n < 5, user_id=None, event_type="job_done"))
    failed(desk, "nulls.user_id", since="2026-03-01")
    Path("plan.toml").write_text('inactive = ["job_done"]\n')
    desk.evlog("init")
    fine(desk, "nulls.user_id", "--plan", "plan.toml", *END)


def test_what_the_plan_requires_by_now_is_looked_for_in_what_came_before(desk):
    desk.ingest(
        *changed(days(1, 10), lambda day, n: day < 9, target_id="t1"), event("b", "2026-03-10T10:00:00Z", "buy")
    )
    plan()
    fine(desk, "required", "--plan", "plan.toml", *END, verdict="no data")
    plan(view='"user_id"')
    fine(desk, "required", "--plan", "plan.toml", *END)
    plan(view='"target_id", "user_id"')
    assert "view.target_id" in failed(desk, "required", "--plan", "plan.toml", *END, since="2026-03-09")["says"]
    plan(price="required = true")
    assert "buy.price" in failed(desk, "required", "--plan", "plan.toml", *END, since="2026-03-10")["says"]


def test_lines_in_quarantine_count_on_the_day_of_their_event(desk):
    assert desk.ingest(*days(1, 10, 100)) == 0
    fine(desk, "quarantine")
    assert desk.ingest(*changed(days(8, 9, 3), lambda day, n: True, user_id="undefined", event_id=None)) == 3
    assert failed(desk, "quarantine", since="2026-03-08", until="2026-03-09")["value"] == pytest.approx(3 / 103)


# -- accuracy ------------------------------------------------------------------------------------------------------------


def pair(n: int, start: datetime | None, complete: datetime) -> list[dict]:
    who = {"user": f"u{n}", "target_type": "exercise", "target_id": "t"}
    began = [event(f"a{n}", start, "exercise_start", **who)] if start else []
    return [*began, event(f"b{n}", complete, "exercise_complete", **who)]


def test_a_completion_before_its_start(desk):
    noon = datetime(2026, 3, 5, 12)
    desk.ingest(*pair(1, noon, noon), *pair(2, datetime(2026, 2, 20), noon))  # the same instant is no earlier one
    assert fine(desk, "order")["value"] == 0
    fine(desk, "references")
    desk.ingest(*pair(3, later(noon, seconds=1), noon))
    assert failed(desk, "order", since="2026-03-05")["value"] == pytest.approx(1 / 3)
    fine(desk, "references")


def test_a_completion_of_what_was_never_started(desk):
    noon = datetime(2026, 3, 5, 12)
    desk.ingest(*pair(1, noon, noon), *pair(2, None, later(noon, days=1)))
    failed(desk, "references", since="2026-03-06")
    fine(desk, "order")


def test_values_outside_of_what_the_plan_lets_in(desk):
    sold = [
        event(f"b{n}", datetime(2026, 3, n, 9), "buy", properties={"price": n, "size": "big"}) for n in range(1, 11)
    ]
    desk.ingest(*sold)
    plan(price="min = 1, max = 10", size='one_of = ["big", "small"]')
    fine(desk, "ranges", "--plan", "plan.toml", *END)
    plan(price="min = 1, max = 7")
    assert "buy.price" in failed(desk, "ranges", "--plan", "plan.toml", *END, since="2026-03-08")["says"]
    plan(price="min = 3")
    failed(desk, "ranges", "--plan", "plan.toml", *END, since="2026-03-01", until="2026-03-02")
    plan(size='one_of = ["small"]')
    assert "buy.size" in failed(desk, "ranges", "--plan", "plan.toml", *END, since="2026-03-01")["says"]


def test_clocks_that_are_ahead(desk):
    now = datetime(2026, 3, 9, 12)
    desk.ingest(event("1", later(now, minutes=5)), at=now)
    fine(desk, "clocks")
    desk.ingest(event("2", later(now, minutes=5, seconds=1)))
    assert failed(desk, "clocks", since="2026-03-09")["value"] == 0.5


# -- timeliness ----------------------------------------------------------------------------------------------------------


def live(desk: Desk, day: int, lag: timedelta, *more: dict) -> None:
    """Twenty events that come in together, so long after they happened."""
    noon = datetime(2026, 3, day, 12)
    desk.ingest(*(event(f"l{day}-{n}", later(noon, milliseconds=n)) for n in range(20)), *more, at=noon + lag)


def test_events_that_take_long_to_come(desk):
    for day in (6, 7, 8, 9):
        live(desk, day, timedelta(minutes=5 if day < 8 else 9))
    found = failed(desk, "lag", since="2026-03-08")
    assert 500 < found["value"] <= 540
    fine(desk, "lag", *END, "--lag", "10m")


def test_the_slowest_twentieth_may_take_longer(desk):
    noon = datetime(2026, 3, 8, 12)
    slow = [event("slow", noon - timedelta(hours=3))]
    live(desk, 8, timedelta(minutes=1), *slow)
    fine(desk, "lag")
    slow = [event(f"slow{n}", datetime(2026, 3, 9, 9, n)) for n in range(2)]
    live(desk, 9, timedelta(minutes=1), *slow)
    failed(desk, "lag", since="2026-03-09")


def test_a_file_of_old_events_is_no_late_pipeline(desk):
    desk.ingest(*days(1, 9, 20), at=datetime(2026, 3, 10, 9))  # a ninth of them is less than a day old
    for name in ("lag", "late", "freshness"):
        fine(desk, name, verdict="no data")


def test_stragglers_among_live_events(desk):
    old = [event(f"o{n}", datetime(2026, 3, 4, 12, n)) for n in range(2)]
    live(desk, 8, timedelta(minutes=1), event("o", datetime(2026, 3, 7, 12, 0, 30)))
    assert fine(desk, "late")["value"] == pytest.approx(1 / 21)
    live(desk, 9, timedelta(minutes=1), *old)
    assert failed(desk, "late", since="2026-03-09")["value"] == pytest.approx(2 / 22)
    fine(desk, "lag")


def test_events_that_stop_coming(desk):
    live(desk, 8, timedelta(minutes=1))
    fine(desk, "freshness", "--as-of", "2026-03-10T12:00:00Z")
    failed(desk, "freshness", "--as-of", "2026-03-10T12:01:00Z", since="2026-03-10")
    failed(desk, "freshness", "--as-of", "2026-04-20T12:01:00Z", since="2026-03-10")
    fine(desk, "freshness", "--as-of", "2026-03-10T12:01:00Z", "--freshness", "3d")


# -- consistency ---------------------------------------------------------------------------------------------------------


def test_lines_that_are_offered_again(desk):
    desk.ingest(*days(9, 9, 100), at=datetime(2026, 3, 9, 23))
    desk.ingest(*days(9, 9, 1), *days(10, 10, 99), at=datetime(2026, 3, 10, 23))
    assert fine(desk, "duplicates")["value"] == 0.01
    desk.ingest(*days(9, 9, 2))
    assert failed(desk, "duplicates", since="2026-03-10")["value"] == pytest.approx(3 / 102)


def test_one_id_on_two_days(desk):
    desk.ingest(*days(8, 9, 50))
    fine(desk, "ids")
    again = [event(f"e8-{n}", "2026-03-09T20:00:00Z") for n in range(50)]
    desk.ingest(*again, event("e8-2", "2026-03-10T20:00:00Z"))
    assert failed(desk, "ids", since="2026-03-09")["value"] == 1
    assert failed(desk, "ids", "--as-of", "2026-03-09", since="2026-03-09")["value"] == 0.5
    desk.now = datetime(2026, 3, 20)
    desk.evlog("compact", "--all")
    assert failed(desk, "ids", since="2026-03-09")["value"] == 1
    desk.ingest(event("e8-1", "2026-03-08T21:00:00Z"), event("z", "2026-03-08T21:00:00Z"))
    desk.evlog("ingest", "in.ndjson", "--no-dedupe", "--quiet")
    failed(desk, "ids", "--as-of", "2026-03-08", since="2026-03-08")


def test_a_session_with_two_users(desk):
    desk.ingest(*days(1, 10))
    fine(desk, "sessions")
    desk.ingest(event("x", "2026-03-04T11:00:00Z", user="intruder", session_id="s4-3"))
    assert failed(desk, "sessions", since="2026-03-04", until="2026-03-04")["value"] == 0.1
    desk.evlog("user", "link", "intruder", "u3")
    fine(desk, "sessions")


@pytest.mark.long
def test_rolled_up_numbers_are_held_against_the_events(desk):
    desk.ingest(*days(8, 10))
    fine(desk, "rollups", verdict="no data")
    assert desk.evlog("rollup", "--grain", "day", "--as-of", "2026-03-10", "--from", "2026-03-09")[0] == 0
    assert fine(desk, "rollups")["value"] == 0
    path = next(Path("evlog-data/rollups").rglob("day/2026-03-09.rollup"))
    lines = path.read_text().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if '"metric":"dau"' in line and '"value":10' in line)
    lines[place] = lines[place].replace('"value":10', '"value":11')
    path.write_text("".join(lines))
    assert "dau" in failed(desk, "rollups", since="2026-03-09", until="2026-03-09")["says"]
    desk.ingest(event("new", "2026-03-09T20:00:00Z"))  # from here on the rollup itself knows that it is stale
    fine(desk, "rollups")


# -- ingest, abuse -------------------------------------------------------------------------------------------------------


def test_lines_that_are_rejected(desk):
    desk.ingest(*days(8, 8, 99), "nonsense", at=datetime(2026, 3, 8, 23))
    assert fine(desk, "rejects")["value"] == 0.01
    desk.ingest(*days(9, 9, 97), "nonsense", "more", "yet more", at=datetime(2026, 3, 9, 23))
    assert failed(desk, "rejects", since="2026-03-09")["value"] == 0.03
    desk.ingest(*days(10, 10, 99), at=datetime(2026, 3, 10, 23))
    failed(desk, "rejects", since="2026-03-09", until="2026-03-09")
    fine(desk, "rejects", "--as-of", "2026-03-10", "--days", "1")


def test_where_the_past_plays_now_the_newest_run_is_judged(desk):
    desk.ingest(*days(1, 2, 10), "nonsense", at=datetime(2026, 8, 1))
    failed(desk, "rejects", "--as-of", "latest", since="2026-08-01")
    fine(desk, "rejects", "--as-of", "2026-12-01", verdict="no data")


def test_ingest_that_is_slow(desk):
    desk.ingest(*days(1, 10, 10))
    fine(desk, "ingest_rate", *END, "--ingest-rate", "1", verdict="no data")
    desk.ingest(*(event(f"m{n}", "2026-03-09T10:00:00Z") for n in range(1000)))
    fine(desk, "ingest_rate", *END, "--ingest-rate", "1")
    failed(desk, "ingest_rate", *END, "--ingest-rate", "100000000000", since="2026-03-10")


def test_a_user_who_does_more_than_anybody(desk):
    desk.ingest(*changed(days(1, 10, 10), lambda day, n: day == 4 and n < 6, user_id="loop"))
    fine(desk, "rate_per_user")
    fine(desk, "rate_per_user", *END, "--rate-per-user", "6")
    assert (
        failed(desk, "rate_per_user", *END, "--rate-per-user", "5", since="2026-03-04", until="2026-03-04")["value"]
        == 6
    )
    fine(desk, "rate_per_user", *END, "--rate-per-user", "60%")
    found = failed(desk, "rate_per_user", *END, "--rate-per-user", "0.5", since="2026-03-04", until="2026-03-04")
    assert found["value"] == 0.6
    assert "loop" not in json.dumps(found["says"])  # a mail is no place for ids


def test_no_check_says_an_id(desk):
    desk.ingest(*changed(days(1, 10, 10), lambda day, n: n < 6, user_id="hans-secret", session_id="sess-secret"))
    code, out, err = desk.evlog("check", *END, "--rate-per-user", "1", "--format", "json")
    assert code == 1
    assert "secret" not in out + err


# -- jobs ----------------------------------------------------------------------------------------------------------------


def test_a_rollup_that_takes_long(desk):
    desk.ingest(*days(1, 10))
    fine(desk, "rollup_seconds", verdict="no data")
    store = layout.open_store(Path("evlog-data"))
    runs.append(store, "rollup", {"at": datetime(2026, 3, 8, 3, 15), "seconds": 60.0})
    fine(desk, "rollup_seconds")
    runs.append(store, "rollup", {"at": datetime(2026, 3, 9, 3, 15), "seconds": 61.0})
    runs.append(store, "rollup", {"at": datetime(2026, 3, 9, 4, 15), "seconds": 1.0})
    failed(desk, "rollup_seconds", since="2026-03-09")
    fine(desk, "rollup_seconds", *END, "--rollup-seconds", "61")


@pytest.mark.long
def test_a_rollup_that_is_overdue(desk):
    desk.ingest(*days(7, 10))
    fine(desk, "rollup_overdue", verdict="no data")
    failed(desk, "rollup_overdue", *END, "--expect-rollup", since="2026-03-08")
    desk.evlog("rollup", "--grain", "day", "--as-of", "2026-03-08T12:00:00Z")  # the 8th was not over
    fine(desk, "rollup_overdue", "--as-of", "2026-03-09T06:00:00Z")
    failed(desk, "rollup_overdue", "--as-of", "2026-03-09T06:00:01Z", since="2026-03-09")
    desk.evlog("rollup", "--grain", "day", "--as-of", "2026-03-10")
    fine(desk, "rollup_overdue", "--as-of", "2026-03-20")


def test_a_compaction_that_is_overdue(desk):
    desk.ingest(*days(1, 3), at=datetime(2026, 3, 3, 12))
    fine(desk, "compact_overdue", "--as-of", "2026-03-05T12:00:00Z")
    failed(desk, "compact_overdue", "--as-of", "2026-03-05T12:00:01Z", since="2026-03-05")
    desk.evlog("compact", "--all")
    fine(desk, "compact_overdue", "--as-of", "2026-04-01")
    desk.ingest(event("late", "2026-03-01T10:00:00Z"), at=datetime(2026, 3, 30))
    fine(desk, "compact_overdue", "--as-of", "2026-04-01T00:00:00Z")  # it came only two days ago


def test_a_purge_that_is_overdue(desk):
    desk.ingest(*days(1, 10))
    fine(desk, "purge_overdue", "--as-of", "2026-08-01", verdict="no data")
    failed(desk, "purge_overdue", "--as-of", "2026-08-01", "--older-than", "90d", since="2026-06-02")
    kit.here(Path("evlog-data"), "purge", "2026-03-06")
    fine(desk, "purge_overdue", "--as-of", "2026-06-07T00:00:00Z")
    failed(desk, "purge_overdue", "--as-of", "2026-06-08T12:00:00Z", since="2026-06-07")


def test_a_commit_that_was_never_applied(desk):
    desk.ingest(*days(1, 2))
    fine(desk, "commits")
    store = layout.open_store(Path("evlog-data"))
    (done,) = [path for path in store.journal.iterdir() if path.suffix == ".done"]
    done.rename(done.with_suffix(".json"))
    assert journal.unapplied(store)
    failed(desk, "commits", since=None)
    desk.evlog("verify", "--repair")
    fine(desk, "commits")


# -- since when ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "since", "until"),
    [
        ([0, 9, 9, 0], 2, 3),
        ([9, 0, 9, 9], 3, None),
        ([0, 9, None, 9, None], 2, None),
        ([9, None, 0, None], 1, 1),
        ([9], 1, None),
        ([0, None], None, None),
    ],
)
def test_since_is_the_first_day_of_the_newest_unbroken_run(values, since, until):
    measure = Measure("c", "accuracy", "count", 5, "do", "nothing")
    told = [Daily(datetime(2026, 3, n).date(), value, "") for n, value in enumerate(values, 1)]
    found = by_day(measure, reversed(told))
    assert (found.since and found.since.day, found.until and found.until.day) == (since, until)
    assert found.failed == (since is not None)


# -- the command ---------------------------------------------------------------------------------------------------------


def test_a_store_without_events_fails_nothing(desk):
    desk.evlog("init")
    code, found, err = desk.checked()
    assert (code, err) == (0, "")
    assert {one["verdict"] for one in found.values()} <= {"no data", "ok"}
    assert {name.partition(".")[0] for name in found} == set(CHECKS) - {"ingest_rate"}
    assert found["nulls.user_id"]["verdict"] == "no data"


def test_a_store_of_one_day_fails_nothing(desk):
    live(desk, 9, timedelta(minutes=1))
    code, found, err = desk.checked("--as-of", "2026-03-09")
    assert (code, err) == (0, "")
    assert found["lag"]["verdict"] == found["freshness"]["verdict"] == "ok"
    assert found["volume"]["verdict"] == "no data"


def test_the_document_for_monitors(desk):
    desk.ingest(*changed(days(1, 10), lambda day, n: n == 0, user_id=None))
    code, out, _ = desk.evlog("check", "--format", "json", *END)
    said = json.loads(out)
    assert code == 1
    assert (said["report"], said["summary"]["checks"], said["summary"]["failed"]) == ("check", len(said["rows"]), 1)
    assert said["params"]["from"] == "2026-03-01"
    keys = {"check", "dimension", "verdict", "value", "threshold", "unit", "since", "until", "says", "todo"}
    assert all(set(row) == keys for row in said["rows"])
    assert {row["verdict"] for row in said["rows"]} == {"ok", "failed", "no data"}
    assert all((row["value"] is None) == (row["verdict"] == "no data") for row in said["rows"])
    assert desk.evlog("check", "--format", "json", *END)[1] == out


def test_quiet_says_nothing_but_what_failed(desk):
    desk.ingest(*days(1, 10))
    assert desk.evlog("check", "--quiet", *END) == (0, "", "")
    desk.ingest(*(event(f"n{n}", "2026-03-10T10:00:00Z", user=None) for n in range(9)))
    code, out, err = desk.evlog("check", "--quiet", *END)
    assert (code, out) == (1, "")
    (line,) = [line for line in err.splitlines() if "nulls.user_id" in line]
    assert "since 2026-03-10" in line
    assert "9 of 19 events name nobody" in line


@pytest.mark.parametrize("how", ["flag", "environment", "file"])
def test_a_threshold_is_a_setting_like_any_other(desk, how, monkeypatch):
    desk.ingest(*changed(days(1, 10), lambda day, n: n == 0, user_id=None))
    failed(desk, "nulls.user_id", since="2026-03-01")
    words = list(END)
    for value, verdict in (("10%", "ok"), ("0.0999", "failed"), ("none", None)):
        if how == "flag":
            words = [*END, "--nulls", value]
        elif how == "environment":
            monkeypatch.setenv("EVLOG_CHECK_NULLS", value)
        else:
            Path("evlog.toml").write_text(f'[check]\nnulls = "{value}"\n')
        code, found, _ = desk.checked("--only", "nulls", *words)
        assert found.get("nulls.user_id", {}).get("verdict") == verdict
        assert code == (verdict == "failed")


@pytest.mark.parametrize("value", ["5", "1", "101%", "-1%", "many", "1e400", "nan", ""])
def test_a_threshold_that_is_none_is_refused(desk, value):
    desk.evlog("init")
    code, out, err = desk.evlog("check", "--nulls", value)
    assert (code, out) == (2, "")
    assert "--nulls: expected a share such as 1%, or none" in err


def test_a_check_that_is_not_there(desk):
    desk.evlog("init")
    code, out, err = desk.evlog("check", "--only", "lags")
    assert (code, out) == (2, "")
    assert "there is no check 'lags'" in err
    assert "rollup_overdue" in err


def test_a_missing_store_is_said(desk):
    code, out, err = desk.evlog("check")
    assert (code, out) == (1, "")
    assert "evlog init" in err


def test_check_changes_nothing(desk):
    desk.ingest(*days(1, 10), "nonsense")
    before = {path: path.read_bytes() for path in Path("evlog-data").rglob("*") if path.is_file()}
    desk.evlog("check", *END, "--expect", "dau>=1")
    assert {path: path.read_bytes() for path in Path("evlog-data").rglob("*") if path.is_file()} == before


def test_days_are_read_in_the_zone(desk):
    desk.ingest(*days(1, 10), *(event(f"n{n}", "2026-03-05T23:30:00Z", user=None) for n in range(9)))
    failed(desk, "nulls.user_id", *END, since="2026-03-05", until="2026-03-05")
    failed(desk, "nulls.user_id", *END, "--tz", "Asia/Tokyo", since="2026-03-06", until="2026-03-06")


# -- the log of runs -----------------------------------------------------------------------------------------------------


def logged() -> list[dict]:
    return list(runs.read(layout.open_store(Path("evlog-data")), "ingest"))


def test_each_run_of_ingest_adds_a_line_of_numbers(desk):
    desk.ingest(*days(1, 1, 3), "nonsense", at=datetime(2026, 3, 2, 9, 0, 1))
    desk.ingest(*days(1, 1, 4))
    one, two = logged()
    assert one["at"] == "2026-03-02T09:00:01Z"
    assert (one["read"], one["stored"], one["rejected"], one["reasons"]) == (4, 3, 1, {"bad_json": 1})
    assert (two["read"], two["stored"], two["duplicates"]) == (4, 1, 3)
    assert all(line["seconds"] >= 0 for line in (one, two))
    text = Path("evlog-data/runs/ingest.log").read_text()
    assert not [word for word in ("in.ndjson", "e1-1", "u1", "s1-1") if word in text]


def test_a_dry_run_and_a_run_that_published_nothing_leave_no_line(desk):
    desk.ingest(*days(1, 1, 3))
    desk.evlog("ingest", "in.ndjson", "--dry-run")
    Path("bad").write_text("nonsense\n")
    assert desk.evlog("ingest", "bad", "--max-rejects", "0")[0] == 1
    assert len(logged()) == 1


def test_a_line_that_cannot_be_written_is_a_note_and_no_error(desk):
    desk.ingest(*days(1, 1, 3))
    log = Path("evlog-data/runs/ingest.log")
    log.unlink()
    log.mkdir()
    Path("in.ndjson").write_text(json.dumps(event("new", "2026-03-02T10:00:00Z")) + "\n")
    code, out, err = desk.evlog("ingest", "in.ndjson", "--format", "json")
    assert (code, json.loads(out)["stored"]) == (0, 1)
    assert "the events are stored" in err


def test_torn_and_strange_lines_of_the_log_are_passed_over(desk):
    desk.ingest(*days(9, 9, 10), at=datetime(2026, 3, 9, 12))
    with Path("evlog-data/runs/ingest.log").open("a") as log:
        log.write(
            '{"at":"never","read":1}\n{"read":5,"rejected":5}\n{"at":"2026-03-09T12:00:00Z","read":"x"}\n{"at":"20'
        )
    assert fine(desk, "rejects")["value"] == 0
    assert desk.evlog("status", "--format", "prometheus")[0] == 0
