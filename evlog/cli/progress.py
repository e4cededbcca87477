"""Progress: how far a long command is, for a person who waits at a terminal; silence for everybody else."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evlog.cli.output import Output

_EVERY = 0.1  # seconds between two drawings: the bar costs nothing beside the work


@contextmanager
def progress(out: Output, what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Yield a function that hears how much of `total` (bytes; None: not known) is done."""
    if out.quiet or not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True, no_color=not out.color)
    # drawn by us alone: a drawing thread would be copied, with its locks, into the processes that ingest forks
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task(what, total=total)
        drawn = 0.0

        def done(count: int) -> None:
            nonlocal drawn
            bar.update(task, completed=count)
            if time.monotonic() - drawn >= _EVERY:
                drawn = time.monotonic()
                bar.refresh()

        yield done
