"""Durations, revisions and parts: what brute force finds, and what must hold of any log."""

import dataclasses
from datetime import timedelta

import logs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import pairs as oracle
from questions import ONE_THREAD, answers, questions, scoped
from torture import much

from evlog import reports
from evlog.errors import UsageError
from evlog.kernel.pairs import ABANDON, COMPLETE, START, Acts, fates
from evlog.query.ask import ask
from evlog.query.scope import Pair, Part, Scope

PAIR = Pair("start", "done", timedelta(hours=4), "leave")
KINDS = ["start", "done", "leave"]
ASIDE = ("users", "abandon_median_s", "target_type")


def with_scope(scope, **said):
    return dataclasses.replace(scope, **said)


def by_target(result):
    """The rows by group and target, as dicts by column."""
    names = [column.name for column in result.columns]
    told = [dict(zip(names, row, strict=True)) for row in result.rows]
    return {(row.pop("group", ""), (row.pop("target_type"), row.pop("target_id"))): row for row in told}


@settings(max_examples=much(75, 8), deadline=None)
@given(
    questions(KINDS),
    st.tuples(
        st.booleans(), st.sampled_from(["latest", "first"]), st.booleans(), st.sampled_from([None, "1h"]), st.booleans()
    ),
)
def test_durations_are_what_brute_force_finds(tmp_path_factory, question, options):
    events, scope = question
    cold, choice, active, longest, grouped = options
    scope = with_scope(scope, pairs=(PAIR,), by="feature" if grouped else None)
    options = {"pair": choice, "active_time": active, "max_duration": longest}
    (result,) = answers(tmp_path_factory, events, scope, cold, durations=options)
    cells = oracle.durations(events, scope, PAIR, choice=choice, active=active, longest=longest and timedelta(hours=1))
    told = {cell: {k: v for k, v in row.items() if k not in ASIDE} for cell, row in by_target(result).items()}
    assert told == {cell: pytest.approx(oracle.row(found)) for cell, found in cells.items()}
    for row in told.values():
        assert row["starts"] == row["completed"] + row["superseded"] + row["abandoned"] + row["open"]
        assert row["reopened"] <= row["orphan_complete"]
    medians = [row["median_s"] for row in told.values() if row["median_s"] is not None]
    assert grouped or medians == sorted(medians, reverse=True)
    assert result.summary["n"] == sum(row["n"] for row in told.values())


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), st.sampled_from([START, COMPLETE, ABANDON])), max_size=14),
    st.sampled_from(["latest", "first"]),
)
def test_every_start_has_one_fate(acts, choice):
    ordered = sorted(acts, key=lambda act: (act[0], act[1], act[2] != START))
    key, ts, kind = (
        (np.array(column, np.int64) for column in zip(*ordered, strict=True)) if acts else [np.zeros(0, int)] * 3
    )
    found = fates(Acts(key, ts, kind), choice)
    starts = kind == START
    said = [found.completed, found.abandoned, found.superseded, found.unmatched]
    assert (sum(flags.astype(int) for flags in said) == starts).all()
    lone = found.extra.astype(int) + found.orphan.astype(int)
    assert (lone == ((kind == COMPLETE) & (found.mate < 0))).all()
    paired = np.flatnonzero(found.mate >= 0)
    assert (found.mate[found.mate[paired]] == paired).all()
    assert (key[found.mate[paired]] == key[paired]).all()
    ends = paired[kind[paired] != START]
    assert (ts[ends] >= ts[found.mate[ends]]).all()
    assert not (found.reopened & ~found.orphan).any()


@settings(max_examples=much(36, 4), deadline=None)
@given(questions(KINDS), st.booleans(), st.sampled_from(["0s", "17m", "1h"]), st.booleans())
def test_revisions_are_what_brute_force_finds(tmp_path_factory, question, cold, gap, grouped):
    events, scope = question
    scope = with_scope(scope, by="feature" if grouped else None)
    least = {"0s": timedelta(0), "17m": timedelta(minutes=17), "1h": timedelta(hours=1)}[gap]
    options = {"event": ("done", "leave"), "min_gap": gap}
    (result,) = answers(tmp_path_factory, events, scope, cold, revisions=options)
    cells = oracle.revisions(events, scope, {"done", "leave"}, least=least)
    rows = by_target(result)
    assert {
        cell: (row["users"], row["submissions"], row["revised_users"], row["max_revisions"])
        for cell, row in rows.items()
    } == {
        cell: (len(held), sum(map(len, held)), sum(len(one) > 1 for one in held), max(map(len, held)) - 1)
        for cell, held in cells.items()
    }
    for row in rows.values():
        assert row["mean_revisions"] == pytest.approx((row["submissions"] - row["users"]) / row["users"])
        assert row["revision_rate"] == pytest.approx(row["revised_users"] / row["users"])


@settings(max_examples=much(36, 4), deadline=None)
@given(questions(KINDS), st.booleans())
def test_parts_are_what_brute_force_finds(tmp_path_factory, question, cold):
    events, scope = question
    parts = (
        Part("all", ("t1", "t2"), ("t1", "t2")),
        Part("second", ("t2",), ("t2",)),
        Part("some", ("t1", "t2"), ("t1",)),
    )
    events = [{key: value for key, value in event.items() if key != "target_type"} for event in events]
    (result,) = answers(
        tmp_path_factory, events, with_scope(scope, pairs=(PAIR,), parts=parts), cold, dropoff={"parts": True}
    )
    assert [row[:3] for row in result.rows] == oracle.parts(events, with_scope(scope, parts=parts), PAIR)


def test_a_long_log_of_one_person_stays_exact():
    count = 200_000
    ts = np.arange(count, dtype=np.int64)
    found = fates(Acts(np.zeros(count, np.int64), ts, ts % 2), "latest")
    assert found.completed.sum() == count // 2
    assert (found.mate[1::2] == ts[::2]).all()


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("durations", {"active_time": True, "duration": "event"}, "exclude each other"),
        ("durations", {"start": "a"}, "--start and --complete go together"),
        ("durations", {}, "names no start and complete pair"),
        ("revisions", {}, "names no start and complete pair"),
        ("durations", {"start": "a", "complete": "b", "max_duration": "x"}, "'x' is no duration"),
        ("dropoff", {"parts": True, "start": "a", "complete": "b"}, "the plan names no parts"),
        ("dropoff", {"parts": True, "like": "dreamtree"}, "--parts and --like dreamtree exclude each other"),
    ],
)
def test_what_cannot_be_answered_is_told(tmp_path, name, options, told):
    scope, _ = scoped({"from": "2026-03-01", "to": "2026-03-01"})
    with pytest.raises(UsageError, match=told) as caught:
        ask(
            logs.store(tmp_path, logs.events("2026-03-01 09:00 u1 view_page")),
            scope,
            reports.load(name).report,
            limits=ONE_THREAD,
            **options,
        )
    assert caught.value.hint


@pytest.mark.parametrize("name", ["durations", "revisions"])
def test_an_empty_store_has_an_answer(tmp_path, name):
    scope, _ = scoped({"from": "2026-03-01", "to": "2026-03-02", "tz": "Europe/Berlin"})
    scope = Scope(scope.window, pairs=(PAIR,), by="feature")
    result = ask(logs.store(tmp_path, []), scope, reports.load(name).report)
    assert (result.rows, result.events_read) == ((), 0)
    assert "the store holds no event yet: evlog ingest FILE" in result.notes
