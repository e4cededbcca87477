"""What counts as a mention of an id, and what is left when it is taken out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evlog.person.mention import ERASED, Mention

SPOKEN: list[tuple[str, Any, Any]] = [
    ("alice_smith", "alice_smith", ERASED),
    ("alice_smith", "by alice_smith2, xalice_smith", f"by {ERASED}2, x{ERASED}"),
    ("alice_smith", {"alice_smith": 1, "a": ["alice_smith"]}, {ERASED: 1, "a": [ERASED]}),
    ("bob", "bob", ERASED),
    ("bob", "ask bob.", f"ask {ERASED}."),
    ("42", "42", ERASED),
    ("1234567890", 1234567890, ERASED),
    ("1234567890", {"ref": 91234567890}, {"ref": ERASED}),
    ('a"b', json.dumps({"u": 'a"b'}), json.dumps({"u": ERASED})),
    ("42", json.dumps({"u": ["42", 42]}), '{"u":["[erased]",42]}'),
    ("é" * 5, json.dumps({"u": "é" * 5}), '{"u":"[erased]"}'),
    ("alice_smith", json.dumps(json.dumps({"alice_smith": 1})), '"{\\"[erased]\\": 1}"'),
    ("alice_smith", {"[erased]": 1, "alice_smith": 2}, {"[erased]": 1, "[erased]+": 2}),
    (" ", {" ": ["\u00a0", " "]}, {ERASED: ["\u00a0", ERASED]}),
]
SILENT: list[tuple[str, Any]] = [
    ("bob", "bobby"), ("bob", "rob-bob"), ("42", "1942"), ("42", "item 42"), ("42", 42), ("42", {"n": 42.0}),
    ("alice_smith", "alice smith"), ("alice_smith", None), ("12345678", True), ("erased", "[erased]"), ("[erased]", "x [erased]"),
    (" ", "a . (b)"), (" ", "( )"), ("\u00a0" * 5, "x" + "\u00a0" * 6), (" " * 8, {"code": ":" + " " * 9 + "-"}),
]  # fmt: skip


@pytest.mark.parametrize(("user", "value", "left"), SPOKEN)
def test_mentions_are_found_and_taken_out(user: str, value: Any, left: Any) -> None:
    mention = Mention(user)
    assert mention.spoken(value)
    assert mention.without(value) == left
    assert not mention.spoken(left)
    assert mention.within(json.dumps(value, ensure_ascii=False).encode())


@pytest.mark.parametrize(("user", "value"), SILENT)
def test_what_is_nobody_is_left_alone(user: str, value: Any) -> None:
    assert not Mention(user).spoken(value)
    assert Mention(user).without(value) == value


def test_among_ids_another_id_is_another() -> None:
    mention = Mention("user_1234")
    assert [
        mention.named(text) for text in ("user_1234", "user_1234:s", "x/user_1234", "user_12345", "xuser_1234")
    ] == [True, True, True, False, False]
    assert mention.unnamed("user_1234:user_12345") == f"{ERASED}:user_12345"


@pytest.mark.parametrize(
    "line",
    [
        b'{"user_id": "zo\\u00eb_von_x"}', '{"user_id": "zoë_von_x", bad'.encode(), b'{"user_id": "zo\\u00EB_von_x", bad',
        json.dumps({"data": json.dumps({"u": "zoë_von_x"})}).encode(), b"\xff " + "zoë_von_x".encode(),
    ],
)  # fmt: skip
def test_lines_as_they_came(line: bytes) -> None:
    assert Mention("zoë_von_x").in_line(line)
    assert not Mention("zoe_von_x").in_line(line)


def test_blanks_in_lines_as_they_came() -> None:
    assert Mention(" ").in_line(b'{"user_id": " ", bad')
    assert not Mention(" ").in_line(b'{"user_id": "a b", bad')


def test_numbers_in_fields_of_users() -> None:
    assert Mention("7").in_line(b'{"userId": 7}')
    assert Mention("7").in_line(b'{"a": [{"anonymousId": 7}]}')
    assert Mention("7").in_line(b'{"userId": 7, ')
    assert not Mention("7").in_line(b'{"count": 7}')


def test_a_deep_string_is_no_danger() -> None:
    deep = {"text": "[" * 900 + "]" * 900, "more": '{"a":' * 70 + '"alice_smith"' + "}" * 70}
    assert Mention("alice_smith").spoken(deep)
    assert "alice_smith" not in str(Mention("alice_smith").without(deep))


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=8,
)


@example(" ", None, 0)
@given(st.text(min_size=1, max_size=10), VALUES, st.integers(0, 3))
def test_nothing_is_left_after_taking_out(user: str, value: Any, depth: int) -> None:
    mention = Mention(user)
    told: Any = {"v": value, "u": user}
    for _ in range(depth):
        told = {"inner": json.dumps(told)}
    assert mention.within(json.dumps(told, ensure_ascii=False).encode())
    left = mention.without(told)
    assert not mention.spoken(left)
    if not mention.spoken({"v": value}) and depth == 0 and not mention.spoken(["v", "u"]):
        assert left["v"] == value
