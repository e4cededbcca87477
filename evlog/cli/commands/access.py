"""`evlog user export`: everything that is known of a user, handed out."""

from contextlib import contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from evlog.cli import consent, handing, printing, streams
from evlog.cli.command import command
from evlog.cli.progress import progress
from evlog.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evlog.cli.call import Call
    from evlog.cli.handing import Request
    from evlog.store.layout import Store

_ID = Argument(metavar="ID", help="A user id, or - to read ids from stdin, one a line.")
_TO = Option(
    "--to", metavar="DIR", help="Write a new folder: events, their meaning, ids, links, refused lines, checksums."
)
_SMALL = 8 << 20  # bytes: what is larger waits on the disk of the store until all of it is read
_PIECE = 1 << 20


@command(example="evlog user export u_42 --to u_42", prints="ndjson")
def export(call: "Call", *, user: Annotated[str, _ID], to: Annotated[str | None, _TO] = None, **given: Any) -> None:
    """Print every event of a user, under each id that means them, and nothing else; of a user nobody knows, none.

    With --to a new folder also holds what the columns, event types and properties mean, the ids and links of the user,
    their words of consent, their lines in quarantine, counts that name them, and SHA256SUMS. Of several ids each has a
    numbered folder in it. With --output these stand beside the file. All is for its owner alone, whole or not there.
    """
    shape, store = printing.shape(given), call.store()
    request = handing.Request(call, store, tuple(dict.fromkeys(consent.ids([user]))), shape)
    if to is not None and shape.output is not None:
        raise UsageError("--to and --output name two places", hint="give one of them")
    if to is not None:
        handing.folder(request, Path(to))
    elif shape.output is not None and handing.is_plain(Path(shape.output)):
        handing.beside(request, Path(shape.output))
    else:
        _printed(request)


def _printed(request: "Request") -> None:
    """Print the events, once all of them are read and the audit log knows of it."""
    shape = request.shape
    with _spool(request.store) as spool:
        with progress(request.call.out, "export", None) as seen:
            rows = handing.events(request, spool, seen=seen, shown=shape.output is None)
        handing.audited(request, rows)
        with streams.opened(shape) as stream:
            spool.seek(0)
            while piece := spool.read(_PIECE):
                stream.write(piece)


@contextmanager
def _spool(store: "Store") -> "Iterator[IO[bytes]]":
    """Yield a file in memory that, once it is large, lies on the disk of the store without a name."""
    with SpooledTemporaryFile(max_size=_SMALL, dir=str(store.staging)) as spool:
        yield spool
