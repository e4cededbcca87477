"""The fast lane: lines that are already nearly canonical, decoded by types that are compiled from the plan.

What it takes, the exact judge (`check.Judge`) would take too and turn into the same bytes; a test holds the two against
each other. Whatever it does not take at once (a nested object, a null, anything unusual) goes to the judge: the lane is
an economy, never a second opinion. It tries a chunk of lines as one, then each line; other names for fields it learns
from a line that came to the judge.
"""

from __future__ import annotations

import re
from io import BytesIO
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from xxhash import xxh3_64_digest, xxh3_128_digest

from evlog.event import decode, fields, times
from evlog.event.consent import UPDATE
from evlog.event.record import IDS, encode, encode_lines, entry
from evlog.event.reject import Rejected
from evlog.ingest.check import PLACEHOLDERS
from evlog.ingest.ledger import quiet
from evlog.ingest.reading import reading
from evlog.ingest.rules import MAX_LINE
from evlog.ingest.stamps import read_all

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from evlog.ingest.check import Judge
    from evlog.ingest.parsed import Parsed
    from evlog.ingest.reading import Found, Reading
    from evlog.ingest.stamps import Stamps

    Places = NDArray[np.int64]

_HIDING = re.compile(rb"\\u00[0-7]")  # an ASCII character that is not spelt as itself
_EMPTY = re.compile(rb"\{\s*\}")
_NEWLINE, _COLON, _OPENS, _CLOSES, _QUOTE = b'\n:{}"'
_TELLING = frozenset(map(len, PLACEHOLDERS))
_MOST_READINGS = 6  # that are learned
_OURS = {field: field for field in (*fields.ALIASES, "properties", "context")}


class Lane:
    """The decoders of a plan, ready to take lines."""

    def __init__(self, first: Reading, judge: Judge) -> None:
        self._readings = [first]  # the one that served last stands first
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
        lines = chunk.split(b"\n")[:-1]
        rest = self._lines(lines, start, out)
        if rest:
            self._learn(lines[rest[0]])
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
        if not (self._is_named(events, chunk) and self._harmless(events)):
            return False
        stamps = read_all([event.ts for event in events], self._judge.rules.assume)
        if stamps is None or not self._in_time(stamps.texts, stamps.days):
            return False
        places = begins + start
        for event, ts, here in zip(events, stamps.texts, places.tolist(), strict=True):
            event.ts = ts
            event.seq = here
        lines = encode_lines(events)
        colons = np.count_nonzero(letters == _COLON) + given + stamps.colons + len(events)
        if colons != np.count_nonzero(np.frombuffer(lines, np.uint8) == _COLON):
            return False  # a key stands twice, see _twice
        if len(stamps.days) == 1:
            _keep_day(stamps.texts[0][:10], events, lines, places, out)
        else:
            _keep_days([ts[:10] for ts in stamps.texts], events, lines, places, out)
        out.tally.read += len(events)
        _count(stamps, out)
        return True

    def _read(self, chunk: bytes) -> Found | None:
        """The events of a chunk, by the first reading that can read it; None if none can."""
        for place, tried in enumerate(self._readings):
            if (found := tried.events(chunk)) is not None:
                self._readings.insert(0, self._readings.pop(place))
                return found
        return None

    def _lines(self, lines: list[bytes], start: int, out: Parsed) -> list[int]:
        """Take each line that can be taken; the indices of the others."""
        rest: list[int] = []
        at = start
        for index, line in enumerate(lines):
            here, at = at, at + len(line) + 1
            if not self._line(line, here, out):
                rest.append(index)
        out.tally.read += len(lines) - len(rest)
        return rest

    def _line(self, line: bytes, here: int, out: Parsed) -> bool:
        """Take a line that begins at `here` of its block: whether it was taken."""
        if not self._is_plain(line) or _EMPTY.search(line):
            return False
        found = next((found for tried in self._readings if (found := tried.event(line)) is not None), None)
        if found is None or not (self._is_named(found[0], line) and self._harmless(found[0])):
            return False
        (event,), given = found
        stamps = read_all([event.ts], self._judge.rules.assume)
        if stamps is None or not self._in_time(stamps.texts, stamps.days):
            return False
        (event.ts,), event.seq = stamps.texts, here
        stored = encode(event)
        if _twice(line, stored, given + stamps.colons):
            return False
        content = stored[: stored.rindex(b',"seq":')] + b"}"
        out.day(event.ts[:10]).add(stored + b"\n", entry(event.event_id, content), here)
        _count(stamps, out)
        return True

    def _learn(self, line: bytes) -> None:
        """Learn the names that fields have in a line which no reading could read, for the lines to come."""
        if not self._readings_left or (names := _names(line)) is None:
            return
        rules = self._judge.rules
        for place, known in enumerate(self._readings):
            if all(known.names.get(field, name) == name for field, name in names.items()):
                if names.items() <= known.names.items():
                    return  # it is not the names
                names = {**known.names, **names}
                del self._readings[place]
                break
        self._readings_left -= 1
        found = reading(rules.plan, rules.guard, names)
        self._readings += [found] if found is not None else []

    def _is_plain(self, text: bytes) -> bool:
        """Whether no mail address is in `text`, nothing that could hide one or a colon, and not too much."""
        if b"@" in text or b"\x7f" in text or len(text) > self._longest:
            return False
        return b"\\" not in text or not _HIDING.search(text)

    def _is_named(self, events: list[Any], text: bytes) -> bool:
        """Whether all ids and types in the events of `text` are of printable ASCII."""
        if text.isascii() and b"\\" not in text:
            return True
        names = (*IDS, "event_type") if self._open else IDS
        told = "".join([held for name in names for event in events if (held := getattr(event, name))])
        return told.isascii() and told.isprintable()

    def _in_time(self, texts: list[str], days: Collection[str]) -> bool:
        """Whether all these times are well within the limits of the moment, and none of their days is purged."""
        moment = self._judge.moment
        oldest = max(times.OLDEST, moment.oldest or "")
        if not oldest[:10] < min(days) <= max(days) < moment.skewed_from[:10] and not (
            oldest <= min(texts) and max(texts) <= moment.skewed_from
        ):
            return False
        return not any(map(moment.tombstones.purged, days))

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
    if rules.mapping or rules.plan.anonymous_ids or "required" in (rules.consent, rules.plan.consent):
        return None
    found = reading(rules.plan, rules.guard, _OURS)
    return Lane(found, judge) if found is not None else None


