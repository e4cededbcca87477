"""Paths and transitions against brute force, and what must hold between them."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import sessions as oracle
from oracle import suppression
from questions import answers
from test_sessions import KINDS, TIMEOUTS, logged
from torture import much

from evlog import window
from evlog.kernel.edges import counted, edges
from evlog.kernel.sessions import runs
from evlog.query.scope import Scope

SOME = [None, None, *KINDS]


@pytest.mark.long
@settings(max_examples=25, deadline=None)
@given(
    logged(),
    st.fixed_dictionaries(
        {
            "unit": st.sampled_from(["session", "user"]),
            "transitions": st.booleans(),
            "start": st.sampled_from(SOME),
            "end": st.sampled_from(SOME),
        }
    ),
    st.sampled_from(sorted(TIMEOUTS)),
    st.booleans(),
)
def test_paths_are_those_that_brute_force_finds(tmp_path_factory, question, asked, timeout, cold):
    events, scope = question
    (result,) = answers(tmp_path_factory, events, scope, cold, paths={**asked, "timeout": timeout})
    rows = oracle.paths(events, scope, **asked, timeout=TIMEOUTS[timeout])
    assert list(result.rows) == [row[asked["transitions"] :] for row in rows]
    assert result.summary["transitions"] == sum(row[3] for row in rows)


@settings(max_examples=much(30, 3), deadline=None)
@given(logged(), st.integers(1, 4), st.integers(0, 2))
def test_top_keeps_the_most_frequent_rows_and_withheld_ones_are_counted(tmp_path_factory, question, top, least):
    events, scope = question
    limited = Scope(scope.window, top=top, min_users=least, include_anon=scope.include_anon, inactive=scope.inactive)
    (result,) = answers(tmp_path_factory, events, limited, top > 1, paths={})
    rows = oracle.paths(events, scope, unit="session", transitions=False, timeout=timedelta(minutes=30))
    cut = suppression.rows([row[4] for row in rows], least)
    shown = [row for place, row in enumerate(rows) if place not in cut]
    kept = sorted(range(len(shown)), key=lambda place: (-shown[place][3], place))[:top]
    assert list(result.rows) == [shown[place] for place in sorted(kept)]
    assert result.definition.get("withheld", 0) == len(rows) - len(shown)


@settings(max_examples=much(30, 3), deadline=None)
@given(logged(), st.booleans())
def test_positions_of_a_users_path_sum_up_to_the_transitions(tmp_path_factory, question, cold):
    events, scope = question
    (result,) = answers(tmp_path_factory, events, scope, cold, paths={"unit": "user"})
    (overall,) = answers(tmp_path_factory, events, scope, cold, paths={"transitions": True})
    sums = {}
    for _, source, target, count, _ in result.rows:
        sums[source, target] = sums.get((source, target), 0) + count
    assert sums == {(source, target): count for source, target, count, _ in overall.rows}
    counts = [sum(row[3] for row in result.rows if row[0] == place) for place in range(1, 25)]
    assert counts == sorted(counts, reverse=True)  # whoever has an n-th event has all before it


@settings(max_examples=much(30, 3), deadline=None)
@given(logged(), st.booleans(), st.booleans())
def test_a_path_stands_in_the_group_of_its_first_event(tmp_path_factory, question, transitions, cold):
    events, scope = question
    grouped = Scope(scope.window, by="feature", include_anon=scope.include_anon, inactive=scope.inactive)
    (result,) = answers(tmp_path_factory, events, grouped, cold, paths={"transitions": transitions, "unit": "session"})
    found = oracle.begun(events, scope, timeout=timedelta(minutes=30))
    sums = {}
    for one in found:
        for event in one[:-1]:
            name = (event if transitions else one[0]).get("feature", "(none)")
            sums[name] = sums.get(name, 0) + 1
    told = {}
    for row in result.rows:
        told[row[0]] = told.get(row[0], 0) + row[-2]
    assert told == sums
    named = {name: users_of(found, name, transitions) for name in sums}
    assert list(dict.fromkeys(row[0] for row in result.rows)) == sorted(
        sums, key=lambda name: (-named[name], -sums[name], name)
    )


def users_of(found, name, transitions):
    return len(
        {
            e["person"]
            for one in found
            for e in one[:-1]
            if (e if transitions else one[0]).get("feature", "(none)") == name
        }
    )


def test_many_types_at_many_positions_are_told_apart():
    """Numbers of types and positions whose plain product would not fit into 64 bits."""
    position = np.array([1, 2**40, 2**40, 2**40])
    kind = np.array([2**30, 2**30, 2**30 - 1, 2**30])
    found = counted(position, kind, kind, np.array([7, 7, 7, 8]))
    assert found.position.tolist() == [1, 2**40, 2**40]
    assert found.source.tolist() == [2**30, 2**30 - 1, 2**30]
    assert found.count.tolist() == [1, 1, 2]
    assert found.users.tolist() == [1, 1, 2]


@pytest.mark.parametrize("session", [[], [0], [0, 1, 2]])
def test_a_single_event_goes_nowhere(session):
    assert len(edges(runs(np.array(session, np.int64))).source) == 0


def test_nobody_has_no_path(tmp_path_factory):
    now = window.AsOf(window.midnight(date(2026, 3, 2), "UTC"), date(2026, 3, 1))
    cold = False
    (result,) = answers(tmp_path_factory, [], Scope(window.resolve(now)), cold, paths={"start": "a"})
    assert result.rows == ()
    assert result.summary == {"transitions": 0, "users": 0}
    assert "no event is a a" in result.notes
