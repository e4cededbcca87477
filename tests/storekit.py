"""What the tests of the store share: events, the operations as calls, what a reader sees, and a process to be killed.

A command is a name and arguments. `here` runs it in this process; `process` in one of its own, under strace if asked, so
that it can be killed, or its system calls made to fail, at any point.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evlog import compact, engine, purge, rollup
from evlog.event.plan import Plan
from evlog.ingest.rules import Rules
from evlog.ingest.run import Options, Outcome, run
from evlog.ingest.source import Source
from evlog.person import erase, link, suppress
from evlog.query import view
from evlog.query.scope import Scope
from evlog.store import layout, rollups, snapshot
from evlog.verify import verify
from evlog.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 1, 20, 12)
RULES = Rules(plan=Plan.open())
FAST = "/dev/shm" if Path("/dev/shm").is_dir() else None  # what is not about durability need not wait for a disk
ONE_PROCESS = Options(workers=1)
DAY_1, DAY_2, DAY_3 = date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 7)
SCOPE = Scope(Window(DAY_1, DAY_3, datetime(2026, 1, 8, 12), date(2026, 1, 8)))  # few days to roll up


def event(name: str, day: date = DAY_1, user: str | None = "bob", **more: Any) -> dict[str, Any]:
    """An event as somebody sends it."""
    said = {"event_id": name, "ts": f"{day}T10:00:00Z", "event_type": "seen", "user_id": user, **more}
    return {key: value for key, value in said.items() if value is not None}


def lines(*events: dict[str, Any] | bytes) -> bytes:
    """Events (or raw lines) as NDJSON."""
    return b"".join((e if isinstance(e, bytes) else json.dumps(e).encode()) + b"\n" for e in events)


def written(path: Path, *events: dict[str, Any] | bytes) -> Path:
    """A file that holds these lines."""
    path.write_bytes(lines(*events))
    return path


def ingest(store: layout.Store, *events: dict[str, Any] | bytes, now: datetime = NOW, rules: Rules = RULES) -> Outcome:
    """Store events as one batch."""
    path = store.root.parent / f"{store.root.name}.in"
    return run(store, [Source(str(written(path, *events)))], rules, clock=lambda: now, options=ONE_PROCESS)


def rows(store: layout.Store, columns: str = "*") -> list[tuple[Any, ...]]:
    """Everything a reader sees, in an order of its own."""

    def read(seen: snapshot.Snapshot) -> list[tuple[Any, ...]]:
        with engine.connect() as connection:
            body, params = view.relation(seen.hot, seen.cold)
            return sorted(connection.rows(f"SELECT {columns} FROM ({body})", params), key=repr)

    return snapshot.steady(store, read)


def ids(store: layout.Store) -> list[str]:
    """The ids of all events a reader sees, sorted."""
    return [row[0] for row in rows(store, "event_id")]


def rolled(store: layout.Store) -> dict[str, dict[str, Any]]:
    """The records of every rollup: by file, then by question."""
    held = {name: rollups.read(path)[1] for name, path in rollups.files(store).items()}
    return {name: {key: one.records for key, one in sections.items()} for name, sections in held.items()}


def outside(root: Path) -> list[tuple[str, date]]:
    """(event id, day) of each row that a stranger's DuckDB finds in the cold tier, without any code of ours."""
    import duckdb

    if not any((root / "parquet").glob("*/*.parquet")):
        return []
    glob = f"{root}/parquet/*/*.parquet"
    with duckdb.connect() as connection:
        return connection.execute(
            "SELECT event_id, date FROM read_parquet($glob, hive_partitioning = true)", {"glob": glob}
        ).fetchall()


def doubles(found: list[Any]) -> list[Any]:
    """What stands in a list more than once."""
    return [one for one, count in Counter(found).items() if count > 1]


def tree(root: Path) -> dict[str, bytes]:
    """Every file of a store with its bytes; locks and journal apart, which say when and not what."""
    found = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in found
        if p.relative_to(root).parts[0] not in {"locks", "journal"}
    }


def sound(store: layout.Store) -> None:
    """Assert that nothing is wrong with a store, and nothing left lying about."""
    assert verify(store).findings == []
    assert list(store.staging.iterdir()) == []
    assert list(store.root.rglob("*.tmp")) == []
    assert doubles(outside(store.root)) == []


# -- commands, here and in a process of their own -----------------------------------------------------------------------


def _merge(store: layout.Store, day: str) -> None:
    many, compact._MANY = compact._MANY, 2
    try:
        compact.run(store, before=date.fromisoformat(day))
    finally:
        compact._MANY = many


def _erase(store: layout.Store, user: str, *, anonymise: bool = False) -> None:
    assert not erase.erase_each(store, [user], erase.How(anonymise=anonymise)).found


_COMMANDS: dict[str, Callable[..., object]] = {
    "compact": lambda store, day: compact.run(store, before=date.fromisoformat(day)),
    "merge": _merge,
    "purge": lambda store, day: purge.apply(store, date.fromisoformat(day)),
    "link": lambda store, anon, user: link.link(store, anon, user, now=NOW),
    "delete": _erase,
    "anonymise": partial(_erase, anonymise=True),
    "suppress": lambda store, user: suppress.suppress(store, [user], now=NOW),
    "rollup": lambda store: rollup.roll(store, rollup.Asked(SCOPE), grains=("hour", "day")),
}


def here(root: Path, command: str, *args: str, told: Any = lambda number: None) -> None:
    """Run a command; `told` hears of each acknowledgement."""
    if command == "ingest":
        store = layout.create(root)
        for number, path in enumerate(args, 1):
            run(store, [Source(path)], RULES, clock=lambda: NOW, options=ONE_PROCESS)
            told(number)
        return
    _COMMANDS[command](layout.open_store(root), *args)
    told(1)


_DRIVER = """
import os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import storekit
{mutant}
from evlog.errors import EvlogError
def told(number):
    try:
        os.write(1, b"acked %d\\n" % number)
    except OSError:
        os._exit(1)
try:
    storekit.here(Path(sys.argv[1]), *sys.argv[2:], told=told)
except EvlogError as error:
    try:
        os.write(2, str(error).encode())
    finally:
        os._exit(1)
os._exit(0)
"""
_QUIET = {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}


def process(
    root: Path, command: str, *args: str, under: tuple[str, ...] = (), mutant: str = ""
) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a process of its own, perhaps under strace; `mutant` is code that breaks evlog before."""
    driver = _DRIVER.format(tests=str(Path(__file__).parent), mutant=mutant)
    call = [*under, sys.executable, "-c", driver, str(root), command, *args]
    return subprocess.run(call, capture_output=True, env=os.environ | _QUIET, check=False, timeout=60)


def acked(done: subprocess.CompletedProcess[bytes]) -> int:
    """How many acknowledgements a process gave."""
    return done.stdout.count(b"acked")
