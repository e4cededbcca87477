"""`evlog audit`: who did what to the people in the store, and whether the log of it is whole."""

from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from evlog.cli import consent, printing
from evlog.cli.command import command
from evlog.errors import UsageError

if TYPE_CHECKING:
    from evlog.cli.call import Call
    from evlog.store.layout import Store

_SEAL = 64  # hexadecimal digits


@command(example="evlog audit show --last 20", prints="table")
def show(
    call: "Call",
    *,
    user: Annotated[
        str | None, Option(metavar="ID|-", help="Only what was done to this user; - reads ids from stdin, one a line.")
    ] = None,
    what: Annotated[
        str | None, Option(metavar="ACT", help="Only such acts, as `user delete`, or a word of it.")
    ] = None,
    last: Annotated[int | None, Option(metavar="N", min=1, help="Only the last N of them.")] = None,
    **given: Any,
) -> None:
    """Print the audit log, oldest first: when, what was done, by whom, to how many ids, and what it changed.

    No id stands in it. Who knows one finds what was done to it all the same: with --user, by its keyed hash.
    """
    from evlog.query.result import Column, Result
    from evlog.store import audit

    shape, store = printing.shape(given), call.store()
    wanted = _subjects(store, user)
    known = audit.read(store)
    found = [one for one in known if _fits(one, wanted, what)][-(last or 0) :]
    columns = (
        Column("number", "count"),
        Column("at", "instant"),
        Column("what"),
        Column("by"),
        Column("ids", "count"),
        Column("details", "json"),
        Column("subjects", "json", aside=True),
        Column("seal", aside=True),
        Column("before", aside=True),
    )
    rows = tuple(_row(one, table=shape.table) for one in found)
    notes = () if rows else (_nothing(len(known)),)
    printing.emit(call, Result("audit", columns, rows, call.now, summary={"acts": len(rows)}, notes=notes), shape)


def _subjects(store: "Store", user: str | None) -> set[str] | None:
    """The keyed hashes of the ids that were asked for; None where none was."""
    from evlog.store import tombstones

    if user is None:
        return None
    known = tombstones.load(store)
    return {known.subject(one) for one in consent.ids([user])}


def _fits(one: dict[str, Any], wanted: set[str] | None, what: str | None) -> bool:
    """Whether an entry is about one of the subjects, and such an act."""
    about = wanted is None or bool(wanted & set(one["subjects"]))
    return about and (what is None or f" {what.strip().lower()} " in f" {one['what']} ")


def _row(one: dict[str, Any], *, table: bool) -> tuple[Any, ...]:
    from datetime import datetime

    at = datetime.fromisoformat(one["at"]).replace(tzinfo=None)
    details = one["details"]
    told = ", ".join(f"{key} {value}" for key, value in details.items()) if table else details
    return (
        *(one["number"], at, one["what"], one["by"], len(one["subjects"]), told),
        *(one["subjects"], one["seal"], one["before"]),
    )


def _nothing(known: int) -> str:
    return "no such act is in the audit log" if known else "the audit log is empty: nothing was done to anybody yet"


@command(example="evlog audit verify --format json", prints="table")
def verify(
    call: "Call",
    *,
    head: Annotated[
        str | None, Option(metavar="SEAL", help="The seal that an earlier look gave: all up to it must still be there.")
    ] = None,
    **given: Any,
) -> int:
    """Hold every entry of the audit log against its seal and the one before it. Exit 1: something was changed.

    What was changed, moved or taken out shows. Only that somebody removed the newest entries and put an older one in
    their place, or made all seals anew, does not: keep the seal that this prints elsewhere, and hand it in with --head.
    """
    from evlog.query.result import Column, Result
    from evlog.store import audit

    shape, store = printing.shape(given), call.store()
    seen = audit.verify(store, head=_seal(head))
    columns = (Column("path"), Column("says"))
    rows = tuple((one.path, one.says) for one in seen.wrong)
    summary = {"entries": seen.entries, "wrong": len(rows), "head": seen.head}
    notes = () if rows else ("everything holds",)
    printing.emit(call, Result("audit", columns, rows, call.now, summary=summary, notes=notes), shape)
    return 1 if rows else 0


def _seal(head: str | None) -> str | None:
    if head is None:
        return None
    found = head.strip().lower()
    if len(found) != _SEAL or set(found) - set("0123456789abcdef"):
        raise UsageError(
            f"--head {head!r} is no seal", hint="it has 64 hexadecimal digits; evlog audit verify prints it"
        )
    return found
