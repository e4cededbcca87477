"""The types that lines are decoded into: compiled from the plan, and from the keys that a log was seen to have.

An object that may have any keys (a context; properties, where there is no plan) is decoded into a dict at first. Logs
say the same few keys again and again: what they have said becomes a struct, which takes a third of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from evlog.event.consent import UPDATE
from evlog.event.validator import Validator

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from evlog.event.plan import EventRule, Plan

Scalar = str | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | float | bool
Flat = dict[str, Scalar]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Keys = frozenset[str]

_OPTIONAL = ("category", "user_id", "anonymous_id", "session_id", "target_type", "target_id", "feature", "source")
_OPTIONS: dict[str, Any] = {"forbid_unknown_fields": True, "omit_defaults": True, "gc": False, "kw_only": True}


@dataclass(frozen=True, slots=True)
class Shape:
    """What lines are decoded into: events with the attributes of `record.Line`, and a `seq`."""

    one: Callable[[bytes], Any]
    all: Callable[[bytes], list[Any]]
    categories: dict[type, str]
    """The category that the plan gives to events of each class."""


def shape(plan: Plan, context: Keys | None = None, properties: Keys | None = None) -> Shape | None:
    """The shape of events whose context, and in an open plan properties, have no keys but these; None: any keys.

    None if the plan leaves nothing to decode fast.
    """
    about = _members("Context", context)
    if plan.is_open:
        kinds = [_struct("Open", [("event_type", Text)], _may("properties", _members("Properties", properties)), about)]
        return _shape(kinds, {})
    validator = Validator(plan)
    names = sorted(validator.fast_types() - {UPDATE})
    found = {name: _planned(name, plan.events[name], validator.property_type(name), about) for name in names}
    if not found:
        return None
    categories = {found[name]: category for name in found if (category := plan.events[name].category)}
    return _shape([*found.values()], categories)


def _shape(kinds: list[Any], categories: dict[type, str]) -> Shape:
    decoder = msgspec.json.Decoder(reduce(or_, kinds))
    return Shape(decoder.decode, decoder.decode_lines, categories)


def _planned(name: str, rule: EventRule, kind: Any, about: Any) -> Any:
    needed = any(wanted.required for wanted in rule.properties.values())
    properties = ("properties", kind) if needed else _may("properties", kind)
    return _struct(name, [], properties, about, required=rule.required, tag_field="event_type", tag=name)


def _struct(
    name: str, head: list[Any], properties: Any, about: Any, *, required: Collection[str] = (), **tag: Any
) -> Any:
    texts = [(one, Text) if one in required else _may(one, Text) for one in _OPTIONAL]
    context = ("context", about) if "context" in required else _may("context", about)
    fields = [*head, ("event_id", Text), ("ts", str), *texts, properties, context, _may("seq", int)]
    return msgspec.defstruct(name, fields, **_OPTIONS, **tag)


def _may(field: str, kind: Any) -> tuple[str, Any, None]:
    return (field, kind | None, None)


def _members(name: str, keys: Keys | None) -> Any:
    """The type of an object with no keys but these, in the order of canonical JSON; None: of any flat object.

    Fields are numbered and renamed, since a key may be called anything.
    """
    if keys is None:
        return Flat
    names = {f"k{number}": key for number, key in enumerate(sorted(keys))}
    fields = [(field, Scalar | UnsetType, UNSET) for field in names]
    return msgspec.defstruct(name, fields, rename=names, **_OPTIONS)
