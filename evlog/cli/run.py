"""One call from the words of the command line to an exit code."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import warnings
from typing import TYPE_CHECKING, Literal

from evlog.cli.call import Call
from evlog.errors import EvlogError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

_OURS = 0o077
"""What is made is its owner's alone, and its owner can use it: whatever the umask, and whichever library makes it."""

_STREAMS: dict[str, Literal["r", "w"]] = {"stdin": "r", "stdout": "w", "stderr": "w"}  # in the order of their numbers


def run(words: Sequence[str]) -> int:
    """Do what `words` ask; the exit code."""
    _open_streams()
    call = Call(os.environ)
    if "--debug" not in words:
        sys.excepthook = _unforeseen
        warnings.simplefilter("ignore")  # what a library wants to tell its caller is no news for ours
    _listen()
    before = os.umask(_OURS)
    try:
        code = _answered(list(words), call)
        sys.stdout.flush()
    except BrokenPipeError:
        return 0  # who listened has heard enough
    except (EvlogError, OSError, MemoryError, KeyboardInterrupt) as error:
        return _told(error, call)
    finally:
        os.umask(before)
    return code


def _unforeseen(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    from evlog.cli.faults import unforeseen

    unforeseen(kind, error, trace)


def _listen() -> None:
    """Let `kill`, and a terminal that hangs up, end a command as Ctrl-C does; not where `nohup` said otherwise."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def _open_streams() -> None:
    """Make both streams take whatever is printed: one may be closed (`>&-`), and few encodings know all signs.

    A file of the store never gets the number of a stream that is closed: something might write to it as if it were one.
    """
    while (free := os.open(os.devnull, os.O_RDWR)) < len(_STREAMS):
        pass
    os.close(free)
    for number, (name, mode) in enumerate(_STREAMS.items()):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - to the end
        if mode == "w":
            getattr(sys, name).reconfigure(errors="backslashreplace")


def _answered(words: list[str], call: Call) -> int:
    from evlog.cli.words import answered

    if answered(words, call):
        return 0
    from evlog.cli.app import read

    return read(words, call)


def _told(error: BaseException, call: Call) -> int:
    if call.debug:
        import traceback

        traceback.print_exception(error)
    from evlog.cli.faults import fault

    said = fault(error, call)
    with contextlib.suppress(OSError):  # where nobody listens, the exit code still says it
        call.out.error(said.message, said.hint)
    return said.code
