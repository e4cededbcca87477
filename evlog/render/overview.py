"""The dashboard on one screen: stacked at 80 columns, in two columns from 120 on; or one document for machines."""

from __future__ import annotations

import re
from dataclasses import replace
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from evlog.render import chart, curves, footer, heat, human, ranks
from evlog.render.escape import escape
from evlog.render.flat import distinct
from evlog.render.ink import Ink, clipped, cropped, packed, padded, painted, plain, width
from evlog.render.lanes import shown
from evlog.render.plot import heights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evlog.overview import Overview, Section
    from evlog.query.result import Kind, Result
    from evlog.render.ink import Line
    from evlog.render.style import Style

_TWO = 120  # columns from which on two stand side by side
_GAP = 4
_CURVE = 8  # lines of the chart
_STEPS, _TARGETS, _ROWS, _NEWS = 8, 40, 5, 6  # of each section, at most
_CELL = 4  # the least columns of a cell that gives way
_PIECES = re.compile(r"\d+|\D+")
_TITLES = {
    "active": "ACTIVE USERS",
    "completion": "COMPLETION",
    "funnel": "FUNNEL",
    "dropoff": "DROP-OFF",
    "tools": "TOOLS",
    "errors": "ERRORS",
    "news": "NEW",
}
_LEFT, _RIGHT = ("active", "completion", "funnel"), ("dropoff", "tools", "errors", "news")


def result(overview: Overview) -> Result:
    """Return the dashboard as one result, a row for each section: its summary and its rows."""
    from evlog.query.result import Column

    columns = (Column("section"), Column("report"), Column("summary", "json"), Column("rows", "json"), Column("absent"))
    return replace(overview.head, columns=columns, rows=tuple(_told(section) for section in overview.sections))


def _told(section: Section) -> tuple[Any, ...]:
    found = section.result
    if found is None:
        return (section.name, None, {}, [], section.absent)
    names = [column.name for column in distinct(found.columns)]
    rows = [dict(zip(names, row, strict=True)) for row in found.rows]
    return (section.name, found.report, found.summary, rows, None)


def text(overview: Overview, style: Style) -> str:
    """Return the dashboard for the terminal, each line ending in a newline."""
    columns = style.canvas
    lines = [*_head(overview, style, columns), *_body(overview, style, columns), *_foot(overview, style, columns)]
    return painted([cropped(line, columns) for line in lines], style)


def _body(overview: Overview, style: Style, columns: int) -> list[Line]:
    if columns < _TWO:
        return [line for name in (*_LEFT, *_RIGHT) for line in _section(overview[name], style, columns)]
    half = (columns - _GAP) // 2
    left = [line for name in _LEFT for line in _section(overview[name], style, half)]
    right = [line for name in _RIGHT for line in _section(overview[name], style, half)]
    rows = max(len(left), len(right))
    left, right = ([*side, *[()] * (rows - len(side))] for side in (left, right))
    return [(*padded(one, half + _GAP), *other) for one, other in zip(left, right, strict=True)]


def _head(overview: Overview, style: Style, columns: int) -> list[Line]:
    """Return what is asked, and the totals."""
    glyphs, params, said = style.glyphs, overview.head.params, overview.head.summary
    days = f"{params['days']} day{'s' * (params['days'] != 1)}"
    title = glyphs.dot.join([f"{params['from']} to {params['to']}", days, params["tz"], *map(escape, params["where"])])
    totals = [
        (Ink(human.count(said["events"]), "bold"), Ink(" events")),
        (Ink(human.count(said["users"]), "bold"), Ink(" users")),
        (
            Ink(human.count(said["users_5m"]), "bold"),
            Ink(" now (5m)  "),
            Ink(human.count(said["users_30m"]), "bold"),
            Ink(" in 30m"),
        ),
        (
            Ink(
                f"of all time: {human.count(said['events_ever'])} events, {human.count(said['users_ever'])} users",
                "dim",
            ),
        ),
    ]
    return [plain(clipped(title, columns, glyphs), "bold"), *packed(totals, columns, "   ")]


def _foot(overview: Overview, style: Style, columns: int) -> list[Line]:
    """Return the definition in a line: the rest of it stands with each report."""
    known = overview.head.definition
    facts = [f"newest event {shown(known['newest_event'], 'instant', style.glyphs)}", f"zone {known['zone']}"]
    facts += [f"{shown(known['events_without_user'], 'count', style.glyphs)} events without a user"]
    if known.get("quarantined"):
        facts.append(f"{human.count(known['quarantined'])} lines quarantined in the range")
    return [(), *(plain(line, "dim") for line in footer.packed(facts, columns, style.glyphs.dot, measure=_measured))]


