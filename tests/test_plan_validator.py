"""The compiled validator says what the plan says: by example, and against a plain reading of the plan by hypothesis."""

import math
import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evlog.event import times
from evlog.event.plan import EventRule, Plan, Property
from evlog.event.plan_file import parse
from evlog.event.reject import Rejected
from evlog.event.validator import Validator

PLAN = parse(
    """
    [events.exercise_complete]
    required = ["user_id", "target_id"]
    [events.exercise_complete.properties]
    duration_ms = { type = "integer", min = 0, required = true }
    score = { type = "number", min = 0, max = 1.5 }
    ratio = { type = "number", min = 0.5 }
    mode = { type = "string", one_of = ["solo", "group"] }
    level = { type = "integer", one_of = [1, 2, 3] }
    note = { type = "string", max_length = 5 }
    code = { type = "string", pattern = "[A-Z]{3}|[a-z]{2}" }
    at = "instant"
    ok = "boolean"
    tags = { type = "array", max_length = 2 }
    more = "object"
    rest = "any"
    email = "string"
    [events.free]
    additional = true
    [events.free.properties]
    n = "integer"
    [events.fast]
    [events.fast.properties]
    "$b-c d" = { type = "integer", min = 0 }
    a = { type = "number", max = 2 }
    "Ärger" = "boolean"
    s = { type = "string", max_length = 3, required = true }
    contact_email = { type = "string", pii = "allow" }
    """
)
FIELDS = {"user_id": "u1", "target_id": "1.2"}
VALIDATOR = Validator(PLAN)


def said(properties: object, *, event_type: str = "exercise_complete", event: dict | None = None) -> list[str]:
    event = FIELDS if event is None else event
    problems = VALIDATOR.check(event_type, event, properties)  # type: ignore[arg-type]
    assert problems == VALIDATOR.explain(event_type, event, properties)  # type: ignore[arg-type]
    return [f"{problem.code} {problem.says}" for problem in problems]


@pytest.mark.parametrize(
    "more",
    [
        {}, {"score": 1}, {"score": 1.5}, {"mode": "solo"}, {"level": 3}, {"note": "äöü😀x"}, {"code": "ABC"}, {"code": "ab"},
        {"at": "2026-01-31T09:30:00Z"}, {"at": 1_767_225_600}, {"ok": False}, {"tags": [1, None]}, {"more": {"x": {}}},
        {"rest": [1]}, {"rest": "x"}, {"rest": 2.5}, {"score": None, "mode": None, "code": None, "at": None, "rest": None},
        {"stranger": None}, {"email": "x"},
    ],
)  # fmt: skip
def test_a_good_event_has_no_problem(more: dict):
    assert said({"duration_ms": 5, **more}) == []


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"duration_ms": -1}, "bad_property properties.duration_ms: expected an integer >= 0, got -1"),
        ({"duration_ms": "5"}, 'bad_property properties.duration_ms: expected an integer >= 0, got "5"'),
        ({"duration_ms": 5.0}, "bad_property properties.duration_ms: expected an integer >= 0, got 5.0"),
        ({"duration_ms": True}, "bad_property properties.duration_ms: expected an integer >= 0, got true"),
        ({"duration_ms": None}, "missing_field properties.duration_ms: expected an integer >= 0"),
        ({"score": 1.6}, "bad_property properties.score: expected a number between 0 and 1.5, got 1.6"),
        ({"score": 2}, "bad_property properties.score: expected a number between 0 and 1.5, got 2"),
        ({"score": False}, "bad_property properties.score: expected a number between 0 and 1.5, got false"),
        ({"ratio": 0}, "bad_property properties.ratio: expected a number >= 0.5, got 0"),
        ({"mode": "duo"}, 'bad_property properties.mode: expected one of "solo", "group", got "duo"'),
        ({"level": True}, "bad_property properties.level: expected one of 1, 2, 3, got true"),
        ({"level": 1.0}, "bad_property properties.level: expected one of 1, 2, 3, got 1.0"),
        ({"note": "abcdef"}, "bad_property properties.note: expected a string of at most 5 characters, got 6 characters"),
        ({"code": "ABCD"}, 'bad_property properties.code: expected a string that matches "[A-Z]{3}|[a-z]{2}", got "ABCD"'),
        ({"code": 3}, 'bad_property properties.code: expected a string that matches "[A-Z]{3}|[a-z]{2}", got 3'),
        ({"at": "soon"}, 'bad_property properties.at: expected a time like 2026-01-31T09:30:00Z, or an epoch number between 2000 and 2100, got "soon"'),
        ({"ok": 1}, "bad_property properties.ok: expected true or false, got 1"),
        ({"tags": [1, 2, 3]}, "bad_property properties.tags: expected an array of at most 2 items, got 3 items"),
        ({"tags": {}}, "bad_property properties.tags: expected an array of at most 2 items, got an object"),
        ({"more": []}, "bad_property properties.more: expected an object, got an array"),
        ({"duration": 3}, "bad_property properties.duration: expected no property of this name (did you mean duration_ms?), got 3"),
        ({"zzz": 3}, "bad_property properties.zzz: expected no property of this name, got 3"),
        ({"z\x1b[31m": "a\x00b"}, 'bad_property properties.z\\x1b[31m: expected no property of this name, got "a\\x00b"'),
        ({"mode": "call a@b.com"}, 'bad_property properties.mode: expected one of "solo", "group", got "call [redacted]"'),
        ({"phone": "555 1234"}, 'bad_property properties.phone: expected no property of this name, got "[redacted]"'),
    ],
)  # fmt: skip
def test_a_problem_names_field_expectation_and_what_came(more: dict, told: str):
    assert said({"duration_ms": 5, **more}) == [told]


