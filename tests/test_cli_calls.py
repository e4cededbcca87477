"""The command line as a whole: options before and after, help, pipes, signals, files."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import storekit as kit

from evlog.cli.app import loaded, root
from evlog.cli.run import run
from evlog.cli.table import COMMANDS
from evlog.store import layout

EVENT = '{"event_id":"%s","event_type":"open","ts":"2026-03-0%dT10:00:00Z","user_id":"%s","properties":{"n":%d}}\n'
LINES = "".join(EVENT % (f"e{n}", n, f"u{n % 2}", n) for n in range(1, 6))


@pytest.fixture
def evlog(monkeypatch, capfdbinary, tmp_path):
    """Run evlog on words in a folder of its own; its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    for name in [name for name in os.environ if name.startswith("EVLOG_")]:
        monkeypatch.delenv(name)
    before = signal.getsignal(signal.SIGTERM)

    def call(*words: str) -> tuple[int, str, str]:
        code = run(words)
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    yield call
    signal.signal(signal.SIGTERM, before)


def process(*words: str, **more: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "evlog", *words], stderr=subprocess.PIPE, **more)


def values(out: str) -> dict[str, tuple[str, str]]:
    return {row["setting"]: (row["value"], row["origin"]) for row in json.loads(out)["rows"]}


def test_the_options_of_every_command_stand_before_it_or_after_it(evlog):
    before = evlog("--data", "x", "--quiet", "config", "--format", "json")
    after = evlog("config", "--format", "json", "--quiet", "--data", "x")
    assert before[0] == after[0] == 0
    assert values(before[1])["data"] == values(after[1])["data"] == ("x", "flag --data")


def test_a_switch_before_the_command_is_not_unsaid_by_its_absence_after_it(evlog):
    evlog("init")
    said = evlog("--no-color", "report", "dau", "--days", "1", "--format", "csv")
    assert said[2] == "the store holds no event yet: evlog ingest FILE\n"
    assert evlog("--quiet", "report", "dau", "--days", "1", "--format", "csv") == (0, said[1], "")
    assert evlog("report", "--quiet", "dau", "--days", "1", "--format", "csv") == (0, said[1], "")
    assert "Traceback" in evlog("--debug", "report", "nothing")[2]


def test_an_empty_value_is_not_taken_for_none(evlog):
    assert evlog("config", "--data", "") == (2, "", 'evlog: --data: expected a folder, got ""\n')


def test_an_option_said_twice_counts_as_said_last(evlog):
    assert values(evlog("--data", "x", "config", "--format", "json", "--data", "y")[1])["data"] == ("y", "flag --data")


def test_options_stand_between_a_group_and_its_command_too(evlog, tmp_path):
    (tmp_path / "p.toml").write_text("")
    assert evlog("plan", "--quiet", "show", "--plan", "p.toml", "--format", "csv") == evlog(
        "--quiet", "plan", "show", "--plan", "p.toml", "--format", "csv"
    )


def test_config_shows_where_a_setting_came_from(evlog, monkeypatch, tmp_path):
    (tmp_path / "evlog.toml").write_text('[report]\ndays = 7\ntz = "UTC"\n')
    monkeypatch.setenv("EVLOG_TZ", "Asia/Tokyo")
    found = values(evlog("config", "--week-start", "sunday", "--format", "json")[1])
    assert found["days"] == ("7", f"file {tmp_path / 'evlog.toml'}: [report] days")
    assert found["tz"] == ("Asia/Tokyo", "environment EVLOG_TZ")
    assert found["week_start"] == ("sunday", "flag --week-start")
    assert found["retention"] == ("90d", "default")


@pytest.mark.parametrize("form", ["table", "json", "ndjson", "csv", "markdown"])
def test_config_speaks_every_format(evlog, form):
    code, out, err = evlog("config", "--format", form)
    assert (code, err) == (0, "")
    assert "evlog-data" in out


