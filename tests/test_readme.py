"""README.md does what it shows: every ```console block is run as it stands, and prints what stands below it.

The blocks run in one shell, from the first to the last, in a folder of their own: what one exports, the next one has.
There `make demo` has been, the clock's zone is UTC, and nothing is a terminal. What is shown may leave something out:

    ...     alone on a line: any lines, or none; inside a line: any text

A command that goes on in the next line goes on behind `> `.

    README=write python -m pytest tests/test_readme.py

writes into README.md what came where that is not what is shown; what was left out there has to be left out again.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
MOST_LINES = 260
MARK = "=== that was it ==="
EVERYDAY = ("evlog ingest < events.ndjson", "evlog report dau --days 30", "evlog purge --older-than 90d")
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
STEP = re.compile(r"^\$ (.*(?:\n> .*)*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """A command of a console block, what is shown below it, and where that stands in the text."""

    command: str
    shown: str
    place: slice


def steps(text: str) -> list[Step]:
    return [
        Step(
            found[1].replace("\n> ", "\n"),
            found[2],
            slice(block.start(1) + found.start(2), block.start(1) + found.end(2)),
        )
        for block in BLOCK.finditer(text)
        for found in STEP.finditer(block[1])
    ]


def fits(shown: str, came: str) -> bool:
    lines = [r"(?:.*\n)*" if line == "..." else left_out(line) + r"\n" for line in shown.splitlines()]
    return re.fullmatch("".join(lines), came) is not None


def left_out(line: str) -> str:
    return ".*".join(map(re.escape, line.split("...")))


def rewritten(text: str, came: list[str]) -> str:
    for step, output in reversed(list(zip(steps(text), came, strict=True))):
        if not fits(step.shown, output):
            text = text[: step.place.start] + output + text[step.place.stop :]
    return text


def checkout(home: Path) -> dict[str, str]:
    """Make a checkout in which `make demo` has been; the environment that finds evlog and python3."""
    shutil.copytree(ROOT / "sample_logs", home / "sample_logs", ignore=shutil.ignore_patterns("__pycache__"))
    tools = home / "bin"
    tools.mkdir()
    for name, words in (("evlog", "-m evlog"), ("python3", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (tools / name).chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    environ = {
        "PATH": path,
        "HOME": str(home),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "PYTHONUTF8": "1",
        "PYTHONPATH": str(ROOT),
    }
    demo = ["sh", "sample_logs/demo.sh", "build/demo"]
    subprocess.run(demo, cwd=home, env=environ, check=True, capture_output=True)
    return environ


def told(commands: list[str], home: Path, environ: dict[str, str]) -> list[str]:
    """What each command prints, to stdout and stderr alike; the exit code of one is `$?` to the next."""
    script = f"marked() {{ printf '\\n%s\\n' '{MARK}'; return $1; }}\n"
    script += "".join(f"{command}\nmarked $?\n" for command in commands)
    ran = subprocess.run(
        ["sh", "-c", script], cwd=home, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, encoding="utf-8", check=False,
    )  # fmt: skip
    return ran.stdout.split(f"\n{MARK}\n")[:-1]


@pytest.fixture(scope="module")
def came(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    home = tmp_path_factory.mktemp("checkout")
    text = README.read_text("utf-8")
    outputs = told([step.command for step in steps(text)], home, checkout(home))
    if os.environ.get("README") == "write":
        README.write_text(rewritten(text, outputs), "utf-8")
    return outputs


@pytest.mark.long
def test_each_console_block_prints_what_it_shows(came: list[str]) -> None:
    shown = steps(README.read_text("utf-8"))
    assert len(came) == len(shown) > 0
    for step, output in zip(shown, came, strict=True):
        assert fits(step.shown, output), f"$ {step.command}\nshown:\n{step.shown}\ncame:\n{output}"


def test_every_line_of_a_console_block_belongs_to_a_command() -> None:
    text = README.read_text("utf-8")
    for block in BLOCK.finditer(text):
        assert block[1].startswith("$ "), block[1]
    assert text.count("```console") == len(BLOCK.findall(text))


def test_it_opens_with_two_commands_and_shows_the_everyday_lines() -> None:
    text = README.read_text("utf-8")
    first = re.search(r"^```.*?^```", text, re.DOTALL | re.MULTILINE)
    assert first is not None
    assert re.findall(r"^make \w+", first[0], re.MULTILINE) == ["make demo", "make test"]
    commands = [step.command for step in steps(text)]
    assert [command for command in commands if command in EVERYDAY] == list(EVERYDAY)
    assert len(text.splitlines()) <= MOST_LINES


def test_what_destroys_says_yes_or_is_refused() -> None:
    for step in steps(README.read_text("utf-8")):
        if re.match(r"evlog (purge|user delete|rejects clear)", step.command):
            assert "--yes" in step.command or "--dry-run" in step.command or "nothing was changed" in step.shown


@pytest.mark.parametrize(
    ("shown", "output", "verdict"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\nb\n", "a\nc\n", False),
        ("a\n", "a\nb\n", False),
        ("a\n...\nd\n", "a\nb\nc\nd\n", True),
        ("a\n...\nd\n", "a\nd\n", True),
        ("took ... s\n", "took 1.3 s\n", True),
        ("took ... s\n", "took 1\n3 s\n", False),
        ("1.5\n", "1x5\n", False),
        ("", "", True),
        ("", "a\n", False),
    ],
)
def test_what_is_left_out_may_be_anything_and_nothing_else(shown: str, output: str, verdict: bool) -> None:  # noqa: FBT001
    assert fits(shown, output) is verdict


def test_the_writing_mode_replaces_only_what_does_not_fit() -> None:
    text = "#\n```console\n$ a '\n> b'\nold\n$ c\nkept ...\n$ d\n```\n"
    assert [step.command for step in steps(text)] == ["a '\nb'", "c", "d"]
    assert rewritten(text, ["new\n", "kept 3\n", "more\n"]) == (
        "#\n```console\n$ a '\n> b'\nnew\n$ c\nkept ...\n$ d\nmore\n```\n"
    )
