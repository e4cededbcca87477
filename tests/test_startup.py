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
