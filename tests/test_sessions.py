"""Sessions: the kernel, and the reports sessions, frequency, depth and journey, against brute force."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import logs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import people, suppression
from oracle import sessions as oracle
from questions import ONE_THREAD, PLACES, answers, scoped
from torture import much

from evlog import reports, window
from evlog.errors import UsageError
from evlog.kernel.sessions import OUTSIDE, numbered, runs
from evlog.query import sessions
from evlog.query.ask import ask
from evlog.query.scope import Scope

WHO = [*[{"user_id": "u1"}] * 4, {"user_id": "u2"}, {"anonymous_id": "z"}, {}]
KINDS = ["a", "b", "tool_open", "tool_interact"]
STEPS = [timedelta(minutes=minutes) for minutes in (0, 10, 30, 60, 480)]
FAR = [*STEPS, timedelta(days=1), timedelta(days=2)]
TICKS = [timedelta(microseconds=tick) for tick in (0, 0, 0, 0, 1, -1)]
TIMEOUTS = {
    "0s": timedelta(0),
    "30m": timedelta(minutes=30),
    "9h": timedelta(hours=9),
    "26h": timedelta(hours=26),
    "none": None,
}


@st.composite
def logged(draw):
    """A log whose gaps lie around the timeout, around a turn of the clock; a scope; and a rule as options say it."""
    tz, around = draw(st.sampled_from(PLACES))
    moment = window.midnight(around, tz) - timedelta(days=draw(st.integers(0, 2))) - draw(st.sampled_from(STEPS))
    events = []
    for number in range(draw(st.integers(0, 22))):
        moment += draw(st.sampled_from(FAR)) + draw(st.sampled_from(TICKS))
        events.append(_event(draw, moment, number))
    events = draw(st.permutations(events))
    first = around - timedelta(days=draw(st.integers(0, 2)))
    last = first + timedelta(days=draw(st.integers(0, 8)))
    now = draw(
        st.sampled_from([window.midnight(last + timedelta(1), tz), window.midnight(last, tz) + timedelta(hours=9)])
    )
    at = window.at(now, tz)
    scope = Scope(
        window.Window(first, min(last, at.day), at.instant, at.day, tz, draw(st.sampled_from(["monday", "sunday"]))),
        include_anon=draw(st.booleans()),
        inactive=draw(st.sampled_from([(), (), ("b",)])),
    )
    return [{**event, "seq": seq} for seq, event in enumerate(events)], scope


def _event(draw, moment, number):
    event = {"event_type": draw(st.sampled_from(KINDS)), "event_id": f"e{number}", "ts": moment}
    person = draw(st.sampled_from(WHO))
    values = {
        "session_id": ["s1", "s2", *[None] * 4],
        "target_id": ["t1", "t2", None],
        "target_type": ["t", None],
        "feature": ["x", "y", None],
    }
    more = {key: draw(st.sampled_from(known)) for key, known in values.items()}
    return event | person | {key: value for key, value in more.items() if value is not None}


@st.composite
def rules(draw):
    """A rule as the options say it, and as the oracle takes it."""
    timeout, longest = draw(st.sampled_from(sorted(TIMEOUTS))), draw(st.sampled_from([None, "1h", "9h"]))
    flags = {name: draw(st.booleans()) for name in ("split_midnight", "ignore_session_id", "split_idle")}
    rule = {
        "timeout": TIMEOUTS[timeout],
        "max_length": None if longest is None else window.duration(longest),
        "split_midnight": flags["split_midnight"],
        "ignore_ids": flags["ignore_session_id"],
        "split_idle": flags["split_idle"],
    }
    return {"timeout": timeout, "max_length": longest, **flags}, rule


def close(rows):
    return [tuple(pytest.approx(v, rel=1e-12) if isinstance(v, float) else v for v in row) for row in rows]


@settings(max_examples=much(90, 10), deadline=None)
@given(logged(), rules(), st.booleans(), st.booleans())
def test_sessions_are_those_that_brute_force_finds(tmp_path_factory, question, ruled, nonzero, cold):
    events, scope = question
    options, rule = ruled
    (result,) = answers(tmp_path_factory, events, scope, cold, sessions={**options, "nonzero": nonzero})
    rows, (summary, still_open) = oracle.daily(events, scope, nonzero=nonzero, **rule)
    assert list(result.rows) == close(rows)
    names = [column.name for column in result.columns[1:]]
    assert result.summary == pytest.approx({**dict(zip(names, summary, strict=True)), "open": still_open})
    assert sum(row[1] for row in result.rows) == result.summary["sessions"]
    held = people.in_window(events, scope)
    assert result.events_read == len(held)
    assert result.definition["events_without_user"] == sum("user_id" not in e for e in held)


@settings(max_examples=much(60, 6), deadline=None)
@given(logged(), st.sampled_from(sorted(TIMEOUTS)), st.booleans(), st.booleans())
def test_frequency_and_depth_are_those_that_brute_force_finds(tmp_path_factory, question, timeout, ignore, cold):
    events, scope = question
    (weeks, deep) = answers(
        tmp_path_factory,
        events,
        scope,
        cold,
        frequency={"timeout": timeout, "ignore_session_id": ignore},
        depth={"timeout": timeout, "open": "tool_open", "interact": "tool_interact"},
    )
    rule = {"timeout": TIMEOUTS[timeout]}
    assert list(weeks.rows) == oracle.weekly(events, scope, ignore_ids=ignore, **rule)
    assert weeks.summary["sessions"] == sum(row[2] for row in weeks.rows)
    assert list(deep.rows) == oracle.depth(events, scope, "tool_open", "tool_interact", **rule)
    assert deep.summary["opens"] == sum(row[1] for row in deep.rows)


@settings(max_examples=much(36, 4), deadline=None)
@given(logged(), st.sampled_from([None, 0, 1]), st.integers(0, 2), st.booleans())
def test_a_group_has_the_sessions_that_began_in_it(tmp_path_factory, question, top, least, cold):
    """Groups come by users, then events, then text; those past the top together; the small ones not at all."""
    events, scope = question
    grouped = Scope(
        scope.window, by="feature", top=top, min_users=least, include_anon=scope.include_anon, inactive=scope.inactive
    )
    (result,) = answers(tmp_path_factory, events, grouped, cold, sessions={})
    found = oracle.begun(events, scope, timeout=timedelta(minutes=30))
    held = {}
    for one in found:
        held.setdefault(one[0].get("feature", "(none)"), []).append(one)
    order = sorted(held, key=lambda name: (-persons(held[name]), -sum(map(len, held[name])), name))
    kept = order if top is None else order[:top]
    groups = [(name, held[name]) for name in kept]
    if order[len(kept) :]:
        groups.append(("(other)", [one for name in order[len(kept) :] for one in held[name]]))
    cut = suppression.groups([{one[0]["person"] for one in mine} for _, mine in groups], least)
    expected = []
    for place, (name, mine) in enumerate(groups):
        if place not in cut:
            for day in scope.window.days:
                today = [one for one in mine if one[0]["date"] == day]
                expected.append((name, day, *oracle.numbers(today, scope, timeout=timedelta(minutes=30))[0]))
    assert list(result.rows) == close(expected)
    told = suppression.totals({"sessions": len(found)}, len(cut), len(expected), persons(found), least)
    assert result.summary["sessions"] == told["sessions"]
    assert len(result.notes) >= (len(groups) > len({row[0] for row in result.rows}))


@settings(max_examples=much(60, 6), deadline=None)
@given(logged(), rules(), st.tuples(st.sampled_from([None, "feature"]), st.integers(1, 9)), st.booleans())
def test_slices_of_persons_tell_what_all_persons_at_once_tell(tmp_path_factory, question, ruled, sliced, cold):
    """The same numbers, notes and groups, however few events are held at a time; ids of two persons in two slices too."""
    events, scope = question
    by, size = sliced
    grouped = replace(scope, by=by)
    asked = {"sessions": ruled[0], "paths": {"unit": "session", "start": "a"}, "frequency": {}}
    asked["depth"] = {"open": "tool_open", "interact": "tool_interact"}
    whole = answers(tmp_path_factory, events, grouped, cold, **asked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sessions.slices, "_SLICE", size)
        patch.setattr(sessions.slices, "_LEAST", 0)
        assert answers(tmp_path_factory, events, grouped, cold, **asked) == whole


def persons(found):
    return len({one[0]["person"] for one in found})


@pytest.mark.long
@settings(max_examples=150, deadline=None)
@given(logged(), rules())
def test_the_kernel_tells_the_sessions_that_brute_force_finds(question, ruled):
    events, scope = question
    _, rule = ruled
    found = sorted(
        (e for e in people.seen(events, scope) if e["person"] is not None),
        key=lambda e: (e["person"], e["ts"], e["seq"]),
    )
    session = _numbered(found, scope, rule)
    told = {}
    for event, number in zip(found, session.tolist(), strict=True):
        if number >= 0:
            told.setdefault(number, []).append(event)
    expected = oracle.sessions(events, scope, **rule)
    assert sorted(_ids(told.values())) == sorted(_ids(expected))
    assert sorted(told) == list(range(len(expected)))
    held = runs(session)
    assert [held.rows[b:e].tolist() for b, e in zip(held.begins, held.ends, strict=True)] == [
        [row for row, n in enumerate(session.tolist()) if n == number] for number in range(len(expected))
    ]


def _numbered(found, scope, rule):
    names = sorted({e.get("session_id") or "" for e in found})
    explicit = [-1 if rule["ignore_ids"] or "session_id" not in e else names.index(e["session_id"]) for e in found]
    alive = [e["event_type"] not in scope.inactive for e in found]
    return numbered(
        np.array([ord(e["person"][-1]) for e in found], np.int64),
        np.array(explicit, np.int64),
        np.array([(e["ts"] - datetime(1970, 1, 1)) // timedelta(microseconds=1) for e in found], np.int64),
        timeout=sessions.ticks(rule["timeout"]),
        day=np.array([e["date"].toordinal() for e in found], np.int64) if rule["split_midnight"] else None,
        extends=np.array(alive, bool) if scope.inactive else None,
        max_length=sessions.ticks(rule["max_length"]),
        split_idle=rule["split_idle"],
    )


def _ids(found):
    return [[e["event_id"] for e in one] for one in found]


@settings(max_examples=much(36, 4), deadline=None)
@given(logged(), st.booleans())
def test_a_journey_is_the_users_events_in_order(tmp_path_factory, question, cold):
    events, scope = question
    (result,) = answers(tmp_path_factory, events, scope, cold, journey={"user": "u1"})
    held = [e for e in people.in_window(events, scope) if e["person"] == "u1"]
    held.sort(key=lambda e: (e["ts"], e["seq"]))
    gaps = [None] + [(b["ts"] - a["ts"]).total_seconds() for a, b in pairwise(held)]
    assert list(result.rows) == [
        (e["ts"], e["event_type"], e.get("target_id"), e.get("session_id"), gap, e.get("target_type"), e["date"])
        for e, gap in zip(held, gaps, strict=False)
    ]
    assert result.summary["events"] == result.events_read == len(held)


@pytest.mark.parametrize("cold", [False, True])
def test_an_id_of_persons_in_several_slices_is_shared(tmp_path, monkeypatch, cold):
    monkeypatch.setattr(sessions.slices, "_SLICE", 2)
    monkeypatch.setattr(sessions.slices, "_LEAST", 0)
    told = [f"2026-03-01 09:{n:02d} u{n} view session_id={'shared' if n % 2 else f's{n}'}" for n in range(12)]
    scope, _ = scoped({"from": "2026-03-01", "to": "2026-03-01"})
    store = logs.store(tmp_path, logs.events("\n".join([*told, "2026-03-01 10:00 - view"])), cold=cold)
    result = ask(store, scope, reports.load("sessions").report, limits=ONE_THREAD)
    assert (result.summary["sessions"], result.summary["users"]) == (12, 12)
    assert result.definition["ids_of_several_users"] == 1
    assert (result.events_read, result.definition["events_without_user"]) == (13, 1)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sessions", {"timeout": "soon"}),
        ("sessions", {"max_length": "x"}),
        ("depth", {"open": "a"}),
        ("depth", {"interact": "a"}),
        ("depth", {"open": "a", "interact": "a"}),
        ("depth", {}),
        ("journey", {}),
        ("paths", {"unit": "week"}),
    ],
)
def test_a_wrong_option_is_told(tmp_path, name, options):
    scope, _ = scoped({"from": "2026-03-01", "to": "2026-03-01"})
    with pytest.raises(UsageError):
        ask(logs.store(tmp_path, []), scope, reports.load(name).report, **options)


@pytest.mark.parametrize(
    ("name", "options"), [("sessions", {}), ("frequency", {}), ("paths", {}), ("journey", {"user": "u"})]
)
def test_an_empty_store_has_an_answer(tmp_path, name, options):
    scope, _ = scoped({"from": "2026-03-01", "to": "2026-03-02", "tz": "Europe/Berlin"})
    result = ask(logs.store(tmp_path, []), scope, reports.load(name).report, limits=ONE_THREAD, **options)
    assert result.events_read == 0
    assert result.notes[0] == "the store holds no event yet: evlog ingest FILE"


def test_events_of_no_session_behind_another_users_do_not_hide_that_it_is_too_long():
    person, explicit = np.array([0] * 12 + [1]), np.array([0] * 12 + [-1])
    ts = np.array([0, 0, *[24] * 9, 48, 0])
    extends = np.array([True] * 12 + [False])
    found = numbered(person, explicit, ts, timeout=0, extends=extends, max_length=1)
    assert found.tolist() == [0, 0, *[1] * 9, 2, OUTSIDE]