def test_output_goes_to_a_file_and_not_to_stdout(evlog, tmp_path):
    assert evlog("config", "--format", "csv", "--output", "out.csv") == (0, "", "")
    assert (tmp_path / "out.csv").read_text().startswith("setting,value,origin\ndata,evlog-data,default\n")
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_a_dash_for_a_file_is_stdout(evlog, tmp_path):
    assert evlog("config", "--output", "-") == evlog("config")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_whole_is_left_as_it_was(evlog, tmp_path, monkeypatch):
    (tmp_path / "out.csv").write_text("before")

    def breaks(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("evlog.render.write", breaks)
    code, out, err = evlog("config", "--format", "csv", "--output", "out.csv")
    assert (code, out) == (1, "")
    assert "No space left on device" in err
    assert (tmp_path / "out.csv").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_evlog_alone_prints_its_help(evlog):
    code, out, err = evlog()
    assert (code, err) == (0, "")
    assert out == evlog("--help")[1]
    assert [name for name in COMMANDS if f"\n  {name} " not in out] == []


@pytest.mark.parametrize("words", [["--version"], ["--data", "x", "--version"]])
def test_the_version(words):
    done = subprocess.run([sys.executable, "-m", "evlog", *words], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"evlog \d+\.\d+\.\d+\n", done.stdout)


def leaves(table=COMMANDS, path=()):
    """Every command whose module has landed, as words."""
    for name, entry in table.items():
        if entry.inner:
            yield from leaves(entry.inner, (*path, name))
        elif not entry.makes:
            yield (*path, name)


@pytest.mark.parametrize("words", [*leaves(), ("funnel",), ("dropoff",), ("report", "dau")], ids=" ".join)
def test_every_command_has_an_example_that_names_it_and_its_exit_codes(evlog, words):
    code, out, err = evlog(*words, "--help")
    assert (code, err) == (0, "")
    assert f"Usage: evlog {' '.join(words)}" in out
    example = out[out.index("\nExample:\n") : out.index("\nExit codes:\n")]
    assert f"  evlog {' '.join(words)}" in example
    assert "  0    done\n" in out
    assert "--data DIR" in out


def test_every_entry_of_the_table_can_be_loaded():
    assert [loaded(name, entry).name for name, entry in COMMANDS.items()] == list(COMMANDS)
    assert root().list_commands(None) == list(COMMANDS)


def test_a_closed_pipe_ends_quietly():
    ours, theirs = os.pipe()
    os.close(ours)
    running = process("config", stdout=theirs)
    os.close(theirs)
    assert running.communicate()[1] == b""
    assert running.returncode == 0


def test_a_full_disk_under_stdout_is_told_in_one_line():
    with Path("/dev/full").open("wb") as full:
        running = process("config", stdout=full)
        assert running.communicate()[1] == b"evlog: No space left on device\n"
    assert running.returncode == 1


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_summary_that_cannot_be_printed_is_not_an_ingest_that_failed(form, tmp_path):
    (tmp_path / "log").write_text(LINES)
    with Path("/dev/full").open("wb") as full:
        running = process("ingest", "--data", "s", "log", "--quiet", "--format", form, stdout=full, cwd=tmp_path)
        told = b"evlog: what was read is stored, but the summary could not be printed: No space left on device\n"
        assert running.communicate()[1] == told
    assert running.returncode == 1
    assert len(kit.ids(layout.open_store(tmp_path / "s"))) == len(LINES.splitlines())
    with Path("/dev/full").open("wb") as full:
        running = process("ingest", "--data", "t", "log", "--quiet", "--dry-run", stdout=full, cwd=tmp_path)
        assert running.communicate()[1] == b"evlog: No space left on device\n"


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_says_what_is_kept(number, tmp_path):
    heard = {"preexec_fn": lambda: signal.signal(number, signal.SIG_DFL)}  # what runs us may ignore it: a shell's `&`
    running = process("ingest", "--data", "s", "--flush-interval", "0s", stdin=subprocess.PIPE, cwd=tmp_path, **heard)
    running.stdin.write(LINES.encode())
    running.stdin.flush()
    while not list(tmp_path.glob("s/events/*/*.ndjson")):
        assert running.poll() is None
    running.send_signal(number)
    said = running.stderr.read().decode()
    assert running.wait() == 130
    assert "5 events are stored" in said


def test_init_begins_and_overwrites_nothing(evlog, tmp_path):
    code, out, err = evlog("init", "home")
    assert (code, out) == (0, "made home/evlog.toml\nmade home/plan.toml\nmade home/evlog-data\n")
    assert err == "next: cd home && evlog ingest < events.ndjson\n"
    before = (tmp_path / "home" / "evlog.toml").read_text()
    code, out, err = evlog("init", "home")
    assert (code, out) == (1, "")
    assert err.startswith("evlog: home/evlog.toml is there already; nothing was written\n")
    assert (tmp_path / "home" / "evlog.toml").read_text() == before


@pytest.mark.parametrize("name", ["evlog.toml", "plan.toml"])
def test_init_looks_at_every_file_before_it_writes_one(evlog, tmp_path, name):
    (tmp_path / name).symlink_to("nowhere")
    code, _, err = evlog("init")
    assert (code, f"{name} is there already; nothing was written" in err) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_init_writes_nothing_beside_what_can_be_no_store(evlog, tmp_path):
    (tmp_path / "evlog-data").write_text("")
    assert evlog("init")[0] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["evlog-data"]


def test_the_settings_file_of_init_says_the_defaults(evlog, tmp_path, monkeypatch):
    plain = values(evlog("config", "--format", "json")[1])
    evlog("init")
    text = (tmp_path / "evlog.toml").read_text()
    (tmp_path / "evlog.toml").write_text(re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE))
    found = values(evlog("config", "--format", "json")[1])
    assert {name for name, (_, origin) in found.items() if not origin.startswith("file ")} == set()
    assert {name: value for name, (value, _) in found.items() if name not in {"data", "plan"}} == {
        name: value for name, (value, _) in plain.items() if name not in {"data", "plan"}
    }


