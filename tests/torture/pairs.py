"""Commands that meet one another: the store they meet upon, each as a call, and what can be told of the store after it."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest import mock

import storekit as kit
from storekit import DAY_1, DAY_2, DAY_3, NOW, event

from evlog import purge, replay
from evlog.archive import out, restore
from evlog.archive.seal import Seal
from evlog.export import events
from evlog.rollup import questions
from evlog.store import audit, layout, links, quarantine, tombstones

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

USER, DEVICE = "alice_the_erased", "device_of_alice"
_DAY_0 = DAY_1.replace(day=3)
_COLUMNS = "event_id, CAST(ts AS VARCHAR), event_type, user_id, anonymous_id, properties"
_NAMES = re.compile("anon-[0-9a-f]{32}")  # of the anonymised: others each time


def build(home: Path) -> None:
    """A store with an archived day, both tiers, a late event, two rejects; and what is to be ingested, beside it."""
    store = layout.create(home / "s")
    kit.ingest(store, event("z0", _DAY_0), event("z1", _DAY_0, USER))
    archive(home, before=DAY_1)
    kit.ingest(
        store, event("a0"), event("a1", user=USER), event("b0", DAY_2, note=f"with {USER}"), event("n", user="null")
    )
    kit.here(store.root, "compact", str(DAY_2))
    more = event("b1", DAY_2, None, anonymous_id=DEVICE), event("c0", DAY_3, USER), b"{bad"
    kit.ingest(store, event("late"), *more)
    news = event("n1"), event("n2", DAY_3, USER), event("n3", DAY_2, None, anonymous_id=DEVICE), event("a0")
    kit.written(home / "in.ndjson", *news, event("z2", _DAY_0), b"{worse")


def _call(*words: str) -> Callable[[Path], None]:
    return lambda home: kit.here(home / "s", *words)


def _ingest(home: Path) -> None:
    kit.here(home / "s", "ingest", str(home / "in.ndjson"))


def _rollup(home: Path) -> None:
    with mock.patch("evlog.rollup.run.standing", return_value=(questions.HOURS, questions.QUALITY)):
        kit.here(home / "s", "rollup")  # all questions would take seconds, and what is written is the same


def archive(home: Path, *, before: Any = DAY_2) -> None:
    """Move days out."""
    store = layout.open_store(home / "s")
    with out.writing(store, home / "arc", Seal(), at=NOW) as writer:
        purge.apply(store, before, carrier=writer)


def _restore(home: Path) -> None:
    restore.restore(layout.open_store(home / "s"), restore.Asked(home / "arc", first=_DAY_0, last=_DAY_0), at=NOW)


def _replay(home: Path) -> None:
    replay.run(layout.open_store(home / "s"), replace(kit.RULES, placeholder_users="null"), now=NOW)


def _export(home: Path) -> None:
    store = layout.open_store(home / "s")
    with events.unerased(store):
        days = events.days(store, events.Asked(-1, events.newest(store), every=True))
        told = [row["event_id"] for _, batches in days for batch in batches for row in batch.to_pylist()]
    (home / "exported").write_text(" ".join(sorted(told)))


COMMANDS: dict[str, Callable[[Path], None]] = {
    "ingest": _ingest,
    "compact": _call("compact", str(DAY_3)),
    "purge": _call("purge", str(DAY_2)),
    "delete": _call("delete", USER),
    "anonymise": _call("anonymise", USER),
    "suppress": _call("suppress", USER),
    "rollup": _rollup,
    "archive": archive,
    "restore": _restore,
    "link": _call("link", DEVICE, USER),
    "replay": _replay,
    "export": _export,
}
MAINTENANCE = set(COMMANDS) - {"ingest", "suppress", "link", "export"}


def run(name: str, home: Path) -> None:
    """Run a command by its name."""
    COMMANDS[name](home)


def seen(home: Path) -> str:
    """What a reader sees."""
    return _NAMES.sub("anon", repr(kit.rows(layout.open_store(home / "s"), _COLUMNS)))


def told(home: Path) -> dict[str, str]:
    """All that can be told of a store, and of what left it; not when and as how many files it came about."""
    store = layout.open_store(home / "s")
    known = tombstones.load(store)
    stones = sorted(known.users), known.purged_before, sorted(known.restored), sorted(known.suppressed.words)
    found = {
        "events": seen(home),
        "rejects": repr(sorted((one.code, one.raw) for one in quarantine.rejects(store))),
        "tombstones": repr(stones),
        "links": repr(sorted((one.source, one.target) for file in links.files(store) for one in file.read())),
        "rollups": repr(sorted(kit.rolled(store).items())),
        "audit": repr(sorted(one["what"] for one in audit.read(store))),
        "archive": repr(sorted(str(one.relative_to(home)) for one in (home / "arc").rglob("*.parquet"))),
        "exported": (home / "exported").read_text() if (home / "exported").exists() else "",
    }
    return {name: _NAMES.sub("anon", text) for name, text in found.items()}


def copied(base: Path, to: Path) -> Path:
    """A home like `base`: what it holds is told alike, secrets too."""
    shutil.copytree(base, to)
    return to
