"""The entry point: `evlog --version` answers before anything else is imported."""

from __future__ import annotations

import gc
import os
import sys

_CYCLES = 50_000
"""Objects made between two looks for cycles: looking among all that is imported takes a twentieth of a quick answer."""


def main() -> None:
    """Run evlog on the words of the command line."""
    words = sys.argv[1:]
    if words[:1] in (["--version"], ["-V"]):
        from evlog import __version__

        sys.stdout.write(f"evlog {__version__}\n")
        return
    gc.set_threshold(_CYCLES)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy starts threads to multiply matrices: 70 ms, for nothing
    try:
        from evlog.cli.run import run

        code = run(words)
    except KeyboardInterrupt:  # before there was anything to keep, or again while it was told
        code = 130
    os._exit(code)  # all is written and closed: taking the interpreter and DuckDB apart would cost 40 ms more
