"""The audit log: what was done to people, written with the act itself; whatever is done to the log later, shows."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import orjson
import pytest
import storekit as kit
from storekit import event

from evlog.cli.run import run
from evlog.person import link as saying
from evlog.store import audit, journal, layout, locks, tombstones

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evlog.store.layout import Store

NOW = datetime(2026, 1, 20, 12)
IDS = ("ann-7781", "device-5512", "device-9934", "bob-3301")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with five acts in its log."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    made = layout.create(tmp_path / "s")
    kit.ingest(made, event("1", user="ann-7781"))
    for day, one in enumerate(IDS[1:3]):
        saying.link(made, one, "ann-7781", now=NOW + timedelta(day), by="me")
        saying.unlink(made, one, now=NOW + timedelta(day, hours=1), by="you")
    saying.link(made, "bob-3301", "ann-7781", now=NOW + timedelta(9))
    assert audit.findings(made) == []
    return made


def subject(store: Store, one: str) -> str:
    return tombstones.load(store).subject(one)


def file(store: Store, number: int) -> Path:
    return store.audit / ("head" if number == 5 else f"{number:012d}.entry")


def told(store: Store, **more: object) -> str:
    return "\n".join(f"{one.path}: {one.says}" for one in audit.verify(store, **more).wrong)


def test_each_act_is_an_entry_with_who_whom_and_when(store: Store) -> None:
    entries = audit.read(store)
    assert [(one["number"], one["what"], one["by"]) for one in entries] == [
        *((1, "user link", "me"), (2, "user unlink", "you"), (3, "user link", "me"), (4, "user unlink", "you")),
        (5, "user link", ""),
    ]
    assert entries[0]["at"] == "2026-01-20T12:00:00Z"
    assert set(entries[0]["subjects"]) == {subject(store, "device-5512"), subject(store, "ann-7781")}
    assert entries[1]["subjects"] == [subject(store, "device-5512")]
    assert [one["before"] for one in entries] == [audit.ORIGIN, *(one["seal"] for one in entries[:-1])]
    kit.sound(store)


def test_an_entry_is_put_in_place_by_the_commit_that_did_the_act(store: Store) -> None:
    (record,) = [body for path in sorted(store.journal.iterdir())[-1:] for body in [json.loads(path.read_bytes())]]
    targets = [target for _, target in record["renames"]]
    assert audit.HEAD in targets
    assert any(target.startswith("links/") for target in targets)


def test_what_changes_nothing_leaves_no_entry(store: Store) -> None:
    saying.link(store, "bob-3301", "ann-7781", now=NOW)
    saying.unlink(store, "nobody", now=NOW)
    assert len(audit.read(store)) == 5


def test_no_id_stands_in_the_log_and_nobody_else_may_read_it(store: Store) -> None:
    files = list(store.audit.iterdir())
    assert len(files) == 5
    for path in files:
        assert path.stat().st_mode & 0o777 == 0o600
        assert not [one for one in IDS if one.encode() in path.read_bytes()]
    with journal.staging(store) as staged, locks.commit(store), pytest.raises(AssertionError):
        audit.entry(staged, audit.Act("user delete", NOW, subjects=("ann-7781",)))


def test_details_and_acts_of_their_own_are_kept_as_they_are(store: Store) -> None:
    audit.tell(store, audit.Act("export", NOW, "me", (), {"events": 7, "mean": 1.5, "days": ["2026-01-05"], "to": "é"}))
    assert audit.read(store)[-1]["details"] == {"events": 7, "mean": 1.5, "days": ["2026-01-05"], "to": "é"}
    assert audit.findings(store) == []


def test_an_act_that_was_never_committed_leaves_no_trace(store: Store) -> None:
    for _ in range(2):
        with journal.staging(store) as staged, locks.commit(store):
            audit.entry(staged, audit.Act("user delete", NOW))
        assert audit.findings(store) == []
        assert len(audit.read(store)) == 5
    audit.tell(store, audit.Act("purge", NOW))
    assert [one["number"] for one in audit.read(store)] == [1, 2, 3, 4, 5, 6]
    assert audit.findings(store) == []


# -- tampering ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(1, 6))
def test_any_byte_that_is_changed_shows(store: Store, number: int) -> None:
    path = file(store, number)
    raw = path.read_bytes()
    for place in range(len(raw)):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        wrong = audit.verify(store).wrong
        assert wrong, raw[: place + 1]
        assert any(path.name in one.path for one in wrong) or number in {4, 5}
    for other in (b"", raw[:-1], raw + b"\n", raw + raw, b" " + raw, b"[]", b"null"):
        path.write_bytes(other)
        assert path.name in told(store)


def sealed_anew(path: Path, **changed: object) -> None:
    """The entry with other words, and a seal that fits them."""
    body = orjson.loads(path.read_bytes()) | changed
    del body["seal"]
    seal = hashlib.sha256(orjson.dumps(body)).hexdigest()
    path.write_bytes(orjson.dumps({**body, "seal": seal}) + b"\n")


def swap(store: Store) -> None:
    one, other = file(store, 2).read_bytes(), file(store, 3).read_bytes()
    file(store, 2).write_bytes(other)
    file(store, 3).write_bytes(one)


def renumber(store: Store) -> None:
    """The third is taken out, and the fourth takes its number."""
    file(store, 3).unlink()
    file(store, 4).rename(file(store, 3))
    sealed_anew(file(store, 3), number=3)


def link_away(store: Store) -> None:
    file(store, 3).rename(store.root / "elsewhere")
    file(store, 3).symlink_to(store.root / "elsewhere")


TAMPERED: dict[str, tuple[Callable[[Store], object], str]] = {
    "the first is gone": (lambda s: file(s, 1).unlink(), "entry 1 is missing before audit/000000000002.entry"),
    "one in the middle is gone": (lambda s: file(s, 3).unlink(), "entry 3 is missing before audit/000000000004.entry"),
    "two are gone": (lambda s: [file(s, n).unlink() for n in (2, 3)], "entries 2 to 3 are missing before"),
    "the newest is gone": (lambda s: file(s, 5).unlink(), "audit/head: the newest entry is missing"),
    "all are gone": (lambda s: [file(s, n).unlink() for n in range(1, 6)], "audit/head: the newest entry is missing"),
    "two changed places": (swap, "audit/000000000002.entry: it is entry 3 under another name"),
    "one was changed and sealed": (lambda s: sealed_anew(file(s, 3), what="purge"), "000000000004.entry: it came after another entry"),
    "the first was changed and sealed": (lambda s: sealed_anew(file(s, 1), by="x"), "000000000002.entry: it came after another entry"),
    "the chain begins elsewhere": (lambda s: sealed_anew(file(s, 1), before="1" * 64), "000000000001.entry: it came after another entry: one"),
    "one was taken out and the next moved up": (renumber, "entry 4 is missing before audit/head"),
    "one was slipped in": (lambda s: (s.audit / "000000000006.entry").write_bytes(file(s, 2).read_bytes()), "it is entry 2 under another name"),
    "another file lies there": (lambda s: (s.audit / "notes").write_text("x"), "audit/notes: it does not belong to the log"),
    "one is a symlink": (link_away, "audit/000000000003.entry: it does not belong to the log"),
    "others may read one": (lambda s: file(s, 2).chmod(0o644), "audit/000000000002.entry: others than its owner"),
}  # fmt: skip


@pytest.mark.parametrize("how", TAMPERED)
def test_tampering_shows_and_where(store: Store, how: str) -> None:
    tamper, says = TAMPERED[how]
    tamper(store)
    assert says in told(store)


@pytest.mark.parametrize("how", [how for how in TAMPERED if how != "others may read one"])
def test_the_log_goes_on_and_the_tampering_still_shows(store: Store, how: str) -> None:
    TAMPERED[how][0](store)
    for number in range(10):  # more than the journal keeps
        audit.tell(store, audit.Act("purge", NOW, details={"days": number}))
        assert told(store)


def test_an_older_entry_in_the_newest_ones_place_shows_only_by_a_seal_kept_elsewhere(store: Store) -> None:
    kept, whole = audit.verify(store).head, audit.read(store)
    file(store, 4).rename(file(store, 5))
    assert told(store) == ""
    assert f"no entry bears the seal {kept}" in told(store, head=kept)
    assert told(store, head=whole[3]["seal"]) == ""


def test_a_log_that_was_made_anew_shows_only_by_a_seal_kept_elsewhere(store: Store) -> None:
    kept = audit.verify(store).head
    before = audit.ORIGIN
    for number in range(1, 6):
        sealed_anew(file(store, number), by="somebody else", before=before)
        before = json.loads(file(store, number).read_bytes())["seal"]
    assert told(store) == ""
    assert "was cut off, or written anew" in told(store, head=kept)


def test_a_seal_that_was_kept_holds_while_the_log_grows(store: Store) -> None:
    kept = audit.verify(store).head
    audit.tell(store, audit.Act("purge", NOW))
    assert told(store, head=kept) == ""
    assert audit.verify(store).head != kept
    assert audit.verify(store).entries == 6


def test_an_empty_log_holds(tmp_path: Path) -> None:
    made = layout.create(tmp_path / "s")
    assert audit.verify(made) == audit.Audited(0, audit.ORIGIN, ())
    assert audit.read(made) == []


# -- commands -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def evlog(store, monkeypatch, capfdbinary):
    """Run evlog on the store; its exit code, stdout and stderr."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def call(*words: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = run([*words, "--data", str(store.root)])
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return call


