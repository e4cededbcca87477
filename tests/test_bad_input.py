"""Bad input, row by row: each case between two good lines, which it must not touch (invariant 14)."""

import json
from datetime import timedelta
from typing import Any

import pytest
from feed import OPEN, event, feed, ids, line, new_store, plain, quick, refused, stored, written

from evlog.event.plan import EventRule, Plan, Property
from evlog.event.privacy import Guard
from evlog.event.reject import CODES
from evlog.ingest.rules import Rules

__all__ = ["quick"]
FIRST, LAST = line(event_id="first"), line(event_id="last", user_id="bob")
PLAN = Plan(
    events={
        "view": EventRule(),
        "order": EventRule(
            required=("session_id",),
            properties={
                "amount": Property(type="number", required=True, min=0),
                "count": Property(type="integer", max=10),
                "kind": Property(type="string", one_of=("a", "b")),
                "paid": Property(type="boolean"),
            },
        ),
    }
)
PLANNED, REQUIRED = Rules(plan=PLAN), Rules(plan=Plan(events={}, id="required", consent="required"))
OLD = Rules(plan=Plan.open(), max_age=timedelta(days=30))
STRICT = Rules(plan=Plan.open(), guard=Guard("reject"))


def with_member(text: str) -> bytes:
    """A good line with one more member, as text."""
    return line(event_id="bad")[:-1] + b", " + text.encode("utf-8", "surrogatepass") + b"}"


def order(**fields: Any) -> bytes:
    return line(event_id="bad", event_type="order", session_id="s", properties=fields)


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


