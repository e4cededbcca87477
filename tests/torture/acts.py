"""What is recorded: a command as a call in this process, upon a home (a folder with a store), and what it leaves there."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

import archivekit
import idsearch
import storekit as kit
from scenarios import counts, everything
from storekit import DAY_1, DAY_2, DAY_3, NOW, event

from evlog import purge
from evlog.archive import out, restore, verify
from evlog.archive.seal import Seal
from evlog.rollup import questions
from evlog.store import layout, links

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STORE, ARCHIVE = "s", "arc"
COLUMNS = "event_id, ts, event_type, user_id, properties"
USER = "alice_the_erased"


def _nothing(home: Path) -> None:
    """Nothing is asked of it."""


@dataclass(frozen=True, slots=True)
class Act:
    """A command, and what may be seen of it."""

    build: Callable[[Path], None]
    run: Callable[[Path, Callable[[], None]], None]
    columns: str = COLUMNS
    beside: Callable[[layout.Store], Any] = everything
    after: Callable[[Path], None] = _nothing  # asserts what holds once the command was acknowledged


def seen(act: Act, home: Path) -> Any:
    """What a reader sees just now: events, links, rollups; whatever is committed and not applied counts."""
    store = layout.Store(home / STORE)
    said = sorted({(one.source, one.target or "") for file in links.files(store) for one in file.read()})
    return kit.rows(store, act.columns), said, kit.rolled(store)


def _ingested(home: Path, told: Callable[[], None], *files: str) -> None:
    kit.here(home / STORE, "ingest", *(str(home / file) for file in files), told=lambda _: told())


def _plain(command: str, *args: str) -> Callable[[Path, Callable[[], None]], None]:
    return lambda home, told: kit.here(home / STORE, command, *args, told=lambda _: told())


def _files(home: Path) -> None:
    kit.written(home / "1.ndjson", event("a0", note=f"with {USER}"), event("n1", DAY_2), event("n2", DAY_3), b"{worse")
    kit.written(home / "2.ndjson", event("n1", DAY_2), event("n3", DAY_3), event("n4", DAY_3), event("n3", DAY_2))


def _three(home: Path) -> None:
    _files(home)
    store = layout.create(home / STORE)
    kit.ingest(store, *(event(f"a{i}", DAY_1, note=f"with {USER}") for i in range(3)), event("b", DAY_2, USER), b"{bad")
    kit.ingest(store, event("c", DAY_1, USER), event("d", DAY_2), event("e", DAY_3), f"{{{USER}".encode())
    kit.ingest(store, event("f", DAY_1), event("g", DAY_3, None, anonymous_id=USER))


def _late(home: Path) -> None:
    _three(home)
    kit.here(home / STORE, "compact", str(DAY_3))
    kit.ingest(layout.open_store(home / STORE), event("late", DAY_1, USER), event("late", DAY_2))


def _linked(home: Path) -> None:
    _three(home)
    kit.here(home / STORE, "link", "a device", USER)
    kit.here(home / STORE, "link", "another", "bob")


@contextmanager
def few_questions() -> Iterator[None]:
    """Let rollups ask two questions: what is written is the same, and counting all of them takes seconds."""
    with mock.patch("evlog.rollup.run.standing", return_value=(questions.HOURS, questions.QUALITY)):
        yield


def _rollup(home: Path, told: Callable[[], None]) -> None:
    with few_questions():
        kit.here(home / STORE, "rollup", told=lambda _: told())


def _rolled(home: Path) -> None:
    _three(home)
    _rollup(home, lambda: None)
    kit.ingest(layout.open_store(home / STORE), event("late", DAY_1), event("late", DAY_2))


def _filled(home: Path) -> None:
    archivekit.filled(home / STORE)


def _moved(home: Path) -> None:
    _filled(home)
    _archived(home, lambda: None)


def _archived(home: Path, told: Callable[[], None]) -> None:
    store = layout.open_store(home / STORE)
    with out.writing(store, home / ARCHIVE, Seal(), at=NOW) as writer:
        purge.apply(store, archivekit.KEPT, carrier=writer)
    told()


def _restored(home: Path, told: Callable[[], None]) -> None:
    restore.restore(layout.open_store(home / STORE), restore.Asked(home / ARCHIVE), at=NOW)
    told()


def _erased(home: Path) -> None:
    assert idsearch.places(home / STORE, USER) == []


def _archive_is_sound(home: Path) -> None:
    assert all(held.says == verify.SOUND for held in verify.verify(home / ARCHIVE))
    assert len(list((home / ARCHIVE).glob("*/*.parquet"))) == 3
    assert list((home / ARCHIVE).rglob("*.tmp")) == []


ACTS = {
    "ingest": Act(_three, lambda home, told: _ingested(home, told, "1.ndjson", "2.ndjson")),
    "first": Act(_files, lambda home, told: _ingested(home, told, "1.ndjson")),
    "compact": Act(_three, _plain("compact", str(DAY_3)), "*"),
    "again": Act(_late, _plain("compact", str(DAY_3)), "*"),
    "merge": Act(_three, _plain("merge", str(DAY_1)), "*"),
    "purge": Act(_late, _plain("purge", str(DAY_2))),
    "delete": Act(_late, _plain("delete", USER), after=_erased),
    "unsaid": Act(_linked, _plain("delete", USER), after=_erased),
    "anonymise": Act(_late, _plain("anonymise", USER), "event_id, ts, event_type", beside=counts),
    "suppress": Act(_late, _plain("suppress", USER), "*"),
    "link": Act(_three, _plain("link", "a device", "bob"), "*"),
    "rollup": Act(_late, _rollup, "*"),
    "anew": Act(_rolled, _rollup, "*"),
    "archive": Act(_filled, _archived, after=_archive_is_sound),
    "restore": Act(_moved, _restored, after=_archive_is_sound),
}
