"""The mark of the last look: when a person last saw the dashboard of a store.

It belongs to the person, so it lies in their state folder, a small file for each store. Without it the dashboard is the
same, so that a folder that cannot be written is no error.
"""

from __future__ import annotations

import contextlib
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def folder(environ: Mapping[str, str]) -> Path:
    """The folder of the marks: below $XDG_STATE_HOME, else below ~/.local/state."""
    named = environ.get("XDG_STATE_HOME", "")
    state = Path(named) if os.path.isabs(named) else Path(environ.get("HOME") or "~").expanduser() / ".local" / "state"  # noqa: PTH117 - of a text that may be empty
    return state / "evlog" / "looks"


def last(looks: Path, store: str) -> datetime | None:
    """The instant up to which the store was last looked at; None if nobody did, or the mark is unreadable."""
    try:
        return datetime.fromisoformat((looks / store).read_text("utf-8").strip())
    except (OSError, ValueError):
        return None


def keep(looks: Path, store: str, instant: datetime) -> None:
    """Remember that the store was looked at up to `instant`: the new mark takes the place of the old one at once."""
    scratch = looks / f".{store}.{os.getpid()}"
    with contextlib.suppress(OSError):
        looks.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch.unlink(missing_ok=True)  # left by a look that was cut short; whatever it is, nothing goes through it
        with open(os.open(scratch, _NEW, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
            file.write(f"{instant.isoformat()}\n")
        scratch.replace(looks / store)
