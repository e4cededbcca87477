"""What goes wrong between a product and its log, by design and counted: every line knows what should become of it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from workbook import DAY, END, ORIGIN, Event, iso

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

Record = dict[str, Any]

REFUSERS = 6  # people who refuse consent; everything they did is in the log, marked, and must not be kept
OFFLINE = 0.03  # share of sessions that reach the log hours or days later
SQLITE_DAYS = (ORIGIN + 39 * DAY, ORIGIN + 41 * DAY)  # 9 and 10 February: a server job wrote times without a zone
LAST_WEEK = ORIGIN + 88 * DAY  # Monday 30 March: the file that is still being written
STORED, DUPLICATE, NO_CONSENT, BLANK = "stored", "duplicate", "no_consent", "blank"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log: when it arrived, its bytes, its fate, and the event it tells (None: it tells none)."""

    arrival: int
    raw: bytes
    fate: str = STORED
    event: Event | None = None
    mark: str | None = None  # redacted | assumed_tz: stored, with something to tell


@dataclass(frozen=True, slots=True)
class Break:
    """A way to spoil an event: how many, the reason it must be rejected for, which events, and how."""

    fate: str
    times: int
    only: Callable[[Event], bool]
    spoil: Callable[[Record], Record]


def record(event: Event) -> Record:
    """The row of the workbook's `analytics_events` table that tells `event`."""
    row = {
        "id": event.id,
        "user_id": event.user,
        "session_id": event.session,
        "event_type": event.type,
        "target_type": event.target_type,
        "target_id": event.target,
        "event_data": None if event.data is None else _json(event.data),
        "created_at": iso(event.at),
    }
    return row if event.anonymous is None else row | {"anonymous_id": event.anonymous}


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _bytes(row: Record) -> bytes:
    return _json(row).encode()


def _with(row: Record, **changes: Any) -> Record:
    return row | {"event_data": _json(json.loads(row["event_data"]) | changes)}


def _without(row: Record, key: str) -> Record:
    return {k: v for k, v in row.items() if k != key}


def _has(key: str) -> Callable[[Event], bool]:
    return lambda event: event.data is not None and key in event.data


def _is(*kinds: str) -> Callable[[Event], bool]:
    return lambda event: event.type in kinds


def _signed_in(event: Event) -> bool:
    return event.user is not None


BREAKS = (
    Break("bad_property", 24, _has("duration_ms"), lambda row: _with(row, duration_ms="325000")),
    Break("bad_property", 5, _is("scroll_depth"), lambda row: _with(row, depth=150)),
    Break("bad_property", 4, _has("items_count"), lambda row: _with(row, items_count=-1)),
    Break("bad_property", 3, _is("tool_interact"), lambda row: _with(row, action="explode")),
    Break("unknown_type", 12, _is("exercise_start"), lambda row: row | {"event_type": "exercise_started"}),
    Break("unknown_type", 9, _is("session_start"), lambda row: row | {"event_type": "heartbeat"}),
    Break("missing_field", 7, _is("page_view", "scroll_depth"), lambda row: _without(row, "event_type")),
    Break("missing_field", 5, _is("content_view"), lambda row: _without(row, "created_at")),
    Break("missing_field", 6, _is("exercise_start"), lambda row: row | {"target_id": None}),
    Break("bad_time", 3, _is("prompt_view"), lambda row: row | {"created_at": "yesterday"}),
    Break("bad_time", 2, _is("prompt_view"), lambda row: row | {"created_at": "1970-01-01T00:00:03.217Z"}),
    Break("future", 3, _is("page_view"), lambda row: row | {"created_at": "2099" + row["created_at"][4:]}),
    Break("placeholder_user", 11, _signed_in, lambda row: row | {"user_id": "anonymous"}),
    Break("placeholder_user", 3, _signed_in, lambda row: row | {"user_id": "undefined"}),
    Break("bad_id", 2, _is("prompt_view"), lambda row: row | {"id": row["id"] * 13}),
)

SLIPS: tuple[Callable[[Record], Record], ...] = (  # personal data where none belongs: to be redacted, then stored
    lambda row: _with(row, email="someone@example.org"),
    lambda row: _with(row, note="mail the export to someone.else@example.org"),
    lambda row: _with(row, ip="203.0.113.77"),
)


def log(rng: Random, events: list[Event]) -> list[Line]:
    """The lines of the workbook's log in order of arrival, with everything that went wrong on their way."""
    lines = _delivered(rng, events)
    for at in [n for n, line in enumerate(lines) if line.fate == NO_CONSENT and _has("duration_ms")(_told(line))][:3]:
        lines[at] = replace(
            lines[at], raw=_bytes(_with(json.loads(lines[at].raw), duration_ms="325000"))
        )  # and wrong too
    for spoiler in BREAKS:
        for at in _some(rng, lines, spoiler.times, spoiler.only):
            line = lines[at]
            raw = _bytes(spoiler.spoil(json.loads(line.raw)))
            lines[at] = replace(line, raw=raw, fate=spoiler.fate)
    for slip, at in zip(SLIPS, _some(rng, lines, len(SLIPS), _is("tool_submit")), strict=True):
        lines[at] = replace(lines[at], raw=_bytes(slip(json.loads(lines[at].raw))), mark="redacted")
    extra = [*_retries(rng, lines), *_conflicts(rng, lines), *_noise(rng, lines)]
    return sorted([*lines, *extra], key=lambda line: line.arrival)


