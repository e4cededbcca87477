"""Rows about rollups: a day that is new, and everything once more."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from benchmarks import people, stores
from benchmarks.people import LAST_DAY, Shape
from benchmarks.row import Reach, Row, evlog
from benchmarks.rows.storing import TREE_MB
from evlog.store import layout

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.measure import Cost
    from benchmarks.row import Bench

_NEXT = LAST_DAY + timedelta(days=1)


def _with_a_day(bench: Bench, shape: Shape, events: int) -> Path:
    """A copy of a rolled-up store that holds one day more."""
    store = bench.copy(shape)
    stores.fill(layout.open_store(store), people.days(Shape(events, 1, seed=2, last=_NEXT)))
    return store


def _rolled(store: Path) -> Cost:
    cost = evlog("rollup", "--as-of", str(_NEXT), data=store)
    return replace(cost, out="")


def new_day(bench: Bench, shape: Shape, events: int) -> Cost:
    """The cost of counting one day more of so many events."""
    return _rolled(_with_a_day(bench, shape, events))


def rebuilt(bench: Bench) -> Cost:
    """The cost of counting every day once more, the new one too."""
    store = _with_a_day(bench, bench.size.held, bench.size.day)
    shutil.rmtree(store / "rollups")
    return replace(_rolled(store), count=bench.size.held.events + bench.size.day)


ROWS = (
    Row(
        "rollup-day",
        "rollup of a new day",
        "the whole rebuild, by event",
        Reach(each=1.25, peak_mb=TREE_MB),
        lambda bench: replace(new_day(bench, bench.size.held, bench.size.day), count=bench.size.day),
        rebuilt,
        rounds=1,
    ),
)
