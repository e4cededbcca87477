"""Targets: how a source is cut into lines, how it is unpacked, and how a line is judged."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import zstandard
from test_ingest_lanes import PARSERS, said

from evlog.ingest import block, csv_lines
from evlog.ingest import source as sources
from evlog.ingest.source import Source, SourceError, Stream

if TYPE_CHECKING:
    from collections.abc import Callable

Line = tuple[int, int, bytes | tuple[int, str]]  # number, offset; its bytes, or length and hash of one that is too long

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BOM = b"\xef\xbb\xbf"
_WAYS = sorted(PARSERS)
_PACKERS: tuple[Callable[[bytes], bytes], ...] = (gzip.compress, bz2.compress, zstandard.compress)
_MAGIC = (b"\x1f\x8b\x08", b"BZh9", b"\x28\xb5\x2f\xfd")
_TOLD = (b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd")  # what tells a packed source from a plain one
_RATIO_FROM, _BOMB = 64 << 10, 1 << 20  # a bomb that is small enough to be set off thousands of times


def target_lines(data: bytes) -> None:
    """The same lines, told alike, in whatever pieces the source comes."""
    size, limit, body = data[:1], data[1:2], data[2:]
    most = 16 + (limit or b"0")[0]
    expected = None if _other_encoding(body) else _cut(body, most)
    for piece in {1, (size or b"0")[0] or 3, 1 << 20}:
        try:
            found = _read(body, piece, most)
        except SourceError:
            found = None
        assert found == expected, (piece, most, found, expected)


def _other_encoding(body: bytes) -> bool:
    return not body.startswith(_TOLD) and (body[:2] in _UTF16 or b"\0" in body[:2])


def _cut(body: bytes, most: int) -> list[Line]:
    """The lines of a source, told by splitting it: what the reader must come to."""
    found, at = [], len(_BOM) * body.startswith(_BOM)
    for number, line in enumerate(body[at:].split(b"\n"), 1):
        if line or at + len(line) < len(body):
            found.append((number, at, _told(line, most)))
        at += len(line) + 1
    return found


def _told(line: bytes, most: int) -> bytes | tuple[int, str]:
    return line if len(line) <= most else (len(line), hashlib.sha256(line).hexdigest())


def _read(body: bytes, piece: int, most: int) -> list[Line]:
    """The lines of a source as evlog cuts them, read in pieces of so many bytes."""
    usual = block._READ, block.CAPACITY
    block._READ, block.CAPACITY = piece, 1 << 12
    try:
        with _file(body) as name:
            return [
                line for one in block.blocks([Source(name)], max_line=most, flush_interval=0) for line in _in(one, most)
            ]
    finally:
        block._READ, block.CAPACITY = usual


def _in(one: block.Block, most: int) -> list[Line]:
    found: list[Line] = [(far.line, far.offset, (far.length, far.digest)) for far in one.overlong]
    for piece in one.pieces:
        at = piece.offset
        for number, line in enumerate(bytes(one.data[piece.start : piece.stop - 1]).split(b"\n"), piece.line):
            found.append((number, at, _told(line, most)))
            at += len(line) + 1
    assert not one.broken
    return sorted(found)


class _file:  # noqa: N801 - used as a function
    """A file in memory that holds some bytes; its name."""

    def __init__(self, body: bytes) -> None:
        self._fd = os.memfd_create("fuzz")
        os.write(self._fd, body)

    def __enter__(self) -> str:
        return f"/proc/self/fd/{self._fd}"

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def target_judge(data: bytes) -> None:
    """The fast lane and the judge agree; lines add up; what is stored is JSON to every reader, and stays what it is."""
    way, body = _WAYS[(data or b"0")[0] % len(_WAYS)], data[1:]
    given = block.Block.of(body)
    fast, exact = (parser.parse(given) for parser in PARSERS[way])
    assert said(fast) == said(exact), way
    tally = fast.tally
    assert tally.read == tally.rejected + tally.no_consent + tally.erased + _stored(fast)
    for day, held in fast.days.items():
        for line in bytes(held.lines).splitlines():
            event = json.loads(line)
            assert event["ts"][:10] == day
            _same_again(way, event)


def _stored(parsed: Any) -> int:
    return len(parsed.anonymous) + sum(len(day.origins) for day in parsed.days.values())


def _same_again(way: str, event: dict[str, Any]) -> None:
    """A stored event, sent again as it is read back, is the same event."""
    if "allowing" not in way:
        return  # what is taken out the first time is not there the second time
    del event["seq"]
    again = PARSERS[way][1].parse(block.Block.of(json.dumps(event).encode()))
    found = [json.loads(line) for day in again.days.values() for line in bytes(day.lines).splitlines()]
    assert [one | {"seq": 0} for one in found] == [event | {"seq": 0}]


def target_packed(data: bytes) -> None:
    """Of what is packed all is read, of what breaks off a good begin, of a bomb no more than its ratio."""
    how, many, cut, body = (data[:3].ljust(3, b"\0")[0] % 4, data[1:2] or b"\0", data[2:3] or b"\0", data[3:])
    if how == 3:
        _unpacked(_MAGIC[many[0] % 3] + body)
        return
    pack, size = _PACKERS[how], max(1, len(body) // (1 + many[0] % 4))
    members = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    packed = b"".join(map(pack, members))
    if _other_encoding(body):
        return  # refused whole, as told elsewhere
    read, broken = _unpacked(packed)
    assert (read, broken) == (body.removeprefix(_BOM), None)
    short = packed[: len(packed) * cut[0] // 256]
    if short.startswith(_TOLD[how]):
        read, _ = _unpacked(short)
        assert body.removeprefix(_BOM).startswith(read)
    if many[0] == 255:
        _, broken = _unpacked(pack(body + b"0" * _BOMB))
        assert broken is not None


def _unpacked(packed: bytes) -> tuple[bytes, str | None]:
    """What is read of a packed source, and why it ended early; it is told, never raised, but for another encoding."""
    usual, sources._RATIO_FROM = sources._RATIO_FROM, _RATIO_FROM
    read = b""
    try:
        with _file(packed) as name:
            stream = Stream(Source(name))
            try:
                while data := stream.read(1 << 16):
                    read += data
            except SourceError as error:
                assert "UTF-16" in str(error)  # noqa: PT017 - no other
                return read, str(error)
            finally:
                stream.close()
    finally:
        sources._RATIO_FROM = usual
    assert len(read) <= max(_RATIO_FROM, 251 * len(packed)) + (18 << 20)
    return read, stream.broken


def target_csv(data: bytes) -> None:
    """A CSV source becomes lines of JSON, or a row that says what is wrong with it; never anything else."""
    with _file(data) as name:
        stream = Stream(Source(name))
        try:
            found = b"".join(csv_lines.lines(stream))
        except SourceError:
            return
        finally:
            stream.close()
    for line in found.splitlines():
        if line.startswith(b"{") and line.endswith(b"}"):
            json.loads(line.decode("utf-8", "replace"))
