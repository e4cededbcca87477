"""The fast lane against the exact judge: same bytes, same rejects, same counts; and every reader reads what was sent."""

import json
from datetime import date
from typing import Any

import orjson
import pytest
from feed import NOBODY, OPEN, event, feed, line, moment, new_store, plain, quick, written
from hypothesis import given, settings
from hypothesis import strategies as st
from torture import much

from evlog.engine import connect
from evlog.event.plan import EventRule, Plan, Property
from evlog.event.privacy import Guard
from evlog.event.times import usual as usual_time
from evlog.ingest import reading
from evlog.ingest import stamps as times_at_once
from evlog.ingest.block import Block
from evlog.ingest.parse import Parser
from evlog.ingest.rules import Rules
from evlog.ingest.stamps import all_usual
from evlog.query import view
from evlog.store.snapshot import snapshot
from evlog.store.tombstones import Tombstones

__all__ = ["quick"]
PLAN = Plan(
    events={
        "view": EventRule(category="reading"),
        "order": EventRule(
            category="shop",
            required=("user_id",),
            properties={
                "amount": Property(type="number", required=True, min=-5, max=10**6),
                "count": Property(type="integer"),
                "kind": Property(type="string", one_of=("a", "b"), max_length=None),
                "note": Property(type="string", max_length=5),
                "paid": Property(type="boolean"),
            },
        ),
        "free": EventRule(additional=True, properties={"n": Property(type="integer")}),
        "match": EventRule(
            properties={"code": Property(type="string", pattern="[a-z]+"), "at": Property(type="instant")}
        ),
    },
)
GONE = Tombstones(bytes(32), frozenset({NOBODY.subject("bob")}), date(2026, 2, 1), ())
WAYS = {
    "open": (OPEN, NOBODY),
    "planned": (Rules(plan=PLAN), NOBODY),
    "with tombstones": (Rules(plan=Plan.open()), GONE),
    "planned, with tombstones": (Rules(plan=PLAN), GONE),
    "rejecting personal data": (Rules(plan=Plan.open(), guard=Guard("reject")), NOBODY),
    "allowing personal data": (Rules(plan=PLAN, guard=Guard("allow")), NOBODY),
    "short lines": (Rules(plan=Plan.open(), max_line=150), NOBODY),
}
PARSERS = {
    way: (Parser(rules, moment(rules, gone)), Parser(rules, moment(rules, gone))) for way, (rules, gone) in WAYS.items()
}
for _, exact in PARSERS.values():
    exact._lane = None


def said(parsed: Any) -> Any:
    """All that a parsed block says, the order of lines within a day apart."""
    days = {}
    for name, day in parsed.days.items():
        lines = bytes(day.lines).splitlines()
        packed = [bytes(day.ids[at : at + 24]) for at in range(0, len(day.ids), 24)]
        days[name] = sorted(zip(lines, packed, day.origins, strict=True))
    return days, parsed.rejects, parsed.tally, parsed.anonymous


def both(data: bytes, way: str) -> Any:
    fast, exact = (parser.parse(Block.of(data)) for parser in PARSERS[way])
    assert said(fast) == said(exact)
    assert fast.tally.read + fast.tally.blank == data.count(b"\n") + (data[-1:] not in {b"", b"\n"}) or b"[" in data
    return exact


