"""A plan file in, a plan or every fault of it out."""

import dataclasses
import datetime as dt
import json
import re
import string
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evlog.errors import PlanError
from evlog.event.lint import lint
from evlog.event.plan import Component, Funnel, Index, Pair, Part, Plan
from evlog.event.plan_file import load, parse
from evlog.event.plan_write import dumps
from evlog.event.starter import STARTER, example
from evlog.event.validator import Validator

DOCS = Path(__file__).parents[1] / "docs" / "plan.md"


def faults(text: str) -> str:
    with pytest.raises(PlanError) as caught:
        parse(text)
    return str(caught.value)


def test_a_whole_plan_is_read():
    plan = parse(
        """
        version = "7"
        id = "required"
        consent = "required"
        placeholder_users = "null"
        anonymous_ids = "anon-.*"
        inactive = ["mail_sent"]
        errors = ["failure"]
        requests = ["call", "failure"]
        [events.mail_sent]
        [events.beat]
        active = false
        [events.exercise_complete]
        category = "learning"
        required = ["user_id", "target_id"]
        additional = true
        [events.exercise_complete.properties]
        device = "string"
        duration_ms = { type = "integer", min = 0, max = 10, required = true, pii = "allow" }
        mode = { type = "string", one_of = ["solo", "group"] }
        [pairs.exercise]
        start = "exercise_start"
        complete = "exercise_complete"
        abandon = "exercise_abandon"
        target_type = "exercise"
        abandon_after = "2d"
        [funnels.main]
        steps = ["a", "b|c[x=1]", "*"]
        window = "none"
        order = "any"
        within_session = true
        [parts.two]
        targets = ["2.1", "2.2"]
        required = ["2.2"]
        title = "The second"
        [parts.one]
        targets = ["1.1"]
        [indices.practice.components.volume]
        measure = "events"
        events = ["exercise_complete"]
        max = 5
        weight = 2
        [indices.practice.components.follow_through]
        measure = "rate"
        pair = "exercise"
        """
    )
    rule = plan.events["exercise_complete"]
    assert (plan.version, plan.id, plan.consent, plan.placeholder_users) == ("7", "required", "required", "null")
    assert plan.inactive_types == {"mail_sent", "beat"}
    assert (rule.category, rule.required, rule.additional) == ("learning", ("user_id", "target_id"), True)
    assert rule.properties["device"].type == "string"
    duration = rule.properties["duration_ms"]
    assert (duration.min, duration.max, duration.required) == (0, 10, True)
    assert rule.pii_allowed == {"duration_ms"}
    assert rule.properties["mode"].one_of == ("solo", "group")
    assert (plan.pairs["exercise"].abandon, plan.pairs["exercise"].abandon_after) == ("exercise_abandon", "2d")
    assert plan.funnels["main"].steps == ("a", "b|c[x=1]", "*")
    assert plan.funnels["main"].within_session
    assert plan.category_of("exercise_complete") == "learning"
    assert plan.category_of("nobody") is None
    assert not plan.is_open
    assert (plan.errors, plan.requests) == (("failure",), ("call", "failure"))
    assert list(plan.parts) == ["two", "one"]
    assert plan.parts["two"] == Part(targets=("2.1", "2.2"), required=("2.2",), title="The second")
    assert plan.parts["one"].required == ()
    assert list(plan.indices["practice"].components.items()) == [
        ("volume", Component(measure="events", events=("exercise_complete",), max=5, weight=2)),
        ("follow_through", Component(measure="rate", pair="exercise", max=1)),
    ]


