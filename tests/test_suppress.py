"""Suppression by hand: from then on nothing of the person in any file; the past, byte for byte, as it was."""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import idsearch
import pytest
import storekit as kit
from storekit import DAY_1, DAY_2, NOW, event

from evlog import replay
from evlog.cli.run import run
from evlog.ingest import commit
from evlog.person import erase, link
from evlog.person.suppress import kin, suppress
from evlog.store import audit, layout, tombstones

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def evlog(monkeypatch, capfdbinary, tmp_path):
    """Run evlog on words in a folder of its own; its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    monkeypatch.setattr("evlog.cli.clock.now", lambda: NOW)
    before = signal.getsignal(signal.SIGTERM)

    def call(*words: str) -> tuple[int, str, str]:
        code = run(("--data", "s", *words))
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    yield call
    signal.signal(signal.SIGTERM, before)


def past(root: Path) -> dict[str, bytes]:
    """The bytes of what is stored."""
    return {
        name: raw for name, raw in kit.tree(root).items() if name.startswith(("events", "parquet", "ids", "quarantine"))
    }


def fed(evlog, *events: dict[str, object] | bytes) -> dict[str, int]:
    Path("in.ndjson").write_bytes(kit.lines(*events))
    told = json.loads(evlog("ingest", "in.ndjson", "--format", "json")[1])
    assert told["read"] == sum(told[key] for key in ("stored", "duplicates", "rejected", "no_consent", "erased"))
    return told


def test_nothing_more_of_any_of_their_ids_and_the_past_as_it_was(evlog):
    fed(
        evlog,
        event("a", DAY_1, "zelda_zelda", anonymous_id="phone_phone"),
        event("b", DAY_1),
        event("c", DAY_2, "zelda_zelda"),
    )
    assert evlog("compact", "--before", str(DAY_2))[0] == 0
    assert evlog("user", "link", "old_old_old", "zelda_zelda")[0] == 0
    before = past(Path("s"))
    code, out, err = evlog("user", "suppress", "zelda_zelda", "--format", "json")
    row = json.loads(out)["rows"][0]
    assert (code, row["suppressed"], row["ids"], row["changed"]) == (0, True, 3, True)
    assert "nothing more is stored of 1 user" in err
    assert b"zelda" not in Path("s/tombstones/suppressed.json").read_bytes()
    told = fed(
        evlog, event("later_1", user="zelda_zelda"), event("later_2", user=None, anonymous_id="phone_phone"),
        event("later_3", user="old_old_old"), {**event("later_4", user="zelda_zelda"), "ts": "x"},
        b'{"user_id":"zelda_zelda","event_id":"later_5', event("later_6", user="eve", anonymous_id="phone_phone"), event("d"),
    )  # fmt: skip
    assert (told["stored"], told["no_consent"], told["rejected"]) == (1, 6, 0)
    now = past(Path("s"))
    assert before.items() <= now.items()
    assert idsearch.places(Path("s"), "later_") == []
    assert not [name for name in now.keys() - before.keys() if b"zelda" in now[name] or b"phone" in now[name]]
    assert evlog("verify")[0] == 0


def test_again_is_nothing_and_lifting_takes_it_back(evlog):
    fed(evlog, event("a", user="zoe"))
    first = evlog("user", "suppress", "zoe", "--format", "csv")
    state = kit.tree(Path("s"))
    again = evlog("user", "suppress", "zoe", "--format", "csv")
    assert kit.tree(Path("s")) == state
    assert (first[1].replace("true\n", "false\n"), "nothing was changed" in again[2]) == (again[1], True)
    assert fed(evlog, event("b", user="zoe"))["no_consent"] == 1
    assert evlog("user", "suppress", "zoe", "--lift")[0] == 0
    assert fed(evlog, event("b", user="zoe"))["stored"] == 1
    assert "nothing was changed" in evlog("user", "suppress", "zoe", "--lift")[2]
    told = [(one["what"], len(one["subjects"])) for one in audit.read(layout.open_store(Path("s")))]
    assert told == [("user suppress", 1), ("user suppress --lift", 1)]
    assert not audit.findings(layout.open_store(Path("s")))


def test_several_ids_from_stdin_in_one_commit(evlog, monkeypatch, tmp_path):
    fed(evlog, event("a", user="zoe"))
    (tmp_path / "ids").write_text("zoe\r\neve\n\n \nzoe")
    monkeypatch.setattr("sys.stdin", (tmp_path / "ids").open())
    code, out, _ = evlog("user", "suppress", "-", "--format", "ndjson")
    assert (code, len(out.splitlines())) == (0, 3), "an empty line is no id, a blank is one"
    assert len(audit.read(layout.open_store(Path("s")))) == 1
    assert fed(evlog, event("b", user="zoe"), event("c", user="eve"), event("d", user=" "))["no_consent"] == 3


@pytest.mark.parametrize("word", ["undefined", "", "a\x1b[2Jb", "x" * 257])
def test_what_is_nobodys_id_is_refused(evlog, word):
    fed(evlog, event("a"))
    assert evlog("user", "suppress", word)[0] == 2
    assert not Path("s/tombstones/suppressed.json").exists()


def test_a_missing_store_is_told(evlog):
    assert evlog("user", "suppress", "zoe")[0] == 1


def test_the_events_of_a_device_that_others_use_are_theirs(tmp_path):
    store = layout.create(tmp_path / "s")
    kit.ingest(store, event("a", user="zoe", anonymous_id="tablet"), event("b", user="eve", anonymous_id="tablet"))
    assert suppress(store, ["eve"], now=NOW)[0].ids == 2
    outcome = kit.ingest(
        store, event("c", user="zoe", anonymous_id="tablet"), event("d", user=None, anonymous_id="tablet"), event("e", user="eve")
    )  # fmt: skip
    assert (kit.ids(store), outcome.tally.no_consent) == (["a", "b", "c"], 2)


def test_lifting_frees_every_id_even_when_nothing_tells_any_more_that_they_are_one(tmp_path):
    store = layout.create(tmp_path / "s")
    link.link(store, "old", "zoe", now=NOW)
    suppress(store, ["zoe"], now=NOW)
    link.unlink(store, "old", now=LATER)
    suppress(store, ["zoe"], now=LATER, lift=True)
    assert kit.ingest(store, event("a", user="old"), event("b", user="zoe")).tally.stored == 2


def test_a_clock_that_goes_back_suppresses_all_the_same(tmp_path):
    store = layout.create(tmp_path / "s")
    suppress(store, ["zoe"], now=LATER)
    suppress(store, ["zoe"], now=NOW, lift=True)
    assert kit.ingest(store, event("a", user="zoe")).tally.stored == 1
    assert suppress(store, ["zoe"], now=NOW)[0].suppressed
    assert kit.ingest(store, event("b", user="zoe")).tally.no_consent == 1


def test_a_batch_on_its_way_meets_it(tmp_path, monkeypatch):
    store = layout.create(tmp_path / "s")
    whole, met = commit.Committer.commit, []

    def late(self, batch, **more):
        if not met:
            met.append(suppress(store, ["zoe"], now=NOW))
        return whole(self, batch, **more)

    monkeypatch.setattr(commit.Committer, "commit", late)
    tally = kit.ingest(store, event("a", user="zoe"), event("b", user="bob")).tally
    assert (kit.ids(store), tally.no_consent) == (["b"], 1)
    kit.sound(store)


def test_a_replay_meets_it_and_one_on_its_way_too(tmp_path, monkeypatch):
    store = layout.create(tmp_path / "s")
    kit.ingest(
        store,
        {**event("a", user="zoe"), "ts": "2020-01-05 10:00"[:13]},
        {**event("b"), "consent": {"marketing": False}, "ts": "x"},
    )
    whole, met = commit.Committer.commit, []

    def late(self, batch, **more):
        if not met:
            met.append(suppress(store, ["zoe"], now=NOW))
        return whole(self, batch, **more)

    monkeypatch.setattr(commit.Committer, "commit", late)
    told = replay.run(store, kit.RULES, now=LATER)
    assert (told.tally.no_consent, told.left, told.stayed) == (1, 1, 1)
    assert idsearch.places(store.root, "zoe") == []


def test_who_is_suppressed_can_be_erased_and_stays_out(tmp_path):
    store = layout.create(tmp_path / "s")
    kit.ingest(store, event("a", user="zelda_zelda"), event("b"))
    suppress(store, ["zelda_zelda"], now=NOW)
    receipt = erase.erase(store, "zelda_zelda")
    assert (receipt.found, kit.ids(store)) == (0, ["b"])
    grant = event("g", user="zelda_zelda", event_type="user_consent_update", consent=True)
    tally = kit.ingest(store, grant, event("c", user="zelda_zelda")).tally
    assert (tally.erased, tally.stored) == (2, 0)
    assert idsearch.places(store.root, "zelda_zelda") == []


def test_an_event_of_consent_reaches_every_id_that_means_its_user(evlog):
    fed(evlog, event("a", user="zoe", anonymous_id="phone"), event("b", user="eve", anonymous_id="desk"))
    refusal = event("w", user="zoe", event_type="user_consent_update", properties={"consent_given": False})
    told = fed(evlog, refusal, event("c", user=None, anonymous_id="phone"), event("d", user=None, anonymous_id="desk"))
    assert (told["stored"], told["no_consent"]) == (1, 2)
    assert fed(evlog, event("e", user=None, anonymous_id="phone"))["no_consent"] == 1
    agreed = {**event("g", DAY_2, "zoe", event_type="user_consent_update"), "consent": True}
    assert fed(evlog, agreed, event("f", user=None, anonymous_id="phone"), event("h", user="zoe"))["stored"] == 3


def test_what_a_person_grants_frees_the_device_that_refused_before_it_was_theirs(tmp_path):
    store = layout.create(tmp_path / "s")
    update = {"event_type": "user_consent_update", "consent": False}
    kit.ingest(store, event("w", user=None, anonymous_id="phone", **update))
    link.link(store, "phone", "zoe", now=NOW)
    suppress(store, ["zoe"], now=NOW - timedelta(days=9))
    assert kit.ingest(store, event("a", user=None, anonymous_id="phone")).tally.no_consent == 1
    assert kit.ingest(
        store, event("g", kit.DAY_3 + timedelta(days=8), "zoe", **update | {"consent": True})
    ).tally.stored
    assert kit.ingest(store, event("b", user=None, anonymous_id="phone")).tally.stored == 1


def test_a_refusal_of_a_device_is_that_of_the_person_it_means(tmp_path):
    store = layout.create(tmp_path / "s")
    kit.ingest(store, event("a", user="zoe", anonymous_id="phone"))
    known = tombstones.load(store)
    found = kin(store, ["phone"], known)
    assert found.kin == {known.subject("phone"): frozenset({known.subject("zoe")})}


def test_a_damaged_file_is_told_and_nothing_is_let_in(evlog):
    fed(evlog, event("a", user="zoe"))
    evlog("user", "suppress", "zoe")
    Path("s/tombstones/suppressed.json").write_text('{"words": {"x": 5}}')
    code, _, err = evlog("ingest", "in.ndjson")
    assert (code, "cannot be read" in err) == (1, True)
