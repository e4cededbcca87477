"""Who must stay out, stays out, and what conflicts: consent, erased users, purged days, ids with two contents."""

import json

import pytest
from feed import NOW, OPEN, bytes_of, event, feed, ids, line, new_store, quick, refused, stored, written

from evlog.event.plan import Plan
from evlog.ingest import block
from evlog.ingest.rules import Rules

__all__ = ["quick"]
FIRST, LAST = line(event_id="first"), line(event_id="last", user_id="bob")


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


REFUSALS = [
    {"consent": False}, {"consent_given": False}, {"consentGiven": "no"}, {"privacy": {"consent_given": False}},
    {"privacy": {"consent_given": "false"}}, {"consent": {"analytics": "denied"}}, {"privacy": '{"consent_given": false}'},
    {"consent": 0}, {"privacy.consent_given": False}, {"consent": {"given": False}},
]  # fmt: skip


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw,
        lambda raw: raw.replace(b"2026-03-01T10:00:00Z", b"nope"),
        lambda raw: raw.replace(b'"view"', b"5"),
        lambda raw: raw[:-1],
        lambda raw: raw[:-1] + b', "a": 1, "a": 2}',
        lambda raw: raw[:-1] + b', "x": NaN}',
        lambda raw: raw[:-1] + b', "x": 18446744073709551616}',
        lambda raw: raw[:-1] + b', "x": "\xff"}',
        lambda raw: raw[:-1] + b', "x": ' + nested(70).encode() + b"}",
        lambda raw: raw[:-1] + b', "event_data": "{"}',
        lambda raw: json.dumps(raw.decode()).encode(),
        lambda raw: b'{"events":[' + raw + b"]}",
        lambda raw: b"[" + raw + b"]",
    ],
)
def test_refused_consent_is_counted_and_nowhere_kept_however_bad_the_line(tmp_path, spoil):
    store = new_store(tmp_path)
    raws = [spoil(json.dumps(event(event_id="bad", user_id="zelda_zelda") | said).encode()) for said in REFUSALS]
    tally = feed(store, written(tmp_path / "log", FIRST, *raws, LAST)).tally
    assert (tally.stored, tally.no_consent, tally.rejected) == (2, len(REFUSALS), 0)
    assert b"zelda" not in bytes_of(store)


def test_consent_of_an_envelope_is_that_of_its_events(tmp_path):
    store = new_store(tmp_path)
    events = [event(event_id="a", user_id="zelda_zelda"), event(event_id="b", consent=True)]
    raws = [
        json.dumps({"consent": False, "events": events}).encode(),
        json.dumps({"privacy": {"consent_given": True}, "events": [event(event_id="c")]}).encode(),
        json.dumps({"events": [event(event_id="d")]}).encode(),
    ]
    tally = feed(store, written(tmp_path / "log", *raws), rules=Rules(plan=Plan.open(), consent="required")).tally
    assert (tally.read, tally.stored, tally.no_consent) == (4, 1, 3)
    assert ids(store) == ["c"]
    assert b"zelda" not in bytes_of(store)


def test_one_id_with_two_contents_keeps_the_first(tmp_path):
    store = new_store(tmp_path)
    path = written(
        tmp_path / "log",
        line(feature="a"), line(feature="b"), line(feature="a"), line(feature="b", x=1), line(event_id="e2"),
    )  # fmt: skip
    tally = feed(store, path).tally
    assert (tally.stored, tally.duplicates, dict(tally.reasons)) == (2, 1, {"id_conflict": 2})
    assert [body.get("feature") for body in stored(store)] == ["a", None]
    assert [(kept.body["line"], kept.body["day"], kept.raw) for kept in refused(store)] == [
        (2, "2026-03-01", line(feature="b")),
        (4, "2026-03-01", line(feature="b", x=1)),
    ]


def test_a_conflict_stays_one_however_it_is_repeated(tmp_path, monkeypatch):
    """What repeats a conflict is a conflict, in one batch and in two."""
    for size in (block.BLOCK, 1):
        monkeypatch.setattr(block, "BLOCK", size)
        store = new_store(tmp_path / str(size))
        feed(store, written(tmp_path / "log", line(feature="a")))
        tally = feed(store, written(tmp_path / "log", line(feature="b"), line(feature="b"), line(feature="a"))).tally
        assert (tally.stored, tally.duplicates, dict(tally.reasons)) == (0, 1, {"id_conflict": 2})


def test_a_conflict_inside_an_envelope_is_kept_by_itself(tmp_path):
    store = new_store(tmp_path)
    envelope = json.dumps({"events": [event(), event(feature="other"), event(event_id="e3")]}).encode()
    tally = feed(store, written(tmp_path / "log", FIRST, envelope, LAST)).tally
    assert (tally.stored, dict(tally.reasons)) == (4, {"id_conflict": 1})
    kept = refused(store)[0]
    assert (kept.body["line"], kept.body["offset"]) == (2, len(FIRST) + 1)
    assert json.loads(kept.raw) == event(feature="other", ts="2026-03-01T10:00:00.000000Z")


