"""The dashboard: its sections are the reports' own answers, and what is new is told from the last look on."""

import json
import re
import signal
import sys
from datetime import datetime, timedelta

import logs
import pytest
from questions import ONE_THREAD, scoped
from rich.cells import cell_len

from evlog import reports
from evlog.cli import clock, looks
from evlog.cli.run import run
from evlog.event.plan import Funnel
from evlog.overview import overview
from evlog.query.ask import ask
from evlog.query.scope import Part
from evlog.render.overview import text
from evlog.render.style import Style

ANSI = re.compile("\x1b\\[[0-9;]*m")
LOG = """
2026-03-01 10:00 ann exercise_start target=exercise/1.1
2026-03-01 10:30 ann exercise_complete target=exercise/1.1 duration_ms=1800000
2026-03-02 10:00 ann exercise_start target=exercise/1.2
2026-03-02 11:00 bob exercise_start target=exercise/1.1
2026-03-03 09:00 bob tool_open target=tool/list
2026-03-03 09:05 bob tool_submit target=tool/list items_count=4 duration_ms=300000
2026-03-03 09:06 - page_view target=page/home
2026-03-04 12:00 cal error target=api/save status=500 message=DB_timeout
2026-03-05 10:00 ann exercise_complete target=exercise/1.2
2026-03-05 11:00 ann exercise_start target=exercise/2.1
2026-03-09 23:00 dan exercise_start target=exercise/1.10
2026-03-10 11:40 dan error target=api/save status=503 message=Gone
2026-03-10 11:57 cal page_view target=page/home
"""
NOON = "2026-03-10T12:00:00Z"
PAIRS = [("exercise_start", "exercise_complete", timedelta(hours=24), None, "exercise"),
         ("tool_open", "tool_submit", timedelta(hours=24), None, "tool")]  # fmt: skip
PARTS = (
    Part("one", ("1.1", "1.2", "1.10"), ("1.1", "1.2")),
    Part("two", ("2.1",), ("2.1",), "Part the second"),
    Part("three", ("3.1",), ("3.1",)),
)
STYLES = [
    Style(width=width, colour=colours > 0, colours=colours, ascii_only=ascii_only)
    for width in (20, 40, 79, 80, 120, 160, 200)
    for colours in (0, 16, 256)
    for ascii_only in (False, True)
]


def gathered(tmp_path, log=LOG, /, *, cold=False, parts=PARTS, since=datetime(2026, 3, 9), funnel=None, **options):
    store = logs.store(tmp_path / "store", logs.events(log), cold=cold)
    asked = {"from": "2026-03-01", "to": "2026-03-10", "as_of": NOON, "pairs": PAIRS} | options
    scope, _ = scoped(asked)
    from dataclasses import replace

    scope = replace(scope, parts=parts)
    return store, scope, overview(store, scope, since=since, funnel=funnel, limits=ONE_THREAD)


@pytest.mark.parametrize("cold", [False, True])
def test_the_totals(tmp_path, cold):
    _, _, found = gathered(tmp_path, cold=cold)
    assert found.head.summary == {
        "events": 13, "users": 4, "users_5m": 1, "users_30m": 2, "events_ever": 13, "users_ever": 4,
    }  # fmt: skip


def test_the_totals_tell_the_range_from_all_time(tmp_path):
    _, _, found = gathered(tmp_path, **{"from": "2026-03-04"})
    assert found.head.summary == {
        "events": 6, "users": 3, "users_5m": 1, "users_30m": 2, "events_ever": 13, "users_ever": 4,
    }  # fmt: skip


def test_what_makes_nobody_active_counts_nobody(tmp_path):
    _, _, found = gathered(tmp_path, inactive=["error", "page_view"])
    said = found.head.summary
    assert (said["users"], said["users_5m"], said["users_30m"], said["users_ever"]) == (3, 0, 0, 3)
    assert found["news"].result.summary["users"] == 1


def test_who_starts_any_target_of_a_part_starts_it_and_who_completes_the_required_ones_completes_it(tmp_path):
    _, _, found = gathered(tmp_path)
    result = found["funnel"].result
    assert result.report == "parts"
    assert [(row[1], row[2]) for row in result.rows] == [
        ("one started", 3),  # dan began with one that is not required
        ("one completed", 1),
        ("Part the second started", 1),
        ("Part the second completed", 0),
        ("three started", 0),
        ("three completed", 0),
    ]
    assert [row[3] for row in result.rows] == [1.0, 1 / 3, 1 / 3, 0.0, 0.0, 0.0]


