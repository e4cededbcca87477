"""Streaks and stickiness against brute force, and the identities of metrics §3."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import measures, people, suppression
from oracle import streaks as oracle
from questions import answers, questions
from torture import much

from evlog.query.scope import Scope

HOT, COLD = False, True


@settings(max_examples=much(45, 5), deadline=None)
@given(questions(["a", "b"]), st.booleans())
def test_streaks_are_what_brute_force_finds(tmp_path_factory, question, cold):
    events, scope = question
    streaks, dau = answers(tmp_path_factory, events, scope, cold, streaks={}, dau={})
    rows, summary = oracle.streaks(events, scope)
    assert list(streaks.rows) == rows
    assert streaks.summary == summary
    assert sum(users for _, users in rows) == dau.summary["users"]
    assert all(1 <= length <= len(scope.window.days) for length, _ in rows)


@settings(max_examples=much(45, 5), deadline=None)
@given(
    questions(["a", "b"]),
    st.booleans(),
    st.fixed_dictionaries(
        {"period": st.sampled_from(["day", "week", "month"]), "cumulative": st.booleans(), "point": st.booleans()}
    ),
)
def test_stickiness_is_what_brute_force_finds(tmp_path_factory, question, cold, options):
    events, scope = question
    unit, cumulative, point = options["period"], options["cumulative"], options["point"]
    (result,) = answers(tmp_path_factory, events, scope, cold, stickiness=options)
    assert list(result.rows) == oracle.bars(events, scope, lambda day: measures.begin(day, unit), cumulative=cumulative)
    ratio = oracle.dau_mau(events, scope, point=point)
    assert result.summary["dau_mau"] == (None if ratio is None else pytest.approx(float(ratio)))


@settings(max_examples=much(24, 2), deadline=None)
@given(questions(["a", "b"]))
def test_the_ratio_is_the_mean_of_the_histogram(tmp_path_factory, question):
    """Mean daily users / users = mean days active / days: in (0, 1]; bars sum to the users; cumulative bars fall."""
    events, scope = question
    exact, least = (answers(tmp_path_factory, events, scope, HOT, stickiness=o)[0] for o in ({}, {"cumulative": True}))
    users, days = exact.summary["users"], len(scope.window.days)
    assert sum(row[1] for row in exact.rows) == users == least.rows[0][1]
    assert len(exact.rows) == days
    if users:
        mean = sum(bar * count for bar, count in exact.rows) / users
        assert exact.summary["mean_days"] == pytest.approx(mean)
        assert exact.summary["dau_mau"] == pytest.approx(mean / days)
        assert 0 < exact.summary["dau_mau"] <= 1
    falling = [row[1] for row in least.rows]
    assert falling == sorted(falling, reverse=True)


@settings(max_examples=much(24, 2), deadline=None)
@given(questions(["a", "b"]), st.integers(0, 2))
def test_each_group_is_a_question_of_its_own(tmp_path_factory, question, least):
    events, scope = question
    grouped = Scope(
        scope.window,
        scope.where,
        by="feature",
        min_users=least,
        include_anon=scope.include_anon,
        inactive=scope.inactive,
    )
    streaks, stickiness = answers(tmp_path_factory, events, grouped, COLD, streaks={}, stickiness={})
    resolved = people.resolved(events, grouped)
    held = {}
    for event in people.in_window(resolved, grouped):
        held.setdefault(event.get("feature") or "(none)", []).append(event)
    runs, bars = [], []
    order = sorted(held, key=lambda name: (-measures.users(held[name]), -len(held[name]), name))
    cut = suppression.groups([{e["person"] for e in held[name]} - {None} for name in order], least)
    for place, name in enumerate(order):
        if place not in cut:
            mine = [e for e in resolved if (e.get("feature") or "(none)") == name]
            runs += [(name, *row) for row in oracle.streaks(mine, grouped)[0]]
            bars += [(name, *row) for row in oracle.bars(mine, grouped, lambda day: day, cumulative=False)]
    assert list(streaks.rows) == runs
    assert list(stickiness.rows) == bars
    whole = oracle.streaks(resolved, grouped)[1]
    assert streaks.summary == suppression.totals(whole, len(cut), len(runs), whole["users"], least)