BAD: dict[str, tuple[Rules, list[bytes]]] = {
    "bad_utf8": (
        OPEN,
        [
            b'{"event_type":"\xff"}', b'{"a":"\xc3"}', b"\xff\xff\xff", b'{"a":"\xed\xa0\x80"}', b'{"a":"\xc0\xaf"}',
            b'{"a":"\xf5\x80\x80\x80"}', with_member(r'"x": "\ud800"'), with_member(r'"x": "a\udc00b"'),
            with_member(r'"x": "\ud800\ud800"'), with_member(r'"\ud83d": 1'), with_member(r'"x": ["\uDBFF"]'),
            with_member(r'"event_data": "{\"a\": \"\\ud800\"}"'), line(event_id="bad")[:-1] + b', "x": "\xe9t\xe9"}',
        ],
    ),
    "bad_json": (
        OPEN,
        [
            b"{bad", b"{", b"}", b'{"a":1,}', b"{'a':1}", b'{"a":1}{"b":2}', b'{"a":1} {"b":2}', b"null null", b"[1,]",
            with_member('"x": NaN'), with_member('"x": Infinity'), with_member('"x": -Infinity'),
            with_member('"x": 1e400'), with_member('"x": -1e400'), with_member('"x": 01'), with_member('"x": +1'),
            with_member('"x": .5'), with_member('"x": 0x10'), with_member('"x": True'), with_member('"x": "a\tb"'),
            with_member(r'"x": "\x41"'), b"\xef\xbb\xbf" + line(event_id="bad"), b"hello", b"event_id,ts", b"// note",
            line(event_id="bad") + b",", line(event_id="bad") + line(event_id="bad2"), b'{"a":1}\x00', b"\x00",
        ],
    ),
    "not_object": (OPEN, [b"null", b"true", b"5", b'"text"', b"1.5", b'""', b"[null]", b"[[1]]", b'{"events":[7]}']),
    "too_deep": (
        OPEN,
        [
            nested(65).encode(), nested(5000).encode(), b"[" * 100_000, b'{"a":' * 65 + b"1" + b"}" * 65,
            with_member(f'"x": {nested(64)}'), with_member('"x": ' + '{"a":' * 64 + "1" + "}" * 64),
            with_member(f'"properties": {{"x": {nested(63)}}}'), with_member('"x": [' + "[" * 70),
            with_member('"event_data": ' + json.dumps('{"a":' + nested(64) + "}")),
            with_member('"metadata": ' + json.dumps('{"a":' * 65 + "1" + "}" * 65)),
        ],
    ),
    "duplicate_key": (
        OPEN,
        [
            b'{"a":1,"a":2}', b'{"a":1,"a":1}', b'{"a" :1,"a":2}', b'{"a":1,"a"\t:2}', b'{"a"  :1,"a":2}',
            b'{"a"\t :1, "b":{} , "a" \t: 2}', rb'{"a":1,"\u0061":2}', with_member('"ts": "2026-03-01T10:00:00Z"'),
            with_member('"user_id": "other"'), with_member('"x": {"k": 1, "k": 2}'), with_member('"x": [{"k": 1, "k": 2}]'),
            b'{"events":[{"type":"a","type":"b"}]}', b'[{"type":"a"},{"x":{"":1,"":2}}]', with_member('"seq": 1, "seq": 1'),
            with_member(r'"event_data": "{\"a\": 1, \"a\": 2}"'), with_member('"properties": {"a": 1, "a": 1}'),
        ],
    ),
    "number_range": (
        OPEN,
        [
            with_member(f'"x": {number}')
            for number in (2**64, 2**64 + 1, -(2**63) - 1, -(2**64), 10**20, 10**30, 10**400, "9" * 5000)
        ]
        + [
            with_member(f'"properties": {{"a": [{2**64}]}}'), with_member(r'"event_data": "{\"a\": 18446744073709551616}"'),
            b'{"events":[{"type":"x","n":18446744073709551616}]}',
        ],
    ),
    "bad_id": (
        OPEN,
        [
            line(event_id=""), line(event_id=True), line(event_id=1.5), line(event_id=[]), line(event_id={"a": 1}),
            line(event_id="x" * 257), line(event_id="é" * 129), line(event_id="a\nb"), line(event_id="a\x00"),
            line(event_id="bad", user_id=False), line(event_id="bad", user_id=7.0), line(event_id="bad", user_id=["ann"]),
            line(event_id="bad", user_id="u" * 300), line(event_id="bad", user_id="a\x7fb"),
            line(event_id="bad", user_id="a\x85b"), line(event_id="bad", anonymous_id={"$oid": "1"}),
            line(event_id="bad", session_id=True), line(event_id="bad", target_id="\t"), line(event_id="bad", id="x", user_id="\x1b[2J"),
        ],
    ),
    "placeholder_user": (
        OPEN,
        [
            line(event_id="bad", user_id=user)
            for user in (
                "null", "none", "undefined", "anonymous", "NULL", "None", "Undefined", "ANONYMOUS",
                "00000000-0000-0000-0000-000000000000",
            )
        ]
        + [line(event_id="bad", user_id=None, userId="null"), line(event_id="bad", user_id=None, uid="none", x=[1])],
    ),
    "missing_field": (
        OPEN,
        [
            b"{}", b'{"x":1}', line(event_id="bad", event_type=None), line(event_id="bad", event_type=""), b'{"events":[{}]}',
            line(event_id="bad", ts=None), line(event_id="bad", ts=None, event_type=None), b"[{}]", b'{"event_type":"a"}',
            line(event_id="bad", event_type=None, type=None), line(event_id="bad", event_type=None, type=""), b'{"events":5}',
        ],
    ),
    "missing_field of the plan": (
        PLANNED,
        [
            line(event_id="bad", event_type="order", properties={"amount": 1}),
            line(event_id="bad", event_type="order", session_id="", properties={"amount": 1}),
            line(event_id="bad", event_type="order", session_id=None, properties={"amount": "x"}),
            line(event_id="bad", event_type=None), line(event_id="bad", ts=None), b"{}",
            line(event_id="bad", event_type="order", sessionId="", properties={"amount": 1}),
            json.dumps({"events": [event(event_id="bad", event_type="order", properties={"amount": 1})]}).encode(),
            order(), order(amount=None), order(amount=None, count="many"),
        ],
    ),
    "missing_field where ids are required": (
        REQUIRED,
        [
            json.dumps({"ts": "2026-03-01T10:00:00Z", "type": "a", "consent": True, "n": n, "id": None}).encode()
            for n in range(8)
        ],
    ),
    "unknown_type": (
        PLANNED,
        [
            line(event_id="bad", event_type=name)
            for name in ("View", "views", "vieww", "ordr", "null", "v" * 200, "view ", "ordér", "__proto__")
        ],
    ),
    "bad_property": (
        PLANNED,
        [
            order(amount="1"), order(amount=True), order(amount=-1), order(amount=1, count=11),
            order(amount=1, count=1.0), order(amount=1, count="1"), order(amount=1, kind="c"), order(amount=1, kind=1),
            order(amount=1, paid="true"), order(amount=1, other=1), order(amount=[1]), order(amount={"a": 1}),
            line(event_id="bad", event_type="order", session_id="s", event_data="{"),
            line(event_id="bad", event_type="order", session_id="s", properties=[1]),
        ],
    ),
    "bad_property without a plan": (
        OPEN,
        [
            line(event_id="bad", event_type=5), line(event_id="bad", event_type=True), line(event_id="bad", event_type=["a"]),
            line(event_id="bad", event_type="x" * 300), line(event_id="bad", event_type="a\nb"),
            line(event_id="bad", properties="{"), line(event_id="bad", properties=5), line(event_id="bad", context=[1]),
            line(event_id="bad", event_data="x"), line(event_id="bad", category={"a": 1}), line(event_id="bad", feature=1.5),
            line(event_id="bad", source=True), line(event_id="bad", target_type=[]),
        ],
    ),
    "bad_time": (
        OPEN,
        [
            line(event_id="bad", ts=ts)
            for ts in (
                "", "nope", "2026-03-01", "2026-03-01T24:00:00Z", "2026-02-29T10:00:00Z", "2026-03-01T10:00:60Z",
                "1999-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "9999-99-99T00:00:00Z", "2026-03-01T10:00:00+99:00", 0, 5,
                -1, 1.5, True, [], {"$date": 1}, "٢٠٢٦-03-01T10:00:00Z", 4102444800, "2026-03-01T10:00:00.Z",
                "2000-01-01T00:00:00+01:00",
            )
        ],
    ),
    "future": (
        OPEN,
        [
            line(event_id="bad", ts=ts)
            for ts in (
                "2026-03-11T12:00:00.000001Z", "2026-03-11T12:00:01Z", "2026-03-12T00:00:00Z", "2099-01-01T00:00:00Z",
                "9999-12-31T23:59:59Z", "2026-03-11T14:00:01+02:00", 1773400000, 1773400000000, "1773400000000000000",
                "2026-03-12",
            )[:9]
        ],
    ),
    "too_old": (
        OLD,
        [
            line(event_id="bad", ts=ts)
            for ts in (
                "2026-02-08T11:59:59.999999Z", "2026-02-08T11:59:59Z", "2026-01-01T00:00:00Z", "2000-01-01T00:00:00Z",
                1767600000, 1767600000.5, "1767600000000", "2025-12-31 23:59:59", "2026-02-08T12:59:59+01:00",
            )
        ],
    ),
    "pii": (
        STRICT,
        [
            line(event_id="bad", properties=properties)
            for properties in (
                {"email": "a@example.com"}, {"contact_email": "x"}, {"phone": "+491701234567"}, {"ip": "192.0.2.7"},
                {"password": "secret"}, {"note": "mail me at a@example.com"}, {"deep": {"firstName": "Ann"}},
                {"list": [{"api_key": "k"}]}, {"accessToken": "t"}, {"name": "Ann"},
            )
        ],
    ),
}  # fmt: skip
CASES = [(name, rules, raw) for name, (rules, raws) in BAD.items() for raw in raws]