def test_without_parts_a_funnel_of_the_plan_and_without_one_the_pairs(tmp_path):
    steps = ("exercise_start", "exercise_complete")
    _, _, named = gathered(tmp_path / "a", parts=(), funnel=("done", Funnel(steps=steps, window="1h")))
    rows = named["funnel"].result.rows
    assert (named["funnel"].result.report, [row[2] for row in rows]) == ("funnel", [3, 1])
    _, _, pairs = gathered(tmp_path / "b", parts=())
    assert [(row[1], row[2]) for row in pairs["funnel"].result.rows] == [
        ("exercise_start", 3),
        ("exercise_complete", 1),
        ("tool_open", 1),
        ("tool_submit", 1),
    ]


def test_completion_is_the_sum_of_drop_off_over_all_pairs(tmp_path):
    store, scope, found = gathered(tmp_path)
    alone = ask(store, scope, reports.load("dropoff").report, limits=ONE_THREAD)
    started, completed = (sum(row[n] for row in alone.rows) for n in (1, 2))
    assert (started, completed) == (6, 3)
    assert found["completion"].result.summary == {"started": 6, "completed": 3, "completion_rate": 0.5}
    assert found["completion"].result.rows == (("exercise", 5, 2, 0.4), ("tool", 1, 1, 1.0))


@pytest.mark.parametrize("cold", [False, True])
def test_the_sections_are_what_the_reports_answer_alone(tmp_path, cold):
    store, scope, found = gathered(tmp_path, cold=cold)
    for name in ("active", "errors"):
        assert found[name].result == ask(store, scope, reports.load(name).report, limits=ONE_THREAD)
    tools = ask(
        store, scope, reports.load("targets").report,
        event=("tool_submit",), avg=("items_count", "duration_ms"), limits=ONE_THREAD,
    )  # fmt: skip
    assert found["tools"].result.rows == tools.rows
    assert tools.rows[0][:4] == ("tool", "list", 1, 1)
    alone = ask(store, scope, reports.load("dropoff").report, limits=ONE_THREAD)
    kinds = [column.name for column in alone.columns].index("target_type")
    assert found["dropoff"].result.rows == tuple(row for row in alone.rows if row[kinds] == "exercise")


def test_what_is_new(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "RECEIVED", datetime(2026, 3, 10, 11, 59))
    _, _, found = gathered(tmp_path, since=datetime(2026, 3, 5))
    news = found["news"].result
    assert news.summary == {
        "since": datetime(2026, 3, 5), "users": 1, "event_types": 0, "errors": 1, "late": 8, "quarantined": 0,
    }  # fmt: skip
    assert news.rows == (("error", "503 save Gone", 1, datetime(2026, 3, 10, 11, 40)),)


def test_what_is_new_since_an_instant_includes_it(tmp_path):
    _, _, found = gathered(tmp_path, since=datetime(2026, 3, 3, 9, 5))
    assert [row[:3] for row in found["news"].result.rows] == [
        ("event type", "error", 2),
        ("event type", "page_view", 2),
        ("event type", "tool_submit", 1),
        ("error", "500 save DB timeout", 1),
        ("error", "503 save Gone", 1),
    ]
    assert found["news"].result.summary["late"] == 0  # nothing is known to have come in by now


def test_new_errors_say_what_the_report_of_errors_says(tmp_path):
    log = """
    2026-03-09 10:00 ann error target=api/save code=504
    2026-03-09 10:01 ann error target=api/save code=E42
    2026-03-09 10:01 ann error target=api/save status=500 code=7
    2026-03-09 10:02 ann page_view target=api/save code=504 message=fine
    """
    _, _, found = gathered(tmp_path, log)
    assert [row[1] for row in found["news"].result.rows if row[0] == "error"] == [
        "500 save",
        "504 save",
        "save E42",
    ]
    assert sorted((row[1], row[2]) for row in found["errors"].result.rows if row[2] is None) == [
        (500, None),
        (504, None),
    ]


def test_a_target_that_is_named_twice_counts_once(tmp_path):
    twice = (Part("one", ("1.1", "1.1", "1.2"), ("1.1", "1.2", "1.2")),)
    _, _, found = gathered(tmp_path, parts=twice)
    assert [(row[1], row[2]) for row in found["funnel"].result.rows] == [("one started", 2), ("one completed", 1)]


