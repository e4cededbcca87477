"""Erasure and export of a whole person: every id that means them, their links, and nobody else's device."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import storekit as kit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from idsearch import places
from oracle import identity as oracle
from storekit import DAY_1, DAY_2, event
from torture import much

from evlog.person import beside, closure, export, link, rewrite
from evlog.person.erase import erase
from evlog.store import firsts, layout, links, tombstones

NOW = datetime(2026, 1, 20, 12)
ANN, OLD, D1, D2, D3, BOB = "ann_of_many", "ann_as_before", "device_of_ann", "device_of_both", "device_by_hand", "bob"
WHOLE = (ANN, OLD, D1, D3)


@pytest.fixture
def store(tmp_path: Path) -> layout.Store:
    made = layout.create(tmp_path / "s")
    kit.ingest(
        made,
        event("1", DAY_1, None, anonymous_id=D1), event("2", DAY_1, OLD, anonymous_id=D1),
        event("3", DAY_1, None, anonymous_id=D2), event("4", DAY_1, BOB, anonymous_id=D2),
        event("5", DAY_1, None, anonymous_id=D3), event("6", DAY_1, BOB, note=f"saw {D1}"),
    )  # fmt: skip
    kit.here(made.root, "compact", str(DAY_2))
    kit.ingest(
        made,
        event("7", DAY_2, ANN, event_type="alias", previousId=OLD), event("8", DAY_2, ANN, anonymous_id=D2),
        event("9", DAY_2, BOB),
    )  # fmt: skip
    link.link(made, D3, OLD, now=NOW, by="me")
    link.link(made, "device_of_bob", BOB, now=NOW, by="me")
    return made


@pytest.mark.long
def test_the_ids_of_a_person(store: layout.Store) -> None:
    for named in (ANN, OLD, D1, D3):
        told = closure.of(store, named)
        assert (told.person, set(told.ids), told.shared) == (ANN, set(WHOLE), (D2,))
        assert told.ids[0] == named
    assert set(closure.of(store, D2).ids) == {*WHOLE, D2}, "who names a device means it"
    bob = closure.of(store, BOB)
    assert (bob.ids, bob.shared) == ((BOB, "device_of_bob"), ())
    assert closure.of(store, "nobody") == closure.Closure("nobody", "nobody")


@pytest.mark.parametrize("named", WHOLE)
def test_all_ids_of_the_person_go_and_a_shared_one_stays_and_means_nobody(store: layout.Store, named: str) -> None:
    before = {row[0]: row for row in kit.rows(store)}
    receipt = erase(store, named)
    for one in WHOLE:
        assert places(store.root, one) == [], one
    after = {row[0]: row for row in kit.rows(store)}
    assert after.keys() == {"3", "4", "6", "9"}
    assert {name: after[name] for name in ("3", "4", "9")} == {name: before[name] for name in ("3", "4", "9")}
    assert receipt.found == 0
    assert (len(receipt.subjects), receipt.unlinked, receipt.mentions) == (4, 1, 1)
    assert receipt.removed == {"events": 2, "parquet": 3, "quarantine": 0, "links": 1}
    assert receipt.subject == receipt.subjects[0] == tombstones.load(store).subject(named)
    assert [(line.source, line.target) for file in links.files(store) for line in file.read()] == [
        ("device_of_bob", BOB),
        (D2, None),
    ]
    assert closure.of(store, D2) == closure.Closure(D2, D2), "bob's login before does not make it his now"
    kit.sound(store)


@pytest.mark.long
def test_no_id_of_the_person_comes_back(store: layout.Store) -> None:
    erase(store, OLD)
    late = [event(f"late{n}", DAY_2, one) for n, one in enumerate(WHOLE)]
    late += [event(f"device{n}", DAY_2, None, anonymous_id=one) for n, one in enumerate(WHOLE)]
    outcome = kit.ingest(store, *late, event("fine", DAY_2, None, anonymous_id=D2))
    assert (outcome.tally.erased, outcome.tally.stored) == (8, 1)
    for one in WHOLE:
        with pytest.raises(link.Erased):
            link.link(store, "x", one, now=NOW)


@pytest.mark.long
def test_a_dry_run_tells_the_same_and_changes_nothing(store: layout.Store) -> None:
    before = kit.tree(store.root)
    planned = erase(store, D1, dry_run=True)
    assert kit.tree(store.root) == before
    done = erase(store, D1)
    assert (planned.removed, planned.mentions) == (done.removed, done.mentions)
    assert (planned.subjects, planned.unlinked) == (done.subjects, done.unlinked)
    again = erase(store, D1)
    assert (again.files, again.unlinked) == ([], 0)


@pytest.mark.long
@pytest.mark.parametrize("how", ["link", "event"])
def test_an_id_that_becomes_theirs_meanwhile_goes_too(
    store: layout.Store, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """While files are rewritten another id is said to be the person's: all begins anew."""
    kit.ingest(store, event("10", DAY_2, None, anonymous_id="device_so_late"))
    real, ran = rewrite.Rewrite._part, []

    def interrupted(self: rewrite.Rewrite, *args: Any) -> None:
        real(self, *args)
        if not ran:
            ran.append(1)
            if how == "link":
                link.link(store, "device_so_late", ANN, now=NOW)
            else:
                kit.ingest(store, event("11", DAY_2, OLD, anonymous_id="device_so_late"))

    monkeypatch.setattr(rewrite.Rewrite, "_part", interrupted)
    receipt = erase(store, ANN)
    assert ran
    assert len(receipt.subjects) == 5
    assert places(store.root, "device_so_late") == []
    assert kit.ids(store) == ["3", "4", "6", "9"]
    kit.sound(store)


