"""What is asked of attempts once they are found: best of several lanes, optional steps, values, times, reasons."""

import math
import random

import numpy as np
import pytest
from oracle.chains import Asked, Event, _rank, clustered
from test_kernel_rules import log_of, random_events, random_rules, rules
from test_kernel_vectors import told

from evlog.kernel.attribution import attributed
from evlog.kernel.explained import Why, explained
from evlog.kernel.folded import folded
from evlog.kernel.funnel import Log, attempts, graced, last_entries
from evlog.kernel.histogram import EDGES, histogram
from evlog.kernel.optional import did_between
from evlog.kernel.rules import Rules


def random_question(draw, **fixed):
    return random_rules(draw, draw.choice((1, 2, 3, 4)), **fixed)


def links(found, number):
    """An attempt's rows with the steps they fill."""
    level = found.level[number]
    steps = range(level) if found.filled is None else found.filled[number, :level].tolist()
    return tuple(zip(found.chain[number, :level].tolist(), steps, strict=True))


def test_a_person_keeps_the_best_of_their_lanes():
    draw = random.Random("lanes")
    for _ in range(300):
        asked = random_question(draw)
        lanes = [random_events(draw, asked.steps, most=5) for _ in range(6)]
        owner = np.array([draw.choice((3, 5, 9)) for _ in lanes])
        log = graced(log_of(lanes), rules(asked))
        found = attempts(log, rules(asked))
        events = [Event(ts) for ts in log.ts.tolist()]
        want = {}
        for number, lane in enumerate(found.person.tolist()):
            chain = links(found, number)
            want.setdefault(int(owner[lane]), []).append((_rank(chain, events, asked), chain))
        best = folded(found, owner, log, start=asked.start)
        assert {who: min(chains)[1] for who, chains in want.items()} == {
            int(who): links(best, number) for number, who in enumerate(best.person)
        }
        assert best.person.tolist() == sorted(want)


def test_an_optional_step_is_another_event_on_the_way():
    draw = random.Random("optional")
    seen = 0
    for _ in range(600):
        asked = random_question(draw)
        people = [random_events(draw, asked.steps, most=7) for _ in range(4)]
        log = graced(log_of(people), rules(asked))
        matching = np.array([draw.random() < 0.4 for _ in log.ts], bool)
        found = attempts(log, rules(asked))
        after = draw.randint(1, asked.steps)
        got = did_between(found, log, rules(asked), matching=matching, after=after).tolist()
        assert got == [did(links(found, number), log, matching, asked, after) for number in range(len(found.person))]
        seen += sum(got)
    assert seen > 100


def did(chain, log, matching, asked, after):
    """Whether some other event of the person lies where it must, looked for one by one."""
    if len(chain) < after:
        return False
    rows = [row for row, _ in chain]
    ts = log.ts.tolist()
    begin = ts[rows[after - 1]]
    open_end = min(ts[rows[0]] + asked.window, begin + asked.step_window)
    end = ts[rows[after]] if len(rows) > after else open_end
    mine = [row for row in range(len(ts)) if log.person[row] == log.person[rows[0]]]
    return any(matching[row] and row not in rows and begin <= ts[row] <= end for row in mine)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (60, [(10, 2), (60, 2)]),
        (1000, [(10, 2), (60, 2), (600, 1), (1000, 1)]),
        (5, [(5, 5)]),
        (None, [(10, 2), (60, 2), (600, 1), (3600, 1), (86400, 0), (259200, 0), (604800, 0), (None, 0)]),
    ],
)
def test_times_lie_up_to_and_with_an_edge(window, expected):
    second = 1_000_000
    kept = [0, 10, 11, 60, 61, 1000][: 4 if window == 60 else 6]
    if window == 5:
        kept = [0, 1, 2, 5, 5]
    times = np.array(kept) * second
    limit = () if window is None else (window * second,)
    assert histogram(times, *limit) == [(edge and edge * second, count) for edge, count in expected]
    assert histogram(times[:0], *limit) == [(edge and edge * second, 0) for edge, _ in expected]
    assert list(EDGES) == sorted(EDGES)


def test_a_chain_has_the_value_at_a_step():
    chain = np.array([[0, 1, 2], [3, 4, -1], [5, -1, -1]])
    values = np.array([7, -1, 8, -1, 9, -1])
    assert attributed(chain, values, 1).tolist() == [7, -1, -1]
    assert attributed(chain, values, 2).tolist() == [-1, 9, -1]
    assert attributed(chain, values, 3).tolist() == [8, -1, -1]
    assert attributed(chain, values, "first").tolist() == [7, 9, -1]
    assert attributed(chain, values, "last").tolist() == [8, 9, -1]


