"""The rows of the bad-input table, each a maker of bad lines; what the store must hold before, and what mends them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from feed import NOW, OPEN, event, feed, written
from lines import DAY, Bad, line, member, respelt, text

from evlog import purge
from evlog.event.plan import EventRule, Plan, Property
from evlog.event.privacy import Guard
from evlog.ingest.rules import Rules
from evlog.person import erase

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from evlog.store.layout import Store

ORDER = EventRule(
    required=("session_id",),
    properties={
        "amount": Property(type="number", required=True, min=0),
        "count": Property(type="integer", max=10),
        "kind": Property(type="string", one_of=("a", "b")),
        "paid": Property(type="boolean"),
        "code": Property(type="string", pattern="[a-z]+", max_length=5),
        "at": Property(type="instant"),
    },
)
PLANNED = Rules(plan=Plan(events={"view": EventRule(additional=True), "order": ORDER}))
IDS = ("event_id", "user_id", "anonymous_id", "session_id", "target_id")
NAMES = {"event_id": "event_id", "user_id": "userId", "anonymous_id": "anonymousId", "session_id": "sessionId"}
LIMIT = 400
GONE = "zelda_zelda"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: the rules of the run, a maker of its lines, and how they get in once all is mended."""

    make: Callable[[Random], Bad]
    rules: Rules = OPEN
    mended: Rules | None = None
    before: Callable[[Store], object] = field(default=lambda store: None)
    consent: bool = False  # the good lines must say that they are agreed to


def _bad_utf8(random: Random) -> Bad:
    if random.random() < 0.5:
        half = f"\\u{random.choice([random.randint(0xD800, 0xDBFF), random.randint(0xDC00, 0xDFFF)]):04x}"
        key, value = random.choice([(f"a{half}", "1"), (None, f'"{half}"'), (None, f'["x{half}y"]')])
        return Bad(member(random, value, key=None), "bad_utf8", expected="surrogate") if key is None else Bad(
            b'{"' + key.encode() + b'":' + value.encode() + b"," + line(random)[1:], "bad_utf8", expected="surrogate"
        )  # fmt: skip
    broken = random.choice(
        [
            b"\xff",
            b"\xc3",
            b"\xc0\xaf",
            b"\xed\xa0\x80",
            b"\xe2\x82",
            b"\xf5\x80\x80\x80",
            b"\x80",
            b"\xf0\x9f\x98",
            b"\xe9",
        ]
    )
    raw = line(random, note="here", other={"here": ["here"]})
    spots = [at for at in range(len(raw)) if raw.startswith(b"here", at)]
    at = random.choice(spots)
    return Bad(raw[:at] + broken + raw[at:], "bad_utf8", expected="UTF-8")


def _bad_json(random: Random) -> Bad:
    raw = line(random, note=text(random))
    broken = [
        lambda: raw[: random.randint(1, len(raw) - 1)].rstrip() or b"{",
        lambda: raw + raw,
        lambda: raw + b" " + random.choice([b"{}", b"null", b"x", b"}", b"]", b",", b"//", b"\x00"]),
        lambda: raw.replace(b'"', b"'"),
        lambda: random.choice([b" ", b"{"]) + b"\xef\xbb\xbf" + raw,  # first of all in a stream it would be fine
        lambda: raw[:-1] + b",}",
        lambda: raw[1:],
        lambda: member(random, random.choice(["NaN", "Infinity", "-Infinity", "nan", "True", "None", "undefined", ""])),
        lambda: member(random, f"{random.choice(['', '-'])}{random.randint(1, 9)}e{random.randint(309, 99_999)}"),
        lambda: member(random, random.choice(["01", "+1", ".5", "1.", "0x1f", "1e", "1_000", "--1", "-", "1e+", "١"])),
        lambda: member(random, f'"a{chr(random.choice([*range(10), *range(11, 32)]))}b"'),
        lambda: member(random, '"\\' + random.choice("axUN'0 ") + '41"'),
    ]
    return Bad(random.choice(broken)(), "bad_json", expected="one JSON value")


