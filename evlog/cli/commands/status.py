"""`evlog status`: the state of a store at a glance."""

from dataclasses import fields
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from evlog.cli import asking, exposed, printing
from evlog.cli.command import command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evlog.cli.call import Call
    from evlog.render.prometheus import Family
    from evlog.status import Status
    from evlog.store.layout import Store


@command(example="evlog status --format json", settings=("as_of", "tz"), prints="table", also=(exposed.FORMAT,))
def status(call: "Call", **given: Any) -> None:
    """Print what the store holds, how fresh it is, who is here now, and what waits to be done."""
    from evlog import status as state
    from evlog.query.result import Column, Result

    shape, store = printing.shape(given), call.store()
    now = asking.as_of(call, store).instant
    found = state.status(store, now=now)
    if shape.format == exposed.FORMAT:
        exposed.emit(call, _families(found, store), shape)
        return
    facts = {field.name: getattr(found, field.name) for field in fields(found)}
    rejects = facts.pop("rejects")
    facts["rejects"] = sum(rejects.values())
    columns: tuple[Column, ...] = tuple(Column(name, _kind(value)) for name, value in facts.items())
    rows: tuple[tuple[Any, ...], ...] = (tuple(facts.values()),)
    if shape.table:
        columns, rows = (Column("what"), Column("is")), tuple((name, _spelled(value)) for name, value in facts.items())
    notes = _notes(facts)
    summary = {"rejects": rejects} if rejects else {}
    printing.emit(call, Result("status", columns, rows, now, summary=summary, notes=notes), shape)


def _kind(value: object) -> Any:
    if isinstance(value, datetime):
        return "instant"
    return "date" if isinstance(value, date) else "count"


def _spelled(value: object) -> str | None:
    from evlog.render import human

    match value:
        case datetime():
            return human.instant(value)
        case int():
            return human.count(value)
    return None if value is None else str(value)


def _notes(facts: dict[str, Any]) -> tuple[str, ...]:
    notes = []
    if facts["unapplied"]:
        notes.append("a commit waits to be applied; the next command that writes does it, or: evlog verify --repair")
    if facts["to_compact"]:
        waits = "waits" if facts["to_compact"] == 1 else "wait"
        notes.append(f"{printing.several(facts['to_compact'], 'closed day')} {waits} for: evlog compact")
    return tuple(notes)


_GAUGES = {
    "events": "Events in the store.",
    "bytes": "Bytes of the files that hold them.",
    "segments": "Segments, the NDJSON files of the hot tier.",
    "parts": "Parts, the Parquet files of the cold tier.",
    "users_5m": "Users of the last 5 minutes.",
    "users_30m": "Users of the last 30 minutes.",
    "unapplied": "Commits that wait to be applied.",
    "to_compact": "Closed days that wait for evlog compact.",
    "erased_users": "Users that were erased.",
}
_LINES = ("read", "stored", "duplicates", "rejected", "no_consent", "erased", "blank", "skewed")


def _families(found: "Status", store: "Store") -> "Iterator[Family]":
    """The state of a store as Prometheus reads it."""
    from evlog.render.prometheus import Family, Sample

    for name, says in _GAUGES.items():
        yield Family(f"evlog_{name}", says, (Sample(getattr(found, name)),))
    rejects = tuple(Sample(count, {"code": code}) for code, count in found.rejects.items())
    yield Family("evlog_rejects", "Lines in quarantine by reason.", rejects)
    yield Family("evlog_quarantined", "Lines in quarantine.", (Sample(sum(found.rejects.values())),))
    instants = {
        "newest_event": (found.newest_event, "When the newest event happened."),
        "last_received": (found.last_received, "When the newest batch came in."),
        "ingest_last_success": (found.last_ingest, "When the newest run of ingest was done."),
        "rollup_last_success": (found.last_rollup, "When the newest run of rollup was done."),
    }
    for name, (moment, says) in instants.items():
        yield Family(f"evlog_{name}_timestamp_seconds", says, (Sample(exposed.seconds(moment)),))
    yield from _jobs(store)


def _jobs(store: "Store") -> "Iterator[Family]":
    """What the log of runs says."""
    from evlog import status as state
    from evlog.render.prometheus import Family, Sample

    told = state.totals(store, "ingest", (*_LINES, "seconds"))
    if told["runs"]:
        lines = tuple(Sample(int(told[name]), {"what": name}) for name in _LINES)
        yield Family("evlog_ingest_lines_total", "Lines offered (read), by what became of them.", lines, "counter")
        yield Family("evlog_ingest_seconds_total", "Seconds ingest took.", (Sample(told["seconds"]),), "counter")
        yield Family("evlog_ingest_runs_total", "Runs of ingest.", (Sample(int(told["runs"])),), "counter")
    took = state.last_seconds(store, "rollup")
    yield Family("evlog_rollup_last_duration_seconds", "How long the newest run of rollup took.", (Sample(took),))
