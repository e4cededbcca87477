"""Where lines come from: standard input, files, folders and globs; plain, gz, bz2, zst; told by their first bytes."""

from __future__ import annotations

import bz2
import fcntl
import glob
import gzip
import io
import os
import stat
import sys
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from evlog.errors import EvlogError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

STDIN = "-"
_SUFFIXES = (".ndjson", ".jsonl", ".json", ".log", ".csv")
_PACKED = (".gz", ".bz2", ".zst")
_RATIO, _RATIO_FROM = 250, 256 * 1024 * 1024
_BUFFER = 64 << 10  # larger reads go past it
_PIPE = 1 << 20  # bytes a pipe may hold: its writer and we then wait for each other more rarely
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BOM = b"\xef\xbb\xbf"
_HEAD = 4
_PACKED_READ, _SIP = 64 << 10, 512  # zstd at its worst makes 17 MB of such a sip


class SourceError(EvlogError):
    """A source cannot be read, or not to its end."""


@dataclass(frozen=True, slots=True)
class Source:
    """A named stream of bytes to ingest."""

    name: str
    number: int = 0  # which of a run's sources it is

    @property
    def is_csv(self) -> bool:
        """Whether its name says CSV."""
        name = self.name.lower()
        return any(name.endswith(".csv" + packed) for packed in ("", *_PACKED))

    def size(self) -> int | None:
        """Its size in bytes as it lies on disk; None where that is not known."""
        try:
            return None if self.name == STDIN else Path(self.name).stat().st_size
        except OSError:
            return None


def sources(names: Iterable[str]) -> list[Source]:
    """The sources that `names` stand for: files, folders (wholly, in order of names) and globs; none means stdin."""
    found: list[Source] = []
    for name in names:
        if name == STDIN:
            found.append(Source(STDIN))
        elif Path(name).is_dir():
            found.extend(Source(str(path)) for path in _inside(Path(name)))
        elif Path(name).exists():
            found.append(Source(name))
        else:
            matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
            if not matches:
                raise SourceError(f"there is no file {name}", hint="name files, folders or globs; - reads stdin")
            found.extend(source for match in matches for source in sources([match]))
    return found or [Source(STDIN)]


def is_csv(source: Source, input_format: str | None) -> bool:
    """Whether `source` is to be read as CSV."""
    return input_format == "csv" or (input_format is None and source.is_csv)


