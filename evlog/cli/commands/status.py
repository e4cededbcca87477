"""`evlog status`: the state of a store at a glance."""

from dataclasses import fields
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from evlog.cli import asking, printing
from evlog.cli.command import command

if TYPE_CHECKING:
    from evlog.cli.call import Call


@command(example="evlog status --format json", settings=("as_of", "tz"), prints="table")
def status(call: "Call", **given: Any) -> None:
    """Print what the store holds, how fresh it is, who is here now, and what waits to be done."""
    from evlog import status as state
    from evlog.query.result import Column, Result

    shape, store = printing.shape(given), call.store()
    now = asking.as_of(call, store).instant
    found = state.status(store, now=now)
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