def shortened(value: object) -> str | None:
    return repr(value[:40]) if isinstance(value, bytes) else (value if isinstance(value, str) else None)


def test_every_reason_that_a_line_alone_can_have_has_eight_cases():
    assert all(len(raws) >= 8 for _, raws in BAD.values())
    elsewhere = {"line_too_long", "truncated", "beyond_retention", "id_conflict"}
    assert {name.partition(" ")[0] for name in BAD} | elsewhere == set(CODES)


@pytest.mark.parametrize(("name", "rules", "raw"), CASES, ids=shortened)
def test_a_bad_line_is_refused_with_its_reason_and_its_neighbours_are_not(tmp_path, name, rules, raw):
    store = new_store(tmp_path)
    good = [json.dumps(json.loads(each) | {"consent": True}).encode() for each in (FIRST, LAST)]
    path = written(tmp_path / "log.ndjson", good[0], raw, good[1])
    tally = feed(store, path, rules=rules).tally
    code = name.partition(" ")[0]
    assert (tally.read - tally.stored, dict(tally.reasons)) == (tally.rejected, {code: tally.rejected})
    assert {"first", "last"} <= set(ids(store))
    assert tally.rejected == (1 if not raw.startswith(b"[{") else tally.rejected) >= 1
    kept = refused(store)[0]
    assert (kept.code, kept.body["source"], kept.body["line"], kept.body["offset"]) == (
        code,
        str(path),
        2,
        len(good[0]) + 1,
    )
    assert kept.body["expected"]
    if kept.whole and not raw.lstrip().startswith((b"[", b'{"events"')):
        assert kept.raw == raw