def _not_object(random: Random) -> Bad:
    number = str(random.uniform(-1e9, 1e9) if random.random() < 0.5 else random.randint(-(2**63), 2**64 - 1))
    values = ["null", "true", "false", '""', number, json.dumps(text(random)), f" {number} ", f"{number}\t"]
    return Bad(random.choice(values).encode(), "not_object", expected="a JSON object")


def _truncated(random: Random) -> Bad:
    raw = json.dumps(event(event_id=f"torn{random.getrandbits(40)}", note=text(random)), ensure_ascii=False).encode()
    return Bad(raw[: random.randint(1, len(raw) - 1)], "truncated", expected="a whole line")


def _too_long(random: Random) -> Bad:
    raw = line(random, pad=text(random, 6) * random.randint(LIMIT, 6 * LIMIT))
    return Bad(raw, "line_too_long", "", f"at most {LIMIT} bytes", whole=False)


def _too_deep(random: Random) -> Bad:
    levels = random.randint(65, 3000)
    kinds = [random.choice(["[", '{"k":']) for _ in range(levels)]
    closed = "".join("]" if kind == "[" else "}" for kind in reversed(kinds))
    deep = "".join(kinds) + "1" + closed[: random.choice([levels, levels, 0, 1, levels - 1])]
    return Bad(deep.encode() if random.random() < 0.3 else member(random, deep), "too_deep", expected="64 levels")


def _duplicate_key(random: Random) -> Bad:
    key = random.choice(["a", "user", "é", "a b", "0", "🎉", "k\\", 'q"', "x:", text(random)])
    gaps = ["", " ", "\t", "  ", " \t "]
    first, second = (f"{respelt(random, key)}{random.choice(gaps)}:{random.choice(gaps)}{n}" for n in (1, 2))
    between = random.choice([",", ' , "z":[{}], ', ',"w":"\\":",'])
    return Bad(member(random, f"{{{first}{between}{second}}}"), "duplicate_key", key, "each key once")


def _number_range(random: Random) -> Bad:
    digits = random.choice([20, 21, 40, 308, 4299, 4301, 9000])
    far = int("9" * 20) + random.getrandbits(60) if digits == 20 else 10**20
    number = str(far) if digits <= 21 else str(random.randint(1, 9)) + "".join(random.choices("0123456789", k=digits))
    near = random.choice([2**64, 2**64 + random.getrandbits(50), -(2**63) - 1 - random.getrandbits(50)])
    value = random.choice([number, f"-{number}", str(near)])
    return Bad(member(random, random.choice([value, f"[0,{value}]"])), "number_range", "", "at most 64 bits")


def _bad_id(random: Random) -> Bad:
    name = random.choice(IDS)
    control = chr(random.choice([*range(0x20), *range(0x7F, 0xA0)]))
    values: list[Any] = [
        "x" * random.randint(257, 5000), "é" * random.randint(129, 256), f"a{control}", f"{control}b", True, False,
        random.uniform(-9, 9), [], ["a"], {"$oid": "1"},
    ]  # fmt: skip
    value = random.choice([*values, ""]) if name == "event_id" else random.choice(values)
    spelt = random.choice([name, NAMES.get(name, name)]) if not isinstance(value, list | dict) else name
    fields = {name: None, spelt: value}
    return Bad(line(random, **fields), "bad_id", name)


def _placeholder(random: Random) -> Bad:
    word = random.choice(["null", "none", "undefined", "anonymous", "00000000-0000-0000-0000-000000000000"])
    user = random.choice([str.lower, str.upper, str.capitalize])(word)
    key = random.choice(["user_id", "userId", "uid", "user", "distinct_id"])
    return Bad(line(random, **{"user_id": None, key: user}), "placeholder_user", "user_id", "the id of a user")


def _missing(random: Random) -> Bad:
    name = random.choice(["event_type", "ts"])
    empty = random.choice([None, ""]) if name == "event_type" else None
    body = event(event_id=f"bad{random.getrandbits(40)}", note=text(random)) | {name: empty}
    if random.random() < 0.5 and empty is None:
        del body[name]
    return Bad(json.dumps(body).encode(), "missing_field", name)


def _unplanned(random: Random) -> Bad:
    name = random.choice(["View", "views", "view ", "ordér", "__proto__", text(random), "v" * 200])
    return Bad(line(random, event_type=name), "unknown_type", "event_type", "an event type of the plan")


