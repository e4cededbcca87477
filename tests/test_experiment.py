"""Experiments: what brute force finds, and statistics against published figures and other formulas."""

import dataclasses
from collections import Counter
from datetime import timedelta
from math import isclose

import logs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import experiment as oracle
from questions import ONE_THREAD, answers, questions, scoped
from torture import much

from evlog import reports
from evlog.errors import UsageError
from evlog.kernel import lift
from evlog.query.ask import ask

COUNTS = st.integers(1, 60).flatmap(lambda whole: st.tuples(st.integers(0, whole), st.just(whole)))


@st.composite
def trials(draw):
    """A question about views of variants, some of which name none."""
    events, scope = draw(questions(["view", "buy", "other"]))
    for event in events:
        name = draw(st.sampled_from(["control", "new", "old", None]))
        if event["event_type"] == "view" and name is not None:
            event["properties"]["variant"] = name
    return events, dataclasses.replace(scope, where=(), by=draw(st.sampled_from([None, "feature"])))


@settings(max_examples=much(75, 8), deadline=None)
@given(trials(), st.booleans(), st.sampled_from(["none", "1h", "2d"]))
def test_experiments_are_what_brute_force_finds(tmp_path_factory, trial, cold, within):
    events, scope = trial
    options = {"exposure": "view", "goal": "buy", "within": within}
    (result,) = answers(tmp_path_factory, events, scope, cold, experiment=options)
    length = {"none": None, "1h": timedelta(hours=1), "2d": timedelta(days=2)}[within]
    users, unnamed = oracle.users(events, scope, exposure="view", goal="buy", within=length)
    sizes = Counter((group, variant) for group, variant, *_ in users.values())
    done = Counter((group, variant) for group, variant, converted, *_ in users.values() if converted)
    open_ = Counter((group, variant) for group, variant, _, may, _ in users.values() if may)
    variants = {variant for _, variant in sizes}
    control = "control" if "control" in variants else min(variants, default=None)
    rows = [row if scope.by else ("", *row) for row in result.rows]
    assert {(row[0], row[1]): (row[2], row[3]) for row in rows} == {cell: (n, done[cell]) for cell, n in sizes.items()}
    assert sorted(result.partial) == [n for n, row in enumerate(rows) if open_[row[0], row[1]]]
    for group, variant, whole, part, rate, *told in rows:
        base, base_whole = done[group, control], sizes[group, control]
        assert rate == part / whole
        assert told == (compared(part, whole, base, base_whole) if variant != control and base_whole else [None] * 5)
    assert result.summary["users"] == len(users)
    assert result.summary["crossed"] == sum(crossed for *_, crossed in users.values())
    assert result.summary["without_variant"] == len(unnamed)
    ordered = [(row[0], row[1] != control, row[1]) for row in rows]
    assert scope.by or ordered == sorted(ordered)


def compared(part, whole, base, base_whole):
    """Lift, interval, p-value and difference by the oracle's formulas."""
    low, high = oracle.newcombe(part, whole, base, base_whole)
    chance = oracle.p_value(part, whole, base, base_whole)
    lifted = pytest.approx((part / whole) / (base / base_whole) - 1, abs=1e-12) if base else None
    exact = {"rel": 1e-7, "abs": 1e-9}
    return [
        lifted,
        pytest.approx(low, **exact),
        pytest.approx(high, **exact),
        None if chance is None else pytest.approx(chance, **exact),
        pytest.approx(part / whole - base / base_whole),
    ]


