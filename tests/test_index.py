"""Indices of the plan: what brute force finds, in exact fractions, and what must hold of any score."""

import dataclasses

import logs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import index as oracle
from questions import ONE_THREAD, answers, questions, scoped
from torture import much

from evlog import reports
from evlog.errors import UsageError
from evlog.query.ask import ask
from evlog.query.scope import Component, Index, Pair, Scope

PAIR = Pair("start", "done", target_type="t")
COMPONENTS = [
    Component("volume", "events", 5, events=("done",)),
    Component("all", "events", 9, weight=2),
    Component("targets", "targets", 3, events=("start", "done")),
    Component("days", "days", 4, weight=0.5),
    Component("sum", "sum", 10, property="n"),
    Component("avg", "avg", 2, 0.5, property="properties.n", events=("start",), weight=3),
    Component("rate", "rate", 1, pair=PAIR),
    Component("less", "events", 0, 3, events=("other",)),
]


@settings(max_examples=much(75, 8), deadline=None)
@given(
    questions(["start", "done", "other"]),
    st.lists(st.sampled_from(COMPONENTS), min_size=1, max_size=4, unique=True),
    st.tuples(
        st.booleans(),
        st.sampled_from(["day", "week", "month"]),
        st.sampled_from([None, "feature", "user_id"]),
        st.sampled_from([None, None, "u1"]),
    ),
)
def test_scores_are_what_brute_force_finds(tmp_path_factory, question, components, options):
    events, scope = question
    cold, unit, by, user = options
    index = Index("i", tuple(components))
    scope = dataclasses.replace(scope, by=by, indices=(index,))
    (result,) = answers(tmp_path_factory, events, scope, cold, index={"name": "i", "period": unit, "user": user})
    expected = oracle.scores(events, scope, index, unit=unit, user=user)
    cells = {(group, period): row for group, period, *row in (r if by else ("", *r) for r in result.rows)}
    groups = oracle.groups(events, scope, unit=unit, user=user) if by else {""}
    shown = {group for group, _ in cells}
    assert shown <= groups if by == "user_id" else shown == groups
    for (group, period), row in cells.items():
        users = expected.get((group, period), [])
        told = [oracle.mean([score for score, _ in users])]
        told += [oracle.mean([parts[n] for _, parts in users]) for n in range(len(components))]
        assert row == [None if v is None else pytest.approx(float(v)) for v in told] + [len(users)]
        assert all(value is None or 0 <= value <= 100 for value in row[:-1])
    assert all(key in cells for key, users in expected.items() if users)


@settings(max_examples=much(18, 2), deadline=None)
@given(questions(["start", "done", "other"]), st.booleans())
def test_alone_a_component_is_the_score_and_weights_count_by_their_ratio(tmp_path_factory, question, cold):
    events, scope = question
    one, two = COMPONENTS[0], COMPONENTS[5]
    indices = (
        Index("one", (one,)),
        Index("both", (one, two)),
        Index("scaled", tuple(dataclasses.replace(c, weight=c.weight * 7) for c in (one, two))),
    )
    scope = dataclasses.replace(scope, indices=indices)
    single, both, scaled = (
        answers(tmp_path_factory, events, scope, cold, index={"name": index.name})[0] for index in indices
    )
    assert all(row[1] == row[2] for row in single.rows)
    for row, same in zip(both.rows, scaled.rows, strict=True):
        assert row == (row[0], *(value if value is None else pytest.approx(value) for value in same[1:]))


@pytest.mark.parametrize(
    ("options", "told", "hint"),
    [
        ({"name": "engagemnt"}, "no index 'engagemnt'", "it has: i, broken"),
        ({"name": "broken"}, "component rate of broken names a pair", "see: evlog plan lint"),
        ({"name": "i", "period": "year"}, "--period 'year' is unknown", "give one of: day, week, month"),
    ],
)
def test_what_cannot_be_answered_is_told(tmp_path, options, told, hint):
    scope, _ = scoped({"from": "2026-03-01", "to": "2026-03-01"})
    broken = Index("broken", (Component("rate", "rate", 1),))
    scope = dataclasses.replace(scope, indices=(Index("i", (COMPONENTS[0],)), broken))
    with pytest.raises(UsageError, match=told) as caught:
        ask(logs.store(tmp_path, []), scope, reports.load("index").report, limits=ONE_THREAD, **options)
    assert caught.value.hint == hint


def test_a_plan_without_indices_says_how_to_write_one(tmp_path):
    scope, _ = scoped({"from": "2026-03-01", "to": "2026-03-01"})
    with pytest.raises(UsageError, match="no index 'x'") as caught:
        ask(logs.store(tmp_path, []), scope, reports.load("index").report, limits=ONE_THREAD, name="x")
    assert "[indices.x]" in caught.value.hint


@pytest.mark.parametrize("by", [None, "feature"])
def test_an_empty_store_has_an_answer(tmp_path, by):
    scope, _ = scoped({"from": "2026-03-01", "to": "2026-03-02", "tz": "Europe/Berlin"})
    scope = Scope(scope.window, by=by, indices=(Index("i", tuple(COMPONENTS)),))
    result = ask(logs.store(tmp_path, []), scope, reports.load("index").report, name="i")
    assert len(result.rows) == (0 if by else 2)
    assert result.summary == {"score": None, "users": 0}
    assert "the store holds no event yet: evlog ingest FILE" in result.notes