def _names(line: bytes) -> dict[str, str] | None:
    try:
        value = decode.load(line)
    except Rejected:
        return None
    return fields.naming(tuple(value)) if isinstance(value, dict) else None


def _count(stamps: Stamps, out: Parsed) -> None:
    out.tally.assumed_tz += stamps.assumed_tz
    out.tally.epoch += stamps.epoch


def _keep_days(days: list[str], events: list[Any], lines: bytes, places: Places, out: Parsed) -> None:
    """Keep the events of a chunk, each on its day."""
    rows: dict[str, list[int]] = {}
    for row, day in enumerate(days):
        rows.setdefault(day, []).append(row)
    told = BytesIO(lines).readlines()
    for day, mine in rows.items():
        chosen = b"".join([told[row] for row in mine])
        _keep_day(day, [events[row] for row in mine], chosen, places[mine], out)


def _keep_day(name: str, events: list[Any], lines: bytes, places: Places, out: Parsed) -> None:
    """Keep events of one day: their lines, and the entries of their ids. The content ends where the seq begins."""
    cuts = [-len(f',"seq":{here}}}\n') for here in (places[0], places[-1])]
    told = BytesIO(lines).readlines()  # a quarter of what `split` takes
    contents: Iterable[bytes] = map(itemgetter(slice(cuts[0])), told)
    if cuts[0] != cuts[1]:
        contents = (line[: line.rindex(b',"seq":')] for line in told)
    names = map(xxh3_128_digest, [event.event_id.encode() for event in events])
    hashes = map(xxh3_64_digest, contents)
    day = out.day(name)
    day.lines += lines
    day.ids += b"".join(chain.from_iterable(zip(names, hashes, strict=True)))
    day.origins.frombytes(places.tobytes())


def _twice(line: bytes, stored: bytes, given: int) -> bool:
    """Whether a key stood twice in a line.

    A decoder drops the first of two equal keys, and its colon with it. Nothing else changes the number of colons but
    what the lane adds: the seq, and `given`: categories that the plan gave, and what a time is spelt with. A `seq` of
    the line's own looks like it.
    """
    return line.count(b":") + given + 1 != stored.count(b":")
