"""The homes that commands are run in: stores in every condition that a command may find, and the files it reads."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import storekit as kit
from storekit import DAY_1, DAY_2, DAY_3, event

import evlog
from evlog.store import layout, pseudonym

USER = "alice_the_erased"
KEY = b"known before" * 4
LATER = datetime(2026, 1, 12)
EXPORT = ("export", "--resume", "point", "--into", "exported", "--format", "ndjson", "--quiet")
WHERE = {"PYTHONPATH": str(Path(evlog.__file__).parents[1])}
_ONE_DAY = kit.Scope(kit.Window(kit.NOW.date(), kit.NOW.date(), kit.NOW, kit.NOW.date()))


def store_of(home: Path) -> layout.Store:
    """The store of a home, made if need be."""
    return layout.create(home / "store")


def nothing(home: Path) -> None:
    """No store yet, and a file to begin with."""
    _files(home)


def three_batches(home: Path) -> None:
    """Three batches over three days, rejects among them, and two files that bring more."""
    store = store_of(home)
    _files(home)
    kit.ingest(store, *(event(f"a{i}", DAY_1, note=f"with {USER}") for i in range(3)), event("b", DAY_2, USER), b"{bad")
    kit.ingest(store, event("c", DAY_1, USER), event("d", DAY_2), event("e", DAY_3), f"{{{USER}".encode())
    kit.ingest(store, event("f", DAY_1), event("g", DAY_3, None, anonymous_id=USER))
    (home / "store.in").unlink()


def late(home: Path) -> None:
    """The same, compacted, and events that came too late for it."""
    three_batches(home)
    kit.here(home / "store", "compact", str(DAY_3))
    kit.ingest(store_of(home), event("late", DAY_1, USER), event("late", DAY_2))
    (home / "store.in").unlink()


def linked(home: Path) -> None:
    """Three batches, and what people said of two devices."""
    three_batches(home)
    kit.here(home / "store", "link", "a device", USER)
    kit.here(home / "store", "link", "another", "bob")


def many(home: Path) -> None:
    """A day of so many small segments that they are worth merging."""
    store = store_of(home)
    for number in range(66):
        kit.ingest(store, event(f"m{number}", DAY_3))
    (home / "store.in").unlink()


def one_day(home: Path) -> None:
    """A day in both tiers, and one after it."""
    store = store_of(home)
    kit.ingest(store, event("a", DAY_1, USER), event("b", DAY_1), event("later", LATER.date()))
    kit.here(store.root, "compact", str(DAY_2))
    kit.ingest(store, event("c", DAY_1))
    (home / "store.in").unlink()


def counted(home: Path) -> None:
    """One day, counted; then a late event."""
    one_day(home)
    from evlog import rollup

    rollup.roll(store_of(home), rollup.Asked(_ONE_DAY), grains=("day",), first=DAY_1, last=DAY_1)
    kit.ingest(store_of(home), event("too late", DAY_1))
    (home / "store.in").unlink()


def archived(home: Path) -> None:
    """Days that were moved out, and one that stayed."""
    from evlog import purge
    from evlog.archive import out
    from evlog.archive.seal import Seal

    late(home)
    store = store_of(home)
    with out.writing(store, home / "archive", Seal(), at=LATER) as writer:
        purge.apply(store, DAY_3, carrier=writer)


def refused(home: Path) -> None:
    """Lines in quarantine that another rule of today would take, in two files, and some that nobody takes."""
    store = store_of(home)
    kit.ingest(store, event("a"), event("r1", user="undefined"), b"{bad", event("r2", DAY_2, user="null"))
    strict = replace(kit.RULES, max_age=timedelta(days=14))
    kit.ingest(store, event("b", DAY_3), event("r3"), rules=strict)
    (home / "store.in").unlink()


def exported(home: Path) -> None:
    """A store of which a half is exported already, and what came in since."""
    three_batches(home)
    words = ("--data", "store", *EXPORT)
    subprocess.run([sys.executable, "-m", "evlog", *words], cwd=home, env=os.environ | WHERE, check=True)
    store = store_of(home)
    kit.ingest(store, event("after", DAY_1), event("and after", DAY_2))
    (home / "store.in").unlink()


def keyed(home: Path) -> None:
    """A store with a key of pseudonyms that everybody here knows."""
    three_batches(home)
    path = home / "store" / pseudonym.KEY
    path.write_bytes(KEY)
    path.chmod(0o600)


def _files(home: Path) -> None:
    news = event("n1", DAY_2), event("n2", DAY_3), b"{worse"
    kit.written(home / "1.ndjson", event("a0", note=f"with {USER}"), *news)
    kit.written(home / "2.ndjson", event("n1", DAY_2), event("n3", DAY_3), event("n4", DAY_3), event("n3", DAY_2))
