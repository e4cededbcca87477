"""What evlog is measured against, in an environment of its own: build/bench-env (chdb takes half a gigabyte)."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal

from benchmarks.measure import Cost, RunError, run, tree_size

HERE = Path(__file__).resolve().parent
HOME = HERE.parents[1] / "build" / "bench-env"
NEEDS = {"duckdb": "duckdb>=1.3", "chdb": "chdb>=3"}
THREADS = 2


class PeerError(RuntimeError):
    """A peer that cannot be had here, and why."""


@cache
def python(package: str) -> Path:
    """The interpreter that can import `package`; installs it where it is not there yet."""
    interpreter = HOME / "bin" / "python"
    if not interpreter.exists():
        venv.create(HOME, with_pip=True)
    if subprocess.run([interpreter, "-c", f"import {package}"], capture_output=True, check=False).returncode:
        pip = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", NEEDS[package]]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PeerError(f"{package} cannot be installed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return interpreter


def version(package: str) -> str:
    """The version of a peer, or why there is none."""
    try:
        ask = [str(python(package)), "-c", f"import {package}; print({package}.__version__)"]
        told = subprocess.run(ask, capture_output=True, text=True, check=True)
    except (PeerError, subprocess.CalledProcessError) as error:
        return f"none ({error})"
    return told.stdout.strip()


def duckdb_copy(source: Path, target: Path, *, options: str, piped: bool, rows: int) -> Cost:
    """The cost of DuckDB's COPY of `rows` events into one folder a day; it neither validates nor dedupes."""
    read_from = "/dev/stdin" if piped else str(source)
    argv = (python("duckdb"), HERE / "duckdb_copy.py", read_from, target, options, str(THREADS))
    cost = run(argv, stdin=source if piped else None)
    if cost.out.strip() != str(rows):
        raise RunError(f"DuckDB wrote {cost.out.strip()} rows, not {rows}")
    return replace(cost, size=tree_size(target, "date=*/*"))


def asked(package: Literal["duckdb", "chdb"], sql: str) -> Cost:
    """The cost of a question put to a peer; `answer` is the list of its rows."""
    cost = run((python(package), HERE / f"ask_{package}.py", sql, str(THREADS)))
    return replace(cost, answer=[json.loads(line) for line in cost.out.splitlines()])


def grep(text: str, path: Path) -> Cost:
    """The cost of reading every line for a text; `answer` is how many lines hold it."""
    cost = run(("grep", "-F", "-c", text, path), codes=(0, 1))
    return replace(cost, answer=int(cost.out))


def bare_python() -> Cost:
    """The cost of starting the interpreter that evlog runs on."""
    return run([sys.executable, "-c", "pass"])
