"""Answers from rollups: the same numbers as from events, told from where, and what is left of them after a purge."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import logs
import pytest
import rollkit
import storekit
from hypothesis import given, settings
from hypothesis import strategies as st
from questions import PLACES, questions

from evlog import purge, reports, window
from evlog.query.ask import ask
from evlog.query.scope import Pair, Scope

PAIRS = (Pair("start", "done"),)
ASKED = [  # every report that can be rolled up, with the options under which it is
    ("dau", {}),
    ("wau", {}),
    ("wau", {"calendar": True}),
    ("mau", {}),
    ("mau", {"calendar": True}),
    ("active", {}),
    ("events", {}),
    ("usage", {}),
    ("targets", {}),
    ("top", {"key": "category"}),
    ("top", {"key": "category", "order": "users"}),
    ("errors", {}),
    ("errors", {"per_day": True}),
    ("lifecycle", {}),
    ("lifecycle", {"period": "week"}),
    ("lifecycle", {"period": "month"}),
]
KINDS = ["start", "done", "error"]


@st.composite
def asked(draw):
    """A random log, and a scope without conditions."""
    events, scope = draw(questions(KINDS))
    scope = replace(scope, where=(), include_anon=False, pairs=PAIRS)
    length = draw(st.sampled_from([1, 1, 2, 7, 7, 30]))
    return events, rollkit.scope_of(scope, first=scope.window.last - timedelta(length - 1))


@settings(max_examples=8, deadline=None)
@given(asked(), st.booleans())
def test_what_sections_tell_is_what_events_tell(tmp_path_factory, question, cold):
    events, scope = question
    store = logs.store(tmp_path_factory.mktemp("store"), events, cold=cold)
    rollkit.roll(store, scope, first=scope.window.first, last=scope.window.last)
    for name, options in ASKED:
        told, counted = rollkit.both(store, scope, name, **options)
        assert told.source == "events" or told.events_read == 0
        one, other = rollkit.same(told, counted)
        assert one == other, (name, options, told.source)