def _misses_the_plan(random: Random) -> Bad:
    lacks = random.choice(["session_id", "properties.amount"])
    fields: dict[str, Any] = {"session_id": "s", "properties": {"amount": random.randint(0, 99)}}
    if lacks == "session_id":
        fields["session_id"] = random.choice([None, ""])
    else:
        fields["properties"] = random.choice([{}, {"amount": None}, {"count": 1}])
    return Bad(line(random, event_type="order", **fields), "missing_field", lacks)


_WRONG: dict[str, tuple[Any, ...]] = {
    "amount": ("1", True, -1, -0.5, [1], {"a": 1}, ""),
    "count": (11, 1.0, 1.5, "1", True, 2**63, [1]),
    "kind": ("c", "A", 1, "", True),
    "paid": ("true", 1, 0, ""),
    "code": ("ABC", "abcdef", "a1", "", 5),
    "at": ("soon", "2026-03-01", True, 5, {}),
    "stranger": (1, "x", [], False),
}


def _bad_property(random: Random) -> Bad:
    name = random.choice([*_WRONG])
    told = {"amount": 1} | {name: random.choice(_WRONG[name])}
    raw = line(random, event_type="order", session_id="s", properties=told)
    return Bad(raw, "bad_property", f"properties.{name}")


def _bad_field(random: Random) -> Bad:
    name, value = random.choice(
        [
            ("event_type", random.choice([5, True, ["a"], {"a": 1}, "x" * random.randint(257, 999), "a\nb", "\x9b"])),
            ("properties", random.choice([5, True, [1], "{", "x", '{"a":}'])),
            ("context", random.choice([5, [1], "no", "{'a':1}"])),
            *[(key, random.choice([1.5, True, [1], {"a": 1}])) for key in ("category", "feature", "source", "target_type")],
        ]
    )  # fmt: skip
    return Bad(line(random, **{name: value}), "bad_property", name)


def _bad_time(random: Random) -> Bad:
    ts = random.choice(
        [
            "", text(random), DAY, f"{DAY}T24:00:00Z", "2026-02-29T10:00:00Z", f"{DAY}T10:00:60Z", f"{DAY}T10:61:00Z",
            f"{DAY}T1:00:00Z", f"{DAY}T10:00:00+99:00", f"{DAY}T10:00:00+01:60", "1999-12-31T23:59:59.999999Z",
            "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00", f"{DAY}T10:00:00.{'1' * 13}Z", f"{DAY}T10:00:00ZZ",
            "٢٠٢٦-03-01T10:00:00Z", random.randint(-(2**63), 946_684_799), random.uniform(0, 9e8), 4_102_444_800,
            4_102_444_800_000_000_000, 1e300, True, [], {}, "1e9", "NaN", "now", "0x5f5e1000",
        ]
    )  # fmt: skip
    return Bad(line(random, ts=ts), "bad_time", "ts")


def _future(random: Random) -> Bad:
    when = NOW + timedelta(days=1, microseconds=random.choice([1, 10**6, random.randint(1, 10**15)]))
    epoch = int((when - NOW).total_seconds() + 1773144000)
    told = random.choice([f"{when.isoformat(timespec='microseconds')}Z", (epoch + 1) * 1000, str((epoch + 1) * 10**6)])
    return Bad(line(random, ts=told), "future", "ts", "at most 24 hours ahead")


def _too_old(random: Random) -> Bad:
    when = NOW - timedelta(days=30, microseconds=random.choice([1, 10**6, random.randint(1, 10**14)]))
    told = f"{when.isoformat(timespec='microseconds')}{random.choice(['Z', '+00:00', '', ' UTC'])}"
    return Bad(line(random, ts=told), "too_old", "ts", "max_age")


def _purged(random: Random) -> Bad:
    ts = f"2026-{random.choice(['01', '02'])}-{random.randint(1, 14):02d}T{random.randint(0, 23):02d}:00:00Z"
    return Bad(line(random, ts=ts), "beyond_retention", "ts", "a day that was not purged")


def _conflict(random: Random) -> Bad:
    known = f"known{random.randint(0, 39)}"
    return Bad(line(random, event_id=known, note=text(random)), "id_conflict", "event_id", "stored first")


