"""A home with settings, a plan, a store and logs; every command as a call in it; and what a call wrote, path by path."""

from __future__ import annotations

import atexit
import contextlib
import io
import itertools
import os
import random
import shutil
import signal
import sys
import tempfile
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import storekit as kit
from exportkit import Said
from storekit import DAY_1, DAY_2, DAY_3, event

from evlog.cli import clock
from evlog.cli.run import run

if TYPE_CHECKING:
    from collections.abc import Iterator

STORE = "store"
NOW = datetime(2026, 1, 9, 12)
PATIENCE = 30  # seconds until a call counts as one that hangs

SETTINGS = """
[store]
path = "store"
"""
PLAN = "version = '1'\n" + "".join(
    f"[events.{name}]\nadditional = true\n" for name in ("seen", "signup", "exercise_start", "exercise_complete")
)
BUILT: tuple[tuple[str, ...], ...] = (
    ("ingest", "first.ndjson"),
    ("compact", "--before", "2026-01-07"),
    ("ingest", "second.ndjson"),
    ("rollup", "--grain", "day"),
    ("user", "link", "anon-1", "ann_the_first"),
    ("user", "delete", "gone_for_good", "--yes"),
    ("user", "suppress", "silent_one"),
    ("user", "delete", "carol_who_waits", "--after", "30d", "--yes"),
    ("export", "--resume", "point", "--output", "sent.ndjson"),
    ("export", "--pseudonymise", "--output", "masked.ndjson"),
)
"""What makes the home that every call begins in."""

CALLS: dict[str, tuple[str, ...]] = {
    "init": ("init", "new"),
    "ingest": ("ingest", "third.ndjson"),
    "rejects list": ("rejects", "list"),
    "rejects show": ("rejects", "show"),
    "rejects replay": ("rejects", "replay"),
    "rejects clear": ("rejects", "clear", "--yes"),
    "plan show": ("plan", "show"),
    "plan check": ("plan", "check", "third.ndjson"),
    "plan add": ("plan", "add", "brand_new", "--property", "a:integer"),
    "plan infer": ("plan", "infer", "--output", "inferred.toml"),
    "plan lint": ("plan", "lint"),
    "compact": ("compact", "--all"),
    "rollup": ("rollup", "--from", "2026-01-05", "--to", "2026-01-06"),
    "report": ("report", "dau", "--format", "csv", "--output", "dau.csv"),
    "report parquet": ("report", "retention", "--format", "parquet", "--output", "retention.parquet"),
    "funnel": ("funnel", "signup", "seen", "--format", "json"),
    "dropoff": ("dropoff", "--format", "markdown"),
    "overview": ("overview",),
    "purge": ("purge", "--older-than", "2d", "--as-of", "2026-01-09", "--yes"),
    "archive": ("archive", "--older-than", "2d", "--as-of", "2026-01-09", "--to", "vault", "--yes"),
    "user export": ("user", "export", "ann_the_first", "--to", "handed"),
    "user export beside": ("user", "export", "ann_the_first", "--output", "ann.ndjson"),
    "user delete": ("user", "delete", "bob_the_second", "--yes", "--output", "receipt.txt"),
    "user anonymise": ("user", "delete", "bob_the_second", "--anonymise", "--yes"),
    "user delete later": ("user", "delete", "bob_the_second", "--after", "3d", "--yes"),
    "user suppress": ("user", "suppress", "bob_the_second"),
    "user link": ("user", "link", "anon-2", "bob_the_second"),
    "user unlink": ("user", "unlink", "anon-1"),
    "user journey": ("user", "journey", "ann_the_first"),
    "user rotate-key": ("user", "rotate-key", "--yes"),
    "user rotate-key elsewhere": ("user", "rotate-key", "--yes", "--pseudonym-key", "mask.key"),
    "export": ("export", "--format", "csv", "--output", "all.csv"),
    "export lake": ("export", "--into", "lake", "--format", "parquet"),
    "export on": ("export", "--resume", "point", "--output", "more.ndjson"),
    "export lake on": ("export", "--resume", "lake-point", "--into", "lake2"),
    "export masked": ("export", "--pseudonymise", "--output", "masked2.ndjson"),
    "sql": ("sql", "SELECT * FROM events ORDER BY ALL", "--format", "csv", "--output", "rows.csv"),
    "status": ("status", "--format", "json"),
    "check": ("check", "--format", "json"),
    "audit show": ("audit", "show"),
    "audit verify": ("audit", "verify"),
    "verify": ("verify",),
    "verify repair": ("verify", "--repair"),
    "config": ("config",),
}
"""Every command, once or more."""


_QUIET = {"EVLOG_WORKERS": "1", "EVLOG_AS_OF": "2026-01-09"}


@dataclass(frozen=True, slots=True)
class Told:
    """What a call said."""

    code: int
    out: str
    err: str


