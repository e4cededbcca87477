"""Lines good and bad, made from a seed: what a bad one must be refused for, and what of it may be kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from feed import event

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

DAY = "2026-03-01"


@dataclass(frozen=True, slots=True)
class Bad:
    """A line that must be refused: its reason, the field and a part of what is said to be expected there.

    `whole`: quarantine keeps the line as it came, else its head, or what is not personal of it.
    """

    raw: bytes
    code: str
    field: str = ""
    expected: str = ""
    whole: bool = True


def good(number: int) -> bytes:
    """A line that is fine; every third one is nothing for a lane that takes only what is plain."""
    fields: dict[str, Any] = {"event_id": f"good{number}", "ts": f"{DAY}T10:{number % 60:02d}:00Z", "consent": None}
    if number % 3 == 0:
        fields |= {"user_id": "jürgen", "properties": {"n": number, "deep": {"list": [number, "ß"]}}}
    body = event(**fields, feature=f"f{number % 2}")
    return json.dumps(body, ensure_ascii=number % 2 == 0).encode()


def agreed(line: bytes) -> bytes:
    """The same line, of somebody who gave consent."""
    return line[:-1] + b', "consent": true}'


def text(random: Random, most: int = 12) -> str:
    """Some text, of letters and signs from everywhere, that is nothing else."""
    signs = "abcxyz0189 _-./:,{}[]\"\\'éßЖ日🎉\u2028"
    return "".join(random.choice(signs) for _ in range(random.randint(1, most)))


def member(random: Random, value: str, *, key: str | None = None) -> bytes:
    """A good line with the JSON text `value` somewhere in it: beside the fields, or somewhere inside properties."""
    name = json.dumps(key if key is not None else f"k{random.randint(0, 999)}")
    inside = random.choice(
        [
            f'"x{name[1:-1]}": {value}' if key is None else f"{name}: {value}",
            f'"properties": {{{name}: {value}}}',
            f'"properties": {{"a": 1, "list": [0, {{{name}:{value}}}]}}',
            f'"context": {{"a": "b" , {name}: {value}}}',
            f'"metadata": {{{name}: [{value}, null]}}',
        ]
    )
    body = json.dumps(event(event_id=f"bad{random.getrandbits(40)}"))
    whole = body[:-1] + ", " + inside + "}" if random.random() < 0.5 else "{" + inside + ", " + body[1:]
    return whole.encode("utf-8", "surrogatepass")


def line(random: Random, **fields: Any) -> bytes:
    """An event with an id of its own and these fields, as JSON in one of its spellings."""
    body = event(**({"event_id": f"bad{random.getrandbits(40)}"} | fields))
    gaps = random.choice([(", ", ": "), (",", ":"), (" , ", " : ")])
    return json.dumps(body, ensure_ascii=random.random() < 0.5, separators=gaps).encode()


def respelt(random: Random, name: str) -> str:
    """The key `name` as a JSON text, some of its letters written as escapes."""
    escaped = ("".join(f"\\u{unit:04x}" for unit in memoryview(sign.encode("utf-16")[2:]).cast("H")) for sign in name)
    signs = (one if random.random() < 0.5 else json.dumps(sign)[1:-1] for one, sign in zip(escaped, name, strict=True))
    return '"' + "".join(signs) + '"'


def many(make: Callable[[Random], Bad], random: Random, count: int) -> list[Bad]:
    """So many bad lines, no two of them the same."""
    found: dict[bytes, Bad] = {}
    while len(found) < count:
        one = make(random)
        found.setdefault(one.raw, one)
    return list(found.values())
