"""Progress: how far a long command is, for a person who waits at a terminal; silence for everybody else."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evlog.cli.output import Output

_EVERY = 0.1  # seconds between two drawings: the bar costs nothing beside the work


class Seen(Protocol):
    """Hears how much is done, and of how much, where that was not known before."""

    def __call__(self, done: int, total: int | None = None, /) -> None:
        """Take note."""


@contextmanager
def progress(
    out: Output, what: str, total: int | None, *, unit: Literal["bytes", "days", "files"] = "bytes"
) -> Iterator[Seen]:
    """Yield what hears of progress towards `total` (None: not known yet)."""
    if out.quiet or not sys.stderr.isatty():
        yield lambda _done, _total=None: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TransferSpeedColumn

    counted = (DownloadColumn(), TransferSpeedColumn()) if unit == "bytes" else (MofNCompleteColumn(), TextColumn(unit))
    console = Console(stderr=True, no_color=not out.color)
    # drawn by us alone: a drawing thread would be copied, with its locks, into the processes that ingest forks
    columns = (TextColumn("{task.description}"), BarColumn(), *counted)
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task(what, total=total)
        drawn = 0.0

        def seen(done: int, total: int | None = None, /) -> None:
            nonlocal drawn
            bar.update(task, completed=done, total=total)
            if time.monotonic() - drawn >= _EVERY:
                drawn = time.monotonic()
                bar.refresh()

        yield seen
