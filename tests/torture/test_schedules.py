"""Chosen schedules: one command stands still at a step of the order of writing while another runs, and readers look.

Whatever the step, the end is that of one of the two serial orders, or the second was told that the store is locked.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import held
import pairs
import pytest
import storekit as kit
import torture
from pairs import COMMANDS, MAINTENANCE

from evlog.errors import EvlogError
from evlog.store import layout

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Tally

_LOCKED, _REFUSED = 4, 1


class End(NamedTuple):
    """How two commands ended, and what can be told of the store then."""

    codes: tuple[int, int]
    store: dict[str, str]


class Alone:
    """What commands come to that run one after the other; each order is tried once."""

    def __init__(self, base: Path) -> None:
        self._base, self._ends = base, dict[tuple[str, ...], tuple[tuple[int, ...], dict[str, str], str]]()

    def end(self, *names: str) -> tuple[tuple[int, ...], dict[str, str], str]:
        """Exit codes, what can be told, what a reader sees."""
        if names not in self._ends:
            home = pairs.copied(self._base, self._base.with_name("-".join(["alone", *names])))
            codes = tuple(_code(name, home) for name in names)
            self._ends[names] = codes, pairs.told(home), pairs.seen(home)
        return self._ends[names]

    def ends(self, first: str, second: str) -> list[End]:
        """How the two may end."""
        one, other = self.end(first, second), self.end(second, first)
        found = [End((one[0][0], one[0][1]), one[1]), End((other[0][1], other[0][0]), other[1])]
        if {first, second} <= MAINTENANCE:
            found.append(End((0, _LOCKED), self.end(first)[1]))
        for place, (name, another) in enumerate([(first, second), (second, first)]):
            if name == "export" and another in ("delete", "anonymise"):  # it says so, and nothing counts as sent
                codes = (_REFUSED, 0) if place == 0 else (0, _REFUSED)
                found.append(End(codes, self.end(another)[1]))
        return found

    def looks(self, first: str, second: str) -> set[str]:
        """What a reader may see on the way."""
        orders = [(), (first,), (second,), (first, second), (second, first)]
        return {self.end(*names)[2] for names in orders}


def _code(name: str, home: Path) -> int:
    try:
        pairs.run(name, home)
    except EvlogError as error:
        return error.exit_code
    return 0


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Alone:
    base = tmp_path_factory.mktemp("schedules") / "base"
    base.mkdir()
    pairs.build(base)
    return Alone(base)


def _steps(alone: Alone, name: str) -> list[held.Step]:
    """The steps of a command: of each the first and the last, for all between are like them."""
    actor = held.start(pairs.run, name, pairs.copied(alone._base, alone._base.with_name(f"steps-{name}")))
    assert actor.ends() == 0, actor.says
    last = dict(actor.steps)
    return sorted({(step, number) for step, number in actor.steps if number in (1, last[step])}, key=actor.steps.index)


@pytest.mark.parametrize("first", torture.share(list(COMMANDS), 4, "first"))
def test_one_stands_still_and_another_runs(alone: Alone, first: str, tmp_path: Path, tally: Tally) -> None:
    points = list(product(_steps(alone, first), COMMANDS))
    chosen = points[len(first) % 2 :: 2] if torture.ALL else points[len(first) :: len(points) // 2]
    for number, (step, second) in enumerate(chosen):
        home = pairs.copied(alone._base, tmp_path / str(number))
        _scheduled(alone, home, first, second, step=step)
    tally("schedules", points=len(chosen))


def _scheduled(alone: Alone, home: Path, first: str, second: str, *, step: held.Step) -> None:
    story, looks = f"{first} at {step}, {second}", alone.looks(first, second)
    one = held.start(pairs.run, first, home, stop=step)
    assert one.step() == step, story
    assert pairs.seen(home) in looks, story
    other = held.start(pairs.run, second, home)
    waited = not other.ends_or_waits()
    assert pairs.seen(home) in looks, story
    one.go_on()
    codes = one.ends(), other.ends()
    assert not (waited and codes[1] == _LOCKED), story
    end = End(codes, pairs.told(home))
    assert end in alone.ends(first, second), (story, one.says, other.says, _differs(end, alone.ends(first, second)))
    kit.sound(layout.open_store(home / "s"))


def _differs(end: End, allowed: list[End]) -> list[object]:
    """What is otherwise than in each of the ends that are allowed."""
    return [
        (
            one.codes,
            end.codes,
            {key: (text, end.store[key]) for key, text in one.store.items() if text != end.store[key]},
        )
        for one in allowed
    ]
