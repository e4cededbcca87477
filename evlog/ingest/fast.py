"""The fast lane: lines that are already nearly canonical, decoded by types that are compiled from the plan.

What it takes, the exact judge (`check.Judge`) would take too and turn into the same bytes; a test holds the two against
each other. Whatever it does not take at once (another field name, a nested object, a null, anything unusual) goes to
the judge: the lane is an economy, never a second opinion. It tries a chunk of lines as one, then each line.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime
from functools import reduce
from itertools import accumulate
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np

from evlog.event import times
from evlog.event.record import encode, entry, stored
from evlog.event.validator import Validator
from evlog.ingest.check import PLACEHOLDERS

if TYPE_CHECKING:
    from evlog.event.plan import EventRule, Plan
    from evlog.ingest.check import Judge
    from evlog.ingest.parsed import Parsed

Scalar = str | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | float | bool
Flat = dict[str, Scalar]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]

_OPTIONAL = ("category", "user_id", "anonymous_id", "session_id", "target_type", "target_id", "feature", "source")
_CLOCK = frozenset({"--T::ZZ", "--T::.Z"})  # every third character of a UTC time from the fifth on, and the last
_TAILS = {20: ".000000Z", 24: "000Z", 27: "Z"}  # the length of a UTC time → what its Z becomes
_COLON = ord(":")
_OPTIONS: dict[str, Any] = {"forbid_unknown_fields": True, "omit_defaults": True, "gc": False, "kw_only": True}


class Lane:
    """The decoders of a plan, ready to take lines."""

    def __init__(self, shape: Any, categories: dict[type, str], judge: Judge) -> None:
        self._one = msgspec.json.Decoder(shape).decode
        self._all = msgspec.json.Decoder(list[shape]).decode
        self._categories = categories
        self._judge = judge
        self._open = judge.rules.plan.is_open

    def take(self, chunk: bytes, start: int, out: Parsed) -> list[int] | None:
        """Take what is nearly canonical in a chunk of whole lines that begins at `start` of its block.

        The indices of the lines that are left for the judge; None if none is.
        """
        if self._chunk(chunk, start, out):
            return None
        return self._lines(chunk.split(b"\n")[:-1], start, out)

    def _chunk(self, chunk: bytes, start: int, out: Parsed) -> bool:
        """Take all lines of a chunk, or none: whether they were taken.

        Lines that begin with { and end with } are joined to one array. Its members hold no arrays, so none of them can
        reach over the end of a line; as many members as lines means one in each.
        """
        bodies = chunk[1:-2].split(b"}\n{")
        if chunk[:1] != b"{" or chunk[-2:] != b"}\n" or chunk.count(b"\n") != len(bodies) or not self._is_plain(chunk):
            return False
        try:
            events = self._all(b"[{%b}]" % b"},{".join(bodies))
            stamps = [event.ts for event in events]
            deque(map(datetime.fromisoformat, stamps), maxlen=0)
            told = [ts[:-1] + _TAILS[len(ts)] for ts in stamps]
        except (msgspec.DecodeError, ValueError, KeyError, RecursionError):
            return False
        oldest, latest = self._limits()
        if (
            len(events) != len(bodies)
            or not {ts[4:20:3] + ts[-1] for ts in stamps} <= _CLOCK
            or min(told) < oldest
            or max(told) > latest
            or not PLACEHOLDERS.isdisjoint([event.user_id for event in events])
            or not self._harmless(events)
        ):
            return False
        for event, ts in zip(events, told, strict=True):
            event.ts = ts
        given = self._categorise(events)
        contents = list(map(encode, events))
        if _colons(chunk) + given != _colons(b"".join(contents)):
            return False  # a key stands twice, see _twice
        places = accumulate((len(body) + 3 for body in bodies), initial=start)
        for event, content, here in zip(events, contents, places, strict=False):
            _keep(event, content, here, out)
        out.tally.read += len(events)
        return True

    def _lines(self, lines: list[bytes], start: int, out: Parsed) -> list[int]:
        """Take each line that can be taken; the indices of the others."""
        oldest, latest = self._limits()
        rest: list[int] = []
        at = start
        for index, line in enumerate(lines):
            here, at = at, at + len(line) + 1
            try:
                event = self._one(line)
                ts = event.ts
                datetime.fromisoformat(ts)
                event.ts = told = ts[:-1] + _TAILS[len(ts)]
            except (msgspec.DecodeError, ValueError, KeyError, RecursionError):
                rest.append(index)
                continue
            usual = ts[4:20:3] + ts[-1] in _CLOCK and oldest <= told <= latest and event.user_id not in PLACEHOLDERS
            if usual and self._is_plain(line) and self._harmless([event]):
                given = self._categorise([event])
                content = encode(event)
                if not _twice(line, content, given):
                    _keep(event, content, here, out)
                    continue
            rest.append(index)
        out.tally.read += len(lines) - len(rest)
        return rest

    def _limits(self) -> tuple[str, str]:
        """The times that need no second look."""
        moment = self._judge.moment
        return max(times.OLDEST, moment.oldest or ""), moment.skewed_from

    def _is_plain(self, text: bytes) -> bool:
        """Whether no escape, no mail address, no control character and no empty object is in `text`, nor too much."""
        return (
            text.isascii()
            and b"\\" not in text
            and b"@" not in text
            and b"\x7f" not in text
            and b"{}" not in text
            and len(text) <= self._judge.rules.max_line
        )

    def _harmless(self, events: list[Any]) -> bool:
        """Whether no key looks personal, and nobody here must stay out."""
        safe_keys, tombstones = self._judge.rules.guard.safe_keys, self._judge.moment.tombstones
        if not safe_keys(set().union(*[event.context for event in events if event.context])):
            return False
        if self._open and not safe_keys(set().union(*[event.properties for event in events if event.properties])):
            return False
        if tombstones.purged_before is not None and any(tombstones.purged(event.ts) for event in events):
            return False
        erased = self._judge.erased
        return not tombstones.users or not any(erased(event.user_id) or erased(event.anonymous_id) for event in events)

    def _categorise(self, events: list[Any]) -> int:
        """Give events the category that the plan has for them; how many got one."""
        given = 0
        if self._categories:
            for event in events:
                if event.category is None and (category := self._categories.get(event.__class__)) is not None:
                    event.category = category
                    given += 1
        return given


def lane(judge: Judge) -> Lane | None:
    """The fast lane for what `judge` stands for; None where only the judge can tell."""
    rules = judge.rules
    if rules.mapping or rules.plan.anonymous_ids or "required" in (rules.consent, rules.plan.consent):
        return None
    found = shapes(rules.plan)
    return Lane(*found, judge) if found is not None else None


def _keep(event: Any, content: bytes, here: int, out: Parsed) -> None:
    name = event.ts[:10]
    day = out.days.get(name) or out.day(name)
    day.lines += stored(content, here)
    day.ids += entry(event.event_id, content)
    day.origins.append(here)


def _twice(line: bytes, content: bytes, given: int) -> bool:
    """Whether a key stood twice in a line.

    A decoder drops the first of two equal keys, and its colon with it. Nothing else changes the number of colons but a
    category that the plan gave, which adds one. Colons away from their quotes change nothing.
    """
    return line.count(b":") + given != content.count(b":")


def _colons(text: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == _COLON))


def shapes(plan: Plan) -> tuple[Any, dict[type, str]] | None:
    """The type of an event in the lane (its attributes are those of `record.Line`), and the category each class is given.

    None if the plan leaves nothing to decode fast.
    """
    if plan.is_open:
        return _struct("Open", [("event_type", Text)], ("properties", Flat | None, None), {}), {}
    validator = Validator(plan)
    found = {name: _planned(name, plan.events[name], validator.property_type(name)) for name in validator.fast_types()}
    if not found:
        return None
    categories = {found[name]: category for name in found if (category := plan.events[name].category)}
    return reduce(or_, found.values()), categories


def _planned(name: str, rule: EventRule, kind: Any) -> Any:
    needed = any(wanted.required for wanted in rule.properties.values())
    properties = ("properties", kind) if needed else ("properties", kind | None, None)
    return _struct("Planned", [], properties, {"tag_field": "event_type", "tag": name}, required=rule.required)


def _struct(name: str, head: list[Any], properties: Any, tag: dict[str, str], required: tuple[str, ...] = ()) -> Any:
    def member(field: str, kind: Any) -> Any:
        return (field, kind) if field in required else (field, kind | None, None)

    fields = [("event_id", Text), ("ts", str), *(member(field, Text) for field in _OPTIONAL)]
    return msgspec.defstruct(name, [*head, *fields, properties, member("context", Flat)], **_OPTIONS, **tag)
