"""Every format, whole: golden bytes, the promised shape, and back again through another reader."""

import csv
import io
import json
import math
import os
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from golden.made import STEERING, VALUES, results
from golden.samples import DAU, EMPTY, FUNNEL, HOSTILE, SAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from evlog.errors import EvlogError, UsageError
from evlog.query.result import Column, Result
from evlog.render import FORMATS, write
from evlog.render.csv import disarmed
from evlog.render.json import dumped, spelled
from evlog.render.style import Style

GOLDEN = Path(__file__).parent / "golden"
VARIANTS = {
    "json": ("json", Style()),
    "ndjson": ("ndjson", Style()),
    "csv": ("csv", Style()),
    "md": ("markdown", Style()),
    "txt": ("table", Style()),
    "80.txt": ("table", Style(width=80)),
    "160.txt": ("table", Style(width=160)),
    "40.txt": ("table", Style(width=40)),
    "ascii.txt": ("table", Style(width=80, ascii_only=True)),
    "colour.txt": ("table", Style(width=100, colour=True)),
}


def rendered(result, form, **options):
    to = io.BytesIO()
    write(result, to, form=form, **options)
    return to.getvalue()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", SAMPLES)
def test_golden(name, variant):
    form, style = VARIANTS[variant]
    got = rendered(SAMPLES[name], form, style=style)
    path = GOLDEN / f"{name}.{variant}"
    if os.environ.get("GOLDEN") == "write":  # after a change of looks: look at the difference, then commit it
        path.write_bytes(got)
    assert got == path.read_bytes()


@pytest.mark.parametrize("form", FORMATS)
def test_a_second_render_gives_the_same_bytes(form):
    for result in SAMPLES.values():
        assert rendered(result, form) == rendered(replace(result), form)


def test_an_unknown_format_names_the_known_ones():
    with pytest.raises(UsageError, match="xml") as caught:
        rendered(DAU, "xml")
    assert "ndjson" in (caught.value.hint or "")


def test_json_has_the_promised_shape():
    document = json.loads(rendered(DAU, "json"))
    assert list(document) == [
        "report",
        "params",
        "generated_at",
        "source",
        "events_read",
        "complete",
        "definition",
        "summary",
        "rows",
    ]
    assert document["generated_at"] == "2026-03-31T12:30:00Z"
    assert document["params"]["from"] == "2026-03-22"
    assert document["definition"]["newest_event"] == "2026-03-31T12:29:58.120000Z"
    assert document["rows"][-1] == {"date": "2026-03-31", "dau": 188}
    assert document["complete"] is False
    assert json.loads(rendered(DAU, "json", bare=True)) == {"report": "dau", "rows": document["rows"]}


def test_json_of_no_rows_is_one_line_and_whole():
    text = rendered(EMPTY, "json").decode()
    assert text.endswith('"rows":[]}\n')
    assert json.loads(text)["rows"] == []


def test_json_keeps_full_floats_and_great_integers():
    result = replace(
        EMPTY, columns=(Column("n", "count"), Column("x", "rate")), rows=((2**53 + 1, 1 / 3), (2**80, math.inf))
    )
    rows = json.loads(rendered(result, "json"))["rows"]
    assert rows == [{"n": 2**53 + 1, "x": 1 / 3}, {"n": 2**80, "x": None}]


def test_a_json_column_is_a_value_in_json_and_text_elsewhere():
    rows = [json.loads(line) for line in rendered(HOSTILE, "ndjson").splitlines()]
    assert [row["properties"] for row in rows[:6]] == [{"b": 1, "a": "\x1b[2J"}, [1, 2], None, "text", {}, "{torn"]
    cells = [row["properties"] for row in csv.DictReader(io.StringIO(rendered(HOSTILE, "csv").decode(), newline=""))]
    assert cells[:2] == ['{"b":1,"a":"\\u001b[2J"}', "[1,2]"]


