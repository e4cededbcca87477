"""`evlog ingest`: events in."""

import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Option

from evlog.cli import clock, printing, rules
from evlog.cli.command import command
from evlog.cli.progress import progress
from evlog.errors import EvlogError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from evlog.cli.call import Call
    from evlog.ingest.run import Options, Outcome
    from evlog.ingest.tally import Tally
    from evlog.query.result import Result
    from evlog.store.layout import Store
    from evlog.store.suppressed import Suppressed
    from evlog.store.tombstones import Tombstones

_REJECTED, _INTERRUPTED = 3, 130
_SETTINGS = (*rules.SETTINGS, "max_rejects", "flush_interval", "workers")
_OF = {"reasons": "rejected", "redacted_fields": "redacted"}
_LOGGED = (
    "read", "stored", "duplicates", "rejected", "no_consent", "erased", "blank", "redacted", "derived_ids",
    "assumed_tz", "epoch", "skewed", "conflicts", "reasons", "seconds",
)  # fmt: skip
"""What the log of runs keeps of a run: numbers, no name of a file, no id."""

_ALWAYS = ("read", "stored", "duplicates", "rejected")  # said in a table even where they are 0


@command(example="evlog ingest < events.ndjson", exits=(1, 3), settings=_SETTINGS, prints="table")
def ingest(
    call: "Call",
    *,
    files: Annotated[
        list[str] | None, Argument(metavar="[FILE…]", help="Files, folders, globs; - or none: stdin.")
    ] = None,
    field_map: Annotated[
        list[str] | None, Option("--map", metavar="FIELD=PATH", help="Where a field stands, as in user_id=actor.id.")
    ] = None,
    input_format: Annotated[
        Literal["ndjson", "csv"] | None,
        Option("--input-format", metavar="ndjson|csv", help="By default as the name of a file says."),
    ] = None,
    dry_run: Annotated[bool, Option("--dry-run", help="Store nothing; say what would be.")] = False,
    no_dedupe: Annotated[bool, Option("--no-dedupe", help="Store events again that are stored already.")] = False,
    backfill: Annotated[
        bool, Option("--backfill", help="Let events into days that were purged, until the next purge.")
    ] = False,
    **given: Any,
) -> int:
    """Take events in: newline-delimited JSON or CSV, plain or packed (gz, bz2, zst), from files, folders or stdin.

    What is no event is kept in quarantine with its reason (evlog rejects). Events that are stored already are left out,
    so that running it again changes nothing.
    """
    from evlog.ingest import run, source

    shape = printing.shape(given)
    found = source.sources(files or ())
    held = rules.held_against(call, field_map or (), dedupe=not no_dedupe, backfill=backfill)
    asked = _options(call, input_format, dry_run=dry_run)
    with _store(call, dry_run=dry_run) as store:
        began = time.monotonic()
        outcome = _run(
            call, partial(run.run, store, found, held, options=asked, kin=_kin), [one.size() for one in found]
        )
        outcome.tally.seconds = time.monotonic() - began
        if not dry_run:
            _log(call, store, outcome.tally)
        late = _backfilled(store, outcome.tally) if backfill else 0
    with _stored_all_the_same(dry_run=dry_run):
        _tell(call, outcome, shape, late=late, dry_run=dry_run)
    return _code(outcome, tolerated=asked.tolerance is not None)


def _options(call: "Call", input_format: str | None, *, dry_run: bool) -> "Options":
    from evlog.ingest.run import Options, Tolerance

    settings = call.settings
    limit = settings.max_rejects
    tolerance = Tolerance(share=limit) if isinstance(limit, float) else Tolerance(count=limit)
    return Options(
        flush_interval=settings.flush_interval.total_seconds(),
        tolerance=None if limit is None else tolerance,
        dry_run=dry_run,
        workers=settings.workers,
        input_format=input_format,
    )


@contextmanager
def _store(call: "Call", *, dry_run: bool) -> "Iterator[Store]":
    """Yield the store; where there is none it is made, and said once. A dry run leaves nothing behind."""
    from evlog.store import layout

    root = call.settings.data
    if (root / "evlog.json").exists():
        yield layout.open_store(root)
    elif dry_run:
        with TemporaryDirectory() as nowhere:
            yield layout.create(Path(nowhere))
    else:
        made = layout.create(root)
        call.out.note(f"made an event store at {root}")
        yield made


def _backfilled(store: "Store", tally: "Tally") -> int:
    """How many events went into days that are purged and were not restored."""
    from evlog.store import tombstones

    known = tombstones.load(store)
    return sum(count for day, count in tally.partitions.items() if known.purged(day))