def test_all_problems_are_collected():
    assert said({"mode": "x", "ok": 1, "b": 2}, event={"user_id": None}) == [
        "missing_field user_id: expected a value",
        "missing_field target_id: expected a value",
        "missing_field properties.duration_ms: expected an integer >= 0",
        'bad_property properties.mode: expected one of "solo", "group", got "x"',
        "bad_property properties.ok: expected true or false, got 1",
        "bad_property properties.b: expected no property of this name, got 2",
    ]
    assert said({"duration_ms": 1}, event={"user_id": "u"}) == ["missing_field target_id: expected a value"]
    assert said([]) == ["bad_property properties: expected an object, got an array"]


def test_what_came_is_shown_short():
    (problem,) = VALIDATOR.check("exercise_complete", FIELDS, {"duration_ms": "x" * 10_000})
    assert len(problem.got) <= 80
    (problem,) = VALIDATOR.check("exercise_complete", FIELDS, {"duration_ms": 1, "y" * 10_000: 3})
    assert len(problem.field) < 100


def test_an_unknown_type_is_refused_with_the_one_that_was_meant():
    (problem,) = VALIDATOR.check("exercise_complet", FIELDS, {})
    assert problem.code == "unknown_type"
    assert (
        problem.says
        == 'event_type: expected an event type of the plan (did you mean exercise_complete?), got "exercise_complet"'
    )
    for number in range(2000):  # hints run out, problems do not
        (problem,) = VALIDATOR.check(f"x{number}", FIELDS, {})
    assert problem.says == 'event_type: expected an event type of the plan, got "x1999"'


def test_additional_lets_strangers_in_and_still_checks_the_known():
    assert said({"n": 1, "x": {"y": [None]}}, event_type="free") == []
    assert said({"n": "1", "x": 3}, event_type="free") == ['bad_property properties.n: expected an integer, got "1"']


def test_without_a_plan_anything_goes():
    validator = Validator(Plan.open())
    assert validator.check("whatever", {}, {"email": 3}) == ()
    assert validator.explain("whatever", {}, {"email": 3}) == ()
    assert validator.fast_types() == frozenset()
    assert validator.property_type("whatever") is dict


