"""Erasure: a user leaves every tier in one commit, with a tombstone against return and a receipt.

What resolves to the person goes; a mention inside another user's event becomes `[erased]` and is counted. A scan of
every file of the store closes the receipt; it shares no code with the removal but the definition of a mention.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from evlog.event.record import Line
from evlog.person import scan
from evlog.person.mention import ERASED, Mention
from evlog.store import durable, ids, journal, locks, parts, quarantine, snapshot, tombstones
from evlog.store.layout import PART, PART_IDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from evlog.store.journal import Staging
    from evlog.store.layout import Store
    from evlog.store.snapshot import Part, Segment

_TEXTS = (
    "event_type", "event_id", "category", "user_id", "anonymous_id", "session_id", "target_type", "target_id", "feature",
    "source",
)  # fmt: skip
_JSON = ("properties", "context")


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
    tier: str  # events, parquet, quarantine
    removed: int  # events of the user (or rejects that speak of them)
    mentions: int  # other users' events that spoke of them
    before: str  # SHA-256 of the file
    after: str | None  # … of what takes its place; None: nothing does


@dataclass(slots=True)
class Receipt:
    """What an erasure did, and the proof; the user stands in it only as a keyed hash."""

    subject: str
    dry_run: bool = False
    files: list[Changed] = field(default_factory=list)
    scanned: int = 0
    found: int = 0

    @property
    def removed(self) -> dict[str, int]:
        """How many events (or rejects) went, by tier."""
        tiers = {"events": 0, "parquet": 0, "quarantine": 0}
        for changed in self.files:
            tiers[changed.tier] += changed.removed
        return tiers

    @property
    def mentions(self) -> int:
        """How many other users' events had a mention taken out."""
        return sum(changed.mentions for changed in self.files)


@dataclass(slots=True)
class _Commit:
    """The commit in the making."""

    staged: Staging
    renames: list[tuple[str, str]] = field(default_factory=list)
    unlinks: list[str] = field(default_factory=list)

    def put(self, target: str, content: bytes) -> None:
        name = f"{self.staged.serial()}-file"
        self.staged.write(name, [content])
        self.renames.append((name, target))


def erase(store: Store, user: str, *, wait: float | None = 0.0, dry_run: bool = False) -> Receipt:
    """Remove `user` (a user id or an anonymous id) from every tier; the receipt.

    Holds the commit lock while it works: no batch can bring back what is being erased. Of a user nobody knows, the
    tombstone stays all the same.
    """
    mention = Mention(user)
    with locks.maintenance(store, "user delete", wait=wait), journal.staging(store) as staged, locks.commit(store):
        journal.recover(store)
        known = tombstones.load(store)
        receipt = Receipt(known.subject(user), dry_run=dry_run)
        commit = _Commit(staged)
        seen = snapshot.snapshot(store)
        for segment in seen.hot:
            _segment(store, commit, segment, mention, receipt)
        for part in seen.cold:
            _part(store, commit, part, mention, receipt)
        for file in quarantine.files(store):
            _rejects(commit, file, mention, receipt)
        if dry_run:
            return receipt
        commit.put(f"tombstones/{tombstones.USERS}", tombstones.users_file(known, also=receipt.subject))
        journal.commit(staged, "erasure", commit.renames, unlinks=commit.unlinks)
    receipt.scanned, receipt.found = scan.scan(store, mention)
    return receipt


def _segment(store: Store, commit: _Commit, segment: Segment, mention: Mention, receipt: Receipt) -> None:
    raw = durable.read(segment.path)
    if not mention.within(raw):
        return
    kept, gone, mentions = [], [], 0
    for line in raw.splitlines(keepends=True):
        event = _decode(line) if mention.within(line) else None
        if event is None or not mention.spoken(msgspec.to_builtins(event)):
            kept.append(line)
        elif _is_theirs(event.user_id, event.anonymous_id, mention.user):
            gone.append(event.event_id)
        else:
            mentions += 1
            kept.append(_scrubbed(event, mention))
    if gone or mentions:
        target = f"events/date={segment.day}/{segment.name.file('.ndjson')}"
        index = f"ids/{segment.day}/{segment.name.file('.ids')}"
        _replace(commit, receipt, _Change(target, "events", segment.path, b"".join(kept), len(gone), mentions))
        _without_ids(store, commit, index, gone, emptied=not kept)


