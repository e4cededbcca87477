"""All that a command makes is its owner's alone, whatever the umask; and a tight one is met with words."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import household
import pytest
import torture

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Tally

_INPUT = {"evlog.toml", "plan.toml", "first.ndjson", "second.ndjson", "third.ndjson", "mask.key"}
NAMES = list(household.CALLS)


def _open(home: Path) -> list[str]:
    """What others may use in a home, besides what the test itself put there."""
    found = [path for path in home.rglob("*") if not path.is_symlink() and str(path.relative_to(home)) not in _INPUT]
    return [f"{path.relative_to(home)}: {path.stat().st_mode:o}" for path in found if path.stat().st_mode & 0o077]


@pytest.mark.parametrize("umask", [0o000, 0o777, 0o022])
def test_what_is_made_is_its_owners_alone(umask: int, tmp_path: Path, tally: Tally) -> None:
    some = torture.share(NAMES, 9, "x" * umask)
    for name in some:
        home = household.copied(household.usual(), tmp_path / name.replace(" ", "-"))
        before = os.umask(umask)
        try:
            told = household.call(home, *household.CALLS[name])
        finally:
            os.umask(before)
        assert told.code in (0, 1, 3), (name, told)
        assert "bug in evlog" not in told.err, (name, told)
        assert _open(home) == [], name
        _usable(home, name)
    tally("modes", calls=len(some))


def _usable(home: Path, name: str) -> None:
    """Assert that the owner can use all of it, however tight the umask was: root could in any case."""
    for path in home.rglob("*"):
        mode = path.stat().st_mode
        wanted = 0o700 if stat.S_ISDIR(mode) else 0o600
        assert mode & wanted == wanted, (name, str(path.relative_to(home)), oct(mode))


def test_what_the_umask_forbids_is_seen(tmp_path: Path) -> None:
    """The check sees what it looks for."""
    (tmp_path / "file").touch(mode=0o644)
    assert _open(tmp_path) == ["file: 100644"]
    (tmp_path / "file").chmod(0o400)
    with pytest.raises(AssertionError):
        _usable(tmp_path, "x")
