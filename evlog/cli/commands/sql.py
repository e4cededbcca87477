"""`evlog sql`: a person's own SELECT."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument

from evlog.cli import printing
from evlog.cli.command import command

if TYPE_CHECKING:
    from evlog.cli.call import Call


@command(
    example="evlog sql 'SELECT event_type, count(*) AS n FROM events GROUP BY ALL ORDER BY n DESC'", prints="table"
)
def sql(
    call: "Call",
    statement: Annotated[str, Argument(metavar="'SELECT …'", help="One statement; - reads stdin.")],
    **given: Any,
) -> None:
    """Ask the view `events` in SQL (DuckDB's): one SELECT, EXPLAIN or DESCRIBE, which only reads."""
    from evlog.query.sql import select

    text = sys.stdin.read() if statement == "-" else statement
    printing.emit(call, select(call.store(), text, as_of=call.now), printing.shape(given), bare=True)
