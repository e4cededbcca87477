"""Words that are read without typer are read as typer reads them."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evlog import reports
from evlog.cli import words
from evlog.cli.answering import taken
from evlog.cli.call import Call
from evlog.cli.command import About, built_from
from evlog.cli.option import everywhere, take
from evlog.errors import EvlogError

VALUES = st.sampled_from(
    [
        "30",
        "1",
        "0",
        "007",
        "1_0",
        " 3",
        "-1",
        "٣",
        "2026-03-01",
        "latest",
        "csv",
        "CSV",
        "table",
        "",
        "x",
        "--days",
        "7d",
        "day",
        "week",
        "a = b",
        "99999999999999999999",
    ]
)


@cache
def parameters(name):
    return (*taken(name).parameters, *everywhere())


def left(call, given):
    """What a command is handed, and what its call was told."""
    take(call, given)
    return given, call.flags, (call.config, call.quiet, call.no_color, call.debug)


def by_typer(name, said):
    """What typer makes of the words; None where it refuses them, or prints help."""
    call, found = Call({}), []
    command = built_from(name, lambda call, **given: found.append(given), taken(name).parameters, About("-"), help_="-")
    try:
        with command.make_context(name, list(said), obj=call) as context:
            command.invoke(context)
    except Exception:  # noqa: BLE001 - whatever it says
        return None
    return left(call, found[0])


@st.composite
def calls(draw):
    """A report, and words of a call: options that it has (or not), with and without a value."""
    name = draw(st.sampled_from(sorted(reports.names())))
    known = [word for one in parameters(name) for word in one.words]
    said = []
    for word in draw(st.lists(st.sampled_from([*known, "--nonsense", "-h", "free"]), max_size=4)):
        value = draw(VALUES)
        said += draw(st.sampled_from([[word], [word, value], [f"{word}={value}"]]))
    return name, said


@settings(max_examples=150, deadline=None)
@given(calls())
def test_plain_words_are_read_as_typer_reads_them(call):
    name, said = call
    given = words.read(said, parameters(name))
    if given is not None:
        assert left(Call({}), given) == by_typer(name, said)


@pytest.mark.parametrize(
    ("said", "name", "rest"),
    [
        (["report", "dau", "--days", "3"], "dau", ["--days", "3"]),
        (["--data", "s", "report", "dau", "--days", "3"], "dau", ["--data", "s", "--days", "3"]),
        (["--data=s", "--quiet", "report", "wau"], "wau", ["--data=s", "--quiet"]),
        (["--data", "report", "report", "report"], "report", ["--data", "report"]),
        (["--data", "report", "dau"], None, []),
        (["--data", "s", "report"], None, []),
        (["--days", "3", "report", "dau"], None, []),
        (["-h", "report", "dau"], None, []),
        (["--data"], None, []),
        ([], None, []),
    ],
)
def test_what_every_command_takes_may_stand_before_it(said, name, rest):
    assert words.named(said) == (name, rest)


@pytest.mark.parametrize("name", sorted(reports.names()))
def test_no_words_at_all_are_what_typer_gives_without_any(name):
    given = words.read([], parameters(name))
    if given is not None:
        assert left(Call({}), given) == by_typer(name, [])


@pytest.mark.parametrize(
    "said",
    [
        ["--days", "30", "--format", "json", "--data=x", "--quiet"],
        ["--from", "2026-03-01", "--to", "2026-03-05", "--tz", "Europe/Berlin", "--where", "a = b", "--where", "c = d"],
        ["--as-of", "2026-03-30", "--top", "3", "--by", "category", "--min-users", "5", "--output", "x.csv"],
    ],
)
def test_what_people_and_cron_say_is_plain(said):
    given = words.read(said, parameters("dau"))
    assert given is not None
    assert left(Call({}), given) == by_typer("dau", said)


@pytest.mark.parametrize(
    "said",
    [
        ["--help"],
        ["-h"],
        ["--days"],
        ["--format", "CSV"],
        ["--top", "0"],
        ["--nonsense"],
        ["free"],
        ["--quiet=1"],
        ["--"],
        ["--days", "-1"],
    ],
)
def test_what_is_not_plain_is_left_to_typer(said):
    assert words.read(said, parameters("dau")) is None


def test_nothing_is_answered_that_is_no_report():
    def refused(*said):
        return not words.answered(said, Call({}))

    assert refused()
    assert refused("report")
    assert refused("report", "--help")
    assert refused("report", "nonsense", "--days", "3")
    assert refused("report", "../reports/dau")
    assert refused("ingest", "dau")
    with pytest.raises(EvlogError):
        words.answered(["report", "dau", "--data", "nowhere-at-all"], Call({}))
