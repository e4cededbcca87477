"""`evlog user`: what is known of a user, handed out or erased."""

from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument

from evlog.cli import consent, maintaining, printing
from evlog.cli.command import command

if TYPE_CHECKING:
    from evlog.cli.call import Call
    from evlog.engine import Table
    from evlog.person.erase import Receipt
    from evlog.query.result import Column, Kind

_ID = Argument(metavar="ID", help="A user id, or - to read ids from stdin, one a line.")
_KINDS: "dict[str, Kind]" = {"TIMESTAMP": "instant", "DATE": "date", "BIGINT": "count", "HUGEINT": "count"}
_JSON = ("properties", "context")


@command(example="evlog user export u_42 --output u_42.ndjson", prints="ndjson")
def export(call: "Call", *, user: Annotated[str, _ID], **given: Any) -> None:
    """Print every event of a user, from every tier, and nothing else; of a user nobody knows, none."""
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
    tiers = ("events", "parquet", "quarantine")
    summary = {
        "users": len(receipts),
        "subjects": ", ".join(receipt.subject for receipt in receipts),
        **{f"removed_{tier}": sum(receipt.removed[tier] for receipt in receipts) for tier in tiers},
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
