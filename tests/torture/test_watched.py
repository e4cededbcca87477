"""Every command that writes, watched step by step in this process: the order of writing, locks, modes, what comes of it.

Each is tried upon a store in order, and upon one where a commit waits to be applied, beside a staging folder of the dead
and one of the living.
"""

from __future__ import annotations

import pytest
import torture
from commands import COMMANDS
from watched import faults

NAMES = torture.share(list(COMMANDS), 3, "some")
LEFT = torture.share([name for name, command in COMMANDS.items() if command.left], 4, "left")
TWICE = ("ingest", "compact", "again", "merge", "purge", "delete", "rollup", "archive", "clear", "copy")
"""Commands that take the commit lock more than once."""
DIED = torture.share(TWICE, 5, "died")


@pytest.mark.parametrize("name", NAMES)
def test_each_step(name: str) -> None:
    assert faults(name) == []


@pytest.mark.parametrize("name", DIED)
def test_when_another_dies_meanwhile(name: str) -> None:
    assert faults(name, died=True) == []


@pytest.mark.parametrize("name", LEFT)
def test_after_a_crash(name: str) -> None:
    assert faults(name, left=True) == []
