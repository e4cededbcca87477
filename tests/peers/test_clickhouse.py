"""The same questions put to ClickHouse (embedded, as chdb), on the same random logs; `make peers` runs this.

It stands apart from the suite: chdb is half a gigabyte, and no part of evlog needs it.
"""

import json
from dataclasses import replace
from datetime import datetime, time, timedelta

import chdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import people
from questions import answers, questions

from evlog.query.scope import Scope
from evlog.window import Window

EPOCH = "1970-01-01"
STEPS = ("a", "b", "c")
COLD = False  # both tiers are held equal elsewhere


def asked(events, sql):
    """The rows that ClickHouse answers over the events: columns user, kind, us (microseconds) and day (UTC)."""
    rows = ",".join(
        f"({_text(e['means'])},{_text(e['event_type'])},{_us(e['ts'])},{(e['ts'].date() - e['ts'].date().fromisoformat(EPOCH)).days})"
        for e in events
    )
    shape = "'user Nullable(String), kind String, us UInt64, day Int32'"
    log = f"SELECT * FROM values({shape}, {rows})" if rows else f"SELECT * FROM values({shape}, (NULL,'',0,0)) WHERE 0"
    found = chdb.query(f"WITH log AS ({log}) {sql}", "JSONCompactEachRow")
    return [json.loads(line) for line in str(found).splitlines()]


def _text(value):
    return "NULL" if value is None else f"'{value}'"


def _us(moment):
    return int((moment - moment.fromisoformat(EPOCH)) / timedelta(microseconds=1))


def plain(question):
    """The events of the window, in UTC, with the user that each counts for: what both sides are asked about."""
    events, scope = question
    window = scope.window
    return [
        e
        for e in people.resolved(events, scope)
        if window.first <= e["ts"].date() <= window.last and e["ts"] < window.until
    ]


def in_utc(question):
    """The question put in UTC, without conditions, when its last day is over."""
    events, scope = question
    end = datetime.combine(scope.window.last + timedelta(days=1), time())
    window = Window(scope.window.first, scope.window.last, end, scope.window.last)
    return events, replace(scope, window=window, where=(), include_anon=False)


UTC = questions(["a", "b", "c", "d"]).map(in_utc)
MOMENT = st.tuples(st.sampled_from("uvwxyz"), st.sampled_from("abcabcd"), st.integers(0, 25))


def crowded(moments):
    """The events of six users at whole hours of two days, many of them at once, and a scope for both days."""
    begin = datetime(2024, 2, 28)
    events = [
        {"event_id": f"e{n}", "seq": n, "user_id": user, "event_type": kind, "ts": begin + timedelta(hours=hour)}
        for n, (user, kind, hour) in enumerate(moments)
    ]
    last = begin + timedelta(days=1)
    return events, Scope(Window(begin.date(), last.date(), last + timedelta(days=1), last.date()))


CROWDED = st.lists(MOMENT, min_size=10, max_size=60).map(crowded)


@settings(max_examples=60, deadline=None)
@given(UTC)
def test_daily_users_are_uniqexact(tmp_path_factory, question):
    events, scope = question
    (dau,) = answers(tmp_path_factory, events, scope, COLD, dau={})
    active = [e for e in plain(question) if e["event_type"] not in scope.inactive]
    theirs = dict(asked(active, "SELECT day, uniqExact(user) FROM log WHERE user IS NOT NULL GROUP BY day"))
    epoch = scope.window.first.fromisoformat(EPOCH)
    assert {(day - epoch).days: users for day, users in dau.rows if users} == theirs


@settings(max_examples=60, deadline=None)
@given(CROWDED, st.sampled_from([timedelta(hours=1), timedelta(hours=2), timedelta(hours=5)]))
def test_a_funnel_is_windowfunnel(tmp_path_factory, question, window):
    events, scope = question
    options = {"steps": STEPS, "window": f"{int(window.total_seconds())}s", "cut": True}
    (funnel,) = answers(tmp_path_factory, events, scope, COLD, funnel=options)
    micros = int(window / timedelta(microseconds=1))
    steps = ", ".join(f"kind = '{step}'" for step in STEPS)
    levels = [
        level
        for _, level in asked(
            plain(question),
            f"SELECT user, windowFunnel({micros})(us, {steps}) FROM log WHERE user IS NOT NULL GROUP BY user",
        )
    ]
    column = [column.name for column in funnel.columns].index("users")
    assert [row[column] for row in funnel.rows] == [sum(level >= k for level in levels) for k in (1, 2, 3)]


@settings(max_examples=60, deadline=None)
@given(UTC)
def test_recurring_cohorts_are_retention(tmp_path_factory, question):
    events, scope = question
    options = {"start": "a", "period": "day", "periods": 4, "cohort": "recurring"}
    (found,) = answers(tmp_path_factory, events, scope, COLD, retention=options)
    epoch = scope.window.first.fromisoformat(EPOCH)
    first = (scope.window.first - epoch).days
    cohorts = list(range(first, first + len(scope.window.days)))
    active = " AND ".join(["1", *(f"kind != '{kind}'" for kind in scope.inactive)])
    came = ", ".join(f"day = cohort + {n} AND {active}" for n in (1, 2, 3))
    theirs = {
        cohort: [int(n) for n in counts]
        for cohort, counts in asked(
            plain(question),
            f"SELECT cohort, sumForEach(came) FROM (SELECT cohort, user, "
            f"retention(kind = 'a' AND day = cohort, {came}) AS came "
            f"FROM log ARRAY JOIN {cohorts} AS cohort WHERE user IS NOT NULL GROUP BY cohort, user) GROUP BY cohort",
        )
    }
    names = [column.name for column in found.columns]
    for row in found.rows:
        size, retained = row[names.index("size")], row[names.index("retained")]
        expected = theirs.get((row[0] - epoch).days, [0, 0, 0, 0])
        assert size == expected[0]
        assert all(mine in {None, n} for mine, n in zip(retained[1:], expected[1:], strict=True))


@settings(max_examples=60, deadline=None)
@given(CROWDED, st.sampled_from(["a", "b"]))
def test_percentiles_are_quantileexactinclusive(tmp_path_factory, question, kind):
    events, scope = question
    steps = (kind, "c")
    (funnel,) = answers(tmp_path_factory, events, scope, COLD, funnel={"steps": steps, "window": "none", "cut": True})
    row = funnel.rows[1]
    names = [column.name for column in funnel.columns]
    median, p90 = row[names.index("median_s")], row[names.index("p90_s")]
    (theirs,) = asked(
        plain(question),
        # with no window the best attempt ends at the first c after the first start, and starts as late as it can
        f"SELECT count(), quantileExactInclusive(0.5)(took), quantileExactInclusive(0.9)(took) FROM ("
        f"SELECT user, arrayMin(arrayFilter(c -> c >= arrayMin(s), e)) AS done, "
        f"done - arrayMax(arrayFilter(b -> b <= done, s)) AS took FROM ("
        f"SELECT user, groupArrayIf(us, kind = '{kind}') AS s, groupArrayIf(us, kind = 'c') AS e FROM log "
        f"WHERE user IS NOT NULL GROUP BY user) WHERE notEmpty(s) AND arrayExists(c -> c >= arrayMin(s), e))",
    )
    assert row[names.index("users")] == int(theirs[0])
    if int(theirs[0]):
        assert median == pytest.approx(float(theirs[1]) / 1e6)
        assert p90 == pytest.approx(float(theirs[2]) / 1e6)
