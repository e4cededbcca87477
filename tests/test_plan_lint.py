"""What lint finds in a plan."""

import pytest

from evlog.event.lint import lint, types_of
from evlog.event.naming import snake, style, words
from evlog.event.plan_file import parse


def found(text: str, *, level: str | None = None) -> list[str]:
    return [f"{one.level} {one.where}: {one.message}" for one in lint(parse(text)) if level in {None, one.level}]


def types(*names: str) -> str:
    return "\n".join(f"[events.'{name}']\ndescription = 'x'" for name in names)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["exercise_start", "tool_open", "error", "part_1", "part_2", "signup"], []),
        (
            ["TOOL_OPEN", "PAGE_VIEW", "page_close"],
            ["warning events.page_close: not in SCREAMING_SNAKE as the others are: PAGE_CLOSE"],
        ),
        (["tool_open", "pageView"], ["warning events.pageView: not in snake_case as the others are: page_view"]),
        (
            ["tool_open", "Page Viewed"],
            ['warning events."Page Viewed": not in snake_case as the others are: page_viewed'],
        ),
        (["start_exercise"], ["note events.start_exercise: name the object first, then the action: exercise_start"]),
        (["post_liked", "search_opened"], []),
        (
            ["exercise_start", "exercise_started"],
            ["warning events.exercise_started: perhaps the same as exercise_start: another form of the word"],
        ),
        (
            ["exercise_start", "exercise_strat"],
            ["warning events.exercise_strat: perhaps the same as exercise_start: one letter"],
        ),
        (
            ["exercise_start", "exercise_stat"],
            ["warning events.exercise_stat: perhaps the same as exercise_start: one letter"],
        ),
        (
            ["exercise_start", "exercise_stirt"],
            ["warning events.exercise_stirt: perhaps the same as exercise_start: one letter"],
        ),
        (["exercise_stop", "exercise_start"], []),
        (["step_a", "step_b"], []),
    ],
)
def test_names(names: list[str], told: list[str]):
    assert found(types(*names)) == told


def test_spelling_is_told_once():
    told = found(types("tool_open", "toolOpen"))
    assert told == [
        "warning events.toolOpen: not in snake_case as the others are: tool_open",
        "warning events.tool_open: perhaps the same as toolOpen: spelt differently",
    ]


def test_references_to_nothing():
    text = (
        types("a_x", "b_y")
        + """
    [pairs.p]
    start = "a_x"
    complete = "nope"
    abandon = "a_x"
    [funnels.f]
    steps = ["a_x|gone[x=1]", "*", "b_y"]
    """
    )
    assert found('inactive = ["who"]\n' + text) == [
        "error funnels.f: the plan has no event type gone",
        "error inactive: the plan has no event type who",
        "error pairs.p: start, complete and abandon are not three different types",
        "error pairs.p: the plan has no event type nope",
    ]
    assert found('inactive = ["who"]') == []


def test_what_parts_and_indices_name():
    text = (
        'errors = ["oops"]\nrequests = ["call"]\n'
        + types("a_x", "b_y")
        + """
    [events.a_x.properties]
    n = "integer"
    [parts.one]
    targets = ["1", "2"]
    [parts.two]
    targets = ["2"]
    [indices.i.components.c]
    measure = "sum"
    events = ["a_x", "gone"]
    property = "properties.n"
    max = 1
    [indices.i.components.d]
    measure = "rate"
    pair = "none"
    [indices.i.components.e]
    measure = "avg"
    property = "m.k"
    max = 1
    """
    )
    assert found(text, level="error") == [
        "error errors: the plan has no event type oops",
        "error indices.i.components.c: the plan has no event type gone",
        "error indices.i.components.d: the plan has no pair none",
        "error requests: the plan has no event type call",
    ]
    assert found(text, level="warning") == [
        "warning indices.i.components.e: none of its event types has a property m",
        "warning parts.two: 2 is in one too",
    ]


def test_personal_data_and_one_name_with_several_types():
    text = (
        types("a_x", "b_y")
        + """
    [events.a_x.properties]
    email = "string"
    user_name = { type = "string", pii = "allow" }
    tokens = "integer"
    phone = "integer"
    mobile = "boolean"
    n = "integer"
    [events.b_y.properties]
    n = "string"
    one = { type = "string", one_of = ["x"] }
    """
    )
    assert found(text) == [
        'warning events.a_x.properties.email: personal data by its name: drop it, or say pii = "allow"',
        'warning events.a_x.properties.phone: personal data by its name: drop it, or say pii = "allow"',
        "warning properties.n: one name, several types: integer in a_x, string in b_y",
        "note events.b_y.properties.one: has one value only, so it says nothing",
    ]


def test_gaps():
    assert found("[events.a_x]\ncategory = 'c'\n[events.b_y]\ndescription = 'd'") == [
        "note events.a_x: has no description",
        "note events.b_y: has no category, while others have",
    ]


def test_steps_and_names_are_taken_apart():
    assert types_of("a|b[plan in x,y]") == ("a", "b")
    assert types_of("*") == ()
    assert types_of("a|b?") == types_of("a|b[x=1]?") == ("a", "b")
    assert words("exerciseStart") == ("exercise", "start")
    assert words("HTTPError_2x-Ümlaut") == ("http", "error", "2x", "ümlaut")
    assert [style(name) for name in ("a_b", "A_B", "aB", "a-b", "A b", "a_B")] == [
        "snake_case", "SCREAMING_SNAKE", "camelCase", "kebab-case", "words", "mixed",
    ]  # fmt: skip
    assert snake("Exercise Started") == "exercise_started"
