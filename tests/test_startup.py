"""Start-up is held by counting modules, since the clock of a shared machine lies."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "duckdb",
    "pyarrow",
    "rich",
    "numpy",
    "pydantic",
    "importlib.metadata",
    "msgspec",
    "orjson",
    "xxhash",
    "dateutil",
}
AFTER = """
import os
import sys
from evlog.cli.main import main
os._exit = sys.exit
sys.argv = ["evlog", *{argv!r}]
try:
    main()
except SystemExit:
    pass
sys.stdout.flush()
sys.stderr.write("MODULES " + " ".join(sys.modules))
"""


def modules_after(argv: list[str], **more: object) -> set[str]:
    """The modules that were imported when evlog was done with `argv`."""
    code = AFTER.format(argv=argv)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, **more)
    return set(done.stderr.rpartition("MODULES ")[2].split())


@pytest.mark.parametrize(
    "argv", [["--version"], ["--help"], ["report", "--help"], ["report"], ["nonsense"], ["plan", "--help"]]
)
def test_a_command_imports_no_more_than_it_needs(argv):
    assert not HEAVY & modules_after(argv)


def test_the_version_needs_nothing_of_ours_but_the_entry_point():
    found = modules_after(["--version"])
    assert "typer" not in found
    assert {name for name in found if name.startswith("evlog")} == {"evlog", "evlog.cli", "evlog.cli.main"}


def test_help_loads_no_command():
    assert not {name for name in modules_after(["--help"]) if name.startswith("evlog.cli.commands.")}


def test_a_command_loads_no_other_command():
    found = modules_after(["config"])
    assert {name for name in found if name.startswith("evlog.cli.commands.")} == {"evlog.cli.commands.config"}
    found = modules_after(["report", "dau", "--help"])
    assert {name for name in found if name.startswith(("evlog.cli.commands.", "evlog.reports."))} == {
        "evlog.reports.dau"
    }


EVENT = '{"event_id":"e%d","event_type":"open","ts":"2026-03-0%dT10:00:00Z","user_id":"u"}\n'


@pytest.mark.long
@pytest.mark.parametrize("compacted", [False, True])
def test_a_report_imports_neither_pyarrow_nor_numpy(tmp_path, compacted):
    events = "".join(EVENT % (n, n) for n in range(1, 5))
    modules_after(["ingest", "--data", "s"], cwd=tmp_path, input=events)
    if compacted:
        modules_after(["compact", "--data", "s"], cwd=tmp_path)
    found = modules_after(["report", "dau", "--data", "s", "--as-of", "latest"], cwd=tmp_path)
    assert "duckdb" in found
    assert not {"pyarrow", "numpy", "pydantic", "msgspec", "dateutil"} & found


@pytest.mark.long
@pytest.mark.parametrize("format_", ["ndjson", "csv", "json"])
def test_what_is_handed_out_as_text_needs_neither(tmp_path, format_):
    modules_after(["ingest", "--data", "s"], cwd=tmp_path, input="".join(EVENT % (n, n) for n in range(1, 5)))
    modules_after(["compact", "--data", "s"], cwd=tmp_path)
    found = modules_after(["user", "export", "u", "--data", "s", "--format", format_], cwd=tmp_path)
    assert "duckdb" in found
    assert not {"pyarrow", "numpy"} & found


ENGINES = {"duckdb", "pyarrow", "numpy", "msgspec", "pydantic", "dateutil", "importlib.metadata"}
PARSERS = {"typer", "rich"}
COSTLY = {
    "dataclasses",  # and inspect, which it imports: 7 ms; ours are made by evlog.frozen
    "inspect",
    "orjson",  # it imports dataclasses, uuid and platform: 10 ms
    "uuid",
    "platform",
    "_hashlib",  # OpenSSL: 3 ms
    "shutil",  # with every way of compressing: 2 ms
    "decimal",
    "base64",
    "tempfile",
    "zoneinfo",
    "evlog.query.where",
    "evlog.render.escape",
    "evlog.store.tombstones",
}
"""What a series of all events needs nothing of where rollups answer it as JSON."""

SERIES = (["dau"], ["wau"], ["mau"], ["active"])
TABLES = (["events"], ["usage"], ["targets"], ["errors"])
"""Reports that rollups answer: of any range, and of one that is a kept period."""


@pytest.fixture(scope="module")
def rolled(tmp_path_factory):
    """Four days in Parquet, counted when they were over."""
    folder = tmp_path_factory.mktemp("rolled")
    modules_after(["ingest", "--data", "s"], cwd=folder, input="".join(EVENT % (n, n) for n in range(1, 5)))
    modules_after(["compact", "--data", "s"], cwd=folder)
    modules_after(["rollup", "--data", "s", "--as-of", "2026-03-09"], cwd=folder)
    return folder


def modules_of(folder, said, *more):
    asked = ["report", *said, "--data", "s", "--as-of", "2026-03-04", *more, "--output", "out.json"]
    found = modules_after(asked, cwd=folder)
    return found, (folder / "out.json").read_text()


def test_a_report_from_rollups_opens_no_engine_and_needs_no_typer(rolled):
    found, told = modules_of(rolled, ["dau"], "--days", "7", "--format", "json")
    assert '"source":"rollups"' in told
    assert not (ENGINES | PARSERS) & found
    found, told = modules_of(rolled, ["dau"], "--days", "7", "--where", "event_type = open", "--format", "json")
    assert '"source":"events"' in told
    assert "duckdb" in found


@pytest.mark.parametrize("said", [["report", "dau", "--data", "s"], ["--data", "s", "report", "dau"]])
def test_and_little_of_the_standard_library(rolled, said):
    asked = [*said, "--as-of", "2026-03-04", "--days", "7", "--format", "json"]
    assert not (COSTLY | ENGINES | PARSERS) & modules_after(asked, cwd=rolled)


@pytest.mark.long
@pytest.mark.parametrize("format_", ["table", "csv", "ndjson", "markdown"])
def test_whichever_way_it_is_printed(rolled, format_):
    found, told = modules_of(rolled, ["dau"], "--days", "7", "--format", format_)
    assert "2026-03-04" in told
    assert not (ENGINES | PARSERS) & found


@pytest.mark.long
@pytest.mark.parametrize("said", [*SERIES, *TABLES])
def test_so_does_every_report_that_rollups_answer(rolled, said):
    days = "7" if said in SERIES else "1"
    found, told = modules_of(rolled, said, "--days", days, "--format", "json")
    assert '"source":"rollups"' in told
    assert not (ENGINES | PARSERS) & found