def test_a_plan_without_event_types_is_open():
    assert parse("").is_open
    assert parse(STARTER).is_open
    assert Plan.open().is_open


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id = 'maybe'", 'id: expected one of required, optional, got "maybe"'),
        ("version = 3", "version: expected text without control characters, got 3"),
        ("inactive = ['a', 3]", "inactive: expected a list of texts, got an array"),
        ("anonymous_ids = '('", 'anonymous_ids: expected a regular expression, got "("'),
        ("event = {}", "event: there is no such key (did you mean events?)"),
        ("events = 3", "events: expected a table, got 3"),
        ("[part.a]", "part: there is no such key (did you mean parts?)"),
        ("[parts.a]", "parts.a.targets: expected at least one target id"),
        ("[parts.a]\ntargets = []", "parts.a.targets: expected at least one target id"),
        ("[parts.a]\ntargets = 'x'", 'parts.a.targets: expected a list of texts, got "x"'),
        ("[parts.a]\ntargets = ['x']\nrequired = ['y']", 'a.required: expected some of the targets, got "y"'),
        ("[indices.a]", "indices.a.components: expected at least one component"),
        ("[indices.a.components.c]", "indices.a.components.c.measure: missing; one of events, targets"),
        ("[indices.a.components.c]\nmeasure = 'sums'", "measure: expected one of events, targets"),
        ("[indices.a.components.c]\nmeasure = 'sum'\nmax = 3", "indices.a.components.c.property: missing"),
        ("[indices.a.components.c]\nmeasure = 'days'", "indices.a.components.c.max: missing"),
        ("[indices.a.components.c]\nmeasure = 'days'\nmax = 3\nmin = 3", "c.max: expected another number than min"),
        ("[indices.a.components.c]\nmeasure = 'days'\nmax = 3\npair = 'p'", "c.pair: expected only with measure rate"),
        ("[indices.a.components.c]\nmeasure = 'rate'", "indices.a.components.c.pair: missing"),
        ("[indices.a.components.c]\nmeasure = 'rate'\npair = 'p'\nevents = ['x']", "c.events: expected no event types"),
        ("[indices.a.components.c]\nmeasure = 'days'\nmax = 3\nweight = 0", "c.weight: expected a number above 0"),
        ("[indices.a.components.score]\nmeasure = 'days'\nmax = 3", "components.score: expected another name than group"),
        ("[events]\na = 3", "events.a: expected a table, got 3"),
        ("[events.'']", 'events."": expected a name'),
        ('[events."a\\u0000"]', "control characters"),
        ("[events.a]\ncategry = 'x'", "events.a.categry: there is no such key (did you mean category?)"),
        ("[events.a]\nrequired = ['user']", "events.a.required: expected some of category, user_id"),
        ("[events.a]\nadditional = 'yes'", 'events.a.additional: expected true or false, got "yes"'),
        ("[events.a.properties]\nb = 'integr'", "events.a.properties.b.type: expected one of string"),
        ("[events.a.properties]\nb = 'integr'", "(did you mean integer?)"),
        ("[events.a.properties]\nb = {}", "events.a.properties.b.type: missing; one of string, integer"),
        ("[events.a.properties]\nb = 3", "events.a.properties.b: expected a table, got 3"),
        ("[events.a.properties.b]\ntype = 'integer'\nmin = '3'", 'events.a.properties.b.min: expected an integer, got "3"'),
        ("[events.a.properties.b]\ntype = 'integer'\nmin = 1.5", "events.a.properties.b.min: expected an integer, got 1.5"),
        ("[events.a.properties.b]\ntype = 'number'\nmin = nan", "events.a.properties.b.min: expected a number, got nan"),
        ("[events.a.properties.b]\ntype = 'number'\nmin = true", "events.a.properties.b.min: expected a number, got true"),
        ("[events.a.properties.b]\ntype = 'integer'\nmax = 9223372036854775808", "b.max: expected an integer between"),
        ("[events.a.properties.b]\ntype = 'number'\nmin = 3\nmax = 2", "b.max: expected at least min, got 2 with min 3"),
        ("[events.a.properties.b]\ntype = 'string'\nmin = 3", "b.min: expected only with type integer or number"),
        ("[events.a.properties.b]\ntype = 'string'\nenum = ['x']", "b.enum: there is no such key (did you mean one_of?)"),
        ("[events.a.properties.b]\ntype = 'string'\none_of = []", "b.one_of: expected a list of texts, got an array"),
        ("[events.a.properties.b]\ntype = 'integer'\none_of = [true]", "b.one_of: expected a list of integers"),
        ("[events.a.properties.b]\ntype = 'string'\none_of = ['x']\nmax_length = 3", "b.one_of: expected alone"),
        ("[events.a.properties.b]\ntype = 'string'\nmax_length = -1", "b.max_length: expected an integer >= 0, got -1"),
        ("[events.a.properties.b]\ntype = 'any'\npii = 'no'", "b.pii: expected one of guard, allow"),
        ("[pairs.a]\nstart = 'x'", "pairs.a.complete: missing"),
        ("[pairs.a]\nstart = 'x'\ncomplete = 'y'\nabandon_after = '1 day'", "pairs.a.abandon_after: expected a duration"),
        ("[funnels.a]", "funnels.a.steps: missing; a list of 1 to 32 steps"),
        ("[funnels.a]\nsteps = ['a', '']", "funnels.a.steps: expected each step to be a text that is not empty"),
        ("[funnels.a]\nsteps = ['a']\norder = 'orderd'", "(did you mean ordered?)"),
        ("[events.a", "not TOML"),
        ("a = 1\na = 2", "not TOML"),
        ("a = " + "9" * 5000, "not TOML"),
        ("a = " + "[" * 5000, "nested too deeply"),
        ("a." * 2000 + "b = 1", "at most 1000 dots"),
        ("#" * 2_000_000, "at most 1048576 characters"),
    ],
)  # fmt: skip
def test_a_fault_names_its_place_and_what_came(text: str, told: str):
    said = faults(text)
    assert said.startswith("plan.toml")
    assert told in said
    assert "\x00" not in said


