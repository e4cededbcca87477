"""From the bytes of a line to the JSON value they hold, or the reason why they hold none.

One strict parser decides (msgspec; it takes what orjson takes), and its silences are made good here: duplicate keys,
integers beyond 64 bits, nesting. Whatever passes, every other reader reads to the same values.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from evlog.event.reject import Problem, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_DEPTH = 64
_SHOWN_DIGITS = 40
_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1
_BLANKS = (b" :", b"\t:", b"\r:", b"\n:")  # before a colon, they hide the end of a key
_DIGITS = 20  # of the longest integer in 64 bits, with its sign
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]')  # a text without an end goes to the end of the line
_decode = msgspec.json.Decoder().decode


def load(line: bytes) -> Any:
    """The JSON value of `line`; Rejected with the reason where there is none."""
    if line.count(b"{") + line.count(b"[") > MAX_DEPTH and _depth(line) > MAX_DEPTH:
        raise Rejected(Problem("too_deep", "", f"at most {MAX_DEPTH} levels of nesting", "more"))
    try:
        value = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Rejected(why_not_json(line)) from error
    vet(value, line)
    return value


def vet(value: Any, line: bytes) -> None:
    """Reject duplicate keys and integers beyond 64 bits in the parsed `value` of `line`."""
    ends = line.count(b'":') - line.count(b'\\":')  # the second where text in a string looks like the end of a key
    try:
        keys = count(value)
    except Rejected:
        _no_duplicates(line)  # the graver reason
        raise
    if ends != keys or any(blank in line for blank in _BLANKS) or b'\\\\"' in line:
        _no_duplicates(line)


def count(value: Any) -> int:
    """How many keys there are in `value`, at any depth; Rejected at an integer beyond 64 bits."""
    keys = 0
    held: Iterable[Any] = (value,)
    if value.__class__ is dict:
        keys, held = len(value), value.values()
    elif value.__class__ is list:
        held = value
    for one in held:
        if one.__class__ is int:
            if not _INT_MIN <= one <= _INT_MAX:
                raise Rejected(_too_big(str(one)))
        elif one.__class__ in _NESTED:
            keys += count(one)
    return keys


_NESTED = frozenset({dict, list})


def _too_big(digits: str) -> Problem:
    told = digits if len(digits) <= _SHOWN_DIGITS else f"{digits[:_SHOWN_DIGITS]}… ({len(digits)} digits)"
    return Problem("number_range", "", "integers of at most 64 bits", told)


def _no_duplicates(line: bytes) -> None:
    twice: list[Problem] = []
    json.loads(line, object_pairs_hook=partial(_once, twice))
    if twice:
        raise Rejected(twice[0])


def _once(twice: list[Problem], members: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these members; a key that stands twice in it is added to `twice`."""
    found = dict(members)
    if len(found) != len(members):
        name = next(name for name, count in Counter(name for name, _ in members).items() if count > 1)
        twice.append(Problem("duplicate_key", name, "each key once in an object", "it twice"))
    return found


def why_not_json(line: bytes) -> Problem:
    """Why `line` is not JSON, in words that help to mend it."""
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        return Problem("bad_utf8", "", "UTF-8", f"byte 0x{line[error.start]:02x} at position {error.start}")
    twice: list[Problem] = []
    far: list[Problem] = []  # both are told only where it is JSON
    hooks: dict[str, Any] = {"object_pairs_hook": partial(_once, twice), "parse_int": partial(_whole, far)}
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite, **hooks)
    except json.JSONDecodeError as error:
        return Problem("bad_json", "", "one JSON value", f"broken JSON at position {error.pos} ({error.msg.lower()})")
    except (ValueError, RecursionError) as error:
        return Problem("bad_json", "", "one JSON value", str(error))
    if _surrogate(value):
        return Problem("bad_utf8", "", "whole surrogate pairs", "half of one")
    return next(iter((*twice, *far)), Problem("bad_json", "", "one JSON value", "something else"))


def breaks_off(line: bytes) -> bool:
    """Whether `line` ends inside a character, as a line may that was cut."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return False


def _refuse(name: str) -> Any:
    raise ValueError(f"{name}, which is not JSON")


def _whole(far: list[Problem], text: str) -> int:
    if len(text) > _DIGITS:
        far.append(_too_big(text))
        return 0
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text}, which is out of range")
    return number


def _surrogate(value: Any) -> bool:
    if isinstance(value, str):
        return any("\ud800" <= c <= "\udfff" for c in value)
    if isinstance(value, dict):
        return any(_surrogate(k) or _surrogate(v) for k, v in value.items())
    return isinstance(value, list) and any(map(_surrogate, value))


def _depth(line: bytes) -> int:
    """How deep the brackets outside of strings nest."""
    depth = deepest = 0
    for match in _BRACKETS.finditer(line):
        token = match[0]
        if token in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token in b"]}":
            depth -= 1
    return deepest