def test_good_and_bad_events_of_an_envelope_are_each_on_their_own(tmp_path):
    store = new_store(tmp_path)
    members = [
        event(event_id="a"),
        7,
        event(event_id="b", ts="x"),
        event(event_id="c", consent=False),
        event(event_id="d"),
    ]
    for raw in (json.dumps({"events": members}), json.dumps(members), json.dumps({"sent": 1, "events": members})):
        tally = feed(new_store(tmp_path / str(len(raw))), written(tmp_path / "log", raw.encode())).tally
        assert (tally.read, tally.stored, tally.no_consent) == (5, 2, 1)
        assert dict(tally.reasons) == {"not_object": 1, "bad_time": 1}
    assert feed(store, written(tmp_path / "log", b"[]", b'{"events":[]}')).tally.read == 0


def test_rejects_say_the_day_of_the_event_where_its_time_could_be_read(tmp_path):
    store = new_store(tmp_path)
    raws = [
        line(event_id=""), line(event_id="b", ts="nope"), line(event_id="c", properties="{", ts="2026-02-01T23:30:00-01:00"),
        b"{bad", line(event_id="d", ts="2027-01-01T00:00:00Z"),
    ]  # fmt: skip
    feed(store, written(tmp_path / "log", *raws))
    assert [kept.body["day"] for kept in refused(store)] == ["2026-03-01", None, "2026-02-02", None, "2027-01-01"]


def test_all_that_is_wrong_is_said_and_the_first_in_order_is_the_reason(tmp_path):
    store = new_store(tmp_path)
    feed(store, written(tmp_path / "log", line(event_id="", user_id="null", event_type=None, ts="x", category=[])))
    kept = refused(store)[0]
    assert kept.code == "bad_id"
    assert [problem["code"] for problem in kept.body["problems"]] == [
        "bad_id", "placeholder_user", "missing_field", "bad_property", "bad_time",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "raw",
    [
        line(event_id="x", user_id="zelda_zelda"), line(event_id="x", user_id=None, anonymous_id="zelda_zelda"),
        line(event_id="x", user_id=None, uid="zelda_zelda"), line(event_id="x", user_id="zelda_zelda", ts="nope"),
        line(event_id="x", user_id="zelda_zelda", event_data="{broken"), line(event_id="x", user_id="zelda_zelda")[:-1],
        line(event_id="x", user_id="zelda_zelda")[:-1] + b', "a": 1, "a": 2}', b'{"user_id": "zelda\\u005fzelda", "a": NaN}',
        json.dumps(line(user_id="zelda_zelda").decode()).encode(), b'{"userId":"zelda_zelda","ev', b'{"userId":"zelda_zelda',
        json.dumps({"events": [event(user_id="zelda_zelda")]}).encode(), b'{"a": 1} {"b": "{\\"uid\\": \\"zelda_zelda\\"}"}',
        line(event_id="x", user_id=None, metadata={"anonymousId": "zelda_zelda"}), line(event_id="x", user_id=4711),
        b'{"uid": 4711, "x": NaN}', line(event_id="x", user_id="zelda_zelda", pad="x" * 5000),
    ],
)  # fmt: skip
def test_erased_users_are_counted_and_nowhere_kept_however_bad_the_line(tmp_path, raw):
    from evlog.person import erase

    store = new_store(tmp_path)
    for user in ("zelda_zelda", "4711"):
        erase.erase(store, user)
    tally = feed(store, written(tmp_path / "log", FIRST, raw, LAST), rules=Rules(plan=Plan.open(), max_line=1000)).tally
    assert tally.stored == 2
    assert tally.erased == 1 or dict(tally.reasons) == {"line_too_long": 1}
    assert b"zelda" not in bytes_of(store)


def test_of_a_line_that_is_too_long_nothing_is_kept_once_somebody_was_erased(tmp_path):
    """Whose it is may stand anywhere in it."""
    from evlog.person import erase

    store = new_store(tmp_path)
    erase.erase(store, "zelda_zelda")
    raw = b'{"zeldas_note": "' + b"x" * 5000 + b'", "user_id": "zelda_zelda"}'
    feed(store, written(tmp_path / "log", raw), rules=Rules(plan=Plan.open(), max_line=1000))
    assert [(kept.code, kept.raw, kept.body["length"]) for kept in refused(store)] == [("line_too_long", b"", len(raw))]


def test_purged_days_take_nothing_unless_asked(tmp_path):
    from dataclasses import replace
    from datetime import date

    from evlog import purge

    store = new_store(tmp_path)
    feed(store, written(tmp_path / "log", line(event_id="old", ts="2026-02-01T10:00:00Z"), FIRST))
    purge.apply(store, date(2026, 2, 10))
    late = [
        line(event_id=f"x{n}", ts=ts)
        for n, ts in enumerate(
            ["2026-02-01T10:00:00Z", "2026-02-09T23:59:59.999999Z", "2026-02-10T00:30:00+01:00", 1769900000, "2020-01-01 00:00:00",
             "2026-02-09T23:59:59Z", "2000-01-01T00:00:00Z", "2026-01-31T10:00:00.5Z"]
        )
    ]  # fmt: skip
    path = written(tmp_path / "log", *late, line(event_id="new", ts="2026-02-10T00:00:00Z"))
    tally = feed(store, path).tally
    assert (tally.stored, dict(tally.reasons)) == (1, {"beyond_retention": 8})
    assert feed(store, path, rules=replace(OPEN, backfill=True)).tally.stored == 8


def test_what_is_written_is_for_the_owner_alone(tmp_path):
    store = new_store(tmp_path)
    feed(store, written(tmp_path / "log", FIRST, b"{bad"), now=NOW)
    assert {path.stat().st_mode & 0o777 for path in store.root.rglob("*") if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in store.root.rglob("*") if path.is_dir()} == {0o700}