def test_ingest_makes_the_store_and_says_so_once(evlog, tmp_path):
    (tmp_path / "e.ndjson").write_text(LINES + "torn\n")
    code, out, err = evlog("ingest", "e.ndjson", "--format", "json")
    assert code == 3
    assert (json.loads(out)["stored"], json.loads(out)["rejected"]) == (5, 1)
    assert err == "made an event store at evlog-data\nlook at what was refused, and why: evlog rejects list\n"
    code, out, err = evlog("ingest", "e.ndjson", "--format", "json", "--max-rejects", "1")
    assert code == 0
    assert (json.loads(out)["stored"], json.loads(out)["duplicates"]) == (0, 5)
    assert "made" not in err


def test_more_rejects_than_tolerated_publish_nothing(evlog, tmp_path):
    (tmp_path / "e.ndjson").write_text(LINES + "torn\n")
    code, out, err = evlog("ingest", "e.ndjson", "--max-rejects", "10%")
    assert (code, out) == (1, "")
    assert "1 of 6 events were refused" in err
    assert not list(tmp_path.glob("evlog-data/events/*"))


def test_a_dry_run_leaves_nothing_behind(evlog, tmp_path):
    (tmp_path / "e.ndjson").write_text(LINES)
    code, out, err = evlog("ingest", "--dry-run", "e.ndjson", "--format", "json")
    assert (code, json.loads(out)["stored"]) == (0, 5)
    assert err == "dry run: nothing was stored\n"
    assert [path.name for path in tmp_path.iterdir()] == ["e.ndjson"]


def test_a_field_from_anywhere(evlog, tmp_path):
    (tmp_path / "e.ndjson").write_text('{"what":{"name":"open"},"ts":"2026-03-01T10:00:00Z","actor":{"id":"u"}}\n')
    assert evlog("ingest", "e.ndjson", "--map", "event_type=what.name", "--map", "user_id=actor.id")[0] == 0
    [line] = [p.read_text() for p in tmp_path.glob("evlog-data/events/*/*.ndjson")]
    assert json.loads(line)["event_type"] == "open"
    assert json.loads(line)["user_id"] == "u"


def test_plan_check_counts_what_would_be_refused_and_stores_nothing(evlog, tmp_path):
    (tmp_path / "p.toml").write_text('[events.open.properties.n]\ntype = "integer"\nmax = 3\n')
    (tmp_path / "e.ndjson").write_text(LINES)
    code, out, _ = evlog("plan", "check", "e.ndjson", "--plan", "p.toml", "--format", "json")
    found = json.loads(out)
    assert (code, found["summary"]) == (1, {"events": 5, "rejected": 2})
    assert found["rows"] == [
        {
            "reason": "bad_property",
            "field": "properties.n",
            "expected": "an integer <= 3",
            "got": "4",
            "lines": 2,
            "first": "e.ndjson:4",
        }
    ]
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_a_plan_is_inferred_then_added_to_and_shown(evlog, tmp_path):
    (tmp_path / "e.ndjson").write_text(LINES)
    assert evlog("plan", "infer", "e.ndjson", "--output", "plan.toml") == (0, "", "")
    assert evlog("plan", "add", "close", "--property", "why:string!", "--plan", "plan.toml")[0] == 0
    code, out, _ = evlog("plan", "show", "--plan", "plan.toml", "--format", "json")
    rows = {row["event_type"]: row["properties"] for row in json.loads(out)["rows"]}
    assert (code, rows) == (0, {"close": "why: string", "open": "n?: integer"})
    assert evlog("plan", "check", "plan.toml")[0] == 0


def test_completion_offers_commands_without_asking_for_a_store():
    env = {**os.environ, "_EVLOG_COMPLETE": "complete_bash", "COMP_WORDS": "evlog co", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-m", "evlog"], capture_output=True, text=True, check=False, env=env)
    assert done.stdout.split() == ["compact", "config"]