def test_what_is_not_there_says_how_to_get_it(tmp_path):
    log = "2026-03-02 10:00 ann page_view"
    _, _, found = gathered(tmp_path, log, parts=(), pairs=[])
    assert {section.name: section.result is None for section in found.sections} == {
        "active": False, "completion": True, "dropoff": True, "funnel": True, "tools": True, "errors": True,
        "news": False,
    }  # fmt: skip
    assert "[pairs.NAME]" in found["completion"].absent
    assert "[parts.NAME]" in found["funnel"].absent
    printed = text(found, Style(width=80))
    assert "COMPLETION  no pairs of start and completion: name them in the plan" in printed
    assert "ERRORS  no errors\n" in printed


def test_an_empty_store_has_a_dashboard(tmp_path):
    _, _, found = gathered(tmp_path, "")
    assert set(found.head.summary.values()) == {0}
    assert "0 events   0 users" in text(found, Style(width=80))


def test_small_groups_are_withheld(tmp_path):
    _, _, found = gathered(tmp_path, min_users=2)
    assert [row[1] for row in found["funnel"].result.rows] == ["one started"]
    assert found["errors"].result is None
    assert not [row for row in found["news"].result.rows if row[0] == "error"]
    _, _, found = gathered(tmp_path / "few", min_users=50)
    absent = {section.name: section.absent for section in found.sections if section.result is None}
    assert set(absent) == {"completion", "dropoff", "funnel", "tools", "errors"}
    assert all("withheld: fewer than 50 users" in said for said in absent.values()), absent


def test_a_hint_is_never_cut(tmp_path):
    _, _, found = gathered(tmp_path, "2026-03-02 10:00 ann page_view", parts=(), pairs=[])
    for width in (40, 80, 160):
        printed = " ".join(text(found, Style(width=width)).split())
        assert found["completion"].absent in printed
        assert found["funnel"].absent in printed


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return gathered(tmp_path_factory.mktemp("whole"))[2]


@pytest.mark.parametrize("style", STYLES, ids=repr)
def test_it_fits(whole, style):
    printed = text(whole, style)
    bare = ANSI.sub("", printed)
    assert max(map(cell_len, bare.split("\n"))) <= style.width
    assert (bare == printed) == (not style.colour)
    assert bare.isascii() or not style.ascii_only
    for title in ("ACTIVE USERS", "COMPLETION", "FUNNEL", "DROP-OFF", "TOOLS", "ERRORS", "NEW"):
        assert title in bare


def test_one_screen_at_80_and_two_columns_at_160(tmp_path):
    _, _, found = gathered(tmp_path)
    narrow, wide = (text(found, Style(width=width)).split("\n") for width in (80, 160))
    assert len(narrow) <= 50
    assert len(wide) <= 32
    assert next(line for line in wide if line.startswith("ACTIVE USERS")).rstrip().find("DROP-OFF") == 82


def test_targets_stand_in_the_order_of_their_names_and_the_worst_are_marked(tmp_path):
    _, _, found = gathered(tmp_path)
    lines = text(found, Style(width=80)).split("\n")
    at = next(n for n, line in enumerate(lines) if line.startswith("DROP-OFF  exercise"))
    assert lines[at + 1].split() == ["1.1", "50.0%▓⚠", "1.2", "0.0%", "1.10", "100.0%█⚠", "2.1", "100.0%█⚠"]


