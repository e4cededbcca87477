"""`evlog export`: events, or a report, as files for other tools."""

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Option

from evlog.cli import asking, exporting, maintaining, printing
from evlog.cli.command import command
from evlog.errors import UsageError

if TYPE_CHECKING:
    from evlog.cli.call import Call
    from evlog.store.layout import Store
    from evlog.window import Window

_WHERE = "Only events for which this, and each other, holds; OP is one of = != < <= > >= ~ in not-in exists."
_PSEUDONYMS = "Pseudonyms for user_id, anonymous_id and session_id: keyed hashes that stay the same under one key."
_DAY = timedelta(days=1)
_RANGE = {"--from": "first", "--to": "last", "--all-time": "all_time", "--whole-days": "whole_days"}
_RANGED = ("days", "as_of")  # settings that bound the range; as flags they go with no resume point


@command(
    example="evlog export --days 90 --format parquet --output events.parquet\n"
    "evlog export --resume sent.json --into lake --format parquet\n"
    "evlog export --report 'active --days 30' --format csv --output active.csv",
    exits=(1, 4),
    settings=("as_of", "tz", "pseudonym_key"),
    prints="ndjson",
)
def export(
    call: "Call",
    *,
    first: Annotated[str | None, Option("--from", metavar="DATE", help="The first day, included.")] = None,
    last: Annotated[str | None, Option("--to", metavar="DATE", help="The last day, included.")] = None,
    days: Annotated[
        str | None, Option("--days", metavar="N", help="The last N whole days, the as-of day included.")
    ] = None,
    all_time: Annotated[
        bool, Option("--all-time", help="From the first event to the newest: as it is anyway.")
    ] = False,
    whole_days: Annotated[bool, Option("--whole-days", help="End yesterday.")] = False,
    where: Annotated[list[str] | None, Option("--where", metavar="'KEY OP VALUE'", help=_WHERE)] = None,
    into: Annotated[
        str | None,
        Option("--into", metavar="DIR", help="Files in folders by date, with checksums, that any engine reads."),
    ] = None,
    partition: Annotated[
        Literal["day", "month"] | None,
        Option("--partition", metavar="day|month", help="A folder a day (the default), or a month."),
    ] = None,
    resume: Annotated[
        str | None,
        Option(
            "--resume",
            metavar="FILE",
            help="Send what came in since the last run with this FILE, and keep how far it went.",
        ),
    ] = None,
    report: Annotated[
        str | None, Option("--report", metavar="'NAME …'", help="A report with its options, in place of events.")
    ] = None,
    pseudonymise: Annotated[bool, Option("--pseudonymise", help=_PSEUDONYMS)] = False,
    wait: Annotated[str | None, maintaining.WAIT] = None,
    **given: Any,
) -> None:
    """Send events to stdout, a file or a folder: all of them, unless a range or a condition says which.

    With --resume each event is sent once, whenever it came in and whatever its date: a run sends what commits after the
    last one brought. `--tz` says how the days of a range are read; `date` in the rows and folders is the UTC date.
    """
    from evlog.query.where import parse
    from evlog.store.pseudonym import key_of

    if days is not None:  # a flag alone: what files and environment say of reports cuts no export short
        call.flags["days"] = days
    said = {"first": first, "last": last, "all_time": all_time, "whole_days": whole_days}
    shape = printing.shape(given)
    if report is not None:
        others = {"--into": into, "--partition": partition, "--resume": resume}
        _report(call, report, shape, said | {"where": where or [], "pseudonymise": pseudonymise}, others)
        return
    conditions = tuple(parse(text) for text in where or ())
    to, store = _to(call, shape, resume, wait, into=into, partition=partition), call.store()
    to = replace(to, key=key_of(store, call.settings.pseudonym_key) if pseudonymise else None)
    run = exporting.Export(call, store, to, conditions)
    if to.resume is not None:
        _must_not_bound(call, said)
        run.on(to.resume)
    else:
        run.once(_window(call, store, said))


