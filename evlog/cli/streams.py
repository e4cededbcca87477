"""Where bytes go that are written as they are made: stdout, or a file that is whole or not there."""

from __future__ import annotations

import contextlib
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from evlog.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evlog.cli.printing import Shape


@contextmanager
def opened(shape: Shape) -> Iterator[BinaryIO]:
    """Yield the stream that `shape` names. After it, what was written is as safe as can be: synced, if in a file."""
    from evlog import render

    if shape.output is not None:
        from evlog.render.output import written_whole

        with written_whole(Path(shape.output)) as file:
            yield file
        return
    if shape.format in render.BINARY and sys.stdout.isatty():
        raise UsageError(f"{shape.format} is no text for a terminal", hint="write it to a file: --output FILE")
    sys.stdout.flush()
    yield sys.stdout.buffer
    flush()


def flush() -> None:
    """Hand on what was written to stdout; where it is a file, to the disk."""
    sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError):  # a pipe or a terminal has no disk
        os.fsync(sys.stdout.fileno())
