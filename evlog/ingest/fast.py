"""The fast lane: lines that are already nearly canonical, decoded by types that are compiled from the plan.

What it takes, the exact judge (`check.Judge`) would take too and turn into the same bytes; a test holds the two against
each other. Whatever it does not take at once (another field name, a nested object, a null, anything unusual) goes to
the judge: the lane is an economy, never a second opinion. It tries a chunk of lines as one, then each line.
"""

from __future__ import annotations

import re
from collections import deque
from datetime import datetime
from functools import reduce
from itertools import chain
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np
from xxhash import xxh3_64_digest, xxh3_128_digest

from evlog.event import times
from evlog.event.consent import UPDATE
from evlog.event.record import encode
from evlog.event.validator import Validator
from evlog.ingest.check import PLACEHOLDERS
from evlog.ingest.ledger import quiet
from evlog.ingest.rules import MAX_LINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evlog.event.plan import EventRule, Plan
    from evlog.ingest.check import Judge
    from evlog.ingest.parsed import Day, Parsed
    from evlog.ingest.rules import Moment

Scalar = str | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | float | bool
Flat = dict[str, Scalar]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]

_OPTIONAL = ("category", "user_id", "anonymous_id", "session_id", "target_type", "target_id", "feature", "source")
_MINUTE = re.compile(r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:", re.ASCII)
_EMPTY = re.compile(rb"\{\s*\}")
_ENDS = frozenset({"ZZ", ".Z"})  # what follows the seconds, and what ends the time
_NEWLINE, _COLON, _OPENS, _CLOSES, _QUOTE = b'\n:{}"'
_OPTIONS: dict[str, Any] = {"forbid_unknown_fields": True, "omit_defaults": True, "gc": False, "kw_only": True}


class Lane:
    """The decoders of a plan, ready to take lines."""

    def __init__(self, shape: Any, categories: dict[type, str], judge: Judge) -> None:
        self._one = msgspec.json.Decoder(shape).decode
        self._all = msgspec.json.Decoder(list[shape]).decode
        self._categories = categories
        self._judge = judge
        self._open = judge.rules.plan.is_open
        self._longest = min(judge.rules.max_line, MAX_LINE)  # numbers may grow: 1e15 is written out

    def take(self, chunk: bytes, start: int, out: Parsed) -> tuple[bytes, Sequence[int]]:
        """Take what is nearly canonical in a chunk of whole lines that begins at `start` of its block.

        What of the chunk was looked at, and the indices of its lines that are left for the judge. A line in which
        somebody may say something of consent is left alone, so that all before it is done when its turn comes.
        """
        if self._chunk(chunk, start, out):
            return chunk, ()
        before = quiet(chunk)
        if before == 0:
            return chunk[: chunk.find(b"\n") + 1], range(1)
        if before is not None:
            return self.take(chunk[:before], start, out)
        return chunk, self._lines(chunk.split(b"\n")[:-1], start, out)

    def _chunk(self, chunk: bytes, start: int, out: Parsed) -> bool:
        """Take all lines of a chunk, or none: whether they were taken.

        Lines that begin with { and end with } are joined to one array. Its members hold no arrays and its texts no
        newline, so none of them can reach over the end of a line; as many members as lines means one in each.
        """
        letters = np.frombuffer(chunk, np.uint8)
        ends = np.flatnonzero(letters == _NEWLINE)
        begins = np.append(0, ends[:-1] + 1)
        opens, closes = letters == _OPENS, letters == _CLOSES
        empty = (opens[:-1] & (letters[1:] != _QUOTE)).any()  # or perhaps
        if empty or not (opens[begins].all() and closes[ends - 1].all() and self._is_plain(chunk)):
            return False
        try:
            events = self._all(b"[%b]" % chunk[:-1].replace(b"\n", b",\n"))
        except (msgspec.DecodeError, RecursionError):
            return False
        stamps = [event.ts for event in events]
        if (
            len(events) != len(ends)
            or (self._open and UPDATE in [event.event_type for event in events])
            or not _in_time(stamps, self._judge.moment)
            or not PLACEHOLDERS.isdisjoint([event.user_id for event in events])
            or not self._harmless(events)
        ):
            return False
        places = (begins + start).tolist()
        for event, ts, here in zip(events, stamps, places, strict=True):
            event.ts = ts[:-1] + times.TAILS[len(ts)]
            event.seq = here
        given = self._categorise(events)
        lines = list(map(encode, events))
        colons = np.count_nonzero(letters == _COLON) + given + len(events)
        if colons != np.count_nonzero(np.frombuffer(b"".join(lines), np.uint8) == _COLON):
            return False  # a key stands twice, see _twice
        _keep_all(events, lines, places, out)
        out.tally.read += len(events)
        return True

    def _lines(self, lines: list[bytes], start: int, out: Parsed) -> list[int]:
        """Take each line that can be taken; the indices of the others."""
        rest: list[int] = []
        at = start
        for index, line in enumerate(lines):
            here, at = at, at + len(line) + 1
            try:
                event = self._one(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                rest.append(index)
                continue
            usual = _in_time([event.ts], self._judge.moment) and event.user_id not in PLACEHOLDERS
            if usual and self._is_plain(line) and not _EMPTY.search(line) and self._harmless([event]):
                event.ts = event.ts[:-1] + times.TAILS[len(event.ts)]
                event.seq = here
                given = self._categorise([event])
                stored = encode(event)
                if not _twice(line, stored, given):
                    _keep_all([event], [stored], [here], out)
                    continue
            rest.append(index)
        out.tally.read += len(lines) - len(rest)
        return rest

    def _is_plain(self, text: bytes) -> bool:
        """Whether no escape, no mail address and no control character is in `text`, nor too much."""
        return (
            text.isascii()
            and b"\\" not in text
            and b"@" not in text
            and b"\x7f" not in text
            and len(text) <= self._longest
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
        erased, ledger = self._judge.erased, self._judge.ledger
        if not ledger.quiet and ledger.watches(
            {one for event in events for one in (event.user_id, event.anonymous_id)}
        ):
            return False
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


def _in_time(stamps: list[str], moment: Moment) -> bool:
    """Whether all are UTC times that the lane can write canonically, and well within the limits of `moment`.

    Minutes repeat, so few of them are looked at closely; the rest of each time is seconds, perhaps a fraction, and Z.
    """
    minutes = {ts[:17] for ts in stamps}
    if not ({ts[19:20] + ts[-1:] for ts in stamps} <= _ENDS and set(map(len, stamps)) <= times.TAILS.keys()):
        return False
    try:
        deque(map(datetime.fromisoformat, stamps), maxlen=0)
    except ValueError:
        return False
    oldest = max(times.OLDEST, moment.oldest or "")
    usual = all(map(_MINUTE.fullmatch, minutes))
    return usual and min(minutes) > oldest[:17] and max(minutes) < moment.skewed_from[:17]


def _keep_all(events: list[Any], lines: list[bytes], places: list[int], out: Parsed) -> None:
    """Keep the events of a chunk; logs are mostly in order, so that they are often all of one day."""
    days = [event.ts[:10] for event in events]
    if len(set(days)) == 1:
        _keep(out.day(days[0]), events, lines, places)
        return
    rows: dict[str, list[int]] = {}
    for row, day in enumerate(days):
        rows.setdefault(day, []).append(row)
    for day, mine in rows.items():
        _keep(out.day(day), [events[row] for row in mine], [lines[row] for row in mine], [places[row] for row in mine])


def _keep(day: Day, events: list[Any], lines: list[bytes], places: list[int]) -> None:
    """Keep events of one day: their lines, and the entries of their ids. The content ends where the seq begins."""
    cuts = [-len(f',"seq":{here}}}') for here in (places[0], places[-1])]
    if cuts[0] == cuts[1]:
        cut = cuts[0]
        contents = [line[:cut] for line in lines]
    else:
        contents = [line[: line.rindex(b',"seq":')] for line in lines]
    names = map(xxh3_128_digest, [event.event_id.encode() for event in events])
    hashes = map(xxh3_64_digest, contents)
    day.lines += b"\n".join(lines)
    day.lines += b"\n"
    day.ids += b"".join(chain.from_iterable(zip(names, hashes, strict=True)))
    day.origins.extend(places)


def _twice(line: bytes, stored: bytes, given: int) -> bool:
    """Whether a key stood twice in a line.

    A decoder drops the first of two equal keys, and its colon with it. Nothing else changes the number of colons but
    what the lane adds: the seq, and the category where the plan gave one. A `seq` of the line's own looks like it.
    """
    return line.count(b":") + given + 1 != stored.count(b":")


def shapes(plan: Plan) -> tuple[Any, dict[type, str]] | None:
    """The type of an event in the lane (with the attributes of `record.Line`), and the category each class is given.

    None if the plan leaves nothing to decode fast.
    """
    if plan.is_open:
        return _struct("Open", [("event_type", Text)], ("properties", Flat | None, None), {}), {}
    validator = Validator(plan)
    names = validator.fast_types() - {UPDATE}
    found = {name: _planned(name, plan.events[name], validator.property_type(name)) for name in names}
    if not found:
        return None
    categories = {found[name]: category for name in found if (category := plan.events[name].category)}
    return reduce(or_, found.values()), categories


def _planned(name: str, rule: EventRule, kind: Any) -> Any:
    needed = any(wanted.required for wanted in rule.properties.values())
    properties = ("properties", kind) if needed else ("properties", kind | None, None)
    return _struct("Planned", [], properties, {"tag_field": "event_type", "tag": name}, required=rule.required)


def _struct(name: str, head: list[Any], properties: Any, tag: dict[str, Any], required: tuple[str, ...] = ()) -> Any:
    def member(field: str, kind: Any) -> Any:
        return (field, kind) if field in required else (field, kind | None, None)

    seq = ("seq", int | None, None)
    fields = [("event_id", Text), ("ts", str), *(member(field, Text) for field in _OPTIONAL)]
    return msgspec.defstruct(name, [*head, *fields, properties, member("context", Flat), seq], **_OPTIONS, **tag)
