"""A result as a picture for the terminal: lines over dates, bars for names, a triangle for lists.

The shape of the rows says which, no report is known by its name. Drawn by hand: rich draws no charts, and the libraries
that do bring more than these few hundred lines.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from evlog.errors import UsageError
from evlog.render import curves, footer, heat, ranks
from evlog.render.escape import escape
from evlog.render.ink import folded, painted, plain
from evlog.render.lanes import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evlog.query.result import Result
    from evlog.render.ink import Line
    from evlog.render.style import Glyphs, Style

LINES = 8
_DWARFED = 50  # times as large
_NUMBERS = frozenset({"count", "number", "rate", "seconds"})
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
_NAMES = frozenset({"text", "flag", "date"})


def chunks(result: Result, style: Style) -> Iterator[bytes]:
    """Yield the picture and what stands below it, in the encoding of the terminal."""
    yield text(result, style).encode(style.encoding, "backslashreplace")


def text(result: Result, style: Style) -> str:
    """Return the picture, the summary and the definition, each line ending in a newline."""
    return painted([*picture(result, style), *_below(result, style)], style)


def picture(result: Result, style: Style) -> list[Line]:
    """Return the lines of the picture that fits the rows."""
    if not result.rows:
        return [plain("no rows", "dim")]
    if (place := _listed(result)) is not None:
        return _triangle(result, place, style)
    if (dated := _dated(result)) is not None:
        return _curves(result, dated, style)
    return _ranks(result, style)


def _below(result: Result, style: Style) -> list[Line]:
    """Return the summary, without what a triangle has shown as its last row, and the definition."""
    place, glyphs, columns = _listed(result), style.glyphs, style.canvas
    drawn = None if place is None else result.columns[place].name
    rest = {key: value for key, value in result.summary.items() if key != drawn or not isinstance(value, list)}
    said = footer.summary(replace(result, summary=rest), glyphs)
    defined = footer.definition(result, glyphs)
    lines = [(line, "") for segments in said for line in _packed(segments, columns, glyphs)]
    lines += [(line, "dim") for line in _packed(defined, columns, glyphs)]
    return [plain(""), *(plain(*line) for line in lines)] if lines else []


def _packed(segments: Sequence[str], columns: int, glyphs: Glyphs) -> list[str]:
    from rich.cells import cell_len

    packed = footer.packed(segments, columns, glyphs.dot, measure=cell_len)
    return [piece for line in packed for piece in folded(line, columns)]


def _listed(result: Result) -> int | None:
    """Return the place of the list that is drawn: the one meant for it, else the last."""
    lists = [i for i, column in enumerate(result.columns) if column.kind == "list"]
    return next((i for i in lists if result.columns[i].heat), lists[-1] if lists else None)


def _triangle(result: Result, place: int, style: Style) -> list[Line]:
    column, glyphs = result.columns[place], style.glyphs
    named = [i for i, other in enumerate(result.columns) if other.kind != "list" and not other.aside]
    starred = next((i for i in named if result.columns[i].kind in _NAMES), None)
    names = [
        tuple(
            shown(row[i], result.columns[i].kind, glyphs) + " *" * (i == starred and number in result.partial)
            for i in named
        )
        for number, row in enumerate(result.rows)
    ]
    rates = [[heights(value) for value in row[place] or ()] for row in result.rows]
    pooled = result.summary.get(column.name)
    if isinstance(pooled, (list, tuple)) and named:
        names.append(("pooled", *("" for _ in named[1:])))
        rates.append([heights(value) for value in pooled])
    widest = max(map(len, rates))
    labels = [*column.labels, *(str(n) for n in range(len(column.labels), widest))]
    heads = [escape(result.columns[i].name) for i in named]
    last = len(rates) - len(result.rows)
    return heat.triangle(names, rates, heads=heads, labels=labels, kind=column.item, style=style, last=last)


@dataclass(frozen=True, slots=True)
class _Dated:
    """Where a series has its dates, what names its lines, and which columns are drawn."""

    date: int
    names: tuple[int, ...]
    values: tuple[int, ...]


def _dated(result: Result) -> _Dated | None:
    """Return how the rows are a series: a date that comes before all numbers, and each line has it once."""
    columns = [(i, column) for i, column in enumerate(result.columns) if not column.aside]
    values = _drawn(result)
    if not values:
        return None
    before = [i for i, _ in columns if i < min(i for i, column in columns if column.kind in _NUMBERS)]
    at = next((i for i in before if _is_date(result, i)), None)
    if at is None:
        return None
    for names in ((), tuple(i for i in before if result.columns[i].name == "group"), tuple(before)):
        kept = tuple(i for i in names if i != at and result.columns[i].kind == "text")
        if len({(row[at], *(row[i] for i in kept)) for row in result.rows}) == len(result.rows):
            return _Dated(at, kept, values[:1] if kept else values)
    return None


def _is_date(result: Result, place: int) -> bool:
    if result.columns[place].kind == "date":
        return all(isinstance(row[place], date) for row in result.rows)
    months = (row[place] for row in result.rows)
    return result.columns[place].kind == "text" and all(isinstance(m, str) and _MONTH.fullmatch(m) for m in months)


def _drawn(result: Result) -> tuple[int, ...]:
    """Return the columns that are drawn: those of the same kind as the one with bars, or as the first number.

    One that is larger beyond all comparison would press the others flat: the events beside their errors.
    """
    numbers = [i for i, column in enumerate(result.columns) if column.kind in _NUMBERS and not column.aside]
    barred = [i for i in numbers if result.columns[i].bar]
    if not numbers:
        return ()
    first = (barred or numbers)[0]
    same = [i for i in numbers if result.columns[i].kind == result.columns[first].kind and i != first]
    most = _largest(result, first) * _DWARFED
    return (first, *(i for i in same if not most or _largest(result, i) <= most))


def _largest(result: Result, place: int) -> float:
    return max((abs(value) for row in result.rows if (value := heights(row[place])) is not None), default=0.0)


def _curves(result: Result, dated: _Dated, style: Style) -> list[Line]:
    kind = result.columns[dated.values[0]].kind
    series = _series(result, dated)
    starred = any(
        _day(result.rows[i][dated.date]) == max(day for s in series for day, _ in s.points)
        for i in result.partial
        if i < len(result.rows)
    )
    drawn = curves.chart(series[:LINES], kind, columns=style.canvas, glyphs=style.glyphs, starred=starred)
    left = len(series) - LINES
    return [*drawn, *([plain(f"{style.glyphs.cut} {left:,} more lines", "dim")] if left > 0 else [])]


def _series(result: Result, dated: _Dated) -> list[curves.Series]:
    """Return a line for each column, or for each name: in the order of the rows."""
    if not dated.names:
        return [
            curves.Series(
                escape(result.columns[i].name),
                _points([(_day(row[dated.date]), heights(row[i])) for row in result.rows]),
            )
            for i in dated.values[: LINES + 1]
        ]
    found: dict[tuple[str, ...], list[tuple[date, float | None]]] = {}
    for row in result.rows:
        name = tuple(escape(str(row[i])) for i in dated.names)
        found.setdefault(name, []).append((_day(row[dated.date]), heights(row[dated.values[0]])))
    return [curves.Series(" ".join(name), _points(points)) for name, points in found.items()]


def _points(points: list[tuple[date, float | None]]) -> tuple[tuple[date, float | None], ...]:
    return tuple(sorted(points, key=lambda point: point[0]))


def _day(value: Any) -> date:
    if isinstance(value, str):
        return date(int(value[:4]), min(12, max(1, int(value[5:7]))), 1)
    return value.date() if isinstance(value, datetime) else value


def _ranks(result: Result, style: Style) -> list[Line]:
    """Return bars, one a row: named by its texts, or by its first number where it has none."""
    named = [i for i, c in enumerate(result.columns) if c.kind in _NAMES and not c.aside]
    drawn = _drawn(result)
    if not named and drawn:
        first = next(i for i, column in enumerate(result.columns) if column.kind in _NUMBERS and not column.aside)
        named, drawn = [first], tuple(i for i in drawn if i != first) or drawn
    if not drawn:
        raise UsageError(f"{result.report} has no numbers to draw", hint="leave out --plot")
    value = next((i for i in drawn if result.columns[i].bar), drawn[0])
    aside = _beside(result, value, named)
    told = [
        ranks.Rank(
            style.glyphs.dot.join(shown(row[i], result.columns[i].kind, style.glyphs) for i in named),
            heights(row[value]),
            "" if aside is None else shown(row[aside], result.columns[aside].kind, style.glyphs),
            marked=number in result.marks,
        )
        for number, row in enumerate(result.rows)
    ]
    names = [escape(result.columns[i].name) for i in (value, *([] if aside is None else [aside]))]
    return ranks.bars(
        told, result.columns[value].kind, columns=style.canvas, glyphs=style.glyphs, title=style.glyphs.dot.join(names)
    )


def _beside(result: Result, value: int, named: Sequence[int]) -> int | None:
    """Return the count that is told beside a rate: of whom it is one."""
    if result.columns[value].kind != "rate":
        return None
    counts = (i for i, c in enumerate(result.columns) if c.kind == "count" and not c.aside and i not in named)
    return next((i for i in counts if i > min(named, default=-1)), None)


def heights(value: Any) -> float | None:
    """Return the number that can be drawn for a value; None for one that is not known or not finite."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return float(value)
