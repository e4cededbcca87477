"""Every command of the command line that touches a store, traced: `linted(NAME)` is what is wrong with one, in a second.

Those that change a store come from `scenarios`; here stand the others, and what a command is told to write outside.
"""

from __future__ import annotations

import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import bases
import scenarios
import storekit as kit
from scenarios import SCENARIOS, STORE, USER, Scenario
from tracelint import SEEN, lint, read

if TYPE_CHECKING:
    from collections.abc import Callable

UNDER = ("sh", "-c", 'umask 000; exec "$@"', "sh", "strace", "-f", "-qq", "-y", "-s", "200", "--seccomp-bpf")
TRACED = ("-e", f"trace={','.join(SEEN)}")


@dataclass(frozen=True, slots=True)
class Order:
    """A command, whether it only reads, and the places outside of the store that it is told to write."""

    scenario: Scenario
    reads_only: bool = False
    leaves: bool = False  # the store as it was, though it may stage
    asked: tuple[str, ...] = ()


def linted(name: str, mutant: str = "") -> list[str]:
    """What is wrong with the order in which a command writes; `mutant` is code that breaks evlog before."""
    order, home = ORDERS[name], Path(mkdtemp(prefix="evlog-order-", dir=kit.FAST)).resolve()
    SCENARIOS.setdefault(name, order.scenario)
    try:
        store, log = scenarios.build(order.scenario, home / "home"), home / "log"
        before = kit.tree(store) if order.reads_only or order.leaves else {}
        done = scenarios.call(order.scenario, store, under=(*UNDER, *TRACED, "-o", str(log)), mutant=mutant)
        assert done.returncode == order.scenario.ends, (done.returncode, done.stderr[-2000:])
        asked = tuple(store.parent / place for place in order.asked)
        found = lint(read(log), store, asked=asked, reads_only=order.reads_only)
        changed = ["the store is another"] if before and kit.tree(store) != before else []
        return found + changed + _wide(store)
    finally:
        shutil.rmtree(home)


def _wide(store: Path) -> list[str]:
    """What lies in the store with another mode than 0600, or 0700 for a folder."""
    found = []
    for path in [store, *store.rglob("*")] if store.exists() else []:
        mode = path.lstat()
        wanted = 0o700 if stat.S_ISDIR(mode.st_mode) else 0o600
        if stat.S_IMODE(mode.st_mode) != wanted:
            found.append(f"mode {stat.S_IMODE(mode.st_mode):o} of {path.relative_to(store)} in the end")
    return found


def _prepared(base: Callable[[Path], None], *words: str) -> Callable[[Path], None]:
    """A home in which another command ran before."""

    def build(home: Path) -> None:
        base(home)
        done = scenarios.call(Scenario("", base, words), home / STORE)
        assert done.returncode == 0, done.stderr

    return build


def _ids_lost(home: Path) -> None:
    """A store of which an index is gone, and whose events can tell it."""
    bases.late(home)
    next((home / STORE / "ids").glob("*/*-0.ids")).unlink()


_RANGE = ("--from", "2026-01-05", "--to", "2026-01-07", "--as-of", "2026-01-20")
_WRITING = {
    "init": (bases.nothing, ("init", "fresh"), ("fresh",)),
    "unlink": (bases.linked, ("user", "unlink", "a device"), ()),
    "clear": (bases.three_batches, ("rejects", "clear", "--yes"), ()),
    "grace": (bases.late, ("user", "delete", USER, "--after", "3d", "--yes"), ()),
    "cancel": (_prepared(bases.late, "user", "delete", USER, "--after", "3d", "--yes"), ("user", "delete", USER, "--cancel"), ()),
    "repair": (_ids_lost, ("verify", "--repair"), ()),
    "copy": (bases.one_day, (*scenarios._ARCHIVE, "--copy"), ("archive",)),
    "user-export-to": (bases.linked, ("user", "export", USER, "--to", "person"), ("person", ".evlog-")),
    "user-export-output": (bases.linked, ("user", "export", USER, "--format", "ndjson", "--output", "person"), ("person", ".evlog-")),
    "export-output": (bases.late, ("export", "--all-time", "--format", "parquet", "--output", "events.parquet"), ("events.parquet", ".evlog-")),
    "pseudonyms": (bases.late, ("export", "--all-time", "--pseudonymise", "--format", "ndjson"), ()),
}  # fmt: skip
_READING = {
    "status": ("status",),
    "verify": ("verify",),
    "check": ("check", "--as-of", "2026-01-20"),
    "overview": ("overview", "--as-of", "2026-01-20", "--format", "json"),
    "sql": ("sql", "SELECT count(*) FROM events"),
    "config": ("config",),
    "audit-show": ("audit", "show"),
    "audit-verify": ("audit", "verify"),
    "rejects-list": ("rejects", "list"),
    "rejects-show": ("rejects", "show"),
    "plan-show": ("plan", "show"),
    "plan-infer": ("plan", "infer", "--output", "plan.toml"),
    "journey": ("user", "journey", USER, *_RANGE),
    "funnel": ("funnel", "seen", "seen", *_RANGE),
    "dropoff": ("dropoff", "--start", "seen", "--complete", "done", *_RANGE),
    "dry-compact": ("compact", "--dry-run"),
    "dry-rollup": ("rollup", "--dry-run", *_RANGE[4:]),
    "dry-purge": ("purge", "--dry-run", *_RANGE[4:]),
    "dry-archive": ("archive", "out", "--to", "archive", "--dry-run", *_RANGE[4:]),
    "dry-clear": ("rejects", "clear", "--dry-run"),
    "dau": ("report", "dau", *_RANGE),
    "retention": ("report", "retention", *_RANGE),
    "report-out": ("report", "events", *_RANGE, "--format", "csv", "--output", "out.csv"),
}
_TOLD = {
    "plan-infer": ("plan.toml", ".evlog-"),
    "report-out": ("out.csv", ".evlog-"), "archive": ("archive",), "restore": (), "export": ("exported", "point", ".point"),
}  # fmt: skip

ORDERS: dict[str, Order] = {
    **{name: Order(one, asked=_TOLD.get(name, ())) for name, one in SCENARIOS.items()},
    **{name: Order(Scenario(name, base, argv), asked=asked) for name, (base, argv, asked) in _WRITING.items()},
    **{
        name: Order(Scenario(name, bases.late, argv), reads_only=True, asked=_TOLD.get(name, ()))
        for name, argv in _READING.items()
    },
    "dry-delete": Order(Scenario("dry-delete", bases.late, ("user", "delete", USER, "--dry-run")), leaves=True),
}