def test_fast_types_are_those_that_a_decode_checks_entirely():
    assert VALIDATOR.fast_types() == {"fast"}
    assert VALIDATOR.property_type("free") is dict
    shape = VALIDATOR.property_type("fast")
    line = '{"s":"x","a":1,"$b-c d":7,"Ärger":null,"contact_email":"q"}'.encode()
    held = msgspec.json.decode(line, type=shape)
    assert msgspec.json.encode(held) == '{"$b-c d":7,"a":1,"contact_email":"q","s":"x","Ärger":null}'.encode()
    for bad in (
        b'{"a":1}',
        b'{"s":"xxxx"}',
        b'{"s":"x","a":2.5}',
        b'{"s":"x","zz":1}',
        b'{"s":"x","$b-c d":9223372036854775808}',
    ):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(bad, type=shape)
    assert (
        Validator(Plan(events={"a": EventRule(properties={"email": Property(type="string")})})).fast_types()
        == frozenset()
    )
    for rule in (
        {"type": "string", "pattern": "x"},
        {"type": "instant"},
        {"type": "object"},
        {"type": "array"},
        {"type": "any"},
    ):
        assert Validator(Plan(events={"a": EventRule(properties={"x": Property(**rule)})})).fast_types() == frozenset()


# --- hypothesis: random plans against a plain reading -------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c", "$d e", "Ärger", "email", "n"])
SMALL = st.integers(-3, 3)


@st.composite
def properties(draw: st.DrawFn) -> Property:
    kind = draw(st.sampled_from(["string", "integer", "number", "boolean", "object", "array", "instant", "any"]))
    more: dict = {"required": draw(st.booleans()), "pii": draw(st.sampled_from(["guard", "allow"]))}
    shape = draw(st.sampled_from(["plain", "bounds", "listed", "pattern"]))
    if kind in {"integer", "number"} and shape == "bounds":
        bound = st.none() | (SMALL if kind == "integer" else SMALL | st.floats(-3, 3))
        more |= {"min": draw(bound), "max": draw(bound)}
    elif kind in {"string", "array"} and shape == "bounds":
        more["max_length"] = draw(st.integers(0, 3))
    elif kind == "string" and shape == "pattern":
        more["pattern"] = draw(st.sampled_from(["a*", "a|bb", "(?i)A+", "x$"]))
    elif kind in {"string", "integer"} and shape == "listed":
        values = st.sampled_from(["", "a", "bb", "ä"]) if kind == "string" else SMALL
        more["one_of"] = tuple(draw(st.lists(values, min_size=1, max_size=3, unique=True)))
    return Property(type=kind, **more)


RULES = st.builds(
    EventRule,
    required=st.lists(st.sampled_from(["user_id", "target_id"]), unique=True).map(tuple),
    properties=st.dictionaries(NAMES, properties(), max_size=5),
    additional=st.booleans(),
)
VALUES = st.one_of(
    SMALL, st.floats(-4, 4), st.sampled_from(["", "a", "A", "aa", "bb", "ä", "😀😀😀", "x\n", "2026-01-01T00:00:00Z"]),
    st.booleans(), st.none(), st.sampled_from([[], [1, 2, 3, 4], {}, {"x": 1}, 2**63, -(2**63), 2**64 - 1, 1_767_225_600, 5e300]),
)  # fmt: skip


BY_TYPE = {
    "string": st.sampled_from(["", "a", "A", "aa", "bb", "ä", "😀😀😀", "x\n", "abcd"]), "integer": SMALL,
    "number": SMALL | st.floats(-4, 4), "boolean": st.booleans(), "object": st.just({"x": 1}),
    "array": st.lists(SMALL, max_size=5), "instant": st.sampled_from(["2026-01-01T00:00:00Z", "soon", 1_767_225_600, 3]), "any": VALUES,
}  # fmt: skip


