"""`evlog verify`: whether every file of the store says what it must."""

from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from evlog.cli import maintaining, printing
from evlog.cli.command import command
from evlog.cli.progress import progress

if TYPE_CHECKING:
    from evlog.cli.call import Call
    from evlog.verify import Finding


@command(example="evlog verify", exits=(1, 4), prints="table")
def verify(
    call: "Call",
    *,
    repair: Annotated[bool, Option("--repair", help="Mend what can be derived; events are never touched.")] = False,
    wait: Annotated[str | None, maintaining.WAIT] = None,
    **given: Any,
) -> int:
    """Read every file of the store and hold it against what must be true. Exit 1: something is not."""
    from evlog import verify as verifying
    from evlog.query.result import Column, Result

    shape, store = printing.shape(given), call.store()
    with progress(call.out, "verify", None, unit="files") as seen:
        told = verifying.verify(store, repair=repair, wait=maintaining.seconds(wait), seen=seen)
    rows = tuple(_row(one, "repaired") for one in told.repaired) + tuple(_row(one, "wrong") for one in told.findings)
    summary = {"files": told.files, "events": told.events, "wrong": len(told.findings), "repaired": len(told.repaired)}
    mendable = sum(one.repairable for one in told.findings)
    notes = ["everything holds"] if told.holds else []
    notes += [f"{mendable} of them can be mended with: evlog verify --repair"] if mendable and not repair else []
    columns = (Column("state"), Column("path"), Column("says"), Column("repairable", "flag"))
    printing.emit(call, Result("verify", columns, rows, call.now, summary=summary, notes=tuple(notes)), shape)
    return 0 if told.holds else 1


def _row(found: "Finding", state: str) -> tuple[Any, ...]:
    return state, found.path, found.says, found.repairable
