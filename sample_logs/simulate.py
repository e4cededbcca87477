"""Write the sample logs: ninety days of a workbook product, the same bytes for the same seed.

    python sample_logs/simulate.py --seed 15 --out sample_logs

Below OUT stand `logs/` (a file a week) and `expected.json` (what an ingest of them must count, and some answers).
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import mishaps
import zstandard
from people import clean_log
from telemetry import Envelope, envelopes
from workbook import DAY, ORIGIN, day, week

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mishaps import Line
    from workbook import Event

STILL_WRITTEN = "2026-W14"  # plain, with a byte order mark, Windows line ends here and there, and a torn end
ZSTD = "2026-W13"
TELEMETRY = "site-telemetry-2026-03.ndjson"
INACTIVE = "error"  # the plan says: an error does not make its user active


@dataclass(frozen=True, slots=True)
class World:
    """Everything that is written: the lines of the workbook's log by week, and the site's envelopes."""

    weeks: dict[str, list[Line]]
    telemetry: list[Envelope]

    def told(self) -> Iterator[tuple[str, Event | None]]:
        """Each event offered, with its fate."""
        for lines in self.weeks.values():
            yield from ((line.fate, line.event) for line in lines if line.fate != mishaps.BLANK)
        for envelope in self.telemetry:
            yield from envelope.elements

    def stored(self) -> list[Event]:
        """The events that an ingest must keep, in order of time."""
        kept = (event for fate, event in self.told() if fate == mishaps.STORED and event)
        return sorted(kept, key=lambda event: event.at)


def world(seed: int) -> World:
    """The whole log for `seed`."""
    events = clean_log(Random(f"{seed}:people"))
    lines = mishaps.log(Random(f"{seed}:mishaps"), events)
    lines.append(mishaps.torn(lines))
    weeks: defaultdict[str, list[Line]] = defaultdict(list)
    for line in lines:
        weeks[week(line.arrival)].append(line)
    weeks[ZSTD].insert(700, mishaps.endless(ORIGIN + 82 * DAY))
    weeks[STILL_WRITTEN] = [_windows(n, line) for n, line in enumerate(weeks[STILL_WRITTEN])]
    return World(dict(weeks), envelopes(Random(f"{seed}:telemetry"), _known(lines)))


def _known(lines: list[Line]) -> list[str]:
    """Who has used the workbook before March, those who refused consent apart."""
    told = [(line.fate, line.event.user) for line in lines if line.event and line.event.at < ORIGIN + 59 * DAY]
    refused = {user for fate, user in told if fate == mishaps.NO_CONSENT}
    return sorted({user for _, user in told if user} - refused)


def _windows(n: int, line: Line) -> Line:
    """Some lines went through a proxy that ends them with CR LF."""
    return replace(line, raw=line.raw + b"\r") if n % 9 == 3 and line.fate == mishaps.STORED else line  # noqa: PLR2004


def contents(the: World) -> dict[str, bytes]:
    """The bytes of each file before compression, by the name it will have."""
    files = {}
    for name, lines in sorted(the.weeks.items()):
        text = b"\n".join(line.raw for line in lines)
        if name == STILL_WRITTEN:
            files[f"workbook-{name}.ndjson"] = b"\xef\xbb\xbf" + text
        else:
            files[f"workbook-{name}.ndjson.{'zst' if name == ZSTD else 'gz'}"] = text + b"\n"
    files[TELEMETRY] = b"".join(envelope.raw + b"\n" for envelope in the.telemetry)
    return files


def packed(name: str, content: bytes) -> bytes:
    """`content` as the file `name` holds it; no clock and no file name goes into the bytes."""
    if name.endswith(".zst"):
        return zstandard.ZstdCompressor(level=19, write_checksum=True).compress(content)
    if not name.endswith(".gz"):
        return content
    target = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=target, mode="wb", compresslevel=9, mtime=0) as stream:
        stream.write(content)
    return target.getvalue()


def expected(seed: int, the: World, files: dict[str, bytes]) -> dict[str, Any]:
    """What reading the files must come to: the counts of an ingest, how the log was made, and some answers."""
    return {
        "seed": seed,
        "as_of": "2026-03-31",
        "ingest": _ingest(the),
        "by_design": _by_design(the),
        "answers": _answers(the.stored()),
        "files": {name: _file(content) for name, content in sorted(files.items())},
    }


def _file(content: bytes) -> dict[str, Any]:
    """How many lines a file has, and the hash of what stands in it, unpacked."""
    lines = content.count(b"\n") + (not content.endswith(b"\n"))
    return {"lines": lines, "sha256": hashlib.sha256(content).hexdigest()}


def _ingest(the: World) -> dict[str, Any]:
    """The summary of `evlog ingest --format json`, without its seconds."""
    fates = Counter(fate for fate, _ in the.told())
    lines = [line for lines in the.weeks.values() for line in lines]
    marks = Counter(line.mark for line in lines if line.fate == mishaps.STORED)
    kept = (mishaps.STORED, mishaps.DUPLICATE, mishaps.NO_CONSENT)
    reasons = {fate: n for fate, n in sorted(fates.items()) if fate not in kept}
    return {
        "read": fates.total(),
        "stored": fates[mishaps.STORED],
        "duplicates": fates[mishaps.DUPLICATE],
        "rejected": sum(reasons.values()),
        "no_consent": fates[mishaps.NO_CONSENT],
        "erased": 0,
        "blank": sum(line.fate == mishaps.BLANK for line in lines),
        "redacted": marks["redacted"],
        "derived_ids": sum(fate == mishaps.STORED for e in the.telemetry for fate, _ in e.elements),
        "assumed_tz": marks["assumed_tz"],
        "epoch": sum(envelope.epochs for envelope in the.telemetry),
        "reasons": reasons,
        "partitions": dict(sorted(Counter(day(event.at) for event in the.stored()).items())),
    }


def _by_design(the: World) -> dict[str, int]:
    """How often the log shows what real logs do without being wrong."""
    stored = the.stored()
    good = {name: [_ for _ in lines if _.fate == mishaps.STORED and _.event] for name, lines in the.weeks.items()}
    both = {(event.user, event.anonymous) for event in stored if event.user and event.anonymous}
    signed_in = {anonymous for _, anonymous in both}
    return {
        "users": len({event.user for event in stored if event.user}),
        "sessions": len({event.session for event in stored if event.session}),
        "events_without_user": sum(event.user is None for event in stored),
        "anonymous_who_signed_in": len(signed_in),
        "anonymous_who_never_did": len({event.anonymous for event in stored if event.anonymous} - signed_in),
        "late": sum(week(line.event.at) < name for name, lines in good.items() for line in lines if line.event),
        "out_of_order": sum(_out_of_order([line.event.at for line in lines if line.event]) for lines in good.values()),
    }


def _out_of_order(times: Iterable[int]) -> int:
    """How many of `times` are earlier than one that stands before them."""
    newest, behind = 0, 0
    for at in times:
        behind += at < newest
        newest = max(newest, at)
    return behind


def _answers(stored: list[Event]) -> dict[str, Any]:
    """Answers over all ninety days, found the slow way."""
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for event in stored:
        if event.user and event.type != INACTIVE:
            seen[day(event.at)].add(event.user)
    most, events = Counter(event.user for event in stored if event.user).most_common(1)[0]
    return {
        "dau": {date: len(users) for date, users in sorted(seen.items())},
        "dropoff": _dropoff(stored),
        "event_types": dict(sorted(Counter(event.type for event in stored).items())),
        "busiest_user": {"user_id": most, "events": events},
    }


def _dropoff(stored: list[Event]) -> list[dict[str, Any]]:
    """Started and completed by exercise: a starter has completed if a complete follows their first start."""
    started: dict[tuple[str, str], int] = {}
    completed: set[tuple[str, str]] = set()
    for event in stored:
        key = (event.target or "", event.user or "")
        if event.type == "exercise_start":
            started.setdefault(key, event.at)
        elif event.type == "exercise_complete" and key in started:
            completed.add(key)
    starts, ends = Counter(target for target, _ in started), Counter(target for target, _ in completed)
    rows = [{"target_id": target, "started": n, "completed": ends[target]} for target, n in starts.items()]
    return sorted(rows, key=lambda row: (row["completed"] / row["started"], row["target_id"]))


def main() -> None:
    """Write the files and say where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    asked = parser.parse_args()
    the = world(asked.seed)
    files = contents(the)
    logs = asked.out / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (logs / name).write_bytes(packed(name, content))
    text = json.dumps(expected(asked.seed, the, files), indent=1) + "\n"
    (asked.out / "expected.json").write_text(text, encoding="utf-8")
    print(f"{len(files)} files in {logs}")


if __name__ == "__main__":
    main()
