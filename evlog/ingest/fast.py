"""The fast lane: a typed decoder for lines that are already nearly canonical, compiled from the plan.

What it takes, the exact judge (`check.Judge`) would take too and turn into the same bytes; a test holds the two against
each other. Whatever it does not take at once (another field name, a nested object, a null, anything unusual) goes to
the judge: the lane is an economy, never a second opinion.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from evlog.event.validator import Validator

if TYPE_CHECKING:
    from collections.abc import Callable

    from evlog.event.plan import EventRule, Plan

Scalar = str | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | float | bool
Flat = dict[str, Scalar]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]

_OPTIONAL = ("category", "user_id", "anonymous_id", "session_id", "target_type", "target_id", "feature", "source")
_OPTIONS: dict[str, Any] = {"forbid_unknown_fields": True, "omit_defaults": True, "gc": False, "kw_only": True}


def decoder(plan: Plan) -> tuple[Callable[[bytes], Any], dict[type, str]] | None:
    """`decode(line)` to an event with the attributes of `record.Line`, and the category each class of event is given.

    None if the plan leaves nothing to decode fast.
    """
    if plan.is_open:
        shape = _struct("Open", [("event_type", Text)], ("properties", Flat | None, None), {})
        return msgspec.json.Decoder(shape).decode, {}
    validator = Validator(plan)
    shapes = {name: _planned(name, plan.events[name], validator.property_type(name)) for name in validator.fast_types()}
    if not shapes:
        return None
    categories = {shapes[name]: category for name in shapes if (category := plan.events[name].category)}
    return msgspec.json.Decoder(reduce(or_, shapes.values())).decode, categories


def _planned(name: str, rule: EventRule, kind: Any) -> Any:
    needed = any(wanted.required for wanted in rule.properties.values())
    properties = ("properties", kind) if needed else ("properties", kind | None, None)
    return _struct("Planned", [], properties, {"tag_field": "event_type", "tag": name}, required=rule.required)


def _struct(name: str, head: list[Any], properties: Any, tag: dict[str, str], required: tuple[str, ...] = ()) -> Any:
    def member(field: str, kind: Any) -> Any:
        return (field, kind) if field in required else (field, kind | None, None)

    fields = [("event_id", Text), ("ts", str), *(member(field, Text) for field in _OPTIONAL)]
    return msgspec.defstruct(name, [*head, *fields, properties, member("context", Flat)], **_OPTIONS, **tag)
