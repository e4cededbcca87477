"""Tables: they fit, they fold, they steer nothing, and in a pipe they are whole."""

import io
import os
import re
from dataclasses import replace
from datetime import date, timedelta

import pytest
from golden.made import STEERING, results
from golden.samples import ACTIVE, DAU, DROPOFF, EMPTY, FUNNEL, HOSTILE, SAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from evlog.query.result import Column
from evlog.render import outline, piped, table, triangle, write
from evlog.render.chart import bar, sparkline
from evlog.render.fit import fitted
from evlog.render.footer import packed
from evlog.render.lanes import lanes
from evlog.render.style import ASCII, UNICODE, Style
from evlog.render.table import text

ANSI = re.compile("\x1b\\[[0-9;]*m")


@pytest.mark.long
@given(results(), st.none() | st.integers(1, 200), st.booleans(), st.booleans())
@settings(max_examples=120, deadline=None)
def test_nothing_but_text_and_newlines_leaves_and_nothing_is_wider_than_the_terminal(result, width, colour, ascii_only):
    printed = text(result, Style(width=width, colour=colour, ascii_only=ascii_only))
    bare = ANSI.sub("", printed) if colour else printed
    assert not set(bare) & set(STEERING) - {"\n"}
    assert printed.endswith("\n")
    if width is not None:
        assert max(map(cell_len, bare.split("\n"))) <= max(width, 20)


@given(results(least=1))
@settings(max_examples=60, deadline=None)
def test_in_a_pipe_every_row_is_one_line_and_nothing_is_cut(result):
    lines = text(replace(result, summary={}, definition={}, partial=frozenset()), Style()).split("\n")
    assert len(lines[2:]) >= len(result.rows) + 1
    words = [
        cell for row in result.rows for cell, column in zip(row, result.columns, strict=True) if column.kind == "date"
    ]
    assert all(str(cell) in "\n".join(lines) for cell in words if cell is not None)
    assert "…" not in "".join(lines) or any("…" in str(row) for row in result.rows)


def piped_as_rich_sets_it(result, style):
    """How many tables rich had to set, since it alone knows how wide their signs are."""
    shown = triangle.pooled(outline.seen(result))
    told = piped.text(shown, style) if shown.columns and triangle.heated(shown) is None else None
    assert told is None or told == table._set(shown, style)
    return told is None


@given(results(), st.booleans())
@settings(max_examples=100, deadline=None)
def test_a_pipe_gets_to_the_byte_what_rich_would_set(result, ascii_only):
    piped_as_rich_sets_it(result, Style(ascii_only=ascii_only))


def test_a_pipe_gets_the_samples_without_rich():
    left = [name for name, result in SAMPLES.items() if piped_as_rich_sets_it(result, Style())]
    assert not {"dau", "active", "funnel", "dropoff", "empty"} & set(left), left


def test_a_pipe_gets_no_colour_and_no_trailing_blanks():
    for result in SAMPLES.values():
        lines = text(result, Style()).split("\n")
        assert not [line for line in lines if "\x1b" in line or line != line.rstrip()]


def test_the_environment_changes_nothing(monkeypatch):
    styles = [Style(width=100), Style(width=100, colour=True), Style()]
    expected = [text(FUNNEL, style) for style in styles]
    for name, value in {
        "COLUMNS": "20",
        "FORCE_COLOR": "1",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "JUPYTER_COLUMNS": "9",
    }.items():
        monkeypatch.setitem(os.environ, name, value)
    assert [text(FUNNEL, style) for style in styles] == expected
    assert "\x1b[36m" in expected[1] or "\x1b[33m" in expected[1]


def test_markup_in_data_is_text():
    assert "[bold]not markup[/bold] :smile:" in text(HOSTILE, Style())
    result = replace(DAU, summary={"[red]x[/red]": "[link=a]b[/link]"}, definition={"z": "[/]"})
    assert "[red]x[/red] [link=a]b[/link]" in text(result, Style())


def test_ascii_is_ascii():
    for result in (DAU, ACTIVE, FUNNEL, DROPOFF):
        for style in (Style(width=80, ascii_only=True), Style(encoding="iso8859-1"), Style(encoding="ANSI_X3.4-1968")):
            assert text(result, style).isascii()


def test_an_encoding_that_cannot_carry_the_data_does_not_stop_the_table():
    to = io.BytesIO()
    write(HOSTILE, to, style=Style(encoding="latin-1"))
    assert rb"\u65e5\u672c" in to.getvalue()
    assert "é".encode("latin-1") in to.getvalue()


def test_cells_are_humane():
    printed = text(FUNNEL, Style())
    for word in ("12,450", "100.0%", "24.2%", "4m 30s", "850ms", "median ", UNICODE.null, "complete ⚠"):
        assert word in printed
    assert "median_s" not in printed
    assert "2026-03-31 *" in text(DAU, Style())
    assert "* still running" in text(DAU, Style())


def test_rates_lose_no_half():
    result = replace(EMPTY, columns=(Column("r", "rate"),), rows=((0.8445,), (0.1225,)))
    assert text(result, Style()).split("\n")[2:4] == ["84.5%", "12.3%"]


def test_numbers_of_a_column_share_their_decimals():
    result = replace(EMPTY, columns=(Column("x", "number"),), rows=((0.5,), (12.25,), (7,)))
    assert text(result, Style()).split("\n")[2:5] == [" 0.5", "12.3", " 7.0"]


def test_the_bar_gives_way_before_the_text_folds():
    wide, narrow = text(DROPOFF, Style(width=120)), text(DROPOFF, Style(width=72))
    assert "█" in wide
    assert "█" not in narrow
    assert "part-3/reflection ⚠" in narrow


