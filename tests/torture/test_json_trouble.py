"""JSON as people get it wrong: each trouble as a whole line, inside, as a key, as the value of every field.

What is no JSON, or is read in two ways by two readers, is refused for its reason; what is odd and right is stored as it is.
"""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
import torture
from feed import event, feed, moment, new_store, plain, quick, refused, written
from hypothesis import given, settings
from hypothesis import strategies as st
from jsontexts import TROUBLE, VALID

from evlog.event import decode
from evlog.event.plan import Plan
from evlog.event.privacy import Guard
from evlog.event.reject import Rejected
from evlog.ingest.block import Block
from evlog.ingest.parse import Parser
from evlog.ingest.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Tally

__all__ = ["quick"]
ALLOWING = Rules(plan=Plan.open(), guard=Guard("allow"))
WHEN = "2026-03-01T10:00:00.000000Z"
IDS = ("event_id", "user_id", "anonymous_id", "session_id", "target_id")
TEXTS = ("category", "target_type", "feature", "source")
FIELDS = (*IDS, *TEXTS, "event_type", "ts", "properties", "context")


def _head(number: int, *without: str) -> bytes:
    """The members that an event needs, but for some of them; in front of what makes trouble."""
    told = {"event_id": f"n{number}", "ts": WHEN, "event_type": "view"}
    return json.dumps({key: value for key, value in told.items() if key not in without})[:-1].encode()


def _joined(head: bytes, rest: bytes) -> bytes:
    return head + (b", " if head != b"{" else b"") + rest + b"}"


PLACES: dict[str, Callable[[int, bytes], bytes]] = {
    "the line": lambda number, text: text,
    "beside the fields": lambda number, text: _joined(_head(number), b'"v": ' + text),
    "in properties": lambda number, text: _joined(_head(number), b'"properties": {"v": %b, "w": 1}' % text),
    "in a list": lambda number, text: _joined(_head(number), b'"properties": {"v": [0, %b]}' % text),
    "deep in context": lambda number, text: _joined(_head(number), b'"context": {"v": {"v": [{"v":%b}]}}' % text),
    "as a key": lambda number, text: _joined(_head(number), b'"properties": {%b: 1}' % text),
    "as a key beside the fields": lambda number, text: b"{" + text + b": 1, " + _head(number)[1:] + b"}",
    "in an envelope": lambda number, text: b'{"events": [%b, {"v": %b}]}' % (_head(number) + b"}", text),
    "before an event": lambda number, text: text + b" " + _head(number) + b"}",
    "after an event": lambda number, text: _head(number) + b"} " + text,
    **{
        f"as {field}": lambda number, text, field=field: _joined(_head(number, field), b'"%b": %b' % (field.encode(), text))
        for field in FIELDS
    },
}  # fmt: skip


def _no(name: str) -> None:
    raise ValueError(name)


def _near(text: str) -> float:
    if abs(found := float(text)) == float("inf"):
        raise ValueError(text)
    return found


@pytest.mark.parametrize("place", PLACES)
def test_trouble_is_refused_for_its_reason_wherever_it_stands(tmp_path: Path, place: str, tally: Tally) -> None:
    store = new_store(tmp_path)
    found = []
    for number, (code, text) in enumerate(TROUBLE):
        raw = PLACES[place](number, text)
        meant = code if code == "too_deep" else _verdict(raw)
        assert meant in {code, "bad_json", None}, raw  # text that is fine may still be no key, or follow no other
        found += [(meant, raw)] * (meant is not None)
    assert len(found) > len(TROUBLE) - 5  # a few are made whole by what stands around them: [0, 1]]
    lines = [
        one
        for number, (_, raw) in enumerate(found)
        for one in (raw, json.dumps(event(event_id=f"good{number}")).encode())
    ]
    told = feed(store, written(tmp_path / "log", *lines)).tally
    assert (told.stored, told.rejected) == (len(found), len(found))
    kept = refused(store)
    first = {raw: number for number, (_, raw) in reversed([*enumerate(found)])}
    assert [(one.code, one.raw) for one in kept] == [found[number] for number in sorted(first.values())]
    assert [one.body["line"] for one in kept] == [2 * number + 1 for number in sorted(first.values())]
    tally("JSON trouble", cases=len(found))


def test_lines_in_other_encodings_among_ours_are_refused(tmp_path: Path) -> None:
    bodies = [json.dumps(event(event_id=f"n{n}", note="é"), ensure_ascii=False) for n in range(4)]
    codecs = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-16", "latin-1", "cp1252", "cp500")
    odd = [body.encode(codec).replace(b"\n", b"") for body in bodies[:2] for codec in codecs]
    store = new_store(tmp_path)
    path = written(tmp_path / "log", *(one for raw in odd for one in (bodies[2].encode(), raw, bodies[3].encode())))
    told = feed(store, path).tally
    assert (told.stored, told.rejected) == (2, len(odd))
    assert set(told.reasons) <= {"bad_utf8", "bad_json"}


# -- what is right ------------------------------------------------------------------------------------------------------