def _part(store: Store, commit: _Commit, part: Part, mention: Mention, receipt: Receipt) -> None:
    gone: list[str] = []
    counts = {"kept": 0, "mentions": 0, "hits": 0}
    if not any(_speaks(batch, mention) for batch in parts.read(part.path)):
        return
    name = f"{commit.staged.serial()}-part"
    path = commit.staged.file(name)
    parts.write(path, _kept_batches(part.path, mention, gone, counts), covers=parts.covers(part.path))
    if not gone and not counts["mentions"]:
        path.unlink()
        return
    target, index = f"parquet/date={part.day}/{PART}", f"ids/{part.day}/{PART_IDS}"
    after = None
    if counts["kept"]:
        commit.staged.adopt(name)
        commit.renames.append((name, target))
        after = _sha256(path)
    else:
        commit.unlinks.append(target)
    receipt.files.append(Changed(target, "parquet", len(gone), counts["mentions"], _sha256(part.path), after))
    _without_ids(store, commit, index, gone, emptied=not counts["kept"])


def _speaks(batch: Any, mention: Mention) -> bool:
    """Whether any text of a record batch may speak of the id."""
    import pyarrow.compute as pc

    return any(
        bool(pc.any(pc.match_substring(batch.column(name), pattern), min_count=0).as_py())
        for name in (*_TEXTS, *_JSON)
        for pattern in ((mention.needle, "\\u") if name in _JSON else (mention.user,))
    )


def _kept_batches(path: Path, mention: Mention, gone: list[str], counts: dict[str, int]) -> Iterator[Any]:
    """The record batches of a part without the user's rows; others' mentions replaced."""
    import pyarrow as pa

    for batch in parts.read(path):
        if not _speaks(batch, mention):
            counts["kept"] += batch.num_rows
            yield batch
            continue
        rows = []
        for row in batch.to_pylist():
            if not mention.spoken(_told(row)):
                rows.append(row)
            elif _is_theirs(row["user_id"], row["anonymous_id"], mention.user):
                gone.append(row["event_id"])
            else:
                counts["mentions"] += 1
                rows.append(_scrubbed_row(row, mention))
        counts["kept"] += len(rows)
        if rows:
            yield pa.RecordBatch.from_pylist(rows, schema=parts.schema())


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its JSON opened."""
    opened = {name: orjson.loads(row[name]) for name in _JSON if row[name] is not None}
    return {name: row[name] for name in _TEXTS} | opened


def _scrubbed_row(row: dict[str, Any], mention: Mention) -> dict[str, Any]:
    told = mention.without(_told(row))
    for name in _JSON:
        if name in told:
            told[name] = _encode(told[name]).decode()
    return row | told


def _is_theirs(user: str | None, anonymous: str | None, erased: str) -> bool:
    """Whether an event is the erased person's: by its user, or by its anonymous id where it has no user."""
    return user == erased or (user is None and anonymous == erased)


def _scrubbed(event: Stored, mention: Mention) -> bytes:
    told = mention.without(msgspec.to_builtins(event))
    return _encode(msgspec.convert(told, Stored)) + b"\n"


@dataclass(frozen=True, slots=True)
class _Change:
    target: str
    tier: str
    path: Path
    content: bytes
    removed: int
    mentions: int


def _replace(commit: _Commit, receipt: Receipt, change: _Change) -> None:
    after = hashlib.sha256(change.content).hexdigest() if change.content else None
    if change.content:
        commit.put(change.target, change.content)
    else:
        commit.unlinks.append(change.target)
    before = _sha256(change.path)
    receipt.files.append(Changed(change.target, change.tier, change.removed, change.mentions, before, after))


def _without_ids(store: Store, commit: _Commit, index: str, gone: list[str], *, emptied: bool) -> None:
    """Take the ids of erased events out of an index; those of scrubbed ones stay, so that a retry is a duplicate."""
    if emptied:
        commit.unlinks.append(index)
    elif gone:
        commit.put(index, b"".join(ids.chunks(ids.without(ids.load(store.root / index), gone))))


def _rejects(commit: _Commit, file: quarantine.File, mention: Mention, receipt: Receipt) -> None:
    """Rejects whose line speaks of the user go; other mentions (in a source's name, say) are taken out."""
    kept, removed, mentions = [], 0, 0
    for found in file.read():
        if not mention.spoken([*map(str, found.body.values()), found.raw.decode(errors="replace"), _opened(found.raw)]):
            kept.append(quarantine.record(found.body))
        elif mention.spoken([found.raw.decode(errors="replace"), _opened(found.raw)]):
            removed += 1
        else:
            mentions += 1
            kept.append(quarantine.record(mention.without(found.body)))
    if removed or mentions:
        target = f"quarantine/{file.path.name}"
        _replace(commit, receipt, _Change(target, "quarantine", file.path, b"".join(kept), removed, mentions))


def _opened(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode("utf-8", "replace").replace('"', " ").split()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


__all__ = ["ERASED", "Changed", "Receipt", "erase"]
