"""The tracking plan as data: which event types exist, what each must say, and what it names for reports.

metrics §13 and §18: without a plan any well-formed event is accepted; with one, unknown event types and unknown
properties are refused unless the type says `additional = true`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from evlog.event.consent import PURPOSES

if TYPE_CHECKING:
    from collections.abc import Mapping

PropertyType = Literal["string", "integer", "number", "boolean", "object", "array", "instant", "any"]
PROPERTY_TYPES: tuple[PropertyType, ...] = (
    "string", "integer", "number", "boolean", "object", "array", "instant", "any",
)  # fmt: skip

REQUIRABLE = (
    "category", "user_id", "anonymous_id", "session_id", "target_type", "target_id", "feature", "source", "context",
)  # fmt: skip
"""The fields an event type may require; an event always has a type and a time, and `id` governs its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """What the plan says of one property; an explicit null counts as absent."""

    type: PropertyType = "any"
    required: bool = False
    min: float | None = None  # of integer and number, included
    max: float | None = None
    one_of: tuple[str | int, ...] = ()  # of string and integer
    pattern: str | None = None  # of string: the whole value must match
    max_length: int | None = None  # characters of a string, items of an array
    description: str = ""
    pii: Literal["guard", "allow"] = "guard"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRule:
    """What the plan says of one event type."""

    category: str | None = None  # given to events that bring none
    description: str = ""
    required: tuple[str, ...] = ()  # fields beside the properties, out of REQUIRABLE
    properties: Mapping[str, Property] = field(default_factory=dict)
    additional: bool = False  # properties that the plan does not name are let in
    active: bool = True  # False: the event says nothing about its user being active (metrics §1)
    purpose: str | None = None  # what it is collected for, which its user may refuse; None: the first of the plan

    @property
    def pii_allowed(self) -> frozenset[str]:
        """The properties that the PII guard leaves alone in this event type."""
        return frozenset(name for name, rule in self.properties.items() if rule.pii == "allow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A start and its completion, per target (metrics §6, §10)."""

    start: str
    complete: str
    abandon: str | None = None
    target_type: str | None = None
    abandon_after: str = "24h"


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """A funnel with a name; what it leaves out is the default of `evlog funnel` (metrics §7)."""

    steps: tuple[str, ...]
    description: str = ""
    window: str | None = None
    step_window: str | None = None
    order: str | None = None
    attempt: str | None = None
    ties: str | None = None
    within_session: bool = False


Measure = Literal["events", "targets", "days", "sum", "avg", "rate"]
MEASURES: tuple[Measure, ...] = ("events", "targets", "days", "sum", "avg", "rate")
"""What a component of an index counts: events, distinct targets, local dates, a property, completed of started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Targets that belong together, such as the exercises of a module (metrics §6)."""

    targets: tuple[str, ...]  # target ids
    required: tuple[str, ...] = ()  # who completes them completes the part; none named: all targets
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One measure of a user in a period, and how it counts in an index; `max` below `min`: less is better."""

    measure: Measure
    max: float
    min: float = 0
    weight: float = 1
    events: tuple[str, ...] = ()  # only these types; none named: all
    property: str | None = None  # of sum and avg
    pair: str | None = None  # of rate: a pair of the plan
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A weighted mean of components, each scaled to 0..100 (metrics §18.10)."""

    components: Mapping[str, Component] = field(default_factory=dict)  # in the order of the file
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A tracking plan. A plan without event types is open: it accepts any well-formed event."""

    version: str = ""  # what its author calls it; `name` falls back to the fingerprint
    id: Literal["required", "optional"] = "optional"
    consent: Literal["required", "optional"] = "optional"
    placeholder_users: Literal["reject", "null"] = "reject"
    anonymous_ids: str | None = None  # a pattern: a user_id that wholly matches is an anonymous id (metrics §18.8)
    purposes: tuple[str, ...] = ()  # what events are collected for; none named: consent.PURPOSES
    inactive: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()  # types that are errors (metrics §11)
    requests: tuple[str, ...] = ()  # types that errors are measured against
    events: Mapping[str, EventRule] = field(default_factory=dict)
    pairs: Mapping[str, Pair] = field(default_factory=dict)
    funnels: Mapping[str, Funnel] = field(default_factory=dict)
    parts: Mapping[str, Part] = field(default_factory=dict)  # in the order of the file
    indices: Mapping[str, Index] = field(default_factory=dict)

    @classmethod
    def open(cls) -> Plan:
        """The plan of a store that has none: any well-formed event is accepted and nothing is required."""
        return cls()

    @property
    def is_open(self) -> bool:
        """Whether any event type is accepted."""
        return not self.events

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits that change when anything the plan says changes, and only then."""
        import xxhash

        return str(xxhash.xxh3_64_hexdigest(repr(self._canonical()).encode("utf-8", "surrogatepass")))

    @property
    def name(self) -> str:
        """What to call this plan beside a number it shaped: its version, else its fingerprint."""
        return self.version or self.fingerprint

    @cached_property
    def inactive_types(self) -> frozenset[str]:
        """The event types that do not make their user active (metrics §1), listed or marked `active = false`."""
        return frozenset(self.inactive) | {name for name, rule in self.events.items() if not rule.active}

    @property
    def known_purposes(self) -> tuple[str, ...]:
        """The purposes that event types may have; the first is that of types that name none."""
        return self.purposes or PURPOSES

    def purpose_of(self, event_type: object) -> str:
        """What events of this type are collected for."""
        rule = self.events.get(event_type) if isinstance(event_type, str) else None
        return (rule.purpose if rule is not None else None) or self.known_purposes[0]

    def category_of(self, event_type: str) -> str | None:
        """The category that the plan gives to events of this type."""
        rule = self.events.get(event_type)
        return None if rule is None else rule.category

    def _canonical(self) -> tuple[object, ...]:
        events = [(name, rule, sorted(rule.properties)) for name, rule in sorted(self.events.items())]
        shapes = [(name, _sorted(rule), names) for name, rule, names in events]
        settings = (self.version, self.id, self.consent, self.placeholder_users, self.anonymous_ids)
        named = (sorted(self.pairs.items(), key=_key), sorted(self.funnels.items(), key=_key))
        return (*settings, sorted(self.inactive_types), shapes, *named, *self._later())

    def _later(self) -> tuple[object, ...]:
        """What came to plans later: a plan that says nothing of it keeps its fingerprint."""
        kinds = (sorted(self.errors), sorted(self.requests))
        parts = [(name, part, sorted(part.required)) for name, part in self.parts.items()]
        indices = [
            (name, index.description, sorted(index.components.items(), key=_key))
            for name, index in sorted(self.indices.items(), key=_key)
        ]
        purposes = [(name, rule.purpose) for name, rule in sorted(self.events.items()) if rule.purpose]
        later = (*kinds, parts, indices) if any((*kinds, parts, indices)) else ()
        return (*later, self.purposes, purposes) if self.purposes or purposes else later


def _key(item: tuple[str, object]) -> str:
    return item[0]


def _sorted(rule: EventRule) -> tuple[object, ...]:
    properties = sorted(rule.properties.items(), key=_key)
    return (rule.category, rule.description, sorted(rule.required), properties, rule.additional)
