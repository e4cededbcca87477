"""Parsing: a block of lines becomes canonical lines by day, rejects with reasons, and counts. Pure; no store."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evlog.event import consent, decode
from evlog.event.fields import ALIASES
from evlog.event.record import encode, entry, stored
from evlog.event.reject import Problem, Rejected
from evlog.ingest import fast, unread
from evlog.ingest.block import KEPT_HEAD, Overlong
from evlog.ingest.check import Erased, Judge, NoConsent, Untold
from evlog.ingest.parsed import Parsed, Reject
from evlog.store.layout import LONGEST_LINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evlog.event.consent import Said
    from evlog.ingest.block import Block, Buffer, Piece
    from evlog.ingest.rules import Moment, Rules

_CHUNK = 96 << 10  # bytes of lines tried as one: a bad line spoils few; from 128 KiB on, memory is fetched each time
_ENVELOPE = "events"
_MOST_STORED = LONGEST_LINE - 256  # room for an id, a seq and, in a merged segment, received_at


class Parser:
    """Rules and a moment, ready to parse blocks."""

    def __init__(self, rules: Rules, moment: Moment) -> None:
        self.rules = rules
        self.judge = Judge(rules, moment)
        self._moment = moment
        self._lane = fast.lane(self.judge)

    def at(self, moment: Moment) -> Parser:
        """The same rules at another moment; what was compiled stays."""
        self._moment = self.judge.moment = moment
        return self

    def parse(self, block: Block) -> Parsed:
        """What a block says."""
        out = Parsed()
        self.judge.open_ledger()
        for piece in block.pieces:
            self._piece(block.data, piece, out)
        out.anonymous.sort(key=_place)  # what a lane took stands before what it left
        for found in block.overlong:
            self._overlong(found, out)
        out.heard, out.refusals = self.judge.ledger.heard, tuple(self.judge.ledger.refusals.values())
        out.tally.rejected = len(out.rejects)
        out.tally.reasons.update(reject.problems[0].code for reject in out.rejects)
        return out

    def _piece(self, data: bytes | Buffer, piece: Piece, out: Parsed) -> None:
        """Parse a piece some lines at a time: what is short-lived stays in the cache."""
        start, number = piece.start, piece.line
        while start < piece.stop:
            stop = data.rfind(b"\n", start, min(start + _CHUNK, piece.stop)) + 1
            if stop <= start:
                stop = data.find(b"\n", start, piece.stop) + 1
            chunk = bytes(data[start:stop])
            if self._lane is not None:
                chunk, count, rest = self._lane.take(chunk, start, out)
                stop = start + len(chunk)
            else:
                count = chunk.count(b"\n")
                rest = range(count)
            if rest:
                here = replace(piece, line=number, offset=piece.offset + start - piece.start, start=start)
                self._slow_lane(chunk.split(b"\n"), rest, here, out)
            number += count
            start = stop

    def _slow_lane(self, lines: list[bytes], rest: Sequence[int], piece: Piece, out: Parsed) -> None:
        """Hold each of the remaining lines against the judge; `piece` begins where the first of `lines` does."""
        at, before = 0, 0
        for index in rest:
            at += sum(len(line) + 1 for line in lines[before:index])
            before = index
            line = lines[index]
            torn = piece.torn and piece.start + at + len(line) + 1 == piece.stop
            where = _Where(piece.source, piece.line + index, piece.offset + at, piece.start + at, torn=torn)
            if len(line) > self.rules.max_line:
                self._overlong(_as_overlong(line, where), out)
            else:
                self._line(line.rstrip(b"\r"), where, out)

    def _line(self, line: bytes, where: _Where, out: Parsed) -> None:
        if not line.strip():
            out.tally.blank += 1
            return
        try:
            value = decode.load(line)
        except Rejected as refused:
            out.tally.read += 1
            self._unreadable(line, refused, where, out)
            return
        events = _opened(value)
        if events is None:
            self._event(value, line, where, 0, out)
            return
        above, said = consent.statements(value), consent.shared(value)
        for index, member in enumerate(events):
            told = {**said, **member} if said and isinstance(member, dict) else member
            self._event(told, None, where, index, out, above=above)

    def _event(
        self, value: Any, line: bytes | None, where: _Where, index: int, out: Parsed, *, above: Said = ()
    ) -> None:
        """Judge one event: a whole line, or member `index` of an envelope (then `line` is None)."""
        out.tally.read += 1
        try:
            accepted = self.judge.event(value, above)
        except NoConsent:
            out.tally.no_consent += 1
        except Erased:
            out.tally.erased += 1
        except Untold as refused:
            self._unreadable(encode(value) if line is None else line, refused, where, out)
        except Rejected as refused:
            self._refuse(encode(value) if line is None else line, refused, where, out)
        else:
            content = encode(accepted.line)
            if len(content) > _MOST_STORED:
                out.tally.read -= 1
                self._overlong(replace(_as_overlong(line or content, where), length=len(content)), out)
                return
            self.judge.noted(accepted, out.tally)
            origin = where.at if line is not None else ~where.at
            day, ordinal = accepted.line.ts[:10], where.at + index
            if accepted.line.event_id:
                out.day(day).add(stored(content, ordinal), entry(accepted.line.event_id, content), origin)
            else:
                out.anonymous.append((day, ordinal, content, origin))

    def _unreadable(self, line: bytes, refused: Rejected, where: _Where, out: Parsed) -> None:
        """A line that was not parsed may still speak of a refusal, of an erased or suppressed user: it is not kept."""
        if unread.refuses(line):
            out.tally.no_consent += 1
        elif self._mentions_erased(line):
            out.tally.erased += 1
        elif not self.judge.ledger.quiet and any(map(self.judge.ledger.silences, unread.names(line))):
            out.tally.no_consent += 1
        else:
            if where.torn and (refused.code == "bad_json" or decode.breaks_off(line)):
                refused = Rejected(Problem("truncated", "", "a whole line", "a last line that breaks off"))
            self._refuse(line, refused, where, out)

    def _mentions_erased(self, raw: bytes) -> bool:
        if not self._moment.tombstones.users:
            return False
        return any(map(self.judge.erased, unread.names(raw)))

    def _refuse(self, raw: bytes, refused: Rejected, where: _Where, out: Parsed) -> None:
        whole = not any(problem.code == "pii" for problem in refused.problems)
        kept = raw if whole else self.rules.guard.redacted_line(raw)
        place = (where.source, where.line, where.offset)
        out.rejects.append(Reject(*place, refused.problems, kept, refused.day, whole=whole))

    def _overlong(self, found: Overlong, out: Parsed) -> None:
        out.tally.read += 1
        quiet = self.judge.ledger.quiet
        if found.refuses:
            out.tally.no_consent += 1
        elif self._mentions_erased(found.head):
            out.tally.erased += 1
        elif not quiet and any(map(self.judge.ledger.silenced, unread.names(found.head))):
            out.tally.no_consent += 1
        else:
            problem = _too_long(self.rules.max_line, found.length)
            told = quiet and not self._moment.tombstones.users
            head = found.head if told else b""  # the rest may say whose it is
            out.rejects.append(
                Reject(found.source, found.line, found.offset, (problem,), head, whole=False,
                       length=found.length, digest=found.digest)
            )  # fmt: skip


def _place(nameless: tuple[str, int, bytes, int]) -> int:
    origin = nameless[-1]
    return max(origin, ~origin)


class _Where:
    """Where a line stands: for people (source, line, offset), and in its block."""

    __slots__ = ("at", "line", "offset", "source", "torn")

    def __init__(self, source: str, line: int, offset: int, at: int, *, torn: bool) -> None:
        self.source, self.line, self.offset, self.at, self.torn = source, line, offset, at, torn


def _as_overlong(line: bytes, where: _Where) -> Overlong:
    """A line that is too long and was read whole by chance, as if it had not been."""
    digest, refuses = hashlib.sha256(line).hexdigest(), unread.refuses(line)
    return Overlong(where.source, where.line, where.offset, len(line), line[:KEPT_HEAD], digest, refuses)


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
