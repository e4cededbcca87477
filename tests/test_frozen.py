"""Dataclasses that cost little to make are held against the standard ones."""

from __future__ import annotations

import copy
import dataclasses
import operator
import pickle
import subprocess
import sys
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evlog import frozen
from evlog.window import AsOf

BODY = """
@made.dataclass(frozen=True, slots=True{order})
class Thing:
    "A thing."

    one: int
    two: str = "two"
    three: dict = made.field(default_factory=dict)
    four: Any = made.field(default=4, repr=False)

    @property
    def both(self) -> str:
        return f"{{self.one}}{{self.two}}"
"""
ORDERS = (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne)


def thing(made, order=""):
    space: dict[str, Any] = {"made": made, "Any": Any, "__name__": __name__}
    exec(BODY.format(order=order), space)
    return space["Thing"]


OURS, THEIRS = (thing(made) for made in (frozen, dataclasses))
ORDERED = [thing(made, ", order=True") for made in (frozen, dataclasses)]
VALUES = st.lists(st.integers(0, 2), max_size=6)
NAMED = st.dictionaries(st.sampled_from(["one", "two", "three", "four", "five"]), st.integers(0, 2))


def came(function, *args, **named):
    """What a call answers, or what kind of error it is."""
    try:
        return function(*args, **named)
    except TypeError:
        return TypeError


@given(VALUES, NAMED)
def test_they_are_made_of_the_same_values_and_refuse_the_same(values, named):
    ours, theirs = came(OURS, *values, **named), came(THEIRS, *values, **named)
    assert repr(ours) == repr(theirs)
    if theirs is not TypeError:
        assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
        assert ours.both == theirs.both


@given(st.lists(st.integers(0, 2), min_size=4, max_size=4), st.lists(st.integers(0, 2), min_size=4, max_size=4))
def test_they_compare_and_hash_as_their_values_do(some, others):
    ours, theirs = ([cls(*some), cls(*others)] for cls in ORDERED)
    assert [came(compare, *ours) for compare in ORDERS] == [came(compare, *theirs) for compare in ORDERS]
    assert (hash(ours[0]) == hash(ours[1])) == (some == others)
    assert came(operator.lt, ours[0], theirs[0]) is TypeError
    assert came(operator.lt, OURS(*some), OURS(*others)) is TypeError
    assert ours[0] != tuple(some)


@given(st.dictionaries(st.sampled_from(["one", "two", "three", "four", "five"]), st.integers(0, 2)))
def test_they_are_replaced_alike(changes):
    ours, theirs = (came(made.replace, cls(1), **changes) for made, cls in ((frozen, OURS), (dataclasses, THEIRS)))
    assert repr(ours) == repr(theirs)
    assert repr(came(dataclasses.replace, OURS(1), **changes)) == repr(theirs)
    assert repr(came(frozen.replace, THEIRS(1), **changes)) == repr(theirs)


def test_the_standard_library_knows_their_fields():
    def told(cls):
        return [(one.name, one.type, one.default, one.default_factory, one.repr) for one in dataclasses.fields(cls)]

    assert told(OURS) == told(THEIRS)
    assert dataclasses.is_dataclass(OURS)
    assert OURS.__match_args__ == THEIRS.__match_args__


def test_nothing_can_be_set_or_added():
    one = OURS(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.one = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del one.one
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.more = 2
    assert not hasattr(one, "__dict__")


def test_a_default_is_made_anew_for_each():
    assert OURS(1).three is not OURS(1).three


def test_they_can_be_copied_and_sent():
    assert copy.deepcopy(OURS(1)) == OURS(1)
    sent = AsOf(datetime(2026, 1, 1), date(2026, 1, 1))
    assert pickle.loads(pickle.dumps(sent)) == sent


def test_making_them_imports_neither_dataclasses_nor_what_these_need():
    code = "import sys, evlog.frozen; print(*{'dataclasses', 'inspect'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
