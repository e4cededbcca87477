"""What must hold at each step of a command that is watched: the order of writing, locks, modes, no symlink (design.md)."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from watch import Step, Watch

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMIT, STAGING, MAINTENANCE = "locks/commit", "locks/staging", "locks/maintenance"
_FREE = ("staging", "locks", "journal", "runs")  # what no record names
_MADE_ONCE = ("evlog.json", "tombstones/key", "tombstones/pseudonym-key", "tombstones/collision")
_TIERS = (
    "events", "parquet", "ids", "quarantine", "tombstones", "links", "firsts", "rollups", "audit",
)  # fmt: skip


class Lint:
    """Hears of each step below a home that holds a store `s`; `found` is what was wrong."""

    def __init__(self, home: Path, store: str = "s", *, alone: bool = False) -> None:
        self.home, self.store, self.alone = Path(os.path.realpath(home)), store, alone
        self.found: list[str] = []
        self.records: list[str] = []  # the `why` of each commit
        self.watch = Watch(home, self.hears)
        self._old = {path.lstat().st_ino for path in self.home.rglob("*")}
        self._synced: dict[int, int] = {}  # file → how many bytes of it last
        self._dirty: set[int] = set()
        self._lasting: dict[str, list[str]] = {}  # folder → the names in it that last
        self._news: dict[str, str] = {}  # folder → what has changed in it and may be gone after a power loss
        self._looked: set[str] = set()  # folders and files that were looked at under the commit lock as it is held now
        self._committing = False
        self._deaf = False

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """Let something happen that is another's doing; what it leaves was there before."""
        self._deaf = True
        yield
        self._deaf = False
        self._old |= {path.lstat().st_ino for path in self.home.rglob("*")}

    def inherits(self, *names: str) -> None:
        """Hear of what another made before it died: nobody knows whether these names in the store last."""
        for name in names:
            self._changed(f"{self.store}/{name}", "left behind:")

    def hears(self, step: Step) -> None:
        """Judge one step."""
        if self._deaf:
            return
        getattr(self, f"_{step.call}", self._ignored)(step)

    def acknowledged(self) -> None:
        """Judge what is left at the end."""
        self._must(not self._news, f"acknowledged with {list(self._news.values())}, folder not synced")
        for path in (self.home / self.store).rglob("*"):
            lasts = path.lstat().st_ino not in self._dirty or path.parent.name == "locks"
            self._must(lasts, f"acknowledged before {path.name} was synced")
            wide = path.lstat().st_mode & 0o077
            self._must(not wide, f"others may use {path.name}")

    # -- what is known of a step --------------------------------------------------------------------------------------

    def _must(self, holds: bool, says: str) -> None:  # noqa: FBT001 - a condition
        if not holds:
            self.found.append(says)

    def _inner(self, path: str) -> str:
        """A path below the store; empty if it is elsewhere in the home."""
        return path.removeprefix(f"{self.store}/") if path.startswith(f"{self.store}/") else ""

    def _holds(self, step: Step, lock: str) -> bool:
        return step.held.get(f"{self.store}/{lock}", False)

    def _waiting(self) -> list[dict[str, list[str]]]:
        """The records that are committed and not marked as applied."""
        folder = self.home / self.store / "journal"
        return [json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))]

    def _changed(self, path: str, what: str) -> None:
        folder = os.path.dirname(path)  # noqa: PTH120 - no Path: this runs at every call
        if not self._inner(path).startswith(("staging/", "locks/")) or what.startswith("mkdir"):
            self._news[folder] = f"{what} {path}"

    # -- steps --------------------------------------------------------------------------------------------------------

    def _ignored(self, step: Step) -> None:
        """Nothing to say of it."""

    def _open(self, step: Step) -> None:
        inner = self._inner(step.path)
        by_shutil = inner.startswith("staging/") and step.flags == os.O_RDONLY  # it looks before and afterwards itself
        self._must(not inner or by_shutil or bool(step.flags & os.O_NOFOLLOW), f"would follow a symlink: {step.path}")
        self._noticed(step, inner)
        if not step.flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR) or step.flags & os.O_TMPFILE == os.O_TMPFILE:
            return
        top = inner.split("/")[0]
        lasting = top in {"locks", "runs"} or inner.endswith("/owner")
        self._must(
            lasting or bool(step.flags & os.O_EXCL), f"a file that may be there is opened for writing: {step.path}"
        )
        self._must(step.mode == 0o600 or not step.flags & os.O_CREAT, f"mode {step.mode:o} of {step.path}")
        if step.flags & os.O_CREAT and not step.inode:
            self._changed(step.path, "open")

    def _noticed(self, step: Step, inner: str) -> None:
        """Remember what was looked at under the commit lock; forget it once the lock is free."""
        if self._holds(step, COMMIT) != self._committing:
            self._looked.clear()
            self._committing = self._holds(step, COMMIT)
        if self._committing:
            self._looked.add(inner)

    def _flock(self, step: Step) -> None:
        """Ingest waits for whoever commits: what can be synced before the lock must be."""
        if self._inner(step.path) == COMMIT:
            self._must(not self._dirty, "the commit lock is taken before what was written is synced")

    def _scandir(self, step: Step) -> None:
        self._noticed(step, self._inner(step.path))

    def _mkdir(self, step: Step) -> None:
        self._must(step.mode == 0o700, f"mode {step.mode:o} of folder {step.path}")
        inner = self._inner(step.path)
        if step.inode:
            return
        if inner.startswith("staging/"):
            self._must(self._holds(step, STAGING), f"{step.path} made without the lock of staging folders")
        self._changed(step.path, "mkdir")

    def _write(self, step: Step) -> None:
        self._dirty.add(step.inode)
        self._must(step.inode not in self._published(step.path), f"a published file is written to: {step.path}")

    def _published(self, path: str) -> set[int]:
        return self._old if self._inner(path).split("/")[0] in _TIERS else set()

    def _chmod(self, step: Step) -> None:
        size = (self.home / step.path).lstat().st_size
        self._must(size <= len(b"PAR1"), f"others might have read {step.path} before it was for its owner alone")

    def _pwrite(self, step: Step) -> None:
        held = step.held.get(step.path, False)
        self._must(held, f"the holder is named without the lock: {step.path}")

    def _ftruncate(self, step: Step) -> None:
        self._pwrite(step)

    def _fsync(self, step: Step) -> None:
        path = self.home / step.path
        if path.is_dir():
            self._lasting[step.path] = os.listdir(path)  # noqa: PTH208 - names only
            self._news.pop(step.path, None)
        else:
            self._synced[step.inode] = path.stat().st_size
            self._dirty.discard(step.inode)

    def _rename(self, step: Step) -> None:
        is_file = (self.home / step.path).is_file()
        self._must(not is_file or self._is_whole(self.home / step.path), f"named before it was synced: {step.path}")
        if is_file:
            wide = (self.home / step.path).lstat().st_mode & 0o077
            self._must(not wide, f"others may use {step.path}")
        inner = self._inner(step.to)
        if inner.startswith("journal/"):
            self._record(step, inner)
        elif inner:
            self._placed(step, inner)
        self._changed(step.to, step.call)

    _replace = _link = _rename

    def _record(self, step: Step, inner: str) -> None:
        self._must(self._holds(step, COMMIT), f"{step.to} without the commit lock")
        if inner.endswith(".json"):
            body = json.loads((self.home / step.path).read_bytes())
            self.records.append(body["why"])
            for source, _ in body["renames"]:
                folder, _, name = source.rpartition("/")
                self._must(
                    name in self._lasting.get(f"{self.store}/{folder}", ()), f"committed before the name {source} lasts"
                )
                self._must(self._is_whole(self.home / self.store / source), f"committed before {source} is synced")
            self._must(f"{self.store}/staging" not in self._news, "committed before the staging folder's name lasts")
            self._must(not self._waiting(), f"{step.to} before the one before is applied")
            self._must("journal" in self._looked, f"{step.to} by a number of before the lock")
            self._must(not self.alone or self._holds(step, MAINTENANCE), f"{step.to} without the maintenance lock")
        else:
            news = [said for folder, said in self._news.items() if self._inner(folder) not in {"", "journal"}]
            self._must(not news, f"{step.to} before {news} lasts")
            for body in self._waiting():
                self._must(self._is_applied(body), f"{step.to} before all of it is done")

    def _is_whole(self, path: Path) -> bool:
        """Whether all of a file lasts: it was there before, or was synced after the last write."""
        found = path.lstat()
        synced = self._synced.get(found.st_ino) == found.st_size and found.st_ino not in self._dirty
        return synced or found.st_ino in self._old

    def _is_applied(self, body: dict[str, list[str]]) -> bool:
        root = self.home / self.store
        placed = all((root / target).exists() and not (root / source).exists() for source, target in body["renames"])
        return placed and not any((root / gone).exists() for gone in body["unlinks"])

    def _placed(self, step: Step, inner: str) -> None:
        """A file gets a name in the tiers: by a record, or it is one of those that are made once."""
        if inner in _MADE_ONCE and not any(
            target == inner for body in self._waiting() for _, target in body["renames"]
        ):
            self._must(step.call == "link", f"{inner} would be replaced")
            return
        self._must(self._holds(step, COMMIT), f"{inner} named without the commit lock")
        if inner.startswith("audit/") and step.call == "link":
            return
        named = {target for body in self._waiting() for _, target in body["renames"]}
        self._must(inner in named, f"{inner} named by no record")
        if inner == "audit/head":
            self._must(f"{self.store}/audit" not in self._news, f"{inner} before the other name of the old one lasts")
        self._must("journal" not in {self._inner(folder) for folder in self._news}, f"{inner} before its record lasts")

    def _unlink(self, step: Step) -> None:
        inner = self._inner(step.path)
        top = inner.split("/")[0]
        wide = (self.home / step.path).lstat().st_mode & 0o077 if inner else 0
        self._must(not wide, f"others might have used {step.path}")
        if top in _TIERS and not inner.endswith(".tmp"):
            self._must(self._holds(step, COMMIT), f"{inner} removed without the commit lock")
            named = [body for body in self._waiting() if inner in body["unlinks"]]
            self._must(bool(named), f"{inner} removed by no record")
            for body in named:
                there = all((self.home / self.store / target).exists() for _, target in body["renames"])
                self._must(there, f"{inner} removed before what replaces it is there")
            news = [said for said in self._news.values() if not said.startswith(("unlink", "remove"))]
            self._must(not news, f"{inner} removed before {news} lasts")
            self._changed(step.path, "unlink")
        elif top == "staging" and self._news.get(os.path.dirname(step.path)):  # noqa: PTH120
            self._news.pop(os.path.dirname(step.path))  # noqa: PTH120

    _remove = _unlink

    def _rmdir(self, step: Step) -> None:
        inner = self._inner(step.path)
        self._news.pop(step.path, None)
        if inner.startswith("staging/"):
            self._must(self._holds(step, STAGING), f"{step.path} removed without the lock of staging folders")
        elif inner:
            self._must(self._holds(step, COMMIT), f"{inner} removed without the commit lock")
            self._changed(step.path, "rmdir")