def test_the_last_entry_is_one_that_may_open():
    log = Log(np.array([1, 1, 1, 2, 3]), np.arange(5), np.array([1, 3, 2, 2, 0]))
    assert last_entries(log, Rules(2)).tolist() == [1]
    assert last_entries(log, Rules(2, order="any")).tolist() == [2, 3]
    assert last_entries(log, Rules(2, order="any", anchored=True)).tolist() == [1]
    shut = Log(log.person, log.ts, log.fills, opens=np.array([True, False, True, True, True]))
    assert last_entries(shut, Rules(2)).tolist() == [0]


@pytest.mark.parametrize(
    ("log", "asked", "why"),
    [
        ("A0 B9", {}, None),
        ("A0 X3", {}, Why("never")),
        ("B0 A5", {}, Why("earlier", 0, candidate=0)),
        ("B5 A5", {"ties": "seq"}, Why("tied", 0, candidate=0)),
        ("A5 B5", {"ties": "strict"}, Why("tied", 1, candidate=1)),
        ("A0 B70 B80", {"window": 60}, Why("window", 1, 10, 1)),
        ("A0 B70", {"step_window": 60}, Why("step_window", 1, 10, 1)),
        ("A0 B70", {"window": 50, "step_window": 60}, Why("window", 1, 20, 1)),
        ("A0 C3 B9", {"order": "strict"}, Why("between", 1, candidate=2)),
        ("A0 X3 B9", {"exclusions": ((0, 1, 2),)}, Why("excluded", 1, candidate=2)),
        ("A0 X3 B90", {"exclusions": ((0, 1, 2),), "window": 60}, Why("excluded", 1, candidate=2)),
        ("A0 B5 A80 B200", {"attempt": "first", "window": 3}, Why("window", 1, 2, 1)),
        ("A0 B70", {"order": "any", "window": 60}, Why("window", 1, 10, 1)),
    ],
)
def test_it_is_told_why_the_next_step_does_not_count(log, asked, why):
    people = [[Event(1, frozenset({0, 1}))], told(log, "A B", excluded="X")]
    (attempt,) = explained(log_of(people), 1, rules(Asked(2, **asked)))
    lifted = why if why is None or why.row is None else Why(why.cause, why.row + 1, why.late, why.candidate + 1)
    assert attempt.why == lifted
    assert not attempt.removed


def test_who_is_removed_is_told_by_what():
    events = told("A0 X3 B9", "A B", excluded="X")
    (attempt,) = explained(log_of([events]), 0, rules(Asked(2, exclusions=((0, 1, 2),), remove=True)))
    assert (attempt.rows, attempt.why, attempt.removed) == ((0, 2), Why("excluded", 1), True)


@pytest.mark.long
def test_an_attempt_that_ends_early_has_a_reason_that_holds():
    draw = random.Random("reasons")
    causes = set()
    for _ in range(1500):
        asked = random_question(draw, remove=False)
        events = random_events(draw, asked.steps)
        log = log_of([events])
        found = attempts(log, rules(asked))
        told_of = explained(log, 0, rules(asked))
        assert [attempt.rows for attempt in told_of] == [
            tuple(row for row, _ in links(found, number)) for number in range(len(found.level))
        ]
        events = clustered(events, asked.grace)
        for attempt in told_of:
            assert (attempt.why is None) == (len(attempt.rows) == asked.steps)
            if attempt.why is not None:
                causes.add(attempt.why.cause)
                check(attempt, events, asked)
    assert causes == {"never", "earlier", "tied", "window", "step_window", "between", "excluded"}


def check(attempt, events, asked):
    """The reason, by its own words."""
    why, begin, last = attempt.why, events[attempt.rows[0]].ts, events[attempt.rows[-1]].ts
    if why.cause == "never":
        wanted = set(range(asked.steps)) - set(attempt.steps) if asked.order == "any" else {len(attempt.rows)}
        assert all(not wanted & event.steps for row, event in enumerate(events) if row not in attempt.rows)
        return
    own, then = events[why.row].ts, events[why.candidate].ts
    held = {
        "earlier": own <= last,
        "tied": own == last and asked.ties != "step",
        "window": own - begin - asked.window == why.late != math.inf,
        "step_window": own - last - asked.step_window == why.late != math.inf,
        "between": last < own < then and asked.order == "strict",
        "excluded": begin < own < then and bool(events[why.row].hits),
    }
    assert held[why.cause]
    assert why.late is None or why.late > 0