def numbers(said: tuple[int, str, str]) -> list[int]:
    assert said[0] == 0, said
    return [row["number"] for row in json.loads(said[1])["rows"]]


def test_who_knows_an_id_finds_what_was_done_to_it(evlog) -> None:
    show = ("audit", "show", "--format", "json")
    assert numbers(evlog(*show)) == [1, 2, 3, 4, 5]
    assert numbers(evlog(*show, "--user", "device-5512")) == [1, 2]
    assert numbers(evlog(*show, "--user", "-", stdin="device-5512\nbob-3301\n")) == [1, 2, 5]
    assert numbers(evlog(*show, "--user", "ann-7781", "--last", "2")) == [3, 5]
    assert numbers(evlog(*show, "--what", "user unlink")) == numbers(evlog(*show, "--what", "unlink")) == [2, 4]
    assert numbers(evlog(*show, "--what", "link")) == [1, 3, 5]
    code, _, err = evlog("audit", "show", "--user", "somebody")
    assert (code, err) == (0, "no such act is in the audit log\n")
    assert not [one for one in IDS if one in evlog(*show)[1]]


def test_the_log_can_be_read_by_programs(evlog) -> None:
    first = json.loads(evlog("audit", "show", "--format", "ndjson")[1].splitlines()[0])
    assert first["at"] == "2026-01-20T12:00:00Z"
    assert len(first["subjects"]) == first["ids"] == 2
    assert first["before"] == audit.ORIGIN