@pytest.mark.parametrize("name", BAD)
def test_bad_lines_read_again_add_nothing(tmp_path, name):
    store = new_store(tmp_path)
    rules, raws = BAD[name]
    path = written(tmp_path / "log", *raws)
    first = feed(store, path, rules=rules).tally
    held = [kept.body for kept in refused(store)]
    again = feed(store, path, rules=rules).tally
    assert (again.stored, again.rejected, again.reasons) == (0, first.rejected, first.reasons)
    assert [kept.body for kept in refused(store)] == held
    assert len({body["id"] for body in held}) == len(held) <= first.rejected


TORN = [
    '{"event_type":"caf\u00e9'.encode()[:-1], '{"a":"\U0001f389'.encode()[:-1], '{"a":"\U0001f389'.encode()[:-3], b'{"a":123456789012345678901234', b'{"a":1e5, "b', rb'{"a":"\ud83d', b'{"a":tr',
]  # fmt: skip


@pytest.mark.parametrize("torn", TORN)
def test_a_last_line_may_break_off_inside_a_character_or_a_number(tmp_path, torn):
    store = new_store(tmp_path)
    feed(store, written(tmp_path / "log", FIRST, torn, end=b""))
    assert [(kept.code, kept.raw) for kept in refused(store)] == [("truncated", torn)]


@pytest.mark.parametrize("raw", [b'{"a":"\xff"}', b'{"a":"\xc3\x28"}', rb'{"a":"\ud800"}'])
def test_a_last_line_that_is_whole_and_no_utf8_is_told_as_such(tmp_path, raw):
    store = new_store(tmp_path)
    feed(store, written(tmp_path / "log", FIRST, raw, end=b""))
    assert [kept.code for kept in refused(store)] == ["bad_utf8"]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b'{"a":123456789012345678901234, x}', "bad_json"), (b'{"a":' + b"9" * 5000 + b',"b":NaN}', "bad_json"),
        (b'{"a":1,"a":18446744073709551616}', "duplicate_key"), (b'{"b":' + b"9" * 50 + b',"a":1,"a":2}', "duplicate_key"),
        (rb'{"a":1,"a":"\ud800"}', "bad_utf8"), (b'{"a":18446744073709551616,"b":"\xff"}', "bad_utf8"),
    ],
)  # fmt: skip
def test_of_two_reasons_the_first_of_the_list_is_told(tmp_path, raw, code):
    store = new_store(tmp_path)
    assert dict(feed(store, written(tmp_path / "log", FIRST, raw, LAST)).tally.reasons) == {code: 1}


GOOD = [
    ("2^53+1 survives", with_member('"x": 9007199254740993'), {"x": 2**53 + 1}),
    ("2^63-1", with_member('"x": 9223372036854775807'), {"x": 2**63 - 1}),
    ("2^63", with_member('"x": 9223372036854775808'), {"x": 2**63}),
    ("2^64-1", with_member('"x": 18446744073709551615'), {"x": 2**64 - 1}),
    ("-2^63", with_member('"x": -9223372036854775808'), {"x": -(2**63)}),
    ("in properties", with_member('"properties": {"x": 18446744073709551615}'), {"x": 2**64 - 1}),
    ("1e308", with_member('"x": 1e308'), {"x": 1e308}),
    ("1e-400", with_member('"x": 1e-400'), {"x": 0.0}),
    ("64 levels", with_member(f'"x": {nested(63)}'), {"x": json.loads(nested(63))}),
    ("brackets in text", with_member('"x": "' + "[{" * 100 + '"'), {"x": "[{" * 100}),
    ("a pair of surrogates", with_member(r'"x": "\ud83d\ude00"'), {"x": "😀"}),
    ("NUL in a property", with_member(r'"x": "a\u0000b"'), {"x": "a\0b"}),
    ("colons in text", with_member(r'"x": "\": \":"'), {"x": '": ":'}),
    ("the same key in two objects", with_member('"x": {"k": 1}, "y": {"k": 1}'), {"x": {"k": 1}, "y": {"k": 1}}),
    ("spaces everywhere", with_member('"x" : [ 1 , 2 ] '), {"x": [1, 2]}),
    ("an empty key", with_member('"": 1'), {"": 1}),
    ("JSON in text", with_member(r'"event_data": "{\"a\": 9007199254740993}"'), {"a": 2**53 + 1}),
    ("U+2028 and friends", with_member('"x": "\u2028\u0085\ufeff"'), {"x": "\u2028\u0085\ufeff"}),
]