@st.composite
def events_of(draw: st.DrawFn, rule: EventRule) -> dict:
    """Properties that are mostly near to what `rule` asks for."""
    held = {
        name: draw(VALUES if draw(st.integers(0, 9)) == 0 else BY_TYPE[wanted.type])
        for name, wanted in rule.properties.items()
        if wanted.required or draw(st.booleans())
    }
    return held | (
        draw(st.dictionaries(NAMES | st.just("stranger"), VALUES, max_size=1)) if draw(st.booleans()) else {}
    )


def reads_as_time(value: object) -> bool:
    try:
        times.read(value)
    except Rejected:
        return False
    return True


def fits(rule: Property, value: object) -> bool:
    """A plain reading of what docs/plan.md says of a property that is there."""
    whole = type(value) is int
    by_type = {
        "string": type(value) is str, "integer": whole, "number": whole or type(value) is float,
        "boolean": type(value) is bool, "object": type(value) is dict, "array": type(value) is list,
        "instant": reads_as_time(value), "any": True,
    }  # fmt: skip
    if not by_type[rule.type]:
        return False
    if rule.one_of:
        return value in rule.one_of
    if rule.type in {"integer", "number"}:
        return (-math.inf if rule.min is None else rule.min) <= value <= (math.inf if rule.max is None else rule.max)
    if rule.max_length is not None:
        return len(value) <= rule.max_length
    return rule.pattern is None or bool(re.compile(rule.pattern).fullmatch(value))


def wrong(rule: EventRule, event: dict, held: dict) -> set[tuple[str, str]]:
    found = {("missing_field", name) for name in rule.required if event.get(name) is None}
    for name, wanted in rule.properties.items():
        value = held.get(name)
        if value is None and wanted.required:
            found.add(("missing_field", f"properties.{name}"))
        elif value is not None and not fits(wanted, value):
            found.add(("bad_property", f"properties.{name}"))
    for name, value in held.items():
        if name not in rule.properties and value is not None and not rule.additional:
            found.add(("bad_property", f"properties.{name}"))
    return found


@pytest.mark.long
@settings(max_examples=1000, deadline=None)
@given(st.data())
def test_compiled_and_plain_reading_agree(data: st.DataObject):
    rule = data.draw(RULES)
    held = data.draw(events_of(rule))
    event = data.draw(st.dictionaries(st.sampled_from(["user_id", "target_id"]), st.none() | st.just("x")))
    before = msgspec.json.encode(held)
    validator = Validator(Plan(events={"e": rule}))
    found = validator.check("e", event, held)
    expected = wrong(rule, event, held)
    assert {(problem.code, problem.field) for problem in found} == expected
    assert found == validator.explain("e", event, held)
    assert msgspec.json.encode(held) == before
    assert all("None" not in problem.says and problem.expected for problem in found)
    in_one_call(validator, rule, held, fine=not any(where.startswith("properties.") for _, where in expected))
    if "e" in validator.fast_types():
        fast(rule, validator, held, expected={where for _, where in expected if where.startswith("properties.")})


def in_one_call(validator: Validator, rule: EventRule, held: dict, *, fine: bool) -> None:
    """The first, compiled look takes all that is fine, but for a null under an unknown name."""
    if fine and all(name in rule.properties for name in held):
        msgspec.convert(held, validator._compiled["e"].shape)


def fast(rule: EventRule, validator: Validator, held: dict, *, expected: set[str]) -> None:
    """The promise of `fast_types`, for one event."""
    try:
        decoded = msgspec.json.decode(msgspec.json.encode(held), type=validator.property_type("e"))
    except msgspec.ValidationError:
        strangers = any(name not in rule.properties for name in held)
        large = any(type(value) is int and value >= 2**63 for value in held.values())
        assert expected or strangers or large
    else:
        assert not expected
        assert msgspec.json.encode(decoded) == msgspec.json.Encoder(order="deterministic").encode(held)
