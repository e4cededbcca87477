"""Something else in place of each path that a command makes: nothing outside is written, read out, or removed."""

from __future__ import annotations

import os
import re
import shutil
import stat
from typing import TYPE_CHECKING

import household
import pytest
import torture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from conftest import Tally

CANARY = "CANARY-4711"
_ASKED_FOR = re.compile(r"[a-z0-9_]+\.(?:csv|parquet|ndjson|txt|toml)|lake-point|point")
"""Files that the words of a call name: a symlink in their place is followed, as everywhere (but what is handed out)."""
_SHAPE = re.compile(r"[0-9a-f]{8,}|\d+")


def _elsewhere(outside: Path) -> None:
    outside.mkdir()
    (outside / "file").write_text(CANARY + "\n")
    (outside / "folder").mkdir()
    (outside / "folder" / "inner").write_text(CANARY + "\n")
    (outside / "folder" / "SHA256SUMS").write_text(f"{CANARY}  inner\n")


KINDS: dict[str, Callable[[Path, Path], None]] = {
    "symlink to a file": lambda path, outside: path.symlink_to(outside / "file"),
    "symlink to a folder": lambda path, outside: path.symlink_to(outside / "folder"),
    "symlink to nothing": lambda path, outside: path.symlink_to(outside / "new"),
    "symlink to itself": lambda path, _: path.symlink_to(path.name),
    "hard link": lambda path, outside: path.hardlink_to(outside / "file"),
    "pipe": lambda path, _: os.mkfifo(path),
    "device": lambda path, _: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 7)),
    "folder": lambda path, _: path.mkdir(),
}


def places(home: Path, scratch: Path, calls: Iterable[str]) -> list[tuple[str, str]]:
    """(call, path) for each kind of path that each call writes; those of the frame of every commit with one call."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for number, name in enumerate(calls):
        _, paths = household.watched(household.copied(home, scratch / f"look{number}"), *household.CALLS[name])
        for path in paths:
            shape = _SHAPE.sub("#", path)
            among = name if not re.match(r"store/(?:journal|locks|staging|audit)/", path) else ""
            found.setdefault((among, shape), (name, path))
    return sorted(found.values())


def _state(outside: Path) -> dict[str, object]:
    return {
        str(path): (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else sorted(path.iterdir()))
        for path in [outside, *outside.rglob("*")]
    }  # fmt: skip


def _planted(root: Path, name: str, path: str, kind: str) -> list[str]:
    """What is wrong after a call that met something else at a path."""
    home, outside = root / "home", root / "outside"
    target = home / path
    if target.is_dir() and not target.is_symlink():
        if path.startswith("store/") or any(target.iterdir()):
            target.rename(root / "moved")
        else:
            target.rmdir()
    else:
        target.unlink(missing_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    KINDS[kind](target, outside)
    before = _state(outside)
    try:
        told = household.call(home, *household.CALLS[name])
    except household.HangsError:
        return ["it waits for ever"]
    except Exception as error:  # noqa: BLE001 - any at all is what this looks for
        return [f"nobody foresaw {error!r}"]
    wrong = [] if _state(outside) == before else ["something outside was changed"]
    if told.code not in (0, 1, 2, 3):
        wrong.append(f"exit {told.code}")
    if told.code in (1, 2) and len(told.err.strip().splitlines()) < 1:
        wrong.append("no word of what to do")
    if CANARY in told.out + told.err or any(CANARY in text for text in _texts(home, outside)):
        wrong.append("something outside was read out")
    return [f"{one}: {told.err.strip()[:300]}" for one in wrong]


def _texts(home: Path, outside: Path) -> list[str]:
    """The texts of the plain files in the home, but for the planted hard link itself."""
    own = (outside / "file").stat().st_ino
    files = (path for path in home.rglob("*") if path.is_file() and not path.is_symlink() and path.stat().st_ino != own)
    return [path.read_bytes().decode(errors="replace") for path in files]


@pytest.mark.parametrize("call", torture.share(list(household.CALLS), 9, "planted"))
def test_nothing_outside_is_touched_whatever_lies_in_the_way(call: str, tmp_path: Path, tally: Tally) -> None:
    home = household.usual()
    if os.geteuid() != 0:
        tally("planted", skipped=1, why="needs root")
    cases = [(name, path, kind) for name, path in places(home, tmp_path, [call]) for kind in KINDS]
    some = torture.share([case for case in cases if not _by_contract(*case)], 17, "planted")
    wrong = []
    for number, (name, path, kind) in enumerate(some):
        root = tmp_path / f"case{number}"
        root.mkdir()
        _elsewhere(root / "outside")
        household.copied(home, root / "home")
        wrong += [(name, path, kind, one) for one in _planted(root, name, path, kind)]
        shutil.rmtree(root)
    tally("planted", cases=len(some))
    assert wrong == []


def _by_contract(name: str, path: str, kind: str) -> bool:
    """What a call names itself may be a symlink, a pipe or a device, and is written as such; the settings are read."""
    if (name, path, kind) == ("init", "new", "symlink to a folder"):
        return True
    named = _ASKED_FOR.fullmatch(path) is not None and name != "user export beside"
    return named and kind in {"symlink to a file", "symlink to nothing", "symlink to a folder", "pipe", "device"}