def _inside(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            name = file.lower()
            for packed in _PACKED:
                name = name.removesuffix(packed)
            if name.endswith(_SUFFIXES) and not file.startswith("."):
                yield Path(root) / file


class Stream:
    """The plain bytes of a source, read in pieces; knows how far it is on disk.

    A compressed stream that breaks off, or that unpacks to more than 250 times its size (past 256 MiB), ends there:
    what came before is good, and `broken` says what happened.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.broken: str | None = None
        self.skipped = 0  # how many bytes of a byte order mark came before the first that was read
        self._raw = _opened(source)
        self._out = 0
        head = self._raw.peek(_HEAD)[:_HEAD]
        unpack = _unpacker(head)
        self.packed = unpack is not None
        self._plain: BinaryIO = self._raw if unpack is None else unpack(self._raw)
        self._first = True

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, as soon as there are some; empty at the end."""
        if self.broken:
            return b""
        try:
            data = self._read1(size)
        except (EOFError, OSError, ValueError, zlib.error, _zstd_error()) as error:
            if not self.packed:
                raise SourceError(f"cannot read {self.source.name}: {error}") from error
            self.broken = f"the compressed stream breaks off ({error})"
            return b""
        self._out += len(data)
        if self.packed and self._out > _RATIO_FROM and self._out > _RATIO * max(1, self.position()):
            self.broken = f"unpacks to more than {_RATIO} times its size"
        if self._first and data:
            self._first = False
            if data[:2] in _UTF16 or b"\0" in data[:2]:
                hint = "convert it first: iconv -f UTF-16 -t UTF-8"
                raise SourceError(f"{self.source.name} is UTF-16, not UTF-8", hint=hint)
            if data.startswith(_BOM):
                self.skipped = len(_BOM)
                data = data[self.skipped :] or self.read(size)
        return data

    def fill(self, room: memoryview) -> int:
        """Read into `room` as soon as there is something; how many bytes, 0 at the end. The stream must be `plain`."""
        try:
            return self._raw.readinto1(room)
        except OSError as error:
            raise SourceError(f"cannot read {self.source.name}: {error}") from error

    @property
    def plain(self) -> bool:
        """Whether what comes is what lies on disk, and its beginning was looked at."""
        return not self.packed and not self._first

    def position(self) -> int:
        """How many bytes of the source, as it lies on disk, were read."""
        return self._raw.raw.position  # type: ignore[attr-defined, no-any-return]

    @property
    def live(self) -> bool:
        """Whether more may come at any time, and silence is worth noticing."""
        return self.endless and not self.packed and not self._first

    @property
    def endless(self) -> bool:
        """Whether it may never end: a pipe, not a file."""
        return self.source.name == STDIN or stat.S_ISFIFO(os.fstat(self.fileno()).st_mode)

    def fileno(self) -> int:
        """The descriptor to wait on for more."""
        return self._raw.fileno()

    def close(self) -> None:
        """Let go of the source."""
        if self.source.name != STDIN:
            self._raw.close()

    def _read1(self, size: int) -> bytes:
        if self._first:  # enough to tell a byte order mark, however small the first pieces are
            data = b""
            while len(data) < len(_BOM) and (more := self._some(size)):
                data += more
            return data
        return self._some(size)

    def _some(self, size: int) -> bytes:
        reader = getattr(self._plain, "read1", self._plain.read)
        return bytes(reader(size))


class _Counted(io.RawIOBase):
    """A raw stream that counts what is read from it."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self.position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int | None:  # type: ignore[override]
        count = self._raw.readinto(buffer)
        self.position += count or 0
        return count

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        self._raw.close()
        super().close()


def _opened(source: Source) -> io.BufferedReader:
    if source.name == STDIN:
        raw: io.RawIOBase = io.FileIO(sys.stdin.fileno(), closefd=False)
    else:
        try:
            raw = io.FileIO(source.name)
        except OSError as error:
            raise SourceError(f"cannot read {source.name}: {error.strerror}") from error
    with suppress(OSError, AttributeError):  # no pipe, or no Linux
        fcntl.fcntl(raw.fileno(), fcntl.F_SETPIPE_SZ, _PIPE)
    return io.BufferedReader(_Counted(raw), buffer_size=_BUFFER)  # type: ignore[arg-type]  # the same


def _unpacker(head: bytes):  # type: ignore[no-untyped-def]  # noqa: ANN202 - one of three readers, or None
    if head.startswith(b"\x1f\x8b"):
        return lambda raw: gzip.GzipFile(fileobj=raw)
    if head.startswith(b"BZh"):
        return bz2.BZ2File
    return _Zstd if head.startswith(b"\x28\xb5\x2f\xfd") else None


class _Zstd:
    """Frames of zstd, one after the other. The stream reader of the library keeps quiet where a frame breaks off."""

    def __init__(self, raw: io.BufferedReader) -> None:
        import zstandard

        self._raw = raw
        self._new = zstandard.ZstdDecompressor().decompressobj
        self._frame = self._new()
        self._begun = False  # whether the frame has
        self._packed = b""
        self._failed: Exception | None = None

    def read(self, size: int) -> bytes:
        """About `size` plain bytes at most, as soon as there are some; empty at the end."""
        if self._failed is not None:
            raise self._failed
        plain: list[bytes] = []
        length = 0
        while length < size and (self._packed or not length):
            self._packed = self._packed or self._raw.read1(_PACKED_READ)
            if not self._packed:
                break
            try:
                plain.append(self._unpacked())
            except _zstd_error() as error:
                self._failed = error  # what came before it is good
                break
            length += len(plain[-1])
        if not length and (self._begun or self._failed):
            raise self._failed or EOFError("a frame has no end")
        return b"".join(plain)

    def _unpacked(self) -> bytes:
        """What a few packed bytes say, so that a bomb does no more than its ratio times those."""
        some, self._packed = self._packed[:_SIP], self._packed[_SIP:]
        data: bytes = self._frame.decompress(some)
        self._begun = not self._frame.eof
        if self._frame.eof:
            self._packed, self._frame = self._frame.unused_data + self._packed, self._new()
        return data


def _zstd_error() -> type[Exception]:
    module = sys.modules.get("zstandard")
    return module.ZstdError if module else EOFError
