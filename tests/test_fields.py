"""From anybody's field names to ours: the shapes of docs/events.md, and that nothing a line says is lost."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evlog.event import fields
from evlog.event.reject import Rejected

BASE = {"event_id": "e1", "ts": "2026-03-01T10:00:00Z", "event_type": "view"}


def resolved(event, mapping=()):
    draft = fields.resolve(event, mapping)
    return {**draft.values, "properties": draft.properties, "context": draft.context}


@pytest.mark.parametrize("name", fields.ALIASES)
def test_the_canonical_name_wins_then_the_order_of_the_list(name):
    names = fields.ALIASES[name]
    assert names[0] == name
    for first, second in itertools.pairwise(names):
        draft = fields.resolve({second: "b", first: "a"})
        assert draft.values[name] == "a"
        assert draft.properties == {second: "b"}
        assert draft.conflicts == 1


@pytest.mark.parametrize("name", fields.ALIASES)
def test_each_alias_alone_will_do(name):
    for alias in fields.ALIASES[name]:
        draft = fields.resolve({alias: "a"})
        assert (draft.values, draft.properties, draft.conflicts) == ({name: "a"}, {}, 0)


def test_aliases_that_agree_are_no_conflict():
    draft = fields.resolve({"user_id": 7, "userId": "7", "uid": 7, "type": "x", "event": "x"})
    assert draft.values == {"user_id": 7, "event_type": "x"}
    assert (draft.properties, draft.conflicts) == ({}, 0)


@pytest.mark.parametrize("nothing", [None, ""])
def test_null_and_empty_give_way_to_the_next_alias(nothing):
    draft = fields.resolve({"user_id": nothing, "userId": "ann", "event_type": nothing, "type": "x"})
    assert draft.values == {"user_id": "ann", "event_type": "x"}
    assert draft.conflicts == 0


def test_an_empty_event_id_is_kept_to_be_refused():
    assert fields.resolve({"event_id": "", "id": "x"}).values["event_id"] == ""


def test_an_object_under_a_short_name_is_a_property():
    assert resolved({"user": {"plan": "pro"}, "event": {"a": 1}, "type": "x"}) == {
        "event_type": "x",
        "properties": {"user": {"plan": "pro"}, "event": {"a": 1}},
        "context": {},
    }


@pytest.mark.parametrize("key", fields.PROPERTIES)
@pytest.mark.parametrize("form", [dict, json.dumps, lambda value: f" {json.dumps(value)} "])
def test_containers_hold_properties_as_objects_or_as_text(key, form):
    assert resolved({key: form({"a": 1, "b": {"c": [2]}})})["properties"] == {"a": 1, "b": {"c": [2]}}


@pytest.mark.parametrize("key", fields.PROPERTIES)
@pytest.mark.parametrize("nothing", [None, "", "null", {}, "{}", []])
def test_empty_containers_hold_nothing(key, nothing):
    assert resolved({key: nothing})["properties"] == {}


@pytest.mark.parametrize("key", fields.CONTEXT)
@pytest.mark.parametrize("form", [dict, json.dumps])
def test_context_and_its_aliases(key, form):
    assert resolved({key: form({"os": "linux"})})["context"] == {"os": "linux"}


@pytest.mark.parametrize("key", ["event_data", "properties", "context"])
@pytest.mark.parametrize("value", ["{broken", '{"a":1', "plain", 5, True, [1], '{"a":1}{"b":2}', "{'a': 1}"])
def test_a_container_that_holds_no_object_is_refused(key, value):
    with pytest.raises(Rejected) as refused:
        fields.resolve({key: value})
    assert refused.value.code == "bad_property"
    assert refused.value.problems[0].field == key


@pytest.mark.parametrize("value", ["free text", 5, True, [1, 2]])
def test_other_containers_may_be_plain_values(value):
    assert resolved({"data": value})["properties"] == {"data": value}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"a":1,"a":2}', "duplicate_key"),
        ('{"a":18446744073709551616}', "number_range"),
        ('{"a":"\\ud800"}', "bad_utf8"),
        ('{"a":' + "[" * 64 + "]" * 64 + "}", "too_deep"),
    ],
)
def test_json_inside_a_text_is_held_to_the_same_rules(text, code):
    with pytest.raises(Rejected) as refused:
        fields.resolve({"event_data": text})
    assert refused.value.code == code


def test_the_first_container_to_name_a_key_wins_and_the_other_value_is_kept_in_context():
    draft = fields.resolve({"properties": {"a": 1, "b": 2}, "metadata": {"a": 9, "b": 2}, "a": 7})
    assert draft.properties == {"a": 1, "b": 2}
    assert draft.context == {"conflicts": {"a": 9}}
    assert draft.conflicts == 2


def test_unknown_keys_become_properties():
    assert resolved({"type": "x", "url": "/a", "n": 2**53 + 1, "deep": {"k": [1]}})["properties"] == {
        "url": "/a",
        "n": 2**53 + 1,
        "deep": {"k": [1]},
    }


@pytest.mark.parametrize("key", fields.ANONYMOUS)
def test_the_anonymous_id_inside_metadata_is_taken_out(key):
    assert resolved({"metadata": {key: "anon", "k": 1}}) == {
        "anonymous_id": "anon", "properties": {"k": 1}, "context": {},
    }  # fmt: skip
    both = resolved({"anonymousId": "mine", "metadata": {key: "other"}})
    assert (both["anonymous_id"], both["properties"]) == ("mine", {key: "other"})
    assert resolved({"properties": {key: "anon"}})["properties"] == {key: "anon"}
    assert resolved({"metadata": {key: ""}})["properties"] == {key: ""}


@pytest.mark.parametrize(
    ("event", "target"),
    [
        ({"courseId": "c"}, ("course", "c")),
        ({"courseId": "c", "moduleId": "m"}, ("module", "m")),
        ({"courseId": "c", "moduleId": "m", "lessonId": "l"}, ("lesson", "l")),
        ({"course_id": 7}, ("course", 7)),
        ({"courseId": "c", "lessonId": None}, ("course", "c")),
        ({"courseId": "c", "lessonId": ""}, ("course", "c")),
        ({"courseId": "c", "targetType": "page", "targetId": "p"}, ("page", "p")),
        ({"courseId": "c", "target_id": "p"}, (None, "p")),
    ],
)
def test_courses_modules_and_lessons_are_targets_and_stay_properties(event, target):
    draft = fields.resolve(event)
    assert (draft.values.get("target_type"), draft.values.get("target_id")) == target
    assert draft.properties == {key: value for key, value in event.items() if not key.startswith("target")}


@pytest.mark.parametrize(
    "said",
    [
        {"privacy": {"consent_given": False}}, {"privacy": {"consentGiven": "false"}}, {"privacy": {"consent": 0}},
        {"privacy": {"analytics": "denied"}}, {"privacy": {"consent": {"analytics": False}}},
        {"privacy": '{"consent_given": false}'}, {"privacy": ' {"consent": "no"}'}, {"privacy.consent_given": False},
        {"consent": False}, {"consent": "No"}, {"consent": " FALSE "}, {"consent": 0}, {"consent": 0.0},
        {"consent": "denied"}, {"consent": "withdrawn"}, {"consent": "revoked"}, {"consent": "off"},
        {"consent": {"given": False}}, {"consent": {"granted": "no"}}, {"consent": {"analytics_storage": "denied"}},
        {"consent": {"analytics": {"granted": False}}}, {"consent_given": False}, {"consentGiven": "0"},
        {"consent_given": True, "privacy": {"consent_given": False}}, {"consent": True, "consentGiven": False}, {"consent": {"analytics": False, "given": True}},
    ],
)  # fmt: skip
def test_a_refusal_anywhere_wins(said):
    assert fields.consent(BASE | said) is False


@pytest.mark.parametrize(
    "said",
    [
        {"privacy": {"consent_given": True}}, {"privacy": {"consent_given": "true"}}, {"consent": "granted"},
        {"consent": 1}, {"consent": "YES"}, {"consentGiven": True}, {"consent": {"analytics": True, "marketing": False}},
        {"privacy": '{"consent_given": true}'}, {"privacy.consent_given": "on"},
    ],
)  # fmt: skip
def test_consent_given(said):
    assert fields.consent(BASE | said) is True


@pytest.mark.parametrize(
    "said",
    [
        {}, {"privacy": None}, {"privacy": {}}, {"privacy": {"ip_anonymized": True}}, {"consent": None},
        {"consent": {"marketing": False}}, {"consent": []}, {"consent": "perhaps"}, {"privacy": "{broken"},
        {"properties": {"consent": False}},
    ],
)  # fmt: skip
def test_no_word_of_consent(said):
    assert fields.consent(BASE | said) is None


def test_what_was_said_of_consent_stays_in_context():
    privacy = {"consent_given": True, "ip_anonymized": True}
    assert resolved({"privacy": privacy, "consent": True})["context"] == {"privacy": privacy, "consent": True}


def test_what_evlog_added_is_dropped_when_an_export_comes_back():
    export = BASE | {
        "properties": {"a": 1},
        "received_at": "2026-03-02T00:00:00Z",
        "seq": 67108864,
        "date": "2026-03-01",
    }
    assert resolved(export) == BASE | {"properties": {"a": 1}, "context": {}}
    foreign = {"type": "x", "seq": 5, "received_at": "later", "date": "2026-03-01", "user_key": 1}
    assert resolved(foreign)["properties"] == {key: foreign[key] for key in ("seq", "received_at", "date", "user_key")}


def test_a_mapping_goes_before_every_alias_and_takes_the_value_out():
    mapping = (("user_id", ("actor", "id")), ("properties.org.name", ("org",)), ("context.ip_hash", ("h",)))
    event = {"user_id": "alias", "actor": {"id": 9, "kind": "bot"}, "org": "acme", "h": "x"}
    before = json.dumps(event)
    draft = fields.resolve(event, mapping)
    assert draft.values == {"user_id": 9}
    assert draft.properties == {"user_id": "alias", "actor": {"kind": "bot"}, "org": {"name": "acme"}}
    assert draft.context == {"ip_hash": "x"}
    assert json.dumps(event) == before


def test_a_mapping_reaches_into_json_text_and_passes_by_what_is_not_there():
    mapping = (("user_id", ("payload", "who")), ("session_id", ("no", "where")))
    draft = fields.resolve({"payload": '{"who": "ann", "k": 1}', "sessionId": "s"}, mapping)
    assert draft.values == {"user_id": "ann", "session_id": "s"}
    assert draft.properties == {"k": 1}


scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
names = st.sampled_from(
    [*(alias for group in fields.ALIASES.values() for alias in group), *fields.PROPERTIES, "url", "x"]
)


@settings(deadline=None)
@given(st.dictionaries(names, values, max_size=6))
def test_every_scalar_of_an_event_is_found_again(event):
    """Nothing a line says is lost: each value is a field, a property, in context, or was counted as a conflict."""
    try:
        draft = fields.resolve(event)
    except Rejected:
        return
    kept = json.dumps([list(draft.values.values()), draft.properties, draft.context], default=str)
    for key, value in event.items():
        lonely = isinstance(value, str | int) and not isinstance(value, bool) and value not in {"", "null"}
        if lonely and not draft.conflicts and not str(value).strip().startswith("{"):
            assert json.dumps(value) in kept or str(value) in {str(one) for one in draft.values.values()}, key
