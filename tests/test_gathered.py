"""Small segments that are read as one say the same, and are read only where somebody asks."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

import pytest
import storekit as kit
from hypothesis import given, settings
from hypothesis import strategies as st
from storekit import DAY_1, DAY_2, DAY_3, NOW, event

from evlog import compact, engine
from evlog.query import gathered, span, view
from evlog.query.ask import ask
from evlog.reports import load
from evlog.status import status
from evlog.store import layout, snapshot

TEXTS = st.sampled_from(["a", 'say "x"', 'ends ,"seq":7}', "a\\b", "é\u2028", ""])
EVENTS = st.builds(
    lambda day, user, text, number, other: event(
        os.urandom(6).hex(), day, user, target_id=text or None, properties={"n": number, text: {"t": [text]}}, **other
    ),
    st.sampled_from([DAY_1, DAY_2, DAY_3]),
    st.sampled_from(["bob", "eve", None]),
    TEXTS,
    st.integers(-(2**40), 2**40) | st.floats(-1e9, 1e9),
    st.sampled_from([{}, {"anonymous_id": "d1"}, {"session_id": "s", "context": {"c": 1}}]),
)
BATCHES = st.lists(st.lists(EVENTS, min_size=1, max_size=3), min_size=1, max_size=5)
REPORTS = ("dau", "events", "sessions", "retention")


@pytest.fixture(autouse=True)
def _two_are_many(monkeypatch):
    monkeypatch.setattr(gathered, "_MANY", 2)


def told(store):
    """All rows of a store, as they are read one by one and gathered; and how many files that took."""
    seen = snapshot.snapshot(store)
    with engine.connect() as connection, gathered.gathered(seen, connection) as read:
        each, whole = (
            sorted(connection.rows(f"SELECT * FROM ({body})", params), key=repr)
            for body, params in (view.relation(one.hot, one.cold) for one in (seen, read))
        )
    return each, whole, len(seen.hot), len(read.hot)


@settings(max_examples=15, deadline=None)
@given(BATCHES, st.sampled_from([None, "compact", "merge"]), st.lists(EVENTS, max_size=2))
def test_the_rows_are_the_same(tmp_path_factory, batches, then, late):
    store = layout.create(tmp_path_factory.mktemp("g") / "s")
    for number, batch in enumerate(batches):
        kit.ingest(store, *batch, now=NOW + timedelta(microseconds=number))
    if then:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compact, "_MANY", 2)
            compact.run(store, before=None if then == "compact" else DAY_1)
        kit.ingest(store, *late, now=NOW + timedelta(hours=1))
    each, whole, before, after = told(store)
    assert whole == each
    assert after <= before


@pytest.fixture
def store(tmp_path):
    """Twelve segments in three days."""
    made = layout.create(tmp_path / "s")
    for number in range(4):
        days = (
            event(f"e{number}{day}", day, f"u{number % 2}", anonymous_id=f"a{number}") for day in (DAY_1, DAY_2, DAY_3)
        )
        kit.ingest(made, *days, now=NOW + timedelta(seconds=number))
    return made


@pytest.mark.parametrize("name", REPORTS)
def test_reports_say_the_same(store, monkeypatch, name):
    report = load(name).report
    found = ask(store, kit.SCOPE, report)
    monkeypatch.setattr(gathered, "_MANY", 1000)
    assert found == ask(store, kit.SCOPE, report)


def test_a_statement_opens_a_file_for_each_day(store):
    *_, before, after = told(store)
    assert (before, after) == (12, 3)


def test_the_ends_of_a_store_and_its_status_are_the_same(store, monkeypatch):
    found = span.held(store), status(store, now=NOW)
    assert found[0] == (datetime(2026, 1, 5, 10), datetime(2026, 1, 7, 10))
    monkeypatch.setattr(gathered, "_MANY", 1000)
    assert found == (span.held(store), status(store, now=NOW))


def test_no_segment_is_read_before_the_first_statement(store):
    seen = snapshot.snapshot(store)
    for segment in seen.hot:
        segment.path.unlink()
    with engine.connect() as connection, gathered.gathered(seen, connection) as read:
        assert len(read.hot) == 3
        with pytest.raises(FileNotFoundError):
            connection.rows("SELECT 1")


def test_what_is_replaced_meanwhile_is_asked_again(store):
    """A merge that comes in between takes the files away; the answer is that of what stands then."""
    calls = []

    def report(question):
        if not calls:
            compact.run(store, before=None)
        calls.append(len(question.snapshot.hot))
        return question.rows("SELECT count(*) FROM seen")[0][0]

    assert ask(store, kit.SCOPE, report) == 12
    assert calls == [3, 0]


def test_there_is_room_for_some_only(store, monkeypatch):
    monkeypatch.setattr(gathered, "_FILES", 1)
    each, whole, _, after = told(store)
    assert (whole, after) == (each, 9)
    monkeypatch.setattr(gathered, "_FILES", 64)
    monkeypatch.setattr(gathered, "_MOST", 1)
    assert told(store)[3] == 12
