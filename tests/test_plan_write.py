"""A plan as text, and a plan file that grows."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_plan_validator import RULES

from evlog.errors import PlanError
from evlog.event.plan import Component, EventRule, Funnel, Index, Pair, Part, Plan, Property
from evlog.event.plan_file import parse
from evlog.event.plan_write import add, dumps
from evlog.event.starter import STARTER
from evlog.event.steering import STEERING

RULE = EventRule(
    category="tool",
    description='says "hi"\nand \\ more',
    required=("user_id",),
    properties={
        "n": Property(type="integer", min=0, required=True),
        "$a b": Property(type="string", one_of=("x", "ü")),
    },
)
FILE = """\
# my plan
version = "1"   # keep me

[events.a]      # the first
category = "c"
[events.a.properties]
x = "integer"   # of x

[pairs.p]
start = "a"
complete = "b"
"""


def test_a_plan_is_written_as_people_write_it():
    plan = Plan(version="2", inactive=("a",), events={"a b": RULE}, pairs={"p": Pair(start="a", complete="b")})
    assert dumps(plan) == (
        'version = "2"\n'
        'inactive = ["a"]\n\n'
        '[events."a b"]\n'
        'category = "tool"\n'
        'description = "says \\"hi\\"\\nand \\\\ more"\n'
        'required = ["user_id"]\n\n'
        '[events."a b".properties."$a b"]\n'
        'type = "string"\n'
        'one_of = ["x", "ü"]\n\n'
        '[events."a b".properties.n]\n'
        'type = "integer"\n'
        "required = true\n"
        "min = 0\n\n"
        "[pairs.p]\n"
        'start = "a"\n'
        'complete = "b"\n'
    )
    assert dumps(Plan.open()) == "\n"


NAME = st.text(alphabet='ab_ .-ü$"\\\x7f\x9b\u202e\U000e0001\n', min_size=1, max_size=4).filter(
    lambda name: name.strip() and not set(name) & set('"\\\n')
)
WORD = st.text(alphabet='ab"\\\n\t ü\x7f\x9b\u2028😀', min_size=1, max_size=5).filter(str.strip)

NUMBERS = st.floats(2, 9) | st.integers(2, 9).map(float)
COMPONENTS = st.one_of(
    st.builds(Component, measure=st.just("events"), max=NUMBERS, min=st.just(0.0), weight=NUMBERS, events=st.lists(WORD, unique=True).map(tuple)),
    st.builds(Component, measure=st.just("avg"), max=NUMBERS, min=st.just(1.5), weight=st.just(1.0), property=WORD),
    st.builds(Component, measure=st.just("rate"), max=NUMBERS, min=st.just(0.0), weight=st.just(1.0), pair=WORD),
)  # fmt: skip


@settings(max_examples=200)
@given(
    st.builds(
        Plan,
        version=WORD | st.just(""),
        anonymous_ids=st.none() | st.just("a.*\\d"),
        inactive=st.lists(WORD, unique=True).map(tuple),
        events=st.dictionaries(NAME, RULES, max_size=3),
        pairs=st.dictionaries(NAME, st.builds(Pair, start=WORD, complete=WORD, abandon=st.none() | WORD), max_size=2),
        funnels=st.dictionaries(NAME, st.builds(Funnel, steps=st.lists(WORD, min_size=1, max_size=4).map(tuple), window=st.none() | st.just("1d")), max_size=2),
        errors=st.lists(WORD, unique=True, max_size=2).map(tuple),
        parts=st.dictionaries(NAME, st.builds(Part, targets=st.lists(WORD, unique=True, min_size=1).map(tuple), title=WORD), max_size=2),
        indices=st.dictionaries(NAME, st.builds(Index, components=st.dictionaries(NAME, COMPONENTS, min_size=1, max_size=2)), max_size=2),
    )
)  # fmt: skip
def test_what_is_written_reads_the_same(plan: Plan):
    low_high = [(rule.min, rule.max) for event in plan.events.values() for rule in event.properties.values()]
    if any(low is not None and high is not None and low > high for low, high in low_high):
        with pytest.raises(PlanError, match="at least min"):
            parse(dumps(plan))
    else:
        assert parse(dumps(plan)) == plan
        assert parse(dumps(plan)).fingerprint == plan.fingerprint
    assert not STEERING.search(dumps(plan).replace("\n", ""))


@pytest.mark.parametrize("text", [FILE, FILE.rstrip("\n"), FILE.replace("\n", "\r\n"), "", STARTER, "# only a comment"])
def test_add_keeps_the_file_and_appends_the_type(text: str):
    grown = add(text, "tool open", RULE)
    assert grown.startswith(text)
    before, after = parse(text), parse(grown)
    assert after.events == {**before.events, "tool open": RULE}
    assert after.pairs == before.pairs
    assert after.version == before.version
    if "\r\n" in text:
        assert "\n" not in grown.replace("\r\n", "")


def test_add_brings_the_properties_that_are_new_to_a_type():
    grown = add(FILE, "a", EventRule(properties={"x": Property(type="integer"), "y": Property(type="string")}))
    assert grown.startswith(FILE)
    assert parse(grown).events["a"].properties == {"x": Property(type="integer"), "y": Property(type="string")}
    assert parse(grown).events["a"].category == "c"
    with pytest.raises(PlanError, match="has these properties already"):
        add(grown, "a", EventRule(properties={"y": Property(type="any")}))


@pytest.mark.parametrize("text", ["events = {a = {category = 'c'}}", "[events]\na = {properties = {x = 'integer'}}"])
def test_add_refuses_a_file_that_cannot_grow(text: str):
    with pytest.raises(PlanError, match="cannot append a to") as caught:
        add(text, "a", RULE)
    assert "[events.a]" in str(caught.value.hint)


def test_add_refuses_a_broken_file_and_a_name_that_is_none():
    with pytest.raises(PlanError, match="not TOML"):
        add("[events", "a", RULE)
    with pytest.raises(PlanError, match="cannot append"):
        add(FILE, 'a"b', RULE)