def _measured(text: str) -> int:
    return width(plain(text))


def _section(section: Section, style: Style, columns: int) -> list[Line]:
    """Return a section below its title; where it has nothing to show, one line says how to get it."""
    title = _TITLES[section.name]
    if section.result is None:
        first, *rest = wrap(f"{title}  {escape(section.absent)}", max(columns, len(title) + 1)) or [title]
        return [(), (Ink(title, "bold"), Ink(first.removeprefix(title), "dim")), *(plain(line, "dim") for line in rest)]
    return _DRAWN[section.name](section.result, title, style, columns)


def _titled(title: str, said: str, style: Style, columns: int) -> list[Line]:
    told = clipped(escape(said), max(1, columns - len(title) - 2), style.glyphs)
    return [(), (Ink(title, "bold"), Ink(f"  {told}" if told else "", "dim"))]


def _active(found: Result, title: str, style: Style, columns: int) -> list[Line]:
    last = found.rows[-1]
    stickiness = shown(last[4], "rate", style.glyphs)
    head = _titled(
        title, f"stickiness {stickiness}{style.glyphs.dot}peak {human.count(found.summary['peak'])}", style, columns
    )
    lines = [
        curves.Series(name, tuple((row[0], heights(row[place])) for row in found.rows))
        for place, name in ((1, "DAU"), (2, "WAU"), (3, "MAU"))
    ]
    starred = bool(found.partial)
    return [*head, *curves.chart(lines, "count", columns=columns, glyphs=style.glyphs, height=_CURVE, starred=starred)]


def _completion(found: Result, title: str, style: Style, columns: int) -> list[Line]:
    """Return one bar over all pairs, and what each kind of target has to it."""
    glyphs, said = style.glyphs, found.summary
    rate, value = said["completion_rate"], shown(said["completion_rate"], "rate", style.glyphs)
    room = max(1, columns - len(title) - len(value) - 3)
    bar = Ink(chart.bar(rate, room, glyphs).ljust(room), "green")
    kinds = glyphs.dot.join(f"{escape(row[0] or 'others')} {shown(row[3], 'rate', glyphs)}" for row in found.rows)
    counts = f"{human.count(said['completed'])} of {human.count(said['started'])} starts: {kinds}"
    return [(), (Ink(title, "bold"), Ink("  "), bar, Ink(f" {value}")), plain(clipped(counts, columns, glyphs), "dim")]


def _funnel(found: Result, title: str, style: Style, columns: int) -> list[Line]:
    names = [column.name for column in found.columns]
    event, users, rate = (names.index(name) for name in ("event", "users", "conversion"))
    steps = [ranks.Rank(escape(str(row[event])), heights(row[rate]), human.count(row[users])) for row in found.rows]
    said = "of the parts" if found.report == "parts" else "of the pairs" if found.report == "pairs" else "of the plan"
    return [
        *_titled(title, said, style, columns),
        *ranks.bars(steps, "rate", columns=columns, glyphs=style.glyphs, most=_STEPS),
    ]