def test_verify_says_what_is_wrong_and_exits_1(evlog, store) -> None:
    code, out, err = evlog("audit", "verify", "--format", "json")
    assert (code, err) == (0, "everything holds\n")
    seal = json.loads(out)["summary"]["head"]
    assert seal == audit.verify(store).head
    file(store, 4).rename(file(store, 5))
    assert evlog("audit", "verify")[0] == 0
    code, out, _ = evlog("audit", "verify", "--head", seal.upper())
    assert code == 1
    assert "the log was cut off, or written anew" in out
    file(store, 1).unlink()
    code, out, _ = evlog("audit", "verify", "--format", "csv")
    assert (code, out.splitlines()[1]) == (1, "audit,entry 1 is missing before audit/000000000002.entry")


@pytest.mark.parametrize("head", ["", "abc", "g" * 64])
def test_a_head_that_is_no_seal_is_a_usage_error(evlog, head) -> None:
    code, _, err = evlog("audit", "verify", "--head", head)
    assert code == 2
    assert "is no seal" in err


def test_an_entry_that_is_none_is_told_with_its_file(evlog, store) -> None:
    file(store, 2).write_text("x")
    code, _, err = evlog("audit", "show")
    assert code == 1
    assert "000000000002.entry is no entry of the audit log" in err
    assert "evlog audit verify" in err
