"""A lint over an strace log: was everything written in the order that survives a power loss, and nowhere else?

A kill never shows a missing fsync, and some file systems hide a missing one of a folder; the order of calls shows both.
`lint(read(LOG), ROOT)` is what is wrong; `asked` are the places outside of the store that the command was told to write.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

CHANGING = (
    "write", "pwrite64", "writev", "fsync", "fdatasync", "rename", "renameat", "renameat2", "link", "linkat", "unlink",
    "unlinkat", "mkdir", "mkdirat", "rmdir", "ftruncate",
)  # fmt: skip
SEEN = (*CHANGING, "symlink", "symlinkat", "truncate", "openat", "open", "creat", "close", "flock")
TIERS = ("events", "parquet", "ids", "quarantine", "tombstones", "links", "firsts", "rollups", "audit")
SCRATCH = ".tmp"
_LINE = re.compile(r"(\d+)\s+(\w+)\((.*)\)\s+=\s+(-?\d+)")
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
_FD = re.compile(r"(\d+)<([^>]*)>")
_BASE = re.compile(r"(?:AT_FDCWD|\d+)<([^>]*)>")
_MODE = re.compile(r", (0\d+)$")
_RECORD = re.compile(r"\d+\.json")
_NOWHERE = ("/dev/null", "/dev/tty", "/dev/pts/", "/proc/")
_BY_OTHERS = (".ndjson", ".parquet")  # DuckDB and pyarrow cannot be told how to open what they read
PARQUET = ("-part", "/part", "-sorted", "-settled", ".day")  # nor with which mode what they write: we narrow it at once


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


def lint(calls: list[Call], root: Path, *, asked: tuple[Path, ...] = (), reads_only: bool = False) -> list[str]:
    """What is wrong with these calls of a command upon the store at `root`, called in the folder above it."""
    state = _State(os.path.realpath(root), tuple(os.path.realpath(path) for path in asked), reads_only)
    for call in calls:
        if call.result >= 0:
            getattr(state, _HANDLERS.get(call.name, "ignore"))(call)
    state.acknowledged()
    return list(dict.fromkeys(state.found))


class _State:
    """What is dirty at the moment: files written and not synced, folders with news and not synced."""

    def __init__(self, root: str, asked: tuple[str, ...], reads_only: bool) -> None:  # noqa: FBT001
        self.root, self.asked, self.reads_only = root, asked, reads_only
        self.found: list[str] = []
        self.dirty: set[str] = set()
        self.news: dict[str, str] = {}
        self.staged: set[str] = set()  # new files of staging whose names are not durable
        self.removed_one = False
        self.committed = False

    def ignore(self, call: Call) -> None:
        """Not of interest."""

    def wrote(self, call: Call) -> None:
        if call.args.startswith("1<"):
            return self.acknowledged()
        path = call.file
        top = self._top(path)
        if self._ours(path) and top not in {"locks", "staging"} and not path.endswith(SCRATCH) and top in TIERS:
            self.found.append(f"published file written to: {path}")
        if self._changes(path, "written") and top != "locks":
            self.dirty.add(path)
        return None

    def acknowledged(self) -> None:
        self.found += [f"acknowledged with {what}, folder not synced" for what in self.news.values()]
        waiting = sorted(path for path in self.dirty if self._top(path) != "staging" and not path.endswith(SCRATCH))
        self.found += [f"acknowledged with {path} not synced" for path in waiting]

    def synced(self, call: Call) -> None:
        self.dirty.discard(call.file)
        self.news.pop(call.file, None)
        self.staged = {path for path in self.staged if _parent(path) != call.file}

    def opened(self, call: Call) -> None:
        path = self._whole(call)[0] if call.texts else ""
        writes = re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", call.args) is not None or call.name == "creat"
        if writes and call.name != "creat" and "O_TMPFILE" not in call.args:
            self._written_to(path, call)
        if not self._ours(path):
            return
        top = self._top(path)
        if top != "staging" and not path.endswith(_BY_OTHERS) and "O_NOFOLLOW" not in call.args:
            self.found.append(f"would follow a symlink: {path}")
        if top == "journal" and _RECORD.fullmatch(path.rpartition("/")[2]):
            self.committed = True  # one that somebody left: it is being applied

    def _written_to(self, path: str, call: Call) -> None:
        top, ours, mode = self._top(path), self._ours(path), _MODE.search(call.args)
        if top == "locks" and ours:
            return
        if not self._changes(path, "opened for writing"):
            return
        if ours and "O_EXCL" not in call.args and not (top == "runs" and "O_APPEND" in call.args) and top != "staging":
            self.found.append(f"published file opened for writing: {path}")
        if ours and mode and mode[1] != "0600" and not (top == "staging" and path.endswith(PARQUET)):
            self.found.append(f"mode {mode[1]} of {path}")
        if "O_CREAT" in call.args and ours and top == "staging":
            self.staged |= {path} if not path.endswith("/owner") else set()
        elif "O_CREAT" in call.args:
            self.news[_parent(path)] = f"{path} made"

    def renamed(self, call: Call) -> None:
        source, target = self._whole(call)[:2]
        top = self._top(target)
        if not self._changes(target, "renamed to"):
            return
        if source in self.dirty:
            self.found.append(f"renamed before it was synced: {source}")
        if self._ours(target) and top == "journal":
            self._recorded(target)
        elif self._ours(target) and top in TIERS:
            self._published(call, source, target)
        self.dirty.discard(source)
        self.news[_parent(target)] = f"{target} renamed"

    def _recorded(self, target: str) -> None:
        self.removed_one = False
        self.committed = target.endswith(".json")
        if self.committed:
            self.found += [f"committed before the name {path} lasts" for path in sorted(self.staged)]

    def _published(self, call: Call, source: str, target: str) -> None:
        if self.removed_one:
            self.found.append(f"files were removed before {target} was in place")
        if not self.committed and not call.name.startswith("link") and not source.endswith(SCRATCH):
            self.found.append(f"published without a record: {target}")
        journal = f"{self.root}/journal"
        if journal in self.news:
            self.found.append(f"{target} in place before {self.news[journal]} lasts")

    def removed(self, call: Call) -> None:
        path = self._whole(call)[0]
        if not self._changes(path, "removed"):
            return
        if self._ours(path) and self._top(path) in TIERS and not path.endswith(SCRATCH) and call.name != "rmdir":
            self.removed_one = True
            if not self.committed:
                self.found.append(f"removed without a record: {path}")
            waiting = [what for folder, what in self.news.items() if " removed" not in what]
            self.found += [f"{path} removed before {what} lasts" for what in waiting]
            self.news.setdefault(_parent(path), f"{path} removed")
        self.news.pop(path, None)
        self.staged.discard(path)
        self.dirty.discard(path)

    def made(self, call: Call) -> None:
        path = self._whole(call)[0]
        mode = _MODE.search(call.args)
        if not self._changes(path, "made"):
            return
        if self._ours(path) and (mode is None or mode[1] != "0700"):
            self.found.append(f"mode {mode and mode[1]} of folder {path}")
        self.news[_parent(path)] = f"{path} made"

    def linked_softly(self, call: Call) -> None:
        self.found.append(f"a symlink made: {call.args}")

    # -- where a path lies ------------------------------------------------------------------------------------------

    def _changes(self, path: str, how: str) -> bool:
        """Whether a change of `path` is to be followed; one where nothing is to be changed is told."""
        if self._ours(path):
            if self.reads_only and self._top(path) != "locks":
                self.found.append(f"{how} by a command that only reads: {path}")
            return True
        told = (path == place or path.startswith((f"{place}/", f"{place}.")) for place in self.asked)
        if any(told) or any(path.startswith(place) for place in self.asked if place.endswith("-")):
            return True
        if path.startswith("/") and not path.startswith(_NOWHERE):
            self.found.append(f"{how} outside of the store: {path}")
        return False

    def _ours(self, path: str) -> bool:
        return path == self.root or path.startswith(self.root + "/")

    def _top(self, path: str) -> str:
        return path.removeprefix(self.root + "/").split("/")[0]

    def _whole(self, call: Call) -> list[str]:
        """The paths it names, from the root; a command is called in the folder above its store."""
        return [os.path.normpath(Path(_parent(self.root)) / path) for path in call.paths]


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


_HANDLERS = {
    **dict.fromkeys(("write", "pwrite64", "writev", "ftruncate", "truncate"), "wrote"),
    **dict.fromkeys(("fsync", "fdatasync"), "synced"),
    **dict.fromkeys(("rename", "renameat", "renameat2", "link", "linkat"), "renamed"),
    **dict.fromkeys(("unlink", "unlinkat", "rmdir"), "removed"),
    **dict.fromkeys(("mkdir", "mkdirat"), "made"),
    **dict.fromkeys(("openat", "open", "creat"), "opened"),
    **dict.fromkeys(("symlink", "symlinkat"), "linked_softly"),
}
