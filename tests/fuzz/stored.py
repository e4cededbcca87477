"""Targets: the files of a store, damaged: told as damage, never as anything else."""

from __future__ import annotations

import atexit
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from storekit import FAST

from evlog.archive import manifest
from evlog.errors import EvlogError
from evlog.export import resume
from evlog.person import pending
from evlog.store import (
    audit,
    firsts,
    ids,
    journal,
    layout,
    linked,
    links,
    parts,
    quarantine,
    rollups,
    runs,
    snapshot,
    tombstones,
)

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = date(2026, 1, 5)
NAME = "000000000001-20260120T120000S000000Z-0"


@cache
def _store() -> layout.Store:
    folder = TemporaryDirectory(prefix="evlog-fuzz-", dir=FAST)
    atexit.register(folder.cleanup)
    return layout.create(Path(folder.name) / "s")


def _rejects(store: layout.Store) -> None:
    for found in quarantine.rejects(store):
        assert found.says is not None
        assert (found.id, found.code, found.whole, found.raw) is not None


def _part(store: layout.Store) -> None:
    """The footer. What lies before it are bytes for DuckDB and pyarrow, which have suites of their own."""
    parts.covers(store.part(DAY))
    parts.rows(store.part(DAY))


def _fresh(store: layout.Store) -> resume.Point:
    return resume.Point("s", "a")


READERS: dict[str, tuple[str, Callable[[layout.Store], Any]]] = {
    "marker": (layout.MARKER, lambda store: layout.open_store(store.root)),
    "journal": ("journal/000000000001.json", snapshot.snapshot),
    "done": (
        "journal/000000000001.done",
        lambda store: (journal.last_received(store), journal.replaced_since(store, 0), audit._begun(store)),
    ),
    "users": ("tombstones/users.json", tombstones.load),
    "days": ("tombstones/days.json", tombstones.load),
    "suppressed": ("tombstones/suppressed.json", tombstones.load),
    "pending": ("tombstones/pending.json", pending.pending),
    "rollup": ("rollups/UTC/day/2026-01-05.rollup", lambda store: rollups.read(store.root / "rollups/UTC/day/2026-01-05.rollup")),
    "touched": (rollups.TOUCHED, rollups.touched),
    "linked": (linked.LINKED, lambda store: linked.without(store, {"0" * 32})),
    "firsts": (layout.FIRSTS, lambda store: list(firsts.held(store).read({""}))),
    "ids": (f"ids/{DAY}/{NAME}.ids", lambda store: ids.load(store.ids(DAY) / f"{NAME}.ids")),
    "links": (f"links/{NAME}.links", lambda store: links.seen(store, 9)),
    "rejects": (f"quarantine/{NAME}.rejects", _rejects),
    "head": (audit.HEAD, lambda store: (audit.verify(store), audit.read(store))),
    "entry": ("audit/000000000001.entry", lambda store: (audit.verify(store), audit.read(store))),
    "runs": ("runs/ingest.log", lambda store: list(runs.read(store, "ingest"))),
    "resume": ("resume", lambda store: resume.load(store.root / "resume", _fresh(store), newest=3)),
    "manifest": (f"staging/{manifest.MANIFEST}", lambda store: manifest.load(store.staging)),
    "part": (f"parquet/date={DAY}/events.parquet", _part),
}  # fmt: skip
"""Where each kind of file lies, and who reads it."""

NAMES = sorted(READERS)


def target_stored(data: bytes) -> None:
    """Whatever stands in a file of a store, its reader takes it, or says which file is damaged."""
    name = NAMES[(data or b"\0")[0] % len(NAMES)]
    read(name, data[1:])


def read(name: str, body: bytes) -> None:
    """Put a body in the place of one file, read it, and take it away."""
    store = _store()
    where, reader = READERS[name]
    path = store.root / where
    marker = path.read_bytes() if name == "marker" else None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    try:
        reader(store)
    except EvlogError as error:
        assert str(error)  # noqa: PT017 - it says something
    finally:
        path.unlink() if marker is None else path.write_bytes(marker)
