"""Every report: its cases (tests/cases), and its numbers against brute force."""

import tomllib
from datetime import datetime
from pathlib import Path

import logs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import dropoff as dropoff_oracle
from oracle import people, suppression
from questions import answers, questions, scoped
from torture import much

from evlog import reports, window
from evlog.errors import UsageError
from evlog.query.ask import ask
from evlog.query.scope import Pair, Scope

CASES = Path(__file__).parent / "cases"


def cases():
    for file in sorted(CASES.glob("*.toml")):
        told = tomllib.loads(file.read_text("utf-8"))
        for case in told["case"]:
            for cold in (False, True):
                yield pytest.param(
                    told["report"], case, cold, id=f"{file.stem}-{'part' if cold else 'segment'}-{case['says']}"
                )


def printed(result):
    lines = [",".join(column.name for column in result.columns)]
    return "\n".join(lines + [",".join(_cell(value) for value in row) for row in result.rows])


def _cell(value):
    if isinstance(value, datetime):
        return window.spelled(value)
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize(("report", "case", "cold"), list(cases()))
def test_case(tmp_path, report, case, cold):
    scope, options = scoped(case["options"])
    store = logs.store(tmp_path, logs.events(case["log"]), cold=cold)
    result = ask(store, scope, reports.load(report).report, **options)
    assert printed(result) == case["prints"].strip()
    for part in ("summary", "definition"):
        told = getattr(result, part)
        assert {key: told[key] for key in case.get(part, {})} == case.get(part, {})
    assert set(result.notes) >= set(case.get("notes", ()))
    assert result.complete == case.get("complete", True)
    for part in ("partial", "marks"):
        assert part not in case or sorted(getattr(result, part)) == case[part]
    assert "partial_means" not in case or result.partial_means == case["partial_means"]
    assert "aside" not in case or [column.name for column in result.columns if column.aside] == case["aside"]


def test_every_report_has_a_case_file_and_a_line_of_help():
    names = reports.names()
    assert {"active", "dau", "dropoff", "events", "mau", "usage", "wau"} <= set(names)
    assert {file.stem for file in CASES.glob("*.toml")} == set(names)
    assert all(help_line and help_line == reports.load(name).HELP for name, help_line in names.items())
    assert all(option.help for name in names for option in reports.options(name))


def test_an_unknown_report_is_told_with_the_nearest_name():
    with pytest.raises(UsageError, match="'dua'") as told:
        reports.load("dua")
    assert told.value.hint == "did you mean dau?"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"start": "a"},
        {"complete": "b"},
        {"start": "a", "complete": "a"},
        {"start": "a", "complete": "b", "abandon_after": "x"},
    ],
)
def test_a_dropoff_without_a_pair_is_told(tmp_path, options):
    scope, _ = scoped({"from": "2026-03-01", "to": "2026-03-01"})
    store = logs.store(tmp_path, logs.events("2026-03-01 09:00 u1 page_view"))
    with pytest.raises(UsageError):
        ask(store, scope, reports.load("dropoff").report, **options)


@pytest.mark.parametrize("name", ["active", "dau", "dropoff", "durations", "events", "mau", "usage", "wau"])
def test_an_empty_store_has_an_answer(tmp_path, name):
    scope, _ = scoped({"from": "2026-03-01", "to": "2026-03-02", "tz": "Europe/Berlin"})
    result = ask(logs.store(tmp_path, []), scope, reports.load(name).report)
    assert result.events_read == 0
    assert result.definition["newest_event"] is None
    assert result.notes == ("the store holds no event yet: evlog ingest FILE",)


@pytest.mark.long
@settings(max_examples=much(75, 8), deadline=None)
@given(questions(["a", "b", "c"]), st.booleans())
def test_active_users_are_those_that_brute_force_finds(tmp_path_factory, question, cold):
    events, scope = question
    dau, wau, mau, active = answers(tmp_path_factory, events, scope, cold, dau={}, wau={}, mau={}, active={})
    assert list(dau.rows) == people.rolling(events, scope, 1)
    assert list(wau.rows) == people.rolling(events, scope, 7)
    assert list(mau.rows) == people.rolling(events, scope, 30)
    assert [row[:4] for row in active.rows] == [
        (*d, w, m) for d, (_, w), (_, m) in zip(dau.rows, wau.rows, mau.rows, strict=True)
    ]
    assert [row[4] for row in active.rows] == [
        pytest.approx(people.stickiness(events, scope, day, 30)) for day in scope.window.days
    ]
    assert all(d <= w <= m for _, d, w, m, _ in active.rows)
    assert dau.summary["users"] == len(people.people(events, scope, scope.window.first, scope.window.last))
    assert dau.definition["events_without_user"] == people.userless(events, scope)