@pytest.mark.parametrize(("name", "raw", "properties"), GOOD, ids=[name for name, *_ in GOOD])
def test_what_is_unusual_and_fine(tmp_path, name, raw, properties):
    store = new_store(tmp_path)
    assert feed(store, written(tmp_path / "log", FIRST, raw, LAST)).tally.stored == 3
    assert plain(store)[1] == event(event_id="bad", ts="2026-03-01T10:00:00.000000Z") | {"properties": properties}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"user_id": 0}, {"user_id": "0"}), ({"user_id": "0"}, {"user_id": "0"}), ({"user_id": -5}, {"user_id": "-5"}),
        ({"user_id": ""}, {}), ({"user_id": None}, {}), ({"user_id": "nobody"}, {"user_id": "nobody"}),
        ({"user_id": "u" * 256}, {"user_id": "u" * 256}), ({"user_id": "é" * 128}, {"user_id": "é" * 128}),
        ({"user_id": "a b/../c"}, {"user_id": "a b/../c"}), ({"user_id": 2**64 - 1}, {"user_id": str(2**64 - 1)}),
        ({"event_id": 7, "user_id": None}, {"event_id": "7"}), ({"event_id": 0, "user_id": None}, {"event_id": "0"}),
        ({"user_id": None, "session_id": "", "target_id": 0}, {"target_id": "0"}),
        ({"user_id": "", "category": "", "feature": 7}, {"feature": "7"}),
    ],
)  # fmt: skip
def test_ids_are_text_and_empty_ones_are_absent(tmp_path, fields, told):
    store = new_store(tmp_path)
    feed(store, written(tmp_path / "log", line(**fields)))
    bare = {"event_id": "e1", "ts": "2026-03-01T10:00:00.000000Z", "event_type": "view"}
    assert plain(store) == [bare | told]


def test_placeholders_become_null_where_the_plan_says_so(tmp_path):
    store = new_store(tmp_path)
    rules = Rules(plan=Plan(placeholder_users="null"))
    feed(store, written(tmp_path / "log", line(user_id="null"), line(event_id="e2", user_id="Anonymous")), rules=rules)
    assert [body.get("user_id", "nobody") for body in stored(store)] == ["nobody", "nobody"]


@pytest.mark.parametrize(
    ("ts", "counts"),
    [
        ("2026-03-01T10:00:00Z", {}), ("2026-03-01T10:00:00", {"assumed_tz": 1}), ("2026-03-01 10:00:00", {"assumed_tz": 1}),
        (1772359200, {"epoch": 1}), (1772359200000, {"epoch": 1}), (1772359200000000, {"epoch": 1}),
        (1772359200000000000, {"epoch": 1}), ("1772359200", {"epoch": 1}), (1772359200.0, {"epoch": 1}),
        (1772359200000000001, {"epoch": 1, "cut": 1}), ("2026-03-01T10:00:00.0000001Z", {"cut": 1}),
    ],
)  # fmt: skip
def test_odd_times_are_accepted_and_counted(tmp_path, ts, counts):
    store = new_store(tmp_path)
    tally = feed(store, written(tmp_path / "log", line(ts=ts))).tally
    assert {name: getattr(tally, name) for name in ("assumed_tz", "epoch", "cut") if getattr(tally, name)} == counts
    assert stored(store)[0]["ts"] == "2026-03-01T10:00:00.000000Z"
    assert stored(store)[0].get("context") == ({"ts_original": str(ts)} if counts.get("cut") else None)


@pytest.mark.parametrize(
    ("ts", "skewed"),
    [
        ("2026-03-10T12:00:00Z", 0), ("2026-03-10T12:05:00Z", 0), ("2026-03-10T12:05:00.000001Z", 1),
        ("2026-03-10T12:06:00Z", 1), ("2026-03-11T00:00:00Z", 1), ("2026-03-11T12:00:00Z", 1),
        ("2026-03-11T13:59:00+02:00", 1), (1773230399, 1),
    ],
)  # fmt: skip
def test_times_up_to_a_day_ahead_are_stored_and_counted_from_five_minutes_on(tmp_path, ts, skewed):
    tally = feed(new_store(tmp_path), written(tmp_path / "log", line(ts=ts))).tally
    assert (tally.stored, tally.skewed) == (1, skewed)
