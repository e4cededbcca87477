"""`evlog user`: what is known of a user, handed out or erased; which ids are one person."""

from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument

from evlog.cli import asking, consent, maintaining, printing
from evlog.cli.command import About, built_from, command, setting
from evlog.errors import UsageError

if TYPE_CHECKING:
    from typer.core import TyperCommand

    from evlog.cli.call import Call
    from evlog.engine import Table
    from evlog.person.erase import Receipt
    from evlog.person.link import Told
    from evlog.query.ask import Question
    from evlog.query.result import Column, Kind, Result

_ID = Argument(metavar="ID", help="A user id, or - to read ids from stdin, one a line.")
_FROM = Argument(metavar="ANON", help="The id that belongs to a user, or - to read it from stdin.")
_TO = Argument(metavar="ID", help="The user it belongs to, or - to read it from stdin.")
_KINDS: "dict[str, Kind]" = {"TIMESTAMP": "instant", "DATE": "date", "BIGINT": "count", "HUGEINT": "count"}
_JSON = ("properties", "context")


@command(example="evlog user export u_42 --output u_42.ndjson", prints="ndjson")
def export(call: "Call", *, user: Annotated[str, _ID], **given: Any) -> None:
    """Print every event of a user, under each id that means them, and nothing else; of a user nobody knows, none."""
    from evlog.person import export as access
    from evlog.query.result import Result

    shape, store = printing.shape(given), call.store()
    tables = [access.export(store, one) for one in consent.ids([user])]
    rows = tuple(row for table in tables for row in table.rows)
    result = Result("export", _columns(tables[0]), rows, call.now, events_read=len(rows))
    printing.emit(call, result, shape, bare=True)


def _columns(table: "Table") -> "tuple[Column, ...]":
    from evlog.query.result import Column

    return tuple(
        Column(name, "json" if name in _JSON else _KINDS.get(kind, "text"))
        for name, kind in zip(table.names, table.types, strict=True)
    )


@command(example="evlog user delete u_42 --dry-run", exits=(1, 4), prints="table")
def delete(
    call: "Call",
    *,
    user: Annotated[str, _ID],
    dry_run: Annotated[bool, maintaining.DRY_RUN] = False,
    yes: Annotated[bool, maintaining.YES] = False,
    wait: Annotated[str | None, maintaining.WAIT] = None,
    **given: Any,
) -> int:
    """Erase a user from every tier, for good: events go, mentions by others become `[erased]`, nothing comes back.

    Every id that means the user now goes too, links and all; an id that others used as well is unlinked.

    The answer is a receipt: each file that was rewritten with its checksums, and what a scan of all files found after.
    Exit 1: it found something.
    """
    from evlog.person import erase

    shape, store, seconds = printing.shape(given), call.store(), maintaining.seconds(wait)
    users = consent.ids([user])
    if not dry_run:
        consent.confirm(f"erase {_told(users)} from every tier for good?", yes=yes)
    receipts = []
    for one in users:
        receipts.append(erase.erase(store, one, wait=seconds, dry_run=dry_run))
        call.kept = lambda: f"{len(receipts)} of {len(users)} users are erased; run it again for the rest"
    printing.emit(call, _receipt(call, receipts, dry_run=dry_run, table=shape.table), shape)
    return 1 if any(receipt.found for receipt in receipts) else 0


def _told(users: list[str]) -> str:
    return f"user {users[0]}" if len(users) == 1 else f"{len(users)} users"


@command(example="evlog user link device-7f3a u_42")
def link(call: "Call", *, anon: Annotated[str, _FROM], user: Annotated[str, _TO]) -> None:
    """Say that events of one id belong to a user, past ones too; reports, export and delete go by it from now on.

    The id may be an anonymous one, or a user id that was given up. What is said last holds; `unlink` takes it back.
    Ids that an event carries together, and those of alias events, are linked without a word.
    """
    from evlog.cli import clock
    from evlog.person import link as saying

    source, target = _pair(anon, user)
    told = saying.link(call.store(), source, target, now=clock.now(), by=_who(call))
    if told.changed:
        call.out.note(f"events of {source} belong to {target} now; take it back with: evlog user unlink {source}")
    else:
        call.out.note(f"{source} is linked to {told.person} already: nothing was changed")


