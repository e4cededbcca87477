"""Replay and clearing: exact books over what was refused, and the first attempt remembered."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from feed import NOW, OPEN, event, feed, ids, line, new_store, quick, refused, stored, written

from evlog import replay
from evlog.event.plan import EventRule, Plan, Property
from evlog.event.privacy import Guard
from evlog.ingest.rules import Rules

__all__ = ["quick"]
NARROW = Rules(plan=Plan(events={"view": EventRule()}))
WIDE = Rules(plan=Plan(events={"view": EventRule(), "order": EventRule(properties={"n": Property(type="integer")})}))
LATER = NOW + timedelta(days=2)


def order(number: int, **fields: object) -> bytes:
    return line(event_id=f"o{number}", event_type="order", **fields)


def test_a_mended_plan_lets_lines_in_and_the_books_are_exact(tmp_path):
    store = new_store(tmp_path)
    path = written(tmp_path / "log", line(), order(1), order(2, n="x"), b"{bad", order(3), line(event_id="e2"))
    feed(store, path, rules=NARROW)
    told = replay.run(store, WIDE, now=LATER)
    assert (told.left, told.stayed, told.unreplayable) == (2, 2, 0)
    assert (told.tally.read, told.tally.stored, told.tally.rejected) == (4, 2, 2)
    assert told.tally.balanced
    assert ids(store) == ["e1", "e2", "o1", "o3"]
    assert [(kept.code, kept.body["line"], kept.body["source"]) for kept in refused(store)] == [
        ("bad_property", 3, str(path)),
        ("bad_json", 4, str(path)),
    ]
    again = replay.run(store, WIDE, now=LATER)
    assert (again.left, again.stayed, again.tally.stored) == (0, 2, 0)
    after = feed(store, path, rules=WIDE).tally
    assert (after.stored, after.duplicates, after.rejected) == (0, 4, 2)
    assert len(refused(store)) == 2


def test_the_time_of_the_first_attempt_is_kept_in_segments_and_in_what_stays(tmp_path):
    from evlog.engine import connect
    from evlog.query import view
    from evlog.store.snapshot import snapshot

    store = new_store(tmp_path)
    feed(store, written(tmp_path / "log", order(1), order(2, n="x")), rules=NARROW)
    replay.run(store, WIDE, now=LATER)
    seen = snapshot(store)
    relation, params = view.relation(seen.hot, seen.cold)
    with connect() as engine:
        assert engine.rows(f"SELECT event_id, received_at FROM ({relation})", params) == [("o1", NOW)]
    assert refused(store)[0].body["received_at"] == "2026-03-10T12:00:00.000000Z"


def test_only_the_reason_that_is_asked_for(tmp_path):
    store = new_store(tmp_path)
    feed(store, written(tmp_path / "log", order(1), line(event_id="a", user_id="null"), b"{bad"), rules=NARROW)
    wide = replace(WIDE, placeholder_users="null")
    told = replay.run(store, wide, now=LATER, code="unknown_type")
    assert (told.left, told.stayed) == (1, 0)
    assert [kept.code for kept in refused(store)] == ["placeholder_user", "bad_json"]
    assert replay.run(store, wide, now=LATER, code="placeholder_user").left == 1
    assert ids(store) == ["o1", "a"]


def test_nothing_to_replay_is_nothing(tmp_path):
    store = new_store(tmp_path)
    told = replay.run(store, OPEN, now=LATER)
    assert (told.left, told.stayed, told.tally.read) == (0, 0, 0)


def test_a_dry_run_says_what_would_be_and_does_nothing(tmp_path):
    store = new_store(tmp_path)
    feed(store, written(tmp_path / "log", order(1), order(2, n="x"), b"{bad"), rules=NARROW)
    before = [kept.body for kept in refused(store)]
    told = replay.run(store, WIDE, now=LATER, dry_run=True)
    assert (told.left, told.stayed, told.tally.stored) == (1, 2, 1)
    assert [kept.body for kept in refused(store)] == before
    assert ids(store) == []


def test_an_event_of_the_future_may_come_in_when_its_day_has_come(tmp_path):
    store = new_store(tmp_path)
    feed(store, written(tmp_path / "log", line(ts="2026-03-12T11:00:00Z")))
    assert replay.run(store, OPEN, now=NOW).stayed == 1
    assert replay.run(store, OPEN, now=LATER).left == 1
    assert stored(store)[0]["ts"] == "2026-03-12T11:00:00.000000Z"


def test_what_is_stored_already_leaves_and_what_conflicts_stays_as_a_conflict(tmp_path):
    store = new_store(tmp_path)
    feed(store, written(tmp_path / "log", order(1), order(2)), rules=NARROW)
    feed(store, written(tmp_path / "other", order(1), order(2, feature="new")), rules=WIDE)
    told = replay.run(store, WIDE, now=LATER)
    assert (told.left, told.stayed, told.tally.duplicates, dict(told.tally.reasons)) == (1, 1, 1, {"id_conflict": 1})
    assert [(kept.code, kept.raw) for kept in refused(store)] == [("id_conflict", order(2))]
    assert replay.run(store, WIDE, now=LATER).stayed == 1


def test_refused_consent_and_erased_users_leave_without_a_trace(tmp_path):
    from evlog.person import erase

    store = new_store(tmp_path)
    feed(store, written(tmp_path / "log", order(1, user_id="zelda_zelda"), order(2, user_id="bob")), rules=NARROW)
    told = replay.run(store, replace(WIDE, consent="required"), now=LATER)
    assert (told.left, told.tally.no_consent) == (2, 2)
    assert refused(store) == []
    feed(store, written(tmp_path / "more", order(3, user_id="zelda_zelda")), rules=NARROW)
    erase.erase(store, "zelda_zelda")
    assert refused(store) == []


def test_lines_that_were_cut_or_redacted_cannot_be_replayed(tmp_path):
    store = new_store(tmp_path)
    rules = replace(OPEN, max_line=300, guard=Guard("reject"))
    feed(store, written(tmp_path / "log", line(pad="x" * 5000), line(email="a@b.de"), line(event_id="")), rules=rules)
    told = replay.run(store, OPEN, now=LATER)
    assert (told.left, told.stayed, told.unreplayable) == (0, 1, 2)
    assert len(refused(store)) == 3


def test_a_line_that_is_refused_for_personal_data_now_stays_redacted_once(tmp_path):
    store = new_store(tmp_path)
    path = written(tmp_path / "log", order(1, email="a@b.de"))
    feed(store, path, rules=NARROW)
    strict = replace(OPEN, guard=Guard("reject"))
    told = replay.run(store, strict, now=LATER)
    assert (told.left, told.stayed) == (0, 1)
    kept = refused(store)
    assert [(one.code, one.whole) for one in kept] == [("pii", False)]
    assert b"a@b.de" not in kept[0].raw
    feed(store, path, rules=strict)
    feed(store, path, rules=NARROW)
    assert len(refused(store)) == 1


def test_a_torn_line_stays_torn(tmp_path):
    store = new_store(tmp_path)
    feed(store, written(tmp_path / "log", line(), line()[:-5], end=b""))
    before = [kept.body for kept in refused(store)]
    assert replay.run(store, OPEN, now=LATER).stayed == 1
    assert [kept.body for kept in refused(store)] == before


def test_equal_lines_of_two_inputs_collapse_and_of_one_envelope_are_apart(tmp_path):
    store = new_store(tmp_path)
    bare = event(event_id=None, event_type="order")
    spaced = json.dumps(bare, separators=(",", ":")).encode()
    feed(store, written(tmp_path / "a", json.dumps(bare).encode(), spaced), rules=NARROW)
    feed(store, written(tmp_path / "b", json.dumps(bare, separators=(" ,", ": ")).encode()), rules=NARROW)
    told = replay.run(store, WIDE, now=LATER)
    assert (told.left, told.tally.stored, told.tally.duplicates) == (3, 2, 1)


@pytest.mark.parametrize(("code", "gone", "kept"), [(None, 3, []), ("bad_json", 1, ["unknown_type", "not_object"]), ("pii", 0, ["unknown_type", "bad_json", "not_object"])])  # fmt: skip
def test_what_is_cleared_is_gone_and_does_not_come_back(tmp_path, code, gone, kept):
    store = new_store(tmp_path)
    path = written(tmp_path / "log", order(1), b"{bad", b"null")
    feed(store, path, rules=NARROW)
    assert replay.clear(store, code=code) == gone
    assert sorted(one.code for one in refused(store)) == sorted(kept)
    assert feed(store, path, rules=NARROW).tally.rejected == 3
    assert sorted(one.code for one in refused(store)) == sorted(kept)
    assert replay.clear(store, code=code) == 0
