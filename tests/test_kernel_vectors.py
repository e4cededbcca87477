"""metrics §15's vectors in every column, and the times of §7.6, by the kernel and by exhaustive search."""

import pytest
from oracle.chains import Asked, Event
from oracle.chains import attempts as tried
from test_kernel_rules import kernel_chains

COLUMNS = {
    "best": {},
    "ties strict": {"ties": "strict"},
    "ties seq": {"ties": "seq"},
    "strict": {"order": "strict"},
    "any": {"order": "any"},
    "step window": {},
    "first": {"attempt": "first", "ties": "seq"},
    "share": {"share": True},
}
# Name, log in order of arrival (a letter an event type), steps, window, the level in each column.
VECTORS = [
    ("V1", "A0 B60", "A B", 60, [2, 2, 2, 2, 2, 2, 2, 2]),
    ("V2", "A0 B61", "A B", 60, [1, 1, 1, 1, 1, 1, 1, 1]),
    ("V3", "A0 A50 B100", "A B", 60, [2, 2, 2, 2, 2, 2, 1, 2]),
    ("V4", "A0 A30 B45 C75", "A B C", 60, [3, 3, 3, 3, 3, 3, 2, 3]),
    ("V5", "A0 B10 A200 B210 C220", "A B C", 60, [3, 3, 3, 3, 3, 3, 2, 3]),
    ("V6", "A5 B5 C5", "A B C", 60, [3, 1, 3, 3, 3, 3, 3, 3]),
    ("V7", "B5 A5", "A B", 60, [2, 1, 1, 2, 2, 2, 1, 2]),
    ("V8", "A0", "A A", 60, [1, 1, 1, 1, 1, 1, 1, 2]),
    ("V9", "A0 A10", "A A", 60, [2, 2, 2, 2, 2, 2, 2, 2]),
    ("V10", "A0 A1 B2", "A A B", 60, [3, 3, 3, 3, 3, 3, 3, 3]),
    ("V11", "A0 X1 B2", "A B", 60, [2, 2, 2, 1, 2, 2, 2, 2]),
    ("V12", "A0 X1 A2 B3", "A B", 60, [2, 2, 2, 2, 2, 2, 2, 2]),
    ("V13", "A0 X1 B1", "A B", 60, [2, 2, 2, 2, 2, 2, 2, 2]),
    ("V14", "B0 A1", "A B", 60, [1, 1, 1, 1, 2, 1, 1, 1]),
    ("V15", "A0", "A|B A|B", 60, [1, 1, 1, 1, 1, 1, 1, 2]),
    ("V16", "A0 B50 C100", "A B C", 60, [2, 2, 2, 2, 2, 3, 2, 2]),
    ("V17", "B5 C5 A5 B3", "B C B|C A|B", 4, [4, 2, 2, 4, 4, 4, 2, 4]),
    ("V20", "A0 A1 B1", "A B", 60, [2, 2, 2, 2, 2, 2, 2, 2]),
]


def told(text, steps, *, excluded=""):
    """The events of a log as it is written, in canonical order."""
    wanted = [set(step.split("|")) for step in steps.split()]
    events = [
        Event(
            int(word[1:]),
            frozenset(number for number, types in enumerate(wanted) if word[0] in types),
            frozenset([0] if word[0] == excluded else []),
        )
        for word in text.split()
    ]
    return sorted(events, key=lambda event: event.ts)


def attempts(events, asked):
    """The kernel's chains, which are those of the search."""
    (found,) = kernel_chains([events], asked)
    assert found == tried(events, asked)
    return found


def instants(events, asked):
    return [[events[place].ts for place, _ in chain] for chain in attempts(events, asked)]


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("vector", VECTORS, ids=[vector[0] for vector in VECTORS])
def test_a_vector_has_its_level(vector, column):
    _, log, steps, window, levels = vector
    limit = "step_window" if column == "step window" else "window"
    asked = Asked(len(steps.split()), **{limit: window}, **COLUMNS[column])
    (chain,) = attempts(told(log, steps), asked)
    assert len(chain) == levels[list(COLUMNS).index(column)]


@pytest.mark.parametrize(
    ("log", "steps", "between", "dropped", "removed"),
    [
        ("A0 B5 X5 C6", "A B C", (1, 3), 2, 0),  # V18: tied with B, yet between A and C
        ("A0 X1 A2 B3", "A B", (1, 2), 2, 2),  # V19: a clean later attempt
        ("A0 X1 B2 C3", "A B C", (1, 3), 1, 0),  # dead at once, not only at step 3
        ("A0 B1 X2 C3", "A B C", (1, 2), 3, 3),  # past the end of the exclusion
        ("A0 X0 B2 X2", "A B", (1, 2), 2, 2),  # at the instant of an end
        ("A0 X1", "A B", (1, 2), 1, 1),  # nothing came after: not between any two steps
    ],
)
def test_an_exclusion_ends_a_chain_or_removes_its_person(log, steps, between, dropped, removed):
    events = told(log, steps, excluded="X")
    for remove, level in ((False, dropped), (True, removed)):
        asked = Asked(len(steps.split()), 60, exclusions=((0, *between),), remove=remove)
        assert sum(map(len, attempts(events, asked))) == level


