"""`evlog compact`: closed days become Parquet."""

from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from evlog.cli import maintaining, printing
from evlog.cli.command import command
from evlog.cli.progress import progress
from evlog.errors import UsageError

if TYPE_CHECKING:
    from datetime import date

    from evlog.cli.call import Call
    from evlog.compact import Done


_SHARED = "two users share a key: people are told apart by their ids, which takes longer"


@command(example="evlog compact", exits=(1, 4), prints="table")
def compact(
    call: "Call",
    *,
    before: Annotated[
        str | None, Option("--before", metavar="DATE", help="Only days before DATE; by default today.")
    ] = None,
    all_days: Annotated[bool, Option("--all", help="Every day, the one that is running too.")] = False,
    dry_run: Annotated[bool, maintaining.DRY_RUN] = False,
    wait: Annotated[str | None, maintaining.WAIT] = None,
    **given: Any,
) -> None:
    """Turn the segments of closed days (before today, UTC) into one Parquet file a day; no answer changes."""
    from evlog import compact as compaction
    from evlog.store import keys

    shape, store = printing.shape(given), call.store()
    until = _until(call, before, all_days=all_days)
    if dry_run:
        planned = compaction.plan(store, before=until)
        both = (*planned.days, *planned.merges)
        rows = [(one.day, None, len(one.segments), one.bytes_in, None) for one in both]
    else:
        rows = [_row(one) for one in _run(call, until, maintaining.seconds(wait))]
    notes = [*(["dry run: nothing was changed"] if dry_run else []), *([] if rows else ["nothing to compact"])]
    notes += [] if keys.tell_apart(store) else [_SHARED]
    printing.emit(call, _result(call, rows, notes, table=shape.table), shape)


def _until(call: "Call", before: str | None, *, all_days: bool) -> "date | None":
    from evlog.window import parse_date

    if before is not None and all_days:
        raise UsageError("--before and --all exclude each other", hint="give one of them")
    today = call.now.date()
    return None if all_days else parse_date(before, today=today) if before is not None else today


def _run(call: "Call", until: "date | None", wait: float | None) -> "list[Done]":
    from evlog import compact as compaction

    count = 0

    with progress(call.out, "compact", None, unit="days") as seen:

        def done(_day: "Done", total: int) -> None:
            nonlocal count
            count += 1
            call.kept = lambda: f"{count} of {total} days are compacted; run it again for the rest"
            seen(count, total)

        return compaction.run(call.store(), before=until, wait=wait, done=done)


def _row(done: "Done") -> tuple[Any, ...]:
    return done.day, done.events, done.segments, done.bytes_in, done.bytes_out


def _result(call: "Call", rows: list[tuple[Any, ...]], notes: list[str], *, table: bool) -> Any:
    """A row a day; for a person, who may look at hundreds, the sums alone."""
    from evlog.query.result import Column, Result

    counted = [Column(name, "count") for name in ("events", "segments", "bytes_in", "bytes_out")]
    sums: dict[str, int | None] = {"days": len(rows)}
    for place, column in enumerate(counted, 1):
        known = [row[place] for row in rows if row[place] is not None]
        sums[column.name] = sum(known) if len(known) == len(rows) else None
    if table:
        columns, shown = (Column("days", "count"), *counted), (tuple(sums.values()),)
        return Result("compact", columns, shown if rows else (), call.now, notes=tuple(notes))
    return Result(
        "compact", (Column("date", "date"), *counted), tuple(rows), call.now, summary=sums, notes=tuple(notes)
    )