def _some(rng: Random, lines: list[Line], times: int, only: Callable[[Event], bool]) -> list[int]:
    """The places of `times` good, unmarked lines whose events are such."""
    good = [n for n, line in enumerate(lines) if line.fate == STORED and not line.mark and only(_told(line))]
    return rng.sample(good, times)


def _told(line: Line) -> Event:
    assert line.event is not None
    return line.event


def _delivered(rng: Random, events: list[Event]) -> list[Line]:
    """One line an event: with the consent its user gave, at the time at which it reached the log."""
    users = sorted({event.user for event in events if event.user})
    refused = set(rng.sample(users, REFUSERS))
    agreed = set(rng.sample(users, len(users) // 4)) - refused
    delays = {session: _delay(rng) for session in dict.fromkeys(event.session for event in events)}
    lines = []
    for event in events:
        row = record(event)
        fate = NO_CONSENT if event.user in refused else STORED
        if event.user in refused or event.user in agreed:
            row["privacy"] = {"consent_given": event.user in agreed}
        mark = None
        if event.type == "session_end" and fate == STORED and SQLITE_DAYS[0] <= event.at < SQLITE_DAYS[1]:
            row["created_at"] = iso(event.at)[:19].replace("T", " ")
            mark = "assumed_tz"
        arrival = event.at + delays[event.session] + int(rng.expovariate(1 / 900))
        if arrival >= END:
            arrival = event.at  # a phone that was still offline when the log was cut is not part of it
        lines.append(Line(arrival, _bytes(row), fate, event, mark))
    return lines


def _delay(rng: Random) -> int:
    """How long a session's events wait on the device: mostly not at all, else up to six days."""
    return int(rng.random() ** 2 * 6 * DAY) if rng.random() < OFFLINE else 0


def _retries(rng: Random, lines: list[Line]) -> list[Line]:
    """Events that were sent again: soon, days later, or by a client that orders its keys in another way."""
    soon = [replace(lines[n], arrival=lines[n].arrival + rng.randrange(2_000, 90_000)) for n in _any(rng, lines, 210)]
    days = [replace(lines[n], arrival=lines[n].arrival + rng.randrange(DAY, 6 * DAY)) for n in _any(rng, lines, 40)]
    turned = [
        replace(lines[n], arrival=lines[n].arrival + 5_000, raw=_bytes(_turned(lines[n].raw)))
        for n in _any(rng, lines, 20)
    ]
    return [replace(line, arrival=min(line.arrival, END - 1), fate=DUPLICATE) for line in [*soon, *days, *turned]]


def _any(rng: Random, lines: list[Line], times: int) -> list[int]:
    return _some(rng, lines, times, lambda _: True)


def _turned(raw: bytes) -> Record:
    row = json.loads(raw)
    if row["event_data"]:
        row["event_data"] = json.dumps(dict(reversed(json.loads(row["event_data"]).items())))
    return dict(reversed(row.items()))


def _conflicts(rng: Random, lines: list[Line]) -> list[Line]:
    """Ids that come a second time with another content."""
    chosen = [lines[n] for n in _some(rng, lines, 8, _is("prompt_submit"))]
    return [
        replace(
            line, arrival=line.arrival + 1_500, raw=_bytes(_with(json.loads(line.raw), length=1)), fate="id_conflict"
        )
        for line in chosen
    ]


def _noise(rng: Random, lines: list[Line]) -> list[Line]:
    """Lines that are no events at all; most of them in the file that is still being written."""
    whole = [
        line.raw
        for line in lines
        if line.fate == STORED and line.arrival >= LAST_WEEK and line.event and line.event.data
    ]
    raw = [rng.choice(whole) for _ in range(16)]
    noise = [
        *(("bad_json", raw[n] + raw[n + 1]) for n in range(3)),  # two writers, no newline between them
        *(("bad_json", raw[n][: 60 + 20 * n]) for n in range(3, 6)),  # cut in the middle
        *(("bad_json", re.sub(rb'"event_data":".*?[^\\]"', b'"event_data":NaN', raw[n])) for n in (6, 7)),
        ("bad_json", b"2026-03-30 14:02:11 WARN analytics/track: retrying in 2 s"),
        *(("duplicate_key", b'{"event_type":"page_view",' + raw[n][1:]) for n in (8, 9, 10)),
        ("not_object", b"null"),
        ("not_object", b"42"),
        *(("bad_utf8", raw[n].replace(b'"created_at"', b'"city":"Z\xfcrich","created_at"')) for n in (11, 12)),
        ("number_range", raw[13].replace(b'"created_at"', b'"attempt":36893488147419103232,"created_at"')),
        ("too_deep", raw[14].replace(b'"created_at"', b'"trail":' + b"[" * 80 + b"]" * 80 + b',"created_at"')),
        *((BLANK, b"") for _ in range(5)),
    ]
    return [Line(rng.randrange(LAST_WEEK + 1, END - 60_000), raw, fate) for fate, raw in noise]


def torn(lines: list[Line]) -> Line:
    """The beginning of a line whose end was never written: what a log looks like when it is copied as it grows."""
    source = next(line for line in reversed(lines) if line.fate == STORED)
    return Line(END - 1, source.raw[:97], "truncated")


def endless(arrival: int) -> Line:
    """A line of more than a mebibyte."""
    raw = _bytes(
        {"id": "endless", "event_type": "page_view", "event_data": "x" * 1_200_000, "created_at": iso(arrival)}
    )
    return Line(arrival, raw, "line_too_long")
