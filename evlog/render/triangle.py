"""A list in each row as a triangle of one cell a period: what a table does with a column of heat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.frozen import replace
from evlog.render.fit import Layout
from evlog.render.lanes import lanes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evlog.query.result import Result
    from evlog.render.fit import Measure
    from evlog.render.lanes import Lane
    from evlog.render.style import Glyphs

POOLED = "pooled"
"""The name of the last row: the average over all cohorts."""

_GAP = 1  # the cells of a triangle stand close


def heated(result: Result) -> int | None:
    """Return the place of the column that is drawn as a triangle."""
    return next((i for i, column in enumerate(result.columns) if column.heat and column.kind == "list"), None)


def pooled(result: Result) -> Result:
    """Return the result with the average of the summary as its last row, if it has one."""
    place = heated(result)
    if place is None or not result.rows:
        return result
    average = result.summary.get(result.columns[place].name)
    if not isinstance(average, (list, tuple)):
        return result
    row = [POOLED, *("" for _ in result.columns[1:])]
    row[place] = average  # type: ignore[call-overload]
    rest = {key: value for key, value in result.summary.items() if key != result.columns[place].name}
    return replace(result, rows=(*result.rows, tuple(row)), summary=rest)


def opened(result: Result, glyphs: Glyphs) -> list[Lane]:
    """Return the lanes: each period under its name, blank where it is not over yet."""
    place = heated(result)
    labels = () if place is None else result.columns[place].labels
    seen, nth = [], 0
    for lane in lanes(result, glyphs):
        if not lane.column.heat:
            seen.append(lane)
            continue
        header = labels[nth] if nth < len(labels) else str(nth)
        cells = (glyphs.blank if value is None else cell for value, cell in zip(lane.values, lane.cells, strict=True))
        seen.append(replace(lane, header=header, cells=tuple(cells)))
        nth += 1
    return seen


def layout(seen: Sequence[Lane], *, width: int | None, measure: Measure) -> Layout | None:
    """Return the layout of as many lanes as `width` has room for; None where not even one period fits."""
    widths = [max(measure(lane.header), *map(measure, lane.cells)) for lane in seen]
    kept, taken = 0, -_GAP
    for columns in widths:
        taken += columns + _GAP
        if width is not None and taken > width:
            break
        kept += 1
    least = next((n for n, lane in enumerate(seen, 1) if lane.column.heat), len(seen))
    return Layout(tuple(widths[:kept]), _GAP) if kept >= least else None
