"""`evlog archive`: old days move into a folder elsewhere, as Parquet with checksums; and come back."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from typer import Argument, Option

from evlog.cli import clock, consent, leaving, maintaining, printing
from evlog.cli.app import Group
from evlog.cli.command import About, Parameters, command, own_parameters, signed
from evlog.cli.option import everywhere, setting, take
from evlog.cli.progress import progress
from evlog.cli.table import ARCHIVE
from evlog.errors import UsageError

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter

    from evlog.archive.out import Written
    from evlog.archive.restore import Asked, Back
    from evlog.archive.seal import Seal
    from evlog.cli.call import Call
    from evlog.purge import Plan
    from evlog.query.result import Result
    from evlog.store.layout import Store

_DIR = Argument(metavar="DIR", help="The folder of the archive.")
_TO = Option("--to", metavar="DIR", help="The folder the days go to; days that lie there already stay as they are.")
_COPY = Option("--copy", help="Leave the days in the store as well.")
_AGE = Option(
    "--encrypt-to", metavar="KEY|FILE", help="Encrypt to an age recipient (age1…), or to each in a file; repeatable."
)
_GPG = Option("--encrypt-to-gpg", metavar="KEY", help="Encrypt to a GPG key, by the program gpg; repeatable.")
_FROM = Option("--from", metavar="DATE", help="The first day, included.")
_UNTIL = Option("--to", metavar="DATE", help="The last day, included.")
_IDENTITY = Option("--identity", metavar="FILE", help="A file of age keys that open the archive; repeatable.")
_FORCE = Option("--force", help="Take an archive of another store, or one whose manifest the audit log does not know.")


class Archive(Group):
    """The group; its own options move days out."""

    def format_epilog(self, _ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write example and exit codes."""
        formatter.write(f"\n{self.epilog}\n")


