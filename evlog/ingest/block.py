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
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

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
_NEWLINE = ord("\n")


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


Buffer = bytearray | mmap.mmap
Bytes = bytes | memoryview


@dataclass(slots=True)
class Block:
    """Lines for one batch. `data` may be longer than the lines in it, and is used again for the next block."""

    data: bytes | Buffer = b""
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
    """The block in the making: whole lines, and behind them the beginning of one that is not whole yet."""

    def __init__(self, buffers: Iterator[Buffer]) -> None:
        self._buffers = buffers
        self.buffer = next(buffers)
        self._begin()

    def _begin(self) -> None:
        self.block = Block()
        self.lines = 0
        self.since = time.monotonic()

    def room(self, at: int) -> memoryview:
        """Where to read what shall stand at `at`: right there, if there is room enough."""
        whole = memoryview(self.buffer)
        return whole[at : at + _READ] if at + _READ <= len(whole) else memoryview(bytearray(_READ))

    def put(self, at: int, data: Bytes) -> None:
        """Let `data` stand at `at` of the buffer, where it stands already if it was read into its room."""
        if isinstance(data, memoryview) and data.obj is self.buffer:
            return
        stop = at + len(data)
        if stop > len(self.buffer):
            self.buffer = bytearray(self.buffer[:at]) + bytes(stop - at)
        with memoryview(self.buffer) as room:
            room[at:stop] = data

    @property
    def full(self) -> bool:
        return self.block.size >= BLOCK or self.lines >= LINES

    @property
    def empty(self) -> bool:
        return not (self.block.size or self.block.overlong or self.block.broken)

    def take(self) -> Block:
        """The block."""
        self.block.data = self.buffer
        return self.block

    def go_on(self, rest: int) -> None:
        """Begin the next block with the `rest` bytes behind the lines of the one that was taken."""
        begun = bytes(self.buffer[self.block.size : self.block.size + rest])
        self.buffer = next(self._buffers)
        self._begin()
        self.put(0, begun)


@dataclass(slots=True)
class _Reader:
    """Cuts the stream of one source into whole lines."""

    source: str
    max_line: int
    number: int = 0
    line: int = 1
    offset: int = 0
    rest: int = 0  # bytes of a line that is not whole yet, behind the lines of the block
    _long: hashlib._Hash | None = None
    _length: int = 0
    _head: bytes = b""
    _tail: bytes = b""
    _refuses: bool = False

    def room(self, into: _Gathering) -> memoryview:
        """Where to read what comes next."""
        return into.room(into.block.size + self.rest)

    def feed(self, data: Bytes, into: _Gathering) -> None:
        """Take whole lines out of what was left and `data`; the remainder waits."""
        if self._long is not None:
            data = self._skip(bytes(data), into)
        start = into.block.size
        fresh = start + self.rest
        into.put(fresh, data)
        stop = fresh + len(data)
        end = into.buffer.rfind(b"\n", fresh, stop) + 1
        if end:
            self._whole(start, end, into)
        begun = end or start
        self.rest = stop - begun
        if self.rest > self.max_line:
            line = bytes(into.buffer[begun:stop])
            self._long, self._head = hashlib.sha256(line), line[:KEPT_HEAD]
            self._refuses, self._tail = unread.refuses(line), line[-unread.REACH :]
            self._length, self.rest = len(line), 0

    def finish(self, into: _Gathering) -> None:
        """Give out the last line, the one without a newline."""
        if self._long is not None:
            self._told(into)
        elif self.rest:
            start = into.block.size
            stop = start + self.rest
            into.put(stop, b"\n")
            self.rest = 0
            self._whole(start, stop + 1, into, torn=True)

    def _whole(self, start: int, stop: int, into: _Gathering, *, torn: bool = False) -> None:
        """Add the lines in the buffer from `start` to `stop` to the block; a piece that they go on with grows."""
        block = into.block
        block.size = stop
        piece = Piece(self.source, self.line, self.offset, start, stop, torn, self.number)
        last = block.pieces[-1] if block.pieces else None
        if last and last.input == self.number and last.offset + start - last.start == self.offset and not torn:
            block.pieces[-1] = replace(last, stop=stop)
        else:
            block.pieces.append(piece)
        count = int(np.count_nonzero(np.frombuffer(into.buffer, np.uint8, stop - start, start) == _NEWLINE))
        into.lines += count
        self.line += count
        self.offset += stop - start - torn

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


def _one_buffer() -> Iterator[Buffer]:
    """The same memory for all blocks."""
    buffer = bytearray(CAPACITY)
    while True:
        yield buffer


def blocks(
    sources: Iterable[Source],
    *,
    max_line: int,
    flush_interval: float,
    seen: Callable[[int], None] = lambda count: None,
    lines_of: Callable[[Stream], Iterator[bytes]] | None = None,
    buffers: Iterator[Buffer] | None = None,
) -> Iterator[Block]:
    """Blocks of the lines of `sources`, in order; small sources share one.

    A block is given out when it is full, or `flush_interval` seconds after its first byte when a stream has nothing to
    give for the moment: a stream that never ends is committed as it goes. `seen` hears of progress in bytes on disk.
    `lines_of` turns streams that are not NDJSON into it. Each block is read into the next of `buffers`.
    """
    gathering = _Gathering(buffers or _one_buffer())
    try:
        for source in sources:
            with closing(Stream(source)) as stream:
                reader = _Reader(source.name, max_line, source.number)
                pieces = _pieces(stream, flush_interval, partial(reader.room, gathering))
                for data in lines_of(stream) if lines_of else pieces:
                    if data:
                        if lines_of is None:
                            reader.offset = reader.offset or stream.skipped
                        reader.feed(data, gathering)
                        seen(stream.position())
                    idle = not data or stream.endless
                    if gathering.full or (idle and not gathering.empty and _due(gathering, flush_interval)):
                        yield gathering.take()
                        gathering.go_on(reader.rest)
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


def _pieces(stream: Stream, flush_interval: float, room: Callable[[], memoryview]) -> Iterator[Bytes]:
    """The stream in pieces, read into `room`; an empty one whenever a live stream was silent for the flush interval."""
    patience = min(max(flush_interval, 0.05), 1.0)
    while True:
        if stream.live and not select.select([stream.fileno()], [], [], patience)[0]:
            yield b""
            continue
        if stream.plain:
            into = room()
            data: Bytes = into[: stream.fill(into)]
        else:
            data = stream.read(_READ)
        if not data:
            return
        yield data