def test_an_erasure_that_forgets_the_links_is_caught(store: layout.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "unsaid", lambda *_: None)
    assert erase(store, ANN).found == 1
    assert {name.split("/")[0] for name, _ in places(store.root, D3)} == {"links"}


def test_the_memory_of_purged_days_forgets_the_person_too(store: layout.Store) -> None:
    kit.here(store.root, "purge", str(DAY_2))
    held = len(firsts.held(store).entries)
    assert held > 0
    receipt = erase(store, OLD)
    assert receipt.removed["firsts"] == held - len(firsts.held(store).entries) > 0
    kit.sound(store)


@pytest.mark.long
def test_export_prints_the_events_of_every_id(store: layout.Store) -> None:
    for named in WHOLE:
        assert [row[0] for row in export.export(store, named).rows] == ["1", "2", "3", "5", "7", "8"]
    assert [row[0] for row in export.export(store, BOB).rows] == ["4", "6", "9"]
    link.unlink(store, D2, now=NOW)
    assert [row[0] for row in export.export(store, ANN).rows] == ["1", "2", "5", "7", "8"]
    assert [row[0] for row in export.export(store, D2).rows] == ["3"]


def test_a_user_whose_id_was_once_a_device_keeps_their_own_links(tmp_path: Path) -> None:
    made = layout.create(tmp_path / "s")
    kit.ingest(
        made, event("1", DAY_1, BOB, event_type="$create_alias", properties={"alias": "bob_at_work"}),
        event("2", DAY_2, ANN, anonymous_id=BOB), event("3", DAY_2, "bob_at_work"),
    )  # fmt: skip
    assert closure.of(made, ANN).devices == ()
    assert erase(made, ANN).unlinked == 0
    assert closure.of(made, "bob_at_work").person == BOB
    assert links.files(made) == []


# -- random histories -------------------------------------------------------------------------------------------------

IDS = ("person-aa", "person-bb", "person-cc", "gadget-11", "gadget-22", "gadget-33")


@st.composite
def histories(draw: Any) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    ids = st.sampled_from(IDS)
    events = []
    for number in range(draw(st.integers(1, 10))):
        user, anonymous = draw(st.one_of(ids, st.none())), draw(st.one_of(ids, st.none()))
        more: dict[str, Any] = {} if anonymous is None else {"anonymous_id": anonymous}
        if draw(st.integers(0, 3)) == 0:
            kind = draw(st.sampled_from(["alias", "$identify", "$create_alias"]))
            more |= {"event_type": kind, "properties": {"alias": draw(ids)}}
        events.append(event(f"#{number}", (DAY_1, DAY_2)[number % 2], user, **more))
    return events, draw(st.lists(st.tuples(ids, ids).filter(lambda pair: pair[0] != pair[1]), max_size=2))


def meaning(store: layout.Store) -> tuple[dict[str, str], dict[str, str], list[dict[str, Any]], int]:
    """Whom ids mean, by the oracle, the events it was told, and how many links were left out for closing a circle."""
    names = ("event_id", "event_type", "user_id", "anonymous_id", "ts", "seq", "properties")
    events = [dict(zip(names, row, strict=True)) for row in kit.rows(store, ", ".join(names))]
    for one in events:
        one["properties"] = kit.json.loads(one["properties"] or "{}")
    said = [(line.source, line.target, line.at, line.seq) for file in links.files(store) for line in file.read()]
    users, nobodys, cut = oracle.resolve(events, datetime(9999, 1, 1), said)
    return users, nobodys, events, cut


@pytest.mark.long
@settings(max_examples=much(36, 4), deadline=None, suppress_health_check=list(HealthCheck))
@given(histories(), st.sampled_from(IDS), st.booleans())
def test_any_person_goes_whole_and_others_mean_whom_they_meant(
    history: tuple[list[dict[str, Any]], list[tuple[str, str]]], named: str, cold: Any
) -> None:
    events, said = history
    with tempfile.TemporaryDirectory(dir=kit.FAST) as folder:
        store = layout.create(Path(folder) / "s")
        kit.ingest(store, *events)
        if cold:
            kit.here(store.root, "compact", str(DAY_2))
        for source, target in said:
            link._said(store, links.Said(source, target, NOW), since=0)
        users, nobodys, before, cut = meaning(store)
        whole = closure.of(store, named)
        person = whole.person
        assert person in (users.get(named, named), nobodys.get(named))
        mine = {one for one in IDS if person in (users.get(one), nobodys.get(one))} | {named, person}
        assert mine == {*whole.ids, *whole.shared}
        receipt = erase(store, named)
        assert receipt.found == 0
        gone = {*whole.ids}
        after_users, after_nobodys, after, _ = meaning(store)
        for one in gone:
            assert places(store.root, one) == []
        stay = [e["event_id"] for e in before if (e["user_id"] or e["anonymous_id"]) not in gone]
        assert [e["event_id"] for e in after] == stay
        for one in set(IDS) - gone - {*whole.shared} if not cut else ():  # of a circle other links are left out now
            assert after_users.get(one, one) == users.get(one, one)
            assert after_nobodys.get(one) == nobodys.get(one)
        for one in whole.devices:
            assert one not in after_nobodys
            assert one not in after_users
        kit.sound(store)