def group(name: str) -> Group:
    """The `archive` command: alone it moves days out, as `archive out` does."""
    about: About = out.__dict__["about"]
    parameters: Parameters = [*own_parameters(out), *map(setting, about.settings), *printing.parameters(about.prints)]
    app = typer.Typer(name=name, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

    def run(**given: Any) -> None:
        ctx: typer.Context = given.pop("ctx")
        take(ctx.obj, given)
        if ctx.invoked_subcommand is None:
            out(ctx.obj, **given)
        elif given.get("to") is not None:
            raise UsageError(f"archive: say --to after {ctx.invoked_subcommand}, or leave {ctx.invoked_subcommand} out")

    callback = app.callback(
        cls=Archive,
        help=out.__doc__,
        epilog=about.epilog,
        invoke_without_command=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    callback(signed(run, [*parameters, *everywhere()]))
    made = cast("Group", typer.main.get_command(app))
    made.entries = ARCHIVE
    return made


@command(
    example="evlog archive --older-than 90d --to archive",
    exits=(1, 4),
    settings=leaving.SETTINGS,
    prints="table",
)
def out(
    call: "Call",
    *,
    to: Annotated[str | None, _TO] = None,
    copy: Annotated[bool, _COPY] = False,
    encrypt_to: Annotated[list[str] | None, _AGE] = None,
    encrypt_to_gpg: Annotated[list[str] | None, _GPG] = None,
    dry_run: Annotated[bool, maintaining.DRY_RUN] = False,
    yes: Annotated[bool, maintaining.YES] = False,
    force: Annotated[bool, leaving.FORCE] = False,
    wait: Annotated[str | None, maintaining.WAIT] = None,
    **given: Any,
) -> None:
    """Move every day of events that is older into a folder, as Parquet with a manifest and SHA256SUMS.

    Each file is read back and checked before a day leaves the store; then it leaves as a purge has it: the final
    rollups are made first, late events are refused, and `evlog archive restore DIR` brings it back.

    An archive holds personal data, and no erasure reaches it: `evlog user delete` leaves it as it is. Where archives
    went stands in the audit log.
    """
    from evlog import purge
    from evlog.archive import seal

    shape, store = printing.shape(given), call.store()
    if to is None:
        raise UsageError("--to: say which folder the days go to", hint="such as --to /mnt/archive")
    sealed = seal.asked(encrypt_to or (), encrypt_to_gpg or ())
    planned = purge.plan(store, before=leaving.before(call), rejects=False)
    if not force:
        leaving.sane(planned)
    if planned.days and not dry_run and not copy:
        consent.confirm(f"move {leaving.told(planned)} before {planned.before} to {to}?", yes=yes, cron=True)
    written, unrolled = None, None
    if not dry_run:
        seconds = maintaining.seconds(wait)
        written, unrolled = _written(
            call, store, planned, Path(to), sealed=sealed, wait=seconds, copy=copy, force=force
        )
    result = _result(call, planned, written, dry_run=dry_run, table=shape.table)
    if unrolled:
        result = replace(result, notes=(*result.notes, leaving.forced(unrolled)))
    printing.emit(call, result, shape)


def _written(
    call: "Call",
    store: "Store",
    planned: "Plan",
    to: Path,
    *,
    sealed: "Seal",
    wait: float | None,
    copy: bool,
    force: bool,
) -> "tuple[Written | None, str | None]":
    """What was archived, and why without a final rollup, where that was forced."""
    from evlog import purge
    from evlog.archive import out as writing

    if not planned.days:
        return None, None
    who, before = leaving.signed(call), planned.before
    with (
        progress(call.out, "archive", None, unit="days") as seen,
        writing.writing(store, to, sealed, at=who.at, by=who.by, seen=seen) as writer,
    ):
        if copy:
            return writing.copy(store, before, writer, wait=wait), None
        inactive, remember = leaving.remembered(call)
        done = purge.apply(
            store,
            before,
            wait=wait,
            inactive=inactive,
            remember=remember,
            roll=leaving.roll(call, store, before),
            force=force,
            carrier=writer,
        )
        return writer.written, done.unrolled


def _result(call: "Call", planned: "Plan", written: "Written | None", *, dry_run: bool, table: bool) -> "Result":
    """A row a day; a table leaves out what only a machine compares."""
    from evlog.query.result import Column, Result

    columns = (
        Column("date", "date"),
        Column("events", "count"),
        Column("bytes", "count"),
        Column("file"),
        Column("sha256", aside=True),
    )
    rows: tuple[tuple[Any, ...], ...]
    if written is None:
        rows = tuple((day.day, day.events, None, None, None) for day in planned.days) if dry_run else ()
    else:
        rows = tuple((one.day, one.rows, one.bytes, one.file, one.sha256) for one in written.entries)
    summary: dict[str, Any] = {"days": len(rows), "events": sum(row[1] for row in rows)}
    if written is not None:
        summary |= {"bytes": sum(one.bytes for one in written.entries)}
        summary |= {} if table else {"manifest": written.manifest, "to": str(written.folder)}
    notes = ["dry run: nothing was moved"] if dry_run else []
    if not rows:
        notes.append(f"no day before {planned.before} holds events")
    if written is not None:
        stay = "the days stay in the store too" if written.copied else "the days left the store"
        back = f"bring them back with: evlog archive restore {written.folder}"
        notes.append(f"{stay}; {back}" if not written.copied else stay)
        notes.append("no erasure reaches an archive: it is on you to remove it when its time is over")
    params = {"before": planned.before.isoformat()}
    kinds: Any = {"manifest": "text", "to": "text"}
    return Result(
        "archive", columns, rows, call.now, params=params, summary=summary, summary_kinds=kinds, notes=tuple(notes)
    )


@command(example="evlog archive restore archive --from 2026-01-01 --to 2026-01-31", exits=(1, 4), prints="table")
def restore(
    call: "Call",
    *,
    folder: Annotated[str, _DIR],
    first: Annotated[str | None, _FROM] = None,
    last: Annotated[str | None, _UNTIL] = None,
    identity: Annotated[list[str] | None, _IDENTITY] = None,
    force: Annotated[bool, _FORCE] = False,
    dry_run: Annotated[bool, maintaining.DRY_RUN] = False,
    wait: Annotated[str | None, maintaining.WAIT] = None,
    **given: Any,
) -> None:
    """Bring archived days back, each event once; those of erased users stay out.

    Every checksum is held first. Late events of these days are let in again; the next purge or archive takes the days
    once more. Reports of frozen periods go on telling what their rollups say.
    """
    from evlog.archive import restore as restoring

    shape, store = printing.shape(given), call.store()
    asked = restoring.Asked(
        Path(folder),
        _day(call, first),
        _day(call, last),
        tuple(map(Path, identity or ())),
        force=force,
        dry_run=dry_run,
    )
    who = leaving.signed(call)
    with progress(call.out, "restore", None, unit="files") as seen:
        back = restoring.restore(store, asked, at=clock.now(), by=who.by, wait=maintaining.seconds(wait), seen=seen)
    printing.emit(call, _restored(call, asked, back), shape)


def _day(call: "Call", said: str | None) -> date | None:
    from evlog.window import parse_date

    return None if said is None else parse_date(said, today=call.now.date())


def _restored(call: "Call", asked: "Asked", back: "list[Back]") -> "Result":
    from evlog.query.result import Column, Result

    counted = ("events", "stored", "duplicates", "erased")
    columns = (Column("date", "date"), *(Column(name, "count") for name in counted))
    rows = tuple((one.day, *(getattr(one, name) for name in counted)) for one in back)
    summary = {"days": len(rows)} | {name: sum(getattr(one, name) for one in back) for name in counted}
    notes = ["dry run: nothing was restored"] if asked.dry_run else []
    if not rows:
        notes.append("the archive holds no such day")
    if summary["erased"]:
        notes.append(f"{printing.several(summary['erased'], 'event')} of erased users stayed out; they lie there still")
    return Result("restore", columns, rows, call.now, summary=summary, notes=tuple(notes))


@command(example="evlog archive verify /mnt/archive", exits=(1,), prints="table")
def verify(call: "Call", *, folder: Annotated[str, _DIR], **given: Any) -> int:
    """Hold every file of an archive against its checksum; no store is needed. Exit 1: something is wrong."""
    from evlog.archive import verify as verifying
    from evlog.query.result import Column, Result

    shape = printing.shape(given)
    held = verifying.verify(Path(folder))
    columns = (
        Column("file"),
        Column("date", "date", aside=True),
        Column("events", "count"),
        Column("bytes", "count"),
        Column("says"),
    )
    rows = tuple((one.file, one.day, one.rows, one.bytes, one.says) for one in held)
    wrong = frozenset(number for number, one in enumerate(held) if one.says != verifying.SOUND)
    summary = {"files": len(held), "wrong": len(wrong)}
    printing.emit(call, Result("archive", columns, rows, call.now, summary=summary, marks=wrong), shape)
    return 1 if wrong else 0