@pytest.fixture
def evlog(monkeypatch, capfdbinary, tmp_path):
    """Run evlog on words in a folder with a store of its own; its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 3, 10, 12))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("EVLOG_DATA", "EVLOG_AS_OF", "EVLOG_PLAN", "EVLOG_DAYS", "EVLOG_TZ", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    before = signal.getsignal(signal.SIGTERM)
    logs.store(tmp_path / "evlog-data", logs.events(LOG))

    def call(*words):
        code = run(words)
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    yield call
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr("evlog.cli.output.Output.style", lambda _self, _stream, **_drawn: Style(width=80))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)


@pytest.mark.long
def test_machines_get_one_document_and_the_same_bytes(evlog, tmp_path):
    code, out, _ = evlog("overview", "--format", "json")
    document = json.loads(out)
    assert code == 0
    assert document["report"] == "overview"
    assert [row["section"] for row in document["rows"]] == [
        "active", "completion", "dropoff", "funnel", "tools", "errors", "news",
    ]  # fmt: skip
    assert document["rows"][0]["rows"][-1] | {"stickiness": 0} == {
        "date": "2026-03-10", "dau": 2, "wau": 3, "mau": 4, "stickiness": 0,
    }  # fmt: skip
    assert document["rows"][6]["summary"]["since"] == "2026-03-09T12:00:00Z"
    assert document["summary"]["events"] == 13
    assert evlog("overview", "--format", "json")[1] == out
    for form in ("ndjson", "csv", "markdown"):
        assert evlog("overview", "--format", form)[0] == 0
    assert not (tmp_path / "state").exists()


@pytest.mark.long
def test_rollups_change_nothing_of_it(evlog):
    before = evlog("overview", "--format", "json")
    assert before[0] == 0
    assert evlog("rollup", "--quiet")[0] == 0
    assert evlog("overview", "--format", "json") == before


@pytest.mark.long
def test_only_a_look_at_a_terminal_is_remembered(evlog, tmp_path, terminal):
    assert "NEW  since 2026-03-09 12:00\n" in evlog("overview")[1]
    (mark,) = (tmp_path / "state" / "evlog" / "looks").iterdir()
    assert datetime.fromisoformat(mark.read_text().strip()) == datetime(2026, 3, 10, 12, 0, 0, 1)
    assert mark.stat().st_mode & 0o777 == 0o600
    mark.write_text("2026-03-10T11:50:00\n")
    assert evlog("overview", "--output", "-", "--quiet")[1].count("NEW  since 2026-03-10 11:50\n") == 1
    mark.write_text("2026-03-04T00:00:00\n")
    before = mark.read_text()
    assert evlog("overview", "--format", "json")[0] == 0
    assert evlog("overview", "--output", "page.txt")[0] == 0
    assert mark.read_text() == before


@pytest.mark.long
def test_since_says_what_is_new(evlog, tmp_path):
    assert "NEW  since 2026-03-04 00:00\n" in evlog("overview", "--since", "2026-03-04")[1]
    assert "NEW  since 2026-03-04 10:30\n" in evlog("overview", "--since", "2026-03-04T10:30:00Z")[1]
    assert "NEW  since 2026-03-03 23:00\n" in evlog("overview", "--since", "2026-03-04", "--tz", "Europe/Berlin")[1]
    looks.keep(
        tmp_path / "state" / "evlog" / "looks",
        json.loads((tmp_path / "evlog-data" / "evlog.json").read_text())["store"],
        datetime(2026, 3, 2),
    )
    assert "NEW  since 2026-03-02 00:00\n" in evlog("overview", "--since", "last")[1]
    assert "NEW  since 2026-03-09 12:00\n" in evlog("overview")[1]  # nobody looks at a pipe
    code, _, err = evlog("overview", "--since", "11:99")
    assert (code, err.startswith("evlog: --since: '11:99' is no instant")) == (2, True)


def test_a_mark_that_cannot_be_read_or_kept_is_no_mark(tmp_path):
    assert looks.last(tmp_path / "none", "s") is None
    (tmp_path / "s").write_text("gibberish")
    assert looks.last(tmp_path, "s") is None
    (tmp_path / "file").write_text("")
    looks.keep(tmp_path / "file", "s", datetime(2026, 3, 1))
    looks.keep(tmp_path / "new", "s", datetime(2026, 3, 1))
    assert looks.last(tmp_path / "new", "s") == datetime(2026, 3, 1)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["s"]
    assert looks.folder({"XDG_STATE_HOME": "/x"}).as_posix() == "/x/evlog/looks"
    assert looks.folder({"XDG_STATE_HOME": "here", "HOME": "/h"}).as_posix() == "/h/.local/state/evlog/looks"


def test_a_dashboard_is_not_broken_down(evlog):
    assert evlog("overview", "--by", "feature")[0] == 2


def test_plot_draws_a_report_and_nothing_else(evlog):
    code, out, _ = evlog("report", "dau", "--days", "10", "--plot")
    assert code == 0
    assert out.startswith("● dau 2\n")
    assert max(map(cell_len, out.split("\n"))) <= 80
    assert evlog("report", "dau", "--plot", "--output", "chart.txt")[0] == 0
    code, _, err = evlog("report", "dau", "--plot", "--format", "csv")
    assert (code, "--plot" in err, "--format csv" in err) == (2, True, True)
    assert evlog("status", "--plot")[0] == 2


def test_a_plain_locale_gets_plain_pictures(monkeypatch):
    from evlog.cli.output import _colours, _plain_locale

    monkeypatch.setattr(sys, "flags", type("Flags", (), {"utf8_mode": 1})())
    assert [_plain_locale(env) for env in ({}, {"LANG": "C"}, {"LC_ALL": "POSIX"}, {"LC_ALL": "C.UTF-8", "LANG": "C"})] == [
        False, True, True, False,
    ]  # fmt: skip
    assert [_colours(env) for env in ({}, {"TERM": "xterm"}, {"TERM": "xterm-256color"}, {"COLORTERM": "truecolor"})] == [
        16, 16, 256, 256,
    ]  # fmt: skip
