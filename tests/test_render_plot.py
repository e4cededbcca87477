"""Charts: they fit, they lie where their values are, and each kind of terminal gets what it can show."""

import math
import os
import re
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from golden.made import STEERING, results
from golden.samples import ACTIVE, DAU, DROPOFF, EMPTY, FUNNEL, GROUPED, HOSTILE, RETENTION
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from evlog.errors import UsageError
from evlog.query.result import Column
from evlog.render import axis, heat
from evlog.render.canvas import Canvas
from evlog.render.curves import HEIGHT, Series, chart
from evlog.render.ink import clipped, folded
from evlog.render.plot import text
from evlog.render.ranks import Rank, bars
from evlog.render.style import ASCII, UNICODE, Style
from evlog.render.table import text as table

GOLDEN = Path(__file__).parent / "golden"
ANSI = re.compile("\x1b\\[[0-9;]*m")
DRAWN = {
    "dau": DAU,
    "active": ACTIVE,
    "grouped": GROUPED,
    "funnel": FUNNEL,
    "dropoff": DROPOFF,
    "retention": RETENTION,
    "empty": EMPTY,
}
STYLES = {
    "80": Style(width=80),
    "160": Style(width=160),
    "ascii": Style(width=80, ascii_only=True),
    "colour": Style(width=80, colour=True, colours=256),
    "pipe": Style(),
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", DRAWN)
def test_golden(name, style):
    got = text(DRAWN[name], STYLES[style])
    path = GOLDEN / f"{name}.plot.{style}.txt"
    if os.environ.get("GOLDEN") == "write":  # after a change of looks: look at the difference, then commit it
        path.write_text(got, "utf-8")
    assert got == path.read_text("utf-8")


@given(results(), st.none() | st.integers(1, 200), st.booleans(), st.booleans())
@settings(max_examples=80, deadline=None)
def test_nothing_steers_the_terminal_and_nothing_is_wider_than_it(result, width, colour, ascii_only):
    style = Style(width=width, colour=colour, colours=256, ascii_only=ascii_only)
    try:
        printed = text(result, style)
    except UsageError:
        assert not any(column.kind in ("count", "number", "rate", "seconds", "list") for column in result.columns)
        return
    bare = ANSI.sub("", printed) if colour else printed
    assert not set(bare) & set(STEERING) - {"\n"}
    assert printed.endswith("\n")
    assert max(map(cell_len, bare.split("\n"))) <= max(80 if width is None else width, 20)


@given(results(kinds=("date", "count", "number", "rate", "seconds"), least=1), st.integers(20, 160))
@settings(max_examples=100, deadline=None)
def test_ascii_stays_ascii(result, width):
    named = replace(
        result,
        columns=tuple(replace(column, name=f"c{n}") for n, column in enumerate(result.columns)),
        summary={},
        definition={},
    )
    if any(column.kind != "date" for column in named.columns):
        assert text(named, Style(width=width, ascii_only=True)).isascii()


def test_a_pipe_has_no_colour_and_no_blanks_at_the_end_and_the_width_it_is_told():
    for result in DRAWN.values():
        for columns in (80, 120):
            lines = text(result, Style(picture=columns)).split("\n")
            assert not [line for line in lines if "\x1b" in line or line != line.rstrip()]
            assert max(map(cell_len, lines)) <= columns
    assert max(map(cell_len, text(DAU, Style(picture=120)).split("\n"))) > 80


def test_the_definition_stays_and_the_table_goes():
    printed = text(DAU, Style(width=80))
    assert "* still running · zone UTC" in printed
    assert "dau_avg 391.3 · peak 1,204" in printed
    assert "2026-03-24" not in printed


def level(lines, wanted):
    """The value at the height of each row of a chart, told from the labels of its axis alone."""
    found = {n: line.split("┤")[0] for n, line in enumerate(lines) if "┤" in line}
    labels = {n: float(label.replace(",", "")) for n, label in found.items()}
    (low, at), (high, top) = [(value, n) for n, value in sorted(labels.items(), reverse=True)][:: len(labels) - 1]
    return at + (wanted - low) / (high - low) * (top - at)


DAYS = [date(2026, 3, 1) + timedelta(n) for n in range(20)]
VALUES = st.none() | st.integers(0, 100_000)


@given(st.lists(VALUES, min_size=1, max_size=20).filter(lambda values: any(v is not None for v in values)),
       st.integers(40, 160))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_the_mark_of_a_line_stands_at_its_last_value(values, columns):
    values = [None if value is None else value % 4000 for value in values]
    points = tuple(zip(DAYS, values, strict=False))
    lines = [
        "".join(ink.text for ink in line)
        for line in chart([Series("a", points)], "count", columns=columns, glyphs=UNICODE)
    ]
    place, last = [(n, value) for n, value in enumerate(values) if value is not None][-1]
    body = lines[1 : 1 + HEIGHT]
    (row,) = [n for n, line in enumerate(body) if "●" in line]
    assert abs(row - level(body, last)) <= 1
    begin = body[0].index("┤" if "┤" in body[0] else "│") + 1
    room = len(body[row]) - begin
    along = (place / (len(values) - 1) if len(values) > 1 else 0.5) * (room - 1)
    assert abs(body[row].index("●") - begin - along) <= 1


@given(st.lists(st.lists(st.integers(0, 500), min_size=2, max_size=20), min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_every_line_has_its_mark_at_its_end_unless_another_ends_there(columns):
    series = [Series(f"s{n}", tuple(zip(DAYS, values, strict=False))) for n, values in enumerate(columns)]
    lines = ["".join(ink.text for ink in line) for line in chart(series, "count", columns=100, glyphs=UNICODE)]
    body = lines[-2 - HEIGHT : -2]
    marks = {char for line in body for char in line} & set(UNICODE.marks)
    assert UNICODE.marks[0] in marks
    ends = [(len(values), values[-1]) for values in columns]
    for n, end in enumerate(ends):
        near = [m for m, other in enumerate(ends) if other[0] == end[0] and abs(other[1] - end[1]) <= 100]
        assert any(UNICODE.marks[m] in marks for m in near), n
    assert all(f"{UNICODE.marks[n]} s{n} " in " ".join(lines) for n in range(len(series)))


def test_lines_of_groups_are_the_first_eight_and_the_rest_is_counted():
    printed = text(GROUPED, Style(width=100))
    assert "● web 27" in printed
    assert "◇ h " in printed
    assert "(other)" not in printed
    assert "… 2 more lines" in printed


def test_a_gap_is_no_line():
    drawn = chart([Series("a", ((DAYS[0], 1), (DAYS[5], None), (DAYS[10], 1)))], "count", columns=60, glyphs=ASCII)
    row = next("".join(ink.text for ink in line) for line in drawn if "*" in "".join(i.text for i in line[1:]))
    assert row.split("|")[-1].split("+")[-1].count("*") == 2


def test_columns_of_one_kind_are_drawn_together_and_what_dwarfs_them_is_not():
    assert "● dau 137  ▲ wau 519  ■ mau 1,525\n" in text(ACTIVE, Style(width=80))
    rows = tuple((row[0], 1, 2, 4000, 0.5) for row in ACTIVE.rows)
    assert "● dau 1  ▲ wau 2\n" in text(replace(ACTIVE, rows=rows), Style(width=80))


def test_months_are_dates():
    rows = tuple((f"2026-0{n}", n) for n in range(1, 7))
    result = replace(EMPTY, columns=(Column("month"), Column("mau", "count", bar=True)), rows=rows)
    assert "2026-01-01" in text(result, Style(width=80))
    assert "06-01" in text(result, Style(width=80))


def test_a_series_that_names_two_things_a_day_has_a_line_for_each():
    rows = tuple((day, step, n) for n, day in enumerate(DAYS[:4]) for step in ("open", "done"))
    result = replace(EMPTY, columns=(Column("period", "date"), Column("event"), Column("users", "count")), rows=rows)
    assert "● open 3  ▲ done 3\n" in text(result, Style(width=80))


def test_what_has_no_date_is_bars_named_by_its_texts_or_its_first_number():
    lines = text(DROPOFF, Style(width=80)).split("\n")
    assert lines[0] == "dropoff_rate · started"
    assert re.fullmatch(r"part-3/reflection⚠ █+▋ +47\.4%  380", lines[1])
    counted = replace(
        EMPTY, columns=(Column("days", "count"), Column("users", "count")), rows=((1, 10), (2, 5), (3, 0))
    )
    assert [line.split() for line in text(counted, Style(width=30)).split("\n")[1:4]] == [
        ["1", "█" * 24, "10"],
        ["2", "█" * 12, "5"],
        ["3", "0"],
    ]


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=40))
def test_bars_are_as_long_as_their_values(values):
    drawn = bars([Rank("n", value) for value in values], "count", columns=80, glyphs=UNICODE)
    lengths = [sum(len(UNICODE.bars) if char == "█" else UNICODE.bars.index(char) + 1
                   for char in line[3].text if char != " ") for line in drawn[:30]]  # fmt: skip
    room, top = len(drawn[0][3].text) * len(UNICODE.bars), max(values[:30])
    for length, value in zip(lengths, values, strict=False):
        assert abs(length - (value / top * room if top else 0)) <= 1
    assert len(drawn) == min(len(values), 30) + (len(values) > 30)


def test_small_rates_are_drawn_against_the_largest_and_it_says_so():
    drawn = bars([Rank("a", 0.005), Rank("b", 0.001)], "rate", columns=60, glyphs=UNICODE, title="error_rate")
    assert drawn[0][0].text == "error_rate; a full bar is 0.5%"
    assert "█" * 30 in drawn[1][3].text


def test_what_has_no_numbers_cannot_be_drawn():
    result = replace(EMPTY, columns=(Column("a"),), rows=(("x",),))
    with pytest.raises(UsageError, match="no numbers"):
        text(result, Style())


def test_no_rows_draw_nothing():
    assert text(EMPTY, Style(width=80)).startswith("no rows\n")
    assert "no value is known" in text(replace(DAU, rows=((DAYS[0], None),), partial=frozenset()), Style(width=80))


@given(
    *[st.floats(-1e15, 1e15).map(lambda value: round(value, 6))] * 2,
    st.sampled_from(["count", "number", "rate", "seconds"]),
)
@settings(max_examples=300)
def test_ticks_are_a_round_step_apart_and_hold_zero_and_all_values(one, other, kind):
    low, high = sorted((one, other))
    found = axis.ticks(low, high, kind, most=5)
    assert found[0] <= min(low, 0)
    assert found[-1] >= max(high, 0)
    assert len(found) <= 8
    steps = [b - a for a, b in pairwise(found)]
    assert all(math.isclose(step, steps[0], rel_tol=1e-6) for step in steps)


@pytest.mark.parametrize(
    ("high", "kind", "labels"),
    [
        (46, "count", ["0", "10", "20", "30", "40", "50"]),
        (3, "count", ["0", "1", "2", "3"]),
        (1204, "count", ["0", "250", "500", "750", "1,000", "1,250"]),
        (12_000, "count", ["0", "2.5k", "5k", "7.5k", "10k", "12.5k"]),
        (84_000, "count", ["0", "20k", "40k", "60k", "80k", "100k"]),
        (2_600_000, "count", ["0", "1M", "2M", "3M"]),
        (0.47, "rate", ["0%", "10%", "20%", "30%", "40%", "50%"]),
        (0.004, "rate", ["0%", "0.1%", "0.2%", "0.3%", "0.4%"]),
        (4000, "seconds", ["0s", "30m", "1h", "1h 30m"]),
        (1.7, "number", ["0", "0.5", "1", "1.5", "2"]),
    ],
)
def test_the_scale_is_humane(high, kind, labels):
    assert axis.labels(axis.ticks(0, high, kind, most=5), kind) == labels


def test_a_year_is_told_where_it_changes():
    days = [date(2025, 12, 29) + timedelta(7 * n) for n in range(3)]
    assert (
        axis.dates(days, [0, 30, 59], 60, starred=True).text == f"2025-12-29{' ' * 15}2026-01-05{' ' * 14}2026-01-12*"
    )


def test_a_line_back_is_the_same_line():
    one, other = Canvas(20, 5, UNICODE), Canvas(20, 5, UNICODE)
    one.line((1, 2), (37, 17), 0)
    other.line((37, 17), (1, 2), 0)
    assert one.lines() == other.lines()


def test_the_triangle_is_coloured_by_a_scale_that_period_0_does_not_stretch():
    assert heat.top([[1.0, 0.4, 0.2], [1.0, None]]) == 0.4
    assert heat.top([[0.5], [None]]) == 0.5
    assert heat.top([]) == heat.top([[0.0, 0.0]]) == 1.0
    places = [heat.look(n / 100, 0.4) for n in range(41)]
    assert len(dict.fromkeys(places)) == 7
    assert [heat.shade(rate, 0.4, UNICODE) for rate in (None, 0.0, 0.01, 0.11, 0.25, 0.4, 1.0)] == list("  ░▒▓██")


@pytest.mark.parametrize("width", [20, 40, 60, 80, 160])
@pytest.mark.parametrize("draw", [text, table], ids=["plot", "table"])
def test_a_triangle_shows_as_many_periods_as_fit_and_says_how_many_do_not(draw, width):
    many = replace(RETENTION, rows=tuple((*row[:2], row[2] * 5, row[3] * 5) for row in RETENTION.rows), summary={})
    printed = draw(many, Style(width=width))
    assert max(map(len, printed.split("\n"))) <= width
    if width > 20:
        shown = [int(word) for word in printed.split("\n")[0].split()[2:]]
        assert shown == list(range(len(shown)))
        assert f"… {40 - len(shown)} more periods" in printed


def test_a_triangle_has_the_pooled_rates_last_and_not_again_below():
    lines = table(RETENTION, Style(width=80)).split("\n")
    assert lines[0].split() == ["cohort", "size", *"01234567"]
    assert lines[10].split() == ["pooled", "100.0%", "41.8%", "25.1%", "18.3%", "13.9%", "11.3%", "9.4%", "8.4%"]
    assert lines[12] == "users 2,983"
    assert lines[5].split() == ["2026-02-23", "0", *"········"]
    assert "\x1b[38;5;231;48;5;23m100.0%" in table(RETENTION, Style(width=80, colour=True, colours=256))
    assert "48;5" not in table(RETENTION, Style(width=80, colour=True))


def test_the_periods_of_a_triangle_may_have_names():
    columns = (*RETENTION.columns[:3], replace(RETENTION.columns[3], labels=("0", "1-3", "4-7")))
    for draw in (text, table):
        head = draw(replace(RETENTION, columns=columns), Style(width=80)).split("\n")[0]
        assert head.split() == ["cohort", "size", "0", "1-3", "4-7", "3", "4", "5", "6", "7"]


def test_hostile_data_is_drawn_harmless():
    bars_only = replace(HOSTILE, columns=HOSTILE.columns[:2], rows=tuple(row[:2] for row in HOSTILE.rows))
    for result in (HOSTILE, bars_only):
        assert not set(text(result, Style(width=80))) & set(STEERING) - {"\n"}


@given(st.text("ab 日é", max_size=40), st.integers(2, 20))
def test_text_is_cut_and_folded_by_the_columns_it_takes(said, columns):
    assert cell_len(clipped(said, columns, UNICODE)) <= columns
    lines = folded(said, columns)
    assert all(cell_len(line) <= columns for line in lines)
    assert "".join(lines).replace(" ", "") == said.replace(" ", "")
