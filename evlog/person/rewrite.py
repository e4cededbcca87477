"""What an erasure makes of each file: the same without the user's events, mentions by others taken out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from evlog.event.record import Line, entry
from evlog.store import durable, firsts, ids, links, parts, quarantine
from evlog.store.layout import FIRSTS, PART, PART_IDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    from evlog.person.mention import Mentions
    from evlog.store.journal import Staging
    from evlog.store.layout import Store
    from evlog.store.snapshot import Part, Segment, Snapshot
    from evlog.store.tombstones import Tombstones

_IDS = ("event_id", "anonymous_id", "session_id", "target_id")
_TEXTS = ("event_type", "category", "target_type", "feature", "source")
_JSON = ("properties", "context")
_COLUMNS = (*_IDS, *_TEXTS, *_JSON)
_OF_REJECTS = ("source", "field", "expected", "got")


class Stored(Line):
    """A line as it stands in a segment."""

    seq: int = 0
    received_at: str | None = None


_decode = msgspec.json.Decoder(Stored).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class Changed:
    """One file that an erasure rewrites or removes."""

    path: str
    tier: str  # events, parquet, quarantine, links, firsts
    removed: int  # events of the user (or rejects, links, first instants that speak of them)
    mentions: int  # other users' events that spoke of them
    before: str  # SHA-256 of the file
    after: str | None  # … of what takes its place; None: nothing does


@dataclass(slots=True)
class Receipt:
    """What an erasure did, and the proof; the user stands in it only as a keyed hash."""

    subject: str
    subjects: tuple[str, ...] = ()  # of every id that went with it, its own first
    unlinked: int = 0  # ids that others used too: they stay, and mean nobody now
    dry_run: bool = False
    files: list[Changed] = field(default_factory=list)
    scanned: int = 0
    found: int = 0

    @property
    def removed(self) -> dict[str, int]:
        """How many events (or rejects, links, first instants) went, by tier."""
        tiers = {"events": 0, "parquet": 0, "quarantine": 0}
        for changed in self.files:
            tiers[changed.tier] = tiers.get(changed.tier, 0) + changed.removed
        return tiers

    @property
    def mentions(self) -> int:
        """How many other users' events had a mention taken out."""
        return sum(changed.mentions for changed in self.files)


@dataclass(slots=True)
class _Outcome:
    """What became of the events of one file."""

    kept: int = 0
    mentions: int = 0
    gone: list[str] = field(default_factory=list)  # the ids of the events that go
    renamed: dict[str, bytes] = field(default_factory=dict)  # an id that spoke of the user → the index entry of the new

    @property
    def changed(self) -> bool:
        return bool(self.gone or self.mentions)


