"""Chosen schedules: one command stands still at a step of the order of writing while another runs, and readers look.

Whatever the step, the end is that of one of the two serial orders, or the second was told that the store is locked.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import held
import pairs
import pytest
import serial
import storekit as kit
import torture
from pairs import COMMANDS
from serial import LOCKED, Alone, End, differs

from evlog.store import layout

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Tally


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Alone:
    return serial.built(tmp_path_factory.mktemp("schedules"))


def _steps(alone: Alone, name: str) -> list[held.Step]:
    """The steps of a command: of each the first and the last, for all between are like them."""
    actor = held.start(pairs.run, name, pairs.copied(alone.base, alone.base.with_name(f"steps-{name}")))
    assert actor.ends() == 0, actor.says
    last = dict(actor.steps)
    return sorted({(step, number) for step, number in actor.steps if number in (1, last[step])}, key=actor.steps.index)


@pytest.mark.parametrize("first", torture.share(list(COMMANDS), 4, "first"))
def test_one_stands_still_and_another_runs(alone: Alone, first: str, tmp_path: Path, tally: Tally) -> None:
    points = list(product(_steps(alone, first), COMMANDS))
    chosen = points[len(first) % 2 :: 2] if torture.ALL else points[len(first) :: len(points) // 2]
    for number, (step, second) in enumerate(chosen):
        home = pairs.copied(alone.base, tmp_path / str(number))
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
    assert not (waited and codes[1] == LOCKED), story
    end = End(codes, pairs.told(home))
    assert end in alone.ends(first, second), (story, one.says, other.says, differs(end, alone.ends(first, second)))
    kit.sound(layout.open_store(home / "s"))
