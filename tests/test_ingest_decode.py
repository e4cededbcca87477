"""Lines that are JSON, and lines that only look like it, against the standard library's parser."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evlog.event import decode
from evlog.event.reject import Rejected

keys = st.text(st.sampled_from('ab"\\:{}, \t'), max_size=3)
leaves = st.none() | st.booleans() | st.integers(-(2**64), 2**65) | st.text(st.sampled_from('ab"\\:{}[], '), max_size=4)


class Pairs(list[Any]):
    """The members of an object, some of them perhaps twice."""


values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(keys, inner), max_size=3).map(Pairs),
    max_leaves=8,
)
blanks = st.sampled_from(["", "", "", " ", "  ", "\t", "\t ", "\r"])


@st.composite
def written(draw: st.DrawFn) -> str:
    """A value as text, with blanks anywhere and escapes where they need not be."""

    def text(value: str) -> str:
        told = json.dumps(value)
        return told.replace("a", "\\u0061") if draw(st.booleans()) else told

    def one(value: Any) -> str:
        if isinstance(value, Pairs):
            members = (f"{blank()}{text(key)}{blank()}:{blank()}{one(inner)}{blank()}" for key, inner in value)
            return "{" + ",".join(members) + "}"
        if isinstance(value, list):
            return "[" + ",".join(one(inner) for inner in value) + "]"
        return text(value) if isinstance(value, str) else json.dumps(value)

    def blank() -> str:
        return draw(blanks)

    return one(draw(values))


def wanted(line: str) -> str:
    """What the standard library says of it."""
    codes: list[str] = []

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(members)) < len(members):
            codes.append("duplicate_key")
        return dict(members)

    def whole(digits: str) -> int:
        if not -(2**63) <= int(digits) < 2**64:
            codes.append("number_range")
        return int(digits)

    try:
        json.loads(line, object_pairs_hook=pairs, parse_int=whole)
    except ValueError:
        return "bad_json"
    return min(codes, default="fine")


@pytest.mark.long
@settings(max_examples=500, deadline=None)
@given(written())
@example('{"a\\\\" :1,"a\\\\":2}')
@example('{"a\\"":1,"a\\"":2}')
@example('{"a":"\\":","a":1}')
@example('{"a":"\\\\","a":1}')
@example('{"a":"b\\":","b":"c\\":","a":1}')
def test_keys_that_stand_twice_and_numbers_out_of_range_are_found(line):
    try:
        value = decode.load(line.encode())
    except Rejected as refused:
        found = {problem.code for problem in refused.problems}
    else:
        found = {"fine"}
        assert value == json.loads(line)
    assert found <= {"number_range", "duplicate_key", "fine"}
    assert ("fine" in found) == (wanted(line) == "fine")


@settings(max_examples=300, deadline=None)
@given(
    written() | st.text(max_size=20),
    st.integers(0, 30),
    st.sampled_from(["", '"', "}", "\\", ",", "NaN", "\x00", "1e999"]),
)
def test_torn_and_mended_lines_are_json_where_the_standard_library_says_so(line, at, piece):
    torn = line[:at] + piece + line[at:]
    try:
        decode.load(torn.encode("utf-8", "surrogatepass"))
    except Rejected as refused:
        fine = refused.code in {"duplicate_key", "number_range"}
    else:
        fine = True
    strict = all(word not in torn for word in ("NaN", "Infinity", "1e999")) or wanted(torn) == "bad_json"
    if strict and torn.isascii():
        assert fine == (wanted(torn) != "bad_json")


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_any_bytes_are_a_value_or_a_reason(raw):
    try:
        decode.load(raw)
    except Rejected as refused:
        found = refused.code
    else:
        found = "fine"
    assert found in {"fine", "bad_utf8", "bad_json", "number_range", "duplicate_key", "too_deep"}