def test_two_columns_of_one_name_are_both_kept():
    result = replace(
        EMPTY, columns=(Column("n", "count"), Column("n", "count"), Column("n_2", "count")), rows=((1, 2, 3),)
    )
    assert json.loads(rendered(result, "ndjson")) == {"n": 1, "n_2": 2, "n_2_2": 3}
    assert rendered(result, "csv") == b"n,n_2,n_2_2\n1,2,3\n"
    assert parquet.read_table(io.BytesIO(rendered(result, "parquet"))).column_names == ["n", "n_2", "n_2_2"]


@given(results())
@settings(max_examples=60)
def test_json_and_ndjson_are_strict_steer_nothing_and_keep_the_text(result):
    strict = {"parse_constant": pytest.fail}
    document = json.loads(rendered(result, "json"), **strict)
    lines = rendered(result, "ndjson").decode().split("\n")[:-1]
    assert [json.loads(line, **strict) for line in lines] == document["rows"]
    assert not set("".join(lines)) & set(STEERING)
    for row, told in zip(result.rows, document["rows"], strict=True):
        assert [v for v, c in zip(told.values(), result.columns, strict=True) if c.kind == "text"] == [
            v for v, c in zip(row, result.columns, strict=True) if c.kind == "text"
        ]


def _as_csv(value):
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return repr(value) if math.isfinite(value) else ""
        case datetime():
            return f"{value.isoformat()}Z"
        case date():
            return value.isoformat()
        case _:
            return str(value)


@given(results(kinds=tuple(kind for kind in VALUES if kind != "list")))
@settings(max_examples=60)
def test_csv_comes_back_through_another_reader(result):
    header, *rows = csv.reader(io.StringIO(rendered(result, "csv", raw_csv=True).decode(), newline=""), strict=True)
    assert header[0] == result.columns[0].name
    assert rows == [[_as_csv(value) for value in row] for row in result.rows]


def test_lists_become_columns_as_many_as_the_longest():
    result = Result(
        "retention",
        (Column("size", "count"), Column("retained", "list")),
        ((9, [9, 4, None]), (2, [2]), (0, None)),
        DAU.as_of,
    )
    assert rendered(result, "csv") == b"size,retained_0,retained_1,retained_2\n9,9,4,\n2,2,,\n0,,,\n"


@pytest.mark.parametrize(
    "text", ["=1+1", "+1 2", "-x", "@SUM", "\t=1", "\r=1", "\n=1", "\uff1d1", "=", "-", "--1", "-1+1", "+1.5e", "-1\n", "'=1", "'-1", "''=1"]
)  # fmt: skip
def test_what_a_spreadsheet_would_run_is_disarmed(text):
    assert disarmed(text) == f"'{text}"
    columns = (Column(text), Column("b"))
    armed = rendered(replace(EMPTY, columns=columns, rows=((text, "b"),)), "csv", raw_csv=True).decode()
    cells = list(
        csv.reader(
            io.StringIO(rendered(replace(EMPTY, columns=columns, rows=((text, "b"),)), "csv").decode(), newline="")
        )
    )
    assert cells == [[f"'{text}", "b"]] * 1 + [[f"'{text}", "b"]]
    assert armed.count("'") == 2 * text.count("'")


@pytest.mark.parametrize("text", ["-1", "+1.5", "-.5", "-1e5", "+4E-3", "1", "a=b", "a-b", "", "'quoted"])
def test_numbers_and_plain_text_are_left_alone(text):
    assert disarmed(text) == text


def test_numbers_below_zero_are_numbers():
    result = replace(EMPTY, columns=(Column("n", "count"), Column("x", "number")), rows=((-5, -0.25),))
    assert rendered(result, "csv") == b"n,x\n-5,-0.25\n"


def test_csv_on_a_terminal_steers_nothing_and_keeps_a_row_on_a_line():
    text = rendered(HOSTILE, "csv", style=Style(width=80)).decode()
    assert not set(text) & set(STEERING) - {"\n"}
    assert len(text.splitlines()) == len(HOSTILE.rows) + 1


