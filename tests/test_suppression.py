"""Small numbers stay out, and nobody computes them from what is shown: the rule, and real answers under attack."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import logs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import suppression as oracle
from questions import ONE_THREAD, scoped

from evlog import reports
from evlog.query.ask import ask
from evlog.query.suppression import crossed, hidden

if TYPE_CHECKING:
    from pathlib import Path

    from evlog.query.result import Result

LEAST = 3


@pytest.mark.parametrize(
    ("sizes", "least", "cut"),
    [
        ([9, 4, 3], 3, set()),
        ([9, 4, 2], 3, {1, 2}),  # alone, the last would be the total less the others
        ([9, 4, 2, 1], 3, {2, 3}),  # two, of three users: their sum is no secret
        ([9, 4, 1, 1], 3, {1, 2, 3}),  # two of two users: the sum is one
        ([9, 4, 4, 1], 3, {2, 3}),  # of equal ones the last
        ([9, 0], 3, {0, 1}),
        ([2, 1], 3, {0, 1}),
        ([1], 3, {0}),
        ([], 3, set()),
        ([1, 1], 0, set()),
    ],
)
def test_the_smallest_others_are_hidden_until_nothing_comes_out(sizes, least, cut):
    people = [{(place, one) for one in range(size)} for place, size in enumerate(sizes)]

    def together(cells):
        return len(set().union(*(people[cell] for cell in cells)))

    assert hidden(sizes, least, together=together) == cut


def test_what_may_be_the_same_people_counts_once():
    assert hidden([9, 4, 2, 2], 3) == {1, 2, 3}
    assert hidden([9, 4, 2, 2], 3, together=lambda cells: 2 * len(cells)) == {2, 3}


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sets(st.integers(0, 7)), max_size=7), st.integers(0, 4))
def test_a_line_is_what_counting_sets_says(people, least):
    def together(cells):
        return len(set().union(*(people[cell] for cell in cells)))

    assert hidden([len(held) for held in people], least, together=together) == oracle.groups(people, least)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sets(st.integers(1, 4)), st.integers(0, 9)), max_size=14), st.integers(1, 4))
def test_of_no_line_a_small_cell_or_sum_comes_out(cells, least):
    lines, sizes = [tuple(own) for own, _ in cells], [size for _, size in cells]
    found = set(hidden(sizes, least, lines=lines))
    oracle.held_back([[n for n, own in enumerate(lines) if line in own] for line in range(1, 5)], sizes, found, least)


def test_what_the_whole_hides_is_not_shown_in_groups():
    """Without groups, the rare row and the smallest other are hidden: shown by groups, the other would tell the rare."""
    keys, sizes = ["rare", "z", "z", "y", "y"], [1, 5, 4, 9, 9]
    assert hidden([1, 9, 18], 3) == {0, 1}, "rare and z"
    found = hidden(sizes, 3, lines=crossed(keys, sizes, 3))
    known = [[3, 4], [0, 1, 2, 3, 4]]  # y in all groups, and all
    assert oracle.computable(known, {0}) == {0}
    assert oracle.computable(known, set(found)) == set()
    assert found == {0, 1, 2}


# -- real answers -------------------------------------------------------------------------------------------------------

PLANS = ["a"] * 20 + ["b"] * 16 + ["c"] * 12 + ["f"] * 14
WINDOW = {"from": "2026-03-01", "to": "2026-03-03"}
ROWS = {  # of a report: the columns that name a row, and those of numbers that add up
    "events": (("event_type",), ("events",)),
    "targets": (("target_type", "target_id"), ("events",)),
    "usage": (("feature",), ("events",)),
    "errors": (("target_id", "message"), ("count",)),
    "top": (("value",), ("events",)),
    "paths": (("position", "source", "target"), ("count",)),
}


def random_log(seed: int) -> str:
    """A log of users who keep to a plan; with odd seeds a plan or two have few, and one event is about few."""
    draw = random.Random(seed)
    plans = PLANS + (["d"] * draw.randint(1, 2) + ["e"] * draw.randint(0, 1)) * (seed % 2)
    lines = []
    for user, plan in enumerate(plans):
        for _ in range(draw.randint(1, 4)):
            kind, day = draw.choice("xyz"), draw.randint(1, 3)
            more = f"target=t/{kind} feature={draw.choice('mno')} category=error message={draw.choice('pqr')}"
            lines.append(f"2026-03-0{day} 09:00 u{user} {kind} plan={plan} {more}")
    few = [("rare", "a", [1]), ("odd", "a", range(6)), ("odd", "b", [20]), ("odd", "c", range(36, 41))]
    for kind, plan, users in few:
        more = f"target=t/{kind} feature={kind} category=error message={kind}"
        lines += [f"2026-03-02 10:00 u{user} {kind} plan={plan} {more}" for user in users]
    return "\n".join(lines)


class Asker:
    """Asks a store of three days, by plan or not, with or without a least number of users."""

    def __init__(self, root: Path, text: str) -> None:
        self.store = logs.store(root, logs.events(text))

    def __call__(self, report: str, **scope: object) -> Result:
        found, options = scoped({**WINDOW, **scope})
        return ask(self.store, found, reports.load(report).report, limits=ONE_THREAD, **options)


def table(result: Result, names: tuple[str, ...], number: str) -> dict[tuple, tuple[int, int]]:
    """The numbers and users of each row, by its group and what it is about."""
    place = {column.name: at for at, column in enumerate(result.columns)}
    group = [place["group"]] if "group" in place else []
    at = [*group, *(place[name] for name in names)]
    return {tuple(row[n] for n in at): (row[place[number]], row[place["users"]]) for row in result.rows}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("report", ROWS)
def test_an_attacker_with_all_answers_computes_no_small_number(tmp_path, report, seed):
    """They know both answers, broken down and not, and their totals; each is an equation over what is hidden.

    Of groups that are not shown they do not know what was done in which.
    """
    names, (number,) = ROWS[report]
    asker, options = Asker(tmp_path / "s", random_log(seed)), {"key": "feature"} if report == "top" else {}
    truth = table(asker(report, by="plan", **options), names, number)
    shown = table(asker(report, by="plan", min_users=LEAST, **options), names, number)
    whole = table(asker(report, min_users=LEAST, **options), names, number)
    assert all(truth[cell] == told for cell, told in shown.items())
    assert all(users >= LEAST for _, users in [*shown.values(), *whole.values()])
    gone = {cell[0] for cell in truth} - {cell[0] for cell in shown}
    cells = [*truth, *sorted({(group, *cell[1:]) for group in gone for cell in truth} - set(truth))]
    hidden_cells = {n for n, cell in enumerate(cells) if cell not in shown}
    lines = [[n for n, cell in enumerate(cells) if cell[1:] == key] for key in whole]
    lines.append(list(range(len(cells))))
    small = {n for n, cell in enumerate(cells) if cell in truth and truth[cell][1] < LEAST}
    assert small
    assert shown or report == "paths"
    assert not oracle.computable(lines, hidden_cells) & small


@pytest.mark.parametrize("report", ROWS)
def test_an_attacker_with_the_total_alone_computes_no_small_number(tmp_path, report):
    """As long as one number was left out alone, it was the total less the others."""
    names, (number,) = ROWS[report]
    asker, options = Asker(tmp_path / "s", random_log(3)), {"key": "feature"} if report == "top" else {}
    truth = table(asker(report, **options), names, number)
    result = asker(report, min_users=LEAST, **options)
    shown = table(result, names, number)
    gone = [cell for cell in truth if cell not in shown]
    assert len(gone) > 1
    assert max(truth[cell][1] for cell in gone) >= LEAST
    assert result.definition["withheld"] == len(gone)
    assert f"{len(gone)} groups withheld" in "\n".join(result.notes)


@pytest.mark.parametrize(
    "report", ["dau", "active", "sessions", "retention", "lifecycle", "stickiness", "streaks", "trend"]
)
def test_a_small_group_is_never_hidden_alone(tmp_path, report):
    asker = Asker(tmp_path / "s", random_log(1))
    everyone = {row[0] for row in asker(report, by="plan").rows}
    result = asker(report, by="plan", min_users=LEAST)
    people = {"a": 20, "b": 16, "c": 12, "f": 14, "d": 2}
    gone = everyone - {row[0] for row in result.rows}
    small = {group for group in everyone if people.get(group, 1) < LEAST}
    assert small < gone or sum(people.get(group, 1) for group in small) >= LEAST
    assert len(gone) >= 2
    assert {"a", "b"}.isdisjoint(gone)
    assert result.definition["withheld"] == len(gone)


def test_a_funnel_hides_a_second_group_too(tmp_path):
    for options in ({}, {"attribution": "all"}, {"like": "flags", "attribution": "all"}):
        asker = Asker(
            tmp_path / str(len(options)),
            "\n".join(f"2026-03-01 09:00 u{n} x plan={p}" for n, p in enumerate("aaaabbbc")),
        )
        result = asker("funnel", steps=("x",), by="plan", min_users=2, **options)
        assert [row[0] for row in result.rows] == ["a"]
        assert result.definition["withheld"] == 2


@pytest.mark.parametrize("report", ["events", "targets", "top", "durations", "sessions"])
def test_a_summary_that_would_tell_is_left_empty(tmp_path, report):
    """All that is there is about one user: then the totals are theirs."""
    text = "2026-03-01 09:00 u x_start target=t/a plan=a\n2026-03-01 09:01 u x_complete target=t/a plan=a"
    options = {"top": {"key": "plan"}, "durations": {"start": "x_start", "complete": "x_complete"}}.get(report, {})
    asker = Asker(tmp_path / "s", text)
    told = asker(report, by="plan", **options)
    assert any(isinstance(value, int) and value for value in told.summary.values())
    result = asker(report, by="plan", min_users=2, **options)
    assert result.rows == ()
    assert result.summary == dict.fromkeys(told.summary)
