"""A result as a table for people: folded into a terminal, whole in a pipe. No other module imports rich."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from io import StringIO
from typing import TYPE_CHECKING

from evlog.render import chart, fit, footer, heat, triangle
from evlog.render.lanes import lanes, shown
from evlog.render.style import NARROWEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from evlog.query.result import Result
    from evlog.render.fit import Layout
    from evlog.render.lanes import Lane
    from evlog.render.style import Glyphs, Style

_ENDLESS = 1_000_000  # the width of a pipe
_SPARK_LEAST = 8
_SERIES = 8  # a bar for each row says more than a sparkline of so few days


def text(result: Result, style: Style) -> str:
    """Return the table, its sparklines, its summary and its definition, each line ending in a newline."""
    console = _console(style)
    result = triangle.pooled(_seen(result))
    parts = [_body(result, style), *_sparklines(result, style), *_footer(result, style)]
    for part in parts:
        console.print(
            part, crop=False, no_wrap=style.width is None, overflow="ignore" if style.width is None else "fold"
        )
    assert isinstance(console.file, StringIO)
    written = console.file.getvalue()
    return written if style.colour else "".join(f"{line.rstrip(' ')}\n" for line in written.split("\n")[:-1])


def chunks(result: Result, style: Style) -> Iterator[bytes]:
    """Yield the table in the encoding of its terminal; what that cannot carry is written out."""
    yield text(result, style).encode(style.encoding, "backslashreplace")


def _seen(result: Result) -> Result:
    """Return the result without the columns that stand aside."""
    kept = [i for i, column in enumerate(result.columns) if not column.aside]
    if len(kept) == len(result.columns):
        return result
    rows = tuple(tuple(row[i] for i in kept) for row in result.rows)
    return replace(result, columns=tuple(result.columns[i] for i in kept), rows=rows)


def _console(style: Style) -> Console:
    """Return a console that asks neither the environment nor the terminal for anything. 45 ms, most of it rich."""
    from rich.console import Console

    return Console(
        file=StringIO(),
        width=_ENDLESS if style.width is None else max(style.width, NARROWEST),
        color_system=("256" if style.deep else "standard") if style.colour else None,
        force_terminal=style.colour,
        legacy_windows=False,
        _environ={},
    )


def _body(result: Result, style: Style) -> RenderableType:
    from rich.cells import cell_len

    long, short = lanes(result, style.glyphs), lanes(result, style.glyphs, short=True)
    barred = _barred(result)
    if triangle.heated(result) is not None:
        return _triangle(result, triangle.opened(result, style.glyphs), style)
    if style.width is None:
        return _table(result, long, fit.whole(long, bar=barred is not None, measure=cell_len), style.glyphs)
    width = max(style.width, NARROWEST)
    layout = fit.fitted(long, short, width=width, bar=barred is not None, measure=cell_len)
    if layout is None:
        return _records(result, long, width, style.glyphs)
    return _table(result, short if layout.short else long, layout, style.glyphs)


def _barred(result: Result) -> str | None:
    """Return the column with bars: the only one that may, or the first where no sparklines can stand."""
    names = [column.name for column in result.columns if column.bar]
    return None if not names or not result.rows or (len(names) > 1 and _is_series(result)) else names[0]


def _is_series(result: Result) -> bool:
    dated = bool(result.rows) and isinstance(result.rows[0][0], date)
    return dated and len(result.rows) >= _SERIES


def _table(result: Result, seen: Sequence[Lane], layout: Layout, glyphs: Glyphs) -> Table:
    from rich.cells import cell_len

    table = _frame(layout, glyphs)
    barred = _barred(result) if layout.bar else None
    columns: list[list[Text]] = []
    for lane, width in zip(seen, layout.widths, strict=True):
        header = _plain(fit.broken(lane.header, width, cell_len))
        table.add_column(header, justify="right" if lane.right else "left", width=width, overflow="fold")
        columns.append([_cell(lane, row, result, glyphs) for row in range(len(lane.cells))])
        if lane.column.name == barred:
            table.add_column("", width=layout.bar, no_wrap=True)
            columns.append(_bars(lane, result, layout.bar, glyphs))
    for cells in zip(*columns, strict=True):
        table.add_row(*cells)
    return table


def _triangle(result: Result, seen: Sequence[Lane], style: Style) -> RenderableType:
    """Return the table of cohorts: as many periods as there is room for, and how many more there are."""
    from rich.cells import cell_len
    from rich.console import Group

    found = triangle.layout(seen, width=None if style.width is None else max(style.width, NARROWEST), measure=cell_len)
    if found is None:
        return _records(result, seen, max(style.width or 0, NARROWEST), style.glyphs)
    kept = seen[: len(found.widths)]
    table = _frame(found, style.glyphs)
    last = len(result.rows) - 1 if triangle.POOLED in kept[0].cells else None
    rates = [[lane.values[row] for lane in seen if lane.column.heat] for row in range(len(result.rows))]
    most = heat.top(rates)
    columns = []
    for lane, width in zip(kept, found.widths, strict=True):
        table.add_column(_plain(lane.header), justify="right" if lane.right else "left", width=width, overflow="fold")
        columns.append([_warm(lane, row, (width, most), result, style) for row in range(len(lane.cells))])
    for number, cells in enumerate(zip(*columns, strict=True)):
        table.add_row(*cells, style="bold" if number == last else None)
    more = len(seen) - len(kept)
    return (
        Group(table, _plain(f"{style.glyphs.cut} {more} more periods: other formats hold them all", "dim"))
        if more
        else table
    )


def _warm(lane: Lane, row: int, scale: tuple[int, float], result: Result, style: Style) -> Text:
    """Return a cell; one of a period stands on the colour of its rate, as wide as its column."""
    if not lane.column.heat:
        return _cell(lane, row, result, style.glyphs)
    width, most = scale
    look = heat.colours(lane.values[row], most) if style.deep else ""
    return _plain(lane.cells[row].rjust(width), look or ("dim" if lane.values[row] is None else ""))


def _frame(layout: Layout, glyphs: Glyphs) -> Table:
    """Return an empty table with nothing drawn but a rule under its header."""
    from rich.box import Box
    from rich.table import Table

    blank = "    \n"
    box = Box(f"{blank * 2} {glyphs.rule * 2} \n{blank * 5}", ascii=glyphs.rule.isascii())
    padding = (0, layout.gap - 1, 0, 0)  # the box itself puts one blank between two columns
    return Table(box=box, show_edge=False, pad_edge=False, padding=padding, header_style="bold", border_style="dim")


def _cell(lane: Lane, row: int, result: Result, glyphs: Glyphs) -> Text:
    text = _plain(lane.cells[row])
    if lane.values[row] is None:
        text.stylize("dim")
    elif row in result.marks and lane.cells[row].endswith(glyphs.warn):
        text.stylize("yellow")
    return text


def _bars(lane: Lane, result: Result, width: int, glyphs: Glyphs) -> list[Text]:
    """Return the bars of a column: rates over one, everything else over its largest."""
    values = [_height(value) for value in lane.values]
    top = 1.0 if lane.column.kind == "rate" else max((v for v in values if v is not None), default=0.0)
    bars = [_plain(chart.bar(value / top if value and top > 0 else None, width, glyphs)) for value in values]
    for row, bar in enumerate(bars):
        bar.stylize("yellow" if row in result.marks else "cyan")
    return bars


def _sparklines(result: Result, style: Style) -> list[RenderableType]:
    """Return a line for each column with bars of a dated series that has several of them."""
    if _barred(result) is not None or not result.rows:
        return []
    barred = [lane for lane in lanes(result, style.glyphs) if lane.column.bar]
    return [_plain(""), _sparks(barred, style)] if barred else []


def _sparks(barred: Sequence[Lane], style: Style) -> Table:
    """Return names, sparklines and what their lowest and highest glyphs stand for; the sparklines give way first."""
    from rich.cells import cell_len
    from rich.table import Table

    spans = [_span(lane, style.glyphs) for lane in barred]
    taken = max(cell_len(lane.header) for lane in barred) + max(map(cell_len, spans)) + 4
    room = None if style.width is None else max(_SPARK_LEAST, style.width - taken)
    table = Table.grid(padding=(0, 2, 0, 0))
    for look in ("", "cyan", "dim"):
        table.add_column(style=look, overflow="fold")
    for lane, span in zip(barred, spans, strict=True):
        drawn = chart.sparkline([_height(value) for value in lane.values], room, style.glyphs)
        table.add_row(_plain(lane.header), _plain(drawn), _plain(span))
    return table


def _span(lane: Lane, glyphs: Glyphs) -> str:
    """Return what the lowest and the highest glyph of a sparkline stand for."""
    known = [value for value in lane.values if _height(value) is not None]
    return " to ".join(shown(value, lane.column.kind, glyphs) for value in (min(known), max(known))) if known else ""


def _height(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _footer(result: Result, style: Style) -> Iterator[Text]:
    """Yield what stands below: that there are no rows, the summary, one dim line of definition."""
    from rich.cells import cell_len

    width = None if style.width is None else max(style.width, NARROWEST)
    dot = style.glyphs.dot
    if not result.rows:
        yield _plain("no rows", "dim")
    summary = footer.summary(result, style.glyphs)
    definition = footer.definition(result, style.glyphs)
    if summary or definition:
        yield _plain("")
    for segments in summary:
        yield from map(_plain, footer.packed(segments, width, dot, measure=cell_len))
    for line in footer.packed(definition, width, dot, measure=cell_len):
        yield _plain(line, "dim")


def _records(result: Result, seen: Sequence[Lane], width: int, glyphs: Glyphs) -> Table:
    """Return the rows one below the other, a line per field: for more columns than the terminal has room for."""
    from rich.cells import cell_len
    from rich.table import Table

    names = min(max((cell_len(lane.header) for lane in seen), default=0), width // 2)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=names, style="bold", overflow="fold")
    table.add_column(width=max(1, width - names - 2), overflow="fold")
    for row in range(len(result.rows)):
        table.add_row(_plain(f"{glyphs.rule * 2} {row + 1}", "dim"))
        for lane in seen:
            table.add_row(_plain(lane.header), _cell(lane, row, result, glyphs))
    return table


def _plain(text: str, style: str = "") -> Text:
    """Return text in which nothing is markup."""
    from rich.text import Text

    return Text(text, style)
