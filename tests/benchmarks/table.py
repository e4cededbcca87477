"""The figures of all rounds as rows of a table: medians with their spread, and whether they reach far enough."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from benchmarks.measure import Cost
    from benchmarks.row import Row

    Pairs = Sequence[tuple[Cost, Cost]]

HEAD = ("row", "work", "against", "wall, ours", "theirs", "ours to theirs (min, max)", "CPU, ours", "theirs",
        "CPU ratio", "peak MB, ours", "theirs", "bytes", "each", "reach", "")  # fmt: skip


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
            self.row.name,
            self.row.work,
            self.row.against,
            _seconds(cost.wall_s for cost in self.ours),
            _seconds(cost.wall_s for cost in self.theirs),
            self._compared(),
            _seconds(cost.cpu_s for cost in self.ours),
            _seconds(cost.cpu_s for cost in self.theirs),
            _spread(self._ratios(lambda cost: cost.cpu_s)),
            _most(cost.peak_mb for cost in self.ours),
            _most(cost.peak_mb for cost in self.theirs),
            _spread(self._ratios(lambda cost: cost.size)),
            _spread(self._each_ms(), unit=" ms"),
            str(self.row.reach),
            self.verdict(),
        )

    def verdict(self) -> str:
        """Whether the row reaches as far as it should: `held`, or `missed` and what; empty where nothing is asked."""
        if self.trouble or not self.ours:
            return "no figures" if not self.ours else "in doubt"
        asked = [(name, limit, values) for name, limit, values in self._asked() if limit is not None]
        missed = [name for name, limit, values in asked if not values or median(values) > limit]
        return f"missed: {', '.join(missed)}" if missed else "held" if asked else ""

    def _asked(self) -> list[tuple[str, float | None, list[float]]]:
        """What the row is held to: name, limit, and what was measured."""
        reach = self.row.reach
        each = [milliseconds / 1000 for milliseconds in self._each_ms()]
        theirs = [cost.wall_s / cost.count for cost in self.theirs if cost.count]
        return [
            ("time", reach.ratio, self._ratios(lambda cost: cost.wall_s)),
            ("ms more", reach.more_ms, self._more_ms()),
            ("each", reach.each, [a / b for a, b in zip(each, theirs, strict=False)]),
            ("ms each", reach.each_ms, self._each_ms()),
            ("ms", reach.wall_ms, [cost.wall_s * 1000 for cost in self.ours]),
            ("bytes", reach.bytes, self._ratios(lambda cost: cost.size)),
            ("memory", reach.peak_mb, [max(cost.peak_mb or 0 for cost in self.ours)]),
        ]

    def facts(self) -> dict[str, Any]:
        """The row with every single figure, for machines."""
        return {
            "row": self.row.name,
            "work": self.row.work,
            "against": self.row.against,
            "reach": str(self.row.reach),
            "verdict": self.verdict(),
            "trouble": self.trouble or None,
            "ours": [_facts(cost) for cost in self.ours],
            "theirs": [_facts(cost) for cost in self.theirs],
            "compared": self._compared(),
        }

    def _ratios(self, of: Callable[[Cost], float | None]) -> list[float]:
        """Ours to theirs, round by round, where both are known."""
        pairs = [(of(a), of(b)) for a, b in zip(self.ours, self.theirs, strict=False)]
        return [a / b for a, b in pairs if a and b]

    def _more_ms(self) -> list[float]:
        return [1000 * (a.wall_s - b.wall_s) for a, b in zip(self.ours, self.theirs, strict=False)]

    def _each_ms(self) -> list[float]:
        return [1000 * cost.wall_s / cost.count for cost in self.ours if cost.count]

    def _compared(self) -> str:
        if self.row.reach.more_ms is not None:
            return _spread(self._more_ms(), form="+.0f", unit=" ms")
        return _spread(self._ratios(lambda cost: cost.wall_s))


def _facts(cost: Cost) -> dict[str, Any]:
    return {
        "wall_s": cost.wall_s,
        "cpu_s": cost.cpu_s,
        "peak_mb": cost.peak_mb,
        "bytes": cost.size,
        "count": cost.count,
    }


def _spread(values: list[float], *, form: str = ".3g", unit: str = "") -> str:
    if not values:
        return ""
    middle, low, high = (format(value, form) for value in (median(values), min(values), max(values)))
    return f"{middle}{unit} ({low}, {high})" if len(values) > 1 else f"{middle}{unit}"


def _seconds(values: Iterable[float]) -> str:
    found = list(values)
    return f"{median(found):.3f} s" if found else ""


def _most(values: Iterable[float | None]) -> str:
    found = [value for value in values if value is not None]
    return f"{max(found):.0f}" if found else ""


def markdown(figures: list[Figures]) -> str:
    """All rows as a Markdown table whose columns line up."""
    lines = [HEAD, *(figure.cells() for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    return "\n".join([padded[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *padded[1:]]) + "\n"
