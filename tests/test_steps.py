"""The language of funnel steps."""

import pytest

from evlog.errors import UsageError
from evlog.query import steps
from evlog.query.where import parse as condition


def one(text):
    (step,) = steps.parse([text])
    return step


@pytest.mark.parametrize(
    ("text", "event_types", "conditions"),
    [
        ("signup", ("signup",), []),
        ("  signup ", ("signup",), []),
        ("$pageview", ("$pageview",), []),
        ("Order Placed|order_paid", ("Order Placed", "order_paid"), []),
        ("a | b|a", ("a", "b"), []),
        ("*", (), []),
        ("a|*", (), []),
        ("*[target_id=home]", (), ["target_id=home"]),
        ("buy[plan=pro]", ("buy",), ["plan=pro"]),
        ("buy [ plan = pro , amount>=5 ]", ("buy",), ["plan=pro", "amount>=5"]),
        ("buy[plan in pro,team]", ("buy",), ["plan in pro,team"]),
        ("buy[plan in pro,team,amount>5]", ("buy",), ["plan in pro,team", "amount>5"]),
        ("buy[plan exists,coupon not-in a,b, c]", ("buy",), ["plan exists", "coupon not-in a,b,c"]),
        ("buy[note=well, yes]", ("buy",), ["note=well, yes"]),
        ("buy[path=/a[1]]", ("buy",), ["path=/a[1]"]),
        ("a|b[x=1]", ("a", "b"), ["x=1"]),
    ],
)
def test_a_step_says_its_events_and_conditions(text, event_types, conditions):
    step = one(text)
    assert step.event_types == event_types
    assert step.conditions == tuple(condition(text) for text in conditions)
    assert step.text == text.strip()


@pytest.mark.parametrize(
    ("text", "event_types", "conditions"),
    [
        ("help?", ("help",), []),
        ("help ?", ("help",), []),
        ("a|b?", ("a", "b"), []),
        ("*?", (), []),
        ("help[topic=price]?", ("help",), ["topic=price"]),
        ("help[topic=why?]?", ("help",), ["topic=why?"]),
    ],
)
def test_a_step_that_ends_in_a_question_mark_is_optional(text, event_types, conditions):
    step = one(text)
    assert (step.optional, step.event_types, step.text) == (True, event_types, text)
    assert step.conditions == tuple(condition(text) for text in conditions)
    assert not one("help[topic=why?]").optional


@pytest.mark.parametrize("text", ["", "  ", "?", "[plan=pro]", "signup|", "|signup"])
def test_a_step_that_the_shell_ate_is_told_to_use_single_quotes(text):
    with pytest.raises(UsageError, match=r"step 2 .* names no event") as told:
        steps.parse(["signup", text])
    assert "use single quotes" in told.value.hint


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("buy[plan=pro", "does not end with"),
        ("buy[plan=pro] now", "does not end with"),
        ("buy]", "in the middle"),
        ("a[x=1]|b[y=2]", "in the middle"),
        ("buy[]", "step 1: '' is no condition"),
        ("buy[plan]", "step 1: 'plan' is no condition"),
    ],
)
def test_a_step_that_cannot_be_read_is_refused(text, says):
    with pytest.raises(UsageError) as told:
        steps.parse([text])
    assert says in str(told.value)
    assert told.value.hint


@pytest.mark.parametrize("count", [0, 33])
def test_a_funnel_has_1_to_32_steps(count):
    assert len(steps.parse(["a"] * 32)) == 32
    with pytest.raises(UsageError, match=f"1 to 32 steps, not {count}"):
        steps.parse(["a"] * count)


def test_what_a_person_typed_goes_into_parameters_only():
    sql, params = steps.as_sql(one("it's|b[x='; DROP]"), "step_1")
    assert "it's" not in sql
    assert "DROP" not in sql
    assert params["step_1_types"] == ["it's", "b"]
    assert "'; DROP" in params.values()
    assert steps.as_sql(one("*"), "step_1") == ("TRUE", {})