def test_markdown_escapes_all_that_markdown_obeys():
    result = replace(
        EMPTY, columns=(Column("a|b"), Column("n", "count")), rows=(("<b>|\n`*x*` [l](u) _e_ page_view &amp;", 1000),)
    )
    assert rendered(result, "markdown").decode() == (
        "| a\\|b | n |\n| --- | ---: |\n| \\<b\\>\\|\\\\n\\`\\*x\\*\\` \\[l\\](u) \\_e\\_ page_view \\&amp; | 1,000 |\n"
    )


@given(results())
@settings(max_examples=60)
def test_markdown_has_a_line_per_row_and_as_many_cells_as_columns(result):
    text = rendered(result, "markdown").decode()
    assert not set(text) & set(STEERING) - {"\n"}
    lines = text.split("\n")[:-1]
    assert len(lines) == len(result.rows) + 2
    assert len({line.replace("\\\\", "").replace("\\|", "").count("|") for line in lines}) == 1


TYPES = {
    "target_id": pa.string(), "users": pa.int64(), "rate": pa.float64(), "last": pa.timestamp("us"),
    "day": pa.date32(), "n": pa.list_(pa.float64()), "ok": pa.bool_(), "properties": pa.string(),
}  # fmt: skip


@pytest.mark.parametrize("rows", [(), ((None,) * 8,)])
def test_parquet_is_typed_even_when_it_is_empty_or_null(rows):
    table = parquet.read_table(io.BytesIO(rendered(replace(EMPTY, rows=rows), "parquet")))
    assert {field.name: field.type for field in table.schema} == TYPES
    assert table.num_rows == len(rows)


@given(results(kinds=("text", "date", "instant", "count", "flag", "list")))
@settings(max_examples=40)
def test_parquet_comes_back_as_it_was(result):
    table = parquet.read_table(io.BytesIO(rendered(result, "parquet")))
    assert [tuple(row.values()) for row in table.to_pylist()] == list(result.rows)


def test_another_engine_reads_the_parquet_and_its_definition(tmp_path):
    path = tmp_path / "funnel.parquet"
    path.write_bytes(rendered(FUNNEL, "parquet"))
    rows = duckdb.execute("SELECT event, users, median_s FROM read_parquet(?) ORDER BY step", [str(path)]).fetchall()
    assert rows == [(row[1], row[2], row[6]) for row in FUNNEL.rows]
    facts = json.loads(parquet.read_schema(path).metadata[b"evlog.result"])
    assert facts["definition"] == FUNNEL.definition
    assert facts["report"] == "funnel"


def test_what_no_column_of_parquet_can_hold_is_told():
    result = replace(EMPTY, columns=(Column("sum", "count"),), rows=((2**80,),))
    with pytest.raises(EvlogError, match="column sum does not fit") as caught:
        rendered(result, "parquet")
    assert "csv" in (caught.value.hint or "")


def test_json_that_goes_the_slow_way_steers_nothing_either():
    result = replace(EMPTY, columns=(Column("n", "count"), Column("value")), rows=((2**80, "\x7f\x9b\ud83d"),))
    line = rendered(result, "ndjson").decode()
    assert not set(line) & set(STEERING) - {"\n"}
    assert json.loads(line) == {"n": 2**80, "value": "\x7f\x9b\ud83d"}


@given(st.text(st.characters(categories=["Cs", "L"]), min_size=1, max_size=5))
@settings(max_examples=30)
def test_half_characters_break_no_format(text):
    result = replace(EMPTY, columns=(Column("value"),), rows=((text,),), params={"file": text}, summary={text: text})
    for form in FORMATS:
        assert rendered(result, form)


KEYS = st.text(max_size=3) | st.integers(-3, 3) | st.dates()
WHOLE = st.recursive(
    st.one_of(*VALUES.values())
    | st.floats()
    | st.integers()
    | st.text(max_size=4)
    | st.dates()
    | st.datetimes()
    | st.booleans()
    | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(WHOLE)
def test_what_is_written_without_orjson_is_what_orjson_writes(value):
    assert spelled(value) == dumped(value)
