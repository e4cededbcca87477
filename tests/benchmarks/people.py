"""A made-up crowd and what it does, day by day, as columns: the same events for the same seed, in any number.

New people come all the time; most of what happens is done by those who came lately, and they fade by a power law. What
an event says is drawn from ready bodies, so that a million events cost about two seconds. Each day draws from its own
stream of random numbers: it is the same whichever days are made besides it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

LAST_DAY = date(2026, 3, 31)
USERS_PER_EVENT = 0.02
DAY_US = 86_400_000_000
SLOT_US = 1_800_000_000  # a session is what a user does in one half-hour of the clock
_VARIED = 4_096  # bodies that are made, then drawn from

_EXERCISES = [f"{part}.{module}.{n}" for part in "123" for module in "1234" for n in "123"]
_CONTEXTS = [
    {"app_version": version, "device_type": device, "locale": locale, "platform": platform}
    for device, platform in (("mobile", "ios"), ("mobile", "android"), ("desktop", "web"), ("tablet", "web"))
    for version in ("3.1.0", "3.2.0", "3.2.1")
    for locale in ("en-GB", "de-DE", "pt-BR")
]
_KINDS = (  # event type, category, target type, prefix of the target's id, share
    ("page_view", "navigation", "page", "/workbook/", 0.40),
    ("search", "navigation", "page", "/search/", 0.07),
    ("signup", "account", "page", "/signup/", 0.02),
    ("bookmark", "navigation", "exercise", "", 0.06),
    ("exercise_start", "exercise", "exercise", "", 0.17),
    ("exercise_complete", "exercise", "exercise", "", 0.12),
    ("tool_submit", "tool", "tool", "tool-", 0.09),
    ("download", "tool", "file", "file-", 0.03),
    ("share", "social", "exercise", "", 0.02),
    ("error", "error", "api", "/api/workbook/", 0.02),
)


@dataclass(frozen=True, slots=True)
class Shape:
    """So many events, spread over so many days up to the last."""

    events: int
    days: int
    seed: int = 1
    last: date = LAST_DAY

    @property
    def users(self) -> int:
        """How many people there are."""
        return max(2, round(self.events * USERS_PER_EVENT))

    @property
    def first(self) -> date:
        """The first day."""
        return self.last - timedelta(days=self.days - 1)

    def rows(self, number: int) -> int:
        """How many events a day has, by its number from 0."""
        return self.events * (number + 1) // self.days - self.events * number // self.days


@dataclass(frozen=True, slots=True)
class Day:
    """The events of a day in order of time: columns as a part has them, who by number, and canonical lines."""

    day: date
    columns: dict[str, Any]
    who: NDArray[np.int64]
    lines: Any  # of pyarrow: content without `seq`, without newline


def days(shape: Shape) -> Iterator[Day]:
    """The days of a shape, those with events, in order."""
    bodies = _bodies(np.random.default_rng(shape.seed))
    for number in range(shape.days):
        if shape.rows(number):
            yield _day(shape, number, bodies)


def user(number: int) -> str:
    """The id of a user, by number."""
    return f"u_{number:09d}"


def _bodies(rng: np.random.Generator) -> dict[str, list[str]]:
    """What events did: the columns that depend on it, and the pieces of a line between those that do not."""
    made = [_body(rng, *_KINDS[kind][:4]) for kind in rng.choice(len(_KINDS), _VARIED, p=[kind[4] for kind in _KINDS])]
    return {name: [body[name] for body in made] for name in made[0]}


def _body(rng: np.random.Generator, event_type: str, category: str, target_type: str, prefix: str) -> dict[str, str]:
    target_id = prefix + _EXERCISES[int(rng.integers(len(_EXERCISES)))]
    properties = json.dumps(_properties(rng, event_type, target_id), sort_keys=True, separators=(",", ":"))
    return {
        "event_type": event_type,
        "category": category,
        "target_type": target_type,
        "target_id": target_id,
        "properties": properties,
        "head": f'{{"event_type":"{event_type}","event_id":"',
        "middle": f'Z","category":"{category}","user_id":"',
        "tail": f'","target_type":"{target_type}","target_id":"{target_id}","properties":{properties},"context":',
    }


def _properties(rng: np.random.Generator, event_type: str, target_id: str) -> dict[str, Any]:
    if event_type == "error":
        return {"message": "Database timeout", "status": int(rng.choice([404, 500, 503]))}
    if event_type in {"exercise_complete", "tool_submit"}:
        return {"duration_ms": int(rng.integers(1_000, 600_000)), "prompts_answered": 3, "score": 0.75}
    if event_type == "exercise_start":
        return {"attempt": int(rng.integers(1, 4)), "mode": str(rng.choice(["guided", "free"]))}
    return {"load_ms": int(rng.integers(40, 9_000)), "path": target_id, "referrer": "/library"}


def _day(shape: Shape, number: int, bodies: dict[str, list[str]]) -> Day:
    rng, rows = np.random.default_rng([shape.seed, number]), shape.rows(number)
    within = np.sort(rng.integers(0, DAY_US // 1000, rows)) * 1000
    who = _who(shape, rng, number + within / DAY_US)
    day = shape.first + timedelta(days=number)
    ts = pa.array(np.datetime64(day, "us").astype(np.int64) + within).cast(pa.timestamp("us"))
    slot = number * (DAY_US // SLOT_US) + within // SLOT_US
    body = pa.array(rng.integers(0, _VARIED, rows))
    drawn = {name: pc.take(pa.array(values), body) for name, values in bodies.items()}
    contexts = pa.array([json.dumps(one, separators=(",", ":")) for one in _CONTEXTS])
    columns = {
        **{name: drawn[name] for name in ("event_type", "category", "target_type", "target_id", "properties")},
        "event_id": _texts(rng.bytes(rows * 11).hex().encode(), rows),
        "ts": ts,
        "user_id": _numbered("u_", who, 9),
        "session_id": _numbered("s_", who * 1_000_000 + slot, 14),
        "context": pc.take(contexts, pa.array(rng.integers(0, len(_CONTEXTS), rows))),
    }
    return Day(day, columns, who, _lines(columns, drawn))


def _who(shape: Shape, rng: np.random.Generator, at: NDArray[np.float64]) -> NDArray[np.int64]:
    """Who acts at these times (in days from the first): mostly those who came last."""
    here = shape.users / 2
    newest = here + (shape.users - here) * at / shape.days
    return np.maximum(newest - here * rng.random(len(at)) ** 2.5, 0).astype(np.int64)


def _lines(columns: dict[str, Any], drawn: dict[str, Any]) -> Any:
    ts = pc.utf8_replace_slice(columns["ts"].cast(pa.string()), start=10, stop=11, replacement="T")
    pieces = (
        drawn["head"], columns["event_id"], '","ts":"', ts, drawn["middle"], columns["user_id"],
        '","session_id":"', columns["session_id"], drawn["tail"], columns["context"], "}", "",
    )  # fmt: skip
    return pc.binary_join_element_wise(*pieces)


def _numbered(prefix: str, numbers: NDArray[np.int64], width: int) -> Any:
    """Each number with its leading zeros behind the prefix."""
    chars = np.empty((len(numbers), len(prefix) + width), np.uint8)
    chars[:, : len(prefix)] = np.frombuffer(prefix.encode(), np.uint8)
    left = numbers
    for place in range(chars.shape[1] - 1, len(prefix) - 1, -1):
        left, digit = np.divmod(left, 10)
        chars[:, place] = digit + ord("0")
    return _texts(chars.tobytes(), len(numbers))


def _texts(packed: bytes, rows: int) -> Any:
    """So many texts of one length."""
    offsets = np.arange(rows + 1, dtype=np.int32) * (len(packed) // rows)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(packed))
