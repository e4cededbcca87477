"""The wide lane: events that no type of the fast lane fits, told one by one in few steps.

Fields that become properties, nulls, nested values, properties inside a text, no id: logs are full of them, and the
judge takes its time. What this lane takes the judge would take too, and turn into the same bytes; a test holds the two
against each other. It gives up at the first doubt: two names for one field, consent, a key that may be personal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from evlog.event import consent, decode, fields
from evlog.event.record import IDS, TEXTS, Line, encode, encode_lines
from evlog.event.reject import Rejected
from evlog.ingest.check import PLACEHOLDERS
from evlog.ingest.keeping import in_time, is_plain, keep, tell
from evlog.ingest.rules import MAX_LINE
from evlog.ingest.stamps import Stamps, read_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from evlog.ingest.check import Judge
    from evlog.ingest.parsed import Parsed

    _Vet = Callable[[dict[str, Any], bytes], int]

_LONGEST_ID = 256
_DAY = len("2026-01-31")
_ENVELOPE = "events"
_COLUMNS = (
    "event_type", "ts", "event_id", "user_id", "anonymous_id", "session_id", "target_id", "category", "target_type",
    "feature", "source",
)  # fmt: skip
_NESTED = frozenset({dict, list})
_decode = msgspec.json.Decoder().decode
_TIMES = frozenset({str, int, float})
_NOTHING = (None, "")
_QUOTE, _COLON, _BLANK, _BACKSLASH = b'": \\'


class _Row(Line, omit_defaults=True, gc=False):
    """An event, and where its line begins; None while it has no id. Its time is as it came at first."""

    seq: int | None = None


_Keys = tuple[str, ...]
_Found = tuple[int, int, _Row]
"""Which line of the chunk, where it begins in the block, and its event."""


class _Doubt(Exception):
    """The judge may see it otherwise."""


@dataclass(frozen=True, slots=True)
class _Way:
    """Which key serves as what in an object with certain keys."""

    columns: tuple[str | None, ...]
    properties: str | None
    context: str | None
    extras: tuple[str, ...]
    targets: tuple[tuple[str, str], ...]


class Wide:
    """The rules, ready to take lines one by one."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._plan = judge.rules.plan
        self._open = self._plan.is_open
        self._needs_id = self._plan.id == "required"
        self._safe_keys = judge.rules.guard.safe_keys
        self._longest = min(judge.rules.max_line, MAX_LINE)
        self._seen: set[_Keys] = set()
        self._wary = False  # something is known of somebody

    def seen(self) -> set[_Keys]:
        """The keys of events that came since this was asked last."""
        found, self._seen = self._seen, set()
        return found

    def take(self, chunk: bytes, begins: Iterable[int], out: Parsed) -> list[int]:
        """Take what can be taken of the lines of a chunk, which begin at these places of the block; the others."""
        judge = self._judge
        self._wary = bool(judge.moment.tombstones.users) or not judge.ledger.quiet
        lines = [*zip(count(), begins, BytesIO(chunk).readlines(), strict=False)]
        if is_plain(chunk) and (ends := _ends(chunk)) is not None:
            found, left, keys = self._rows(lines, _counted)
            if keys != ends:  # some key stands twice, perhaps in a line that is left
                found, left, _ = self._rows(lines, _vetted)
        else:
            plain = [(number, place, line) for number, place, line in lines if is_plain(line)]
            odd = {*range(len(lines))}.difference(number for number, *_ in plain)
            found, left, _ = self._rows(plain, _vetted)
            left = sorted([*left, *odd])
        return sorted([*left, *self._kept(found, out)]) if found else left

    def _rows(self, lines: Iterable[tuple[int, int, bytes]], vet: _Vet) -> tuple[list[_Found], list[int], int]:
        """The events of lines that can be taken, the numbers of the others, and how many keys there are."""
        rows, left, keys = list[_Found](), list[int](), 0
        for number, place, line in lines:
            event = _read(line, self._longest)
            if event is None:
                keys += line.count(b'":') - line.count(b'\\":')
                left.append(number)
                continue
            try:
                keys += vet(event, line)
                rows.append((number, place, self._row(event)))
            except (_Doubt, Rejected):
                left.append(number)
        return rows, left, keys

    def _kept(self, rows: list[_Found], out: Parsed) -> list[int]:
        """Keep these events; the numbers of those whose time is for the judge to tell: they are sought by halves."""
        stamps = read_all([row.ts for *_, row in rows], self._judge.rules.assume)
        if stamps is None or not in_time(self._judge.moment, stamps.texts, stamps.days):
            half = len(rows) // 2
            return [*self._kept(rows[:half], out), *self._kept(rows[half:], out)] if half else [rows[0][0]]
        named = []
        for (_, place, row), ts in zip(rows, stamps.texts, strict=True):
            row.ts = ts
            if row.event_id:
                row.seq = place
                named.append(row)
            else:
                out.anonymous.append((ts[:10], place, encode(row), place))
        if named:
            texts = [row.ts for row in named]
            places = np.array([row.seq for row in named], np.int64)
            told = Stamps(texts, frozenset(ts[:_DAY] for ts in texts))
            keep([row.event_id for row in named], told, encode_lines(named), places, out)
        tell(stamps, out)
        return []

    def _row(self, event: dict[str, Any]) -> _Row:
        """An event as it is stored, but for its time; _Doubt where the judge must tell."""
        keys = tuple(event)
        self._seen.add(keys)
        way = _way(keys)
        if way is None:
            raise _Doubt
        told: list[Any] = [None if key is None else event[key] for key in way.columns]
        kind, ts, name, user, device, session, target, category, target_type, feature, source = told
        if not kind or kind.__class__ is not str or ts.__class__ not in _TIMES or name == "":
            raise _Doubt
        properties, context = _properties(event, way), _object(event, way.context)
        if way.targets and target in _NOTHING and target_type in _NOTHING:
            target_type, target = _target(event, way)
        _, name, user, device, session, target = _names([kind, name, user, device, session, target])
        category, target_type, feature, source = _texts([category, target_type, feature, source])
        row = _Row(kind, name or "", told[1], category, user, device, session, target_type, target, feature, source,
                   properties or None, context or None)  # fmt: skip
        self._check(row, properties)
        if not (self._safe(properties) and self._safe(context)):
            raise _Doubt
        return row

    def _check(self, row: _Row, properties: dict[str, Any]) -> None:
        """Return if nobody here must stay out, and the plan has nothing against the event."""
        if row.event_type == consent.UPDATE or row.user_id in PLACEHOLDERS or (self._needs_id and not row.event_id):
            raise _Doubt
        if self._wary and any(map(self._known, (row.user_id, row.anonymous_id))):
            raise _Doubt
        if self._open:
            return
        told = {name: getattr(row, name) or None for name in (*IDS, *TEXTS, "context")}
        if self._judge.validator.check(row.event_type, told, properties):
            raise _Doubt
        row.category = row.category or self._plan.category_of(row.event_type)

    def _known(self, who: str | None) -> bool:
        return self._judge.erased(who) or self._judge.ledger.watched(who)

    def _safe(self, held: dict[str, Any]) -> bool:
        """Whether no key looks personal, at any depth."""
        if not held:
            return True
        if not self._safe_keys(held):
            return False
        values = held.values()
        return _NESTED.isdisjoint(map(type, values)) or all(map(self._safe_below, values))

    def _safe_below(self, value: Any) -> bool:
        if value.__class__ is dict:
            return self._safe(value)
        return value.__class__ is not list or all(map(self._safe_below, value))