texts = st.sampled_from(["a", "b", "ann", "bob", "null", "0", "", " ", "x" * 256, "x" * 257, "a@b.de", "é", "{}", "{ }", ":", "},{", "\\", '"', "\t", "\x7f", "\0", "2026-03-01T10:00:00Z"]) | st.text(max_size=6)  # fmt: skip
numbers = st.sampled_from([0, -0.0, 1, 5.0, 1e22, 1e-7, 0.1, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1]) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)  # fmt: skip
scalars = st.none() | st.booleans() | numbers | texts
values = scalars | st.lists(scalars, max_size=2) | st.dictionaries(texts, scalars, max_size=2)
texts_of_times = (
    st.sampled_from(
        ["2026-03-01T10:00:00Z", "2026-03-01T10:00:00.123Z", "2026-03-01T10:00:00.123456Z", "2026-03-01T10:00:00.12Z",
         "2026-03-01T24:00:00Z", "2026-02-29T10:00:00Z", "2026-02-28T23:59:60Z", "2026-03-01T23:59:60Z", "2026-03-01t10:00:00z",
         "2026-03-01 10:00:00Z", "2026-03-01T10:00:00", "2026-03-01T10:00:00+00:00", "2026-03-10T12:04:00Z",
         "2026-03-10T12:06:00Z", "2026-03-12T12:00:00Z", "2000-01-01T00:00:00Z", "1999-12-31T23:59:59Z", "2026-01-31T23:59:59Z",
         "2026-W01-1T10:00:00Z", "2026-03-01T10:00:00,123Z", "2026-03-01T10:00:00.1234567Z", "2026-03-01T10:0:000Z"]
    )
    | st.datetimes().map(lambda when: when.isoformat() + "Z")
)  # fmt: skip
stamps = texts_of_times | scalars
columns = (
    "event_id",
    "category",
    "user_id",
    "anonymous_id",
    "session_id",
    "target_type",
    "target_id",
    "feature",
    "source",
)
keys = (
    st.sampled_from(["amount", "count", "kind", "note", "paid", "n", "code", "at", "email", "ip", "anonymousId", "x"])
    | texts
)
flat = st.dictionaries(keys, scalars, max_size=4)
optional = dict.fromkeys(columns[1:], texts | scalars) | {
    "properties": flat | st.dictionaries(keys, values, max_size=3) | scalars,
    "context": flat | scalars,
    "seq": st.integers(0, 9),
    "userId": texts,
    "metadata": flat,
    "consent": st.booleans(),
}
nearly = st.fixed_dictionaries(
    {"event_id": st.integers(0, 50).map("e{}".format), "ts": stamps, "event_type": st.sampled_from(["view", "order", "free", "match", "nope", ""])},
    optional=optional,
)  # fmt: skip
usual = st.fixed_dictionaries(
    {"event_id": st.integers(0, 50).map("e{}".format), "ts": st.just("2026-03-01T10:00:00Z"), "event_type": st.sampled_from(["view", "order", "free"])},
    optional={"user_id": st.sampled_from(["ann", "bob"]), "properties": st.fixed_dictionaries({"amount": numbers}, optional={"note": st.text("ab:{}", max_size=5)})},
)  # fmt: skip
loose = st.fixed_dictionaries(
    {"ts": st.just("2026-03-01T10:00:00Z") | stamps, "event_type": st.sampled_from(["view", "order", "free"])},
    optional={
        "event_id": st.integers(0, 50).map("e{}".format) | scalars,
        "user_id": st.sampled_from(["ann", "bob", 0, 7, None, "null"]),
        "anonymousId": st.sampled_from(["bob", "a1", 5, ""]),
        "session_id": scalars,
        "target_id": scalars,
        "category": texts | st.integers(0, 9),
        "properties": flat | flat.map(json.dumps) | st.dictionaries(keys, values, max_size=3) | st.sampled_from(["", "{", " {}", "null", []]),
        "data": flat | flat.map(json.dumps),
        "context": st.dictionaries(st.sampled_from(["os", "ip"]), values, max_size=2) | st.just('{"os":"x"}'),
        "lessonId": scalars,
        "courseId": scalars,
        "amount": values,
        "page": values,
        "events": values,
        "seq": st.integers(0, 9),
        "consent_given": st.booleans(),
    },
)  # fmt: skip


@st.composite
def spelt(draw: st.DrawFn) -> bytes:
    """A line as somebody might spell it: any order of keys, any blanks, escapes or not, a key that stands twice."""
    body = draw(st.one_of(nearly, usual, loose))
    members = draw(st.permutations([*body.items()]))
    if draw(st.integers(0, 9)) == 0:
        members = [*members, draw(st.sampled_from(members))]
    dumps = (
        json.dumps
        if draw(st.booleans())
        else lambda value: orjson.dumps(value, option=orjson.OPT_INDENT_2).decode().replace("\n", " ")
    )
    try:
        told = [(json.dumps(key), dumps(value)) for key, value in members]
    except (TypeError, orjson.JSONEncodeError):
        told = [(json.dumps(key), json.dumps(value)) for key, value in members]
    colon, comma = draw(st.sampled_from([(":", ","), (": ", ", "), (" : ", " ,"), ("\t:", ",")]))
    text = "{" + comma.join(key + colon + value for key, value in told) + "}"
    text = draw(st.sampled_from(["{}", "{}", "{}", "{}", " {}", "{} ", "{}\r", "{},{}"])).replace("{}", text)
    if draw(st.integers(0, 30)) == 0:
        text = text[: draw(st.integers(0, len(text)))]
    return text.encode("utf-8", "surrogatepass").replace(b"\n", b" ")