def _dropoff(found: Result, title: str, style: Style, columns: int) -> list[Line]:
    """Return a cell for each target, coloured by its drop-off, in the order of their names; the worst are marked."""
    names = [column.name for column in found.columns]
    target, rate = (names.index(name) for name in ("target_id", "dropoff_rate"))
    rows = [(n, row) for n, row in enumerate(found.rows) if row[rate] is not None]
    worst = rows[:_TARGETS]  # the rows come worst first
    top = max((row[rate] for _, row in worst), default=0.0) or 1.0
    worst.sort(key=lambda one: _natural(str(one[1][target])))
    wide = min(max((width(plain(str(row[target]))) for _, row in worst), default=1), max(4, columns // 4))
    cells = [_target(str(row[target]), row[rate], top, wide, style, marked=n in found.marks) for n, row in worst]
    left = f", the worst {_TARGETS} of {len(rows)}" if len(rows) > _TARGETS else ""
    head = _titled(title, f"{found.params['target_type'] or 'targets'} started and not completed{left}", style, columns)
    return [*head, *packed(cells, columns, " ")]


def _target(name: str, rate: float, top: float, wide: int, style: Style, *, marked: bool) -> Line:
    glyphs = style.glyphs
    told = clipped(escape(name), wide, glyphs)
    figures = f"{told}{' ' * (wide - width(plain(told)))} {shown(rate, 'rate', glyphs):>6}"
    sign = Ink(glyphs.warn if marked else " ", "yellow" if marked else "")
    if style.deep:
        return (Ink(f" {figures} ", heat.look(rate, top)), sign)
    return (Ink(figures), Ink(heat.shade(rate, top, glyphs), "cyan"), sign)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Return what sorts 1.10 after 1.9."""
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in _PIECES.findall(name)]


def _tools(found: Result, title: str, style: Style, columns: int) -> list[Line]:
    names = [column.name for column in found.columns]
    wanted = [n for n in ("events", "users", "avg_items_count", "avg_duration_ms", "adoption") if n in names]
    wanted = [n for n in wanted if any(row[names.index(n)] is not None for row in found.rows)]
    kinds = {column.name: column.kind for column in found.columns}
    titles = {"events": "uses", "avg_items_count": "avg items", "avg_duration_ms": "avg time"}
    cells = [
        [
            escape(str(row[names.index("target_id")])),
            *(_measure(n, row[names.index(n)], kinds[n], style) for n in wanted),
        ]
        for row in found.rows[:_ROWS]
    ]
    grid = _grid([["", *(titles.get(n, n) for n in wanted)], *cells], style, columns, texts=1, flexible=0)
    return [*_titled(title, _more(len(found.rows), "target"), style, columns), *grid]


def _measure(name: str, value: Any, kind: Kind, style: Style) -> str:
    if name == "avg_duration_ms" and value is not None:
        return human.duration(value / 1000)
    return shown(value, kind, style.glyphs)


def _errors(found: Result, title: str, style: Style, columns: int) -> list[Line]:
    names = [column.name for column in found.columns]
    last, status, target, message, count = (names.index(n) for n in ("last", "status", "target_id", "message", "count"))
    cells = [
        [
            shown(row[last], "instant", style.glyphs)[5:16],
            *(escape(str(row[n])) if row[n] is not None else "" for n in (status, target, message)),
            human.count(row[count]),
        ]
        for row in found.rows[:_ROWS]
    ]
    rate = shown(found.summary.get("error_rate"), "rate", style.glyphs)
    said = f"{human.count(found.summary['errors'])}, {rate} of {human.count(found.summary['events'])} events"
    grid = _grid([["last", "status", "target", "message", "count"], *cells], style, columns, texts=4, flexible=3)
    return [*_titled(title, said, style, columns), *grid]


def _news(found: Result, title: str, style: Style, columns: int) -> list[Line]:
    said = dict(found.summary)
    since = shown(said.pop("since"), "instant", style.glyphs)
    counts = (("new user", "users"), ("new event type", "event_types"), ("new error", "errors"))
    told = [f"{human.count(said[key])} {noun}{'s' * (said[key] != 1)}" for noun, key in counts]
    told.append(f"{human.count(said['late'])} late")
    if said["quarantined"]:
        told.append(f"{human.count(said['quarantined'])} quarantined")
    cells = [[row[0], escape(str(row[1])), human.count(row[2])] for row in found.rows[:_NEWS]]
    lines = [plain(clipped(style.glyphs.dot.join(told), columns, style.glyphs))]
    if cells:
        lines += _grid(cells, style, columns, texts=2, flexible=1, headed=False)
    return [*_titled(title, f"since {since}", style, columns), *lines]


def _more(count: int, noun: str) -> str:
    return f"{_ROWS} of {count} {noun}s" if count > _ROWS else ""


def _grid(
    rows: Sequence[Sequence[str]], style: Style, columns: int, *, texts: int, flexible: int, headed: bool = True
) -> list[Line]:
    """Return rows of cells under each other: the first `texts` flush left, the rest right; one gives way first."""
    widths = [max(width(plain(cell)) for cell in column) for column in zip(*rows, strict=True)]
    for place in (flexible, *sorted(range(len(widths)), key=lambda n: -widths[n])):
        over = sum(widths) + 2 * (len(widths) - 1) - columns
        widths[place] = max(min(_CELL, widths[place]), widths[place] - max(0, over))
    looks = ["dim" if headed and number == 0 else "" for number in range(len(rows))]
    return [_row(row, widths, style, texts=texts, look=look) for row, look in zip(rows, looks, strict=True)]


def _row(cells: Sequence[str], widths: Sequence[int], style: Style, *, texts: int, look: str) -> Line:
    told = [clipped(cell, columns, style.glyphs) for cell, columns in zip(cells, widths, strict=True)]
    blanks = [" " * (columns - width(plain(cell))) for cell, columns in zip(told, widths, strict=True)]
    set_ = [
        cell + blank if n < texts else blank + cell for n, (cell, blank) in enumerate(zip(told, blanks, strict=True))
    ]
    return plain("  ".join(set_), look)


_DRAWN: dict[str, Callable[[Result, str, Style, int], list[Line]]] = {
    "active": _active,
    "completion": _completion,
    "funnel": _funnel,
    "dropoff": _dropoff,
    "tools": _tools,
    "errors": _errors,
    "news": _news,
}