@pytest.mark.parametrize(
    ("log", "steps", "start", "expected"),
    [
        ("A0 A50 B100", "A B", "last", [50, 100]),
        ("A0 A50 B100", "A B", "first", [50, 100]),
        ("A0 A30 B45 C75", "A B C", "first", [30, 45, 75]),
        ("A0 A5 B10", "A B", "last", [5, 10]),
        ("A0 A5 B10", "A B", "first", [0, 10]),
        ("A0 B10 B50 C55", "A B C", "last", [0, 10, 55]),
    ],
)
def test_times_are_taken_along_the_preferred_chain(log, steps, start, expected):
    asked = Asked(len(steps.split()), 60, start=start)
    assert instants(told(log, steps), asked) == [expected]


@pytest.mark.parametrize(
    ("log", "asked", "expected"),
    [
        ("A0 A5 B9 A10 B12", {}, [[0, 9], [10, 12]]),  # a step 1 inside an open attempt is none of its own
        ("A0 A61 B70", {}, [[0], [61, 70]]),  # after the window
        ("A0 A60 B70", {}, [[0]]),  # the window's end is inside
        ("A0 B5 A5 B6", {}, [[0, 5]]),  # at the very instant of the conversion
        ("A0 B5 A5 B6", {"ties": "seq"}, [[0, 5], [5, 6]]),  # where arrival decides, what arrived later is after it
        ("A0 X3 A3 A4 B5", {"exclusions": ((0, 1, 2),)}, [[0], [4, 5]]),
        ("A0 A2 B3", {"order": "strict"}, [[0], [2, 3]]),  # what breaks an attempt may open the next
    ],
)
def test_attempts_follow_one_another(log, asked, expected):
    rules = Asked(2, **{"window": 60, "attempt": "all"} | asked)
    assert instants(told(log, "A B", excluded="X"), rules) == expected


@pytest.mark.parametrize(
    ("log", "grace", "expected"),
    [
        ("B0 A2", 2, 2),  # one instant
        ("B0 A3", 2, 1),
        ("Z0 B2 A4", 2, 2),  # what fills no step begins no cluster
        ("A0 C2 B4 A5", 2, 2),  # from the first of the cluster, not from each to the next
        ("C0 B2 A4", 2, 1),
    ],
)
def test_events_within_the_grace_are_one_instant(log, grace, expected):
    events = told(log, "A B C")
    (chain,) = attempts(events, Asked(2, grace=grace)) if expected else [()]
    assert len(chain) == expected


@pytest.mark.parametrize(
    ("log", "anchored", "steps"),
    [("B0 A1", False, [1, 0]), ("B0 A1", True, [0]), ("B0 A1 C2", True, [0, 2]), ("C5 A5", True, [0, 2])],
)
def test_any_order_tells_which_step_was_done(log, anchored, steps):
    (chain,) = attempts(told(log, "A B C"), Asked(3, 60, order="any", anchored=anchored))
    assert [step for _, step in chain] == steps


@pytest.mark.parametrize("asked", [{}, {"ties": "seq"}, {"order": "any"}, {"step_window": 5}])
def test_a_person_of_many_attempts_has_them_all(asked):
    events = told(" ".join(f"A{number} B{number + 1}" for number in range(0, 200, 4)), "A B")
    (chains,) = kernel_chains([events], Asked(2, **{"window": 60, "attempt": "all"} | asked))
    assert [[place for place, _ in chain] for chain in chains] == [[n, n + 1] for n in range(0, 100, 2)]


@pytest.mark.parametrize("ties", ["step", "strict", "seq"])
@pytest.mark.parametrize("order", ["ordered", "strict", "any"])
@pytest.mark.parametrize("rest", [{}, {"step_window": 5}, {"attempt": "all"}, {"anchored": True}])
def test_ten_thousand_events_in_one_instant_are_taken_as_a_few(rest, order, ties):
    events = [Event(0, frozenset({0, 1}))] * 10_000 + [Event(1, frozenset({2}))]
    (chains,) = kernel_chains([events], Asked(3, order=order, ties=ties, **rest))
    assert len(chains[0]) == (1 if ties == "strict" and order != "any" else 2 if ties == "strict" else 3)
