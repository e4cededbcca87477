"""One tree of errors: each class builds its own sentence and carries its exit code and what to do next.

Exit codes (the contract of the command line): 1 failed or refused, 2 usage, 4 the store is locked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pathlib import Path


class EvlogError(Exception):
    """What evlog says when it cannot do what was asked: one sentence, and a hint where one helps."""

    exit_code: ClassVar[int] = 1
    hint: str | None = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint


class UsageError(EvlogError):
    """The words of the call are off: a date that is none, an unknown operator, an empty step."""

    exit_code = 2


class StoreMissing(EvlogError):
    """There is no store where one was expected."""

    hint = "create it with: evlog init, or name it with --data DIR"

    def __init__(self, root: Path) -> None:
        super().__init__(f"there is no event store at {root}")


class StoreDamaged(EvlogError):
    """A file of the store does not say what it must."""

    hint = "look closer with: evlog verify"


class StoreLocked(EvlogError):
    """Another command holds the lock that this one needs."""

    exit_code = 4
    hint = "wait for it with --wait"

    def __init__(self, what: str, holder: str) -> None:
        super().__init__(f"the store is locked for {what} by {holder}")


class WriteFailed(EvlogError):
    """A write, fsync or rename failed; nothing of what it was for was published, and batches before it stay."""

    hint = "what was committed before is kept, nothing is half done; mend the disk or make room, and run it again"


class PlanError(EvlogError):
    """The tracking plan cannot be used; names the file, the place in it, and what was expected."""
