"""Lines into a throw-away store, and what is in it afterwards."""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from evlog.event.plan import Plan
from evlog.ingest import run as ingest
from evlog.ingest.rules import Moment, Rules
from evlog.ingest.source import Source
from evlog.store import layout, quarantine
from evlog.store.tombstones import Tombstones

if TYPE_CHECKING:
    from pathlib import Path

    from evlog.store.layout import Store
    from evlog.store.quarantine import Rejected

NOW = datetime(2026, 3, 10, 12)
OPEN = Rules(plan=Plan.open())
NOBODY = Tombstones(bytes(32), frozenset(), None, ())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the disk: these tests are about what is written, not about when it is safe."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


def moment(rules: Rules = OPEN, tombstones: Tombstones = NOBODY) -> Moment:
    return Moment.at(NOW, rules, tombstones)


def event(**fields: Any) -> dict[str, Any]:
    """An event that is fine; None takes a field away."""
    found = {"event_id": "e1", "ts": "2026-03-01T10:00:00Z", "event_type": "view", "user_id": "ann"} | fields
    return {key: value for key, value in found.items() if value is not None}


def line(**fields: Any) -> bytes:
    return json.dumps(event(**fields)).encode()


def feed(
    store: Store,
    *sources: Path | str,
    rules: Rules = OPEN,
    now: datetime = NOW,
    **options: Any,
) -> ingest.Outcome:
    """Ingest files, and hold the numbers against each other."""
    asked = ingest.Options(**{"workers": 1, **options})
    found = [Source(str(name)) for name in sources]
    outcome = ingest.run(store, found, rules, clock=lambda: now, options=asked)
    assert outcome.tally.balanced, outcome.tally
    assert sum(outcome.tally.reasons.values()) == outcome.tally.rejected
    return outcome


def written(path: Path, *lines: bytes, end: bytes = b"\n") -> Path:
    """A file of lines."""
    path.write_bytes(b"\n".join(lines) + end)
    return path


def new_store(path: Path) -> Store:
    return layout.create(path / "store")


def stored(store: Store) -> list[dict[str, Any]]:
    """The lines of all segments, by seq; `day` is the folder each lies in."""
    found = []
    for path in sorted((store.root / "events").glob("*/*.ndjson")):
        batch = int(path.name[:12])
        for raw in path.read_bytes().splitlines():
            body = json.loads(raw)
            found.append(body | {"seq": (batch, body["seq"]), "day": path.parent.name[5:]})
    return sorted(found, key=lambda body: body["seq"])


def plain(store: Store) -> list[dict[str, Any]]:
    """The same without what evlog added."""
    return [{key: value for key, value in body.items() if key not in {"seq", "day"}} for body in stored(store)]


def ids(store: Store) -> list[str]:
    return [body["event_id"] for body in stored(store)]


def refused(store: Store) -> list[Rejected]:
    return list(quarantine.rejects(store))


def bytes_of(store: Store) -> bytes:
    """All bytes of all files of a store, to look for what must not be there."""
    return b"\n".join(path.read_bytes() for path in sorted(store.root.rglob("*")) if path.is_file())
