"""One call from the words of the command line to an exit code."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from evlog.cli.app import root
from evlog.cli.call import Call
from evlog.cli.faults import fault, unforeseen
from evlog.errors import EvlogError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PARSER_FAULT: type[Exception] = typer.BadParameter.__mro__[2]
"""What typer raises for a call it cannot read; its name lives in a private module (0.20: in click)."""


def run(words: Sequence[str]) -> int:
    """Do what `words` ask; the exit code."""
    _open_streams()
    call = Call(os.environ)
    if "--debug" not in words:
        sys.excepthook = unforeseen
        warnings.simplefilter("ignore")  # what a library wants to tell its caller is no news for ours
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = _answered(list(words), call)
        sys.stdout.flush()
    except BrokenPipeError:
        return 0  # who listened has heard enough
    except (EvlogError, OSError, MemoryError, KeyboardInterrupt, _PARSER_FAULT) as error:
        return _told(error, call)
    return code


def _open_streams() -> None:
    """Make both streams take whatever is printed: one may be closed (`>&-`), and few encodings know all signs."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open to the end
        getattr(sys, name).reconfigure(errors="backslashreplace")


def _answered(words: list[str], call: Call) -> int:
    tree = root()
    if "_EVLOG_COMPLETE" in os.environ:
        tree.main(words, prog_name="evlog")
    try:
        with tree.make_context("evlog", words, obj=call) as context:
            code: Any = tree.invoke(context)
    except typer.Exit as left:
        code = left.exit_code
    return int(code or 0)


def _told(error: BaseException, call: Call) -> int:
    if call.debug:
        import traceback

        traceback.print_exception(error)
    said = fault(error, call)
    with contextlib.suppress(OSError):  # where nobody listens, the exit code still says it
        call.out.error(said.message, said.hint)
    return said.code