def _body(number: int, **more: Any) -> dict[str, Any]:
    told = {"event_id": f"n{number}", "ts": WHEN, "event_type": "view", **more}
    return {key: value for key, value in told.items() if value not in (None, {})}


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _may_be_id(value: Any) -> bool:
    clean = isinstance(value, str) and not any(sign < " " or "\x7f" <= sign <= "\x9f" for sign in value)
    return clean and 0 < len(value.encode()) <= 256


def _as_field(number: int, field: str, value: Any) -> dict[str, Any] | str:
    """What an event with this value there must be stored as, or the reason why it must not; from the documents."""
    if field == "ts":
        return "missing_field" if value is None else "bad_time"
    if field in {"properties", "context"}:
        return _as_object(number, field, value)
    if value is None or (value == "" and field != "event_id"):
        return "missing_field" if field == "event_type" else _body(number, **{field: None})
    told = str(value) if _is_whole(value) and field != "event_type" else value
    if field == "user_id" and told == "null":
        return "placeholder_user"
    fits = isinstance(told, str) if field in TEXTS else _may_be_id(told)
    wrong = "bad_id" if field in IDS else "bad_property"
    return _body(number, **{field: told}) if fits else wrong


def _as_object(number: int, field: str, value: Any) -> dict[str, Any] | str:
    if value in (None, [], {}) or (isinstance(value, str) and value.strip() in {"", "null"}):
        return _body(number)
    return _body(number, **{field: value}) if isinstance(value, dict) else "bad_property"


def _wanted(place: str, number: int, value: Any) -> dict[str, Any] | str | None:
    inside: dict[str, Any] = {
        "beside the fields": {"properties": {"v": value}}, "in properties": {"properties": {"v": value, "w": 1}},
        "in a list": {"properties": {"v": [0, value]}}, "deep in context": {"context": {"v": {"v": [{"v": value}]}}},
    }  # fmt: skip
    if place in inside:
        return _body(number, **inside[place])
    if place.startswith("as a key"):
        return _body(number, properties={value: 1}) if isinstance(value, str) else "bad_json"
    return _as_field(number, place.removeprefix("as "), value)


def _exactly(value: Any) -> str:
    """A text that tells 1 from 1.0 and from true, and -0.0 from 0.0."""
    return json.dumps(value, sort_keys=True)


@pytest.mark.parametrize(
    "place",
    [place for place in PLACES if place.startswith(("as ", "beside", "in ", "deep")) and "envelope" not in place],
)
def test_what_is_odd_and_right_is_stored_as_it_is(tmp_path: Path, place: str, tally: Tally) -> None:
    store = new_store(tmp_path)
    lines = [PLACES[place](number, text) for number, (text, _) in enumerate(VALID)]
    feed(store, written(tmp_path / "log", *lines), rules=ALLOWING)
    held, codes = {one["event_id"]: one for one in plain(store)}, {one.body["line"]: one.code for one in refused(store)}
    derived = iter([one for name, one in held.items() if name.startswith("d")])
    for number, (text, value) in enumerate(VALID):
        wanted = _wanted(place, number, value)
        if isinstance(wanted, str):
            assert codes.pop(number + 1) == wanted, text
            continue
        assert wanted is not None
        named = "event_id" in wanted
        found = held[wanted["event_id"]] if named else next(derived)
        assert _exactly(found if named else found | {"event_id": None}) == _exactly(
            wanted if named else wanted | {"event_id": None}
        ), text
    assert codes == {}
    tally("odd JSON that is right", cases=len(VALID))


@pytest.mark.parametrize(
    "text", [text for text, value in VALID if not isinstance(value, dict | list)][:: torture.much(1, 6)]
)
def test_a_value_that_is_no_object_is_no_event(tmp_path: Path, text: bytes) -> None:
    store = new_store(tmp_path)
    assert dict(feed(store, written(tmp_path / "log", text, b" " + text)).tally.reasons) == {"not_object": 2}
    assert {one.raw for one in refused(store)} == {text, b" " + text}


# -- against another reader ---------------------------------------------------------------------------------------------


def _verdict(line: bytes) -> str | None:
    """The reason why a line is refused, or None: by Python's reader, in the order of the reasons."""
    twice: list[bool] = []
    far: list[bool] = []

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        twice.append(len({name for name, _ in members}) != len(members))
        return dict(members)

    def whole(text: str) -> int:
        far.append(len(text) > 20 or not -(2**63) <= int(text) < 2**64)
        return 0

    try:
        value = json.loads(
            line.decode(), object_pairs_hook=pairs, parse_int=whole, parse_constant=_no, parse_float=_near
        )
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        return "bad_utf8"
    except ValueError:
        return "bad_json"
    return "duplicate_key" if any(twice) else ("number_range" if any(far) else None)


