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

from evlog.store import durable
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
_GAP = 2  # from a quote over one sign to the next quote
_BEFORE_CONTEXT = len(',"context":')
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"')
_EXPONENT = re.compile(rb"\de")


def _code(key: str) -> int:
    """What tells a key from all others: its length and its first letter."""
    return (len(key) + 1) << 8 | ord(key[0])


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
        return pieces.take(pa.array(wanted) if there.all() else pa.array(wanted, mask=~there))

    def odd_lines(self) -> list[bytes]:
        """The odd lines of each segment, with their newlines."""
        found, first = [], 0
        for count in self.counts:
            rows = first + np.flatnonzero(self.odd[first : first + count])
            spans = zip(self.starts[rows].tolist(), self.ends[rows].tolist(), strict=True)
            found.append(b"".join(bytes(self.raw[start : end + 1]) for start, end in spans))
            first += count
        return found


def read(segments: Sequence[Segment]) -> Lines:
    """The lines of these segments."""
    raw = bytearray(sum(segment.stamp[1] for segment in segments) + _PAD)
    counts, blocks, first = [], list[_Block](), 0
    for segment in segments:
        end = first + segment.stamp[1]
        with open(durable.reading(segment.path), "rb") as file, memoryview(raw) as view:  # noqa: PTH123 - no path
            if file.readinto(view[first:end]) != end - first:
                raise OSError(f"{segment.path} is shorter than it was")
        found = [_looked_at(raw, start, stop) for start, stop in _cut(raw, first, end)]
        counts.append(sum(len(block.starts) for block in found))
        blocks += found
        first = end
    return _joined(raw, counts, blocks)


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
    spans = look.head()
    head = look.key
    spans |= look.numbers()
    spans |= look.objects()
    look.escapes(head)
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
    """A look at some lines: marks are their quotes and newlines; a cursor goes over the keys of all lines at once."""

    def __init__(self, raw: bytearray, first: int, stop: int) -> None:
        self.raw, self.first, self.size = raw, first, stop - first
        self.bytes: Bytes = np.frombuffer(raw, np.uint8, min(self.size + _PAD, len(raw) - first), first)
        lines = self.bytes[: self.size]
        marks = np.flatnonzero((lines == _QUOTE) | (lines == _NEWLINE))
        self.last = np.flatnonzero(self.bytes[marks] == _NEWLINE)
        self.ends = marks[self.last]
        self.starts = np.concatenate(([0], self.ends[:-1] + 1)) if len(self.ends) else self.ends
        self.marks = np.concatenate((marks, np.full(_PAD, self.size)))
        self.at = np.concatenate(([0], self.last[:-1] + 1)) if len(self.last) else self.last
        self.odd: Mask = self.marks[self.at] != self.starts + 1
        self._turn()

    def _turn(self) -> None:
        """Look at the key that stands at the cursor."""
        self.key = self.marks[self.at]
        self.width = self.marks[self.at + 1] - self.key
        self.code = self.width << 8 | self.bytes[self.key + 1]

    def head(self) -> dict[str, _Span]:
        """Where the texts stand; the cursor stands behind them then."""
        found = {name: self._text(name) for name in TEXTS}
        return {name: span for name, span in found.items() if span is not None}

    def _text(self, name: str) -> _Span | None:
        there = self.code == _code(name)
        if name in _NEEDED:
            self.odd |= ~there
        if not there.any():
            return None
        opened, closed, following = (self.marks[self.at + step] for step in (2, 3, 4))
        wrong = (opened - self.key - self.width != _GAP) | (following - closed != _GAP)
        if there.all():
            self.odd |= wrong
            span = _Span(opened + 1, closed, there)
        else:
            self.odd |= wrong & there
            span = _Span(np.where(there, opened + 1, self.starts), np.where(there, closed, self.starts), there)
        self.at = self.at + 4 * there
        self._turn()
        return span

    def numbers(self) -> dict[str, _Span]:
        """Where `seq` stands, and `received_at` if the line has it; from the end of the line."""
        quote = self.marks[self.last - 1]
        there = quote == self.ends - 2
        seq = self.last - 1 - 4 * there
        received, opened = self.marks[self.last - 4], self.marks[self.last - 2] + 1
        self.comma = self.marks[seq - 1] - 1
        self.odd |= (self.marks[seq] - self.comma - 1) << 8 | self.bytes[self.comma + 2] != _code("seq")
        other = (self.marks[self.last - 3] - received) << 8 | self.bytes[received + 1] != _code("received_at")
        self.odd |= there & other
        stop = np.where(there, received - 1, self.ends - 1)
        told = {"seq": _Span(self.marks[seq] + 2, stop, np.ones(len(there), bool))}
        if there.any():
            start, stop = np.where(there, opened, self.starts), np.where(there, quote, self.starts)
            told["received_at"] = _Span(start, stop, there)
        return told

    def objects(self) -> dict[str, _Span]:
        """Where `properties` and `context` stand.

        A line with no more braces than these two need ends the first where the second begins. Where there are more,
        a parser tells.
        """
        one, two = self.code == _code("properties"), self.code == _code("context")
        self.odd |= ~(one | two | (self.key == self.comma + 1))
        begin = self.key + self.width + 2
        self.odd |= (one | two) & (self.bytes[np.minimum(begin, self.size)] != _BRACE)
        braces = np.flatnonzero(self.bytes[: self.size] == _BRACE)
        before = np.searchsorted(braces, self.starts)
        count = np.diff(before, append=len(braces))
        third = np.append(braces, [0, 0, 0])[before + 2]
        both = one & (count == 3) & self._follows(third)  # noqa: PLR2004 - of the line, and of its two objects
        stop = np.where(both, third - _BEFORE_CONTEXT, self.comma)
        start = np.where(two, begin, np.where(both, third, self.starts))
        there = two | both
        for row in np.flatnonzero(one & ~both & (count != 2) & ~self.odd):  # noqa: PLR2004 - of the line and of one object
            length = self._length(int(row))
            stop[row] = begin[row] + length
            there[row] = stop[row] != self.comma[row]
            start[row] = stop[row] + _BEFORE_CONTEXT if there[row] else self.starts[row]
        return {
            "properties": _Span(np.where(one, begin, self.starts), np.where(one, stop, self.starts), one),
            "context": _Span(start, np.where(there, self.comma, self.starts), there),
        }

    def _follows(self, brace: Places) -> Mask:
        """Whether a brace belongs to a key with a c that stands behind an object: `},"c……":{`."""
        found = np.ones(len(brace), bool)
        for sign, place in zip(b'},"c', range(_BEFORE_CONTEXT + 1, 0, -1), strict=False):
            found &= self.bytes[brace - place] == sign
        return found

    def _length(self, row: int) -> int:
        """How long the properties of a line are, which has both more braces than usual."""
        start, stop = self.first + int(self.starts[row]), self.first + int(self.ends[row])
        try:
            return len(memoryview(_tail(memoryview(self.raw)[start:stop]).properties))
        except msgspec.DecodeError:
            self.odd[row] = True
            return 0

    def escapes(self, head: Places) -> None:
        """Lines are odd with an escape among their texts, or a sign by its number, which has two spellings."""
        if self.raw.find(b"\\", self.first, self.first + self.size) < 0:
            return
        found = np.flatnonzero(self.bytes[: self.size] == _BACKSLASH)
        line = np.searchsorted(self.starts, found, "right") - 1
        self.odd[line[(found < head[line]) | (self.bytes[found + 1] == _U)]] = True


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
