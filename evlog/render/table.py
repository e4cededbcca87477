"""A result as a table for people: folded into a terminal, whole in a pipe. No other module imports rich."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from evlog.render import fit, outline, piped, triangle
from evlog.render.lanes import lanes
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


def text(result: Result, style: Style) -> str:
    """Return the table, its sparklines, its summary and its definition, each line ending in a newline."""
    result = triangle.pooled(outline.seen(result))
    if style.width is None and not style.colour and result.columns and triangle.heated(result) is None:
        told = piped.text(result, style)
        if told is not None:
            return told
    return _set(result, style)


def _set(result: Result, style: Style) -> str:
    """Return the same as rich sets it."""
    console = _console(style)
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
    barred = outline.barred(result)
    if triangle.heated(result) is not None:
        return _triangle(result, triangle.opened(result, style.glyphs), style)
    if style.width is None:
        return _table(result, long, fit.whole(long, bar=barred is not None, measure=cell_len), style.glyphs)
    width = max(style.width, NARROWEST)
    layout = fit.fitted(long, short, width=width, bar=barred is not None, measure=cell_len)
    if layout is None:
        return _records(result, long, width, style.glyphs)
    return _table(result, short if layout.short else long, layout, style.glyphs)


def _table(result: Result, found: Sequence[Lane], layout: Layout, glyphs: Glyphs) -> Table:
    from rich.cells import cell_len

    table = _frame(layout, glyphs)
    barred = outline.barred(result) if layout.bar else None
    columns: list[list[Text]] = []
    for lane, width in zip(found, layout.widths, strict=True):
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
    from evlog.render import heat

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
    from evlog.render import heat

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
    """Return the bars of a column, in colour."""
    bars = [_plain(bar) for bar in outline.bars(lane, width, glyphs)]
    for row, bar in enumerate(bars):
        bar.stylize("yellow" if row in result.marks else "cyan")
    return bars


def _sparklines(result: Result, style: Style) -> list[RenderableType]:
    """Return a line for each column with bars of a dated series that has several of them."""
    from rich.cells import cell_len
    from rich.table import Table

    found = outline.sparklines(result, lanes(result, style.glyphs), style, cell_len)
    if not found:
        return []
    table = Table.grid(padding=(0, 2, 0, 0))
    for look in ("", "cyan", "dim"):
        table.add_column(style=look, overflow="fold")
    for cells in found:
        table.add_row(*map(_plain, cells))
    return [_plain(""), table]


def _footer(result: Result, style: Style) -> Iterator[Text]:
    """Yield what stands below."""
    from rich.cells import cell_len

    return (_plain(line, look) for line, look in outline.below(result, style, cell_len))


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
