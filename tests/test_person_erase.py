"""Erasure: after `user delete` the id is nowhere, others are as they were, and nothing brings the user back."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
import storekit as kit
from idsearch import places
from storekit import DAY_1, DAY_2, event

from evlog.event.plan import Plan
from evlog.ingest import commit
from evlog.ingest.rules import Rules
from evlog.ingest.source import Source
from evlog.person import erase, receipt, retold, rewrite
from evlog.store import journal, layout, quarantine, tombstones
from evlog.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

ALICE = "alice_the_erased"


def test_the_search_finds_what_it_is_to_find(tmp_path: Path) -> None:
    store = layout.create(tmp_path / "s")
    hidden = [
        event("1", user=ALICE), event("2", user=None, anonymous_id=ALICE), event("3", note=f"for {ALICE}, with love"),
        event("4", deep=[{"a": {ALICE: 1}}]), event("5", text=json.dumps({"inner": json.dumps([ALICE])})),
        event("6", target_type="user", target_id=ALICE), event("7", session_id=f"{ALICE}:1"), event(f"{ALICE}/8"),
    ]  # fmt: skip
    for one in hidden:
        shutil.rmtree(store.root)
        kit.ingest(layout.create(store.root), one)
        assert places(store.root, ALICE), one
        kit.here(store.root, "compact", str(DAY_2))
        assert any(name.endswith(".parquet") for name, _ in places(store.root, ALICE)), one
    for raw in (
        f'{{"user_id": "{ALICE}", "ts": "x"}}'.encode(),
        f"{{{ALICE}".encode(),
        b'{"user_id": "\xff ' + ALICE.encode(),
    ):
        kit.ingest(store, raw)
    assert len({text for name, text in places(store.root, ALICE) if name.startswith("quarantine")}) >= 3


# -- what an erasure does ---------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> layout.Store:
    made = layout.create(tmp_path / "s")
    kit.ingest(
        made,
        event("1", DAY_1, ALICE),
        event("2", DAY_1, note=f"for {ALICE}"),
        event("3", DAY_1),
        event("4", DAY_2, ALICE),
    )
    kit.here(made.root, "compact", str(DAY_2))
    kit.ingest(made, event("5", DAY_1, ALICE), event("6", DAY_1), event("7", DAY_1, None, anonymous_id=ALICE))
    kit.ingest(made, f'{{"user_id": "{ALICE}"}}'.encode(), b"{bad")
    return made


@pytest.mark.parametrize("blanks", [" ", "\u00a0", "\u2003" * 5])
def test_a_user_of_blanks_alone_goes_and_nothing_that_has_blanks_in_it(tmp_path: Path, blanks: str) -> None:
    made = layout.create(tmp_path / "s")
    beside = event("2", note=f"a . (b){blanks * 3}- c", tabs=f"x{blanks}y")
    kit.ingest(made, event("1", user=blanks), beside, event("3", DAY_2, None, anonymous_id=blanks))
    kit.here(made.root, "compact", str(DAY_2))
    kit.ingest(made, event("4", user=blanks), json.dumps({"user_id": blanks}).encode())
    before = {row[0]: row for row in kit.rows(made)}
    assert erase.erase(made, blanks).found == 0
    assert {row[0]: row for row in kit.rows(made)} == {"2": before["2"]}
    assert places(made.root, blanks) == []
    kit.ingest(made, event("5", user=blanks))
    assert kit.ids(made) == ["2"]


def test_the_user_is_gone_from_every_tier_and_the_receipt_says_the_truth(store: layout.Store) -> None:
    before = {row[0]: row for row in kit.rows(store)}
    assert {name.split("/")[0] for name, _ in places(store.root, ALICE)} == {"events", "parquet", "quarantine"}
    files = dict(kit.tree(store.root).items())
    receipt = erase.erase(store, ALICE)
    assert places(store.root, ALICE) == []
    assert receipt.removed == {"events": 3, "parquet": 1, "quarantine": 1}
    assert receipt.mentions == 1
    assert receipt.found == 0
    assert receipt.scanned == sum(path.is_file() for path in store.root.rglob("*"))
    assert ALICE not in repr(receipt)
    _truthful(receipt, files, store)
    after = {row[0]: row for row in kit.rows(store)}
    assert after.keys() == {"2", "3", "6"}
    assert {name: after[name] for name in ("3", "6")} == {name: before[name] for name in ("3", "6")}
    assert after["2"] == tuple(v.replace(ALICE, "[erased]") if isinstance(v, str) else v for v in before["2"])
    kit.sound(store)


def _truthful(receipt: receipt.Receipt, before: dict[str, bytes], store: layout.Store) -> None:
    """The checksums are those of the files, and every file that changed is in the receipt."""
    import hashlib

    after = kit.tree(store.root)
    told = {one.path: one for one in receipt.files}
    for path, one in told.items():
        assert one.before == hashlib.sha256(before[path]).hexdigest()
        assert one.after == (hashlib.sha256(after[path]).hexdigest() if path in after else None)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert {name for name in changed if name.split("/")[0] in ("events", "parquet", "quarantine")} == told.keys()


def test_a_dry_run_tells_the_same_and_changes_nothing(store: layout.Store) -> None:
    before = kit.tree(store.root)
    planned = erase.erase(store, ALICE, dry_run=True)
    assert kit.tree(store.root) == before
    done = erase.erase(store, ALICE)
    assert (planned.removed, planned.mentions, planned.subject) == (done.removed, done.mentions, done.subject)


def test_erasing_again_changes_nothing(store: layout.Store) -> None:
    erase.erase(store, ALICE)
    before = kit.rows(store)
    receipt = erase.erase(store, ALICE)
    assert receipt.files == []
    assert kit.rows(store) == before


def test_an_unknown_user_leaves_a_tombstone(store: layout.Store) -> None:
    receipt = erase.erase(store, "nobody_we_know")
    assert receipt.files == []
    outcome = kit.ingest(store, event("new", user="nobody_we_know"))
    assert (outcome.tally.erased, outcome.tally.stored) == (1, 0)
    assert places(store.root, "nobody_we_know") == []


def test_nothing_brings_the_user_back(store: layout.Store) -> None:
    from evlog import replay

    erase.erase(store, ALICE)
    again = kit.ingest(
        store, event("1", DAY_1, ALICE), event("9", DAY_2, None, anonymous_id=ALICE), f'{{"user_id": "{ALICE}", "x'.encode(),
        f'{{"user_id": "{ALICE}"}}'.encode(), event("3", DAY_1), event("2", DAY_1, note=f"for {ALICE}"),
    )  # fmt: skip
    assert again.tally.erased == 4
    assert again.tally.stored == 0, "an event of which a mention was taken out is a duplicate when it comes again"
    replay.run(store, kit.RULES, now=kit.NOW)
    kit.here(store.root, "compact", "2027-01-01")
    assert places(store.root, ALICE) == []
    kit.sound(store)


def test_an_ingest_in_flight_meets_the_tombstone(store: layout.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The erasure commits while a batch is parsed and staged: the batch is parsed again."""
    real, erased = commit.Committer.stage, []

    def staged(self: commit.Committer, *args: Any) -> Any:
        batch = real(self, *args)
        if not erased:
            monkeypatch.setattr(journal, "living", lambda _: [])  # this very thread is in flight
            erased.append(erase.erase(store, ALICE))
        return batch

    monkeypatch.setattr(commit.Committer, "stage", staged)
    outcome = kit.ingest(
        store, event("new", user=ALICE), event("fine"), {"ts": "2026-01-05T01:02:03Z", "event_type": "nameless"}
    )
    assert (outcome.tally.erased, outcome.tally.stored) == (1, 2)
    assert places(store.root, ALICE) == []
    kit.sound(store)