@pytest.mark.parametrize("way", PARSERS)
@settings(max_examples=120, deadline=None)
@given(lines=st.lists(spelt(), max_size=6), end=st.sampled_from([b"", b"\n"]))
def test_both_lanes_say_the_same(way, lines, end):
    both(b"\n".join(lines) + end, way)


def not_judged(way: str, data: bytes) -> Any:
    """What both lanes say of lines that the judge is not asked about."""
    parser, _ = PARSERS[way]
    parser._slow_lane, slow = lambda *_: pytest.fail("the judge was asked"), parser._slow_lane
    try:
        return both(data, way)
    finally:
        parser._slow_lane = slow


@pytest.mark.parametrize("way", PARSERS)
def test_the_lane_takes_what_is_plain(way):
    """Else the test above would prove nothing."""
    raws = [line(event_id=f"e{n}", event_type="order", category="c", properties={"amount": n}) for n in range(3)]
    assert not_judged(way, b"\n".join(raws) + b"\n").tally.read == 3
    assert not_judged(way, raws[0] + b"\r\n").tally.read == 1


@pytest.mark.parametrize("way", ["open", "planned"])
@pytest.mark.parametrize(
    "ts", ["2026-03-01 10:00", "2026-03-01T10:00:00.25+02:00", 1772359200, 1772359200123, "1772359200"]
)
def test_the_lane_takes_any_time_that_can_be_told(way, ts):
    raws = [line(event_id=f"e{n}", event_type="order", properties={"amount": 1}, ts=ts) for n in range(6)]
    assert not_judged(way, b"\n".join(raws) + b"\n").tally.read == 6


@pytest.mark.parametrize("way", ["open", "planned", "with tombstones"])
def test_the_lane_takes_letters_beyond_ascii_and_escapes(way):
    told = [
        event(event_id=f"e{n}", event_type="order", category="é", properties={"amount": 1, "note": 'ü\n"'})
        for n in range(4)
    ]
    raws = [json.dumps(one, ensure_ascii=n % 2 == 0).encode() for n, one in enumerate(told)]
    assert not_judged(way, b"\n".join(raws) + b"\n").tally.read == 4


LOOSE = [
    {"event_id": None}, {"page": "/x", "took": None, "seen": True}, {"properties": {"amount": 1, "note": None}}, {"event_id": 7, "user_id": 5},
    {"properties": {"amount": 1, "tags": ["a", {"b": [1]}], "geo": {"lat": 1.5, "lon": None}}}, {"properties": '{"amount": 1, "path": "/x"}'},
    {"target_id": None, "lessonId": 5, "courseId": "c"}, {"event_id": None, "event": None, "data": {"amount": 2}, "user_id": None, "userId": "ann"},
    {"anonymousId": "a1", "session_id": "", "context": {"os": {"name of it": "x"}}, "source": 3},
]  # fmt: skip


@pytest.mark.parametrize("way", ["open", "with tombstones", "allowing personal data"])
@pytest.mark.parametrize("odd", LOOSE)
def test_the_lane_takes_events_of_any_usual_shape(way, odd):
    kind = {"event_type": "free"} if "properties" not in odd else {"event_type": "order", "category": "c"}
    if "allowing" in way and odd.get("properties"):
        odd = odd | {"properties": {"amount": 1}}
    raws = [line(**({"event_id": f"e{n}"} | kind | odd)) for n in range(3)]
    assert not_judged(way, b"\n".join(raws) + b"\n").tally.read == 3


def test_equal_events_without_an_id_keep_their_order_whoever_takes_them():
    one = line(event_id=None, properties={"note": "a"})
    other = one.replace(b'"a"', b'"\\u0061"')  # for the judge
    parsed = both(b"\n".join([other, one, other, one, one]) + b"\n", "open")
    assert len({content for _, _, content, _ in parsed.anonymous}) == 1
    assert [origin for *_, origin in parsed.anonymous] == sorted(origin for *_, origin in parsed.anonymous)


@pytest.mark.parametrize("way", ["open", "planned", "with tombstones"])
def test_a_log_without_ids_is_soon_read_as_one_with_ids_is(way, monkeypatch):
    rules, gone = WAYS[way]
    parser = Parser(rules, moment(rules, gone))
    raws = [
        line(event_id=None, event_type="order", properties={"amount": n}, ts=f"2026-03-0{n}T10:00:00Z")
        for n in (1, 1, 2, 1)
    ]
    block = Block.of(b"\n".join([*raws, line(event_id=None, event_type="view", user_id="bob")]) + b"\n")
    plain = Block.of(b"\n".join(raws) + b"\n")
    assert said(parser.parse(block)) == said(PARSERS[way][1].parse(block))
    monkeypatch.setattr(parser._lane._wide, "take", lambda *_: pytest.fail("it was told line by line"))
    assert said(parser.parse(plain)) == said(PARSERS[way][1].parse(plain))


