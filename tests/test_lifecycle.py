"""Lifecycle against brute force, and the identities of metrics §4."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import lifecycle as oracle
from oracle import people
from questions import answers, questions
from torture import much

from evlog.query.scope import Scope


@settings(max_examples=much(60, 6), deadline=None)
@given(
    questions(["a", "b", "c"]), st.booleans(), st.sampled_from(["day", "week", "month"]), st.sampled_from([None, "b"])
)
def test_lifecycle_is_what_brute_force_finds(tmp_path_factory, question, cold, unit, kind):
    events, scope = question
    (result,) = answers(tmp_path_factory, events, scope, cold, lifecycle={"period": unit, "first_of": kind})
    assert list(result.rows) == oracle.table(events, scope, unit, kind)
    over = [row for n, row in enumerate(result.rows) if n not in result.partial]
    new, returning, resurrected, dormant = (sum(row[n] for row in over) for n in range(1, 5))
    assert result.summary["new"] == new
    assert result.summary["returning"] == returning
    assert result.summary["quick_ratio"] == ((new + resurrected) / dormant if dormant else None)


@settings(max_examples=much(24, 2), deadline=None)
@given(questions(["a", "b"]), st.booleans(), st.sampled_from(["day", "week"]))
def test_the_parts_make_the_whole(tmp_path_factory, question, cold, unit):
    """|A(p)| = new + returning + resurrected; dormant = |A(p-1)| - returning."""
    events, scope = question
    (result,) = answers(tmp_path_factory, events, scope, cold, lifecycle={"period": unit})
    sizes = [len(found) for found in oracle.sets(events, scope, unit).values()]
    assert [sum(row[1:4]) for row in result.rows] == sizes[1:]
    assert [row[2] + row[4] for row in result.rows] == sizes[:-1]
    if unit == "day":
        (dau,) = answers(tmp_path_factory, events, scope, cold, dau={})
        assert [row[1] for row in dau.rows] == sizes[1:]


@settings(max_examples=much(30, 3), deadline=None)
@given(questions(["a", "b"]), st.booleans(), st.sampled_from([None, 1]), st.integers(0, 2))
def test_a_group_is_a_lifecycle_of_its_own(tmp_path_factory, question, cold, top, least):
    """Each group counts as if only its events were asked for; first ever stays by all events."""
    events, scope = question
    grouped = Scope(scope.window, scope.where, by="feature", top=top, min_users=least, include_anon=scope.include_anon)
    (result,) = answers(tmp_path_factory, events, grouped, cold, lifecycle={})
    for label in {row[0] for row in result.rows}:
        named = {row[0] for row in result.rows}
        mine = [e for e in people.resolved(events, grouped) if _in(e, label, named)]
        active = oracle.sets(mine, grouped, "day")
        first = oracle.first_ever(events, grouped, "day")
        found = [row[1:] for row in result.rows if row[0] == label]
        expected = []
        for before, begin in pairwise(active):
            new = {who for who in active[begin] if first.get(who) == begin}
            kept = (active[begin] & active[before]) - new
            back = active[begin] - active[before] - new
            expected.append((begin, len(new), len(kept), len(back), len(active[before] - active[begin])))
        if label == "(other)" and least:
            continue  # withheld groups may stand beside it
        assert found == expected


def _in(event, label, named):
    value = event.get("feature") or "(none)"
    return value not in named if label == "(other)" else value == label


@pytest.mark.parametrize("cold", [False, True])
def test_what_is_new_is_no_matter_of_the_filter(tmp_path_factory, cold):
    from evlog.query import where

    events = [
        {"event_type": "a", "event_id": "1", "ts": _at(1), "seq": 1, "user_id": "u", "feature": "x"},
        {"event_type": "a", "event_id": "2", "ts": _at(2), "seq": 2, "user_id": "u", "feature": "y"},
    ]
    scope = replace(_scope(), where=(where.parse("feature=y"),))
    (result,) = answers(tmp_path_factory, events, scope, cold, lifecycle={})
    assert [row[1:4] for row in result.rows[:2]] == [(0, 0, 0), (0, 0, 1)]
    assert any("whatever else is asked for" in note for note in result.notes)
    assert not people.seen(events[:1], scope)


def _at(day):
    from datetime import datetime

    return datetime(2026, 3, day, 9)


def _scope():
    from questions import scoped

    return scoped({"from": "2026-03-01", "to": "2026-03-03"})[0]


@pytest.mark.parametrize(("active", "cold"), [((), False), (("b",), True)])
def test_a_type_that_makes_nobody_active_may_be_asked_for(tmp_path_factory, active, cold):
    """Active by an inactive type: whoever is counted has been seen by then."""
    events = [{"event_type": "b", "event_id": "1", "ts": _at(1), "seq": 1, "user_id": "u"}]
    scope = replace(_scope(), inactive=("b",), active_events=active)
    (result,) = answers(tmp_path_factory, events, scope, cold, lifecycle={})
    assert result.rows[0][1:] == ((1, 0, 0, 0) if active else (0, 0, 0, 0))
