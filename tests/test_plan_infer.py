"""A plan drawn from events: what it claims, and that the events it was drawn from keep it."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from evlog.event.infer import ENOUGH, infer
from evlog.event.plan import Pair, Property
from evlog.event.plan_file import parse
from evlog.event.plan_write import dumps
from evlog.event.validator import Validator


def event(kind: str = "tool_open", **more: object) -> dict:
    return {"event_type": kind, "user_id": "u1", "category": "tool", "target_type": "tool", "target_id": "7"} | more


def properties(*values: dict) -> dict[str, Property]:
    return dict(infer(event(properties=value) for value in values).events["tool_open"].properties)


def test_what_is_always_there_is_required():
    some = [event(session_id="s" if n else None, properties={"n": n, "m": None if n == 3 else 1.5}) for n in range(30)]
    rule = infer(some).events["tool_open"]
    assert rule.required == ("user_id", "target_type", "target_id")
    assert rule.category == "tool"
    assert not rule.additional
    assert rule.properties == {"n": Property(type="integer", required=True, min=0), "m": Property(type="number", min=0)}


def test_few_events_claim_little():
    rule = infer(event(properties={"mode": "a", "n": 1}) for _ in range(ENOUGH - 1)).events["tool_open"]
    assert rule.additional
    assert rule.required == ()
    assert rule.properties == {"mode": Property(type="string"), "n": Property(type="integer")}


def test_types_are_the_narrowest_that_cover_all():
    found = properties(
        {"a": 1, "b": 1, "c": True, "d": {}, "e": [], "f": "x", "g": 1, "h": "2026-01-01T00:00:00Z", "i": "2026-01-01T00:00:00Z"},
        {"a": -2, "b": 2.5, "c": False, "d": {}, "e": [1], "f": "y", "g": "1", "h": "2026-01-01 00:00:00+02:00", "i": "2026-13-01T00:00:00Z"},
    )  # fmt: skip
    assert {name: rule.type for name, rule in found.items()} == {
        "a": "integer", "b": "number", "c": "boolean", "d": "object", "e": "array", "f": "string", "g": "any", "h": "instant", "i": "string",
    }  # fmt: skip


def test_a_few_words_are_listed_and_ids_prose_and_people_are_not():
    values = [
        {
            "mode": ["solo", "group"][n % 2], "tool_id": ["a", "b"][n % 2], "message": ["oops", "ouch"][n % 2],
            "email": ["a", "b"][n % 2], "note_html": ["so it is.", "no it is!"][n % 2], "many": f"v{n % 13}", "once": "x" if n else "y",
            "same": "x", "digits": ["1", "2"][n % 2], "hex": f"a{n}",
        }
        for n in range(100)
    ]  # fmt: skip
    listed = {name: rule.one_of for name, rule in properties(*values).items() if rule.one_of}
    assert listed == {"mode": ("group", "solo")}


def test_numbers_that_went_below_zero_have_no_least():
    assert properties(*[{"x": n - 1} for n in range(30)])["x"].min is None


def test_pairs_are_guessed_from_names():
    kinds = ["exercise_start", "exercise_complete", "exercise_abandon", "tool_open", "tool_submit", "PROMPT_VIEW", "PROMPT_SUBMIT",
             "Lesson Started", "Lesson Completed", "session_start", "session_end", "session_complete", "page_view", "start", "complete"]  # fmt: skip
    plan = infer(event(kind, target_type=kind.split("_")[0]) for kind in kinds)
    assert dict(plan.pairs) == {
        "exercise": Pair(
            start="exercise_start", complete="exercise_complete", abandon="exercise_abandon", target_type="exercise"
        ),
        "lesson": Pair(start="Lesson Started", complete="Lesson Completed"),
        "prompt": Pair(start="PROMPT_VIEW", complete="PROMPT_SUBMIT", target_type="PROMPT"),
        "tool": Pair(start="tool_open", complete="tool_submit", target_type="tool"),
    }


def test_keys_made_of_data_open_the_type():
    rule = infer(event(properties={f"k{n}": 1}) for n in range(300)).events["tool_open"]
    assert rule.additional
    assert rule.properties == {}
    odd = infer(event(properties={'a"b': 1, "c": 2}) for _ in range(30)).events["tool_open"]
    assert odd.additional
    assert set(odd.properties) == {"c"}


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(-2, 2), st.sampled_from(["a", "b", "A-1", "so so", "", "2026-01-01T00:00:00Z"]),
    st.just([1]), st.just({"x": 1}),
)  # fmt: skip
EVENTS = st.builds(
    lambda **fields: {name: value for name, value in fields.items() if value is not None},
    event_type=st.sampled_from(["a_start", "a_complete", 'odd"']),
    user_id=st.none() | st.just("u"),
    category=st.none() | st.just("c"),
    target_type=st.none() | st.just("t"),
    properties=st.none() | st.dictionaries(st.sampled_from(["n", "mode", "email", 'q"', "x_id"]), VALUES, max_size=4),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(EVENTS, max_size=6), st.integers(1, 30), st.randoms())
def test_events_keep_the_plan_that_was_drawn_from_them(some: list[dict], times: int, chance: random.Random):
    events = some * times
    plan = infer(events)
    assert parse(dumps(plan)) == plan
    validator = Validator(plan)
    if not plan.is_open:
        named = [one for one in events if one["event_type"] != 'odd"']
        assert [validator.check(one["event_type"], one, one.get("properties") or {}) for one in named] == [()] * len(
            named
        )
    chance.shuffle(events)
    assert dumps(infer(events)) == dumps(plan)
