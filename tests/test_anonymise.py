"""Anonymising: every number stays, the name is nowhere, and nothing says whose name it was."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
import storekit as kit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from idsearch import places
from questions import ONE_THREAD, scoped
from storekit import DAY_1, DAY_2, DAY_3, event
from torture import much

from evlog import reports
from evlog.person import closure, erase, link
from evlog.query.ask import ask
from evlog.store import firsts, ids, layout, linked, links, parts, rollups, tombstones

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

ANN, OLD, PHONE, SHARED, BOB = "ann_of_many", "ann_as_before", "phone_of_ann", "device_of_both", "bob_of_rome"
WHOLE = (ANN, OLD, PHONE)
PEOPLE = ("person-aa", "person-bb", "person-cc")
GADGETS = ("gadget-11", "gadget-22", "gadget-33")
ANYONE = re.compile(r"anon-[0-9a-f]{32}")
ASKED: dict[str, dict[str, Any]] = {
    "dau": {}, "wau": {}, "mau": {}, "events": {}, "sessions": {}, "lifecycle": {}, "retention": {}, "stickiness": {},
    "targets": {}, "streaks": {}, "paths": {}, "frequency": {}, "errors": {}, "usage": {},
    "funnel": {"steps": ("seen", "bought")},
}  # fmt: skip


CORE = ("dau", "wau", "funnel", "retention", "sessions", "lifecycle", "events", "targets")


def anonymised(store: layout.Store, *users: str) -> erase.Receipt:
    return erase.erase_each(store, users, erase.How(anonymise=True, at=kit.NOW))


def numbers(store: layout.Store, *, nobodys: bool = False, asked: Sequence[str] = tuple(ASKED)) -> dict[str, Any]:
    """The answers of many reports, with any pseudonym and any id told as somebody."""
    scope, _ = scoped({"from": "2026-01-04", "to": "2026-01-08", "include_anon": nobodys})
    found = {}
    for name in asked:
        result = ask(store, scope, reports.load(name).report, limits=ONE_THREAD, **ASKED[name])
        found[name] = (sorted(map(_nameless, result.rows), key=repr), _nameless(result.summary), result.events_read)
    return found


def both(store: layout.Store, asked: Sequence[str]) -> list[dict[str, Any]]:
    """The answers about users, and the chief of them about everybody."""
    return [numbers(store, asked=asked), numbers(store, nobodys=True, asked=CORE)]


def _nameless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _nameless(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_nameless(inner) for inner in value]
    names = "|".join(map(re.escape, (*WHOLE, SHARED, *PEOPLE, *GADGETS)))
    return re.sub(f"{ANYONE.pattern}|{names}", "somebody", value) if isinstance(value, str) else value


@pytest.fixture
def store(tmp_path: Path) -> layout.Store:
    made = layout.create(tmp_path / "s")
    kit.ingest(
        made,
        event("1", DAY_1, None, anonymous_id=PHONE, session_id=f"{PHONE}:1"),
        event("2", DAY_1, OLD, anonymous_id=PHONE), event("3", DAY_1, None, anonymous_id=SHARED),
        event("4", DAY_1, BOB, anonymous_id=SHARED, target_type="user", target_id=ANN),
        event("5", DAY_1, BOB, note=f"with {PHONE}"), event(f"{BOB}:5", DAY_1, BOB),
    )  # fmt: skip
    kit.here(made.root, "compact", str(DAY_2))
    nameless = event("x", DAY_2, ANN, n=7)
    del nameless["event_id"]
    kit.ingest(
        made,
        event("7", DAY_2, ANN, event_type="alias", previousId=OLD), event(f"{ANN}:8", DAY_2, ANN, anonymous_id=SHARED),
        event("9", DAY_2, BOB, session_id=f"with:{ANN}"), nameless, {"user_id": ANN, "ts": "bad", "type": "seen"},
    )  # fmt: skip
    link.link(made, "tablet_of_ann", OLD, now=kit.NOW, by="me")
    return made


@pytest.mark.long
@pytest.mark.parametrize("named", WHOLE)
def test_every_number_stays_and_no_id_does(store: layout.Store, named: str) -> None:
    asked = tuple(ASKED) if named == ANN else CORE
    before = both(store, asked)
    rows = {row[0] for row in kit.rows(store)}
    receipt = anonymised(store, named)
    assert both(store, asked) == before
    for one in (*WHOLE, SHARED, "tablet_of_ann"):
        assert places(store.root, one) == [], one
    assert (receipt.found, receipt.unlinked, receipt.renamed) == (0, 1, {"events": 3, "parquet": 2, "links": 1})
    assert receipt.removed == {"events": 0, "parquet": 0, "quarantine": 1}
    after = {row[0] for row in kit.rows(store)}
    assert {"1", "2", "3", "4", "5", f"{BOB}:5", "7", "9"} == rows & after
    kit.sound(store)
    kit.here(store.root, "compact", "2027-01-01")
    assert numbers(store, asked=CORE) == {name: before[0][name] for name in CORE}


def test_each_id_has_a_pseudonym_of_its_own_and_means_the_same_person(store: layout.Store) -> None:
    anonymised(store, ANN)
    told = {row[0]: row for row in kit.rows(store)}
    person, old = told["7"][4], told["2"][4]
    phone, shared = told["1"][5], told["3"][5]
    assert all(ANYONE.fullmatch(one) for one in (person, old, phone, shared))
    assert len({person, old, phone, shared}) == 4
    whole = closure.of(store, phone)
    assert (whole.person, {*whole.ids, *whole.shared} > {person, old, phone, shared}) == (person, True)
    assert (told["2"][5], told["4"][4], told["4"][5], told["4"][8]) == (phone, BOB, shared, person)
    assert [line.target for file in links.files(store) for line in file.read()] == [old]


def test_parts_are_sorted_by_the_new_keys(tmp_path: Path) -> None:
    store = layout.create(tmp_path / "s")
    users = [f"user-number-{n}" for n in range(40)]
    kit.ingest(store, *(event(f"{user}/{n}", DAY_1, user) for n in range(3) for user in users), event("-", user=None))
    kit.here(store.root, "compact", str(DAY_2))
    receipt = anonymised(store, *users[:7])
    assert (receipt.found, receipt.renamed["parquet"]) == (0, 21)
    known, table = tombstones.load(store), pq.read_table(store.part(DAY_1))
    keys, names = table["user_key"].to_pylist(), table["user_id"].to_pylist()
    assert keys == [None if name is None else known.user_key(name) for name in names]
    assert keys[-1] is None
    assert keys[:-1] == sorted(keys[:-1])
    assert parts.covers(store.part(DAY_1)) == 1
    kit.sound(store)


def test_what_comes_again_is_refused_or_a_duplicate_and_the_pseudonym_gets_no_more(store: layout.Store) -> None:
    anonymised(store, ANN)
    before = kit.rows(store)
    again = kit.ingest(
        store,
        event("2", DAY_1, OLD, anonymous_id=PHONE), event("1", DAY_1, None, anonymous_id=PHONE, session_id=f"{PHONE}:1"),
        event(f"{ANN}:8", DAY_2, ANN, anonymous_id=SHARED), event("new", DAY_2, ANN),
        event("3", DAY_1, None, anonymous_id=SHARED), event("5", DAY_1, BOB, note=f"with {PHONE}"),
        event("4", DAY_1, BOB, anonymous_id=SHARED, target_type="user", target_id=ANN), event(f"{BOB}:5", DAY_1, BOB),
    )  # fmt: skip
    assert (again.tally.erased, again.tally.duplicates, again.tally.stored, again.tally.rejected) == (4, 4, 0, 0)
    assert kit.rows(store) == before
    kit.ingest(store, event("later", DAY_3, None, anonymous_id=SHARED))
    assert closure.of(store, SHARED) == closure.Closure(SHARED, SHARED), "a device others use leads to nobody"


@pytest.mark.long
def test_nothing_tells_a_right_guess_from_a_wrong_one(store: layout.Store) -> None:
    """Pseudonyms are chance; of the person's own events no hash of what they said is left."""
    twin = layout.Store(shutil.copytree(store.root, store.root.parent / "twin"))
    hashes = _hashes(store)
    for one in (store, twin):
        anonymised(one, ANN)
    names = [{row[4] for row in kit.rows(one)} for one in (store, twin)]
    assert names[0] & names[1] == {BOB, None}
    mine = {n for n, row in enumerate(kit.rows(twin)) if ANYONE.fullmatch(str(row[4] or row[5]))}
    assert len(mine) == 6
    kept = {name for name in hashes if hashes[name] & _hashes(store).get(name, set())}
    assert kept == {"3", "4", "5", "9", f"{BOB}:5"}, "those that may come again, and only those"
    derived = {row[0] for row in kit.rows(store)} & {row[0] for row in kit.rows(twin)}
    assert not any(re.fullmatch("d[0-9a-f]{32}", name) for name in derived)


