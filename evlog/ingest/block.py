"""Blocks: some megabytes of whole lines, each line knowing where it came from.

A line longer than `max_line` never stands in memory whole: its head is kept for the quarantine, the rest is hashed and
dropped. The last line of a source needs no newline.
"""

from __future__ import annotations

import hashlib
import mmap
import select
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evlog.ingest import unread
from evlog.ingest.source import SourceError, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from evlog.ingest.source import Source

BLOCK = 16 * 1024 * 1024  # bytes of lines in one batch: two are in flight, each is about three times that in memory
CAPACITY = BLOCK + (8 << 20)  # a block is given out at the first piece that makes it reach BLOCK
LINES = 250_000
_READ = 1 << 20
KEPT_HEAD = 2048


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of whole lines of one source inside a block."""

    source: str
    line: int  # number of the first line, from 1
    offset: int  # where it begins in the (unpacked) source
    start: int  # … and in the block
    stop: int
    torn: bool  # the last line has no newline: it may be whole or broken off
    input: int = 0  # which of the run's sources it is, as two may have one name


@dataclass(frozen=True, slots=True)
class Overlong:
    """A line longer than allowed."""

    source: str
    line: int
    offset: int
    length: int
    head: bytes
    digest: str
    refuses: bool  # it speaks of refused consent


Buffer = bytes | bytearray | mmap.mmap


@dataclass(slots=True)
class Block:
    """Lines for one batch. `data` may be longer than the lines in it, and is used again for the next block."""

    data: Buffer = b""
    size: int = 0
    pieces: list[Piece] = field(default_factory=list)
    overlong: list[Overlong] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)  # (source, what happened) for streams that broke off

    @classmethod
    def of(cls, data: bytes, source: str = "-") -> Block:
        """A block of the lines of one source, all at once."""
        whole = data if data.endswith(b"\n") else data + b"\n"
        piece = Piece(source, 1, 0, 0, len(whole), torn=whole is not data)
        return cls(whole, len(whole), [piece] if data else [])


class _Gathering:
    """A block in the making, in a buffer that serves one block after the other."""

    def __init__(self, buffer: bytearray) -> None:
        self.buffer = buffer
        self.block = Block()
        self.lines = 0
        self.since = time.monotonic()

    def add(self, lines: memoryview | bytes) -> int:
        """Take whole lines; where they begin."""
        start, stop = self.block.size, self.block.size + len(lines)
        if stop > len(self.buffer):
            self.buffer += bytes(stop - len(self.buffer))
        self.buffer[start:stop] = lines
        self.block.size = stop
        return start

    @property
    def full(self) -> bool:
        return self.block.size >= BLOCK or self.lines >= LINES

    @property
    def empty(self) -> bool:
        return not (self.block.size or self.block.overlong or self.block.broken)

    def take(self) -> Block:
        self.block.data = self.buffer
        return self.block


@dataclass(slots=True)
class _Reader:
    """Cuts the stream of one source into whole lines."""

    source: str
    max_line: int
    number: int = 0
    line: int = 1
    offset: int = 0
    rest: bytes = b""
    _long: hashlib._Hash | None = None
    _length: int = 0
    _head: bytes = b""
    _tail: bytes = b""
    _refuses: bool = False

    def feed(self, data: bytes, into: _Gathering) -> None:
        """Take whole lines out of what was left and `data`; the remainder waits."""
        if self._long is not None:
            data = self._skip(data, into)
        data = self.rest + data
        end = data.rfind(b"\n") + 1
        self.rest = data[end:]
        if end:
            self._whole(data[:end], into, torn=False)
        if len(self.rest) > self.max_line:
            self._long, self._head = hashlib.sha256(self.rest), self.rest[:KEPT_HEAD]
            self._refuses, self._tail = unread.refuses(self.rest), self.rest[-unread.REACH :]
            self._length, self.rest = len(self.rest), b""

    def finish(self, into: _Gathering) -> None:
        """Give out the last line, the one without a newline."""
        if self._long is not None:
            self._told(into)
        elif self.rest:
            rest, self.rest = self.rest, b""
            self._whole(rest + b"\n", into, torn=True)

    def _whole(self, lines: bytes, into: _Gathering, *, torn: bool) -> None:
        start = into.add(lines)
        stop = start + len(lines)
        into.block.pieces.append(Piece(self.source, self.line, self.offset, start, stop, torn, self.number))
        count = lines.count(b"\n")
        into.lines += count
        self.line += count
        self.offset += len(lines) - torn

    def _skip(self, data: bytes, into: _Gathering) -> bytes:
        end = data.find(b"\n")
        gone = data if end < 0 else data[:end]
        assert self._long is not None
        self._long.update(gone)
        self._length += len(gone)
        near = self._tail + gone
        self._refuses = self._refuses or unread.refuses(near)
        self._tail = near[-unread.REACH :]
        if end < 0:
            return b""
        self._told(into)
        return data[end + 1 :]

    def _told(self, into: _Gathering) -> None:
        assert self._long is not None
        digest = self._long.hexdigest()
        found = Overlong(self.source, self.line, self.offset, self._length, self._head, digest, self._refuses)
        into.block.overlong.append(found)
        self.line += 1
        self.offset += self._length + 1
        self._long, self._head = None, b""


def blocks(
    sources: Iterable[Source],
    *,
    max_line: int,
    flush_interval: float,
    seen: Callable[[int], None] = lambda count: None,
    lines_of: Callable[[Stream], Iterator[bytes]] | None = None,
) -> Iterator[Block]:
    """Blocks of the lines of `sources`, in order; small sources share one.

    A block is given out when it is full, or `flush_interval` seconds after its first byte when a stream has nothing to
    give for the moment: a stream that never ends is committed as it goes. `seen` hears of progress in bytes on disk.
    `lines_of` turns streams that are not NDJSON into it.
    """
    buffer = bytearray(CAPACITY)
    gathering = _Gathering(buffer)
    try:
        for source in sources:
            with closing(Stream(source)) as stream:
                reader = _Reader(source.name, max_line, source.number)
                for data in lines_of(stream) if lines_of else _pieces(stream, flush_interval):
                    if data:
                        if lines_of is None:
                            reader.offset = reader.offset or stream.skipped
                        reader.feed(data, gathering)
                        seen(stream.position())
                    idle = not data or stream.endless
                    if gathering.full or (idle and not gathering.empty and _due(gathering, flush_interval)):
                        yield gathering.take()
                        gathering = _Gathering(buffer)
                reader.finish(gathering)
                if stream.broken:
                    gathering.block.broken.append((source.name, stream.broken))
    except (SourceError, KeyboardInterrupt):
        if not gathering.empty:
            yield gathering.take()  # what was read so far is good
        raise
    if not gathering.empty:
        yield gathering.take()


def _due(gathering: _Gathering, flush_interval: float) -> bool:
    return time.monotonic() - gathering.since >= flush_interval


def _pieces(stream: Stream, flush_interval: float) -> Iterator[bytes]:
    """The stream in pieces; an empty piece whenever a live stream has been silent for the flush interval."""
    patience = min(max(flush_interval, 0.05), 1.0)
    while True:
        if stream.live and not select.select([stream.fileno()], [], [], patience)[0]:
            yield b""
            continue
        data = stream.read(_READ)
        if not data:
            return
        yield data
