"""How a log is read: under which names its fields come, and with which keys in objects that may have any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from evlog.event.fields import ANONYMOUS
from evlog.ingest.shapes import shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evlog.event.plan import Plan
    from evlog.event.privacy import Guard
    from evlog.ingest.shapes import Keys, Shape

_MOST_KEYS, _MOST_SHAPES = 48, 8  # beyond them a log has any keys

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

Found = tuple[list[Any], int]
"""Events, and how many of them were given the category that the plan has for them."""


class Reading:
    """One way to read lines: fields under certain names. It learns keys, and the same lines give the same events.

    An event it gives has the attributes of `record.Line` and a `seq`, and becomes a canonical line when it is encoded.
    It has no key that looks personal; the rest is for the lane to look at.
    """

    def __init__(self, plan: Plan, guard: Guard, names: Mapping[str, str], any_keys: Shape) -> None:
        self.names = names  # field → the name it has, for all fields that were seen
        self._plan = plan
        self._guard = guard
        self._any_keys = any_keys
        self._seen_keys: Shape | None = None
        self._free = ("properties", "context") if plan.is_open else ("context",)  # objects that may have any keys
        self._nested = names.get("properties", "properties") != "properties"
        self._seen: dict[str, Keys] = {}
        self._bare = True  # no event brought a category
        self._shapes_left = _MOST_SHAPES

    def events(self, chunk: bytes) -> Found | None:
        """The events in a chunk of lines; None where it cannot be read so."""
        if self._seen_keys is not None and (events := _decoded(self._seen_keys, chunk)) is not None:
            return events, _categorise(events, self._seen_keys)
        events = _decoded(self._any_keys, chunk)
        if events is None:
            return None
        keys = self._keys(events)
        if not self._safe(keys):
            return None
        self._learn(keys, events)
        return events, _categorise(events, self._any_keys)

    def _keys(self, events: list[Any]) -> dict[str, Keys]:
        """All keys in the objects that may have any."""
        found = {name: [held for event in events if (held := getattr(event, name))] for name in self._free}
        return {name: frozenset().union(*objects) for name, objects in found.items()}

    def _safe(self, keys: Mapping[str, Keys]) -> bool:
        """Whether no key looks personal, and none in properties may be the id of somebody."""
        known = self._nested and not keys.get("properties", frozenset()).isdisjoint(ANONYMOUS)
        return not known and all(map(self._guard.safe_keys, keys.values()))

    def _learn(self, keys: Mapping[str, Keys], events: list[Any]) -> None:
        """Expect these keys in the chunks to come, unless there are too many, and a category only if one came."""
        if self._shapes_left:
            self._bare = self._bare and not any(event.category for event in events)
            self._shapes_left -= 1
            self._seen = {name: self._seen.get(name, frozenset()) | keys[name] for name in self._free}
            few = self._shapes_left and all(map(_can_be_fields, self._seen.values()))
            self._seen_keys = shape(self._plan, self.names, **self._seen, bare=self._bare) if few else None


def reading(plan: Plan, guard: Guard, names: Mapping[str, str]) -> Reading | None:
    """How to read logs with these names; None where the plan leaves nothing to decode fast."""
    any_keys = shape(plan, names)
    return Reading(plan, guard, names, any_keys) if any_keys is not None else None


def _can_be_fields(keys: Keys) -> bool:
    """Whether a struct can have these keys: it has few, and none that JSON would escape."""
    told = "".join(keys)
    return len(keys) <= _MOST_KEYS and told.isprintable() and '"' not in told and "\\" not in told


def _decoded(by: Shape, chunk: bytes) -> list[Any] | None:
    try:
        return _ours(by, by.all(chunk))
    except _UNREADABLE:
        return None


def _categorise(events: list[Any], by: Shape) -> int:
    """Give events the category that the plan has for them; how many got one, here or as they were decoded."""
    if by.all_given:
        return len(events)
    given = sum(map(by.given.__contains__, map(type, events))) if by.given else 0
    if by.categories:
        for event in events:
            if event.category is None and (category := by.categories.get(event.__class__)) is not None:
                event.category = category
                given += 1
    return given


def _ours(by: Shape, events: list[Any]) -> list[Any]:
    """The events, which came under other names, under ours: the classes differ in names alone."""
    if by.ours:
        for event in events:
            event.__class__ = by.ours[event.__class__]
    return events
