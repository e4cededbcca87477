"""Which options of a funnel agree, and what they come to when a bundle is named (metrics §7, §16)."""

import pytest

from evlog.errors import UsageError
from evlog.kernel.rules import FOREVER, Exclusion
from evlog.query.funnel.asked import Given, differences, resolve
from evlog.query.funnel.manner import MANNERS, USUAL

SECOND = 1_000_000
BETWEEN = {"exclude", "hold", "ignore", "unit", "per", "like", "explain", "histogram", "timeout"}


def asked(steps=("a", "b"), *, by=False, **said):
    apart = {name: said.pop(name) for name in BETWEEN & said.keys()}
    return resolve(Given(tuple(steps), said, **apart), by=by)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"order": "sideways"}, "--order"),
        ({"exclusion": "maybe"}, "--exclusion"),
        ({"strict_scope": "none", "order": "strict"}, "--strict-scope"),
        ({"per": "hour"}, "--per"),
        ({"like": "nobody"}, "--like"),
        ({"ignore": ("x",)}, "strict order"),
        ({"strict_scope": "steps"}, "strict order"),
        ({"anchor_first": True}, "--anchor-first"),
        ({"grace": "2s", "ties": "seq"}, "--ties seq"),
        ({"grace": "soon"}, "no duration"),
        ({"unit": "plan", "within_session": True}, "--within-session"),
        ({"unit": "a b"}, "no key"),
        ({"explain": "ann", "per": "day"}, "not of periods"),
        ({"explain": "ann", "by": True}, "not of groups"),
        ({"explain": "ann", "unit": "session"}, "one user"),
        ({"like": "flags", "order": "any"}, "--order"),
        ({"like": "flags", "window": "1h"}, "--window"),
        ({"like": "flags", "exclude": ("x",)}, "--exclude"),
        ({"like": "flags", "histogram": True}, "--histogram"),
        ({"like": "flags", "steps": ("a", "b?")}, "no optional steps"),
        ({"like": "open", "attribution": "first"}, "own values"),
        ({"exclude": ("x@2..1",)}, "x@2..1"),
        ({"exclude": ("x@1..3",)}, "x@1..3"),
        ({"exclude": ("x@2",)}, "between which steps"),
        ({"exclude": ("x@",)}, "between which steps"),
        ({"exclude": ("x",), "steps": ("a",)}, "no such two"),
        ({"exclude": ("x@1..2",), "steps": ("a", "b?", "c")}, "required steps"),
        ({"attribution": "step:3"}, "step:3"),
        ({"attribution": "step:2", "steps": ("a", "b?")}, "step:2"),
        ({"attribution": "best"}, "--attribution"),
        ({"step_window": "soon"}, "--step-window"),
        ({"window": "soon"}, "--window"),
        ({"hold": ("a b",)}, "no key"),
        ({"steps": ("a?", "b")}, "cannot be optional"),
        ({"steps": ("a", "b?"), "order": "any"}, "no step is optional"),
    ],
)
def test_what_does_not_agree_is_refused_with_a_hint(said, says):
    with pytest.raises(UsageError, match=says) as told:
        asked(**said)
    assert told.value.hint


def test_without_options_a_funnel_is_as_usual():
    rules = asked().rules
    assert (rules.order, rules.attempt, rules.ties, rules.window) == ("ordered", "best", "step", 14 * 86_400 * SECOND)
    assert (rules.step_window, rules.grace, rules.start, rules.share, rules.anchored) == (
        FOREVER,
        0,
        "last",
        False,
        False,
    )


def test_an_exclusion_counts_the_steps_as_they_are_written():
    found = asked(("a", "b?", "c", "d"), exclude=("x", "x[n=1]@3..4", "y@at@1..3", "x@1..4"))
    assert [step.text for step in found.excluded] == ["x", "x[n=1]", "y@at"]
    assert found.rules.exclusions == (Exclusion(0, 1, 3), Exclusion(1, 2, 3), Exclusion(2, 1, 2), Exclusion(0, 1, 3))


def test_the_longest_that_a_chain_takes_is_bounded_by_both_windows():
    assert asked(("a", "b", "c"), window="10m", step_window="2m").reach == 240 * SECOND
    assert asked(("a", "b", "c"), window="3m", step_window="2m").reach == 180 * SECOND
    assert asked(("a", "b?"), window="none", step_window="2m").reach == 120 * SECOND
    assert asked(("a",), step_window="2m", window="none").reach == FOREVER


@pytest.mark.parametrize("like", MANNERS)
def test_a_bundle_sets_known_options_unless_one_is_said(like):
    bundle = MANNERS[like].options
    assert bundle.keys() <= USUAL.keys()
    found = asked(like=like)
    wanted = {**bundle, "anchor_first": False} if "anchor_first" in bundle else bundle
    assert {name: found.options[name] for name in wanted} == dict(wanted)
    assert differences(found)


def test_a_flag_stands_above_the_bundle_and_out_of_its_differences():
    assert differences(asked(like="mixpanel")) == "attempt first, window 7d, grace 2s, start first"
    assert differences(asked(like="mixpanel", window="1h", grace="0s")) == "attempt first, start first"
    assert differences(asked(like="posthog", exclusion="drop", cut=False)) == "no difference from the default"
