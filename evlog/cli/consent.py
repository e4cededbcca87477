"""Leave to destroy: asked for on a terminal, `--yes` elsewhere. And ids that need not stand in a process list."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from evlog.errors import EvlogError, UsageError
from evlog.render.escape import escape

if TYPE_CHECKING:
    from collections.abc import Iterable


def confirm(question: str, *, yes: bool, cron: bool = False) -> None:
    """Return if somebody agrees to what `question` says will happen; EvlogError otherwise.

    With `cron`, nobody needs to where there is no terminal to ask on.
    """
    asks = sys.stdin.isatty() and sys.stderr.isatty()
    if yes or (cron and not asks):
        return
    if not asks:
        raise EvlogError(question, hint="nothing was changed; say --yes to go on, or --dry-run to see what would go")
    sys.stderr.write(f"{escape(question)} [y/N] ")
    sys.stderr.flush()
    said = sys.stdin.readline()
    sys.stderr.write("" if said.endswith("\n") else "\n")
    if said.strip().lower() not in {"y", "yes"}:
        raise EvlogError("nothing was changed")


def ids(given: Iterable[str]) -> list[str]:
    """The ids that were given, as they stand: an id may be blanks. `-` stands for those on stdin, one a line."""
    found: list[str] = []
    for word in given:
        found += [line.rstrip("\r\n") for line in sys.stdin] if word == "-" else [word]
    found = [one for one in found if one]
    if not found:
        raise UsageError("no id was given", hint="name one, or - to read them from stdin, one a line")
    return found
