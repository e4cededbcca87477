"""The commands that change a store, each with a store to run upon and the contents it may leave.

A scenario lives in a *home*: a folder with the store, the files that the command reads, and what it writes beside the
store. A home is copied as it stands, and commands are called in it by relative names, so that every copy is like the
first. `call` is evlog as a shell calls it, in a process of its own; `again` the same words in this process.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import bases
import storekit as kit
from bases import USER
from storekit import DAY_1, DAY_2, event

import evlog
from evlog.cli.run import run
from evlog.store import durable, journal, layout, links, locks, pseudonym, quarantine, tombstones

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COLUMNS = "event_id, ts, event_type, user_id, properties"  # what a rerun does not change: neither batch nor time
STORE = "store"
PLAIN = {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
_WHOLE = (
    "import os, sys\nfrom evlog.store import durable, journal\n{mutant}\n"
    "from evlog.cli.main import main\nsys.argv[0] = 'evlog'\nmain()\n"
)
_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class State:
    """What a reader sees, what else the store keeps, what was counted of it, and what lies beside it."""

    rows: list[Any]
    kept: Any
    rolled: Any
    outside: list[str]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A command of the real command line, upon a store of its own."""

    name: str
    base: Callable[[Path], None]  # fills a home
    argv: tuple[str, ...]
    stdin: tuple[bytes, ...] = ()  # pieces; each is given once the one before is committed
    ends: int = 0  # the exit code of a run that nothing disturbs
    columns: str = COLUMNS  # of the events, what is compared
    beside: Callable[[layout.Store], Any] | None = None  # what else of the store is compared; None: all there is
    outside: Callable[[Path], list[str]] = lambda home: []  # what lies beside the store
    halfway: tuple[tuple[str, ...], ...] = ()  # words that end where it may also be stopped, in order

    @property
    def steps(self) -> int:
        """How many commits change what may be seen."""
        return len(self.stdin) or len(self.halfway) + 1

    def cut(self, taken: int) -> Scenario:
        """What goes so many steps of the way."""
        if self.stdin:
            return replace(self, stdin=self.stdin[:taken])
        return replace(self, argv=(*self.halfway, self.argv)[taken - 1])


def build(scenario: Scenario, home: Path) -> Path:
    """The store of a new home at `home`, as the command finds it."""
    shutil.copytree(_built(scenario.name), home)
    return home / STORE


@cache
def _built(name: str) -> Path:
    """A home that is copied and never run in."""
    home = Path(mkdtemp(prefix="evlog-scenario-", dir=kit.FAST)) / name
    home.mkdir()
    _HOMES.append(home.parent)
    (SCENARIOS | _MORE)[name].base(home)
    return home


_HOMES: list[Path] = []
_MORE: dict[str, Scenario] = {}


def enlist(scenario: Scenario) -> Scenario:
    """The same scenario, known by its name from now on though it is not one of SCENARIOS."""
    _MORE[scenario.name] = scenario
    return scenario


def forget() -> None:
    """Remove every home that was built."""
    while _HOMES:
        shutil.rmtree(_HOMES.pop(), ignore_errors=True)
    _built.cache_clear()
    states.cache_clear()


atexit.register(forget)


# -- a call, and what came of it --------------------------------------------------------------------------------------


