"""The types that lines are decoded into: compiled from the plan, and from the names that a log was seen to use.

An object that may have any keys (a context; properties, where there is no plan) is decoded into a dict at first. Logs
say the same few keys again and again: what they have said becomes a struct, which takes a third of the time. Where a
log has another name for a field, its events are decoded under that name, and then become what they are under ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import repeat
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from evlog.event.consent import UPDATE
from evlog.event.fields import ANONYMOUS
from evlog.event.validator import Validator

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from evlog.event.plan import EventRule, Plan

Scalar = str | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | float | bool
Flat = dict[str, Scalar]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Keys = frozenset[str]

_OPTIONAL = ("category", "user_id", "anonymous_id", "session_id", "target_type", "target_id", "feature", "source")
_OPTIONS: dict[str, Any] = {"forbid_unknown_fields": True, "omit_defaults": True, "gc": False, "kw_only": True}
_NONE = Literal["@"]  # no line of the lane has one
NAMELESS = "@event_id"
"""The name of the id in events that have none."""

_NEVER = {"seq": "@seq"}  # under other names than ours a `seq` is a property; no line of the lane has an @


@dataclass(frozen=True, slots=True)
class Shape:
    """What lines are decoded into: events with the attributes of `record.Line`, and a `seq`."""

    all: Callable[[bytes], list[Any]]
    ours: dict[type, type]
    """What events of a class become, where it is decoded under other names than ours."""
    categories: dict[type, str]
    """The category that the plan gives to events of each class of ours that bring none."""
    given: frozenset[type]
    """The classes of ours whose events were given their category as they were decoded: they can bring none."""
    all_given: bool = False
    """Whether that is so for all classes."""


def shape(
    plan: Plan,
    names: Mapping[str, str],
    context: Keys | None = None,
    properties: Keys | None = None,
    *,
    bare: bool = False,
) -> Shape | None:
    """The shape of events with `names` for fields, and in context (in an open plan, properties) no keys but these.

    None for keys: any. `bare`: none brings a category of its own where the plan gives one. None if the plan leaves
    nothing to decode fast.
    """
    names = {field: name for field, name in names.items() if field != name}
    about = _members("Context", context)
    if plan.is_open:
        kind = _Kind("Open", _members("Properties", properties), about)
        return _shape([kind], names)
    validator = Validator(plan)
    ours = names.get("properties", "properties") == "properties"
    kinds = [
        _planned(name, plan.events[name], validator.property_type(name), about, bare=bare)
        for name in sorted(validator.fast_types() - {UPDATE})
        if name.isascii() and (ours or plan.events[name].properties.keys().isdisjoint(ANONYMOUS))
    ]
    return _shape(kinds, names) if kinds else None


@dataclass(frozen=True, slots=True)
class _Kind:
    """An event type; `planned`: the others are told apart by their names."""

    name: str
    properties: Any
    context: Any
    required: tuple[str, ...] = ()
    planned: bool = False
    category: str | None = None  # of events that bring none
    given: bool = False  # … which is so for all

    def struct(self, names: Mapping[str, str]) -> Any:
        """The struct of its events, under these names."""
        named = names.get("event_id") != NAMELESS
        fields = [("event_id", Text) if named else self._member("event_id", Text), ("ts", str | int | float)]
        fields += [self._member(field, Text) for field in _OPTIONAL]
        fields += [self._member("properties", self.properties), self._member("context", self.context)]
        fields += [("seq", int | None, None)]
        if self.planned:
            tag = {"tag_field": names.get("event_type", "event_type"), "tag": self.name}
        else:
            tag, fields = {}, [("event_type", Text), *fields]
        rename = {**names, **_NEVER} if names else {}
        return msgspec.defstruct(self.name, fields, rename=rename, **_OPTIONS, **tag)  # type: ignore[arg-type]

    def _member(self, field: str, kind: Any) -> Any:
        if field == "category" and self.given:
            return (field, _NONE, msgspec.field(default_factory=repeat(self.category).__next__))
        return (field, kind) if field in self.required else (field, kind | None, None)


def _planned(name: str, rule: EventRule, kind: Any, about: Any, *, bare: bool) -> _Kind:
    needed = ("properties",) if any(wanted.required for wanted in rule.properties.values()) else ()
    given = bare and bool(rule.category) and "category" not in rule.required
    required = (*rule.required, *needed)
    return _Kind(name, kind, about, required, planned=True, category=rule.category or None, given=given)


def _shape(kinds: Collection[_Kind], names: Mapping[str, str]) -> Shape:
    ours = [kind.struct({}) for kind in kinds]
    came = [kind.struct(names) for kind in kinds] if names else ours
    decoder = msgspec.json.Decoder(reduce(or_, came))
    told = [*zip(kinds, ours, strict=True)]
    categories = {one: kind.category for kind, one in told if kind.category and not kind.given}
    given = frozenset(one for kind, one in told if kind.given)
    becomes = dict(zip(came, ours, strict=True)) if names else {}
    return Shape(decoder.decode_lines, becomes, categories, given, all_given=len(given) == len(ours))


def _members(name: str, keys: Keys | None) -> Any:
    """The type of an object with no keys but these, in the order of canonical JSON; None: of any flat object.

    Fields are numbered and renamed, since a key may be called anything.
    """
    if keys is None:
        return Flat
    names = {f"k{number}": key for number, key in enumerate(sorted(keys))}
    fields = [(field, Scalar | UnsetType, UNSET) for field in names]
    return msgspec.defstruct(name, fields, rename=names, **_OPTIONS)
