"""`evlog user rotate-key`: a new key for pseudonyms."""

from typing import TYPE_CHECKING, Annotated, Any

from evlog.cli import consent, maintaining, printing
from evlog.cli.command import command

if TYPE_CHECKING:
    from evlog.cli.call import Call


@command(
    example="evlog user rotate-key --yes",
    exits=(1,),
    settings=("pseudonym_key",),
    prints="table",
)
def rotate(
    call: "Call",
    *,
    dry_run: Annotated[bool, maintaining.DRY_RUN] = False,
    yes: Annotated[bool, maintaining.YES] = False,
    **given: Any,
) -> None:
    """Make a new key for --pseudonymise; the old one is gone, and the audit log says when.

    What was handed out before and what will be can no longer be joined, and nobody can tell any more whose pseudonyms
    the old ones were. A copy of the old key elsewhere, in a backup, still could.
    """
    from evlog.cli import clock
    from evlog.query.result import Column, Result
    from evlog.store import pseudonym

    shape, store, named = printing.shape(given), call.store(), call.settings.pseudonym_key
    path = named or store.root / pseudonym.KEY
    if not dry_run:
        consent.confirm(f"put a new key into {path}, and lose the old one for good?", yes=yes)
        by = call.environ.get("USER") or call.environ.get("LOGNAME") or "evlog user"
        pseudonym.rotate(store, named, now=clock.now(), by=by)
    notes = ("dry run: nothing was changed",) if dry_run else ()
    columns = (Column("key"), Column("changed", "flag"))
    printing.emit(call, Result("rotate-key", columns, ((str(path), not dry_run),), call.now, notes=notes), shape)
