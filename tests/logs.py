"""A little log as people write it, as a throw-away store on disk.

A line is `DATE TIME USER TYPE [KEY=VALUE …]`: times in UTC, `-` for nobody; KEY is a field of the event, `target`
(`type/id`), or else a property. VALUE is JSON where it can be, else text; a blank in it is written `_`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from evlog.store import layout, tombstones

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from evlog.store.layout import Store

FIELDS = ("event_id", "category", "anonymous_id", "session_id", "target_type", "target_id", "feature", "source")
ORDER = ("event_type", "event_id", "ts", "category", "user_id", *FIELDS[2:], "properties", "context", "seq")
RECEIVED = datetime(2030, 1, 1)
EMPTY = "000000000000-20300101T000000S000000Z-0.ndjson"


def events(text: str) -> list[dict[str, Any]]:
    """The events that the lines of `text` say, in their order; `ts` is naive UTC."""
    lines = [line.split() for line in text.strip().splitlines() if line.strip()]
    return [_event(words, number) for number, words in enumerate(lines)]


def store(root: Path, found: Iterable[dict[str, Any]], *, cold: bool | Sequence[date] = False) -> Store:
    """A store at `root` that holds the events: its days as segments, or as parts (all of them, or those named)."""
    made = layout.create(root)
    days: dict[date, list[dict[str, Any]]] = defaultdict(list)
    for event in found:
        days[event["ts"].date()].append(event)
    for day, held in days.items():
        frozen = cold if isinstance(cold, bool) else day in cold
        (_write_part if frozen else _write_segment)(made, day, held)
    return made


def _event(words: list[str], number: int) -> dict[str, Any]:
    day, clock, user, kind, *pairs = words
    moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=UTC).replace(tzinfo=None)
    event: dict[str, Any] = {"event_type": kind, "event_id": f"e{number}", "ts": moment, "seq": number}
    if user != "-":
        event["user_id"] = user
    for pair in pairs:
        key, _, value = pair.partition("=")
        _set(event, key, value.replace("_", " "))
    return event


def _set(event: dict[str, Any], key: str, value: str) -> None:
    if key == "target":
        event["target_type"], _, event["target_id"] = value.rpartition("/")
        if not event["target_type"]:
            del event["target_type"]
    elif key in FIELDS:
        event[key] = value
    else:
        event.setdefault("properties", {})[key] = _json(value)


def _json(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _write_segment(made: Store, day: date, held: list[dict[str, Any]]) -> None:
    folder = made.segments(day)
    folder.mkdir(parents=True)
    lines = [{**_plain(event), "received_at": RECEIVED.isoformat()} for event in held]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (folder / EMPTY).write_text(text, "utf-8")


def _plain(event: dict[str, Any]) -> dict[str, Any]:
    moment = event["ts"].isoformat(timespec="microseconds") + "Z"
    return {key: moment if key == "ts" else event[key] for key in ORDER if event.get(key) is not None}


def _write_part(made: Store, day: date, held: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    path = made.part(day)
    path.parent.mkdir(parents=True)
    key = tombstones.load(made).user_key
    rows = [{**_row(event), "user_key": key(event["user_id"]) if event.get("user_id") else None} for event in held]
    rows.sort(key=lambda row: (row["user_key"] is None, row["user_key"], row["ts"], row["seq"]))
    text = pa.string()
    kinds = {"ts": pa.timestamp("us"), "received_at": pa.timestamp("us"), "seq": pa.int64(), "user_key": pa.int64()}
    names = (*ORDER[:5], "user_key", *ORDER[5:-1], "received_at", "seq")
    schema = pa.schema([(name, kinds.get(name, text)) for name in names])
    table = pa.Table.from_pylist(rows, schema).replace_schema_metadata({"evlog.covers": "0"})
    parquet.write_table(table, path, compression="zstd")


def _row(event: dict[str, Any]) -> dict[str, Any]:
    texts = {key: json.dumps(event[key], ensure_ascii=False) for key in ("properties", "context") if key in event}
    return {**event, **texts, "received_at": RECEIVED}
