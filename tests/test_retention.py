"""Retention and return rate against brute force, and what must hold between their modes (metrics §8)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import logs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import retention as oracle
from questions import answers, questions, scoped
from torture import much

from evlog import reports, window
from evlog.errors import UsageError
from evlog.query.ask import ask
from evlog.query.scope import Pair, Scope

SINGLE = [(n, n) for n in range(5)]


def rows(result):
    return [row[1:3] if len(row) > 4 else row[:3] for row in result.rows]


@settings(max_examples=much(60, 6), deadline=None)
@given(
    question=questions(["a", "b", "c"]),
    cold=st.booleans(),
    unit=st.sampled_from(["day", "week", "month"]),
    cohort=st.sampled_from(["first-ever", "first-in-range", "recurring"]),
    clock=st.sampled_from(["calendar", "rolling"]),
    mode=st.sampled_from(["on", "unbounded", "horizon", "brackets"]),
    after=st.booleans(),
    steps=st.sampled_from([(None, None), ("a", None), ("a", "b"), ("b", "b")]),
)
def test_retention_is_what_brute_force_finds(
    tmp_path_factory, *, question, cold, unit, cohort, clock, mode, after, steps
):
    events, scope = question
    spans = [(0, 0), (1, 2), (3, 4)] if mode == "brackets" else SINGLE
    how = {
        "unit": unit,
        "cohort": cohort,
        "clock": clock,
        "mode": "on" if mode in ("on", "brackets") else "unbounded",
        "horizon": 6 if mode == "horizon" else None,
    }
    options = {key: value for key, value in how.items() if key != "unit"} | {
        "period": unit,
        "periods": 5,
        "start": steps[0],
        "return_": steps[1],
        "p0": "return" if after else "cohort",
        "brackets": "0,1-2,3-4" if mode == "brackets" else None,
    }
    pooled, simple = (
        answers(tmp_path_factory, events, scope, cold, retention=options),
        answers(tmp_path_factory, events, scope, cold, retention={**options, "average": "simple"}),
    )
    expected = oracle.table(events, scope, start=steps[0], back=steps[1], spans=spans, after=after, **how)
    assert [(row[0], row[1], list(row[2])) for row in pooled[0].rows] == expected
    for row in pooled[0].rows:
        assert row[3] == [None if n is None or not row[1] else n / row[1] for n in row[2]]
    columns = range(len(spans))
    assert pooled[0].summary["rate"] == [_float(oracle.pooled(expected, n)) for n in columns]
    assert simple[0].summary["rate"] == pytest.approx([_float(oracle.simple(expected, n)) for n in columns])
    assert pooled[0].summary["size"] == sum(size for _, size, _ in expected)


def _float(share):
    return None if share is None else float(share)


@settings(max_examples=much(30, 3), deadline=None)
@given(questions(["a", "b"]), st.booleans(), st.sampled_from(["day", "week"]), st.sampled_from(["calendar", "rolling"]))
def test_what_must_hold_between_modes(tmp_path_factory, question, cold, unit, clock):
    """On ≤ unbounded in each cell; unbounded never rises; all of it shares of a cohort."""
    events, scope = question
    common = {"period": unit, "periods": 5, "clock": clock}
    on, unbounded = (
        answers(tmp_path_factory, events, scope, cold, retention={**common, "mode": mode})[0]
        for mode in ("on", "unbounded")
    )
    for one, other in zip(on.rows, unbounded.rows, strict=True):
        pairs = [(a, b) for a, b in zip(one[2], other[2], strict=True) if a is not None]
        assert all(a <= b <= one[1] for a, b in pairs)
        assert [b for _, b in pairs] == sorted((b for _, b in pairs), reverse=True)
        assert all(a == one[1] for a in one[2][:1] if a is not None)


@settings(max_examples=much(24, 2), deadline=None)
@given(questions(["a", "b"]), st.booleans(), st.sampled_from(["on", "unbounded"]))
def test_clocks_agree_in_utc_where_all_begin_at_midnight(tmp_path_factory, question, cold, mode):
    events, scope = question
    events = [{**e, "ts": datetime.combine(e["ts"].date(), datetime.min.time())} for e in events]
    scope = replace(scope, window=replace(scope.window, tz="UTC"))
    calendar, rolling = (
        answers(
            tmp_path_factory, events, scope, cold,
            retention={"period": "day", "periods": 6, "mode": mode, "clock": clock},
        )[0]
        for clock in ("calendar", "rolling")
    )  # fmt: skip
    assert calendar.rows == rolling.rows


@pytest.mark.long
@settings(max_examples=much(60, 6), deadline=None)
@given(questions(["a", "b"]), st.booleans(), st.sampled_from(["first-ever", "first-in-range"]))
def test_groups_share_a_cohort_out(tmp_path_factory, question, cold, cohort):
    """Each person has the value of their start: the groups of a cohort add up to it, and so do their returns."""
    events, scope = question
    grouped = Scope(scope.window, scope.where, by="feature", include_anon=scope.include_anon, inactive=scope.inactive)
    options = {"period": "day", "cohort": cohort}
    (all_,) = answers(tmp_path_factory, events, scope, cold, retention=options)
    (each,) = answers(tmp_path_factory, events, grouped, cold, retention=options)
    for begin, size, cells, _ in all_.rows:
        mine = [row for row in each.rows if row[1] == begin]
        assert sum(row[2] for row in mine) == size
        for n, number in enumerate(cells):
            assert number is None or not mine or sum(row[3][n] for row in mine) == number
    assert each.summary == all_.summary


@settings(max_examples=much(60, 6), deadline=None)
@given(
    question=questions(["a", "b"]),
    cold=st.booleans(),
    days=st.integers(1, 4),
    later=st.sampled_from(["date", "any", "session"]),
    back=st.sampled_from([None, "b"]),
    data=st.data(),
)
def test_return_rates_are_what_brute_force_finds(tmp_path_factory, *, question, cold, days, later, back, data):
    events, scope = question
    events = [{**e, **data.draw(st.sampled_from([{}, {"session_id": "s1"}, {"session_id": "s2"}]))} for e in events]
    options = {"any_later": later == "any", "next_session": later == "session"}
    (result,) = answers(
        tmp_path_factory, events, scope, cold, returns={"after": "a", "return_": back, "within": f"{days}d", **options}
    )
    each, overall = oracle.returns(events, scope, after="a", back=back, days=days, later=later)
    assert list(result.rows) == each
    assert tuple(result.summary.values()) == overall


BASE = {"from": "2026-03-01", "to": "2026-03-03"}


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("retention", {"periods": 0}, "--periods 0"),
        ("retention", {"horizon": 9}, "--horizon is for --mode unbounded"),
        ("retention", {"horizon": 3, "mode": "unbounded"}, "--horizon 3 is out of range"),
        ("retention", {"brackets": "0,3-1"}, "'3-1' is no range"),
        ("retention", {"brackets": "0,x"}, "'x' is no range"),
        ("retention", {"brackets": "0", "mode": "unbounded"}, "exclude each other"),
        ("retention", {"start": ""}, "--start"),
        ("retention", {"return_": "a["}, "--return"),
        ("returns", {}, "--after is missing"),
        ("returns", {"after": "a", "within": "36h"}, "--within 36h"),
        ("returns", {"after": "a", "within": "0d"}, "--within 0d"),
        ("returns", {"after": "a", "any_later": True, "next_session": True}, "exclude each other"),
    ],
)
def test_what_makes_no_sense_is_told(tmp_path, name, options, says):
    scope, _ = scoped(BASE)
    with pytest.raises(UsageError) as told:
        ask(logs.store(tmp_path, []), scope, reports.load(name).report, **options)
    assert says in str(told.value)
    assert told.value.hint


@pytest.mark.parametrize("name", ["retention", "lifecycle"])
def test_an_empty_store_has_an_answer(tmp_path, name):
    scope, _ = scoped(BASE)
    result = ask(logs.store(tmp_path, []), scope, reports.load(name).report)
    assert result.events_read == 0
    assert result.notes[0] == "the store holds no event yet: evlog ingest FILE"
    assert all(row[1] == 0 for row in result.rows)
    assert result.rows


def test_the_plan_says_what_completes(tmp_path):
    scope, _ = scoped(BASE)
    store = logs.store(tmp_path, logs.events("2026-03-01 09:00 a done\n2026-03-02 09:00 a open"))
    scope = replace(scope, pairs=(Pair("start", "done"),), window=replace(scope.window, today=date(2026, 3, 9)))
    result = ask(store, scope, reports.load("returns").report, within="2d")
    assert result.rows[0] == (date(2026, 3, 1), 1, 1, 1.0, 1.0, 0)


def test_rolling_waits_for_the_last_of_the_cohort(tmp_path):
    """A cell is known once the last member has lived it, to the microsecond."""
    log = logs.events("2026-03-01 00:00 a go\n2026-03-01 23:00 b go")
    store = logs.store(tmp_path, log)
    end = datetime(2026, 3, 3, 23)
    for moment, known in ((end - timedelta(microseconds=1), False), (end, True)):
        now = window.at(moment, "UTC")
        scope = Scope(window.Window(date(2026, 3, 1), date(2026, 3, 9), now.instant, now.day))
        result = ask(store, scope, reports.load("retention").report, period="day", clock="rolling", periods=2)
        assert result.rows[0][2] == [2, 0 if known else None]