def _log(call: "Call", store: "Store", tally: "Tally") -> None:
    """Add the run to the log of runs, for `evlog check`; that this fails is no failure of what is stored."""
    from evlog.errors import WriteFailed
    from evlog.store import runs

    told = tally.summary()
    line = {"at": clock.now(), **{name: told[name] for name in _LOGGED}, "batches": tally.batches}
    try:
        runs.append(store, "ingest", line)
    except (WriteFailed, OSError) as error:
        call.out.note(f"the events are stored, but not the line of this run: {error}")


def _kin(store: "Store", named: "Sequence[str]", known: "Tombstones") -> "Suppressed":
    """The other ids of users who refuse consent; asked only where somebody does."""
    from evlog.person import suppress

    return suppress.kin(store, named, known)


def _run(call: "Call", run: "Callable[..., Outcome]", sizes: "list[int | None]") -> "Outcome":
    """Run, showing progress, and ready to say what was kept if somebody interrupts."""
    known = [size for size in sizes if size is not None]

    def stored(tally: "Tally") -> None:
        call.kept = lambda: f"{tally.stored} events in {tally.batches} batches are stored; run it again for the rest"

    with progress(call.out, "ingest", sum(known) if len(known) == len(sizes) else None) as seen:
        return run(clock=clock.now, seen=seen, stored=stored)


def _code(outcome: "Outcome", *, tolerated: bool) -> int:
    if outcome.interrupted:
        return _INTERRUPTED
    refused = bool(outcome.tally.rejected) and not tolerated
    return _REJECTED if refused or outcome.broken else 0


@contextmanager
def _stored_all_the_same(*, dry_run: bool) -> "Iterator[None]":
    """Yield to what prints the summary; where that fails, the error says that what was read is stored."""
    try:
        yield
    except (BrokenPipeError, UsageError):
        raise
    except (EvlogError, OSError) as error:
        if dry_run:
            raise
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise EvlogError(f"what was read is stored, but the summary could not be printed: {why}") from error


def _tell(call: "Call", outcome: "Outcome", shape: printing.Shape, *, late: int, dry_run: bool) -> None:
    """Print the summary, and say what a person should look at."""
    tally = outcome.tally
    if shape.format == "json":
        from evlog.render.json import dumped

        call.out.octets(dumped(tally.summary()) + b"\n", shape)
    else:
        call.out.result(_summary(call, tally, shape), shape)
    for name, happened in outcome.broken:
        call.out.note(f"{name}: {happened}; what came before is stored")
    for note in _notes(call, tally, dry_run=dry_run):
        call.out.note(note)
    if outcome.interrupted:
        call.out.note(f"interrupted; {tally.stored} events are stored, run it again for the rest")
    if late:
        events = printing.several(late, "event")
        call.out.note(
            f"{events} went into purged days: their rollups stay as they are, the next purge takes them again"
        )
    call.out.flush()


def _notes(call: "Call", tally: "Tally", *, dry_run: bool) -> "Iterator[str]":
    if dry_run:
        yield "dry run: nothing was stored"
    if tally.assumed_tz:
        zone = call.settings.assume_tz
        times = printing.several(tally.assumed_tz, "time")
        yield f"{times} without an offset read as {zone} (--assume-tz)"
    if tally.redacted and call.settings.pii in {"redact", "truncate"}:
        worst = tally.redacted_fields.most_common(1)[0][0].rpartition(".")[2]
        events = printing.several(tally.redacted, "event")
        yield f"{events} held personal data by name or form; let a field in with: --pii-allow {worst}"
    if tally.rejected and not dry_run:
        yield "look at what was refused, and why: evlog rejects list"


def _summary(call: "Call", tally: "Tally", shape: printing.Shape) -> "Result":
    from evlog.query.result import Column, Result

    counts = tally.summary()
    seconds, partitions = counts.pop("seconds"), counts.pop("partitions")
    rows = [row for row in _counted(counts) if row[1] or row[0] in _ALWAYS or not shape.table]
    speed = round(tally.read / seconds) if seconds else None
    summary = {"partitions": len(partitions), "seconds": seconds, "events_per_s": speed}
    kinds = {"seconds": "seconds"}
    columns = (Column("what"), Column("events", "count"))
    return Result("ingest", columns, tuple(rows), call.now, summary=summary, summary_kinds=kinds)  # type: ignore[arg-type]


def _counted(counts: dict[str, Any]) -> "Iterator[tuple[str, int]]":
    """Each count, those by reason and by field with it."""
    for name, value in counts.items():
        if isinstance(value, dict):
            yield from ((f"{_OF.get(name, name)}: {key}", count) for key, count in value.items())
        else:
            yield name, value
