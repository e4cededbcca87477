"""`--expect 'KEY OP NUMBER'`: what can be written, of which days it speaks, and what it says of the number."""

from __future__ import annotations

import json
import operator
from datetime import datetime
from pathlib import Path

import pytest
from checkup import Desk, changed, days, desk, event
from hypothesis import given, settings
from hypothesis import strategies as st

from evlog.check import expect
from evlog.errors import UsageError

__all__ = ["desk"]
MEANS = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}
KEYS = (
    "dau",
    "wau",
    "mau",
    "events",
    "users",
    "sessions",
    "error_rate",
    "reject_rate",
    "dropoff.completion_rate",
    "funnel sign up.conversion",
)
BLANK = st.sampled_from(["", " ", "  "])


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(KEYS),
    st.sampled_from([*MEANS]),
    st.one_of(st.integers(-9, 10**9), st.floats(0, 1e6)),
    BLANK,
    st.booleans(),
)
def test_what_is_written_is_what_is_read(key, op, number, blank, percent):
    found = expect.parse(f"{blank}{key}{blank}{op}{blank}{number!r}{'%' if percent else ''}{blank}")
    assert (found.key, found.op) == (key, op.replace("==", "="))
    assert found.number == pytest.approx(number / 100 if percent else number)
    for seen in (found.number, found.number - 1, found.number + 1):
        assert expect.OPERATORS[found.op](seen, found.number) == MEANS[op](seen, found.number)


@pytest.mark.parametrize(
    "text",
    ["", "dau", "dau>=", ">=100", "dau 100", "dau=>100", "dau>=many", "dau>=1,000", "dau>=100 users", "dau>=nan", "dau><5",
     "dau>=0x10", "dau>=1 2", "dau.>=1..", "\x1b[31mdau>=1", "dau >= 1; drop table", "nothing>=1", "nothing.x>=1", "dau()>=1"],
)  # fmt: skip
def test_what_cannot_be_read_names_the_operators(desk, text):
    with pytest.raises(UsageError):
        expect.parse(text)
    desk.evlog("init")
    code, out, err = desk.evlog("check", "--expect", text)
    assert (code, out) == (2, "")
    assert ">= <= != > < =" in err
    assert "dau>=100" in err
    assert "\x1b" not in err


def one(desk: Desk, text: str, *words: str) -> tuple[int, dict]:
    code, found, _ = desk.checked("--only", "commits", "--expect", text, *(words or ("--as-of", "2026-03-10")))
    (name,) = [name for name in found if name.startswith("expect")]
    return code, found[name]


@pytest.fixture
def fed(desk: Desk) -> Desk:
    """Ten users on each of ten days, of whom on the last only four came; an error of each, and one line refused."""
    log = [one for one in days(1, 10) if not one["event_id"].startswith("e10-") or int(one["event_id"][4:]) < 4]
    desk.ingest(*log, event("x", "2026-03-10T12:00:00Z", "error", user="u1", session_id="s10-1"), "nonsense")
    return desk


@pytest.mark.long
@pytest.mark.parametrize(
    ("key", "seen"),
    [
        ("dau", 4),
        ("users", 4),
        ("events", 5),
        ("sessions", 4),
        ("wau", 10),
        ("mau", 10),
        ("error_rate", 0.2),
        ("reject_rate", 1 / 96),
    ],
)
def test_a_number_of_the_last_whole_day(fed, key, seen):
    for op, holds in MEANS.items() if key == "dau" else [("<=", operator.le)]:
        code, found = one(fed, f"{key}{op}{seen + 1!r}")
        assert found["value"] == pytest.approx(seen)
        assert (code, found["verdict"]) == ((0, "ok") if holds(seen, seen + 1) else (1, "failed"))


def test_the_row_says_what_was_seen(fed):
    code, found, err = fed.checked("--only", "commits", "--expect", "dau >= 100", "--as-of", "2026-03-10")
    row = found["expect dau>=100"]
    assert (code, row["value"], row["threshold"], row["since"]) == (1, 4, 100, "2026-03-10")
    assert row["dimension"] == "expectation"
    assert err == "evlog: check expect dau>=100 failed since 2026-03-10: dau is 4 on 2026-03-10, expected >= 100\n"


