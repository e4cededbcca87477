"""The promise of an erasure, over all that a store holds: nothing of the person is left, and nothing else is lost."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import stat
import sys
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import storekit as kit
from idsearch import places
from storekit import DAY_1, DAY_2, DAY_3, event

from evlog.cli.run import run
from evlog.errors import EvlogError, WriteFailed
from evlog.person import beside, cold, counted, erase, link, pending, scan
from evlog.person.mention import of
from evlog.person.needles import Needles
from evlog.store import audit, firsts, journal, layout, linked, locks, rollups, runs, tombstones
from evlog.store.rollups import Period, Record, Section

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ALICE, PHONE = 'alice "the" erased ünï', "phone_of_alice"
LATER = datetime(2026, 3, 1)


def _rollup(store: layout.Store, *records: Record, day: date = DAY_1) -> None:
    period = Period("day", day, day, "UTC")
    path = store.root / period.target
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(rollups.content(period, [Section("targets", "d", 3, kit.NOW, records)]))


def _records(store: layout.Store, day: date = DAY_1) -> list[tuple[str, str, float | None]]:
    _, sections = rollups.read(store.root / Period("day", day, day, "UTC").target)
    return [(one.metric, one.of, one.value) for one in sections["targets"].records]


@pytest.fixture
def store(tmp_path: Path) -> layout.Store:
    """A store in which every file that may hold an id, or its hash, holds one."""
    made = layout.create(tmp_path / "s")
    old = DAY_1 - timedelta(days=3)
    kit.ingest(made, event("0", old, ALICE), event("00", old))
    kit.here(made.root, "purge", str(DAY_1))
    kit.ingest(
        made, event("1", DAY_1, ALICE), event("2", DAY_1, note=f"for {ALICE}"), event("3", DAY_1),
        event("4", DAY_1, target_type="user", target_id=ALICE), event("5", DAY_2, None, anonymous_id=PHONE),
    )  # fmt: skip
    kit.here(made.root, "compact", str(DAY_2))
    escaped = json.dumps({"user_id": ALICE, "ts": "never"}).encode()
    kit.ingest(made, event("6", DAY_2, ALICE, anonymous_id=PHONE), event("7", DAY_3), escaped, b"{bad")
    link.link(made, "tablet_of_alice", ALICE, now=kit.NOW, by="me")
    _rollup(
        made, Record("events", 3, "target_type,target_id", json.dumps(["user", ALICE])),
        Record("events", 9, "target_type,target_id", json.dumps(["t", "x"])), Record("events", 2, "feature", ALICE),
    )  # fmt: skip
    subject = tombstones.load(made).subject
    pairs = [linked.entry(linked.ANONYMOUS, subject(PHONE), subject(ALICE))]
    pairs += [linked.entry(linked.ANONYMOUS, subject("x"), subject("bob"))]
    (made.root / linked.LINKED).write_bytes(linked.content(linked.Linked(1, kit.NOW, None, frozenset(pairs))))
    runs.append(made, "ingest", {"at": kit.NOW, "read": 5})
    pending.await_erasure(made, [ALICE, "carl"], due=LATER, mode="delete", now=kit.NOW)
    return made


def _tiers(found: list[tuple[str, str]]) -> set[str]:
    return {name.split("/")[0] for name, _ in found}


def _hashed(store: layout.Store, *users: str) -> set[str]:
    """The files, but for tombstones and the audit log, in which the keyed hash of one of these stands."""
    subjects = [tombstones.load(store).subject(user) for user in users]
    return {
        path.relative_to(store.root).as_posix()
        for path in store.root.rglob("*")
        if path.is_file() and path.parent.name not in ("tombstones", "audit")
        for one in subjects
        if bytes.fromhex(one) in path.read_bytes() or one.encode() in path.read_bytes()
    }


def test_nothing_is_left_in_any_tier(store: layout.Store) -> None:
    found = places(store.root, ALICE) + places(store.root, "tablet_of_alice")
    assert _tiers(found) == {"events", "parquet", "quarantine", "links", "rollups", "tombstones"}
    assert _hashed(store, ALICE, PHONE) == {linked.LINKED, layout.FIRSTS}
    receipt = erase.erase(store, ALICE)
    for one in (ALICE, PHONE, "tablet_of_alice"):
        assert places(store.root, one) == []
    assert _hashed(store, ALICE, PHONE) == set()
    assert receipt.found == 0
    everything = [path for path in store.root.rglob("*") if path.is_file()]
    assert (receipt.scanned, receipt.bytes) == (len(everything), sum(path.stat().st_size for path in everything))
    assert kit.ids(store) == ["2", "3", "4", "7"]
    assert [one.user for one in pending.pending(store)] == ["carl"]
    assert len(linked.load(store).entries) == 1
    assert {one.tier for one in receipt.files} == {
        "events", "parquet", "quarantine", "links", "firsts", "rollups", "pending"
    }  # fmt: skip
    kit.sound(store)


MUTANTS: dict[str, tuple[Any, str]] = {
    "rollups": (beside, "uncounted"), "tombstones": (beside, "unawaited"), "links": (beside, "unsaid"),
    "firsts": (beside, "forgotten"), "rollups/linked": (beside, "unlinked"), "parquet": (cold, "may_speak"),
}  # fmt: skip


@pytest.mark.parametrize("tier", MUTANTS)
def test_the_scan_finds_what_is_forgotten(store: layout.Store, monkeypatch: pytest.MonkeyPatch, tier: str) -> None:
    monkeypatch.setattr(*MUTANTS[tier], lambda *_: None)
    receipt = erase.erase(store, ALICE)
    assert receipt.found == 1
    assert receipt.found_in[0].startswith(tier)
    assert _tiers([*places(store.root, ALICE), *places(store.root, "tablet_of_alice")]) | _hashed(store, ALICE, PHONE)


@pytest.mark.parametrize("users", [1, 40])
def test_the_scan_looks_into_every_kind_of_file(store: layout.Store, users: int) -> None:
    """Whatever wrote it there: an id in the audit log, a line of a run, the marks of days, a footer, a new kind of file."""
    erase.erase(store, ALICE)
    mention = of([ALICE, *(f"somebody_{n}" for n in range(users - 1))])
    told = json.dumps({"says": ALICE}).encode() + b"\n"
    for name in (
        "audit/000000000001.entry", "audit/head", "runs/rollup.log", "rollups/touched.json", "rollups/new", "locks/new",
        "rollups/UTC/day/2026-01-05.rollup", "tombstones/users.json", "journal/000000000001.done", "staging/x",
    ):  # fmt: skip
        copy = layout.Store(shutil.copytree(store.root, store.root.parent / "copy"))
        if name.endswith(".rollup"):
            _rollup(copy, Record("events", 1, "feature", ALICE))
        else:
            (copy.root / name).parent.mkdir(exist_ok=True)
            (copy.root / name).write_bytes(ALICE.encode() if "new" in name or name.startswith("staging") else told)
        found = scan.scan(copy, mention, upto=999).found
        assert found == (() if name.startswith("staging") else (name,))
        assert places(copy.root, ALICE)
        shutil.rmtree(copy.root)


# -- rollups ----------------------------------------------------------------------------------------------------------


def test_values_lose_the_name_and_no_number(tmp_path: Path) -> None:
    store = layout.create(tmp_path / "s")
    kit.ingest(store, event("1", DAY_1, ALICE))
    person = "target_type,target_id"
    _rollup(
        store, Record("events", 5), Record("events", 3, person, json.dumps(["user", ALICE])),
        Record("users", 2, person, json.dumps(["user", ALICE])), Record("events", 4, person, '["user","[erased]"]'),
        Record("users", 2, person, '["user","[erased]"]'), Record("events", 8, "category", f"{ALICE}!"),
        Record("events", 1, "feature", ALICE), Record("events", None, "feature", "none"),
    )  # fmt: skip
    erase.erase(store, ALICE)
    assert _records(store) == [
        ("events", "", 5), ("events", '["user","[erased]+"]', 3), ("users", '["user","[erased]+"]', 2),
        ("events", '["user","[erased]"]', 4), ("users", '["user","[erased]"]', 2), ("events", '["[erased]!"]', 8),
        ("events", '["[erased]"]', 1), ("events", "none", None),
    ]  # fmt: skip
    assert counted.keys("feature", '["[erased]"]') == ["[erased]"]


def test_a_short_id_stands_by_chance_in_a_rollup_too(tmp_path: Path) -> None:
    store = layout.create(tmp_path / "s")
    kit.ingest(store, event("1", DAY_1, "42"))
    records = [
        Record("events", 1, "target_type,target_id", of)
        for of in ('["exercise","42"]', '["user","42"]', '["user","421"]')
    ]
    _rollup(store, *records, Record("events", 1, "event_type", "42"))
    assert erase.erase(store, "42").found == 0
    assert [of for _, of, _ in _records(store)] == ['["exercise","42"]', '["user","[erased]"]', '["user","421"]', "42"]


def test_a_pseudonym_takes_the_place_of_a_whole_value(store: layout.Store) -> None:
    receipt = erase.erase_each(store, [ALICE], erase.How(anonymise=True))
    values = {of: value for _, of, value in _records(store)}
    [person] = {row[8] for row in kit.rows(store) if row[0] == "4"}
    assert values == {json.dumps(["user", person], separators=(",", ":")): 3, '["t", "x"]': 9, person: 2}
    assert (receipt.found, _hashed(store, ALICE, PHONE), places(store.root, ALICE)) == (0, set(), [])


def test_the_days_are_marked_in_the_very_commit(store: layout.Store) -> None:
    receipt = erase.erase(store, ALICE)
    assert receipt.days == (DAY_1, DAY_2)
    marks = rollups.touched(store)
    assert {day: (touch.batch, touch.why) for day, touch in marks.items()} == dict.fromkeys(
        receipt.days, (journal.newest(store), "erasure")
    )


def test_days_of_a_device_that_means_nobody_now_are_marked_too(tmp_path: Path) -> None:
    store = layout.create(tmp_path / "s")
    kit.ingest(
        store, event("1", DAY_1, None, anonymous_id="shared_device"), event("2", DAY_2, "bob", anonymous_id="shared_device"),
        event("3", DAY_3, ALICE, anonymous_id="shared_device"),
    )  # fmt: skip
    assert erase.erase(store, ALICE, dry_run=True).days == (DAY_1, DAY_3)
    assert erase.erase(store, ALICE).days == (DAY_1, DAY_3)


# -- the audit log ----------------------------------------------------------------------------------------------------


def test_the_act_stands_in_the_audit_log_by_hashes_only(store: layout.Store) -> None:
    receipt = erase.erase_each(store, [ALICE], erase.How(at=kit.NOW, by="an operator"))
    entry = audit.read(store)[-1]
    assert (entry["what"], entry["by"], entry["at"], entry["number"]) == (
        "user delete", "an operator", "2026-01-20T12:00:00Z", receipt.audit
    )  # fmt: skip
    assert entry["subjects"] == sorted(receipt.subjects)
    assert entry["details"]["removed_events"] + entry["details"]["removed_parquet"] == 3
    assert audit.findings(store) == []


def test_what_left_the_store_is_told(store: layout.Store) -> None:
    subject = tombstones.load(store).subject
    audit.tell(store, audit.Act("user export", kit.NOW, subjects=(subject("somebody else"),)))
    assert erase.erase(store, ALICE, dry_run=True).elsewhere == ()
    for act in ("archive", "archive restore", "export"):
        audit.tell(store, audit.Act(act, kit.NOW))
    audit.tell(store, audit.Act("user export", kit.NOW, subjects=(subject(ALICE),)))
    told = erase.erase(store, ALICE).elsewhere
    assert [act.partition(" of ")[0] for act in told] == ["archive", "export", "user export"]


# -- crashes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("anonymise", [False, True])
@pytest.mark.parametrize("where", ["commit", "_apply", "_mark_applied"])
def test_an_erasure_that_breaks_off_is_whole_or_not_at_all(
    store: layout.Store, monkeypatch: pytest.MonkeyPatch, where: str, *, anonymise: bool
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise WriteFailed("the disk is gone")

    how = erase.How(anonymise=anonymise)
    before, seen = kit.tree(store.root), kit.rows(store)
    monkeypatch.setattr(journal, where, broken)
    with pytest.raises(WriteFailed):
        erase.erase_each(store, [ALICE], how)
    monkeypatch.undo()
    if where == "commit":
        after = kit.tree(store.root)
        assert {name: raw for name, raw in after.items() if not name.startswith("audit")} == {
            name: raw for name, raw in before.items() if not name.startswith("audit")
        }
        assert kit.rows(store) == seen
    else:
        assert all(ALICE not in repr(row) for row in kit.rows(store)), "readers see it done"
    receipt = erase.erase_each(store, [ALICE], how)
    assert (receipt.found, places(store.root, ALICE), _hashed(store, ALICE)) == (0, [], set())
    assert kit.ingest(store, event("1", DAY_1, ALICE)).tally.erased == 1
    assert [one["what"] for one in audit.read(store)][-1] == how.what
    assert audit.findings(store) == []
    kit.sound(store)


# -- many at once -----------------------------------------------------------------------------------------------------


def test_two_hundred_go_in_one_commit_that_writes_each_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = layout.create(tmp_path / "s")
    users = [f"user-{n}" for n in range(260)]
    days = [DAY_1, DAY_2, DAY_3]
    for day in days:
        kit.ingest(store, *(event(f"{day}/{n}", day, user, note=f"met {users[n - 1]}") for n, user in enumerate(users)))
    kit.here(store.root, "compact", str(DAY_2))
    scans: list[int] = []
    real = scan.scan
    monkeypatch.setattr(scan, "scan", lambda *args, **more: scans.append(1) or real(*args, **more))
    before = journal.newest(store)
    gone = [*users[:200], "nobody_we_know", users[0]]
    receipt = erase.erase_each(store, gone, erase.How())
    assert (journal.newest(store), len(scans), receipt.found) == (before + 1, 1, 0)
    assert len({one.path for one in receipt.files}) == len(receipt.files) == 3
    assert [one.subject for one in receipt.users] == list(map(tombstones.load(store).subject, dict.fromkeys(gone)))
    assert {row[4] for row in kit.rows(store)} == set(users[200:])
    assert receipt.mentions == 3
    told = {one.subject: dict(receipt.share(one, "removed")) for one in receipt.users}
    assert list(told.values()) == [{"parquet": 1, "events": 2}] * 200 + [{}]
    everything = [f'"{user}"' for user in users[:200]]
    assert not any(user.encode() in path.read_bytes() for user in everything for path in store.root.rglob("*.ndjson"))
    for user in ("user-7", "user-199"):
        assert [text for _, text in places(store.root, user) if text in (user, f"met {user}")] == []
    again = kit.ingest(store, *(event("late", DAY_3, user) for user in gone))
    assert (again.tally.erased, again.tally.stored) == (202, 0)
    kit.sound(store)


def test_two_ids_of_one_person_are_one_person(store: layout.Store) -> None:
    receipt = erase.erase_each(store, [PHONE, ALICE], erase.How())
    assert [one.person for one in receipt.users] == [0, 0]
    assert receipt.removed["events"] + receipt.removed["parquet"] == 3
    assert len(receipt.subjects) == 3


@pytest.mark.long
@pytest.mark.parametrize("more", [0, 20])
def test_many_pieces_are_found_wherever_they_stand(more: int) -> None:
    pieces = [b"a", b"ab", b"abc", b"abcdefgh", b"xxabcdefgh", b"\xc3\xbc" * 5, b"", b"\xff" * 9, b"q" * 20]
    pieces += [b"nowhere %d" % n for n in range(more)]
    raw = b"xxxabcdefgh..\xc3\xbc" + b"\xc3\xbc" * 5 + b"abqq" + b"q" * 20 + b"\xff" * 10
    raw += bytes(1 << 20) + b"abcdefgh" + bytes((1 << 20) - 4) + b"abc"
    wanted = {(at, n) for n, piece in enumerate(pieces) if piece for at in range(len(raw)) if raw.startswith(piece, at)}
    needles = Needles(pieces)
    assert set(needles.found(raw)) == wanted
    assert needles.always == {6}
    assert set(needles.found(b"")) == set()


# -- a period of grace ------------------------------------------------------------------------------------------------


@pytest.fixture
def evlog(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], store: layout.Store
) -> Callable[..., tuple[int, str, str]]:
    """Run evlog on the store; its exit code, stdout and stderr."""
    monkeypatch.chdir(store.root.parent)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    for name in [name for name in os.environ if name.startswith("EVLOG_")]:
        monkeypatch.delenv(name)
    (store.root / pending.FILE).unlink()
    before = signal.getsignal(signal.SIGTERM)

    def call(*words: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = run(["user", "delete", *words, "--data", str(store.root)])
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        signal.signal(signal.SIGTERM, before)
        return code, out.decode(), err.decode()

    return call


def test_with_a_period_of_grace_nothing_goes_before_it_ends(evlog: Any, store: layout.Store) -> None:
    before = kit.rows(store)
    code, out, err = evlog(ALICE, "--after", "30d", "--format", "json")
    assert (code, json.loads(out)["rows"][0]["mode"]) == (0, "delete")
    assert "nothing is removed before" in err
    path = store.root / pending.FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    [waiting] = pending.pending(store)
    assert (waiting.user, waiting.mode) == (ALICE, "delete")
    assert audit.read(store)[-1]["what"] == "user delete --after"
    assert (kit.rows(store), evlog("--due")[0], kit.rows(store)) == (before, 0, before)
    assert erase.due(store, waiting.due - timedelta(seconds=1)) == []
    [receipt] = erase.due(store, waiting.due)
    assert (receipt.found, places(store.root, ALICE)) == (0, [])
    assert not path.exists()
    assert audit.findings(store) == []


def test_it_can_be_taken_back(evlog: Any, store: layout.Store) -> None:
    before = kit.rows(store)
    assert evlog("-", "--after", "0s", "--anonymise", stdin=f"{ALICE}\nbob\n")[0] == 0
    assert {one.mode for one in pending.pending(store)} == {"anonymise"}
    assert evlog(ALICE, "--cancel")[0] == 0
    assert [one.user for one in pending.pending(store)] == ["bob"]
    code, _, err = evlog("-", "--cancel", stdin=f"bob\n{ALICE}\n")
    assert (code, err.splitlines()[0]) == (1, "evlog: no erasure of 1 of these 2 ids waits")
    assert [one.user for one in pending.pending(store)] == ["bob"], "all of them, or none"
    assert evlog("bob", "--cancel")[0] == 0
    assert not (store.root / pending.FILE).exists()
    assert evlog("--due", "--format", "json")[0] == 0
    assert kit.rows(store) == before
    assert [one["what"] for one in audit.read(store)][-3:] == [
        "user delete --after", "user delete --cancel", "user delete --cancel"
    ]  # fmt: skip


@pytest.mark.long
def test_what_is_due_goes_as_it_was_asked_for(evlog: Any, store: layout.Store) -> None:
    assert evlog("bob", "--after", "0s")[0] == evlog(ALICE, "--after", "0s", "--anonymise")[0] == 0
    assert evlog("carl", "--after", "30d")[0] == 0
    code, out, err = evlog("--due", "--dry-run", "--format", "json")
    assert (code, json.loads(out)["summary"]["users"], err) == (0, 2, "dry run: nothing was erased\n")
    code, out, _ = evlog("--due", "--format", "json")
    told = json.loads(out)
    assert (code, [one["mode"] for one in told["summary"]["people"]], told["summary"]["found"]) == (
        0, ["delete", "anonymise"], 0
    )  # fmt: skip
    assert places(store.root, ALICE) == []
    assert {str(row[4])[:5] for row in kit.rows(store)} == {"anon-", "None"}
    assert [one.user for one in pending.pending(store)] == ["carl"]


def test_who_is_erased_at_once_waits_no_more(evlog: Any, store: layout.Store) -> None:
    assert evlog(PHONE, "--after", "30d")[0] == 0
    assert evlog(ALICE, "--yes")[0] == 0
    assert pending.pending(store) == []
    assert not any(PHONE.encode() in path.read_bytes() for path in store.root.rglob("*") if path.is_file())


WRONG = [
    (("--due", ALICE), "--due erases everybody whose time has come"),
    (("--due", "--anonymise"), "--due and --anonymise do not go together"),
    ((ALICE, "--after", "1d", "--cancel"), "--after and --cancel do not go together"),
    ((ALICE, "--after", "soon"), "--after: "),
    ((), "user delete: ID is missing"),
]


@pytest.mark.parametrize(("words", "says"), WRONG)
def test_what_does_not_go_together_is_said(evlog: Any, store: layout.Store, words: tuple[str, ...], says: str) -> None:
    before = kit.tree(store.root)
    code, out, err = evlog(*words)
    assert (code, out) == (2, "")
    assert err.startswith(f"evlog: {says}")
    assert kit.tree(store.root) == before


def test_a_dry_run_of_anything_changes_nothing(evlog: Any, store: layout.Store) -> None:
    before = kit.tree(store.root)
    for words in ((ALICE,), (ALICE, "--anonymise"), (ALICE, "--after", "1d"), (ALICE, "--cancel"), ("--due",)):
        assert evlog(*words, "--dry-run")[0] == 0
        assert kit.tree(store.root) == before


def test_the_receipt_stands_by_itself(evlog: Any, store: layout.Store) -> None:
    before = kit.tree(store.root)
    code, out, _ = evlog(ALICE, "--yes", "--format", "json")
    told = json.loads(out)
    assert ALICE not in out
    assert PHONE not in out
    assert told["params"]["store"] == json.loads((store.root / "evlog.json").read_bytes())["store"]
    summary = told["summary"]
    assert (code, summary["found"], summary["audit"], summary["days"]) == (0, 0, str(len(audit.read(store))), 2)
    assert summary["marked"] == ["2026-01-05", "2026-01-06"]
    subject = tombstones.load(store).subject(ALICE)
    assert [one["subject"] for one in summary["people"]] == [subject]
    assert summary["people"][0]["removed"] == {
        "events": 1, "parquet": 2, "quarantine": 1, "links": 1, "firsts": 2
    } or summary["people"][0]["removed"] == {"events": 2, "parquet": 1, "quarantine": 1, "links": 1, "firsts": 1}  # fmt: skip
    import hashlib

    for row in told["rows"]:
        if row["tier"] != "tombstones":
            assert row["before"] == hashlib.sha256(before[row["path"]]).hexdigest()
        assert row["subject"] == subject


def test_an_erasure_waits_for_other_maintenance(store: layout.Store) -> None:
    with locks.maintenance(store, "compact"), pytest.raises(EvlogError, match="compact"):
        erase.erase(store, ALICE)
    assert replace(erase.How(), anonymise=True).what == "user anonymise"
    assert firsts.held(store).entries.size
