"""The columns of stored lines, by where their quotes stand: nothing is parsed, Arrow copies the texts out of the bytes.

A stored line is canonical: known keys in one order, no blanks, texts before objects (docs/design.md, "A stored line").
A line that is not as plain as that is *odd*: one with an escape among its texts, say. What it holds is not told here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from evlog.errors import StoreDamaged
from evlog.store import durable, parts
from evlog.store.layout import SEQ_BITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from evlog.store.snapshot import Segment

    Bytes = NDArray[np.uint8]
    Places = NDArray[np.signedinteger[Any]]
    Mask = NDArray[np.bool_]

TEXTS = (
    "event_type", "event_id", "ts", "category", "user_id", "anonymous_id", "session_id", "target_type", "target_id",
    "feature", "source",
)  # fmt: skip
"""The fields of a line that are texts, in the order of the line."""
OBJECTS = ("properties", "context")
_NEEDED = ("event_type", "event_id", "ts")
_BLOCK = 1 << 20  # bytes looked at together: arrays of this size stay in the cache
_PAD = 64  # bytes and marks behind the last one, so that looking ahead needs no care
_QUOTE, _NEWLINE, _BRACE, _CLOSING, _COMMA, _BACKSLASH, _U, _E = b'"\n{},\\ue'
_FIRST, _CONTEXT = b'{"event_type":"', b',"context":'
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"')
_EXPONENT = re.compile(rb"\de")


class _Tail(msgspec.Struct):
    """A line of which only the ends of its objects matter."""

    properties: msgspec.Raw
    context: msgspec.Raw = msgspec.Raw()


_tail = msgspec.json.Decoder(_Tail).decode


@dataclass(slots=True)
class _Span:
    """Where a field stands in the bytes of each line; where it is absent, at the start of the line, empty."""

    start: Places
    stop: Places
    there: Mask


@dataclass(slots=True)
class _Block:
    """Some lines that follow each other: where they and their fields stand, and which are odd."""

    starts: Places
    ends: Places  # of their newlines
    spans: dict[str, _Span]
    odd: Mask


@dataclass(slots=True)
class Lines:
    """The lines of some segments: where each field stands, and which lines are odd."""

    raw: bytearray
    spans: dict[str, _Span]
    starts: Places
    ends: Places
    odd: Mask
    counts: list[int]  # lines of each segment

    def __len__(self) -> int:
        """How many lines there are."""
        return len(self.starts)

    def text(self, name: str, rows: Places | None = None) -> Any:
        """A field of these lines (of all, if none are named) as an Arrow array of strings, null where it is absent."""
        import pyarrow as pa

        span = self.spans.get(name)
        if span is None:
            return pa.nulls(len(self) if rows is None else len(rows), pa.string())
        there = span.there if rows is None else span.there[rows]
        borders = np.empty(2 * len(self), np.int32)
        borders[0::2], borders[1::2] = span.start, span.stop
        pieces = pa.StringArray.from_buffers(2 * len(self) - 1, pa.py_buffer(borders), pa.py_buffer(self.raw))
        wanted = np.arange(0, 2 * len(self), 2) if rows is None else 2 * rows
        return parts.taken(pieces, pa.array(wanted) if there.all() else pa.array(wanted, mask=~there))

    def odd_lines(self) -> list[bytes]:
        """The odd lines of each segment, with their newlines."""
        found, first = [], 0
        for count in self.counts:
            rows = first + np.flatnonzero(self.odd[first : first + count])
            spans = zip(self.starts[rows].tolist(), self.ends[rows].tolist(), strict=True)
            found.append(b"".join(bytes(self.raw[start : end + 1]) for start, end in spans))
            first += count
        return found


def read(segments: Sequence[Segment], room: bytearray) -> Lines:
    """The lines of these segments, put into `room`, which is made larger if need be: use it again, one at a time.

    Memory that is there already costs nothing; new memory costs as much as reading the file.
    """
    size = sum(segment.stamp[1] + 1 for segment in segments) + _PAD
    room.extend(bytes(max(0, size - len(room))))
    counts, blocks, first = [], list[_Block](), 0
    for segment in segments:
        end = first + _put(segment, room, first)
        found = [_looked_at(room, start, stop) for start, stop in _cut(room, first, end)]
        counts.append(sum(len(block.starts) for block in found))
        blocks += found
        first = end
    return _joined(room, counts, blocks)


def _put(segment: Segment, room: bytearray, at: int) -> int:
    """Put the bytes of a segment into `room`, a newline at the end; how many there are."""
    size = segment.stamp[1]
    with open(durable.reading(segment.path), "rb") as file, memoryview(room) as view:  # noqa: PTH123 - no path
        if file.readinto(view[at : at + size]) != size:
            raise StoreDamaged(f"{segment.path} is shorter than it was")
    whole = room.endswith(b"\n", at, at + size)
    room[at + size : at + size + _PAD] = (b"" if whole else b"\n").ljust(_PAD, b"\0")
    return size if whole else size + 1


def _cut(raw: bytearray, first: int, end: int) -> Iterator[tuple[int, int]]:
    """Where whole lines of about a block begin and end."""
    while first < end:
        stop = raw.rfind(b"\n", first, min(first + _BLOCK, end)) + 1 or raw.find(b"\n", first, end) + 1 or end
        yield first, stop
        first = stop


def _joined(raw: bytearray, counts: list[int], blocks: list[_Block]) -> Lines:
    """The lines of all blocks together."""

    def whole(arrays: list[Any], kind: Any) -> Any:
        return np.concatenate(arrays) if arrays else np.empty(0, kind)

    starts, ends = whole([one.starts for one in blocks], np.int32), whole([one.ends for one in blocks], np.int32)
    spans: dict[str, _Span] = {}
    for name in {name: None for one in blocks for name in one.spans}:
        held = [one.spans.get(name) or _absent(one.starts) for one in blocks]
        spans[name] = _Span(
            whole([span.start for span in held], np.int32),
            whole([span.stop for span in held], np.int32),
            whole([span.there for span in held], bool),
        )
    return Lines(raw, spans, starts, ends, whole([one.odd for one in blocks], bool), counts)


def _absent(starts: Places) -> _Span:
    return _Span(starts, starts, np.zeros(len(starts), bool))


def _looked_at(raw: bytearray, first: int, stop: int) -> _Block:
    """Where the fields stand in the lines between two places."""
    look = _Look(raw, first, stop)
    spans = look.head() | look.numbers() | look.objects()
    look.escapes()
    odd = look.odd
    for span in spans.values():
        odd |= span.start > span.stop
    starts = _shifted(look.starts, first)
    for span in spans.values():
        span.start, span.stop = _shifted(span.start, first), _shifted(span.stop, first)
        if odd.any():  # what is odd is not told; its places must not go back before those of other lines
            span.start, span.stop = np.where(odd, starts, span.start), np.where(odd, starts, span.stop)
    return _Block(starts, _shifted(look.ends, first), spans, odd)


def _shifted(places: Places, by: int) -> Places:
    return (places + by).astype(np.int32)


class _Look:
    """A look at some lines. Marks are commas before a quote, and newlines; a cursor goes over the keys of all lines."""

    def __init__(self, raw: bytearray, first: int, stop: int) -> None:
        self.raw, self.first, self.size = raw, first, stop - first
        self.bytes: Bytes = np.frombuffer(raw, np.uint8, self.size + _PAD, first)
        signs, following = self.bytes[: self.size], self.bytes[1 : self.size + 1]
        marks = np.flatnonzero(((signs == _COMMA) & (following == _QUOTE)) | (signs == _NEWLINE))
        self.last = np.flatnonzero(self.bytes[marks] == _NEWLINE)
        self.ends = marks[self.last]
        self.starts = np.concatenate(([0], self.ends[:-1] + 1))
        self.at = np.concatenate(([0], self.last[:-1] + 1))
        self.closing = np.flatnonzero(self.bytes[marks - 1] == _CLOSING)  # marks behind an object
        self.closed = np.diff(np.searchsorted(self.closing, self.at), append=len(self.closing))
        self.first_closing = np.append(self.closing, 0)[np.searchsorted(self.closing, self.at)]
        self.marks = np.concatenate((marks, np.full(_PAD, self.size)))
        self.mark = self.marks[self.at]
        self.odd: Mask = np.zeros(len(self.ends), bool)

    def head(self) -> dict[str, _Span]:
        """Where the texts stand; the cursor stands behind them then."""
        begin = self.starts + len(_FIRST)
        for place, sign in enumerate(_FIRST):
            self.odd |= self.bytes[self.starts + place] != sign
        self.odd |= self.bytes[self.mark - 1] != _QUOTE
        spans = {TEXTS[0]: _Span(begin, self.mark - 1, np.ones(len(begin), bool))}
        self.letter = self.bytes[self.mark + 2]
        return spans | {name: span for name in TEXTS[1:] if (span := self._text(name)) is not None}

    def _named(self, name: str) -> Mask:
        """In which lines the cursor stands before this key: its first and last letter, and its end where it must be."""
        found: Mask = self.letter == ord(name[0])
        if found.any():
            for step, sign in enumerate(f'{name[-1]}":'.encode(), len(name) + 1):
                found &= self.bytes[self.mark + step] == sign
        return found

    def _text(self, name: str) -> _Span | None:
        there = self._named(name)
        every = bool(there.all())
        if name in _NEEDED and not every:
            self.odd |= ~there
        if not there.any():
            return None
        self.at = self.at + there
        following = self.marks[self.at]
        start, stop = self.mark + (len(name) + len(',"":"')), following - 1
        wrong = (self.bytes[start - 1] != _QUOTE) | (self.bytes[stop] != _QUOTE)
        if every:
            self.odd |= wrong
        else:
            self.odd |= wrong & there
            start, stop = np.where(there, start, self.starts), np.where(there, stop, self.starts)
        self.mark = following
        self.letter = self.bytes[following + 2]
        return _Span(start, stop, there)

    def numbers(self) -> dict[str, _Span]:
        """Where `seq` stands, and `received_at` if the line has it; from the end of the line."""
        there = self.bytes[self.ends - 2] == _QUOTE
        mark = self.marks[self.last - 1]
        self.comma = np.where(there, self.marks[self.last - 2], mark)
        self._must_be(self.comma, ',"seq":')
        told = {"seq": _Span(self.comma + len(',"seq":'), np.where(there, mark, self.ends - 1), ~np.zeros_like(there))}
        if there.any():
            before = ',"received_at":"'
            self._must_be(np.where(there, mark, -_PAD), before)
            start, stop = np.where(there, mark + len(before), self.starts), np.where(there, self.ends - 2, self.starts)
            told["received_at"] = _Span(start, stop, there)
        return told

    def _must_be(self, places: Places, text: str) -> None:
        """What stands at a place that is not negative makes the line odd if it is not this."""
        for step, sign in enumerate(text.encode()):
            self.odd |= (self.bytes[places + step] != sign) & (places >= 0)

    def objects(self) -> dict[str, _Span]:
        """Where `properties` and `context` stand.

        The second begins where the first ends: surely where no other object is followed by a key, and the line does not
        end in two objects; else a parser tells.
        """
        one, two = self._named("properties"), self._named("context")
        begin = self.mark + np.where(two, len(_CONTEXT), len(',"properties":'))
        self.odd |= ~(one | two | (self.mark == self.comma))
        self.odd |= (one | two) & (self.bytes[begin] != _BRACE)
        second = self.marks[self.first_closing]
        both = one & (self.closed == 3) & (self.bytes[self.comma - 2] != _CLOSING)  # noqa: PLR2004 - and two at the end
        for step, sign in enumerate(_CONTEXT):
            both &= self.bytes[second + step] == sign
        stop = np.where(both, second, self.comma)
        start = np.where(two, begin, np.where(both, second + len(_CONTEXT), self.starts))
        there = two | both
        for row in np.flatnonzero(one & ~both & (self.closed != 2) & ~self.odd):  # noqa: PLR2004 - at the end
            stop[row] = begin[row] + self._length(int(row))
            there[row] = stop[row] != self.comma[row]
            start[row] = stop[row] + len(_CONTEXT) if there[row] else self.starts[row]
        return {
            "properties": _Span(np.where(one, begin, self.starts), np.where(one, stop, self.starts), one),
            "context": _Span(start, np.where(there, self.comma, self.starts), there),
        }

    def _length(self, row: int) -> int:
        """How long the properties of a line are."""
        start, stop = self.first + int(self.starts[row]), self.first + int(self.ends[row])
        try:
            return len(memoryview(_tail(memoryview(self.raw)[start:stop]).properties))
        except msgspec.DecodeError:
            self.odd[row] = True
            return 0

    def escapes(self) -> None:
        """Lines are odd with an escape among their texts, or with a sign by its number, which has two spellings.

        The cursor stands behind the texts.
        """
        if self.raw.find(b"\\", self.first, self.first + self.size) < 0:
            return
        found = np.flatnonzero(self.bytes[: self.size] == _BACKSLASH)
        line = np.searchsorted(self.starts, found, "right") - 1
        self.odd[line[(found < self.mark[line]) | (self.bytes[found + 1] == _U)]] = True


def spelled_otherwise(texts: Any) -> Mask:
    """Which of these JSON texts hold a number with an exponent: readers spell those in more than one way."""
    found = np.zeros(len(texts), bool)
    if texts.null_count == len(texts):
        return found
    _, borders, data = texts.buffers()
    places = np.frombuffer(borders, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    signs = np.frombuffer(data, np.uint8)[: places[-1]]
    digit = (signs[:-1] - ord("0")) < 10  # noqa: PLR2004 - digits; what is less than 0 wraps round
    at = np.flatnonzero(digit & (signs[1:] == _E))
    rows = np.unique(np.searchsorted(places, at, "right") - 1)
    for row in rows[(rows >= 0) & (rows < len(texts))].tolist():
        found[row] = _EXPONENT.search(_TEXT.sub(b"", bytes(data[places[row] : places[row + 1]]))) is not None
    return found


def moments(texts: Any) -> Places:
    """Instants, as a line spells them, in microseconds since 1970."""
    import pyarrow as pa

    whole: Places = texts.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy(zero_copy_only=False)
    return whole


def arrivals(lines: Lines, segments: Sequence[Segment]) -> tuple[Places, Places]:
    """`seq` in the store and `received_at` (microseconds since 1970) of each line that is not odd."""
    import pyarrow as pa

    rows = np.flatnonzero(~lines.odd)
    own = lines.spans["received_at"].there[rows] if "received_at" in lines.spans else np.zeros(len(rows), bool)
    bases = np.repeat([segment.name.batch << SEQ_BITS for segment in segments], lines.counts)[rows]
    said = np.array([segment.name.received_at for segment in segments], "datetime64[us]").astype(np.int64)
    received = np.repeat(said, lines.counts)[rows]
    seq = lines.text("seq", rows).cast(pa.int64()).to_numpy() + np.where(own, 0, bases)
    if own.any():
        received[own] = moments(lines.text("received_at", rows[own]))
    return seq, received
