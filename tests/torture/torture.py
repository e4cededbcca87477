"""How much of a suite runs, and how it says what it did: a share with the other tests, all of it under `make torture`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

ALL = os.environ.get("EVLOG_TORTURE") == "1"
Point = TypeVar("Point")


def share(points: Sequence[Point], one_in: int, salt: str) -> list[Point]:
    """One of so many of these points, spread evenly, beginning where `salt` says; under `make torture` all of them."""
    return list(points) if ALL else list(points[len(salt) % one_in :: one_in])


def much(everything: int, some: int) -> int:
    """How often to repeat: `everything` under `make torture`, else `some`."""
    return everything if ALL else some


@cache
def can_trace() -> bool:
    """Whether strace is here and may do its work (some containers forbid it)."""
    if shutil.which("strace") is None:
        return False
    kill = ("-e", "trace=write", "-e", "inject=write:signal=KILL:when=1")
    probe = ["strace", "-f", "-qq", *kill, sys.executable, "-c", "print(1)"]
    return subprocess.run(probe, capture_output=True, check=False).returncode not in (0, 1)


@cache
def can_mount() -> bool:
    """Whether we may mount a file system of our own: root, a loop device, ext4 in the kernel."""
    return os.geteuid() == 0 and Path("/dev/loop-control").exists() and shutil.which("mkfs.ext4") is not None