@dataclass(slots=True)
class Rewrite:
    """The commit of an erasure in the making; each file is looked at once."""

    store: Store
    staged: Staging
    mention: Mentions
    tombstones: Tombstones
    receipt: Receipt
    renames: list[tuple[str, str]] = field(default_factory=list)
    unlinks: list[str] = field(default_factory=list)
    _done: set[str] = field(default_factory=set)
    _former: dict[date, list[ids.Ids]] = field(default_factory=dict)  # what the index knew of events that are renamed
    _users: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._users = self.mention.users

    def files(self, seen: Snapshot, rejects: list[quarantine.File]) -> None:
        """Rewrite what of these files was not looked at before."""
        for segment in seen.hot:
            target = f"events/date={segment.day}/{segment.name.file('.ndjson')}"
            if self._first_time(target):
                self._segment(segment, target)
        for part in seen.cold:
            target = f"parquet/date={part.day}/{PART}"
            if self._first_time(target):
                self._part(part, target)
        for file in rejects:
            target = f"quarantine/{file.path.name}"
            if self._first_time(target):
                self._rejects(file, target)

    def unsaid(self, held: list[links.File]) -> None:
        """Take out every line that speaks of the person."""
        for file in held:
            lines = file.read()
            kept = [replace(line, by=self.mention.without(line.by)) for line in lines if not self._theirs(line)]
            if kept != lines:
                content = b"".join(line.line() for line in kept)
                self._replace(file.path, file.target, "links", content, (len(lines) - len(kept), 0))

    def forgotten(self) -> None:
        """Take the person out of the first-seen memory; the caller holds the commit lock."""
        content, known = firsts.without(self.store, self.receipt.subjects), firsts.held(self.store).entries
        if content is not None:
            path = self.store.root / FIRSTS
            gone = (path.stat().st_size - len(content)) // known.itemsize
            self._replace(path, FIRSTS, "firsts", content, (gone, 0))

    def _theirs(self, line: links.Said) -> bool:
        return any(self.mention.named(one) for one in (line.source, line.target) if one is not None)

    def remembered(self) -> None:
        """Keep the ids that events had before they were renamed, so that a retry of them is a duplicate."""
        for day, former in self._former.items():
            content = ids.merged([*ids.former(self.store, day), *former])
            self.put(f"tombstones/{ids.former_name(day)}", b"".join(ids.chunks(content)))

    def put(self, target: str, content: bytes) -> None:
        """Stage `content` to become the file `target`."""
        name = f"{self.staged.serial()}-file"
        self.staged.write(name, [content])
        self.renames.append((name, target))

    def _first_time(self, target: str) -> bool:
        new = target not in self._done
        self._done.add(target)
        return new

    def _segment(self, segment: Segment, target: str) -> None:
        raw = durable.read(segment.path)
        if not self.mention.within(raw):
            return
        out, lines = _Outcome(), []
        for line in raw.splitlines(keepends=True):
            event = self._event(msgspec.to_builtins(_decode(line)), out) if self.mention.within(line) else _SAME
            if event is not None:
                lines.append(line if event is _SAME else _encode(msgspec.convert(event, Stored)) + b"\n")
        if out.changed:
            self._replace(segment.path, target, "events", b"".join(lines), (len(out.gone), out.mentions))
            self._reindex(segment.day, segment.name.file(".ids"), out, emptied=not lines)

    def _part(self, part: Part, target: str) -> None:
        out = _Outcome()
        if not any(self._may_speak(batch) for batch in parts.read(part.path)):
            return
        name = f"{self.staged.serial()}-part"
        path = self.staged.file(name)
        parts.write(path, self._batches(part.path, out), covers=parts.covers(part.path))
        if not out.changed:
            path.unlink()
            return
        after = _sha256(path) if out.kept else None
        if out.kept:
            self.staged.adopt(name)
            self.renames.append((name, target))
        else:
            self.unlinks.append(target)
        self.receipt.files.append(Changed(target, "parquet", len(out.gone), out.mentions, _sha256(part.path), after))
        self._reindex(part.day, PART_IDS, out, emptied=not out.kept)

    def _may_speak(self, batch: Any) -> bool:
        """Whether any text of a record batch may speak of the id."""
        import pyarrow.compute as pc

        return any(
            bool(pc.any(pc.match_substring(batch.column(name), pattern), min_count=0).as_py())
            for name in ("user_id", *_COLUMNS)
            for pattern in ((*self.mention.needles, "\\u") if name in _JSON else self.mention.needles)
        )

    def _batches(self, path: Path, out: _Outcome) -> Iterator[Any]:
        """The record batches of a part without the user's rows; others' mentions replaced."""
        import pyarrow as pa

        for batch in parts.read(path):
            if not self._may_speak(batch):
                out.kept += batch.num_rows
                yield batch
                continue
            found = [(row, self._event(_opened(row), out)) for row in batch.to_pylist()]
            rows = [row if event is _SAME else _closed(event) for row, event in found if event is not None]
            out.kept += len(rows)
            if rows:
                yield pa.RecordBatch.from_pylist(rows, schema=parts.schema())

    def _event(self, event: dict[str, Any], out: _Outcome) -> dict[str, Any] | None:
        """What is left of an event: `_SAME` of one that does not speak of the user, None of one of theirs."""
        user = event.get("user_id")
        if (user if user is not None else event.get("anonymous_id")) in self._users:
            out.gone.append(event["event_id"])
            return None
        held = {name: self.mention.counting(name, event) for name in _COLUMNS if event.get(name) is not None}
        told = {name: (one.unnamed if name in _IDS else one.without)(event[name]) for name, one in held.items()}
        if all(event[name] == value for name, value in told.items()):
            return _SAME
        if told["event_id"] != event["event_id"]:
            told["event_id"] += f".{self.tombstones.subject(event['event_id'])}"  # two ids may not become one
            out.renamed[event["event_id"]] = entry(told["event_id"], b"")
        out.mentions += 1
        return event | told

    def _reindex(self, day: date, name: str, out: _Outcome, *, emptied: bool) -> None:
        """Take erased events out of an index; scrubbed ones stay in it, so that a retry of them is a duplicate."""
        index = f"ids/{day}/{name}"
        if emptied:
            self.unlinks.append(index)
        elif out.gone or out.renamed:
            known = ids.load(self.store.root / index)
            kept, new = ids.without(known, [*out.gone, *out.renamed]), ids.entries(b"".join(out.renamed.values()))
            self.put(index, b"".join(ids.chunks(ids.merged([kept, new]))))
            if out.renamed:
                self._former.setdefault(day, []).append(ids.only(known, out.renamed))

    def _rejects(self, file: quarantine.File, target: str) -> None:
        """Rejects whose line speaks of the user go; other mentions (in a source's name, say) are taken out."""
        kept, removed, mentions = [], 0, 0
        for found in file.read():
            if self.mention.in_line(found.raw):
                removed += 1
                continue
            body = self._without_mentions(found.body)
            mentions += body != found.body
            kept.append(quarantine.record(body))
        if removed or mentions:
            self._replace(file.path, target, "quarantine", b"".join(kept), (removed, mentions))

    def _without_mentions(self, body: dict[str, Any]) -> dict[str, Any]:
        problems = [{**problem, "says": self.mention.without(problem["says"])} for problem in body["problems"]]
        told = {name: self.mention.without(body[name]) for name in _OF_REJECTS}
        return body | told | {"problems": problems}

    def _replace(self, path: Path, target: str, tier: str, content: bytes, counts: tuple[int, int]) -> None:
        """Put `content` in place of a file, nothing if it is empty, and write it in the receipt."""
        after = hashlib.sha256(content).hexdigest() if content else None
        if content:
            self.put(target, content)
        else:
            self.unlinks.append(target)
        self.receipt.files.append(Changed(target, tier, *counts, _sha256(path), after))


_SAME: dict[str, Any] = {}


def _opened(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its JSON opened."""
    return row | {name: orjson.loads(row[name]) for name in _JSON if row[name] is not None}


def _closed(event: dict[str, Any]) -> dict[str, Any]:
    return event | {name: _encode(event[name]).decode() for name in _JSON if event[name] is not None}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
