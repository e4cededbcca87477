"""What a funnel must say, by trying every chain of distinct events of every person (metrics §7)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise, permutations
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from oracle import suppression

if TYPE_CHECKING:
    from collections.abc import Callable

EPOCH = datetime(1970, 1, 1)


class Seen(NamedTuple):
    """One event: its instant and the steps (from 0) it can fill."""

    ts: int
    steps: frozenset[int]


def best_chain(log: list[Seen], steps: int, *, window: int | None, ties: str) -> tuple[int, ...]:
    """The places of the chosen chain: deepest, earliest end, latest start, earliest instants, first to arrive."""
    chains = [
        places
        for length in range(1, min(steps, len(log)) + 1)
        for places in permutations(range(len(log)), length)
        if _is_attempt([log[place] for place in places], places, window=window, ties=ties)
    ]
    return min(chains, key=lambda places: _rank(log, places), default=())


def _is_attempt(chain: list[Seen], places: tuple[int, ...], *, window: int | None, ties: str) -> bool:
    if any(step not in event.steps for step, event in enumerate(chain)):
        return False
    pairs = list(pairwise(chain))
    if ties == "strict" and any(one.ts >= other.ts for one, other in pairs):
        return False
    if ties == "step" and any(one.ts > other.ts for one, other in pairs):
        return False
    if ties == "seq" and list(places) != sorted(places):
        return False
    return window is None or chain[-1].ts - chain[0].ts <= window


def _rank(log: list[Seen], places: tuple[int, ...]) -> tuple[int, int, int, list[int], tuple[int, ...]]:
    instants = [log[place].ts for place in places]
    return -len(places), instants[-1], -instants[0], instants, places


FITS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "a": lambda event: event["event_type"] == "a",
    "b": lambda event: event["event_type"] == "b",
    "a|b": lambda event: event["event_type"] in {"a", "b"},
    "*": lambda event: True,
    "*[plan=x]": lambda event: event.get("properties", {}).get("plan") == "x",
    "c[plan in x,y, n>1]": lambda event: (
        event["event_type"] == "c"
        and event.get("properties", {}).get("plan") in {"x", "y"}
        and event.get("properties", {}).get("n", 0) > 1
    ),
}
"""Steps as they are written, and what they mean."""


@dataclass(frozen=True)
class Asked:
    """The question: steps as in FITS, the range in local dates, and what plays now (exclusive)."""

    steps: tuple[str, ...]
    first: date
    last: date
    until: datetime
    tz: str = "UTC"
    window: timedelta | None = None
    ties: str = "step"
    attribution: str = "first"
    cut: bool = False
    by: bool = False  # by properties.plan
    top: int | None = None
    min_users: int = 0


class Entrant(NamedTuple):
    """Somebody who took step 1: the instants of the chain, the group, and whether more may follow."""

    instants: list[datetime]
    group: str
    growing: bool


def answer(events: list[dict[str, Any]], asked: Asked) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
    """The rows and the summary of the report, of events in the order of their arrival."""
    people: dict[str, list[dict[str, Any]]] = {}
    for event in sorted(events, key=lambda event: event["ts"]):
        if event.get("user_id") is not None and event["ts"] < asked.until and (_inside(event, asked) or not asked.cut):
            people.setdefault(event["user_id"], []).append(event)
    entrants = [entrant for own in people.values() if (entrant := _entrant(own, asked)) is not None]
    groups, withheld = _grouped(entrants, asked)
    rows = [row for name, members in groups for row in _rows(name, members, asked)]
    done = [e.instants[-1] - e.instants[0] for e in entrants if len(e.instants) == len(asked.steps)]
    summary = {
        "entered": len(entrants),
        "converted": len(done),
        "conversion": len(done) / len(entrants) if entrants else None,
        "median_s": percentile(done, 50),
        "mean_s": mean(done),
        "open": sum(entrant.growing for entrant in entrants),
    }
    return rows, suppression.totals(summary, withheld, len(rows), len(entrants), asked.min_users)


def _inside(event: dict[str, Any], asked: Asked) -> bool:
    return asked.first <= event["ts"].replace(tzinfo=UTC).astimezone(ZoneInfo(asked.tz)).date() <= asked.last


def _entrant(own: list[dict[str, Any]], asked: Asked) -> Entrant | None:
    seen = []
    for event in own:
        fits = {number for number, step in enumerate(asked.steps) if FITS[step](event)}
        at = round((event["ts"] - EPOCH).total_seconds() * 1_000_000)
        seen.append(Seen(at, frozenset(fits if _inside(event, asked) else fits - {0})))
    window = None if asked.window is None else round(asked.window.total_seconds() * 1_000_000)
    chain = [own[place] for place in best_chain(seen, len(asked.steps), window=window, ties=asked.ties)]
    if not chain:
        return None
    values = [event["properties"]["plan"] for event in chain if "plan" in event.get("properties", {})]
    group = (values[0 if asked.attribution == "first" else -1] if values else "(none)") if asked.by else ""
    return Entrant([event["ts"] for event in chain], group, len(chain) < len(asked.steps) and _growing(own, asked))


def _growing(own: list[dict[str, Any]], asked: Asked) -> bool:
    """Whether some instant still to come lies in the window of an entry, and inside the range if that counts."""
    entries = [event["ts"] for event in own if _inside(event, asked) and FITS[asked.steps[0]](event)]
    in_time = asked.window is None or any(entry + asked.window >= asked.until for entry in entries)
    return in_time and (not asked.cut or _inside({"ts": asked.until}, asked))


def _grouped(entrants: list[Entrant], asked: Asked) -> tuple[list[tuple[str, list[Entrant]]], int]:
    """The groups that are shown, and how many are not."""
    if not asked.by:
        return [("", entrants)], 0
    groups: dict[str, list[Entrant]] = {}
    for entrant in entrants:
        groups.setdefault(entrant.group, []).append(entrant)
    ranked = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    top = len(ranked) if asked.top is None else asked.top
    rest = [entrant for _, members in ranked[top:] for entrant in members]
    shown = [*ranked[:top], *([("(other)", rest)] if rest else [])]
    cut = suppression.groups([{(name, one) for one in range(len(members))} for name, members in shown], asked.min_users)
    return [pair for place, pair in enumerate(shown) if place not in cut], len(cut)


def _rows(name: str, members: list[Entrant], asked: Asked) -> list[tuple[Any, ...]]:
    counts = [sum(len(e.instants) > number for e in members) for number in range(len(asked.steps))]
    rows: list[tuple[Any, ...]] = []
    for number, (step, users) in enumerate(zip(asked.steps, counts, strict=True)):
        before = counts[number - 1] if number else users
        times = [e.instants[number] - e.instants[number - 1] for e in members if number and len(e.instants) > number]
        rates = (users / counts[0] if counts[0] else None, users / before if before else None)
        seconds = (percentile(times, 50), mean(times), percentile(times, 90))
        rows.append((*((name,) if asked.by else ()), number + 1, step, users, *rates, before - users, *seconds))
    return rows


def percentile(times: list[timedelta], percent: int) -> float | None:
    """Linear interpolation between the neighbours (R-7)."""
    if not times:
        return None
    rising = sorted(times)
    place = Fraction((len(rising) - 1) * percent, 100)
    low = rising[math.floor(place)]
    return (low + (rising[math.ceil(place)] - low) * float(place % 1)).total_seconds()


def mean(times: list[timedelta]) -> float | None:
    """The arithmetic mean in seconds."""
    return sum(times, timedelta()).total_seconds() / len(times) if times else None
