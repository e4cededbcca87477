"""What of a result a table shows, as text: columns, bars, sparklines and the lines below, whoever sets them."""

from __future__ import annotations

import math
from datetime import date
from typing import TYPE_CHECKING

from evlog.frozen import replace
from evlog.render import chart, footer
from evlog.render.lanes import shown
from evlog.render.style import NARROWEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evlog.query.result import Result
    from evlog.render.fit import Measure
    from evlog.render.lanes import Lane
    from evlog.render.style import Glyphs, Style

_SPARK_LEAST = 8
_SERIES = 8  # a bar for each row says more than a sparkline of so few days


def seen(result: Result) -> Result:
    """Return the result without the columns that stand aside."""
    kept = [i for i, column in enumerate(result.columns) if not column.aside]
    if len(kept) == len(result.columns):
        return result
    rows = tuple(tuple(row[i] for i in kept) for row in result.rows)
    return replace(result, columns=tuple(result.columns[i] for i in kept), rows=rows)


def barred(result: Result) -> str | None:
    """Return the column with bars: the only one that may, or the first where no sparklines can stand."""
    names = [column.name for column in result.columns if column.bar]
    return None if not names or not result.rows or (len(names) > 1 and _is_series(result)) else names[0]


def _is_series(result: Result) -> bool:
    dated = bool(result.rows) and isinstance(result.rows[0][0], date)
    return dated and len(result.rows) >= _SERIES


def bars(lane: Lane, width: int, glyphs: Glyphs) -> list[str]:
    """Return the bars of a column: rates over one, everything else over its largest."""
    values = [_height(value) for value in lane.values]
    top = 1.0 if lane.column.kind == "rate" else max((v for v in values if v is not None), default=0.0)
    return [chart.bar(value / top if value and top > 0 else None, width, glyphs) for value in values]


def sparklines(result: Result, lanes: Sequence[Lane], style: Style, measure: Measure) -> list[tuple[str, str, str]]:
    """Return name, sparkline and span for each column with bars of a dated series; the sparklines give way first.

    The span is what the lowest and highest glyphs stand for.
    """
    if barred(result) is not None or not result.rows:
        return []
    drawn = [lane for lane in lanes if lane.column.bar]
    spans = [_span(lane, style.glyphs) for lane in drawn]
    taken = max((measure(lane.header) for lane in drawn), default=0) + max(map(measure, spans), default=0) + 4
    room = None if style.width is None else max(_SPARK_LEAST, style.width - taken)
    heights = [[_height(value) for value in lane.values] for lane in drawn]
    sparks = [chart.sparkline(values, room, style.glyphs) for values in heights]
    return [(lane.header, spark, span) for lane, spark, span in zip(drawn, sparks, spans, strict=True)]


def below(result: Result, style: Style, measure: Measure) -> Iterator[tuple[str, str]]:
    """Yield what stands below, line by line, each with its look: no rows, the summary, the definition in dim."""
    width = None if style.width is None else max(style.width, NARROWEST)
    dot = style.glyphs.dot
    if not result.rows:
        yield "no rows", "dim"
    summary = footer.summary(result, style.glyphs)
    definition = footer.definition(result, style.glyphs)
    if summary or definition:
        yield "", ""
    for segments in summary:
        yield from ((line, "") for line in footer.packed(segments, width, dot, measure=measure))
    yield from ((line, "dim") for line in footer.packed(definition, width, dot, measure=measure))


def _span(lane: Lane, glyphs: Glyphs) -> str:
    """Return what the lowest and the highest glyph of a sparkline stand for."""
    known = [value for value in lane.values if _height(value) is not None]
    return " to ".join(shown(value, lane.column.kind, glyphs) for value in (min(known), max(known))) if known else ""


def _height(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