def _to(call: "Call", shape: printing.Shape, resume: str | None, wait: str | None, **folder: Any) -> exporting.To:
    """Where it goes; UsageError where the words do not go together."""
    from evlog.render.streamed import FORMATS

    into, partition = folder["into"], folder["partition"]
    if shape.format not in FORMATS:
        raise UsageError(f"--format {shape.format} is for reports", hint=f"of events, one of: {', '.join(FORMATS)}")
    if into is not None and shape.output is not None:
        raise UsageError("--into and --output exclude each other", hint="give a folder, or a file")
    if into is None and partition is not None:
        raise UsageError("--partition goes with --into DIR", hint="one file has no partitions")
    if wait is not None and resume is None:
        raise UsageError("--wait goes with --resume", hint="any other export waits for nobody")
    file = None if resume is None else Path(resume)
    if file is not None and file.is_dir():
        raise UsageError(f"--resume {resume} is a folder", hint="name a file; it is made if absent")
    return exporting.To(shape, _folder(call, into), partition or "day", file, maintaining.seconds(wait))


def _folder(call: "Call", into: str | None) -> Path | None:
    """The folder that files go into, wherever a symlink leads; never within the store."""
    if into is None:
        return None
    folder = Path(os.path.realpath(into))
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--into {into} is no folder", hint="name a folder, or --output FILE")
    if call.settings.data.resolve() in (folder, *folder.parents):
        raise UsageError(f"--into {into} lies in the store", hint="name a folder outside of it")
    return folder


def _must_not_bound(call: "Call", said: dict[str, Any]) -> None:
    """Refuse a range beside a resume point: events outside of it would never be sent."""
    named = [*(f"--{name.replace('_', '-')}" for name in _RANGED if name in call.flags)]
    named += [flag for flag, name in _RANGE.items() if said[name]]
    if named:
        raise UsageError(
            f"--resume and {named[0]} exclude each other",
            hint="a run sends what came in since the last, whatever its date",
        )


def _window(call: "Call", store: "Store", said: dict[str, Any]) -> "Window | None":
    """The range that was asked for; None: every event. What only bounds the end begins with the first event."""
    from evlog.query import span

    bounded = "days" in call.flags or said["first"] or said["last"]
    if not bounded and call.settings.as_of is None and not said["whole_days"]:
        return None
    if said["last"] and not said["first"] and "days" not in call.flags:
        held = span.held(store)
        said = said | {"first": (held[0] - _DAY).date().isoformat() if held else said["last"]}
    try:
        return asking.window(call, store, said | {"all_time": said["all_time"] or not bounded})
    except UsageError as error:
        if not str(error).startswith("--to:"):
            raise
        raise UsageError(str(error), hint="write 2026-03-01; a folder for files is named by --into DIR") from error


def _report(call: "Call", report: str, shape: printing.Shape, said: dict[str, Any], others: dict[str, Any]) -> None:
    """Ask a report, by the words that `evlog report` takes, and print it as an export prints."""
    import shlex

    from evlog.cli.app import root

    if wrong := [name for name, value in others.items() if value is not None]:
        raise UsageError(f"{wrong[0]} is for events", hint="write a report to stdout or --output FILE")
    try:
        words = shlex.split(report)
    except ValueError as error:
        raise UsageError(f"--report {report!r}: {error}", hint="write --report 'NAME --option VALUE'") from error
    if not words or words[0].startswith("-"):
        raise UsageError("--report names no report", hint="see them with: evlog report")
    words = ["report", *words, *_passed(said), "--format", shape.format]
    words += ["--output", shape.output] if shape.output is not None else []
    words += ["--raw-csv"] if shape.raw_csv else []
    tree = root()
    with tree.make_context("evlog", words, obj=call) as context:
        tree.invoke(context)
    details = {"report": words[1], "format": shape.format, "conditions": words.count("--where")}
    exporting.told(call, call.store(), details)


def _passed(said: dict[str, Any]) -> list[str]:
    """The range and the conditions, as words for the report."""
    words = [word for flag, name in _RANGE.items() if (value := said[name]) for word in _worded(flag, value)]
    words += ["--pseudonymise"] if said["pseudonymise"] else []
    return [*words, *(word for text in said["where"] for word in ("--where", text))]


def _worded(flag: str, value: str | bool) -> list[str]:
    return [flag] if value is True else [flag, str(value)]