PLAIN = line(event_id="a", category="c")
ODD = [
    b'{"event_type":"\xff"}', b'{"event_type":"view\xff","event_id":"a","ts":"2026-03-01T10:00:00Z"}',
    PLAIN[:-1] + b',"properties":{ }}', PLAIN[:-1] + b',"properties":{\t}}', PLAIN[:-1] + b',"context":{}}',
    PLAIN[:-1] + b',"properties":{"a":{}}}', PLAIN[:-1] + b',"seq":7}', PLAIN[:-1] + b',"seq":7,"seq":8}',
    PLAIN[:-1] + b',"category":"d"}', PLAIN[:-1] + b',"category":null}', b'{"category":null,' + PLAIN[1:],
    PLAIN[:-1] + b',"properties":{"a":1,"a":1}}', PLAIN[:-1] + b',"properties":null}', PLAIN + b"," + PLAIN,
    PLAIN[:-1] + b',"properties":{"x":1e15,"y":1E5,"z":-0,"w":1.0,"v":0.10}}', PLAIN[:-1] + b',"properties":{"a":"{}"}}',
    PLAIN.replace(b"10:00:00Z", b"24:00:00Z"), PLAIN.replace(b"10:00:00Z", b"23:59:60Z"), b"{}", b"[]", b"", b"}", b"{",
    PLAIN.replace(b'"ann"', b'"none"'),
    PLAIN[:-1] + b',"properties":{"note":"a@b.de"}}', PLAIN.replace(b'"ann"', b'"bob"'), PLAIN.replace(b'"a"', b'""'),
    PLAIN[:-1] + b',"properties":{"courseId":"c","anonymousId":"z"}}', PLAIN[:-1] + b',"courseId":"c"}',
    PLAIN[:-1] + b',"properties":{"a":1,"a":"\\u003a"}}', PLAIN[:-1] + b',"properties":{"a":"x\\u0040b.de"}}',
    PLAIN[:-1] + b',"properties":{"a":"\\"x\\/\\u00fc\\n","\xc3\xbc":"\xe2\x82\xac"}}', PLAIN[:-1] + b',"session_id":"\xc3\xbc"}',
    PLAIN[:-1] + b',"session_id":"\\t"}', PLAIN[:-1] + b',"session_id":"\\u00fc"}', PLAIN[:-1] + b',"n\\u0061me":"x"}',
    PLAIN[:-1] + b',"properties":{"n\\u00e4me":"x","na\\u006de":"y"}}', PLAIN[:-1] + b',"properties":{"x":"\xed\xa0\x80"}}',
    PLAIN[:-1] + b',"properties":{"name":"x"}}', PLAIN[:-1] + b',"context":{"ip":"1.2.3.4"}}', b"[" + PLAIN + b"]",
]  # fmt: skip


@pytest.mark.parametrize("way", PARSERS)
def test_odd_lines_among_plain_ones(way):
    for odd in ODD:
        both(odd, way)
        both(odd + b"\n", way)
        both(b"\n".join([PLAIN, odd, PLAIN]) + b"\n", way)
    both(b"\n".join(ODD), way)


@pytest.mark.parametrize("way", PARSERS)
def test_lines_that_only_together_look_right(way):
    """Two torn lines that make one event when joined, and two events on one line: the count of events is right."""
    torn = PLAIN[: PLAIN.index(b'"ann"')] + b'"}', b'{"' + PLAIN[PLAIN.index(b', "category"') :]
    for glued in (PLAIN + b"," + PLAIN, PLAIN + b" ,  " + PLAIN):
        parsed = both(b"\n".join([glued, *torn]) + b"\n", way)
        assert parsed.tally.rejected == 3
    inner = PLAIN[:-1] + b',"properties":{"a":1}', b'{"b":2}}'
    assert both(b"\n".join([PLAIN + b"," + PLAIN, *inner]) + b"\n", way).tally.rejected == 3


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
labels = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10)
ALLOWING = Rules(plan=Plan.open(), guard=Guard("allow"))


