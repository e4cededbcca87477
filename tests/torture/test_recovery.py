"""Recovery itself is stopped: a command that finds a commit half applied is killed, or its disk fails, at each call.

What was committed before stays whatever happens, and the words of the second command end where they end when nothing
disturbs them.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import aftermath
import faults
import pytest
import scenarios
import torture
from scenarios import SCENARIOS, STORE
from test_crash import NO_SPACE, disturb, judge, needs_strace  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Tally
    from scenarios import Scenario

SHARE = torture.much(5, 120)  # one pair in so many
FIRSTS, SECONDS = ("ingest", "compact-late", "delete"), ("ingest", "compact", "delete")
PAIRS = list(product(FIRSTS, SECONDS)) if torture.ALL else [("compact-late", "ingest")]


def half_applied(first: Scenario, at: faults.Point, home: Path) -> None:
    """Make a home in which `first` died after its commit, before it was applied to the end."""
    store = scenarios.build(first, home / "dies")
    done = scenarios.call(first, store, under=at.under("KILL"))
    assert done.returncode != first.ends, done.stderr
    assert len(list((store / "journal").glob("*.json"))) == 1, "nothing was left to recover"
    for path in store.parent.iterdir():
        path.rename(home / path.name)
    store.parent.rmdir()


def stages(first: Scenario, home: Path) -> list[faults.Point]:
    """Where `first` dies: nothing renamed yet, half of it, all but the mark that it is applied."""
    renames = faults.after_commit(first, home)
    half = renames[len(renames) // 2]
    return [renames[0], half, renames[-1]] if torture.ALL else [half]


def pair(first: Scenario, at: faults.Point, second: Scenario) -> Scenario:
    """The second command upon what the first one left."""
    name = f"{first.name}@{at.call}-{at.number}+{second.name}"
    base = partial(half_applied, first, at)
    return scenarios.enlist(replace(second, name=name, base=base, columns=scenarios.COLUMNS))


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_fault_while_recovering(
    first: str, second: str, judge: aftermath.Judge, tmp_path: Path, tally: Tally  # noqa: F811
) -> None:  # fmt: skip
    needs_strace(tally)
    count, wrong = 0, []
    for stage, at in enumerate(stages(SCENARIOS[first], tmp_path / "first")):
        both = pair(SCENARIOS[first], at, SCENARIOS[second])
        for point, fault in chosen(both, tmp_path / f"counted-{stage}", f"{first}{second}{'x' * stage}"):
            home = tmp_path / f"{stage}-{count}"
            wrong += disturb(both, home, point, fault, judge)
            count += 1
    tally("a fault while recovering", pairs=count)
    assert wrong == []


def chosen(both: Scenario, home: Path, salt: str) -> list[tuple[faults.Point, faults.Fault]]:
    """A share of the points, each with one of the three faults in turn: a few hundred pairs under `make torture`."""
    kinds: tuple[faults.Fault, ...] = ("KILL", "EIO", "ENOSPC")
    found = [(point, kinds[number % 3]) for number, point in enumerate(faults.points(both, home))]
    fit = [(point, "EIO" if fault == "ENOSPC" and point.call not in NO_SPACE else fault) for point, fault in found]
    return fit[len(salt) % SHARE :: SHARE]


def test_a_half_applied_commit_is_seen_whole(tmp_path: Path, tally: Tally) -> None:
    """What the pairs begin with: the reader sees what was committed, and the first command's own words end it."""
    needs_strace(tally)
    first = SCENARIOS["compact-late"]
    home = tmp_path / "half"
    home.mkdir()
    half_applied(first, stages(first, tmp_path / "first")[0], home)
    assert scenarios.look(first, home / STORE) == scenarios.states(first.name)[-1].rows
    aftermath.converges(first, home / STORE)
    shutil.rmtree(home)