@pytest.mark.long
@settings(max_examples=much(75, 8), deadline=None)
@given(questions(["a", "b", "c"]), st.booleans())
def test_calendars_usage_and_events_are_those_that_brute_force_finds(tmp_path_factory, question, cold):
    events, scope = question
    wau, mau, usage, kinds = answers(
        tmp_path_factory, events, scope, cold, wau={"calendar": True}, mau={"calendar": True}, usage={}, events={}
    )
    weeks = people.calendar(events, scope, lambda day: day.strftime("%G-W%V"))
    assert [(label, users) for label, _, users in wau.rows] == weeks
    assert list(mau.rows) == people.calendar(events, scope, lambda day: day.strftime("%Y-%m"))
    fields = people.usage(events, scope)
    means = {"dau", "wau"}
    assert {key: usage.summary[key] for key in means} == pytest.approx({key: fields[key] for key in means})
    assert {**usage.summary, "dau": 0, "wau": 0} == {**fields, "dau": 0, "wau": 0}
    found = people.in_window(events, scope)
    assert list(usage.rows) == people.tallied(found, "feature")
    assert [row[:3] for row in kinds.rows] == people.tallied(found, "event_type")
    assert [row[3:] for row in kinds.rows] == [
        (min(moments), max(moments))
        for kind, *_ in kinds.rows
        for moments in [[e["ts"] for e in found if e["event_type"] == kind]]
    ]
    assert kinds.events_read == kinds.summary["events"] == len(found)


@pytest.mark.long
@settings(max_examples=much(120, 13), deadline=None)
@given(questions(["start", "done"]), st.booleans(), st.booleans())
def test_dropoff_is_what_brute_force_finds(tmp_path_factory, question, cold, cut):
    events, scope = question
    pair = Pair("start", "done")
    (result,) = answers(
        tmp_path_factory, events, scope, cold, dropoff={"start": "start", "complete": "done", "cut": cut}
    )
    rows = [(row[0], row[1], row[2], row[6], row[8], row[9], row[10]) for row in result.rows]
    assert rows == dropoff_oracle.targets(events, scope, pair, cut=cut)
    assert all(row[1] == row[2] + row[3] and row[3] == row[6] + row[7] for row in result.rows)


@settings(max_examples=much(45, 5), deadline=None)
@given(questions(["a", "b"]), st.sampled_from([None, 1, 2]), st.integers(0, 3))
def test_groups_are_questions_of_their_own(tmp_path_factory, question, top, least):
    """Each group counts as if only its events were there; the rest together, counted anew."""
    events, scope = question
    grouped = Scope(scope.window, scope.where, by="feature", top=top, min_users=least, include_anon=scope.include_anon)
    (result,) = answers(tmp_path_factory, events, grouped, top is None, dau={})
    events = people.resolved(events, scope)
    within = people.in_window(events, grouped)
    named = {e.get("feature") or "(none)" for e in within}
    sized = {name: [e for e in within if (e.get("feature") or "(none)") == name] for name in named}
    users = {name: len({e["person"] for e in held} - {None}) for name, held in sized.items()}
    order = sorted(named, key=lambda name: (-users[name], -len(sized[name]), name))
    kept = order if top is None else order[:top]
    labels = [(name, {name}) for name in kept] + (
        [("(other)", set(order) - set(kept))] if set(order) - set(kept) else []
    )
    held = [[e for e in events if (e.get("feature") or "(none)") in names] for _, names in labels]
    persons = [{e["person"] for e in people.in_window(mine, grouped)} - {None} for mine in held]
    cut = suppression.groups(persons, least)
    expected = []
    for place, ((label, _), mine) in enumerate(zip(labels, held, strict=True)):
        if place not in cut:
            expected += [(label, day, n) for day, n in people.rolling(mine, grouped, 1)]
    assert list(result.rows) == expected
