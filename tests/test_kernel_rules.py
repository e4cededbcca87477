"""The funnel kernel under any rules against exhaustive search."""

import math
import random
from itertools import accumulate

import numpy as np
import pytest
from oracle.chains import Asked, Event
from oracle.chains import attempts as tried

from evlog.kernel.funnel import Log, attempts
from evlog.kernel.rules import FOREVER, Exclusion, Rules


def rules(asked):
    def limit(value):
        return FOREVER if value == math.inf else value

    return Rules(
        asked.steps,
        limit(asked.window),
        asked.ties,
        asked.order,
        asked.attempt,
        limit(asked.step_window),
        tuple(Exclusion(*exclusion) for exclusion in asked.exclusions),
        asked.remove,
        asked.grace,
        asked.start,
        asked.share,
        asked.anchored,
    )


def column(people, told, kind=np.int64):
    return np.array([told(event) for events in people for event in events], kind)


def log_of(people):
    person = [number for number, events in enumerate(people) for _ in events]
    return Log(
        np.array(person, np.int64),
        column(people, lambda event: event.ts),
        column(people, lambda event: sum(1 << step for step in event.steps)),
        excluded=column(people, lambda event: sum(1 << number for number in event.hits)),
        opens=column(people, lambda event: event.opens, bool),
        breaks=column(people, lambda event: event.breaks, bool),
    )


def kernel_chains(people, asked):
    """The kernel's chains of many people at once, each as links in its own log."""
    found = attempts(log_of(people), rules(asked))
    begins = list(accumulate((len(events) for events in people), initial=0))
    got = [[] for _ in people]
    for row, who in enumerate(found.person.tolist()):
        chain = [place - begins[who] for place in found.chain[row].tolist() if place >= 0]
        assert len(chain) == found.level[row]
        steps = range(len(chain)) if found.filled is None else found.filled[row].tolist()[: len(chain)]
        got[who].append(tuple(zip(chain, steps, strict=True)))
    return got


def random_events(draw, steps, *, most=8):
    """Few instants, so that many events are tied; some people's events fill one step each, others' several."""
    span, single = draw.choice((0, 1, 3, 6, 12)), draw.choice((draw.random(), 1))
    foreign, closed, hit = draw.choice((0, 0, 0.2, 0.4)), draw.choice((0, 0, 0.3)), draw.choice((0, 0.1, 0.3))
    found = []
    for ts in sorted(draw.randint(0, span) for _ in range(max(draw.randint(0, most), draw.randint(0, most)))):
        mask = 1 << draw.randrange(steps) if draw.random() < single else draw.randrange(1, 1 << steps)
        mask = 0 if draw.random() < foreign else mask
        hits = frozenset(number for number in range(2) if draw.random() < hit)
        fills = frozenset(step for step in range(steps) if mask >> step & 1)
        found.append(Event(ts, fills, hits, draw.random() >= closed, draw.random() >= 0.2))
    return found


def random_rules(draw, steps, **fixed):
    exclusions = ()
    if steps > 1 and draw.random() < 0.5:
        exclusions = tuple(
            (number, *sorted(draw.sample(range(1, steps + 1), 2))) for number in range(draw.randint(1, 2))
        )
    asked = {
        "window": draw.choice((math.inf, math.inf, 0, 2, 4, 7)),
        "step_window": draw.choice((math.inf, math.inf, math.inf, 1, 2, 4)),
        "ties": draw.choice(("step", "strict", "seq")),
        "order": draw.choice(("ordered", "strict", "any")),
        "attempt": draw.choice(("best", "first", "all")),
        "exclusions": exclusions,
        "remove": draw.random() < 0.2,
        "grace": draw.choice((0, 0, 0, 1, 2)),
        "start": draw.choice(("last", "last", "first")),
        "share": draw.random() < 0.25,
        "anchored": draw.random() < 0.4,
    }
    return Asked(steps, **(asked | fixed))


def compare(draw, asked, *, people, most=8):
    """The number of logs compared."""
    logs = [random_events(draw, asked.steps, most=most) for _ in range(people)]
    for events, got in zip(logs, kernel_chains(logs, asked), strict=True):
        assert got == tried(events, asked), (asked, events)
    return len(logs)


@pytest.mark.parametrize("attempt", ["best", "first", "all"])
@pytest.mark.parametrize("order", ["ordered", "strict", "any"])
@pytest.mark.parametrize("ties", ["step", "strict", "seq"])
def test_people_have_the_chains_that_search_finds_under_any_rules(ties, order, attempt):
    draw = random.Random(f"{ties} {order} {attempt}")
    for _ in range(25):
        asked = random_rules(draw, draw.randint(1, 4), ties=ties, order=order, attempt=attempt)
        compare(draw, asked, people=4, most=6)
