"""Events of about 350 bytes in any number, for the benchmark: the same bytes for the same seed.

    python tests/benchmarks/generate.py --events 1000000 --seed 1 > events.ndjson

Thirty days from 2026-03-01 in order of time but for a few seconds of jitter; users come by a power law; every event
holds to plan.toml beside this file. Random numbers are drawn a block at a time, lines are joined from ready pieces.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIRST_DAY = "2026-03-01"
DAYS = 30
BLOCK = 50_000
USERS_PER_EVENT = 0.02
JITTER_MS = 4_000
DAY_MS = 86_400_000

_CONTEXTS = tuple(
    f'"context":{{"device_type":"{device}","platform":"{platform}","app_version":"{version}","locale":"{locale}"}}}}'
    for device, platform in (("mobile", "ios"), ("mobile", "android"), ("desktop", "web"), ("tablet", "web"))
    for version in ("3.1.0", "3.2.0", "3.2.1")
    for locale in ("en-GB", "de-DE", "pt-BR")
)
_EXERCISES = tuple(f"{part}.{module}.{n}" for part in "123" for module in "1234" for n in "123")
_PAGES = tuple(
    f'"event_type":"page_view","target_type":"page","target_id":"/workbook/{exercise}",'
    f'"properties":{{"path":"/workbook/{exercise}","referrer":"/library","load_ms":%d}},'
    for exercise in _EXERCISES
)
_STARTS = tuple(
    f'"event_type":"exercise_start","target_type":"exercise","target_id":"{exercise}",'
    f'"properties":{{"attempt":1,"mode":"{mode}"}},'
    for exercise in _EXERCISES
    for mode in ("guided", "free")
)
_ENDS = tuple(
    f'"event_type":"exercise_complete","target_type":"exercise","target_id":"{exercise}",'
    f'"properties":{{"duration_ms":%d,"prompts_answered":3,"score":0.75}},'
    for exercise in _EXERCISES
)
_TOOLS = tuple(
    f'"event_type":"tool_submit","target_type":"tool","target_id":"10000{tool}",'
    f'"properties":{{"items_count":{items},"duration_ms":%d,"saved":true}},'
    for tool in range(5)
    for items in (3, 7, 8)
)
_ERROR = (
    '"event_type":"error","target_type":"api","target_id":"/api/workbook/response",'
    '"properties":{"status":500,"message":"Database timeout"},'
)
_KINDS = ((_PAGES, 0.5), (_STARTS, 0.22), (_ENDS, 0.16), (_TOOLS, 0.11), ((_ERROR,), 0.01))
_VARIED = 2048  # bodies with a number in them are made so often, then drawn from


def blocks(events: int, seed: int) -> Iterator[bytes]:
    """The lines of `events` events, some thousands at a time."""
    rng = np.random.default_rng(seed)
    bodies = _bodies(rng)
    users = max(1, round(events * USERS_PER_EVENT))
    for start in range(0, events, BLOCK):
        yield _block(rng, bodies, users=users, start=start, size=min(BLOCK, events - start), events=events)


def _bodies(rng: np.random.Generator) -> list[str]:
    """What an event did, ready to be put into a line; as often as it shall come."""
    shares = rng.choice(len(_KINDS), size=_VARIED, p=[share for _, share in _KINDS])
    bodies = []
    for kind in shares.tolist():
        pieces = _KINDS[kind][0]
        body = pieces[int(rng.integers(len(pieces)))]
        bodies.append(body % int(rng.integers(40, 59_000)) if "%d" in body else body)
    return bodies


def _block(rng: np.random.Generator, bodies: list[str], *, users: int, start: int, size: int, events: int) -> bytes:
    ids = rng.bytes(size * 11).hex()
    place = np.arange(start, start + size) * (DAYS * DAY_MS / events) + rng.integers(0, JITTER_MS, size)
    at = np.datetime64(FIRST_DAY, "ms") + np.minimum(place.astype(np.int64), DAYS * DAY_MS - 1)
    who = (users * rng.random(size) ** 2.5).astype(np.int64)
    columns = zip(
        range(0, size * 22, 22),
        np.datetime_as_string(at, unit="ms").tolist(),
        who.tolist(),
        ((who * 7919 + place.astype(np.int64) // 1_800_000) % 100_000_000).tolist(),
        rng.integers(0, len(bodies), size).tolist(),
        rng.integers(0, len(_CONTEXTS), size).tolist(),
        strict=True,
    )
    lines = [
        f'{{"event_id":"{ids[i : i + 22]}","ts":"{ts}Z","user_id":"u_{user:09d}","session_id":"s_{session:08d}",'
        f"{bodies[body]}{_CONTEXTS[context]}\n"
        for i, ts, user, session, body, context in columns
    ]
    return "".join(lines).encode()


def write(target: BinaryIO, *, events: int, seed: int) -> int:
    """Write so many events to `target`; returns the bytes written."""
    return sum(target.write(block) for block in blocks(events, seed))


def made(room: Path, events: int, seed: int = 1) -> Path:
    """The log of so many events in a folder; made if it is not there yet."""
    path = room / f"events-{events}-{seed}.ndjson"
    if not path.exists():
        scratch = path.with_suffix(".part")
        with scratch.open("wb") as target:
            write(target, events=events, seed=seed)
        scratch.rename(path)
    return path


def main() -> None:
    """Write events to stdout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    write(sys.stdout.buffer, events=asked.events, seed=asked.seed)


if __name__ == "__main__":
    main()
