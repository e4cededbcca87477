"""A lint over an strace log: was everything written in the order that survives a power loss?

A kill never shows a missing fsync, and some file systems hide a missing one of a folder; the order of calls shows both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CHANGING = (
    "write", "pwrite64", "writev", "fsync", "fdatasync", "rename", "renameat", "renameat2", "link", "linkat", "unlink",
    "unlinkat", "mkdir", "mkdirat", "rmdir", "ftruncate",
)  # fmt: skip
TIERS = ("events", "parquet", "ids", "quarantine", "tombstones")
_LINE = re.compile(r"(\d+)\s+(\w+)\((.*)\)\s+=\s+(-?\d+)")
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
_FD = re.compile(r"(\d+)<([^>]*)>")
_BASE = re.compile(r"(?:AT_FDCWD|\d+)<([^>]*)>")
PARQUET = (
    "-part",
    "/part",
    "-sorted",
    "-settled",
)  # what pyarrow opens: it cannot be told a mode, we narrow it at once
_MODE = re.compile(r", (0\d+)$")


@dataclass(frozen=True)
class Call:
    """One system call that succeeded or failed."""

    thread: str
    name: str
    args: str
    result: int

    @property
    def texts(self) -> list[str]:
        """The strings among its arguments."""
        return _TEXT.findall(self.args)

    @property
    def file(self) -> str:
        """The path of the descriptor it works on."""
        found = _FD.search(self.args)
        return found[2].removesuffix("(deleted)") if found else ""

    @property
    def paths(self) -> list[str]:
        """The paths it names; those relative to a folder's descriptor made whole."""
        base = _BASE.match(self.args)
        return [text if text.startswith("/") or base is None else f"{base[1]}/{text}" for text in self.texts]


def read(log: Path) -> list[Call]:
    """The calls in a log of `strace -f -y`, in order; a call that another thread cut in two is made whole."""
    calls, open_ends = [], {}
    for line in log.read_text(errors="replace").splitlines():
        thread = line.split(maxsplit=1)[0]
        if line.endswith("<unfinished ...>"):
            open_ends[thread] = line.removesuffix("<unfinished ...>").rstrip()
            continue
        if "resumed>" in line and thread in open_ends:
            line = open_ends.pop(thread) + line.partition("resumed>")[2]  # noqa: PLW2901
        if match := _LINE.match(line):
            calls.append(Call(match[1], match[2], match[3], int(match[4])))
    return calls


def lint(calls: list[Call], root: Path) -> list[str]:
    """What is wrong with the order of these calls of a command upon the store at `root`."""
    state = _State(str(root))
    for call in calls:
        if call.result >= 0:
            getattr(state, _HANDLERS.get(call.name, "ignore"))(call)
    return state.found


class _State:
    """What is dirty at the moment: files written and not synced, folders with news and not synced."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.found: list[str] = []
        self.dirty: set[str] = set()
        self.news: dict[str, str] = {}
        self.removed_one = False

    def _top(self, path: str) -> str:
        return path.removeprefix(self.root + "/").split("/")[0]

    def ignore(self, call: Call) -> None:
        """Not of interest."""

    def wrote(self, call: Call) -> None:
        if call.args.startswith("1<"):
            return self.acknowledged()
        if call.file.startswith(self.root):
            self.dirty.add(call.file)
        elif call.file.startswith("/") and not call.file.startswith(("/dev/", "/proc/")):
            self.found.append(f"written outside of the store: {call.file}")
        return None

    def acknowledged(self) -> None:
        self.found += [f"acknowledged with {what}, folder not synced" for what in self.news.values()]

    def synced(self, call: Call) -> None:
        self.dirty.discard(call.file)
        self.news.pop(call.file, None)

    def opened(self, call: Call) -> None:
        path = call.paths[0] if call.paths else ""
        if not path.startswith(self.root) or not re.search(r"O_WRONLY|O_RDWR", call.args):
            return
        top = self._top(path)
        mode = _MODE.search(call.args)
        if top in TIERS and "O_EXCL" not in call.args:
            self.found.append(f"published file opened for writing: {path}")
        if top != "staging" and "O_NOFOLLOW" not in call.args:
            self.found.append(f"would follow a symlink: {path}")
        if mode and mode[1] != "0600" and not (top == "staging" and path.endswith(PARQUET)):
            self.found.append(f"mode {mode[1]} of {path}")
        if "O_CREAT" in call.args and top not in {"staging", "locks"}:
            self.news[_parent(path)] = f"{path} made"

    def renamed(self, call: Call) -> None:
        source, target = call.paths[:2]
        if not target.startswith(self.root):
            self.found.append(f"renamed out of the store: {target}")
        if source in self.dirty:
            self.found.append(f"renamed before it was synced: {source}")
        if self._top(target) == "journal":
            self.removed_one = False
        elif self.removed_one:
            self.found.append(f"files were removed before {target} was in place")
        self.dirty.discard(source)
        self.news[_parent(target)] = f"{target} renamed"

    def removed(self, call: Call) -> None:
        path = call.paths[0]
        if not path.startswith(self.root):
            self.found.append(f"removed outside of the store: {path}")
        elif self._top(path) in TIERS and not path.endswith(".tmp"):
            self.removed_one = True
            waiting = [what for folder, what in self.news.items() if " removed" not in what]
            self.found += [f"{path} removed before {what} lasts" for what in waiting]
            self.news.setdefault(_parent(path), f"{path} removed")
        self.news.pop(path, None)

    def made(self, call: Call) -> None:
        path = call.paths[0]
        mode = _MODE.search(call.args)
        if mode is None or mode[1] != "0700":
            self.found.append(f"mode {mode and mode[1]} of folder {path}")
        if path.startswith(self.root):
            self.news[_parent(path)] = f"{path} made"


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


_HANDLERS = {
    **dict.fromkeys(("write", "pwrite64", "writev"), "wrote"),
    **dict.fromkeys(("fsync", "fdatasync"), "synced"),
    **dict.fromkeys(("rename", "renameat", "renameat2", "link", "linkat"), "renamed"),
    **dict.fromkeys(("unlink", "unlinkat", "rmdir"), "removed"),
    **dict.fromkeys(("mkdir", "mkdirat"), "made"),
    "openat": "opened",
}
