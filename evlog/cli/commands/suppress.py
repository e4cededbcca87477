"""`evlog user suppress`: store nothing more of a user; the past stays."""

from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from evlog.cli import consent, printing
from evlog.cli.command import command

if TYPE_CHECKING:
    from evlog.cli.call import Call
    from evlog.person.suppress import Told

_ID = Argument(metavar="ID", help="A user id or an anonymous id, or - to read ids from stdin, one a line.")


@command(example="evlog user suppress u_42", prints="table")
def suppress(
    call: "Call",
    *,
    user: Annotated[str, _ID],
    lift: Annotated[bool, Option("--lift", help="Take it back: events are stored again from now on.")] = False,
    **given: Any,
) -> None:
    """Store nothing more of a user, under any id that means them now; what is stored already stays as it is.

    Ingest counts their events as no_consent and keeps them nowhere. A `user_consent_update` event that refuses consent
    does the same by itself, and one that gives it takes it back, if it is from later.
    """
    from evlog.cli import clock
    from evlog.person import suppress as suppressing
    from evlog.query.result import Column, Result

    shape, store = printing.shape(given), call.store()
    by = call.environ.get("USER") or call.environ.get("LOGNAME") or "evlog user"
    told = suppressing.suppress(store, consent.ids([user]), now=clock.now(), by=by, lift=lift)
    columns = (
        Column("subject"), Column("suppressed", "flag"), Column("ids", "count"), Column("since", "instant"),
        Column("changed", "flag"),
    )  # fmt: skip
    rows = tuple((one.subject, one.suppressed, one.ids, one.since, one.changed) for one in told)
    result = Result("suppress", columns, rows, call.now, notes=(_note(told, lift=lift),))
    printing.emit(call, result, shape)


def _note(told: "list[Told]", *, lift: bool) -> str:
    users, changed = printing.several(len(told), "user"), sum(one.changed for one in told)
    if not changed:
        return f"{users} {'not suppressed' if lift else 'suppressed already'}: nothing was changed"
    if lift:
        return f"events of {users} are stored again from now on"
    return f"nothing more is stored of {users}; take it back with: evlog user suppress ID --lift"