PIECES = st.lists(
    st.sampled_from(
        [b'"', b'"', b'"', b"\\", b'\\"', b"\\\\", b":", b'":', b'\\":', b",", b"{", b"}", b"[", b"]", b" ", b"\t", b"a", b"b", b"\\u0061", b"\\u003a", b"\\ud800", b"\\udc00",
         b"1", b"0", b"-", b".5", b"e9", b"e999", b"18446744073709551616", b"null", b"true", b"\xc3\xa9", b"\xc3", b"\x00", b'{"a":', b'"a":1', b'"a":1,', b'{"a":1}']
    ),
    max_size=14,
).map(b"".join)  # fmt: skip
_KEYS = st.text(st.sampled_from('ab\\":{} é'), max_size=3)
_WELL = st.recursive(
    st.sampled_from([0, 1, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**25, "", '":', "\\", '\\":', " :", "\ud800", "é", 1.5, True, None]),
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(_KEYS, inner), max_size=4).map(dict),
    max_leaves=6,
)  # fmt: skip


@st.composite
def _near_json(draw: st.DrawFn) -> bytes:
    """JSON, or almost: spelt in many ways, with keys that stand twice, and perhaps a piece put in or taken out."""
    members = draw(st.lists(st.tuples(_KEYS, _WELL), max_size=5))
    colon = draw(st.sampled_from([":", ": ", " :", "\t:", " \t : "]))
    ascii_ = draw(st.booleans())
    told = ",".join(json.dumps(key) + colon + json.dumps(value, ensure_ascii=ascii_) for key, value in members)
    raw = f"{{{told}}}".encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 2)) == 0:
        at, gone = draw(st.integers(0, len(raw))), draw(st.integers(0, 3))
        raw = raw[:at] + draw(PIECES) + raw[at + gone :]
    return raw


@settings(max_examples=torture.much(15_000, 150), deadline=None)
@given(raw=PIECES | _near_json())
def test_two_readers_agree_on_what_is_json(raw: bytes) -> None:
    assert _ours(raw) == _verdict(raw)


def _ours(raw: bytes) -> str | None:
    try:
        decode.load(raw)
    except Rejected as refused_for:
        return refused_for.code
    return None


def test_the_other_reader_sees_every_trouble(tally: Tally) -> None:
    """Else its agreement would prove little."""
    seen = {code for code, text in TROUBLE if len(text) < 300 and code != "too_deep" and _verdict(text) == code}
    assert seen == {code for code, _ in TROUBLE} - {"too_deep"}
    tally("two readers of JSON", examples=torture.much(15_000, 150))


# -- the longest lines --------------------------------------------------------------------------------------------------

_MANY = torture.much(60_000, 20_000)
LONG: dict[str, bytes] = {
    "a key twice among many": b'{"properties":{' + b",".join(b'"k%d":1' % n for n in range(_MANY)) + b',"k%d":2}}' % (_MANY - 1),
    "a text without an end": b'"' + b'\\"' * (8 * _MANY) + b"[" * 65,
    "many texts": b'""' * (8 * _MANY) + b"[" * 65,
    "addresses as keys": json.dumps(event(properties={f"a{n}@b.de": 1 for n in range(_MANY // 2)})).encode(),
    "addresses as values": json.dumps(event(properties={f"k{n}": "a@b.de" for n in range(_MANY // 2)})).encode(),
    "half of a refusal, often": b'{"consent"' * (_MANY // 2),
    "fields that win and lose": json.dumps(event(properties={f"k{n}": 1 for n in range(_MANY // 3)}) | {f"k{n}": 2 for n in range(_MANY // 3)}).encode(),
    "a long number": b'{"a":' + b"7" * (16 * _MANY) + b"}",
    "a long fraction": b'{"ts":"1' + b"7" * 9 + b"." + b"7" * (16 * _MANY) + b'"}',
    "backslashes": b'{"data":"{' + b"\\" * (16 * _MANY) + b'"}',
    "blanks": b'{"consent"' + b" " * (16 * _MANY) + b"false}",
}  # fmt: skip


@pytest.fixture
def patience() -> Any:
    """No clock is asserted; but what takes a minute of the processor for one line would take all day for a file."""

    def hangs(*_: object) -> None:
        raise AssertionError("a line is judged for ever")

    before = signal.signal(signal.SIGPROF, hangs)
    signal.setitimer(signal.ITIMER_PROF, 60)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize("mode", ["redact", "reject"])
@pytest.mark.parametrize("name", LONG)
def test_the_longest_lines_are_judged_like_others(patience: None, name: str, mode: Any) -> None:
    raw = LONG[name]
    assert len(raw) <= 1 << 20
    rules = Rules(plan=Plan.open(), guard=Guard(mode))
    parsed = Parser(rules, moment(rules)).parse(Block.of(raw + b"\n"))
    assert parsed.tally.read == 1
    assert len(parsed.rejects) + parsed.tally.no_consent + sum(len(day.origins) for day in parsed.days.values()) == 1


def test_addresses_as_keys_stay_apart_and_grow_no_longer(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    raw = json.dumps(event(properties={f"a{n}@b.de": n for n in range(2000)})).encode()
    assert feed(store, written(tmp_path / "log", raw)).tally.stored == 1
    held = plain(store)[0]["properties"]
    assert sorted(held.values()) == [*range(2000)]
    assert not [key for key in held if "@" in key]
    assert len(json.dumps(held)) < 2 * len(raw)
