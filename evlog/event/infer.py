"""A plan drawn from events that came in: what is always there is required, what is always one of a few is listed.

Deterministic, and independent of the order of events. It claims little: a rule needs twenty events behind it, and what
looks like an id, like prose or like personal data is never listed.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evlog.event import times
from evlog.event.naming import words
from evlog.event.plan import REQUIRABLE, EventRule, Pair, Plan, Property
from evlog.event.plan_file import can_be_named
from evlog.event.privacy import is_personal
from evlog.event.reject import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from evlog.event.plan import PropertyType

ENOUGH = 20
"""With fewer events behind it, nothing is required, bounded or listed."""

_MOST_VALUES = 12  # a longer list is no enum
_SEEN_EACH = 5  # an enum's values were seen so often, on average
_MOST_PROPERTIES = 200  # more of them are keys made of data
_MOST_TYPES = 2000
_REQUIRED = tuple(name for name in REQUIRABLE if name not in {"category", "context"})
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[ _.:/+-][A-Za-z0-9]+){0,3}", re.ASCII)
_LONGEST = 40
_DATED = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:", re.ASCII)
_COVERS: tuple[tuple[PropertyType, set[str]], ...] = (
    ("boolean", {"boolean"}), ("integer", {"integer"}), ("number", {"integer", "number"}), ("instant", {"instant"}),
    ("string", {"string", "instant"}), ("object", {"object"}), ("array", {"array"}),
)  # fmt: skip
_FREE = {
    "id", "ids", "uuid", "guid", "key", "hash", "url", "uri", "path", "href", "referrer", "referer", "message", "text",
    "title", "body", "content", "comment", "query", "prompt", "response", "note", "description", "label", "agent",
    "slug", "email", "name", "timestamp", "date", "time", "at",
}  # fmt: skip
"""Last words of properties that hold an id or prose, however few values were seen."""

_DONE = {
    "start": ("complete", "finish", "submit"), "started": ("completed", "finished", "submitted"),
    "open": ("submit", "complete"), "opened": ("submitted", "completed"), "view": ("submit", "complete"),
    "viewed": ("submitted", "completed"), "begin": ("complete", "finish", "end"), "began": ("completed", "finished"),
}  # fmt: skip
_ABANDONED = ("abandon", "abandoned", "cancel", "cancelled", "canceled")


@dataclass(slots=True)
class _Values:
    """What was seen under one property name; a null is not seen."""

    count: int = 0
    types: set[str] = field(default_factory=set)
    negative: bool = False
    texts: Counter[str] | None = field(default_factory=Counter)  # None: too many, or none of them a word

    def add(self, value: Any) -> None:
        """Take note of one value."""
        self.count += 1
        self.types.add(_type_of(value))
        if isinstance(value, int | float):
            self.negative = self.negative or value < 0
        if self.texts is not None and isinstance(value, str):
            self.texts[value] += 1
            if len(self.texts) > _MOST_VALUES or len(value) > _LONGEST or not _IDENTIFIER.fullmatch(value):
                self.texts = None

    def rule(self, name: str, *, events: int) -> Property:
        """The rule that all `events` of the type keep."""
        kind = _common(self.types)
        enough = self.count >= ENOUGH
        return Property(
            type=kind,
            required=enough and self.count == events,
            min=0 if enough and kind in {"integer", "number"} and not self.negative else None,
            one_of=self._listed(name) if enough and kind == "string" else (),
        )

    def _listed(self, name: str) -> tuple[str, ...]:
        texts = self.texts or Counter()
        few = len(texts) > 1 and self.count >= _SEEN_EACH * len(texts) and min(texts.values()) > 1
        free = not {*words(name)[-1:]}.isdisjoint(_FREE) or is_personal(name)
        return tuple(sorted(texts)) if few and not free else ()


@dataclass(slots=True)
class _Type:
    """What was seen of one event type."""

    count: int = 0
    present: Counter[str] = field(default_factory=Counter)
    categories: set[str | None] = field(default_factory=set)
    target_types: set[str | None] = field(default_factory=set)
    properties: dict[str, _Values] = field(default_factory=dict)
    more: bool = False  # properties that a plan cannot list

    def add(self, event: Mapping[str, Any]) -> None:
        """Take note of one event."""
        self.count += 1
        self.present.update(name for name in _REQUIRED if event.get(name) is not None)
        for found, name in ((self.categories, "category"), (self.target_types, "target_type")):
            if len(found) <= 1:
                found.add(event.get(name))
        for name, value in (event.get("properties") or {}).items():
            if value is not None:
                self._property(name, value)

    def _property(self, name: str, value: Any) -> None:
        if name not in self.properties and (len(self.properties) >= _MOST_PROPERTIES or not can_be_named(name)):
            self.more = True
            return
        self.properties.setdefault(name, _Values()).add(value)

    def rule(self) -> EventRule:
        """The rule that all events of the type keep."""
        free = self.more and len(self.properties) >= _MOST_PROPERTIES
        listed = {} if free else self.properties
        return EventRule(
            category=_only(self.categories),
            required=tuple(name for name in _REQUIRED if self.count >= ENOUGH and self.present[name] == self.count),
            properties={name: seen.rule(name, events=self.count) for name, seen in sorted(listed.items())},
            additional=self.more or self.count < ENOUGH,
        )


def infer(events: Iterable[Mapping[str, Any]]) -> Plan:
    """The plan that all `events` (canonical fields, and `properties`) keep; `plan_write.dumps` gives its text."""
    seen: dict[str, _Type] = {}
    for event in events:
        name = event.get("event_type")
        if isinstance(name, str) and can_be_named(name) and (name in seen or len(seen) < _MOST_TYPES):
            seen.setdefault(name, _Type()).add(event)
    rules = {name: kind.rule() for name, kind in sorted(seen.items())}
    return Plan(events=rules, pairs=dict(_pairs(seen)))


def _pairs(seen: Mapping[str, _Type]) -> Iterator[tuple[str, Pair]]:
    """The start and complete types that their names give away, by what they start and complete."""
    by_words = {words(name): name for name in sorted(seen, reverse=True)}
    taken: set[tuple[str, ...]] = {("session",)}  # its end completes nothing
    for spelt, start in sorted(by_words.items()):
        stem, last = spelt[:-1], spelt[-1:]
        ends = _ends(by_words, stem, _DONE.get("".join(last), ()))
        if not stem or not ends or stem in taken:
            continue
        taken.add(stem)
        abandon = next(iter(_ends(by_words, stem, _ABANDONED)), None)
        target = _only(seen[start].target_types | seen[ends[0]].target_types)
        yield "_".join(stem), Pair(start=start, complete=ends[0], abandon=abandon, target_type=target)


def _ends(by_words: Mapping[tuple[str, ...], str], stem: tuple[str, ...], lasts: Iterable[str]) -> list[str]:
    return [by_words[*stem, last] for last in lasts if (*stem, last) in by_words]


def _only(found: set[str | None]) -> str | None:
    return next(iter(found)) if len(found) == 1 else None


def _type_of(value: Any) -> PropertyType:
    if isinstance(value, str):
        return "instant" if _DATED.match(value) and _is_instant(value) else "string"
    named: dict[type, PropertyType] = {bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}
    return named[value.__class__]


def _is_instant(text: str) -> bool:
    try:
        times.read(text)
    except Rejected:
        return False
    return True


def _common(types: set[str]) -> PropertyType:
    """The narrowest type that covers `types`."""
    for kind, covered in _COVERS:
        if types <= covered:
            return kind
    return "any"
