"""What may be the id of somebody, where a person names one."""

from __future__ import annotations

import re

from evlog.errors import UsageError
from evlog.query.identity import NOBODY

_LONGEST = 256  # bytes of an id, as ingest has it
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def vet(one: str, *, usage: str) -> None:
    """Return if `one` can be the id of somebody; `usage` is the call that would name one."""
    if not one:
        raise UsageError("an id is empty", hint=f"name it: {usage}")
    if one.lower() in NOBODY:
        raise UsageError(f"{one!r} means nobody, as a user id", hint="name the id of one person")
    raw = one.encode(errors="replace")
    if len(raw) > _LONGEST or raw.decode() != one or _CONTROL.search(one):
        raise UsageError("an id has at most 256 bytes and no control characters", hint="name it as its events do")
