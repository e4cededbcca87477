"""A row of the table: what evlog does, what it is held against, and how the two should compare."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from benchmarks import stores
from benchmarks.measure import Cost, RunError, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.people import Shape

_DIVISORS = {0.05: "1/20", 0.8: "0.8"}


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured, how often."""

    name: Literal["small", "full"]
    log: int  # events that are ingested and compacted
    asked: Shape  # the store that reports are asked of
    held: Shape  # the store whose people ask for their data, and whose days go
    light: Shape  # a tenth of it, or less, in as many days
    long: Shape  # as many events as in the light one, in ten times as many days
    day: int  # events of a day that is new
    rounds: int


@dataclass(slots=True)
class Bench:
    """What the rows of a round work on."""

    size: Size
    log: Path  # the generated events
    room: Path  # a folder for stores and outputs
    costs: dict[str, Cost] = field(default_factory=dict)  # of evlog, in this round
    rolled: set[Path] = field(default_factory=set)  # stores whose rollups were looked after in this run

    @property
    def events(self) -> int:
        """How many events the log holds."""
        return self.size.log

    def fresh(self, name: str) -> Path:
        """A path in the room where nothing is."""
        shutil.rmtree(self.room / name, ignore_errors=True)
        return self.room / name

    def store(self, shape: Shape) -> Path:
        """A compacted and rolled-up store that no row may change."""
        root = stores.made(self.room, shape)
        if root not in self.rolled:
            stores.rolled_up(root)
            self.rolled.add(root)
        return root

    def copy(self, shape: Shape) -> Path:
        """A copy of that store, to be changed."""
        return stores.copied(self.store(shape), self.fresh("copy"))

    def cost(self, name: str) -> Cost:
        """What evlog's side of a row took in this round."""
        if name not in self.costs:
            raise RunError(f"needs the row {name}")
        return self.costs[name]


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a row should come; what is None is not asked for."""

    ratio: float | None = None  # wall time, ours to theirs
    more_ms: float | None = None  # wall time, ours less theirs
    each: float | None = None  # wall time of each thing done, ours to theirs
    each_ms: float | None = None  # the same, ours
    wall_ms: float | None = None  # wall time
    bytes: float | None = None  # ours to theirs
    peak_mb: float | None = None  # ours

    def __str__(self) -> str:
        """The reach as the table says it."""
        said = {
            "≤ {}": None if self.ratio is None else _DIVISORS.get(self.ratio, f"{self.ratio:g}"),
            "+ ≤ {} ms": self.more_ms,
            "each ≤ {}": self.each,
            "each ≤ {} ms": self.each_ms,
            "≤ {} ms": self.wall_ms,
            "bytes ≤ {}": self.bytes,
            "≤ {} MB": self.peak_mb,
        }
        return ", ".join(text.format(_plain(value)) for text, value in said.items() if value is not None)


def _plain(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: two functions and a few words. Without `theirs` evlog is held against a number alone."""

    name: str
    work: str
    against: str
    reach: Reach
    ours: Callable[[Bench], Cost]
    theirs: Callable[[Bench], Cost] | None = None
    rounds: int | None = None  # fewer than others, where a round takes minutes
    sizes: tuple[str, ...] = ("small", "full")


def evlog(*words: str | Path, data: Path, stdin: Path | None = None, codes: tuple[int, ...] = (0,)) -> Cost:
    """The cost of a command of evlog on a store."""
    return run([stores.EVLOG, "--data", data, *words], stdin=stdin, codes=codes)


def same_as(name: str) -> Callable[[Bench], Cost]:
    """Evlog's side of a row that is the same run as that of another row."""
    return lambda bench: bench.cost(name)
