"""A plan drawn from events that came in: what is always there is required, what is always one of a few is listed.

Deterministic, and independent of the order of events. It claims little: a rule needs twenty events behind it, and what
looks like an id, like prose or like personal data is never listed.
"""

from __future__ import annotations

import re
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
class _Seen:
    """What was seen under one property name."""

    times: int = 0
    types: set[str] = field(default_factory=set)
    least: float | None = None
    values: dict[str, int] | None = field(default_factory=dict)  # None: too many

    def add(self, value: Any) -> None:
        self.times += 1
        kind = _type_of(value)
        self.types.add(kind)
        if kind in {"integer", "number"}:
            self.least = value if self.least is None else min(self.least, value)
        if self.values is None:
            return
        if isinstance(value, str):
            self.values[value[:_LONGEST]] = self.values.get(value[:_LONGEST], 0) + 1
            if len(self.values) > _MOST_VALUES:
                self.values = None
