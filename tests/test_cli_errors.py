"""What the command line says when a call is off, word for word, and with which exit code."""

from __future__ import annotations

import signal
import sys

import pytest

from evlog.cli.run import run
from evlog.errors import EvlogError


@pytest.fixture
def evlog(monkeypatch, capsys, tmp_path):
    """Run evlog on words in a folder of its own; its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    for name in ("EVLOG_DATA", "EVLOG_AS_OF", "EVLOG_PLAN", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    before = signal.getsignal(signal.SIGTERM)

    def call(*words: str) -> tuple[int, str, str]:
        code = run(words)
        out, err = capsys.readouterr()
        return code, out, err

    yield call
    signal.signal(signal.SIGTERM, before)


SENTENCES = [
    ("confg", 2, "evlog: there is no command confg\n       did you mean config?\n"),
    ("qqqq", 2, "evlog: there is no command qqqq\n       see them all with: evlog --help\n"),
    ("user delet x", 2, "evlog: there is no command user delet\n       did you mean delete?\n"),
    ("report da", 2, "evlog: there is no report da\n       did you mean dau?\n"),
    ("plan", 2, ("evlog: plan: say which: show, check, add, infer, lint\n"
                "       see what each does with: evlog plan --help\n")),
    ("--quite config", 2, "evlog: evlog has no option --quite\n       did you mean --quiet?\n"),
    ("report dau --day 3", 2, "evlog: report dau has no option --day\n       did you mean --days?\n"),
    ("report dau --zzzz", 2, "evlog: report dau has no option --zzzz\n       see: evlog report dau --help\n"),
    ("report dau --days", 2, "evlog: --days needs a value\n"),
    ("report dau --top x", 2, "evlog: report dau: --top: 'x' is not a valid integer\n       see: evlog report dau --help\n"),
    ("report dau --format xml", 2,
     ("evlog: report dau: --format: 'xml' is not one of 'table', 'json', 'ndjson', 'csv', 'markdown', 'parquet'\n"
     "       see: evlog report dau --help\n")),
    ("report dau now", 2, "evlog: report dau: got unexpected extra argument (now)\n       see: evlog report dau --help\n"),
    ("sql", 2, "evlog: sql: 'SELECT …' is missing\n       see: evlog sql --help\n"),
    ("report dau --days 0", 2, 'evlog: --days: expected a number of days from 1 to 36525, got "0"\n'),
    ("report dau", 1, ("evlog: there is no event store at evlog-data\n"
                      "       create it with: evlog init, or name it with --data DIR\n")),
    ("--data nope report dau", 1, ("evlog: there is no event store at nope\n"
                                  "       create it with: evlog init, or name it with --data DIR\n")),
    ("sql x --data nope", 1, ("evlog: there is no event store at nope\n"
                             "       create it with: evlog init, or name it with --data DIR\n")),
    ("config --config none.toml", 2, "evlog: cannot read none.toml: No such file or directory\n"),
    ("ingest nothing.ndjson", 1, "evlog: there is no file nothing.ndjson\n       name files, folders or globs; - reads stdin\n"),
    ("ingest --map user=x.y", 2, "evlog: --map: there is no field 'user'\n       did you mean user_id?\n"),
    ("ingest --map user_id", 2, "evlog: --map: expected FIELD=PATH, got 'user_id'\n       such as --map user_id=actor.id\n"),
    ("plan lint", 1, "evlog: there is no tracking plan\n       evlog init writes one to begin with; or name it with --plan FILE\n"),
    ("plan add x --property a:strin --plan p", 2,
     "evlog: --property: expected NAME, or NAME:TYPE, got 'a:strin'\n       did you mean string?\n"),
    ("config --output /", 2, "evlog: / is a folder\n       name the file to write in it\n"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code", "says"), SENTENCES, ids=[words for words, _, _ in SENTENCES])
def test_a_call_that_is_off_is_told_in_one_or_two_lines(evlog, words, code, says):
    assert evlog(*words.split()) == (code, "", says)


def test_what_a_person_typed_cannot_steer_the_terminal(evlog):
    code, out, err = evlog("\x1b[31mred")
    assert (code, out) == (2, "")
    assert "\x1b" not in err
    assert "\\x1b[31mred" in err


def test_a_traceback_only_with_debug(evlog):
    assert "Traceback" not in evlog("sql", "x", "--data", "nope")[2]
    assert "Traceback" in evlog("sql", "x", "--data", "nope", "--debug")[2]


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        (EvlogError("no", hint="do"), 1, "evlog: no\n       do\n"),
        (MemoryError(), 1, "evlog: out of memory\n       ask for fewer days, or give evlog more memory\n"),
        (PermissionError(13, "Permission denied", "f\x1b"), 1, "evlog: f\\x1b: Permission denied\n"),
        (KeyboardInterrupt(), 130, "evlog: interrupted; what was committed before is kept, nothing is half done\n"),
        (BrokenPipeError(), 0, ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_one_place_says_what_went_wrong(evlog, monkeypatch, raised, code, says):
    from evlog.cli import settings

    def fails(*_: object) -> None:
        raise raised

    monkeypatch.setattr(settings, "resolve", fails)
    assert evlog("config") == (code, "", says)