def test_the_day_that_runs_is_not_whole_and_days_ask_of_more(fed):
    assert one(fed, "dau=10", "--as-of", "2026-03-10T20:00:00Z")[0] == 0
    assert one(fed, "dau=4", "--as-of", "2026-03-10")[0] == 0
    code, found = one(fed, "dau=8.5", "--as-of", "2026-03-10", "--days", "4")
    assert (code, found["value"]) == (0, 8.5)  # 10, 10, 10, 4; the error is of one of the four
    assert one(fed, "events=35", "--as-of", "2026-03-10", "--days", "4")[0] == 0


def test_a_day_without_events_breaks_an_expectation_and_has_no_rate(fed):
    code, found = one(fed, "dau>=1", "--as-of", "2026-03-20")
    assert (code, found["verdict"], found["value"]) == (1, "failed", 0)
    code, found = one(fed, "error_rate<=1%", "--as-of", "2026-03-20")
    assert (code, found["verdict"], found["value"]) == (0, "no data", None)


def test_every_expectation_is_told(fed):
    words = [word for text in ("dau>=1", "dau>=5", "events>1") for word in ("--expect", text)]
    code, found, err = fed.checked("--only", "commits", *words, "--as-of", "2026-03-10")
    assert code == 1
    assert {name: row["verdict"] for name, row in found.items() if name != "commits"} == {
        "expect dau>=1": "ok", "expect dau>=5": "failed", "expect events>1": "ok",
    }  # fmt: skip
    assert err.count("\n") == 1


def test_a_key_of_any_reports_summary(fed):
    summary = json.loads(
        fed.evlog("report", "lifecycle", "--as-of", "2026-03-10", "--days", "1", "--format", "json")[1]
    )["summary"]
    numbers = {key: value for key, value in summary.items() if isinstance(value, int | float)}
    assert numbers
    key, value = next(iter(numbers.items()))
    assert one(fed, f"lifecycle.{key}={value!r}")[0] == 0
    assert one(fed, f"lifecycle.{key}!={value!r}")[0] == 1


def test_drop_off_and_a_funnel_of_the_plan(desk):
    Path("plan.toml").write_text('[funnels."first one"]\nsteps = ["exercise_start", "exercise_complete"]\n')
    who = {"target_type": "exercise", "target_id": "t"}
    starts = changed(days(9, 9), lambda day, n: True, event_type="exercise_start", **who)
    done = changed(days(9, 9, 3), lambda day, n: True, event_type="exercise_complete", event_id=None, **who)
    desk.ingest(*starts, *done)
    words = ("--as-of", "2026-03-09", "--plan", "plan.toml")
    assert one(desk, "dropoff.completion_rate>=30%", *words)[0] == 0
    assert one(desk, "dropoff.dropoff_rate<0.7", *words)[0] == 1
    assert one(desk, "funnel first one.conversion=0.3", *words)[0] == 0
    code, _, err = desk.evlog("check", "--expect", "funnel second.conversion>0", *words)
    assert code == 2
    assert "names no funnel 'second'" in err
    assert "first one" in err


def test_a_summary_without_the_key_and_a_report_that_needs_more(fed):
    code, _, err = fed.evlog("check", "--expect", "dau.nothing>1")
    assert code == 2
    assert "dau_avg, peak, users" in err
    code, _, err = fed.evlog("check", "--expect", "top.values>1")
    assert code == 2
    assert "report top needs" in err


def test_settings_shape_the_reports_that_are_asked(fed, monkeypatch):
    sitting = [event(f"t{n}", f"2026-03-12T1{n}:00:00Z", user="z") for n in range(4)]
    fed.ingest(*sitting, at=datetime(2026, 3, 13))
    assert one(fed, "sessions=4", "--as-of", "2026-03-12")[0] == 0
    monkeypatch.setenv("EVLOG_SESSION_TIMEOUT", "2h")
    assert one(fed, "sessions=1", "--as-of", "2026-03-12")[0] == 0