def _hashes(store: layout.Store) -> dict[str, set[int]]:
    """The content hash that the index keeps of each event."""
    found: dict[str, set[int]] = {}
    index = ids.Index(store)
    for row in kit.rows(store, "event_id, date"):
        for known in index.known(row[1]):
            held = ids.only(known, [row[0]])
            found.setdefault(row[0], set()).update(held.content.tolist())
    return found


@pytest.mark.long
def test_what_is_remembered_of_purged_days_moves_to_the_pseudonym(store: layout.Store) -> None:
    kit.here(store.root, "purge", str(DAY_2))
    before, held = numbers(store), firsts.held(store)
    subject = tombstones.load(store).subject
    pairs = {
        linked.entry(linked.USER, subject(OLD), subject(ANN)),
        linked.entry(linked.USER, subject("x"), subject(BOB)),
    }
    (store.root / linked.LINKED).write_bytes(linked.content(linked.Linked(1, kit.NOW, None, frozenset(pairs))))
    receipt = anonymised(store, ANN)
    assert receipt.renamed["firsts"] > 0
    assert numbers(store) == before
    after = firsts.held(store)
    assert sorted(after.entries["ts"].tolist()) == sorted(held.entries["ts"].tolist())
    whose = {name: {sub.hex() for _, sub, _ in memory.read([""])} for name, memory in (("old", held), ("new", after))}
    assert subject(OLD) in whose["old"] - whose["new"]
    entries = linked.load(store).entries
    assert len(entries) == 2
    assert not any(bytes.fromhex(subject(one)) in entry for entry in entries for one in WHOLE)
    assert receipt.found == 0