def _ends(chunk: bytes) -> int | None:
    """How many keys end in a chunk of lines, as `decode.vet` counts them; None where only a look at each can tell."""
    letters = np.frombuffer(chunk, np.uint8)
    colons = letters[1:] == _COLON
    if (colons & (letters[:-1] <= _BLANK)).any():
        return None
    ends = colons & (letters[:-1] == _QUOTE)
    found = int(np.count_nonzero(ends))
    if b"\\" not in chunk:
        return found
    if b'\\\\"' in chunk:
        return None
    return found - int(np.count_nonzero(ends[1:] & (letters[:-2] == _BACKSLASH)))


def _read(line: bytes, longest: int) -> dict[str, Any] | None:
    """The object in a line."""
    try:
        event = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if event.__class__ is not dict or len(line) > longest or line.count(b"{") + line.count(b"[") > decode.MAX_DEPTH:
        return None
    found: dict[str, Any] = event
    return found


def _counted(event: dict[str, Any], _line: bytes) -> int:
    return decode.count(event)


def _vetted(event: dict[str, Any], line: bytes) -> int:
    decode.vet(event, line)
    return 0


@lru_cache(maxsize=4096)
def _way(keys: _Keys) -> _Way | None:
    """What the keys of an event serve as; None where it is not plain, or consent may be spoken of."""
    shape = fields.roles(keys)
    single = [names for _, names in shape.picks] + [shape.properties, shape.context]
    if any(len(names) > 1 for names in single) or shape.privacy or _ENVELOPE in keys:
        return None
    if not set(keys).isdisjoint(consent.FIELDS):
        return None
    picks = {field: names[0] for field, names in shape.picks}
    properties, context = (next(iter(names), None) for names in (shape.properties, shape.context))
    return _Way(tuple(map(picks.get, _COLUMNS)), properties, context, shape.extras, shape.targets)


def _properties(event: dict[str, Any], way: _Way) -> dict[str, Any]:
    found = _object(event, way.properties)
    if way.properties != "properties" and not found.keys().isdisjoint(fields.ANONYMOUS):
        raise _Doubt
    for key in way.extras:
        if key in found:
            raise _Doubt
        found[key] = event[key]
    return found


def _object(event: dict[str, Any], key: str | None) -> dict[str, Any]:
    """The object under a key, or in the text under it."""
    if key is None or (held := event[key]) is None:
        return {}
    if held.__class__ is str and held.startswith("{"):
        held = decode.load(held.strip().encode())
    if held.__class__ is not dict:
        raise _Doubt
    found: dict[str, Any] = held
    return found


def _target(event: dict[str, Any], way: _Way) -> tuple[str | None, Any]:
    """Type and id of the target that a field names."""
    return next(((kind, event[key]) for key, kind in way.targets if event[key] not in _NOTHING), (None, None))


def _names(ids: list[Any]) -> list[str | None]:
    """Ids as texts, None where they are absent; those that are not plain ASCII are the judge's."""
    told = _texts(ids)
    joined = "".join([one for one in told if one is not None])
    if not (joined.isascii() and joined.isprintable()) or (
        len(joined) > _LONGEST_ID and max(len(one) for one in told if one) > _LONGEST_ID
    ):
        raise _Doubt
    return told


def _texts(values: list[Any]) -> list[str | None]:
    """Texts, or integers as texts; None where there is none."""
    return [value or None if value.__class__ is str else None if value is None else _number(value) for value in values]


def _number(value: Any) -> str:
    if value.__class__ is not int:
        raise _Doubt
    return str(value)
