"""The figures of all rounds as rows of a table: medians with their spread; Markdown and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from measure import Cost
    from rows import Row

HEAD = ("work", "against", "wall, ours", "theirs", "ours to theirs (min, max)", "CPU, ours", "theirs", "CPU ratio",
        "peak MB, ours", "theirs", "bytes", "reach")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured for a row: a pair of costs for each round, or what was in the way."""

    row: Row
    ours: tuple[Cost, ...]
    theirs: tuple[Cost, ...]
    trouble: str = ""

    def cells(self) -> tuple[str, ...]:
        """The row as text, one cell for each of HEAD."""
        return (
            self.row.work,
            self.row.against,
            _seconds(c.wall_s for c in self.ours),
            _seconds(c.wall_s for c in self.theirs),
            self._compared(),
            _seconds(c.cpu_s for c in self.ours),
            _seconds(c.cpu_s for c in self.theirs),
            _spread([a.cpu_s / b.cpu_s for a, b in self._pairs() if b.cpu_s]),
            _most(c.peak_mb for c in self.ours),
            _most(c.peak_mb for c in self.theirs),
            _spread([a.size / b.size for a, b in self._pairs() if a.size and b.size]),
            self.row.reach,
        )

    def facts(self) -> dict[str, Any]:
        """The row with every single figure, for machines."""
        return {
            "row": self.row.name,
            "work": self.row.work,
            "against": self.row.against,
            "reach": self.row.reach,
            "trouble": self.trouble or None,
            "ours": [_facts(cost) for cost in self.ours],
            "theirs": [_facts(cost) for cost in self.theirs],
            "compared": self._compared(),
        }

    def _pairs(self) -> list[tuple[Cost, Cost]]:
        return list(zip(self.ours, self.theirs, strict=False))

    def _compared(self) -> str:
        if self.row.scale == "ratio":
            return _spread([a.wall_s / b.wall_s for a, b in self._pairs()])
        return _spread([1000 * (a.wall_s - b.wall_s) for a, b in self._pairs()], form="+.0f", unit=" ms")


def _facts(cost: Cost) -> dict[str, Any]:
    return {"wall_s": cost.wall_s, "cpu_s": cost.cpu_s, "peak_mb": cost.peak_mb, "bytes": cost.size}


def _spread(values: list[float], *, form: str = ".2f", unit: str = "") -> str:
    if not values:
        return "-"
    middle, low, high = (format(value, form) for value in (median(values), min(values), max(values)))
    return f"{middle}{unit} ({low}, {high})"


def _seconds(values: Iterable[float]) -> str:
    found = list(values)
    return f"{median(found):.3f} s" if found else "-"


def _most(values: Iterable[float | None]) -> str:
    found = [value for value in values if value is not None]
    return f"{max(found):.0f}" if found else "-"


def markdown(figures: list[Figures]) -> str:
    """All rows as a Markdown table whose columns line up."""
    lines = [HEAD, *(figure.cells() for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    return "\n".join([padded[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *padded[1:]]) + "\n"