def test_days_are_marked_and_nothing_is_counted_in_the_audit_log(store: layout.Store) -> None:
    from evlog.store import audit

    receipt = anonymised(store, ANN)
    assert {day: touch.why for day, touch in rollups.touched(store).items()} == dict.fromkeys(
        (DAY_1, DAY_2), "anonymisation"
    )
    [entry] = [one for one in audit.read(store) if one["what"] == "user anonymise"]
    assert (entry["number"], entry["subjects"]) == (receipt.audit, sorted(receipt.subjects))
    assert entry["details"] == {"users": 1, "ids": len(receipt.subjects)}


# -- random histories -------------------------------------------------------------------------------------------------

DAYS = (DAY_1, DAY_2, DAY_3)


@st.composite
def histories(draw: Any) -> list[dict[str, Any]]:
    found = []
    for number in range(draw(st.integers(2, 14))):
        user = draw(st.sampled_from((*PEOPLE, None)))
        gadget = draw(st.sampled_from((*GADGETS, None))) if user else draw(st.sampled_from(GADGETS))
        more: dict[str, Any] = {} if gadget is None else {"anonymous_id": gadget}
        if draw(st.booleans()):
            more["session_id"] = draw(st.sampled_from(("s1", f"{user or gadget}:s")))
        if draw(st.integers(0, 4)) == 0:
            more |= {"event_type": "alias", "properties": {"alias": draw(st.sampled_from(GADGETS))}}
        elif draw(st.booleans()):
            more["event_type"] = "bought"
        if draw(st.booleans()):
            more |= {"target_type": "user", "target_id": draw(st.sampled_from(PEOPLE))}
        found.append(event(f"#{number}", draw(st.sampled_from(DAYS)), user, **more))
    return found


@pytest.mark.long
@settings(max_examples=much(12, 2), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    histories(),
    st.lists(st.sampled_from((*PEOPLE, *GADGETS)), min_size=1, max_size=2),
    st.sets(st.sampled_from(DAYS)),
    st.booleans(),
)
def test_any_history_keeps_its_numbers(
    history: list[dict[str, Any]],
    named: list[str],
    cold: set[date],
    nobodys: bool,  # noqa: FBT001
) -> None:
    with tempfile.TemporaryDirectory(dir=kit.FAST) as folder:
        store = layout.create(Path(folder) / "s")
        kit.ingest(store, *history)
        if cold:
            kit.here(store.root, "compact", str(max(cold)))
        before = numbers(store, nobodys=nobodys, asked=CORE)
        wholes = [closure.of(store, one) for one in named]
        receipt = anonymised(store, *named)
        assert receipt.found == 0
        assert numbers(store, nobodys=nobodys, asked=CORE) == before
        for one in {one for whole in wholes for one in whole.ids}:
            assert places(store.root, one) == []
        kit.sound(store)