def test_all_faults_are_told_at_once():
    said = faults("id = 1\n[events.a]\nfoo = 1\n[events.a.properties]\nb = 'x'\n[pairs.p]")
    assert said.splitlines()[0] == "plan.toml has 5 faults:"
    assert len(said.splitlines()) == 6
    many = faults("\n".join(f"k{n} = 1" for n in range(500)))
    assert many.splitlines()[-1] == "  and 480 more"


def test_a_file_that_cannot_be_read_is_a_plan_error(tmp_path: Path):
    for path in (tmp_path, tmp_path / "none.toml", Path("a\0b")):
        with pytest.raises(PlanError, match="cannot be read"):
            load(path)
    file = tmp_path / "plan.toml"
    file.write_bytes(b"version = 'x'\n# \xff\n")
    with pytest.raises(PlanError, match="line 2 is not UTF-8"):
        load(file)
    file.write_bytes(b"\xef\xbb\xbfversion = 'x'\r\n")
    assert load(file).version == "x"
    file.write_bytes(b"#" * 2_000_000)
    with pytest.raises(PlanError, match="at most"):
        load(file)


WHOLE = """
version = "1"
id = "required"
anonymous_ids = "x.*"
inactive = ["a"]
errors = ["a"]
requests = ["a"]
[events.a]
category = "c"
description = "d"
required = ["user_id"]
additional = true
active = false
[events.a.properties]
short = "string"
i = { type = "integer", min = 0, max = 9, required = true, description = "d", pii = "allow" }
s = { type = "string", pattern = "x", max_length = 3 }
e = { type = "string", one_of = ["x", "y"] }
[pairs.p]
start = "a"
complete = "b"
abandon = "c"
target_type = "t"
abandon_after = "1d"
[funnels.f]
steps = ["a", "b"]
window = "1d"
step_window = "none"
order = "any"
attempt = "all"
ties = "seq"
within_session = true
[parts.one]
title = "One"
targets = ["1", "2"]
required = ["1"]
[indices.i]
description = "d"
[indices.i.components.volume]
measure = "sum"
events = ["a"]
property = "i"
min = 1
max = 9.5
weight = 2
description = "d"
[indices.i.components.rate]
measure = "rate"
pair = "p"
"""
ODD = st.one_of(
    st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5), st.dates(), st.just([]), st.just({}),
    st.lists(st.integers() | st.text(max_size=3) | st.just({}), max_size=3),
    st.dictionaries(st.text(max_size=3) | st.sampled_from(["type", "min", "a", "steps"]), st.integers() | st.text(max_size=3), max_size=3),
)  # fmt: skip


def places(table: dict, path: tuple = ()) -> list[tuple]:
    inner = [found for key, value in table.items() if isinstance(value, dict) for found in places(value, (*path, key))]
    return [*((*path, key) for key in table), *inner]


def changed(table: dict, path: tuple, value: object, *, name: str | None) -> dict:
    """`table` with `value` at `path`, under another name if one is given."""
    key, *rest = path
    copy = dict(table)
    if rest:
        copy[key] = changed(copy[key], tuple(rest), value, name=name)
    else:
        copy[key if name is None else name] = value
    return copy


def as_toml(value: object) -> str:
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{quoted(key)} = {as_toml(inner)}" for key, inner in value.items() if inner is not None)
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(as_toml(inner) for inner in value if inner is not None) + "]"
    if isinstance(value, bool):
        return json.dumps(value)
    return value.isoformat() if isinstance(value, dt.date) else quoted(value) if isinstance(value, str) else str(value)


def quoted(text: str) -> str:
    return (
        '"' + "".join(c if c in string.ascii_letters + string.digits + "_ " else f"\\U{ord(c):08x}" for c in text) + '"'
    )


