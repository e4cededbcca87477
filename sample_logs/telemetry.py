"""The site around the workbook speaks another dialect: envelopes of events without ids."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbook import DAY, ORIGIN, Event, iso

if TYPE_CHECKING:
    from random import Random

ENVELOPES = 60
SIGNED_IN = 3  # of five
STRAY = {(11, 2), (33, 2)}  # (envelope, element): an event type that nobody planned
TWICE = {(20, 1), (40, 1)}  # a double click: twice the same event in one input, and both count
OLD_CLIENT = {5, 6}  # envelopes of a client that writes epoch seconds
FEATURES = ("landing", "library", "pricing", "stories", "community")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A line `{"events": […]}`: its bytes, and the fate and event of each element."""

    raw: bytes
    elements: tuple[tuple[str, Event], ...]
    epochs: int


def envelopes(rng: Random, users: list[str]) -> list[Envelope]:
    """The telemetry of March: batches of what one visitor did, signed in or not."""
    starts = sorted(ORIGIN + 59 * DAY + int(rng.random() * 30.9 * DAY) for _ in range(ENVELOPES))
    visitors = [rng.choice(users) if n % 5 < SIGNED_IN else None for n in range(ENVELOPES)]
    return [_envelope(rng, n, start, user) for n, (start, user) in enumerate(zip(starts, visitors, strict=True))]


def _envelope(rng: Random, n: int, start: int, user: str | None) -> Envelope:
    at, rows, elements = start - start % 1000, list[dict[str, Any]](), list[tuple[str, Event]]()
    for step in range(rng.randrange(3, 19)):
        kind = "page_view" if step == 0 else rng.choices(("page_view", "action", "conversion"), (5, 4, 1))[0]
        at += 0 if (n, step) in TWICE else rng.randrange(1, 90) * 1000
        row, event = _element(rng, kind, at, user)
        fate = "stored"
        if (n, step) in STRAY:
            row, fate = row | {"event_type": "click"}, "unknown_type"
        if (n, step) in TWICE:
            row, (_, event) = rows[0], elements[0]
        rows.append(row)
        elements.append((fate, event))
    epochs = len(rows) if n in OLD_CLIENT else 0
    if epochs:
        rows = [row | {"ts": event.at // 1000} for row, (_, event) in zip(rows, elements, strict=True)]
    return Envelope(json.dumps({"events": rows}, separators=(",", ":")).encode(), tuple(elements), epochs)


def _element(rng: Random, kind: str, at: int, user: str | None) -> tuple[dict[str, Any], Event]:
    feature = "sign_up" if kind == "conversion" else rng.choice(FEATURES)
    row = {
        "event_type": kind,
        "user_id": user,
        "feature": feature,
        "metadata": {"action": rng.choice(("click", "submit"))} if kind == "action" else {},
        "ts": iso(at)[:19] + "Z",
        "url": f"/{feature}",
    }
    return row, Event("", at, user, None, "", kind, None, None, None)
