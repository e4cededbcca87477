"""Parsing: a block of lines becomes canonical lines by day, rejects with reasons, and counts. Pure; no store."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from evlog.event import decode, times
from evlog.event.fields import ALIASES
from evlog.event.record import encode, entry, stored
from evlog.event.reject import Problem, Rejected
from evlog.ingest import fast
from evlog.ingest.check import PLACEHOLDERS, Erased, Judge, NoConsent
from evlog.ingest.parsed import Parsed, Reject

if TYPE_CHECKING:
    from evlog.ingest.block import Block, Buffer, Overlong, Piece
    from evlog.ingest.rules import Moment, Rules

_CHUNK = 64 << 10
_CLOCK = frozenset({"--T::Z", "--T::."})  # every third character of a UTC time, from the fifth to the twentieth
_TAILS = {20: ".000000Z", 24: "000Z", 27: "Z"}  # the length of a UTC time → what its Z becomes
_TOKEN = re.compile(rb'"((?:[^"\\]|\\.){1,256})"|(-?\d{1,20})')
_REFUSAL = re.compile(rb'"consent(?:_given|Given)?"\s*:\s*(?:false|"(?:false|no|denied)")', re.IGNORECASE)
_COLON = ord(":")
_ENVELOPE = "events"


class Parser:
    """Rules and a moment, ready to parse blocks."""

    def __init__(self, rules: Rules, moment: Moment) -> None:
        self.rules = rules
        self.judge = Judge(rules, moment)
        self._moment = moment
        exact_only = rules.mapping or rules.plan.anonymous_ids or "required" in (rules.consent, rules.plan.consent)
        self._fast = None if exact_only else fast.decoder(rules.plan)

    def at(self, moment: Moment) -> Parser:
        """The same rules at another moment; what was compiled stays."""
        self._moment = self.judge.moment = moment
        return self

    def parse(self, block: Block) -> Parsed:
        """What a block says."""
        out = Parsed()
        for piece in block.pieces:
            self._piece(block.data, piece, out)
        for found in block.overlong:
            self._overlong(found, out)
        out.tally.rejected = len(out.rejects)
        out.tally.reasons.update(reject.problems[0].code for reject in out.rejects)
        return out

    def _piece(self, data: Buffer, piece: Piece, out: Parsed) -> None:
        """Parse a piece some lines at a time: what is short-lived stays in the cache."""
        start, number = piece.start, piece.line
        while start < piece.stop:
            stop = data.rfind(b"\n", start, min(start + _CHUNK, piece.stop)) + 1
            if stop <= start:
                stop = data.find(b"\n", start, piece.stop) + 1
            chunk = bytes(data[start:stop])
            lines = chunk.split(b"\n")
            del lines[-1]
            rest = range(len(lines)) if self._fast is None else self._fast_lane(chunk, lines, start, out)
            if rest:
                self._slow_lane(lines, rest, start, number, piece, out)
            number += len(lines)
            start = stop

    def _fast_lane(self, chunk: bytes, lines: list[bytes], start: int, out: Parsed) -> list[int]:
        """Take what is nearly canonical; the indices of the lines that are left for the judge."""
        assert self._fast is not None
        take, categories = self._fast
        read_time, safe_keys, careful = datetime.fromisoformat, self.rules.guard.safe_keys, self._careful
        oldest, latest = max(times.OLDEST, self._moment.oldest or ""), self._moment.skewed_from
        plain = _is_plain(chunk) and len(chunk) <= self.rules.max_line
        taken: list[tuple[int, int, Any, bytes]] = []
        rest: list[int] = []
        at = start
        for index, line in enumerate(lines):
            here, at = at, at + len(line) + 1
            try:
                event = take(line)
                ts = event.ts
                read_time(ts)
                tail = _TAILS[len(ts)]
            except (msgspec.DecodeError, ValueError, KeyError, RecursionError):
                rest.append(index)
                continue
            known = ts[4:20:3] in _CLOCK and ts[-1] == "Z"
            event.ts = ts = ts[:-1] + tail
            flat = event.properties
            if (
                known
                and oldest <= ts <= latest
                and event.user_id not in PLACEHOLDERS
                and (plain or (_is_plain(line) and len(line) <= self.rules.max_line))
                and (event.context is None or safe_keys(event.context))
                and (flat.__class__ is not dict or safe_keys(flat))
                and not (careful and self._stays_out(event))
            ):
                if event.category is None and categories:
                    event.category = categories.get(event.__class__)
                taken.append((index, here, event, encode(event)))
            else:
                rest.append(index)
        return self._taken(chunk, lines, taken, rest, out)

    def _taken(
        self, chunk: bytes, lines: list[bytes], taken: list[tuple[int, int, Any, bytes]], rest: list[int], out: Parsed
    ) -> list[int]:
        """Keep what the lane took, unless a key stood twice in it; the indices of all that is left.

        A decoder drops the first of two equal keys, and its colon with it. Nothing else changes the number of colons
        but a category that the plan gave, which only adds one.
        """
        days, new_day = out.days, out.day
        whole = not rest and _colons(chunk) == _colons(b"".join([content for _, _, _, content in taken]))
        for index, here, event, content in taken:
            if not whole and lines[index].count(b":") != content.count(b":") - (b'"category"' not in lines[index] and event.category is not None):
                rest.append(index)
                continue
            day = days.get(event.ts[:10]) or new_day(event.ts[:10])
            day.lines += stored(content, here)
            day.ids += entry(event.event_id, content)
            day.origins.append(here)
        out.tally.read += len(lines) - len(rest)
        rest.sort()
        return rest

    @property
    def _careful(self) -> bool:
        """Whether there are users or days that must stay out."""
        return bool(self._moment.tombstones.users or self._moment.tombstones.purged_before)

    def _stays_out(self, event: Any) -> bool:
        erased, purged = self.judge.erased, self._moment.tombstones.purged
        return erased(event.user_id) or erased(event.anonymous_id) or purged(event.ts)

    def _slow_lane(
        self, lines: list[bytes], rest: range | list[int], start: int, number: int, piece: Piece, out: Parsed
    ) -> None:
        """Hold each of the remaining lines against the judge."""
        offset = start - piece.start + piece.offset
        at, before = 0, 0
        for index in rest:
            at += sum(len(line) + 1 for line in lines[before:index])
            before = index
            line = lines[index].rstrip(b"\r")
            torn = piece.torn and start + at + len(lines[index]) + 1 == piece.stop
            where = _Where(piece.source, number + index, offset + at, start + at, torn=torn)
            self._line(line, where, out)

    def _line(self, line: bytes, where: _Where, out: Parsed) -> None:
        if not line.strip():
            out.tally.blank += 1
            return
        try:
            if len(line) > self.rules.max_line:
                raise Rejected(_too_long(self.rules.max_line, len(line)))
            value = decode.load(line)
        except Rejected as refused:
            out.tally.read += 1
            self._unreadable(line, refused, where, out)
            return
        events = _opened(value)
        if events is None:
            self._event(value, line, where, 0, out)
            return
        for index, member in enumerate(events):
            self._event(member, None, where, index, out)

    def _event(self, value: Any, line: bytes | None, where: _Where, index: int, out: Parsed) -> None:
        """Judge one event: a whole line, or member `index` of an envelope (then `line` is None)."""
        out.tally.read += 1
        try:
            accepted = self.judge.event(value)
        except NoConsent:
            out.tally.no_consent += 1
        except Erased:
            out.tally.erased += 1
        except Rejected as refused:
            raw = encode(value) if line is None else line
            self._refuse(raw, refused, where, out)
        else:
            self.judge.noted(accepted, out.tally)
            content = encode(accepted.line)
            origin = where.at if line is not None else -1
            day, ordinal = accepted.line.ts[:10], where.at + index
            if accepted.line.event_id:
                out.day(day).add(stored(content, ordinal), entry(accepted.line.event_id, content), origin)
            else:
                out.anonymous.append((day, ordinal, content, origin))

    def _unreadable(self, line: bytes, refused: Rejected, where: _Where, out: Parsed) -> None:
        """A line that was not parsed may still speak of a refusal or of an erased user: then it is not kept."""
        if _REFUSAL.search(line):
            out.tally.no_consent += 1
        elif self._mentions_erased(line):
            out.tally.erased += 1
        else:
            if where.torn and refused.code == "bad_json":
                refused = Rejected(Problem("truncated", "", "a whole line", "a last line that breaks off"))
            self._refuse(line, refused, where, out)

    def _mentions_erased(self, raw: bytes) -> bool:
        if not self._moment.tombstones.users:
            return False
        tokens = ((quoted or digits).decode(errors="replace") for quoted, digits in _TOKEN.findall(raw))
        return any(map(self.judge.erased, tokens))

    def _refuse(self, raw: bytes, refused: Rejected, where: _Where, out: Parsed) -> None:
        whole = not any(problem.code == "pii" for problem in refused.problems)
        kept = raw if whole else self.rules.guard.redacted_line(raw)
        out.rejects.append(Reject(where.source, where.line, where.offset, refused.problems, kept, whole=whole))

    def _overlong(self, found: Overlong, out: Parsed) -> None:
        out.tally.read += 1
        if _REFUSAL.search(found.head):
            out.tally.no_consent += 1
        elif self._mentions_erased(found.head):
            out.tally.erased += 1
        else:
            problem = _too_long(self.rules.max_line, found.length)
            out.rejects.append(
                Reject(found.source, found.line, found.offset, (problem,), found.head, whole=False,
                       length=found.length, digest=found.digest)
            )  # fmt: skip


def _is_plain(text: bytes) -> bool:
    """Whether no escape, no mail address, no control character and no empty object is in `text`."""
    return (
        text.isascii()
        and b"\\" not in text
        and b"@" not in text
        and b"\x7f" not in text
        and b"{}" not in text
    )


def _colons(text: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == _COLON))


class _Where:
    """Where a line stands: for people (source, line, offset), and in its block."""

    __slots__ = ("at", "line", "offset", "source", "torn")

    def __init__(self, source: str, line: int, offset: int, at: int, *, torn: bool) -> None:
        self.source, self.line, self.offset, self.at, self.torn = source, line, offset, at, torn


def _too_long(limit: int, length: int) -> Problem:
    return Problem("line_too_long", "", f"at most {limit} bytes (max_line)", f"{length} bytes")


def _opened(value: Any) -> list[Any] | None:
    """The events in an array or in `{"events": […]}`; None for a single event."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and isinstance(value.get(_ENVELOPE), list) and not value.keys() & _TYPES:
        members: list[Any] = value[_ENVELOPE]
        return members
    return None


_TYPES = frozenset(ALIASES["event_type"])