@dataclass(slots=True)
class Watch:
    """Every path that Python was asked to write, make, rename to or link at, in order."""

    made: dict[str, None] = field(default_factory=dict)
    on: bool = False

    def __call__(self, happened: str, words: tuple[Any, ...]) -> None:
        """Hear of one audited act."""
        if not self.on:
            return
        if happened == "open" and isinstance(words[0], str) and isinstance(words[2], int):
            if words[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self.made[words[0]] = None
        elif happened in {"os.mkdir", "os.rename", "os.link"}:
            self.made[os.fspath(words[0] if happened == "os.mkdir" else words[1])] = None


WATCH = Watch()
sys.addaudithook(WATCH)


class HangsError(BaseException):
    """A call that waits for ever."""


def call(home: Path, *words: str, environ: dict[str, str] | None = None, given: bytes = b"") -> Told:
    """What evlog says when called in this home, at the instant of the tests, with names that do not depend on chance."""
    said, stack = Said(), ExitStack()
    numbers = itertools.count(1)
    own = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_STATE_HOME": str(home / "state"), **_QUIET}
    with stack:
        stack.enter_context(mock.patch.dict(os.environ, {**own, **(environ or {})}, clear=True))
        stack.enter_context(mock.patch.object(clock, "now", lambda: NOW))  # noqa: PT008 - called as the real one is
        stack.enter_context(mock.patch.object(uuid, "uuid4", lambda: uuid.UUID(int=next(numbers))))  # noqa: PT008 - called as the real one is
        stack.enter_context(mock.patch.object(tempfile, "_name_sequence", _names()))
        stack.enter_context(mock.patch.object(os, "fsync", lambda fd: None))  # noqa: PT008 - called as the real one is
        stack.enter_context(contextlib.chdir(home))
        stack.enter_context(_patience())
        stack.enter_context(mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(given))))
        stack.enter_context(said)
        code = run(list(words))
    return Told(code, said.out.getvalue().decode("utf-8", "replace"), said.err.getvalue().decode("utf-8", "replace"))


class _names(random.Random):  # noqa: N801 - in the place of an iterator
    """The names of scratch files: the same in every call."""

    def __init__(self) -> None:
        super().__init__(1)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return f"n{self.randrange(10**6)}"


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    def over(*_: object) -> None:
        raise HangsError

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def build(home: Path, *, umask: int = 0o022) -> Path:
    """A home in which every call of `CALLS` has something to do."""
    before = os.umask(umask)
    try:
        home.mkdir(parents=True)
        (home / "evlog.toml").write_text(SETTINGS)
        (home / "plan.toml").write_text(PLAN)
        (home / "mask.key").write_bytes(b"k" * 32)
        (home / "mask.key").chmod(0o600)
        kit.written(home / "first.ndjson", *_log("a", DAY_1, DAY_2), b"{bad")
        kit.written(
            home / "second.ndjson", *_log("b", DAY_2, DAY_3), event("u", DAY_3, "ann_the_first", event_type="nope")
        )
        kit.written(home / "third.ndjson", *_log("c", DAY_1, DAY_3), b'{"worse": ')
        for words in BUILT:
            told = call(home, *words)
            assert told.code in (0, 3), (words, told)
    finally:
        os.umask(before)
    return home


@cache
def usual() -> Path:
    """One such home for all who only copy it; gone with the process."""
    folder = tempfile.TemporaryDirectory(prefix="evlog-home-", dir=kit.FAST)
    _KEPT.enter_context(folder)
    return build(Path(folder.name) / "home")


_KEPT = ExitStack()
atexit.register(_KEPT.close)


def _log(batch: str, *days: Any) -> list[dict[str, Any]]:
    people = ("ann_the_first", "bob_the_second", "carol_who_waits", "gone_for_good", None)
    kinds = ("seen", "signup", "exercise_start", "exercise_complete")
    return [
        event(f"{batch}{day.day}{user}{kind}", day, user, event_type=kind, anonymous_id="anon-1" if user is None else None,
              target_type="exercise", target_id="t1", session_id="s1", properties={"friend": "bob_the_second", "n": 1})
        for day in days for user in people for kind in kinds
    ]  # fmt: skip


def copied(home: Path, to: Path) -> Path:
    """The same home elsewhere."""
    shutil.copytree(home, to, symlinks=True)
    return to


def watched(home: Path, *words: str) -> tuple[Told, list[str]]:
    """What a call says, and each path of the home that it wrote or made, relative to it: scratch names too."""
    WATCH.made, WATCH.on = {}, True
    before = set(home.rglob("*"))
    try:
        told = call(home, *words)
    finally:
        WATCH.on = False
    new = [str(path) for path in home.rglob("*") if path not in before]
    paths = (os.path.relpath(home / path, home) for path in (*WATCH.made, *new))
    return told, sorted({path for path in paths if not path.startswith("..")})
