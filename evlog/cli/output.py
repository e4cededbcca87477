"""What evlog prints: results to stdout, everything else to stderr. Nothing else writes to either."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from evlog.errors import UsageError
from evlog.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evlog.cli.printing import Shape
    from evlog.query.result import Result
    from evlog.render.style import Style


def complain(message: str, hint: str | None, stream: TextIO) -> None:
    """Write an error as a person reads it: what, and below it what to do."""
    from evlog.render.escape import escape

    first, *more = [escape(line) for line in message.splitlines()] or [""]
    lines = [f"evlog: {first}", *(f"       {line}" for line in more)]
    if hint:
        lines += [f"       {escape(line)}" for line in hint.splitlines()]
    stream.write("\n".join(lines) + "\n")


@dataclass(frozen=True, slots=True)
class Output:
    """The two streams of a call."""

    quiet: bool = False
    color: bool = True

    def text(self, text: str) -> None:
        """Print `text` and a line end to stdout."""
        sys.stdout.write(text + "\n")

    def note(self, text: str) -> None:
        """Say something beside the result, unless nobody wants to hear it."""
        if not self.quiet:
            sys.stdout.flush()
            from evlog.render.escape import escape

            sys.stderr.write(f"{escape(text)}\n")

    def flush(self) -> None:
        """See to it that what was printed to stdout is out."""
        sys.stdout.flush()

    def error(self, message: str, hint: str | None) -> None:
        """Say what went wrong; that stdout cannot be written may be it."""
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        complain(message, hint, sys.stderr)

    def result(self, result: Result, shape: Shape, *, bare: bool = False) -> None:
        """Print a result, to stdout or to the file that `shape` names."""
        from evlog import render

        form = "plot" if shape.plot else shape.format
        if shape.output is None:
            if shape.format in render.BINARY and sys.stdout.isatty():
                raise UsageError(f"{shape.format} is no text for a terminal", hint="write it to a file: --output FILE")
            sys.stdout.flush()
            style = self.style(sys.stdout, drawn=shape.plot)
            render.write(result, sys.stdout.buffer, form=form, style=style, raw_csv=shape.raw_csv, bare=bare)
            return
        from evlog.render.output import written_whole

        with written_whole(Path(shape.output)) as file:
            render.write(result, file, form=form, raw_csv=shape.raw_csv, bare=bare)

    def octets(self, data: bytes, shape: Shape) -> None:
        """Print bytes, to stdout or to the file that `shape` names."""
        if shape.output is None:
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            return
        from evlog.render.output import written_whole

        with written_whole(Path(shape.output)) as file:
            file.write(data)

    def style(self, stream: TextIO, *, drawn: bool = True) -> Style:
        """What a table or, if it is `drawn`, a picture on `stream` may look like."""
        from evlog.render.style import PICTURE, Style

        terminal = stream.isatty()
        columns = _columns() if terminal or drawn else PICTURE
        dumb = os.environ.get("TERM") == "dumb"
        return Style(
            columns if terminal else None,
            colour=terminal and self.color and not dumb,
            encoding=stream.encoding,
            ascii_only=dumb or _plain_locale(os.environ),
            colours=_colours(os.environ),
            picture=columns,
        )


def _columns() -> int:
    import shutil  # 2 ms: a table in a pipe has no width

    return shutil.get_terminal_size().columns


def _plain_locale(environ: Mapping[str, str]) -> bool:
    """Whether somebody asked for the C locale; Python itself speaks UTF-8 even there."""
    asked = environ.get("LC_ALL") or environ.get("LANG") or ""
    return asked in {"C", "POSIX"} and bool(sys.flags.utf8_mode)


def _colours(environ: Mapping[str, str]) -> int:
    """How many colours the terminal shows."""
    deep = "256" in environ.get("TERM", "") or environ.get("COLORTERM", "") in {"truecolor", "24bit"}
    return 256 if deep else 16
