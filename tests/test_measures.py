"""Numbers of properties: targets, top and errors against brute force, and the arithmetic they share."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import measures as oracle
from oracle import people, suppression
from questions import answers, questions
from torture import much

from evlog.errors import UsageError
from evlog.kernel.quantile import quantile
from evlog.query import measure
from evlog.query.scope import Scope

HOT = False
VALUES = [None, 1, 2.5, -3, "4", "x", True, 0.1, 0.2, 0.3, "1e3", [1]]
CODES = [{}, {"status": 500}, {"status": "500", "code": "E1"}, {"status_code": 404, "message": "m"}, {"code": 7}]


@st.composite
def measured(draw, kinds):
    """A log as of `questions`, with a value that is often a number, and here and there an error."""
    events, scope = draw(questions(kinds))
    for event in events:
        value = draw(st.sampled_from(VALUES))
        said = draw(st.sampled_from(CODES)) if event["event_type"].endswith("error") else {}
        event["properties"] |= said | ({} if value is None else {"v": value})
        if draw(st.sampled_from([False, False, True])):
            event["category"] = "error"
    return events, scope


def close(rows):
    return [tuple(pytest.approx(float(v), rel=1e-12) if _fraction(v) else v for v in row) for row in rows]


def _fraction(value):
    return type(value).__name__ == "Fraction"


@settings(max_examples=much(30, 3), deadline=None)
@given(
    measured(["open", "send"]),
    st.booleans(),
    st.sampled_from([{}, {"target_type": "t"}, {"event": ("send",)}, {"event": ("open", "none"), "target_type": "t"}]),
)
def test_targets_are_what_brute_force_finds(tmp_path_factory, question, cold, options):
    events, scope = question
    (result,) = answers(tmp_path_factory, events, scope, cold, targets={**options, "avg": ("v",)})
    expected = oracle.targets(events, scope, kind=options.get("target_type"), uses=options.get("event", ()))
    assert list(result.rows) == close(expected)
    assert result.events_read == len(people.in_window(events, scope))
    assert result.summary["events"] == sum(row[2] for row in expected)


@settings(max_examples=much(30, 3), deadline=None)
@given(measured(["open", "send"]), st.booleans(), st.sampled_from(["events", "users", "avg"]))
def test_top_is_what_brute_force_finds(tmp_path_factory, question, cold, order):
    events, scope = question
    names = {"by_column": ("feature",), "by_property": ("properties", "v")}
    for path in names.values():
        (result,) = answers(
            tmp_path_factory, events, scope, cold, top={"key": ".".join(path), "avg": ("v",), "order": order}
        )
        rows, without = oracle.top(events, scope, path, order)
        assert list(result.rows) == close(rows)
        assert result.summary["events_without"] == without
        assert result.summary["events"] + without == result.events_read


@settings(max_examples=much(30, 3), deadline=None)
@given(
    measured(["open", "api_error", "error"]),
    st.booleans(),
    st.sampled_from([(), ("open",)]),
    st.sampled_from([(), ("open",), ("error", "none")]),
)
def test_errors_are_what_brute_force_finds(tmp_path_factory, question, cold, requests, kinds):
    events, scope = question
    scope = Scope(
        scope.window, scope.where, include_anon=scope.include_anon, inactive=scope.inactive,
        errors=kinds, requests=requests,
    )  # fmt: skip
    result, daily = (answers(tmp_path_factory, events, scope, cold, errors=o)[0] for o in ({}, {"per_day": True}))
    expected = oracle.errors(events, scope)
    rows = [(row[0], None if row[1] is None else str(row[1]), *row[2:]) for row in result.rows]
    assert rows == close(expected)
    found = people.in_window(events, scope)
    wrong = [e for e in found if oracle.failed(e, scope)]
    assert result.summary["errors"] == len(wrong) == sum(row[3] for row in rows) == sum(row[1] for row in daily.rows)
    active = {e["person"] for e in found if people.active(e, scope)}
    share = oracle.ratio(len({e["person"] for e in wrong} & active), len(active))
    assert result.summary["users_rate"] == (None if share is None else pytest.approx(float(share)))
    for day, errors, users, events_, rate in daily.rows:
        mine = [e for e in wrong if e["date"] == day]
        assert (errors, users) == (len(mine), oracle.users(mine))
        assert rate == (errors / events_ if events_ else None)
    if not requests:
        assert all(0 <= row[7] <= 1 for row in rows)


@settings(max_examples=much(24, 2), deadline=None)
@given(measured(["open", "send"]), st.sampled_from([None, 1]), st.integers(0, 2))
def test_each_group_is_a_question_of_its_own(tmp_path_factory, question, top, least):
    """A group's targets are those of its events alone, the rest together; small groups and rows are withheld."""
    events, scope = question
    grouped = Scope(scope.window, scope.where, by="feature", top=top, min_users=least, include_anon=scope.include_anon)
    options = {"avg": ("v",)}
    (result,) = answers(tmp_path_factory, events, grouped, top is None, targets=options)
    resolved = people.resolved(events, grouped)
    held = {}
    for event in people.in_window(resolved, grouped):
        held.setdefault(event.get("feature") or "(none)", []).append(event)
    order = sorted(held, key=lambda name: (-oracle.users(held[name]), -len(held[name]), name))
    cells = [(name, {name}) for name in order[:top]] + ([("(other)", set(order[top:]))] if order[top:] and top else [])
    mine = [[e for e in resolved if (e.get("feature") or "(none)") in names] for _, names in cells]
    persons = [{e["person"] for e in people.in_window(one, grouped)} - {None} for one in mine]
    cut = suppression.groups(persons, least)
    told = [(label, own) for place, ((label, _), own) in enumerate(zip(cells, mine, strict=True)) if place not in cut]
    expected = [(label, *row) for label, own in told for row in oracle.targets(own, grouped)]
    shown = {row[:3] for row in result.rows}
    assert list(result.rows) == close([row for row in expected if row[:3] in shown])
    hidden = {number for number, row in enumerate(expected) if row[:3] not in shown}
    lines = [[n for n, row in enumerate(expected) if row[1:3] == key] for key in {row[1:3] for row in expected}]
    suppression.held_back(lines, [row[4] for row in expected], hidden, least)
    assert result.definition.get("withheld", 0) == len(cut) + len(hidden)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(-1e9, 1e9) | st.integers(-5, 5).map(float), max_size=40), st.sampled_from(measure.MEASURES[2:])
)
def test_measures_are_exact_and_know_no_order(values, name):
    found = measure.measured(name, sorted(values))
    expected = oracle.measured(name, [oracle.Fraction(v) for v in values], 0)
    if expected is None:
        assert found is None
    elif name in {"sum", "min", "max"}:
        assert found == float(expected)  # the float next to the true sum
    else:
        assert found == pytest.approx(float(expected), rel=1e-12, abs=1e-6)


