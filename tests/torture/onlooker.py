"""What lies on disk, read without evlog where that is possible: to be held against the dictionary that plays it."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import storekit as kit
from model import Event, State, content

from evlog.store import layout, tombstones

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_TEXT = "%Y-%m-%dT%H:%M:%S.%fZ"
_COLUMNS = "event_id, ts, event_type, user_id, anonymous_id, properties, seq"


def seen(root: Path) -> Counter[tuple[str, ...]]:
    """Every event that a reader of evlog's sees just now, be a commit half applied."""
    return Counter(_event(*row).shown for row in kit.rows(layout.open_store(root), _COLUMNS))


def events(root: Path) -> list[Event]:
    """Every event in the files of both tiers, while nothing is on its way: a segment counts unless a part covers it."""
    found, covers = [], {}
    for path in (root / "parquet").glob("*/*.parquet"):
        file = pq.ParquetFile(path)
        covers[path.parent.name] = int(file.schema_arrow.metadata[b"evlog.covers"])
        found += _rows(file)
    for path in (root / "events").glob("*/*.ndjson"):
        batch = int(path.name[:12])
        if batch > covers.get(path.parent.name, 0):
            found += [_line(json.loads(line), batch) for line in path.read_bytes().splitlines()]
    return found


def hashed(root: Path) -> Callable[[str], str]:
    """What stands for an id where the id itself must not."""
    return tombstones.load(layout.open_store(root)).subject


def told(root: Path, held: list[Event]) -> dict[str, Any]:
    """All that a store knows, as `State.told` tells it, beside these events; nothing may be on its way."""
    tomb = root / "tombstones"
    days, consent = _body(tomb / "days.json"), _body(tomb / "suppressed.json")
    return {
        "events": Counter(event.shown for event in held),
        "quarantine": Counter((_raw(one), one["code"]) for one in _lines(root / "quarantine", "*.rejects")),
        "links": [(one["from"], one["to"], _moment(one["at"])) for one in _lines(root / "links", "*.links")],
        "words": {one: tuple(said[""]) for one, said in consent.get("words", {}).items()},
        "kin": {one: set(theirs) for one, theirs in consent.get("kin", {}).items()},
        "shared": {one: set(theirs) for one, theirs in consent.get("shared", {}).items()},
        "erased": set(_body(tomb / "users.json").get("users", ())),
        "purged": (days.get("purged_before"), set(days.get("restored", ()))),
        "pending": {one["id"]: (one["due"], one["mode"]) for one in _body(tomb / "pending.json").get("pending", ())},
    }


def learnt(root: Path, held: list[Event], state: State) -> State:
    """The state with the places that its new events and links have got; an old one must stand where it stood."""
    seqs = {event.key: event.seq for event in held}
    for key, event in state.events.items():
        assert event.seq in {-1, seqs[key]}, f"the place of {key} changed"
    lines = []
    for path in sorted((root / "links").glob("*.links")):
        batch = int(path.name[:12])
        count = len(path.read_bytes().splitlines())
        lines += [(batch << layout.SEQ_BITS) + number for number in range(count)]
    places = zip(state.links, lines, strict=True)
    return replace(
        state,
        events={key: replace(event, seq=seqs[key]) for key, event in state.events.items()},
        links=tuple((source, target, at, seq) for (source, target, at, _), seq in places),
    )


def renamed(root: Path, held: list[Event], state: State) -> dict[str, str]:
    """What stands for each id by now, where it is another than in the state: told by events and by links."""
    now = {event.key: event for event in held}
    names: dict[str, str] = {}
    pairs = []
    for key, was in state.events.items():
        told = now[key]
        pairs += [(was.user, told.user), (was.anonymous, told.anonymous)]
        pairs += [tuple((note or "").removeprefix("met ") or None for note in (was.note, told.note))]
    lines = [(one["from"], one["to"]) for one in _lines(root / "links", "*.links")]
    pairs += [pair for line, both in zip(state.links, lines, strict=True) for pair in zip(line[:2], both, strict=True)]
    for was, told in pairs:
        if was != told:
            assert told is not None and re.fullmatch(r"anon-[0-9a-f]{32}", told), (was, told)  # noqa: PT018
            assert names.setdefault(str(was), told) == told, f"two names for {was}"
    return names


def archive(folder: Path) -> list[Event]:
    """The events in an archive, in the order in which its manifest names their files."""
    manifest = folder / "manifest.ndjson"
    if not manifest.exists():
        return []
    files = [folder / json.loads(line)["file"] for line in manifest.read_bytes().splitlines()]
    return [event for file in files if file.exists() for event in _rows(pq.ParquetFile(file))]


def lake(folder: Path) -> list[dict[str, Any]]:
    """The rows of all files that an export has published."""
    return [json.loads(line) for path in folder.rglob("*.ndjson") for line in path.read_bytes().splitlines()]


def _rows(file: pq.ParquetFile) -> list[Event]:
    names = _COLUMNS.split(", ")
    return [_event(*(row[name] for name in names)) for row in file.read(names).to_pylist()]


def _line(body: dict[str, Any], batch: int) -> Event:
    """A line of a segment: its `seq` counts from its batch, unless a merge has made it whole."""
    seq = body["seq"] + (0 if "received_at" in body else batch << layout.SEQ_BITS)
    inner = json.dumps(body["properties"]) if "properties" in body else ""
    ids = (body.get("user_id"), body.get("anonymous_id"))
    return _event(body["event_id"], _moment(body["ts"]), body["event_type"], *ids, inner, seq)


def _event(  # noqa: PLR0917 - the columns, in order
    name: str, ts: datetime, kind: str, user: str | None, device: str | None, inner: str, seq: int
) -> Event:
    properties = json.loads(inner) if inner else {}
    assert properties.keys() <= {"note", "given"}
    made = Event(name, ts.strftime(_TEXT), kind, user, device, properties.get("note"), properties.get("given"))
    return replace(made, seq=seq, content=content(made))


def _raw(body: dict[str, Any]) -> bytes:
    return base64.b64decode(body["raw_base64"]) if "raw_base64" in body else str(body["raw"]).encode()


def _lines(folder: Path, pattern: str) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob(pattern)) for line in path.read_bytes().splitlines()]


def _body(path: Path) -> dict[str, Any]:
    return json.loads(path.read_bytes()) if path.exists() else {}


def _moment(text: str) -> datetime:
    return datetime.strptime(text, _TEXT)