def _known(store: Store, day: str = DAY) -> None:
    path = store.root.parent / "known"
    known = (json.dumps(event(event_id=f"known{n}", ts=f"{day}T10:00:00Z")).encode() for n in range(40))
    feed(store, written(path, *known))


def _personal(random: Random) -> Bad:
    key = random.choice(
        ["email", "contact_email", "phone", "ip", "password", "firstName", "api_key", "accessToken", "name"]
    )
    secret = f"top{random.getrandbits(60)}secret"
    at = f"{secret}@example.com"
    told, where = random.choice(
        [
            ({key: secret}, key),
            ({"a": {key: secret}}, f"a.{key}"),
            ({"a": [{key: secret}]}, f"a.{key}"),
            ({"n": f"to {at}!"}, "n"),
        ]
    )
    raw = line(random, properties=told)
    return Bad(raw, "pii", f"properties.{where}", "no personal data", whole=False)


def _refused(random: Random) -> Bad:
    no = random.choice([False, "false", "no", "denied", 0, "0", "Revoked", {"given": False}, {"analytics": "no"}])
    key = random.choice(["consent", "privacy", "consent_given", "consentGiven"])
    no = random.choice([False, "no", 0, "0"]) if key.startswith("consent_") or key == "consentGiven" else no
    broken = random.choice(
        [{}, {}, {"event_id": ""}, {"ts": "never"}, {"event_type": None}, {"user_id": "null"}, {"properties": 5}]
    )
    raw = line(random, **({"note": f"hush{random.getrandbits(60)}", key: no} | broken))
    return Bad(raw[:-1] if random.random() < 0.2 and no is False else raw, "no consent")


def _erased(random: Random) -> Bad:
    key = random.choice(["user_id", "userId", "uid", "anonymous_id", "anonymousId"])
    broken = random.choice(
        [{}, {}, {"event_id": ""}, {"ts": "never"}, {"event_type": None}, {"properties": 5}, {"n": 2**64}]
    )
    raw = line(random, **({"user_id": None, "note": f"hush{random.getrandbits(60)}", key: GONE} | broken))
    return Bad(random.choice([raw, raw, raw[:-1], raw + b"}"]), "erased")


ROWS: dict[str, Row] = {
    "bad_utf8": Row(_bad_utf8),
    "bad_json": Row(_bad_json),
    "not_object": Row(_not_object),
    "line_too_long": Row(_too_long, Rules(plan=Plan.open(), max_line=LIMIT)),
    "too_deep": Row(_too_deep),
    "duplicate_key": Row(_duplicate_key),
    "number_range": Row(_number_range),
    "bad_id": Row(_bad_id),
    "placeholder_user": Row(_placeholder, mended=Rules(plan=Plan.open(), placeholder_users="null")),
    "missing_field": Row(_missing),
    "missing_field, of the plan": Row(_misses_the_plan, PLANNED, mended=OPEN),
    "unknown_type": Row(_unplanned, PLANNED, mended=OPEN),
    "bad_property, of the plan": Row(_bad_property, PLANNED, mended=OPEN),
    "bad_property": Row(_bad_field),
    "bad_time": Row(_bad_time),
    "future": Row(_future),
    "too_old": Row(_too_old, Rules(plan=Plan.open(), max_age=timedelta(days=30)), mended=OPEN),
    "beyond_retention": Row(
        _purged,
        mended=Rules(plan=Plan.open(), backfill=True),
        before=lambda store: (_known(store, "2026-02-01"), purge.apply(store, date(2026, 2, 15))),
    ),
    "id_conflict": Row(_conflict, before=_known),
    "pii": Row(_personal, Rules(plan=Plan.open(), guard=Guard("reject"))),
    "no consent": Row(_refused),
    "no consent, where it is required": Row(
        lambda random: Bad(line(random, note=f"hush{random.getrandbits(60)}"), "no consent"),
        Rules(plan=Plan.open(), consent="required"),
        consent=True,
    ),
    "erased": Row(_erased, before=lambda store: (_known(store), erase.erase(store, GONE))),
}
TORN = Row(_truncated)