def same(left: Any, right: Any) -> bool:
    """Equal as JSON values: 1 is not 1.0, and true is not 1."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def read_back(store: Any) -> list[dict[str, Any]]:
    """The events as DuckDB reads them."""
    seen = snapshot(store)
    relation, params = view.relation(seen.hot, seen.cold)
    with connect() as engine:
        found = engine.table(f"SELECT * FROM ({relation}) ORDER BY seq", params)
    rows = [dict(zip(found.names, row, strict=True)) for row in found.rows]
    for row in rows:
        for name in ("properties", "context"):
            row[name] = json.loads(row[name]) if row[name] is not None else None
    return rows


def held_against(sent: list[dict[str, Any]], store: Any) -> None:
    """What was sent, against three readers."""
    lines = plain(store)
    raw = [orjson.loads(one) for path in store.root.glob("events/*/*.ndjson") for one in path.read_bytes().splitlines()]
    assert same(sorted(({k: v for k, v in one.items() if k != "seq"} for one in raw), key=str), sorted(lines, key=str))
    rows = read_back(store)
    assert len(lines) == len(rows) == len(sent)
    for body, row, wanted in zip(lines, rows, sent, strict=True):
        for name in ("properties", "context"):
            assert same(body.get(name), wanted.get(name) or None), name
            assert same(row[name], wanted.get(name) or None), name
        for name in ("event_id", "event_type", "category", "feature", "source", "target_type"):
            assert body.get(name) == row[name] == wanted.get(name), name
        assert row["ts"].isoformat(timespec="microseconds") + "Z" == body["ts"]


bodies = st.fixed_dictionaries(
    {"properties": st.dictionaries(labels, json_values, max_size=4)},
    optional={"context": st.dictionaries(labels, json_values, max_size=2), "category": labels, "feature": labels, "source": labels, "target_type": labels},
)  # fmt: skip


@settings(max_examples=much(75, 8), deadline=None)
@given(sent=st.lists(bodies, min_size=1, max_size=30))
def test_every_reader_reads_what_was_sent(tmp_path_factory, sent):
    where = tmp_path_factory.mktemp("sent")
    store = new_store(where)
    told = [event(event_id=f"e{n}", **body) for n, body in enumerate(sent)]
    path = written(where / "log", *(json.dumps(one, ensure_ascii=n % 2 == 0).encode() for n, one in enumerate(told)))
    assert feed(store, path, rules=ALLOWING).tally.stored == len(sent)
    held_against(told, store)


def test_values_at_the_edges_are_read_by_everybody(tmp_path):
    store = new_store(tmp_path)
    edges = [
        2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 0, -0.0, 5e-324, 1.7976931348623157e308, 0.1, 1e15, 1e16, 1e22, 100.0,
        "\0", "a\0b", "\x01\x1f\x7f\x80", "\u2028\u2029", "\ufeff", "😀", "\\u0000", '"', "\\", "/", "\ud7ff\ue000\uffff", "a" * 100_000,
        [], {}, [[]], [{}], {"": {"": ""}}, {"\0": 1}, {"a.b": {"c": None}}, True, False, None, "null", "true", "1", "NaN",
        json.loads("[" * 60 + "]" * 60),
    ]  # fmt: skip
    sent = [event(event_id=f"e{n}", properties={"v": edge}) for n, edge in enumerate(edges)]
    sent += [
        event(event_id=f"f{n}", feature=edge, source=edge) for n, edge in enumerate(edges) if isinstance(edge, str)
    ]
    assert feed(store, written(tmp_path / "log", *(json.dumps(one).encode() for one in sent))).tally.stored == len(sent)
    held_against(sent, store)


worn = st.fixed_dictionaries(
    {"event_id": st.integers(0, 50).map("e{}".format), "ts": st.sampled_from(["2026-03-01T10:00:00Z", "2026-03-02T10:00:00.123Z", "2026-03-01T10:00:00.123456Z"]) | st.sampled_from(["2026-03-01 10:00", "2026-03-02T10:00:00+02:00", 1772359200, 1772359200123.5, "2026-03-01T10:00:00.1234567Z", True]), "event_type": st.sampled_from(["view", "free", "order"])},
    optional={
        "user_id": st.sampled_from(["ann", "bob", "null", "undefined"]),
        "category": st.just("c"),
        "session_id": st.sampled_from(["s", "ä", "s\t", "\x80", "\\", "é" * 200]),
        "target_type": st.sampled_from(["page", "ä", "\n", "\0", "a:b"]),
        "context": st.dictionaries(st.sampled_from(["os", "app", "ip", "a b", "name", "zz", "\\", 'a"', "\t", "ö"]), scalars, max_size=3),
        "properties": st.dictionaries(st.sampled_from(["amount", "n", "k", "email", "é"]), st.integers(0, 9), max_size=3),
    },
)  # fmt: skip


@pytest.mark.parametrize("way", ["open", "planned", "with tombstones", "allowing personal data"])
@settings(max_examples=much(150, 20), deadline=None)
@given(
    chunks=st.lists(st.lists(worn, min_size=1, max_size=4), min_size=2, max_size=8), most=st.sampled_from([0, 2, 48])
)
def test_what_a_log_said_before_changes_nothing(way, chunks, most):
    """Keys that were seen become a type of their own; chunks that have others, or too many, are read as they were."""
    rules, gone = WAYS[way]
    parsers = [Parser(rules, moment(rules, gone)) for _ in range(2)]
    parsers[1]._lane = None
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reading, "_MOST_KEYS", most)
        patched.setattr(times_at_once, "_FEW", most)
        for chunk in chunks:
            data = b"".join(json.dumps(one, ensure_ascii=n % 2 == 0).encode() + b"\n" for n, one in enumerate(chunk))
            learned, exact = (parser.parse(Block.of(data)) for parser in parsers)
            assert said(learned) == said(exact)


@settings(max_examples=much(500, 20), deadline=None)
@given(came=st.lists(texts_of_times | texts, min_size=1, max_size=5), times=st.integers(1, 3))
def test_many_times_are_read_as_each(came, times):
    found = all_usual(came * times)
    each = [usual_time(text) for text in came * times]
    assert found is None or (found.texts, found.days) == (each, {text[:10] for text in each})
    if None not in each:
        assert found is not None


named = st.fixed_dictionaries(
    {"id": st.integers(0, 50).map("e{}".format), "timestamp": st.sampled_from(["2026-03-01T10:00:00Z", "2026-03-02T10:00:00.123Z", 1772359200]), "event": st.sampled_from(["view", "free", "order", "user_consent_update"])},
    optional={
        "userId": st.sampled_from(["ann", "bob", "null", 7, "", None]),
        "category": st.just("c"),
        "ts": st.just("2026-03-01T10:00:00Z"),
        "seq": st.integers(0, 9),
        "session": st.just("s"),
        "clientInfo": st.dictionaries(st.sampled_from(["os", "ip", "anonymousId"]), scalars, max_size=2),
        "data": st.dictionaries(st.sampled_from(["amount", "n", "anonymousId", "email"]), st.integers(0, 9), max_size=3) | st.just(5),
        "page": st.just("/"),
        "lessonId": st.just("l"),
    },
)  # fmt: skip


@pytest.mark.parametrize("way", ["open", "planned", "with tombstones", "allowing personal data"])
@settings(max_examples=much(150, 20), deadline=None)
@given(chunks=st.lists(st.lists(named | worn, min_size=1, max_size=4), min_size=2, max_size=8))
def test_other_names_of_fields_are_read_as_the_judge_reads_them(way, chunks):
    rules, gone = WAYS[way]
    parsers = [Parser(rules, moment(rules, gone)) for _ in range(2)]
    parsers[1]._lane = None
    for chunk in chunks:
        data = b"".join(json.dumps(one).encode() + b"\n" for one in chunk)
        learned, exact = (parser.parse(Block.of(data)) for parser in parsers)
        assert said(learned) == said(exact)


NAMED = {"userId": "ann", "event": "order", "timestamp": "2026-03-01T10:00:00.5Z", "id": "e", "data": {"amount": 5}, "client_info": {"os": "x"}}  # fmt: skip


@pytest.mark.parametrize("way", ["open", "planned", "with tombstones"])
def test_names_that_were_seen_once_are_known(way):
    rules, gone = WAYS[way]
    parser, exact = (Parser(rules, moment(rules, gone)) for _ in range(2))
    exact._lane = None
    told = [{**NAMED, "timestamp": "2026-03-01T10:00:00.500Z", "id": f"e{n}"} for n in range(5)]
    first, rest = told[:1], [{**one, "session": "s"} if n % 2 else one for n, one in enumerate(told[1:])]
    for chunk in (first, [told[0], {**told[1], "session": "s"}]):
        parser.parse(Block.of(b"".join(json.dumps(one).encode() + b"\n" for one in chunk)))
    parser._slow_lane = lambda *_: pytest.fail("the judge was asked")
    block = Block.of(b"".join(json.dumps(one).encode() + b"\n" for one in rest))
    assert said(parser.parse(block)) == said(exact.parse(block))