def test_percentiles_are_those_of_the_definition():
    for values, told in (
        ([1, 2, 3, 4, 10], {"p50": 3, "p90": 7.6, "p95": 8.8}),
        ([1, 2, 3, 4], {"p50": 2.5, "p90": 3.7}),
        ([7], {"p50": 7, "p99": 7}),
    ):
        assert {name: measure.measured(name, values) for name in told} == pytest.approx(told)


def test_percentiles_of_whole_numbers_are_exact_however_large():
    for rising, percent in (([0, 3], 10), ([10**15, 10**15 + 1], 50), ([-(2**52), 2**52], 90), ([7, 2**53 - 1], 1)):
        assert quantile(rising, percent) == float(oracle.percentile(rising, percent))
    assert quantile([0.5, 1.0], 50) == 0.75


def test_numbers_beyond_all_measure_are_none(tmp_path_factory):
    from datetime import date, datetime

    from evlog.window import Window

    scope = Scope(Window(date(2026, 3, 1), date(2026, 3, 1), datetime(2026, 3, 2), date(2026, 3, 1)))
    events = [
        {"event_type": "e", "event_id": str(n), "ts": datetime(2026, 3, 1, 9), "seq": n, "properties": {"v": value}}
        for n, value in enumerate([1e300, -1e300, "1e999", -0.0, 1.5])
    ]
    (result,) = answers(
        tmp_path_factory, events, scope, HOT, trend={"of": "v", "measure": ("sum", "min", "max", "p50")}
    )
    assert list(map(str, result.rows[0][1:])) == ["2", "1.5", "0.0", "1.5", "0.75"]
    assert result.notes == ("values of v that are no numbers, left out: 3",)


@pytest.mark.parametrize(
    ("report", "options", "message", "hint"),
    [
        (
            "targets",
            {"avg": ("user_id",)},
            "--avg user_id: not a property but a column",
            "write properties.a.b or context.x",
        ),
        ("targets", {"avg": ("properties",)}, "--avg properties: not a property but a column", None),
        ("top", {"key": "a..b"}, "'a..b' is no key", None),
        ("top", {"key": "a", "order": "avg"}, "--order avg needs a property", "add --avg PROPERTY"),
        ("trend", {"of": "a b"}, "--of: 'a b' is no key", None),
        ("trend", {"measure": ("p90",)}, "--measure p90 needs a property", "add --of PROPERTY"),
        (
            "trend",
            {"measure": ("mode",), "of": "a"},
            "--measure 'mode' is none",
            "give one of: count users sum avg min max p50 p90 p95 p99",
        ),
        ("trend", {"forecast": -1}, "--forecast -1 is out of range", None),
        ("trend", {"forecast": 367}, "--forecast 367 is out of range", "give 1 to 366 periods"),
        ("errors", {"base": "requests"}, "--base requests: the plan names no request types", None),
    ],
)
def test_what_cannot_be_measured_is_told(tmp_path_factory, report, options, message, hint):
    from questions import scoped

    scope, _ = scoped({"from": "2026-03-01", "to": "2026-03-01"})
    with pytest.raises(UsageError) as told:
        answers(tmp_path_factory, [], scope, HOT, **{report: options})
    assert str(told.value) == message
    assert hint in {None, told.value.hint}


@pytest.mark.parametrize("name", ["targets", "errors", "trend", "streaks", "stickiness"])
def test_an_empty_store_has_an_answer(tmp_path_factory, name):
    from questions import scoped

    scope, _ = scoped({"from": "2026-03-01", "to": "2026-03-02", "tz": "Europe/Berlin"})
    options = {"targets": {"avg": ("v",)}, "trend": {"avg": ("v",), "compare": True}}.get(name, {})
    (result,) = answers(tmp_path_factory, [], scope, HOT, **{name: options})
    assert result.events_read == 0
    assert result.notes == ("the store holds no event yet: evlog ingest FILE",)
