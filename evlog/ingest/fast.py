"""The fast lane: lines that are already nearly canonical, decoded by types that are compiled from the plan.

What it takes, the exact judge (`check.Judge`) would take too and turn into the same bytes; a test holds the two
against each other. Whatever it does not take at once goes to the judge: the lane is an economy, never a second opinion.
It takes all lines of a chunk as one, or leaves them to the wide lane, which takes each by itself; other names for
fields it learns from what comes there.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from evlog.event import fields
from evlog.event.consent import UPDATE
from evlog.event.record import IDS, encode_lines
from evlog.ingest.check import PLACEHOLDERS
from evlog.ingest.keeping import in_time, is_plain, keep, tell, wait
from evlog.ingest.ledger import quiet
from evlog.ingest.reading import reading
from evlog.ingest.rules import MAX_LINE
from evlog.ingest.shapes import NAMELESS
from evlog.ingest.stamps import read_all
from evlog.ingest.wide import Wide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from evlog.ingest.check import Judge
    from evlog.ingest.parsed import Parsed
    from evlog.ingest.reading import Found

    Places = NDArray[np.int64]

_NEWLINE, _COLON, _OPENS, _CLOSES, _QUOTE = b'\n:{}"'
_TELLING = frozenset(map(len, PLACEHOLDERS))
_MOST_READINGS = 6  # that are learned
_OURS = {field: field for field in (*fields.ALIASES, "properties", "context")}


class Lane:
    """The decoders of a plan, ready to take lines."""

    def __init__(self, judge: Judge) -> None:
        first = reading(judge.rules.plan, judge.rules.guard, _OURS)
        self._readings = [first] if first is not None else []  # the one that served last stands first
        self._wide = Wide(judge)
        self._readings_left = _MOST_READINGS
        self._judge = judge
        self._open = judge.rules.plan.is_open
        self._longest = min(judge.rules.max_line, MAX_LINE)  # numbers may grow: 1e15 is written out

    def take(self, chunk: bytes, start: int, out: Parsed) -> tuple[bytes, int, Sequence[int]]:
        """Take what is nearly canonical in a chunk of whole lines that begins at `start` of its block.

        What of the chunk was looked at, its lines, and the indices of those that are left for the judge. A line in
        which somebody may say something of consent is left alone, so that all before it is done when its turn comes.
        """
        ends = np.flatnonzero(np.frombuffer(chunk, np.uint8) == _NEWLINE)
        if self._chunk(chunk, ends, start, out):
            return chunk, len(ends), ()
        before = quiet(chunk)
        if before == 0:
            return chunk[: chunk.find(b"\n") + 1], 1, range(1)
        if before is not None:
            return self.take(chunk[:before], start, out)
        begins = [start, *(ends[:-1] + (start + 1)).tolist()]
        rest = self._wide.take(chunk, begins, out)
        for keys in self._wide.seen():
            if (names := fields.naming(keys)) is not None:
                self._learn(names)
        return chunk, len(ends), rest

    def _chunk(self, chunk: bytes, ends: Places, start: int, out: Parsed) -> bool:
        """Take all lines of a chunk, or none: whether they were taken.

        Lines begin with { and end with }. Nothing in JSON lets a { follow a } but the end of a value, so no event
        reaches over the end of a line; as many events as lines means one in each.
        """
        letters = np.frombuffer(chunk, np.uint8)
        begins = np.append(0, ends[:-1] + 1)
        opens = letters == _OPENS
        empty = (opens[:-1] & (letters[1:] != _QUOTE)).any()  # or perhaps
        if empty or not (opens[begins].all() and (letters[ends - 1] == _CLOSES).all() and self._is_plain(chunk)):
            return False
        found = self._read(chunk)
        if found is None or len(found[0]) != len(ends):
            return False
        events, given = found
        ids = [event.event_id for event in events]
        if not (self._is_named(events, chunk) and self._harmless(events)):
            return False
        stamps = read_all([event.ts for event in events], self._judge.rules.assume)
        if stamps is None or not in_time(self._judge.moment, stamps.texts, stamps.days):
            return False
        places = begins + start
        nameless = ids[0] is None  # so are all, as the reading has it
        if nameless:
            for event, ts in zip(events, stamps.texts, strict=True):
                event.ts, event.event_id = ts, ""
        else:
            for event, ts, here in zip(events, stamps.texts, places.tolist(), strict=True):
                event.ts = ts
                event.seq = here
        lines = encode_lines(events)
        colons = np.count_nonzero(letters == _COLON) + given + stamps.colons + len(events)  # a seq, or an empty id
        if colons != np.count_nonzero(np.frombuffer(lines, np.uint8) == _COLON):
            return False  # a decoder drops the first of two equal keys, and its colon with it
        if nameless:
            wait(stamps.texts, BytesIO(lines), places, out)
        else:
            keep(ids, stamps, lines, places, out)
        tell(stamps, out)
        return True

    def _read(self, chunk: bytes) -> Found | None:
        """The events of a chunk, by the first reading that can read it; None if none can."""
        for place, tried in enumerate(self._readings):
            if (found := tried.events(chunk)) is not None:
                self._readings.insert(0, self._readings.pop(place))
                return found
        return None

    def _learn(self, names: dict[str, str]) -> None:
        """Learn the names that fields have in a line which came to the wide lane, for the lines to come."""
        rules = self._judge.rules
        names = {"event_id": NAMELESS, **names}
        if not (self._readings and self._readings_left) or (rules.plan.id == "required" and NAMELESS in names.values()):
            return
        for place, known in enumerate(self._readings):
            if all(known.names.get(field, name) == name for field, name in names.items()):
                if names.items() <= known.names.items():
                    return  # it is not the names
                names = {**known.names, **names}
                del self._readings[place]
                break
        self._readings_left -= 1
        found = reading(rules.plan, rules.guard, names)
        self._readings += [found] if found is not None else []  # as there was one under our names

    def _is_plain(self, text: bytes) -> bool:
        """Whether no mail address is in `text`, nothing that could hide one or a colon, and not too much."""
        return len(text) <= self._longest and is_plain(text)

    def _is_named(self, events: list[Any], text: bytes) -> bool:
        """Whether all ids and types in the events of `text` are of printable ASCII."""
        if text.isascii() and b"\\" not in text:
            return True
        names = (*IDS, "event_type") if self._open else IDS
        told = "".join([held for name in names for event in events if (held := getattr(event, name))])
        return told.isascii() and told.isprintable()

    def _harmless(self, events: list[Any]) -> bool:
        """Whether nobody here is no user, or must stay out, and nobody says anything of consent."""
        if self._open and UPDATE in [event.event_type for event in events]:
            return False
        users = [event.user_id for event in events]
        if not _TELLING.isdisjoint(map(len, filter(None, users))) and not PLACEHOLDERS.isdisjoint(users):
            return False
        erased, ledger = self._judge.erased, self._judge.ledger
        if ledger.quiet and not self._judge.moment.tombstones.users:
            return True
        known = {*users, *(event.anonymous_id for event in events)}
        return not (ledger.watches(known) or any(map(erased, known)))


def lane(judge: Judge) -> Lane | None:
    """The fast lane for what `judge` stands for; None where only the judge can tell."""
    rules = judge.rules
    told = rules.mapping or rules.plan.anonymous_ids or "required" in (rules.consent, rules.plan.consent)
    return None if told else Lane(judge)