def test_an_erasure_waits_for_the_batches_in_flight(store: layout.Store) -> None:
    import threading

    with journal.staging(store) as staged:
        staged.write("lines", [ALICE.encode()])
        staged.sync()
        erasing = threading.Thread(target=kit.here, args=(store.root, "delete", ALICE), daemon=True)
        erasing.start()
        erasing.join(timeout=0.5)
        assert erasing.is_alive(), "the id still lies in a file of an ingest"
        assert ALICE not in kit.ids(store)
    erasing.join(timeout=10)
    assert not erasing.is_alive()
    assert places(store.root, ALICE) == []


def test_what_is_stored_while_files_are_rewritten_is_looked_at(
    store: layout.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ran = rewrite.Rewrite._part, []

    def interrupted(self: rewrite.Rewrite, *args: Any) -> None:
        real(self, *args)
        if not ran:
            ran.append(1)
            kit.ingest(
                store, event("while", user=ALICE), event("while2", note=ALICE), f'{{"user_id":"{ALICE}"}} '.encode()
            )

    monkeypatch.setattr(rewrite.Rewrite, "_part", interrupted)
    erase.erase(store, ALICE)
    assert ran
    assert places(store.root, ALICE) == []
    assert "while2" in kit.ids(store)
    kit.sound(store)


def test_other_ids_that_contain_the_id_are_left_alone(tmp_path: Path) -> None:
    store = layout.create(tmp_path / "s")
    others = [event("user_12345-1", user="user_12345", session_id="user_12345:s"), event("x", user="user_123456")]
    kit.ingest(store, *others, event("user_1234-1", user="user_1234"), event("user_1234-2", session_id="user_1234"))
    for command in ((), ("compact", str(DAY_2))):
        if command:
            kit.here(store.root, *command)
        before = [row for row in kit.rows(store) if row[4] in ("user_12345", "user_123456")]
        receipt = erase.erase(store, "user_1234")
        assert receipt.found == 0
        assert [row for row in kit.rows(store) if row[4] in ("user_12345", "user_123456")] == before
    assert "user_1234" not in {row[4] for row in kit.rows(store)}
    assert kit.ids(store)[-1] == "x"
    assert len(kit.ids(store)) == 3
    kit.sound(store)


def test_event_ids_that_lose_a_mention_stay_different(tmp_path: Path) -> None:
    store = layout.create(tmp_path / "s")
    kit.ingest(store, event("alice_the_erased:1"), event("bertha_the_second:1"))
    kit.here(store.root, "delete", "alice_the_erased")
    kit.here(store.root, "compact", str(DAY_2))
    kit.here(store.root, "delete", "bertha_the_second")
    assert len(set(kit.ids(store))) == 2
    assert all(name.startswith("[erased]:1.") for name in kit.ids(store))
    kit.sound(store)


@pytest.mark.parametrize("cold", [False, True])
def test_an_event_that_was_renamed_is_a_duplicate_when_it_comes_again(tmp_path: Path, *, cold: Any) -> None:
    store = layout.create(tmp_path / "s")
    mine, hers = event(f"{ALICE}:1", n=1), event("bertha_the_second:1", user="carl")
    kit.ingest(store, mine, hers, event("other"), event(f"{ALICE}:1", DAY_2))
    if cold:
        kit.here(store.root, "compact", str(DAY_2))
    for user in (ALICE, "bertha_the_second"):
        kit.here(store.root, "delete", user)
    renamed = kit.ids(store)
    for _ in range(2):
        again = kit.ingest(store, mine, hers, event("other"), event(f"{ALICE}:1", DAY_2))
        assert (again.tally.duplicates, again.tally.stored, again.tally.rejected) == (4, 0, 0)
        assert kit.ids(store) == renamed
        for user in (ALICE, "bertha_the_second"):
            assert places(store.root, user) == []
        kit.sound(store)
        kit.here(store.root, "compact", "2027-01-01")
    assert kit.ingest(store, event(f"{ALICE}:1", n=2)).tally.rejected == 1, "the same id, another event"
    assert kit.ingest(store, event("bertha_the_second:1", DAY_2)).tally.stored == 1, "another day, another event"


@pytest.mark.parametrize("user", ["42", "view", "bob"])
@pytest.mark.parametrize("cold", [False, True])
def test_a_short_id_stands_by_chance_in_ids_and_labels_of_others(tmp_path: Path, user: str, *, cold: Any) -> None:
    """Event 42 is not user 42, and who is called as a feature is takes its name from nobody."""
    store = layout.create(tmp_path / "s")
    labels = ("event_type", "category", "feature", "source", "session_id", "target_id", "target_type")
    others = [event(user, user="ann"), *(event(f"#{name}", user="ann", **{name: user}) for name in labels)]
    spoken = [event("#note", user="ann", note=user), event("#anon", user="ann", anonymous_id=user)]
    spoken += [event("#target", user="ann", target_type="User", target_id=user)]
    kit.ingest(store, *others, *spoken, event("#theirs", user=user), event("#device", user=None, anonymous_id=user))
    if cold:
        kit.here(store.root, "compact", str(DAY_2))
    before = {row[0]: row for row in kit.rows(store)}
    receipt = erase.erase(store, user)
    after = {row[0]: row for row in kit.rows(store)}
    assert after.keys() == before.keys() - {"#theirs", "#device"}
    assert {name for name in after if after[name] != before[name]} == {"#note", "#anon", "#target"}
    assert (receipt.mentions, receipt.found) == (3, 0)
    again = kit.ingest(store, *others, *spoken)
    assert (again.tally.duplicates, again.tally.erased, again.tally.stored) == (10, 1, 0), "what names them is erased"
    kit.sound(store)


def test_a_mention_that_an_erasure_leaves_is_found_by_its_scan(
    store: layout.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids in columns of people and in targets that are users, though the removal takes them for chance."""
    kit.ingest(store, event("#target", user="ann", target_type="user", target_id="42"))
    monkeypatch.setattr(retold, "IDS", ("event_id",))
    monkeypatch.setattr(retold, "COLUMNS", ("event_id", "properties"))
    assert erase.erase(store, "42").found == 1


@pytest.mark.parametrize(
    "user",
    [
        "event_type",
        "event_id",
        "properties",
        "2026-01-05",
        "received_at",
        "raw",
        "x",
        "-",
        '"',
        "\\",
        "[erased]",
        "7",
        "20260105",
        "events",
    ],
)
def test_ids_that_look_like_something_of_ours(tmp_path: Path, user: str) -> None:
    store = layout.create(tmp_path / "s")
    kit.ingest(
        store,
        event("1", user=user),
        event("2", note=f"a {user} b", n=7),
        {"user_id": user, "ts": "bad", "type": "seen"},
        b"{bad",
    )
    kit.here(store.root, "compact", str(DAY_2))
    kit.ingest(store, event("3", user=user), event("4", n=7))
    receipt = erase.erase(store, user)
    assert receipt.found == 0
    assert kit.ids(store) == ["2", "4"]
    assert [row[4] for row in kit.rows(store)] == ["bob", "bob"]
    assert [found.raw for found in quarantine.rejects(store)] == [b"{bad"]
    assert '"n":7' in str(kit.rows(store)) or user == "n"
    kit.sound(store)


def test_a_number_in_a_refused_line_is_the_user_too(tmp_path: Path) -> None:
    store = layout.create(tmp_path / "s")
    kit.ingest(
        store,
        b'{"userId": 7, "type": "seen", "ts": "bad"}',
        b'{"userId": 8, "type": "seen", "ts": "bad"}',
        b'{"userId":7,"ty',
    )
    erase.erase(store, "7")
    assert [found.raw for found in quarantine.rejects(store)] == [b'{"userId": 8, "type": "seen", "ts": "bad"}']


def test_a_name_of_a_source_that_speaks_of_the_user(tmp_path: Path) -> None:
    store = layout.create(tmp_path / "s")
    path = kit.written(tmp_path / f"export-of-{ALICE}.ndjson", b"{bad")
    kit.run(store, [Source(str(path))], kit.RULES, clock=lambda: kit.NOW, options=kit.ONE_PROCESS)
    receipt = erase.erase(store, ALICE)
    assert (receipt.mentions, receipt.removed["quarantine"], receipt.found) == (1, 0, 0)
    assert places(store.root, ALICE) == []
    assert [found.raw for found in quarantine.rejects(store)] == [b"{bad"]


def test_an_erasure_that_forgets_a_tier_is_caught(store: layout.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The receipt's scan and the search of this test both see what each mutant leaves."""
    for number, forgotten in enumerate(("_part", "_segment", "_rejects")):
        copy = layout.Store(shutil.copytree(store.root, store.root.parent / f"copy{number}"))
        monkeypatch.setattr(rewrite.Rewrite, forgotten, lambda *_args: None)
        receipt = erase.erase(copy, ALICE)
        monkeypatch.undo()
        tier = {"_part": "parquet", "_segment": "events", "_rejects": "quarantine"}[forgotten]
        assert receipt.found > 0, forgotten
        assert {name.split("/")[0] for name, _ in places(copy.root, ALICE)} == {tier}


def test_a_footer_with_statistics_on_ids_is_caught(store: layout.Store) -> None:
    import pyarrow as pa

    path = store.part(DAY_1)
    erase.erase(store, ALICE)
    table = pq.read_table(path)
    pq.write_table(
        table.replace_schema_metadata({b"evlog.covers": b"1", b"note": ALICE.encode()}), path, compression="zstd"
    )
    assert isinstance(table, pa.Table)
    assert erase.erase(store, ALICE).found == 1


def test_subjects_are_keyed(tmp_path: Path) -> None:
    one, two = (tombstones.load(layout.create(tmp_path / name)) for name in ("a", "b"))
    assert one.subject(ALICE) != two.subject(ALICE)
    assert one.user_key(ALICE) != two.user_key(ALICE)
    assert -(2**63) <= one.user_key(ALICE) < 2**63
    assert Rules(plan=Plan.open()).guard is not None
    assert verify(layout.open_store(tmp_path / "a")).holds
