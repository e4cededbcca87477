"""What the docs say is there: links lead somewhere, command lines parse, tables are complete, names of ours stay ours."""

from __future__ import annotations

import re
import shlex
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer

from evlog import reports
from evlog.cli.app import Group, root
from evlog.cli.call import Call
from evlog.cli.table import COMMANDS
from evlog.event.fields import ALIASES, PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent
PAGES = [*map(ROOT.joinpath, ("README.md", "CHANGELOG.md", "sample_logs/README.md")), *sorted(ROOT.glob("docs/*.md"))]
LATER = {"serve"}
CHANGES = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ELSEWHERE = tuple(map("".join, (("/wo", "rk/"), ("sha", "red/"), ("/tmp/", "brief"), (".lib", "rary/"), ("issues ", "show"),
                                ("DEVELOPERS", ".md"), ("farm-", "bench"), ("farm-", "studio"), ("/ro", "ot/"))))  # fmt: skip
MISSING = next(kind for kind in typer.BadParameter.__subclasses__() if kind.__name__ == "MissingParameter")
BUILT = {".git", ".venv", "build", "dist", "__pycache__", "evlog-data"}


def prose(text: str) -> str:
    return FENCE.sub("", text)


def headings(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def command_lines(text: str) -> Iterator[str]:
    """The calls of evlog in blocks of code."""
    for block in FENCE.finditer(text):
        if block[1] in {"sh", "console", "crontab"}:
            for line in block[2].replace("\n> ", "\n").splitlines():
                yield from re.findall(r"(?:^|\$ |\* +|[0-9] +|[|;&] )(evlog .*)", line)[:1]


def commands_named(text: str) -> Iterator[str]:
    """The calls of evlog between backticks; an argument may be left out there."""
    for code in re.findall(r"(?<!`)`(evlog [^`]+)`(?!`)", prose(text)):
        if not re.search(r"\b[A-Z]{2,}\b|…|\.\.\.", code):
            yield " ".join(code.split())


def words_of(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words: list[str] = []
    try:
        for word in lexer:
            if set(word) <= set("|&;<>"):
                break
            words.append(word)
    except ValueError:  # a quote that goes on in the next line: its text is no option
        words.append("…")
    return words


def parse(words: list[str]) -> None:
    """Read the words as evlog does, without doing what they say; raises where it would exit 2."""
    node: Any = root()
    name: Any = "evlog"
    rest, parent = words, None
    while True:
        ctx: Any = node.make_context(name, list(rest), parent=parent, obj=Call({}))
        said = [*getattr(ctx, "_protected_args", ()), *ctx.args]
        if not isinstance(node, Group) or not said:
            return
        name, node, rest = node.resolve_command(ctx, said)
        parent = ctx


def mentioned(find: Callable[[str], Iterator[str]]) -> list[tuple[str, str]]:
    return [(page.name, line) for page in PAGES for line in find(page.read_text("utf-8"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text("utf-8")))
    for link in links:
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in headings(target.read_text("utf-8")), link


@pytest.mark.parametrize(("page", "line"), mentioned(command_lines))
def test_command_lines_parse(page: str, line: str) -> None:
    parse(words_of(line)[1:])


@pytest.mark.parametrize(("page", "line"), mentioned(commands_named))
def test_commands_that_are_named_exist(page: str, line: str) -> None:
    words = words_of(line)
    if words[1] in LATER and words[1] not in COMMANDS:
        return  # named as coming: see below
    with suppress(MISSING):
        parse(words[1:])


def test_enough_command_lines_are_found() -> None:
    lines, names = mentioned(command_lines), mentioned(commands_named)
    assert {page for page, _ in lines} >= {"README.md", "cron.md"}
    assert {page for page, _ in names} >= {"README.md", "cron.md", "plan.md", "CHANGELOG.md"}
    assert {words_of(line)[1] for _, line in lines + names} >= set(COMMANDS), "a command that no page shows"


@pytest.mark.parametrize(
    "line", ["evlog ingset", "evlog report dau --dayz 3", "evlog purge --older-than", "evlog user x"]
)
def test_a_wrong_command_line_would_be_noticed(line: str) -> None:
    with pytest.raises(Exception, match=r"ingset|--dayz|--older-than|user x"):
        parse(words_of(line)[1:])


def test_what_is_not_there_yet_is_not_there() -> None:
    section = (ROOT / "README.md").read_text("utf-8").partition("## What is not there yet")[2].partition("\n## ")[0]
    assert set(re.findall(r"`(\w+)`", section)) == LATER
    assert not LATER & set(COMMANDS), "the README says that it comes later"


def test_the_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in PAGES:
        blocks = "\n".join(block[2] for block in FENCE.finditer(page.read_text("utf-8")))
        assert set(re.findall(r"^\s*make ([a-z]+)", blocks, re.MULTILINE)) <= targets


def test_events_md_tells_every_name() -> None:
    """Shapes and reject codes are held by test_ingest_shapes."""
    said = set(re.findall(r"`([@\w]+)`", (ROOT / "docs/events.md").read_text("utf-8")))
    for field, names in ALIASES.items():
        assert set(names) - {field} <= said, field
    assert set(PROPERTIES) - {"properties"} <= said


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert text.startswith("# Changelog\n")
    assert "keepachangelog.com" in text
    versions = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", version) for version in versions[1:])
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= CHANGES
    bullets = re.findall(r"^- .+(?:\n  .+)*$", text, re.MULTILINE)
    assert bullets
    assert len(set(bullets)) == len(bullets)
    assert all(bullet.endswith(".") for bullet in bullets)


def files_of_the_project() -> list[Path]:
    """What git has or would take; outside of a git checkout, everything that was not built."""
    if (ROOT / ".git").exists():
        words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not any(part in BUILT or part.startswith(".") for part in path.relative_to(ROOT).parts)
    ]


def test_no_file_names_the_place_where_it_was_written() -> None:
    found = files_of_the_project()
    assert ROOT / "README.md" in found
    for path in found:
        text = path.read_bytes().decode("utf-8", "replace")
        assert not [word for word in ELSEWHERE if word in text], path


def test_each_report_has_its_place_on_the_page_of_reports() -> None:
    page = (ROOT / "docs" / "reports.md").read_text("utf-8")
    told = {name for text in re.findall(r"`([^`]+)`", page) for name in re.split(r"[ ,]+", text)[:1]}
    assert set(reports.names()) <= told
    flags = {
        f"--{option.name.rstrip('_').replace('_', '-')}" for name in reports.names() for option in reports.options(name)
    }
    asked = {
        f"--{name}"
        for name in (
            "tz",
            "week-start",
            "as-of",
            "include-anon",
            "active-events",
            "by",
            "min-users",
            "plot",
            "since",
            "help",
        )
    }
    assert set(re.findall(r"--[a-z][a-z0-9-]*", page)) <= flags | asked
