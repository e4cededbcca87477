"""Persons as numbers count as persons by name do; and rows cut into slices as rows in one piece."""

from dataclasses import replace
from datetime import datetime

import logs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from questions import ONE_THREAD, questions, scoped
from test_funnel_kernel import LOGS, chains
from torture import much

from evlog import engine, reports
from evlog.kernel import slices
from evlog.person import link
from evlog.query import keyed
from evlog.query.ask import ask
from evlog.query.funnel import sorting
from evlog.store import keys
from evlog.store.tombstones import Tombstones

PAIR = {"start": "a", "complete": "b"}
COUNTING = {
    "active": {},
    "dau": {},
    "depth": {"open": "a", "interact": "b"},
    "dropoff": PAIR,
    "durations": PAIR,
    "errors": {},
    "events": {},
    "experiment": {"variant": "n", "exposure": "a", "goal": "b"},
    "frequency": {},
    "funnel": {"steps": ("a", "b"), "window": "3d"},
    "lifecycle": {"period": "week"},
    "mau": {},
    "paths": {},
    "retention": {"period": "day", "periods": 4},
    "returns": {"after": "a"},
    "revisions": {"event": ("a",)},
    "sessions": {},
    "stickiness": {},
    "streaks": {},
    "targets": {},
    "top": {"key": "n"},
    "trend": {"event": ("a",)},
    "usage": {},
    "wau": {},
}


def asked(store, scope, name, *, numbers):
    """The answer of a report with persons as numbers, or by name."""
    with pytest.MonkeyPatch.context() as patch:
        told = []
        real = keyed.possible
        patch.setattr(keyed, "_WORTH", 0)
        patch.setattr(keyed, "possible", lambda *about: numbers and told.append(real(*about)) is None and told[-1])
        found = ask(store, scope, reports.load(name).report, limits=ONE_THREAD, **COUNTING[name])
        return found, bool(told) and all(told)


@settings(max_examples=much(150, 25), deadline=None)  # the first function that SQL calls costs 0.1 s
@given(
    question=questions(["a", "b", "c"]),
    by=st.sampled_from([None, "feature"]),
    hot=st.booleans(),
    said=st.sampled_from([(), (("u2", "u1"),), (("u1", "u3"), ("u9", "u2"))]),
    name=st.sampled_from(sorted(COUNTING)),
)
def test_numbers_count_as_names_do(tmp_path_factory, *, question, by, hot, said, name):
    """In parts alone and beside segments, with and without people who are linked."""
    events, scope = question
    days = sorted({event["ts"].date() for event in events})
    store = logs.store(tmp_path_factory.mktemp("store"), events, cold=days[: len(days) // 2] if hot else True)
    for source, target in said:
        link.link(store, source, target, now=datetime(2023, 1, 1), by="me")
    scope = replace(scope, by=by)
    named, _ = asked(store, scope, name, numbers=False)
    numbered, are_numbers = asked(store, scope, name, numbers=True)
    assert numbered == named
    assert are_numbers == (not scope.include_anon)


def test_where_two_users_share_a_key_they_stay_two(tmp_path, monkeypatch):
    monkeypatch.setattr(Tombstones, "user_key", lambda _known, _user: 7)
    events = [
        {"event_type": "a", "event_id": f"e{n}", "ts": datetime(2026, 3, 1, n), "seq": n, "user_id": f"u{n}"}
        for n in range(3)
    ]
    store = logs.store(tmp_path / "s", events, cold=True)
    scope, _ = scoped({"from": "2026-03-01", "to": "2026-03-01"})

    def users():
        return ask(store, scope, reports.load("dau").report, limits=ONE_THREAD, rollups=False).summary["users"]

    assert users() == 1  # what the mark is for
    keys.mark(store)
    assert users() == 3


def test_an_interrupt_in_the_midst_of_a_function_is_one():
    def interrupted(_user):
        raise KeyboardInterrupt

    with engine.connect(ONE_THREAD) as opened:
        opened.define("user_key", interrupted)
        with pytest.raises(KeyboardInterrupt):
            opened.rows("SELECT user_key('u1')")


@given(log=LOGS, rows=st.integers(1, 5), ties=st.sampled_from(["step", "strict", "seq"]))
def test_slices_give_the_chains_of_the_whole(log, rows, ties):
    steps, people, *_ = log
    whole = chains(people, steps, window=2, ties=ties)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "ROWS", rows)
        assert chains(people, steps, window=2, ties=ties) == whole


@given(
    runs=st.lists(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 2)), max_size=9), max_size=5),
    sample=st.integers(1, 3),
    rows=st.integers(1, 8),
    entrants=st.booleans(),
)
def test_rows_are_sorted_in_slices_as_in_one_piece(runs, sample, rows, entrants):
    """Runs that are sorted by owner, as parts are, and some that are not sorted by time."""
    found = [(owner, ts) for run in runs for owner, ts in sorted(run, key=lambda row: row[0])]
    columns = {
        "owner": np.array([owner for owner, _ in found], np.int64),
        "ts": np.array([ts for _, ts in found], np.int64),
        "fills": np.array([1 + ts for _, ts in found], np.int64),
        "seq": np.arange(len(found))[::-1].astype(np.int64),
    }
    order = sorted(range(len(found)), key=lambda row: (*found[row], -row))
    want = [(owner, ts, 1 + ts, len(found) - 1 - row) for row in order for owner, ts in [found[row]]]
    if entrants:  # who has an odd `fills`
        entered = sorted({owner for owner, _, fills, _ in want if fills & 1})
        want = [(entered.index(owner), *rest) for owner, *rest in want if owner in entered]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "ROWS", rows)
        patch.setattr(sorting, "_SAMPLE", sample)
        got = sorting.sorted_rows(columns, entrants=entrants)
    names = ("owner", "ts", "fills") if entrants else ("owner", "ts", "fills", "seq")
    assert list(zip(*(got[name].tolist() for name in names), strict=True)) == [row[: len(names)] for row in want]