@pytest.mark.long
@settings(max_examples=400)
@given(st.data())
def test_a_wrong_value_anywhere_gives_a_plan_error_or_a_plan(data: st.DataObject):
    table = tomllib.loads(WHOLE)
    path = data.draw(st.sampled_from(places(table)))
    name = data.draw(st.none() | st.text(max_size=4))
    table = changed(table, path, data.draw(ODD), name=name)
    text = "\n".join(f"{quoted(key)} = {as_toml(value)}" for key, value in table.items())
    try:
        plan = parse(text)
    except PlanError as error:
        said = str(error)
    else:
        said = ""
        assert parse(dumps(plan)) == plan
        assert re.fullmatch("[0-9a-f]{16}", plan.fingerprint)
        lint(plan)
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", said)


@settings(max_examples=200)
@given(st.text(max_size=60) | st.text(alphabet="[]{}.=\"'\n#ab1-:T\\", max_size=60))
def test_any_text_gives_a_plan_error_or_a_plan(text: str):
    said = ""
    try:
        parse(text)
    except PlanError as error:
        said = str(error)
    assert not said or said.startswith("plan.toml")


def test_the_fingerprint_follows_what_the_plan_says_and_not_how_it_is_written():
    plan = parse("inactive = ['b', 'a']\n[events.b]\n[events.a]\n[events.a.properties]\nx = 'integer'\ny = 'string'")
    same = parse(
        "# hello\n[events.a]\nproperties = {y = {type='string'}, x = 'integer'}\nactive = false\n[events.b]\nactive=false"
    )
    assert plan.fingerprint == same.fingerprint
    changed = parse("inactive = ['b', 'a']\n[events.b]\n[events.a]\n[events.a.properties]\nx = 'number'\ny = 'string'")
    assert changed.fingerprint != plan.fingerprint
    assert plan.name == plan.fingerprint
    assert parse("version = '3'").name == "3"


def test_what_came_to_plans_later_changes_only_the_fingerprint_of_plans_that_say_it():
    plain = parse("[events.a]")
    later = [
        "errors = ['a']", "requests = ['a']", "[parts.a]\ntargets = ['1']", "[parts.a]\ntargets = ['1', '2']",
        "[parts.a]\ntargets = ['1', '2']\nrequired = ['1']", "[parts.a]\ntargets = ['1']\n[parts.b]\ntargets = ['2']",
        "[parts.b]\ntargets = ['2']\n[parts.a]\ntargets = ['1']",
        "[indices.i.components.c]\nmeasure = 'days'\nmax = 3", "[indices.i.components.c]\nmeasure = 'days'\nmax = 4",
        "[indices.i.components.c]\nmeasure = 'days'\nmax = 3\nweight = 2",
    ]  # fmt: skip
    assert plain.fingerprint == "260398f7605c63ee"
    prints = [parse(f"{text}\n[events.a]").fingerprint for text in later]
    assert len({*prints, plain.fingerprint}) == len(later) + 1
    same = parse("[indices.i.components.c]\nweight = 1.0\nmax = 3.0\nmin = 0.0\nmeasure = 'days'\n[events.a]")
    assert same.fingerprint == prints[7]


def test_the_manual_tells_every_key():
    text = DOCS.read_text()
    for kind in (Plan, Pair, Funnel, Part, Index, Component):
        missing = [key.name for key in dataclasses.fields(kind) if not re.search(rf"`(\[*){key.name}[`.]", text)]
        assert not missing, kind


def test_the_starter_plan_and_its_example_are_plans():
    plan = parse(example())
    assert set(plan.events) == {"exercise_start", "exercise_complete"}
    assert plan.events["exercise_complete"].properties["duration_ms"].required
    assert plan.pairs["exercise"].target_type == "exercise"
    assert lint(plan) == ()
    assert "[events." not in re.sub(r"#.*", "", STARTER)


def test_the_plans_in_the_manual_are_plans():
    blocks = re.findall(r"```toml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert blocks
    assert [finding for finding in lint(parse(blocks[0])) if finding.level != "note"] == []
    for block in blocks:
        parse(block)


def test_the_messages_in_the_manual_are_what_is_said():
    text = DOCS.read_text()
    plan = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0]
    found = Validator(parse(plan)).check(
        "exercise_complete", {"user_id": "u", "target_id": "t"}, {"duration_ms": "soon", "devise": "phone"}
    )
    spoilt = plan.replace("category", "categry", 1).replace("min = 0", 'min = "0"')
    for line in (*(problem.says for problem in found), *faults(spoilt).splitlines()):
        assert f"    {line}\n" in text
