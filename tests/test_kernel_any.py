"""Steps in any order: the sliding matching against exhaustive search, against the search of all sets, and its bounds."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from oracle.chains import Asked, Event
from oracle.chains import attempts as tried
from test_kernel_rules import kernel_chains

from evlog.kernel.effort import Effort
from evlog.kernel.funnel import Log, TooManyWays, attempts
from evlog.kernel.matching import Cover, Matching, foremost, lowest
from evlog.kernel.moments import Own, moments
from evlog.kernel.rules import FOREVER, Exclusion, Rules
from evlog.kernel.search import _best, searched

TIES = ("step", "strict", "seq")


def kinds(draw, steps):
    """The masks of a few event types, as steps overlap or repeat."""
    few = draw.randint(1, 5)
    if draw.random() < 0.4:  # repeated steps: types that fill the same ones
        kind = [draw.randrange(few) for _ in range(steps)]
        return [sum(1 << step for step in range(steps) if kind[step] == own) for own in range(few)]
    return [draw.randrange(1 << steps) for _ in range(few)]


def log_of(draw, steps, *, most, span):
    """A log of these types: instants, masks, and which may open."""
    masks, closed = kinds(draw, steps), draw.choice((0, 0, 0.5))
    instants = sorted(draw.randint(0, span) for _ in range(draw.randint(1, most)))
    return [(ts, draw.choice(masks), draw.random() >= closed) for ts in instants]


def ways(*masks):
    """How many chains there may be at the most."""
    return math.prod(1 + mask.bit_count() for mask in masks)


@pytest.mark.parametrize("attempt", ["best", "first", "all"])
@pytest.mark.parametrize("ties", TIES)
def test_overlapping_steps_have_the_chains_that_exhaustive_search_finds(ties, attempt):
    draw = random.Random(f"any {ties} {attempt}")
    deep = 0
    for _ in range(120):
        asked = Asked(
            draw.randint(2, 5),
            draw.choice((math.inf, 0, 1, 2, 4, 7)),
            draw.choice((math.inf, math.inf, math.inf, 3, 9)),
            ties=ties,
            order="any",
            attempt=attempt,
            start=draw.choice(("last", "last", "first")),
            share=draw.random() < 0.2,
            anchored=draw.random() < 0.5,
        )
        log = log_of(draw, asked.steps, most=8, span=draw.choice((0, 2, 5, 12)))
        while ways(*(mask for _, mask, _ in log)) > 3000:
            log.pop()
        events = [
            Event(ts, frozenset(step for step in range(asked.steps) if mask >> step & 1), opens=opens)
            for ts, mask, opens in log
        ]
        (got,) = kernel_chains([events], asked)
        assert got == tried(events, asked), (asked, log)
        deep += any(len(chain) > 2 for chain in got)
    assert deep > 4


@pytest.mark.parametrize("start", ["last", "first"])
@pytest.mark.parametrize("ties", TIES)
def test_longer_logs_have_the_chains_that_the_search_of_all_sets_finds(ties, start):
    draw = random.Random(f"long {ties} {start}")
    for _ in range(60):
        rules = Rules(
            draw.randint(4, 7),
            draw.choice((FOREVER, 3, 8, 15, 30)),
            ties,
            order="any",
            start=start,
            share=draw.random() < 0.15,
            anchored=draw.random() < 0.5,
        )
        log = log_of(draw, rules.steps, most=40, span=draw.choice((8, 25, 60)))
        ts, fills, opens = zip(*log, strict=True)
        instants = moments(Own(ts, fills, opens=opens), rules)
        old = _best(instants, rules, None)
        assert searched(instants, rules) == ([old] if old[0] else []), (rules, log)


def test_a_matching_is_as_large_as_can_be_whatever_comes_and_goes():
    draw = random.Random("matching")
    for _ in range(150):
        steps = draw.randint(1, 5)
        matching, cover, held = Matching(steps), Cover(), []
        for _ in range(40):
            if held and draw.random() < 0.45:
                mask = held.pop(draw.randrange(len(held)))
                matching.remove(mask)
                cover.remove(mask)
            else:
                held.append(draw.randrange(1 << steps))
                before = matching.size, cover.size
                assert matching.add(held[-1]) == (matching.size > before[0])
                assert cover.add(held[-1]) == (cover.size > before[1])
            assert matching.size == steps - matching.free.bit_count() == largest(held, steps)
            assert cover.size == np.bitwise_or.reduce([0, *held]).bit_count()


def largest(masks, steps):
    """The most steps that can be filled, by all sets of steps that some choice fills."""
    sets = {0}
    for mask in masks:
        sets |= {own | 1 << step for own in sets for step in range(steps) if mask >> step & ~own >> step & 1}
    return max(own.bit_count() for own in sets)


def test_events_take_the_lowest_steps_that_leave_one_for_each():
    assert lowest((0b11, 0b11), 2) == (0, 1)
    assert lowest((0b11, 0b01), 2) == (1, 0)
    assert lowest((0b110, 0b011, 0b001), 3) == (2, 1, 0)
    assert lowest((0b1100, 0b0100), 4) == (3, 2)
    assert foremost([[0b01, 0b10], [0b01]], 2) == (1, 0)
    assert foremost([[0b01, 0b10], [0b01, 0b10]], 2) == (0, 1)


def test_an_opener_is_step_1_even_where_another_would_need_its_place():
    anchored = Asked(2, 60, order="any", anchored=True)
    for log, chains in (
        ([(0, {0, 1}), (5, {0})], [((0, 0),)]),  # the opener holds step 1, so step 2 is left without
        ([(0, {0}), (0, {0, 1})], [((0, 0), (1, 1))]),
        ([(0, {0, 1}), (0, {0})], [((1, 0), (0, 1))]),  # of one instant the second opens
    ):
        events = [Event(ts, frozenset(steps)) for ts, steps in log]
        assert kernel_chains([events], anchored) == [chains] == [tried(events, anchored)]


def test_where_arrival_decides_the_first_opener_of_an_instant_opens():
    events = [Event(0, frozenset({0, 1})), Event(0, frozenset({0}))]
    asked = Asked(2, 60, order="any", anchored=True, ties="seq")
    assert kernel_chains([events], asked) == [[((0, 0),)]] == [tried(events, asked)]
    events += [Event(100, frozenset({0})), Event(101, frozenset({1}))]
    assert kernel_chains([events], asked) == [[((2, 0), (3, 1))]] == [tried(events, asked)]


def test_an_opener_that_is_shared_takes_first_what_no_earlier_event_can():
    events = [Event(0, frozenset({0}), opens=False), Event(0, frozenset({0, 1}))]
    asked = Asked(2, 60, order="any", share=True)
    assert kernel_chains([events], asked) == [[((1, 1), (0, 0))]] == [tried(events, asked)]


@pytest.mark.parametrize("rest", [{}, {"anchored": True}, {"ties": "strict"}, {"ties": "seq"}, {"attempt": "all"}])
def test_thirty_two_steps_that_overlap_are_matched(rest):
    pairs = [1 << step | 1 << (step + 1) % 32 for step in range(32)]
    log = Log(np.zeros(320, np.int64), np.arange(320), np.array((pairs + pairs[::-1]) * 5))
    found = attempts(log, Rules(32, 40, order="any", **rest))
    assert found.level.max() == 32
    assert sorted(found.filled[found.level.argmax()].tolist()) == list(range(32))


@pytest.mark.parametrize("limit", [{"step_window": 50}, {"exclusions": (Exclusion(0, 17, 20),)}])
def test_what_would_have_to_try_too_many_sets_is_refused(limit, monkeypatch):
    monkeypatch.setattr("evlog.kernel.effort._LEAST", 1000)
    fills = np.array([1 << step for step in range(20)] * 2)
    log = Log(np.zeros(40, np.int64), np.arange(40), fills, excluded=np.arange(40) % 2)
    rules = Rules(20, order="any", **limit)
    with pytest.raises(TooManyWays):
        attempts(log, rules)
    greedy = attempts(log, replace(rules, attempt="first"))
    assert greedy.level.tolist() == [18 if rules.exclusions else 20]


@pytest.mark.parametrize("apart", [0, 1])
def test_no_more_sets_are_held_than_there_is_room_for(apart, monkeypatch):
    monkeypatch.setattr("evlog.kernel.effort.MOST", 500)
    monkeypatch.setattr("evlog.kernel.search.MOST", 500)
    rules = Rules(12, order="any", step_window=50)
    own = Own([step * apart for step in range(12)], [1 << step for step in range(12)])
    with pytest.raises(TooManyWays):
        searched(moments(own, rules), rules, Effort(10**9))
    few = replace(rules, steps=8)
    assert len(searched(moments(own, few), few)[0][0]) == 8


def test_a_step_window_no_shorter_than_the_window_asks_for_nothing():
    for overlap in (0, 1):
        fills = np.array([1 << step | overlap << (step + 1) % 20 for step in range(20)] * 10)
        log = Log(np.zeros(200, np.int64), np.arange(200), fills)
        assert attempts(log, Rules(20, 50, order="any", step_window=50)).level.tolist() == [20]
