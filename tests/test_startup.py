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


def modules_after(argv: list[str]) -> set[str]:
    """The modules that were imported when evlog was done with `argv`."""
    code = AFTER.format(argv=argv)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
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