def call(
    scenario: Scenario, store: Path, *, under: tuple[str, ...] = (), mutant: str = ""
) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process of its own, perhaps under strace; `mutant` is code that breaks evlog before."""
    python = ["-c", _WHOLE.format(mutant=mutant)] if mutant else ["-m", "evlog"]
    words = [*under, sys.executable, *python, "--data", store.name, *scenario.argv]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("EVLOG_")}
    where = {"PYTHONPATH": str(Path(evlog.__file__).parents[1])}
    piped = subprocess.PIPE
    with subprocess.Popen(
        words, stdin=piped, stdout=piped, stderr=piped, cwd=store.parent, env=environ | PLAIN | where
    ) as process:
        feeder = threading.Thread(target=_feed, args=(process, scenario.stdin, store), daemon=True)
        feeder.start()
        assert process.stdout is not None
        assert process.stderr is not None
        said: list[bytes] = []
        errors = threading.Thread(target=lambda: said.append(process.stderr.read()), daemon=True)
        errors.start()
        out = process.stdout.read()
        errors.join(_PATIENCE)
        feeder.join(_PATIENCE)
        code = process.wait(_PATIENCE)
    return subprocess.CompletedProcess(words, code, out, b"".join(said))


def _feed(process: subprocess.Popen[bytes], pieces: tuple[bytes, ...], store: Path) -> None:
    """Give a process its input, a piece a commit; where it ends before, the rest is not wanted any more."""
    assert process.stdin is not None
    before = committed(store)
    with contextlib.suppress(BrokenPipeError):
        for number, piece in enumerate(pieces, 1):
            process.stdin.write(piece)
            process.stdin.flush()
            until = time.monotonic() + _PATIENCE
            while (
                committed(store) - before < number < len(pieces) and process.poll() is None and time.monotonic() < until
            ):
                time.sleep(0.01)
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def again(scenario: Scenario, store: Path) -> int:
    """Run the same words once more, in this process; the exit code. What reads stdin gets a process of its own."""
    if scenario.stdin:  # all at once: what is stored already is no commit that one could wait for
        return call(replace(scenario, stdin=(b"".join(scenario.stdin),)), store).returncode
    with _as_a_process(store.parent):
        return run(["--data", store.name, *scenario.argv])


@contextlib.contextmanager
def _as_a_process(home: Path) -> Iterator[None]:
    """Run in `home`, and leave nothing of it behind: streams, hook and signals as they were."""
    hook, term = sys.excepthook, signal.getsignal(signal.SIGTERM)
    streams = io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
    try:
        with contextlib.chdir(home), contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            yield
    finally:
        sys.excepthook = hook
        signal.signal(signal.SIGTERM, term)


def acked(scenario: Scenario, store: Path, done: subprocess.CompletedProcess[bytes], *, lasting: bool = False) -> int:
    """Which state is the least that must be there after `done`, by what the process said before it ended.

    The summary is the acknowledgement. A stream says nothing before its end: there, what is a record in the journal has
    happened; that it is `lasting` as well is known when the next commit has begun.
    """
    if done.stdout or done.returncode == scenario.ends:
        return scenario.steps
    return max(committed(store) - at_first(scenario) - lasting, 0) if scenario.stdin else 0


def at_first(scenario: Scenario) -> int:
    """The number of the newest commit before the command."""
    return committed(_built(scenario.name) / STORE)


def committed(store: Path) -> int:
    """How many commits are history, as seen from outside: the number of the newest record."""
    with contextlib.suppress(OSError):
        names = [path.name for path in (store / "journal").iterdir()]
        return max((int(name[:12]) for name in names if name[:12].isdigit()), default=0)
    return 0


# -- what may be seen -------------------------------------------------------------------------------------------------


def look(scenario: Scenario, store: Path) -> list[Any]:
    """What a reader sees of the events just now; nothing where there is no store yet."""
    return kit.rows(layout.Store(store), scenario.columns) if (store / layout.MARKER).exists() else []


def whole(scenario: Scenario, store: Path) -> State:
    """What a reader sees, and all else the store keeps; what was committed is applied before."""
    if not (store / layout.MARKER).exists():
        return State([], NOTHING, {}, scenario.outside(store.parent))
    opened = layout.open_store(store)
    with locks.commit(opened):
        journal.recover(opened)
    kept, rolled = (scenario.beside or everything)(opened), kit.rolled(opened)
    return State(look(scenario, store), kept, rolled, scenario.outside(store.parent))


@cache
def states(name: str) -> tuple[State, ...]:
    """The contents that a scenario may leave, in order; the last one is where an undisturbed run ends."""
    scenario, home = (SCENARIOS | _MORE)[name], Path(mkdtemp(prefix="evlog-states-", dir=kit.FAST))
    found = []
    try:
        for taken in range(scenario.steps + 1):
            store = build(scenario, home / str(taken))
            if taken:
                done = call(scenario.cut(taken), store)
                assert done.returncode in (0, scenario.ends), done.stderr
            found.append(whole(scenario, store))
    finally:
        shutil.rmtree(home)
    return tuple(found)


def everything(store: layout.Store) -> dict[str, Any]:
    """What the store keeps beside events, and no run numbers or dates otherwise than another."""
    known = tombstones.load(store)
    return {
        "rejects": sorted((found.raw, found.code) for found in quarantine.rejects(store)),
        "links": sorted({(one.source, one.target) for file in links.files(store) for one in file.read()}, key=repr),
        "erased": sorted(known.users),
        "suppressed": sorted(known.suppressed.subjects),
        "purged": (known.purged_before, sorted(known.restored)),
    }


NOTHING: dict[str, Any] = {"rejects": [], "links": [], "erased": [], "suppressed": [], "purged": (None, [])}
"""What a store keeps that was just made, or is yet to be."""


def counts(store: layout.Store) -> dict[str, int]:
    """How much the store keeps beside events, where names are random."""
    return {key: len(value) for key, value in everything(store).items()}


def _keyed(store: layout.Store) -> dict[str, Any]:
    """All else, and whether the key of pseudonyms is still the one everybody knows."""
    return everything(store) | {"old key": durable.read(store.root / pseudonym.KEY) == bases.KEY}


def _archive(home: Path) -> list[str]:
    """The files of an archive, each with what is wrong with it; none before there is a manifest."""
    from evlog.archive import manifest
    from evlog.archive.verify import SOUND, verify

    if not (home / "archive" / manifest.MANIFEST).exists():
        return []
    return sorted(f"{held.file} {'' if held.says == SOUND else held.says}" for held in verify(home / "archive"))


def _exported(home: Path) -> list[str]:
    """The ids in all exported files, which are whole lines whenever somebody looks."""
    files = sorted((home / "exported").rglob("*.ndjson"))
    return sorted(json.loads(line)["event_id"] for path in files for line in path.read_bytes().splitlines())


_PIECES = tuple(
    kit.lines(event(f"s{number}", DAY_1), event(f"s{number}", DAY_2, USER), b"{torn") for number in range(3)
)
_ROLLUP = ("rollup", "--grain", "day", "--from", str(DAY_1), "--to", str(DAY_1), "--as-of", "2026-01-20")
_PURGE = ("purge", "--older-than", "7d", "--as-of", "2026-01-13", "--yes")
_ARCHIVE = ("archive", "out", "--older-than", "7d", "--as-of", "2026-01-13", "--yes", "--to", "archive")

_REPLAY = ("rejects", "replay", "--placeholder-users", "null")

SCENARIOS: dict[str, Scenario] = {
    one.name: one
    for one in (
        Scenario("first", bases.nothing, ("ingest", "1.ndjson"), ends=3),
        Scenario("ingest", bases.three_batches, ("ingest", "1.ndjson", "2.ndjson"), ends=3),
        Scenario("stream", bases.three_batches, ("ingest", "--flush-interval", "0s"), _PIECES, ends=3),
        Scenario("compact", bases.three_batches, ("compact",), columns="*"),
        Scenario("compact-late", bases.late, ("compact",), columns="*"),
        Scenario("merge", bases.many, ("compact", "--before", str(DAY_1)), columns="*"),
        Scenario("rollup", bases.one_day, _ROLLUP, columns="*"),
        Scenario("rollup-anew", bases.counted, _ROLLUP, columns="*"),
        Scenario("purge", bases.one_day, _PURGE, columns="*"),
        Scenario("delete", bases.late, ("user", "delete", USER, "--yes"), columns="*"),
        Scenario("delete-linked", bases.linked, ("user", "delete", USER, "--yes"), columns="*"),
        Scenario(
            "anonymise", bases.late, ("user", "delete", USER, "--anonymise", "--yes"),
            columns="event_id, ts, event_type", beside=counts,
        ),
        Scenario("suppress", bases.late, ("user", "suppress", USER), columns="*"),
        Scenario("link", bases.three_batches, ("user", "link", "a device", "bob"), columns="*"),
        Scenario("rotate-key", bases.keyed, ("user", "rotate-key", "--yes"), columns="*", beside=_keyed),
        Scenario("archive", bases.one_day, _ARCHIVE, columns="*", outside=_archive),
        Scenario("restore", bases.archived, ("archive", "restore", "archive"), outside=_archive),
        Scenario("replay", bases.refused, _REPLAY, ends=3, halfway=((*_REPLAY, "--reason", "placeholder_user"),)),
        Scenario("export", bases.exported, bases.EXPORT, columns="*", outside=_exported),
    )
}  # fmt: skip
