"""What parsing makes of a block: canonical lines by day, rejects, and the counts."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from evlog.ingest.ledger import SILENCE, Heard
from evlog.ingest.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from evlog.event.reject import Problem

_BOTH = re.compile(
    rb'"user_id":("(?:[^"\\]|\\.)*"),"anonymous_id":("(?:[^"\\]|\\.)*")'
)  # never inside properties: see Line


@dataclass(slots=True)
class Day:
    """The lines that a block brings to one partition, in arrival order."""

    lines: bytearray = field(default_factory=bytearray)  # as stored, newline included
    ids: bytearray = field(default_factory=bytearray)  # 24 bytes a line: see record.entry
    origins: array[int] = field(default_factory=lambda: array("q"))
    """Where each raw line begins in the block; inverted (~) for the members of an envelope."""

    def add(self, line: bytes, entry: bytes, origin: int) -> None:
        """Take one line."""
        self.lines += line
        self.ids += entry
        self.origins.append(origin)


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that is no event, with everything known about it."""

    source: str
    line: int
    offset: int
    problems: tuple[Problem, ...]
    raw: bytes
    day: str | None = None
    whole: bool = True  # False: `raw` is only the head of the line, or was redacted; it cannot be replayed
    length: int | None = None
    digest: str | None = None  # of the whole line, where `raw` is not all of it

    @property
    def key(self) -> bytes:
        """What makes a rerun over the same bad line add nothing: 16 bytes of a hash of the raw line."""
        told = self.digest.encode() if self.digest else self.raw
        return hashlib.blake2b(told, digest_size=16).digest()

    def record(self, received_at: str) -> bytes:
        """The reject as a line of quarantine."""
        first = self.problems[0]
        body: dict[str, Any] = {
            "id": self.key.hex(),
            "received_at": received_at,
            "source": os.fsencode(self.source).decode("utf-8", "backslashreplace"),  # names of files are bytes
            "line": self.line,
            "offset": self.offset,
            "code": first.code,
            "field": first.field,
            "expected": first.expected,
            "got": first.got,
            "problems": [{"code": p.code, "says": p.says} for p in self.problems],
            "day": self.day,
            "whole": self.whole,
            "length": self.length if self.length is not None else len(self.raw),
        }
        try:
            body["raw"] = self.raw.decode()
        except UnicodeDecodeError:
            body["raw_base64"] = base64.b64encode(self.raw).decode()
        return orjson.dumps(body) + b"\n"


@dataclass(slots=True)
class Parsed:
    """A block, parsed."""

    days: dict[str, Day] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    anonymous: list[tuple[str, int, bytes, int]] = field(default_factory=list)
    """Events without an id, to be given one at commit: (day, ordinal in the batch, canonical line with an empty id,
    where the raw line begins)."""
    heard: Heard = SILENCE  # what the run has heard of consent after this block
    refusals: tuple[str, ...] = ()
    """Ids of which nothing more is stored from this block on, as they refused in it."""

    def pairs(self, ids: Collection[str]) -> Iterator[tuple[str, str]]:
        """The anonymous ids with which one of these users came in this block: (user, anonymous id)."""
        held: list[bytes | bytearray] = [day.lines for day in self.days.values()]
        for lines in held + [content for _, _, content, _ in self.anonymous]:
            for user, anonymous in _BOTH.findall(lines):
                if (one := orjson.loads(user)) in ids:
                    yield one, orjson.loads(anonymous)

    def day(self, name: str) -> Day:
        """The lines of one partition."""
        found = self.days.get(name)
        if found is None:
            found = self.days[name] = Day()
        return found
