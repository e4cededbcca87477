"""The columns of stored lines, by where their quotes stand: nothing is parsed, Arrow copies the texts out of the bytes.

A stored line is canonical: known keys in one order, no blanks, texts before objects (docs/design.md, "A stored line").
A line that is not as plain as that is *odd*: one with an escape among its texts, say. What it holds is not told here.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from evlog.errors import StoreDamaged
from evlog.store import durable, parts
from evlog.store.layout import SEQ_BITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
_RUN = 16 << 20  # bytes whose fields are told together
_PAD, _MORE = 64, 16  # bytes and marks behind the last one, so that looking ahead needs no care
_QUOTE, _NEWLINE, _BRACE, _CLOSING, _COMMA, _BACKSLASH, _U, _E = b'"\n{},\\ue'
_FIRST, _CONTEXT = b'{"event_type":"', b',"context":'
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"')
_TEXTS = 4096  # that are searched together
_EXPONENT = re.compile(rb"\de")
_AFTER = np.arange(2, 7)  # behind digit and e: a sign, three digits, and what ends a number
_ENDS = np.frombuffer(b",}]", np.uint8)


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
    """Some lines of a segment that follow each other."""

    segment: Segment
    starts: Places  # in the segment
    stops: Places  # behind their newlines
    odd: Mask
    texts: dict[str, Any]


@dataclass(slots=True)
class Lines:
    """Some lines of some segments: their fields as columns of texts, and which are odd: of those nothing is told."""

    blocks: list[_Block]
    odd: Mask

    def __len__(self) -> int:
        """How many lines there are."""
        return len(self.odd)

    def text(self, name: str) -> Any:
        """A field of these lines as a chunked Arrow array of strings, null where it is absent."""
        import pyarrow as pa

        kind = pa.string()
        held = [one.texts[name] if name in one.texts else pa.nulls(len(one.odd), kind) for one in self.blocks]
        return pa.chunked_array(held, kind)

    def of_segment(self, tell: Callable[[Segment], int]) -> Places:
        """For each line what `tell` tells of its segment."""
        told = [tell(one.segment) for one in self.blocks]
        return np.repeat(np.array(told, np.int64), [len(one.odd) for one in self.blocks])

    def odd_lines(self) -> Iterator[tuple[Segment, bytes]]:
        """Yield the odd lines of each block that has some, with their newlines, read again."""
        first = 0
        for block in self.blocks:
            rows = np.flatnonzero(self.odd[first : first + len(block.odd)])
            first += len(block.odd)
            if len(rows):
                yield block.segment, _again(block.segment, block.starts[rows].tolist(), block.stops[rows].tolist())


def read(segments: Sequence[Segment], room: bytearray) -> Iterator[Lines]:
    """Yield the lines of these segments, some MiB at a time.

    They are put into `room`, which is made larger if need be: use it again, one at a time.
    """
    np.empty(_RUN, np.uint8)  # glibc keeps what is freed, in pieces up to the largest yet: no new pages a block
    blocks, size = list[_Block](), 0
    for segment in segments:
        for first, length in _filled(segment, room):
            blocks.append(_looked_at(room, length, segment, first))
            size += length
            if size >= _RUN:
                yield _joined(blocks)
                blocks, size = [], 0
    if blocks:
        yield _joined(blocks)


def _filled(segment: Segment, room: bytearray) -> Iterator[tuple[int, int]]:
    """Put whole lines of a segment into `room`, about a block at a time; yield where they begin, and their length."""
    left, first, held = segment.stamp[1], 0, 0
    with open(durable.reading(segment.path), "rb") as file:  # noqa: PTH123 - no path
        while left:
            more = min(left, _BLOCK)
            room.extend(bytes(max(0, held + more + 1 + _PAD - len(room))))
            with memoryview(room) as view:
                if file.readinto(view[held : held + more]) != more:
                    raise StoreDamaged(f"{segment.path} is shorter than it was")
            left, held = left - more, held + more
            if not left and room[held - 1] != _NEWLINE:
                room[held] = _NEWLINE
                held += 1
            whole = room.rfind(b"\n", 0, held) + 1
            if whole:
                yield first, whole
                room[: held - whole] = room[whole:held]
                first, held = first + whole, held - whole


def _again(segment: Segment, starts: Sequence[int], stops: Sequence[int]) -> bytes:
    """The lines of a segment between these places; a newline may be wanting at its end."""
    fd = durable.reading(segment.path)
    try:
        lines = (os.pread(fd, stop - start, start) for start, stop in zip(starts, stops, strict=True))
        return b"".join(line if line.endswith(b"\n") else line + b"\n" for line in lines)
    finally:
        os.close(fd)


def _joined(blocks: list[_Block]) -> Lines:
    return Lines(blocks, np.concatenate([one.odd for one in blocks]))


def _looked_at(raw: bytearray, size: int, segment: Segment, first: int) -> _Block:
    """What the fields say in the first `size` bytes, which are whole lines and stand in a segment from `first` on."""
    look = _Look(raw, size)
    spans = look.head() | look.numbers() | look.objects()
    look.escapes()
    odd = look.odd
    for span in spans.values():
        odd |= span.start > span.stop
    if odd.any():  # what is odd is not told; its places must not go back before those of other lines
        for span in spans.values():
            span.start, span.stop = np.where(odd, look.starts, span.start), np.where(odd, look.starts, span.stop)
    evens = np.arange(0, 2 * len(odd), 2)
    texts = {name: _text(raw, span, evens) for name, span in spans.items()}
    return _Block(segment, look.starts + first, look.ends + (first + 1), odd, texts)


def _text(raw: bytearray, span: _Span, evens: Places) -> Any:
    """What stands there, as an Arrow array of strings: copied while the bytes are in the cache."""
    import pyarrow as pa

    borders = np.empty(2 * len(evens), np.int32)
    borders[0::2], borders[1::2] = span.start, span.stop
    pieces = pa.StringArray.from_buffers(len(borders) - 1, pa.py_buffer(borders), pa.py_buffer(raw))
    return parts.taken(pieces, pa.array(evens) if span.there.all() else pa.array(evens, mask=~span.there))


class _Look:
    """A look at some lines. Marks are commas before a quote, and newlines; a cursor goes over the keys of all lines."""

    def __init__(self, raw: bytearray, size: int) -> None:
        self.raw, self.size = raw, size
        self.bytes: Bytes = np.frombuffer(raw, np.uint8, size + _PAD)
        signs, following = self.bytes[: self.size], self.bytes[1 : self.size + 1]
        self.words = np.ndarray(size + _PAD - 8, np.uint64, raw, 0, (1,))  # eight bytes from each place on
        found = np.ones(size + _MORE, bool)
        told = np.equal(signs, _COMMA, out=found[:size])
        told &= following == _QUOTE
        told |= signs == _NEWLINE
        self.marks = np.flatnonzero(found)
        marks = self.marks[:-_MORE]
        self.last = np.flatnonzero(self.bytes[marks] == _NEWLINE)
        self.ends = marks[self.last]
        self.starts = np.concatenate(([0], self.ends[:-1] + 1))
        self.at = np.concatenate(([0], self.last[:-1] + 1))
        self.mark = marks[self.at]
        behind = self.bytes[marks - 1] == _CLOSING  # marks behind an object: each line has one at its end, at least
        count = np.cumsum(behind, dtype=np.int32)
        before = count[self.at] - behind[self.at]
        self.closed = count[self.last] - before
        self.first_closing = np.append(np.flatnonzero(behind), 0)[before]
        self.odd: Mask = np.zeros(len(self.ends), bool)

    def head(self) -> dict[str, _Span]:
        """Where the texts stand; the cursor stands behind them then."""
        begin = self.starts + len(_FIRST)
        self.odd |= ~self._says(self.starts, _FIRST)
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
        self.odd |= ~self._says(self.comma, b',"seq":')
        told = {"seq": _Span(self.comma + len(',"seq":'), np.where(there, mark, self.ends - 1), ~np.zeros_like(there))}
        if there.any():
            before = b',"received_at":"'
            self.odd |= there & ~self._says(mark, before)
            start, stop = np.where(there, mark + len(before), self.starts), np.where(there, self.ends - 2, self.starts)
            told["received_at"] = _Span(start, stop, there)
        return told

    def _says(self, places: Places, text: bytes) -> Mask:
        """At which of these places this text stands: eight bytes are looked at together, some of them twice."""
        found = np.ones(len(places), bool)
        wanted = int.from_bytes(b"\xff" * min(8, len(text)), sys.byteorder)
        for step in {*range(0, len(text) - 7, 8), max(0, len(text) - 8)}:
            word = int.from_bytes(text[step : step + 8].ljust(8, b"\0"), sys.byteorder)
            found &= self.words[places + step] & np.uint64(wanted) == np.uint64(word)
        return found

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
        both &= self._says(second, _CONTEXT)
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
        start, stop = int(self.starts[row]), int(self.ends[row])
        try:
            return len(memoryview(_tail(memoryview(self.raw)[start:stop]).properties))
        except msgspec.DecodeError:
            self.odd[row] = True
            return 0

    def escapes(self) -> None:
        """Lines are odd with an escape among their texts, or with a sign by its number, which has two spellings.

        The cursor stands behind the texts.
        """
        if self.raw.find(b"\\", 0, self.size) < 0:
            return
        found = np.flatnonzero(self.bytes[: self.size] == _BACKSLASH)
        line = np.searchsorted(self.starts, found, "right") - 1
        self.odd[line[(found < self.mark[line]) | (self.bytes[found + 1] == _U)]] = True


def spelled_otherwise(texts: Any) -> Mask:
    """Which of these JSON texts hold a number with an exponent: readers spell those in more than one way."""
    if texts.null_count == len(texts):
        return np.zeros(len(texts), bool)
    return np.concatenate([_exponents(texts.slice(at, _TEXTS)) for at in range(0, len(texts), _TEXTS)])


def _exponents(texts: Any) -> Mask:
    found = np.zeros(len(texts), bool)
    _, borders, data = texts.buffers()
    places = np.frombuffer(borders, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    signs = np.frombuffer(data, np.uint8)[places[0] : places[-1]]
    digit = (signs[:-1] - ord("0")) < 10  # noqa: PLR2004 - digits; what is less than 0 wraps round
    at = np.flatnonzero(digit & (signs[1:] == _E))
    if not len(at):
        return found
    after = signs[np.minimum(at[:, None] + _AFTER, len(signs) - 1)]
    ends = np.isin(after, _ENDS)
    first = (ends | (after == _QUOTE)).argmax(1)  # what comes first tells most texts, which have a quote there
    at = at[np.take_along_axis(ends, first[:, None], 1)[:, 0]]
    for row in np.unique(np.searchsorted(places, at + places[0], "right") - 1).tolist():
        found[row] = _EXPONENT.search(_TEXT.sub(b"", bytes(data[places[row] : places[row + 1]]))) is not None
    return found


def moments(texts: Any) -> Places:
    """Instants, as a line spells them, in microseconds since 1970."""
    import pyarrow as pa

    whole: Places = texts.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    return whole


def arrivals(lines: Lines, rows: Places | None) -> tuple[Places, Places]:
    """`seq` in the store and `received_at` (microseconds since 1970) of these lines (None: all), none of them odd."""
    import pyarrow as pa

    chosen = slice(None) if rows is None else rows
    bases = lines.of_segment(lambda segment: segment.name.batch << SEQ_BITS)[chosen]
    received = lines.of_segment(_received)[chosen]
    seq = parts.chosen(lines.text("seq"), rows).cast(pa.int64()).to_numpy()
    if any("received_at" in block.texts for block in lines.blocks):
        said = parts.chosen(lines.text("received_at"), rows)
        own = said.is_valid().to_numpy()
        bases[own], received[own] = 0, moments(said.drop_null())
    return seq + bases, received


def _received(segment: Segment) -> int:
    return int(np.datetime64(segment.name.received_at, "us").astype(np.int64))
