"""The funnel kernel against exhaustive search, and metrics §15's vectors."""

import random
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.funnel import Seen, best_chain

from evlog.kernel.attribution import attributed
from evlog.kernel.funnel import Log, attempts, last_entries
from evlog.kernel.quantile import quantile
from evlog.kernel.rules import FOREVER, Rules
from evlog.kernel.tied import assigned, longest_run

TIES = ("step", "strict", "seq")


def chains(people, steps, *, window, ties):
    """The kernel's chains of many people at once, as places in each one's own log."""
    person = [number for number, events in enumerate(people) for _ in events]
    found = attempts(
        Log(
            np.array(person, np.int64),
            np.array([ts for events in people for ts, _ in events], np.int64),
            np.array([mask for events in people for _, mask in events], np.int64),
        ),
        Rules(steps, FOREVER if window is None else window, ties),
    )
    begins = list(accumulate((len(events) for events in people), initial=0))
    got = {
        who: tuple(row - begins[who] for row in chain if row >= 0)
        for who, chain in zip(found.person.tolist(), found.chain.tolist(), strict=True)
    }
    assert [len(chain) for chain in got.values()] == found.level.tolist()
    return [got.get(number, ()) for number in range(len(people))]


def expected(events, steps, *, window, ties):
    seen = [Seen(ts, frozenset(step for step in range(steps) if mask >> step & 1)) for ts, mask in events]
    return best_chain(seen, steps, window=window, ties=ties)


def random_log(draw, steps):
    """Few instants, so that many events are tied; some people's events fill one step each, others' several."""
    span = draw.choice((0, 1, 2, 4, 9))
    single = draw.random()
    return [
        (ts, 1 << draw.randrange(steps) if draw.random() < single else draw.randrange(1, 1 << steps))
        for ts in sorted(draw.randint(0, span) for _ in range(draw.randint(0, 6)))
    ]


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_a_thousand_people_at_once_have_the_chains_that_search_finds(steps, ties):
    draw = random.Random(f"{steps} {ties}")
    for window in (None, 0, 1, 2, 5):
        people = [random_log(draw, steps) for _ in range(200)]
        want = [expected(events, steps, window=window, ties=ties) for events in people]
        assert chains(people, steps, window=window, ties=ties) == want


LOGS = st.integers(1, 4).flatmap(
    lambda steps: st.tuples(
        st.just(steps),
        st.lists(
            st.lists(st.tuples(st.integers(0, 4), st.integers(1, (1 << steps) - 1)), max_size=6).map(
                lambda events: sorted(events, key=lambda event: event[0])
            ),
            min_size=1,
            max_size=4,
        ),
    )
)


@settings(max_examples=300, deadline=None)
@given(LOGS, st.sampled_from((None, 0, 1, 3)), st.sampled_from(TIES))
def test_any_log_has_the_chains_that_search_finds(log, window, ties):
    steps, people = log
    want = [expected(events, steps, window=window, ties=ties) for events in people]
    assert chains(people, steps, window=window, ties=ties) == want


@pytest.mark.long
@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 15)), max_size=40, unique_by=lambda event: event[0]))
def test_ties_mean_nothing_where_no_two_events_are_tied(events):
    events = sorted(events)
    for window in (None, 0, 7, 20):
        assert len({tuple(chains([events], 4, window=window, ties=ties)) for ties in TIES}) == 1


# Name, log in order of arrival (a letter an event type), steps, window, then the levels with ties step, strict and seq.
VECTORS = [
    ("V1", "A0 B60", "A B", 60, [2, 2, 2]),
    ("V2", "A0 B61", "A B", 60, [1, 1, 1]),
    ("V3", "A0 A50 B100", "A B", 60, [2, 2, 2]),
    ("V4", "A0 A30 B45 C75", "A B C", 60, [3, 3, 3]),
    ("V5", "A0 B10 A200 B210 C220", "A B C", 60, [3, 3, 3]),
    ("V6", "A5 B5 C5", "A B C", 60, [3, 1, 3]),
    ("V7", "B5 A5", "A B", 60, [2, 1, 1]),
    ("V8", "A0", "A A", 60, [1, 1, 1]),
    ("V9", "A0 A10", "A A", 60, [2, 2, 2]),
    ("V10", "A0 A1 B2", "A A B", 60, [3, 3, 3]),
    ("V11", "A0 X1 B2", "A B", 60, [2, 2, 2]),
    ("V12", "A0 X1 A2 B3", "A B", 60, [2, 2, 2]),
    ("V13", "A0 X1 B1", "A B", 60, [2, 2, 2]),
    ("V14", "B0 A1", "A B", 60, [1, 1, 1]),
    ("V15", "A0", "A|B A|B", 60, [1, 1, 1]),
    ("V16", "A0 B50 C100", "A B C", 60, [2, 2, 2]),
    ("V17", "B5 C5 A5 B3", "B C B|C A|B", 4, [4, 2, 2]),
    ("V20", "A0 A1 B1", "A B", 60, [2, 2, 2]),
]


