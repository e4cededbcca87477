"""`evlog sql`: a person's own SELECT."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from evlog.cli import printing
from evlog.cli.command import command
from evlog.errors import UsageError

if TYPE_CHECKING:
    from evlog.cli.call import Call

_PSEUDONYMS = "Pseudonyms for user_id, anonymous_id and session_id: keyed hashes that stay the same under one key."


@command(
    example="evlog sql 'SELECT event_type, count(*) AS n FROM events GROUP BY ALL ORDER BY n DESC'",
    settings=("pseudonym_key",),
    prints="table",
)
def sql(
    call: "Call",
    statement: Annotated[str, Argument(metavar="'SELECT …'", help="One statement; - reads stdin.")],
    pseudonymise: Annotated[bool, Option("--pseudonymise", help=_PSEUDONYMS)] = False,
    **given: Any,
) -> None:
    """Ask the view `events` in SQL (DuckDB's): one SELECT, EXPLAIN or DESCRIBE, which only reads.

    With --pseudonymise, ids are told by the names of their columns: a statement that shows one under another name is
    refused, as are properties without the ids of their event. Another user's id in a property is not known to be one.
    """
    from evlog.query import id_columns
    from evlog.query.sql import select

    text = sys.stdin.read() if statement == "-" else statement
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise UsageError("the statement is not UTF-8")
    shape = replace(printing.shape(given), pseudonymise=pseudonymise)
    if pseudonymise:
        id_columns.vet(text)
    printing.emit(call, select(call.store(), text, as_of=call.now), shape, bare=True)