@pytest.mark.parametrize(
    ("counts", "interval"),
    [  # Newcombe 1998, Statistics in Medicine 17:873-890, table II, method 10
        ((56, 70, 48, 80), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((6, 7, 2, 7), (0.0582, 0.8062)),
        ((5, 56, 0, 29), (-0.0381, 0.1926)),
        ((0, 10, 0, 20), (-0.1611, 0.2775)),
        ((0, 10, 0, 10), (-0.2775, 0.2775)),
        ((10, 10, 0, 20), (0.6791, 1.0000)),
        ((10, 10, 0, 10), (0.6075, 1.0000)),
    ],
)
def test_the_published_intervals(counts, interval):
    assert lift.newcombe(*counts) == pytest.approx(interval, abs=0.00005)


@pytest.mark.parametrize(
    ("statistic", "freedom", "p"),
    [  # quantiles that every table has, and tails in closed form
        (3.841458820694124, 1, 0.05), (6.634896601021213, 1, 0.01), (10.827566170662733, 1, 0.001),
        (5.991464547107979, 2, 0.05), (13.815510557964274, 2, 0.001), (7.814727903251179, 3, 0.05),
        (9.487729036781154, 4, 0.05), (18.307038053275146, 10, 0.05), (0.0, 3, 1.0), (2000.0, 3, 0.0),
    ],
)  # fmt: skip
def test_the_tails_of_chi_square(statistic, freedom, p):
    assert lift.chi_square_beyond(statistic, freedom) == pytest.approx(p, rel=1e-12, abs=1e-15)


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 60), st.integers(1, 12))
def test_the_tail_is_the_area_under_the_density(statistic, freedom):
    area = oracle.chi_square_beyond(statistic, freedom, steps=2000)
    assert lift.chi_square_beyond(statistic, freedom) == pytest.approx(area, rel=1e-6, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(COUNTS, COUNTS)
def test_two_shares(one, two):
    low, high = lift.newcombe(*one, *two)
    share, other = one[0] / one[1], two[0] / two[1]
    assert (low, high) == pytest.approx(oracle.newcombe(*one, *two), abs=1e-9)
    assert -1 <= low <= share - other <= high <= 1
    assert lift.newcombe(*two, *one) == pytest.approx((-high, -low))
    p, same = lift.p_value(*one, *two), oracle.p_value(*one, *two)
    assert p == same if p is None else isclose(p, same, rel_tol=1e-6, abs_tol=1e-9)
    assert p == lift.p_value(*two, *one)
    assert p is None or share != other or p == 1


def test_a_known_z_test():
    """z = 1.4293 for 120 and 100 of 1000 each; p by the error function of a table."""
    assert lift.p_value(120, 1000, 100, 1000) == pytest.approx(0.152918, abs=5e-7)
    assert lift.p_value(0, 10, 0, 10) is None
    assert lift.p_value(1, 0, 0, 10) is None
    assert lift.newcombe(0, 0, 0, 10) is None


@pytest.mark.parametrize(
    ("counts", "shares", "p"),
    [
        ([5000, 5000], [1, 1], 1.0),
        ([5100, 4900], [50, 50], 0.0455003),
        ([821, 1], [1, 1], 0.0),
        ([30, 30, 60], [1, 1, 2], 1.0),
        ([10], [1], None),
        ([0, 0], [1, 1], None),
    ],
)
def test_the_split(counts, shares, p):
    found = lift.split_p_value(counts, shares)
    assert found is None if p is None else found == pytest.approx(p, abs=5e-8)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "an experiment needs --exposure STEP and --goal STEP"),
        ({"exposure": "view"}, "an experiment needs --exposure STEP and --goal STEP"),
        ({"exposure": "view", "goal": "buy", "control": "nwe"}, "--control 'nwe': nobody was shown it"),
        ({"exposure": "view", "goal": "buy", "split": "50,x"}, "--split '50,x' is no list of numbers above 0"),
        ({"exposure": "view", "goal": "buy", "split": "1,-1"}, "--split '1,-1' is no list of numbers above 0"),
        ({"exposure": "view", "goal": "buy", "split": "1,1,1"}, "--split names 3 shares of 2 variants"),
        ({"exposure": "view", "goal": "buy", "within": "soon"}, "'soon' is no duration"),
        ({"exposure": "view[", "goal": "buy"}, "step 1"),
    ],
)
def test_what_cannot_be_answered_is_told(tmp_path, options, told):
    scope, _ = scoped({"from": "2026-03-01", "to": "2026-03-01"})
    log = logs.events("2026-03-01 09:00 a view variant=x\n2026-03-01 09:00 b view variant=y")
    with pytest.raises(UsageError) as caught:
        ask(logs.store(tmp_path, log), scope, reports.load("experiment").report, limits=ONE_THREAD, **options)
    assert told in str(caught.value)
    assert caught.value.hint


def test_an_empty_store_has_an_answer(tmp_path):
    scope, _ = scoped({"from": "2026-03-01", "to": "2026-03-02", "tz": "Europe/Berlin"})
    report = reports.load("experiment").report
    result = ask(logs.store(tmp_path, []), scope, report, exposure="view", goal="buy", control="x", split="1,1")
    assert result.rows == ()
    assert result.summary["rate"] is None
    assert "the store holds no event yet: evlog ingest FILE" in result.notes
