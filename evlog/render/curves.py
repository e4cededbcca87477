"""A line chart: values over dates, twelve rows high, as wide as there is room."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from evlog.render import axis
from evlog.render.canvas import Canvas, look
from evlog.render.ink import Ink, clipped, packed, plain, width
from evlog.render.lanes import shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from evlog.query.result import Kind
    from evlog.render.ink import Line
    from evlog.render.style import Glyphs

HEIGHT = 12
_STEPS = 5  # of the scale, at most
_BETWEEN = 12  # columns from one mark of a line to its next, so that lines can be told apart without colour
_OFFSET = 4


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its name, and a value (or None: a gap) for each of its dates, in order."""

    name: str
    points: tuple[tuple[date, float | None], ...]


@dataclass(frozen=True, slots=True)
class _Field:
    """Where dates and values lie among the dots."""

    first: int
    days: int
    low: float
    high: float
    size: tuple[int, int]

    def dot(self, day: date, value: float) -> tuple[int, int]:
        across, up = self.size
        x = round((day.toordinal() - self.first) / self.days * (across - 1)) if self.days else across // 2
        return x, min(up - 1, max(0, self._height(value, up - 1)))

    def _height(self, value: float, top: int) -> int:
        half, span = self.low / 2, self.high / 2 - self.low / 2  # halves: the span of two huge numbers is none
        return round((value / 2 - half) / span * top)


def chart(
    series: Sequence[Series], kind: Kind, *, columns: int, glyphs: Glyphs, height: int = HEIGHT, starred: bool = False
) -> list[Line]:
    """Return the lines over one pair of axes, with a legend above; `starred`: the last date is still running."""
    known = [value for line in series for _, value in line.points if value is not None]
    days = sorted({day for line in series for day, _ in line.points})
    if not known:
        return [plain("nothing to draw: no value is known", "dim")]
    scale = axis.ticks(min(known), max(known), kind, most=min(_STEPS, max(1, height - 1)))
    names = axis.labels(scale, kind)
    margin = min(max(map(len, names)), columns // 2)
    canvas = Canvas(max(1, columns - margin - 2), height, glyphs)
    field = _Field(days[0].toordinal(), (days[-1] - days[0]).days, scale[0], scale[-1], canvas.size)
    _drawn(canvas, field, series)
    rows = {canvas.cell(field.dot(days[0], value))[1]: name for value, name in zip(scale, names, strict=True)}
    upright = [_margin(rows.get(row), margin, glyphs) for row in reversed(range(height))]
    body = [(start, *cells) for start, cells in zip(upright, canvas.lines(), strict=True)]
    places = [canvas.cell(field.dot(day, 0.0))[0] for day in days]
    legend = packed((_named(number, line, kind, columns, glyphs) for number, line in enumerate(series)), columns)
    return [*legend, *body, *_level(days, places, canvas.columns, margin, glyphs, starred=starred)]


def _drawn(canvas: Canvas, field: _Field, series: Sequence[Series]) -> None:
    """Draw the lines, the first one last and so on top; then the marks, those of the last values on top of all."""
    dots = [[None if value is None else field.dot(day, value) for day, value in line.points] for line in series]
    for pen in reversed(range(len(dots))):
        for before, after in pairwise([None, *dots[pen]]):
            if after is not None:
                canvas.line(before or after, after, pen)
    if len(dots) > 1:
        _spread(canvas, dots)
    for pen in reversed(range(len(dots))):
        if (last := next((dot for dot in reversed(dots[pen]) if dot is not None), None)) is not None:
            canvas.mark(last, pen)


def _spread(canvas: Canvas, dots: Sequence[Sequence[tuple[int, int] | None]]) -> None:
    for pen in reversed(range(len(dots))):
        free = _OFFSET * (pen + 1) % _BETWEEN
        for dot in dots[pen]:
            if dot is not None and canvas.cell(dot)[0] >= free:
                canvas.mark(dot, pen)
                free = canvas.cell(dot)[0] + _BETWEEN


def _margin(name: str | None, margin: int, glyphs: Glyphs) -> Ink:
    text = (name or "")[:margin].rjust(margin)
    return Ink(f"{text} {glyphs.axes[0] if name is None else glyphs.axes[1]}", "dim")


def _level(
    days: Sequence[date], places: Sequence[int], columns: int, margin: int, glyphs: Glyphs, *, starred: bool
) -> list[Line]:
    found = axis.dates(days, places, columns, starred=starred)
    ruled = "".join(glyphs.axes[4] if place in found.ticks else glyphs.axes[3] for place in range(columns))
    return [
        plain(f"{' ' * (margin + 1)}{glyphs.axes[2]}{ruled}", "dim"),
        plain(f"{' ' * (margin + 2)}{found.text}", "dim"),
    ]


def _named(pen: int, line: Series, kind: Kind, columns: int, glyphs: Glyphs) -> Line:
    """Return the mark of a line, its name and its last value."""
    last = next((value for _, value in reversed(line.points) if value is not None), None)
    value = shown(last, kind, glyphs)
    mark = Ink(f"{glyphs.marks[pen % len(glyphs.marks)]} ", look(pen))
    name = clipped(line.name, max(1, columns - width(plain(value)) - 3), glyphs)
    return (mark, Ink(name), Ink(f" {value}", "dim"))