@command(example="evlog user unlink device-7f3a")
def unlink(call: "Call", *, anon: Annotated[str, _FROM]) -> None:
    """Take back all that was said of an id up to now, by people or by events: it is itself again.

    Nothing was rewritten by the link, so every answer is what it was before. A later event that links it holds again.
    """
    from evlog.cli import clock
    from evlog.person import link as saying

    for source in consent.ids([anon]):
        told: Told = saying.unlink(call.store(), source, now=clock.now(), by=_who(call))
        call.out.note(
            f"{source} is itself again; what was said of it up to now no longer holds"
            if told.changed
            else f"{source} is linked to nobody: nothing was changed"
        )


def _pair(anon: str, user: str) -> tuple[str, str]:
    """The two ids; those given as `-` are read from stdin, one a line."""
    given = [anon, user]
    found = [anon, user] if "-" not in given else consent.ids(["-"])
    if given == ["-", "-"] and len(found) == len(given):
        return found[0], found[1]
    if "-" in given and len(found) == 1:
        return (found[0], user) if anon == "-" else (anon, found[0])
    if "-" in given:
        raise UsageError(f"stdin names {len(found)} ids", hint="one a line, for each - that was said")
    return anon, user


def _who(call: "Call") -> str:
    """Who says so, as far as the system knows."""
    return call.environ.get("USER") or call.environ.get("LOGNAME") or "evlog user"


def journey(name: str) -> "TyperCommand":
    """The command that prints what one user did: the report of that name, about an id."""
    from inspect import Parameter

    user = Parameter("user", Parameter.KEYWORD_ONLY, annotation=Annotated[str, _ID])
    parameters = [user, *asking.parameters(), *map(setting, asking.SETTINGS), *printing.parameters()]
    about = About("evlog user journey u_42 --days 7", (1,))
    says = "What one user did, event by event, under each id that means them; as report journey has it."
    return built_from(name, _journey, parameters, about, help_=says)


def _journey(call: "Call", *, user: str, **given: Any) -> None:
    from evlog.query.ask import ask
    from evlog.reports import load

    shape, store = printing.shape(given), call.store()
    scope = asking.scope(call, store, given, table=shape.table)
    ids = consent.ids([user])
    if len(ids) > 1:
        raise UsageError(f"a journey is one user's, not that of {len(ids)}")

    def told(question: "Question") -> "Result":
        return load("journey").report(question, user=question.identity.person(ids[0]))

    printing.emit(call, ask(store, scope, told), shape)


def _receipt(call: "Call", receipts: "list[Receipt]", *, dry_run: bool, table: bool) -> Any:
    """A row for each file that was rewritten; a table leaves out what only a machine compares."""
    from evlog.query.result import Column, Result

    counts = {"removed", "mentions"}
    names = ("path", "tier", "removed", "mentions", *(() if table else ("subject", "before", "after")))
    rows = tuple(
        tuple(receipt.subject if name == "subject" else getattr(changed, name) for name in names)
        for receipt in receipts
        for changed in receipt.files
    )
    tiers = ("events", "parquet", "quarantine", "links", "firsts")
    summary = {
        "users": len(receipts),
        "subjects": ", ".join(subject for receipt in receipts for subject in receipt.subjects),
        "ids": sum(len(receipt.subjects) for receipt in receipts),
        "unlinked": sum(receipt.unlinked for receipt in receipts),
        **{f"removed_{tier}": sum(receipt.removed.get(tier, 0) for receipt in receipts) for tier in tiers},
        "mentions": sum(receipt.mentions for receipt in receipts),
        "scanned": max((receipt.scanned for receipt in receipts), default=0),
        "found": sum(receipt.found for receipt in receipts),
    }
    columns = tuple(Column(name, "count" if name in counts else "text") for name in names)
    notes = tuple(_notes(receipts, dry_run=dry_run))
    kinds: dict[str, Kind] = {"subjects": "text"}
    return Result("erasure", columns, rows, call.now, summary=summary, summary_kinds=kinds, notes=notes)


def _notes(receipts: "list[Receipt]", *, dry_run: bool) -> list[str]:
    if dry_run:
        return ["dry run: nothing was erased"]
    found = sum(receipt.found for receipt in receipts)
    scanned = max((receipt.scanned for receipt in receipts), default=0)
    return [f"a scan of {scanned} files found {found or 'nothing'}; a tombstone keeps new events of the user out"]