def told(text, steps):
    """The events of a vector that can fill a step, in canonical order, with their masks."""
    wanted = [set(step.split("|")) for step in steps.split()]
    events = [
        (int(word[1:]), sum(1 << i for i, types in enumerate(wanted) if word[0] in types)) for word in text.split()
    ]
    return sorted(((ts, mask) for ts, mask in events if mask), key=lambda event: event[0])


@pytest.mark.parametrize(("name", "log", "steps", "window", "levels"), VECTORS, ids=[vector[0] for vector in VECTORS])
def test_a_vector_has_its_levels(name, log, steps, window, levels):
    events = told(log, steps)
    assert [len(chains([events], len(steps.split()), window=window, ties=ties)[0]) for ties in TIES] == levels, name


@pytest.mark.parametrize(
    ("log", "steps", "instants"),
    [
        ("A0 A50 B100", "A B", [50, 100]),  # the latest start for the completion
        ("A0 A30 B45 C75", "A B C", [30, 45, 75]),
        ("A0 A5 B10", "A B", [5, 10]),
        ("A0 B10 B50 C55", "A B C", [0, 10, 55]),  # the earliest instant of a step in between
        ("A0 B10 A200 B205", "A B", [0, 10]),  # the earliest completion, not the quickest
        ("A0 B70 A80", "A B", [0]),  # not deep: its level is completed by the earliest event
    ],
)
def test_the_chain_is_the_earliest_to_complete_with_the_latest_start(log, steps, instants):
    events = told(log, steps)
    (chain,) = chains([events], len(steps.split()), window=60, ties="step")
    assert [events[place][0] for place in chain] == instants


def test_nobody_enters_an_empty_log():
    assert chains([], 2, window=None, ties="step") == []
    assert chains([[], [(5, 2)]], 2, window=None, ties="step") == [(), ()]


def test_everyone_has_a_last_event_that_can_be_step_1():
    log = Log(np.array([1, 1, 1, 2, 3, 3]), np.arange(6), np.array([1, 3, 2, 2, 1, 2]))
    assert last_entries(log).tolist() == [1, 4]
    assert last_entries(Log(*[np.zeros(0, np.int64)] * 3)).tolist() == []


def test_a_window_of_nothing_still_holds_one_instant():
    assert chains([[(5, 2), (5, 1)], [(5, 1), (6, 2)]], 2, window=0, ties="step") == [(1, 0), (0,)]


def test_ten_thousand_events_in_one_instant_are_matched_as_a_few():
    events = [(0, 3)] * 10_000
    assert chains([events], 2, window=None, ties="step") == [(0, 1)]


def test_a_run_ends_at_the_first_step_that_finds_no_event():
    assert longest_run([0b11, 0b01], 0, 3) == 2  # the first event moves over for the second
    assert longest_run([0b100, 0b001], 0, 3) == 1
    assert longest_run([0b11], 0, 2) == 1
    assert assigned([0b11, 0b01], 0, 2) == [1, 0]
    assert assigned([0b11, 0b11], 0, 2) == [0, 1]


@pytest.mark.parametrize(("attribution", "told_values"), [("first", [7, 8, -1, -1]), ("last", [8, 8, -1, -1])])
def test_a_chain_belongs_to_its_first_or_last_value(attribution, told_values):
    values = np.array([7, -1, 8, -1], np.int64)
    chain = np.array([[0, 2, -1], [1, 2, 3], [1, 3, -1], [3, -1, -1]], np.int64)
    assert attributed(chain, values, attribution).tolist() == told_values


@pytest.mark.parametrize(
    ("numbers", "percent", "value"),
    [
        ([1, 2, 3, 4, 10], 50, 3),
        ([1, 2, 3, 4, 10], 90, 7.6),
        ([1, 2, 3, 4, 10], 95, 8.8),
        ([1, 2, 3, 4], 50, 2.5),
        ([1, 2, 3, 4], 90, 3.7),
        ([5], 90, 5),
        ([], 50, None),
    ],
)
def test_percentiles_interpolate_between_the_values_beside_them(numbers, percent, value):
    assert quantile(numbers, percent) == pytest.approx(value) if numbers else quantile(numbers, percent) is None