@pytest.mark.parametrize("result", [DAU, ACTIVE, FUNNEL, DROPOFF], ids=lambda result: result.report)
def test_no_width_breaks_a_number_or_a_date(result):
    whole = text(replace(result, summary={}, definition={}), Style()).split("\n")[2 : 2 + len(result.rows)]
    numbers = set(re.findall(r"[0-9][0-9,.%-]*[0-9%]", "\n".join(whole))) - {"1"}
    for width in range(30, 150):  # a record of less width folds
        printed = text(replace(result, summary={}, definition={}), Style(width=width))
        assert not {number for number in numbers if number not in printed}, width


@given(results(), st.integers(20, 200), st.booleans())
@settings(max_examples=100, deadline=None)
def test_a_layout_takes_no_more_than_there_is_and_breaks_only_what_folds(result, width, bar):
    long, short = lanes(result, UNICODE), lanes(result, UNICODE, short=True)
    layout = fitted(long, short, width=width, bar=bar, measure=cell_len)
    if layout is None:
        return
    assert sum(layout.widths) + layout.gap * (len(long) - 1) + (layout.gap + layout.bar) * (layout.bar > 0) <= width
    for lane, given_width in zip(short if layout.short else long, layout.widths, strict=True):
        assert lane.folds or all(cell_len(cell) <= given_width for cell in lane.cells)


def test_where_no_table_fits_each_row_stands_by_itself():
    printed = text(FUNNEL, Style(width=40))
    assert "── 2\n" in printed
    assert "conversion       65.3%" in printed


def test_more_columns_than_the_terminal_is_wide():
    columns = tuple(Column(f"property_{i}") for i in range(60))
    result = replace(EMPTY, columns=columns, rows=(tuple("x" * 100 for _ in columns),) * 2)
    printed = text(result, Style(width=80))
    assert max(map(len, printed.split("\n"))) <= 80
    assert printed.count("x") == 2 * 60 * 100


def test_a_series_with_several_bars_has_a_sparkline_each():
    printed = text(ACTIVE, Style(width=80))
    assert "wau  ▁▁▂▃▄▅▆▇██  420 to 519" in printed
    assert text(ACTIVE, Style(width=80)).count("▁") == text(ACTIVE, Style()).count("▁") == 7


@pytest.mark.parametrize("width", [20, 33, 80, 160])
def test_sparklines_of_a_long_series_fill_the_terminal_and_no_more(width):
    rows = tuple((date(2025, 1, 1) + timedelta(days=n), n, 2 * n, None, 0.1) for n in range(500))
    columns = (*ACTIVE.columns[:2], Column("日本語", "count", bar=True), *ACTIVE.columns[3:])
    lines = text(replace(ACTIVE, columns=columns, rows=rows, summary={}, definition={}), Style(width=width)).split("\n")
    assert all(cell_len(line) <= width for line in lines)
    if width >= 80:
        assert next(cell_len(line) for line in lines if line.endswith("0 to 998")) == width
        assert len(lines) == 2 + len(rows) + 1 + 3 + 1


def test_what_stands_aside_is_for_machines():
    columns = [replace(column, aside=column.name == "dropped") for column in DROPOFF.columns]
    aside = replace(DROPOFF, columns=tuple(columns))
    for style in (Style(), Style(width=80)):
        printed = text(aside, style)
        assert "dropped" not in printed
        assert [line.split()[0] for line in printed.splitlines()[2:5]] == [row[0] for row in DROPOFF.rows]
    for form in ("csv", "json", "markdown"):
        into = io.BytesIO()
        write(aside, into, form=form)
        assert b"dropped" in into.getvalue()


def test_a_star_says_what_it_means():
    assert "* still running · zone UTC" in text(DAU, Style())
    assert "* windows of 3 entrants still open · zone" in text(
        replace(DAU, partial_means="windows of 3 entrants still open"), Style()
    )


def test_no_rows_and_no_columns():
    assert "no rows" in text(EMPTY, Style())
    assert "target_id" in text(EMPTY, Style())
    assert text(replace(EMPTY, columns=()), Style(width=80)).strip() == "no rows"


def test_a_summary_with_parts_has_a_line_for_each():
    result = replace(
        DAU,
        summary={"dau": 3.5, "feature_usage": {"login": 1200, "view": 3}},
        summary_kinds={"dau": "number"},
        definition={},
    )
    assert "dau 3.50\nfeature_usage: login 1,200 · view 3\n" in text(result, Style())


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_a_bar_is_as_long_as_its_fraction(glyphs):
    assert [len(bar(f, 10, glyphs)) for f in (None, 0, -1, 0.0001, 0.5, 1, 7)] == [0, 0, 0, 1, 5, 10, 10]


def test_a_bar_has_eighths():
    assert bar(0.5 + 3 / 80, 10, UNICODE) == "█████▍"


def test_a_sparkline_leaves_gaps_and_averages_what_is_too_long():
    assert sparkline([0, None, 8], None, UNICODE) == "▁ █"
    assert sparkline([1, 3, 5, 7], 2, UNICODE) == "▁█"
    assert sparkline([5, 5], None, UNICODE) == "▁▁"
    assert sparkline([], 10, UNICODE) == ""
    assert sparkline([None, None, 1], 3, ASCII) == "  _"


@given(st.lists(st.text("abc ", min_size=1, max_size=12)), st.integers(1, 40))
def test_facts_are_packed_between_their_dots(segments, width):
    lines = packed(segments, width, " · ")
    assert " · ".join(lines) == " · ".join(segments)
    assert all(len(line) <= width or line in segments for line in lines)
    assert packed(segments, None, " · ") == ([" · ".join(segments)] if segments else [])
