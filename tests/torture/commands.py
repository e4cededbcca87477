"""Commands to be watched: upon which store, as which call, and what must come of it, written out by hand."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress as suppress_error
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock

import acts
import archivekit
import storekit as kit
from acts import STORE, USER
from storekit import DAY_1, DAY_2, NOW, event

from evlog import replay, verify
from evlog.archive import out
from evlog.archive.seal import Seal
from evlog.export import folder, resume
from evlog.ingest.run import Options, Tolerance, run
from evlog.ingest.source import Source
from evlog.person import erase, link, pending, suppress
from evlog.store import audit, durable, journal, layout, locks, pseudonym, runs, tombstones

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_A = ["a0", "a1", "a2", "c", "f"]  # what the three batches of `acts` bring to the first day, then to the others
_THREE = sorted([*_A, "b", "d", "e", "g"])
_LATE = sorted([*_THREE, "late", "late"])
_GONE = ["a0", "a1", "a2", "d", "e", "f", "late"]


@dataclass(frozen=True, slots=True)
class Command:
    """A command: how its home is built, the call, what it commits (the `why` of each), and which events are there then."""

    build: Callable[[Path], None]
    run: Callable[[Path, Any], None]
    commits: tuple[str, ...]
    ids: list[str] | None = None
    alone: bool = False  # it commits under the maintenance lock only
    after: Callable[[Path], None] = acts._nothing
    waits: bool = False  # it ends only when no staging folder of before has an owner
    left: bool = True  # it is tried upon a store with an unapplied commit as well


def _act(name: str, *commits: str, ids: list[str] | None, alone: bool = True, left: bool = True) -> Command:
    act = acts.ACTS[name]
    waits = commits == ("erasure",)
    return Command(act.build, act.run, commits, ids, alone, act.after, waits, left)


def _store(home: Path) -> layout.Store:
    return layout.open_store(home / STORE)


def _plain(call: Callable[[layout.Store], object]) -> Callable[[Path, Any], None]:
    def run_it(home: Path, told: Any) -> None:
        call(_store(home))
        told()

    return run_it


def _ingest(home: Path, name: str, **options: Any) -> None:
    run(_store(home), [Source(str(home / name))], kit.RULES, clock=lambda: NOW, options=Options(workers=1, **options))


def _whole(home: Path, told: Any) -> None:
    """All or nothing: what is stored is stored at the end."""
    _ingest(home, "1.ndjson", tolerance=Tolerance(count=5))
    told()


def _nameless(home: Path) -> None:
    acts._three(home)
    kit.written(
        home / "3.ndjson", {"ts": f"{DAY_1}T11:00:00Z", "event_type": "seen", "user_id": "bob"}, event("z", DAY_2)
    )


def _unnamed(home: Path, told: Any) -> None:
    _ingest(home, "3.ndjson")
    told()


def _created(home: Path, told: Any) -> None:
    layout.create(home / STORE)
    told()


def _suppressed(home: Path) -> None:
    acts._late(home)
    kit.here(home / STORE, "suppress", USER)


def _deleted(home: Path) -> None:
    acts._late(home)
    kit.here(home / STORE, "delete", USER)


def _awaited(home: Path) -> None:
    acts._late(home)
    pending.await_erasure(_store(home), [USER, "bob"], due=NOW, mode="delete", now=NOW)


def _quarantined(home: Path) -> None:
    acts._three(home)
    kit.ingest(_store(home), event("late-named", DAY_1, "null"), b"{bad too")


def _rejects_replayed(home: Path, told: Any) -> None:
    rules = replace(kit.RULES, placeholder_users="null")
    replay.run(_store(home), rules, now=NOW)
    told()


def _broken(home: Path) -> None:
    acts._three(home)
    index = next((home / STORE / "ids" / str(DAY_1)).glob("*.ids"))
    index.write_bytes(index.read_bytes()[:-24])


def _copied(home: Path, told: Any) -> None:
    store = _store(home)
    with out.writing(store, home / acts.ARCHIVE, Seal(), at=NOW) as writer:
        out.copy(store, archivekit.KEPT, writer)
    told()


def _point(home: Path, told: Any) -> None:
    store = _store(home)
    with resume.turn(store, home / "point"):
        assert any(one.name.startswith("export-") for one in (store.locks).iterdir())
        resume.save(home / "point", resume.Point("s", "a", 3))
    told()


def _exported(home: Path, told: Any) -> None:
    import pyarrow as pa

    files = folder.Files(home / "exported", 0, 3, "bin")
    batch = pa.record_batch({"n": [1, 2, 3]})

    def how(file: Any, batches: Any) -> None:
        for one in batches:
            file.write(str(one.to_pylist()).encode())

    with folder.staged(files, "word") as scratch:
        sums = folder.write(files, scratch, [(DAY_1, [batch]), (DAY_2, [batch])], how)
        folder.publish(files, scratch, sums, again=True)
    told()


def _is_exported(home: Path) -> None:
    lines = (home / "exported" / "SHA256SUMS").read_text().splitlines()
    assert len(lines) == 2
    for line in lines:
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((home / "exported" / name).read_bytes()).hexdigest() == digest
    assert sorted(one.name for one in (home / "exported").iterdir()) == [
        "SHA256SUMS", f"date={DAY_1}", f"date={DAY_2}"
    ]  # fmt: skip


def _exported_before(home: Path) -> None:
    layout.create(home / STORE)
    _exported(home, lambda: None)
    (home / "exported" / f"date={DAY_1}" / "export-000000000001-000000000003-7.bin").write_bytes(b"of a run that died")


def _is_clean(home: Path) -> None:
    assert verify.verify(_store(home)).findings == []


def _rotated_outside(home: Path, told: Any) -> None:
    pseudonym.rotate(_store(home), home / "my-key", now=NOW)
    told()


def _empty(home: Path) -> None:
    layout.create(home / STORE)


def _keyed(home: Path) -> None:
    acts._three(home)
    pseudonym.key_of(_store(home))


def _first_key(store: layout.Store) -> None:
    assert pseudonym.key_of(store) == pseudonym.key_of(store)


def _waiting(*users: str) -> Callable[[Path], None]:
    def asserted(home: Path) -> None:
        assert [one.user for one in pending.pending(_store(home))] == list(users)

    return asserted


def _refuses(*, refused: bool) -> Callable[[Path], None]:
    def asserted(home: Path) -> None:
        known = tombstones.load(_store(home))
        assert known.suppressed.refuses(known.subject(USER), "") == refused or not refused

    return asserted


def _audited(home: Path) -> None:
    assert [one["what"] for one in audit.read(_store(home))] == ["told", "told"]
    assert audit.findings(_store(home)) == []


_ACT = audit.Act("told", NOW)
_DUE = NOW + timedelta(days=3)

AUDITED = {
    "delete": ["user delete"],
    "delete again": ["user delete"],
    "delete dry": [],
    "unsaid": ["user link", "user link", "user delete"],
    "anonymise": ["user anonymise"],
    "suppress": ["user suppress"],
    "link": ["user link"],
    "unlink": ["user link", "user link", "user unlink"],
    "await": ["user delete --after"],
    "cancel": ["user delete --after", "user delete --cancel"],
    "rotate": ["user rotate-key"],
    "archive": ["archive"],
    "restore": ["archive", "archive restore"],
}
"""What the audit log says in the end."""

COMMANDS: dict[str, Command] = {
    "ingest": _act("ingest", "ingest", "ingest", ids=sorted([*_THREE, "n1", "n2", "n3", "n3", "n4"]), alone=False),
    "first": _act("first", "ingest", ids=["a0", "n1", "n2"], alone=False, left=False),
    "whole": Command(acts._three, _whole, ("ingest",), sorted([*_THREE, "n1", "n2"])),
    "nameless": Command(_nameless, _unnamed, ("ingest",)),
    "compact": _act("compact", "compact", "compact", ids=_THREE),
    "again": _act("again", "compact", "compact", ids=_LATE),
    "merge": _act("merge", "merge", ids=_THREE),
    "purge": _act("purge", "purge", ids=["b", "d", "e", "g", "late"]),
    "delete": _act("delete", "erasure", ids=_GONE),
    "delete again": Command(_deleted, acts.ACTS["delete"].run, (), _GONE, waits=True),
    "delete dry": Command(
        acts._late, _plain(lambda s: erase.erase_each(s, [USER], erase.How(dry_run=True))), (), _LATE
    ),
    "unsaid": _act("unsaid", "erasure", ids=_GONE[:-1]),
    "anonymise": _act("anonymise", "erasure", ids=_LATE),
    "suppress": _act("suppress", "suppression", ids=_LATE, alone=False),
    "lift": Command(_suppressed, _plain(lambda s: suppress.suppress(s, [USER], now=NOW, lift=True)), ("suppression",), _LATE),
    "link": _act("link", "link", ids=_THREE, alone=False),
    "unlink": Command(acts._linked, _plain(lambda s: link.unlink(s, "another", now=NOW)), ("link",), _THREE),
    "await": Command(
        acts._late,
        _plain(lambda s: pending.await_erasure(s, [USER], due=_DUE, mode="delete", now=NOW)),
        ("pending erasure",), _LATE, after=_waiting(USER),
    ),
    "cancel": Command(
        _awaited, _plain(lambda s: pending.cancel(s, [USER], now=NOW)), ("pending erasure",), _LATE, after=_waiting("bob")
    ),
    "cancel all": Command(
        _awaited, _plain(lambda s: pending.cancel(s, [USER, "bob"], now=NOW)), ("pending erasure",), _LATE, after=_waiting()
    ),
    "rollup": _act("rollup", "rollup", "rollup", ids=_LATE),
    "anew": _act("anew", "rollup", "rollup", ids=_LATE),
    "archive": _act("archive", "archive", ids=["k0", "k1", "k2", "k3"]),
    "copy": Command(acts._filled, _copied, ("audit",), alone=True, after=acts._archive_is_sound),
    "restore": _act("restore", "restore", ids=["a1", "a2", "a3", "b1", "b2", "c1", "k0", "k1", "k2", "k3"]),
    "replay": Command(_quarantined, _rejects_replayed, ("ingest",), sorted([*_THREE, "late-named"]), alone=True),
    "clear": Command(_quarantined, _plain(replay.clear), ("rejects clear",) * 3, _THREE, alone=True),
    "clear some": Command(
        _quarantined, _plain(lambda s: replay.clear(s, code="bad_json")), ("rejects clear",) * 3, _THREE, alone=True
    ),
    "repair": Command(_broken, _plain(lambda s: verify.verify(s, repair=True)), ("repair",), _THREE, alone=True, after=_is_clean, left=False),
    "tell": Command(
        acts._three, _plain(lambda s: [audit.tell(s, _ACT), audit.tell(s, _ACT)]), ("audit", "audit"), _THREE, after=_audited
    ),
    "rotate": Command(_keyed, _plain(lambda s: pseudonym.rotate(s, now=NOW)), ("pseudonym key",), _THREE),
    "rotate outside": Command(_keyed, _rotated_outside, ("audit",), _THREE),
    "key": Command(_empty, _plain(_first_key), (), left=False),
    "create": Command(acts._nothing, _created, (), [], left=False),
    "run line": Command(_empty, _plain(lambda s: runs.append(s, "ingest", {"n": 1})), (), left=False),
    "point": Command(_empty, _point, (), left=False),
    "export": Command(_exported_before, _exported, (), left=False, after=_is_exported),
    "export first": Command(_empty, _exported, (), left=False, after=_is_exported),
}  # fmt: skip


def half_committed(home: Path) -> None:
    """Let a process die that has committed two events and applied nothing."""
    store = _store(home)
    with mock.patch.object(journal, "_apply", side_effect=OSError), mock.patch.object(journal, "_leave", _died):
        path = kit.written(home / "left.ndjson", event("left-1", DAY_1), event("left-2", date(2026, 1, 19)))
        with suppress_error(OSError):
            run(store, [Source(str(path))], kit.RULES, clock=lambda: NOW, options=Options(workers=1))
    assert [one.why for one in journal.unapplied(store)] == ["ingest"]


def _died(_store: layout.Store, _path: Path, fd: int) -> None:
    os.close(fd)


def left_names(home: Path) -> list[str]:
    """The names in the store that the dead made last: the record, and the folders of what it brings."""
    (record,) = journal.unapplied(_store(home))
    folders = {target.rpartition("/")[0] for _, target in record.renames}
    return [f"journal/{record.batch:012d}.json", *sorted(name for name in folders if "/" in name)]


def left_behind(home: Path) -> None:
    """Leave a commit of which nobody did more than make folders, a staging folder of the dead, and one of the living."""
    half_committed(home)
    store = _store(home)
    for name in left_names(home)[1:]:
        (store.root / name).mkdir(mode=0o700, exist_ok=True)
    dead = store.staging / "dead"
    dead.mkdir(mode=0o700)
    durable.write_new(dead / "owner", [b""])
    durable.write_new(dead / "0-part", [b"nobody's"])
    shutil.copytree(dead, store.staging / "living")
    (store.journal / ".000000000009.json.0.tmp").touch(0o600)


def living(home: Path) -> int:
    """The lock of the staging folder whose owner lives; `os.close` ends its life."""
    fd = locks.owned(home / STORE / "staging" / "living" / "owner")
    assert fd is not None
    return fd
