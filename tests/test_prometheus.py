"""The text format of Prometheus, read by a parser of its own: names, types, labels, values, whole files."""

from __future__ import annotations

import re
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from checkup import changed, days, desk
from hypothesis import given, settings
from hypothesis import strategies as st

from evlog.render.prometheus import Family, Sample, text
from evlog.store import layout, runs

__all__ = ["desk"]
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
UNESCAPED = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def plain(value: str) -> str:
    return re.sub(r'\\[\\"n]', lambda found: UNESCAPED[found[0]], value)


def labels(inner: str | None) -> tuple[tuple[str, str], ...]:
    found, place = [], 0
    while inner and place < len(inner):
        match = LABEL.match(inner, place)
        assert match, inner
        found.append((match[1], plain(match[2])))
        place = match.end()
    return tuple(found)


def parsed(raw: str) -> tuple[dict[str, str], dict[str, str], Samples]:
    """Types, helps and samples by name; asserts what format 0.0.4 asks for."""
    assert raw == "" or raw.endswith("\n")
    types: dict[str, str] = {}
    helps: dict[str, str] = {}
    samples: Samples = {}
    current = ""
    for line in raw.split("\n")[:-1]:
        if line.startswith("# HELP "):
            _, _, current, says = line.split(" ", 3)
            assert current not in helps, "a family stands in one place"
            helps[current] = says.replace("\\n", "\n").replace("\\\\", "\\")
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current
            assert kind in {"gauge", "counter"}
            types[name] = kind
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            assert match[1] == current
            assert match[1] in types
            key = (match[1], labels(match[2]))
            assert key not in samples, "no sample twice"
            samples[key] = float(match[3])
    return types, helps, samples


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")),
                          st.one_of(st.none(), st.integers(), st.floats(allow_nan=False))), unique_by=lambda one: one[0]))  # fmt: skip
def test_any_label_value_comes_back_as_it_was(told):
    family = Family("a", 'says "so"', tuple(Sample(value, {"x": label, "y": "1"}) for label, value in told))
    _, helps, samples = parsed(text([family]).decode())
    expected = {("a", (("x", label), ("y", "1"))): float(value) for label, value in told if value is not None}
    assert samples == expected
    assert helps == ({"a": 'says "so"'} if expected else {})


def test_the_help_is_one_line():
    assert text([Family("a", "one\ntwo \\", (Sample(1),))]) == b"# HELP a one\\ntwo \\\\\n# TYPE a gauge\na 1\n"


@pytest.mark.parametrize(
    ("value", "spelled"),
    [(float("inf"), "+Inf"), (float("-inf"), "-Inf"), (float("nan"), "NaN"), (True, "1"), (0.1, "0.1")],
)
def test_numbers_are_spelled_as_go_reads_them(value, spelled):
    assert text([Family("a", "h", (Sample(value),))]).decode().splitlines()[-1] == f"a {spelled}"


def seconds(moment: datetime) -> float:
    return moment.replace(tzinfo=UTC).timestamp()


def test_the_state_of_a_store(desk):
    desk.ingest(*days(1, 9), "nonsense", "more", at=datetime(2026, 3, 9, 12))
    desk.ingest(*changed(days(1, 1, 2), lambda day, n: True, user_id="undefined"))
    runs.append(layout.open_store(Path("evlog-data")), "rollup", {"at": datetime(2026, 3, 9, 3, 15), "seconds": 7.5})
    code, out, err = desk.evlog("status", "--format", "prometheus", "--as-of", "2026-03-10")
    assert (code, err) == (0, "")
    types, _, samples = parsed(out)
    assert samples["evlog_events", ()] == 90
    assert samples["evlog_bytes", ()] == sum(
        path.stat().st_size for path in Path("evlog-data/events").rglob("*.ndjson")
    )
    assert samples["evlog_newest_event_timestamp_seconds", ()] == seconds(datetime(2026, 3, 9, 10, 0, 9))
    assert samples["evlog_rollup_last_success_timestamp_seconds", ()] == seconds(datetime(2026, 3, 9, 3, 15))
    assert samples["evlog_rollup_last_duration_seconds", ()] == 7.5
    assert samples["evlog_ingest_last_success_timestamp_seconds", ()] == seconds(datetime(2026, 3, 9, 12))
    assert samples["evlog_rejects", (("code", "bad_json"),)] == 2
    assert samples["evlog_rejects", (("code", "placeholder_user"),)] == 2
    assert samples["evlog_quarantined", ()] == 4
    assert samples["evlog_ingest_lines_total", (("what", "read"),)] == 94
    assert samples["evlog_ingest_lines_total", (("what", "stored"),)] == 90
    assert types["evlog_ingest_lines_total"] == "counter"
    assert types["evlog_events"] == "gauge"


def test_an_empty_store(desk):
    desk.evlog("init")
    _, _, samples = parsed(desk.evlog("status", "--format", "prometheus")[1])
    assert samples["evlog_events", ()] == 0
    assert not [name for name, _ in samples if name.endswith("timestamp_seconds")]


def test_checks_as_numbers(desk):
    desk.ingest(*changed(days(1, 10), lambda day, n: day > 5 and n == 0, user_id=None))
    code, out, err = desk.evlog("check", "--format", "prometheus", "--as-of", "2026-03-10", "--expect", "dau>=1")
    assert code == 1
    assert "nulls.user_id failed since 2026-03-06" in err
    _, _, samples = parsed(out)
    nulls = (("check", "nulls.user_id"), ("dimension", "completeness"))
    assert samples["evlog_check_ok", nulls] == 0
    assert samples["evlog_check_value", nulls] == 0.1
    assert samples["evlog_check_threshold", nulls] == 0.05
    assert samples["evlog_check_failing_since_timestamp_seconds", nulls] == seconds(datetime(2026, 3, 6))
    assert samples["evlog_check_ok", (("check", "expect dau>=1"), ("dimension", "expectation"))] == 1
    assert samples["evlog_checks_failed", ()] == 1
    assert ("evlog_check_ok", (("check", "lag"), ("dimension", "timeliness"))) not in samples  # nothing to judge


@pytest.mark.parametrize("command", ["status", "check"])
def test_a_file_for_the_exporter_is_whole_and_everybody_may_read_it(desk, command):
    desk.ingest(*days(1, 10))
    words = (command, "--format", "prometheus", "--as-of", "2026-03-10")
    shown = desk.evlog(*words)[1]
    assert desk.evlog(*words, "--output", "m.prom") == (0, "", "")
    path = Path("m.prom")
    assert path.read_text() == shown
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    path.chmod(0o640)
    desk.evlog(*words, "--output", "m.prom")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    before = path.stat().st_ino
    desk.evlog(*words, "--output", "m.prom")
    assert path.stat().st_ino != before  # another file took its name: nobody reads half of one
    assert [one for one in Path().iterdir() if one.name.startswith(".")] == []


def test_other_commands_do_not_speak_it(desk):
    code, out, err = desk.evlog("config", "--format", "prometheus")
    assert (code, out) == (2, "")
    assert "'parquet'" in err
    assert "prometheus" in desk.evlog("status", "--help")[1]
    assert "prometheus" not in desk.evlog("config", "--help")[1]
