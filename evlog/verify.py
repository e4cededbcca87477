"""Verification: does every file of the store say what it must, and do they agree? And the mending of what can be.

What `repair` mends is what can be derived: an unapplied commit, a missing or wrong id index, what a dead process left.
It never touches events.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from evlog import engine
from evlog.errors import StoreDamaged
from evlog.event.record import Line, encode, entry
from evlog.store import (
    audit,
    durable,
    firsts,
    ids,
    journal,
    keys,
    links,
    locks,
    parts,
    quarantine,
    rollups,
    snapshot,
    tombstones,
)
from evlog.store.layout import COLLISION, FIRSTS, PART_IDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date
    from pathlib import Path

    from evlog.store.layout import Store
    from evlog.store.snapshot import Part, Segment


class _Stored(Line):
    seq: int = 0
    received_at: str | None = None


_decode = msgspec.json.Decoder(_Stored).decode
_AT = b',"seq":'
_USERS = 65_536  # keys that are remembered from one part to the next
_AT_ONCE = 2_000_000  # users that are held in memory together, at most
_MEMORY = "220MB"
_SHARED = """
SELECT   user_key
FROM     read_parquet($parts, hive_partitioning = false)
WHERE    user_key BETWEEN $first AND $last
GROUP BY user_key
HAVING   min(hash(user_id)) <> max(hash(user_id))
LIMIT    1
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be."""

    path: str
    says: str
    repairable: bool = False


@dataclass(slots=True)
class Verified:
    """What a verification saw."""

    files: int = 0
    events: int = 0
    findings: list[Finding] = field(default_factory=list)
    repaired: list[Finding] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong (any more)."""
        return not self.findings


def verify(
    store: Store,
    *,
    repair: bool = False,
    wait: float | None = 0.0,
    seen: Callable[[int, int], None] = lambda _done, _total: None,
) -> Verified:
    """Read every file of the store and hold it against the invariants; with `repair`, mend what can be derived."""
    with locks.maintenance(store, "verify", wait=wait):
        told = Verified()
        with locks.commit(store):  # nobody is half-way through a commit now; later batches are not looked at
            now = _visible(store, told, repair=repair)
        total = len(now.hot) + len(now.cold)
        for number, segment in enumerate(now.hot):
            _segment(store, segment, told, repair=repair)
            seen(number + 1, total)
        key = lru_cache(_USERS)(tombstones.load(store).user_key)
        sound = []
        for number, part in enumerate(now.cold):
            if _part(store, part, told, key, repair=repair):
                sound.append(part)
            seen(len(now.hot) + number + 1, total)
        _apart(store, sound, told, repair=repair)
        _rejects(store, told)
        _firsts(now, told)
        _links(store, told)
        _former(store, now, told)
        _rollups(store, told)
        told.findings += [Finding(one.path, one.says) for one in audit.findings(store)]
    return told


def _visible(store: Store, told: Verified, *, repair: bool) -> snapshot.Snapshot:
    """What a reader sees, held against what lies in the folders; nothing if not even that can be told."""
    try:
        if repair:
            told.repaired += [Finding("journal", "an unapplied commit") for _ in range(journal.recover(store))]
        told.findings += [_pending(record.batch) for record in journal.unapplied(store)]
        now = snapshot.snapshot(store)
        _strangers(store, now, told)
        _double(store, now, told)
    except StoreDamaged as error:
        told.findings.append(Finding(str(store.root), str(error)))
        return snapshot.Snapshot(0, (), ())
    return now


def _pending(batch: int) -> Finding:
    return Finding(f"journal/{batch:012d}.json", "a commit that was not applied to its end", repairable=True)


def _segment(store: Store, segment: Segment, told: Verified, *, repair: bool) -> None:
    """Every line is a canonical event of its partition, and the index knows exactly these."""
    name = f"events/date={segment.day}/{segment.name.file('.ndjson')}"
    found = bytearray()
    told.files += 1
    raw = durable.read(segment.path)
    if not raw.endswith(b"\n"):
        told.findings.append(Finding(name, "the last line is not whole"))
    for number, line in enumerate(raw.splitlines(), 1):
        problem = _line(line, segment.day, found)
        told.events += 1
        if problem:
            told.findings.append(Finding(f"{name} line {number}", problem))
    path = store.ids(segment.day) / segment.name.file(".ids")
    _index(store, path, ids.arranged(ids.entries(found)), told, repair=repair)


def _line(line: bytes, day: date, found: bytearray) -> str | None:
    """What is wrong with a stored line; its index entry goes to `found`."""
    try:
        event = _decode(line)
    except msgspec.DecodeError as error:
        return f"not a stored event: {error}"
    content = line[: line.rindex(_AT)] + b"}" if _AT in line else line
    found += entry(event.event_id, content)
    if event.ts[:10] != day.isoformat():
        return f"its time {event.ts} belongs to another partition"
    bare = Line(**{name: getattr(event, name) for name in Line.__struct_fields__})
    return None if encode(bare) == content else "not in canonical form"


def _part(store: Store, part: Part, told: Verified, key: Callable[[str], int], *, repair: bool) -> bool:
    """A part can be read to its end, holds events of its day only, users by their keys, and the index knows all of it.

    Whether it can be read.
    """
    name = f"parquet/date={part.day}/{part.path.name}"
    told.files += 1
    found = bytearray()
    outside = strange = 0
    try:
        parts.covers(part.path)
        for batch in parts.read(part.path):
            told.events += batch.num_rows
            found += b"".join(entry(event_id, b"") for event_id in batch.column("event_id").to_pylist())
            outside += sum(ts.date() != part.day for ts in batch.column("ts").to_pylist())
            users = zip(batch.column("user_id").to_pylist(), batch.column("user_key").to_pylist(), strict=True)
            strange += sum(known != (None if user is None else key(user)) for user, known in users)
    except (OSError, ValueError, StoreDamaged) as error:
        told.findings.append(Finding(name, f"cannot be read: {error}"))
        return False
    if outside:
        told.findings.append(Finding(name, f"{outside} events belong to another partition"))
    if strange:
        told.findings.append(Finding(name, f"{strange} events have a user_key that is not their user's"))
    wanted = ids.arranged(ids.entries(found))
    _index(store, store.ids(part.day) / PART_IDS, wanted, told, repair=repair, contents=False)
    return True


def _apart(store: Store, cold: Sequence[Part], told: Verified, *, repair: bool) -> None:
    """No two users share a key, or the store is marked: compaction looks at a day alone, this at all of them."""
    if not cold or not keys.tell_apart(store) or not _shared(cold):
        return
    found = Finding(COLLISION, "it is missing: two users have the same user_key", repairable=True)
    if not repair:
        told.findings.append(found)
        return
    with locks.commit(store):
        keys.mark(store)
    told.repaired.append(found)


def _shared(cold: Sequence[Part]) -> bool:
    """Whether two users in these parts have the same key; keys are looked at by ranges, which are evenly filled."""
    names = [str(part.path) for part in cold]
    ranges = 1 + sum(parts.rows(part.path) for part in cold) // _AT_ONCE
    bounds = [-(2**63) + number * 2**64 // ranges for number in range(ranges + 1)]
    with engine.connect(engine.Limits(threads=1, memory=_MEMORY)) as connection:
        return any(
            connection.rows(_SHARED, {"parts": names, "first": first, "last": last - 1})
            for first, last in pairwise(bounds)
        )


def _index(store: Store, path: Path, wanted: ids.Ids, told: Verified, *, repair: bool, contents: bool = True) -> None:
    """An index says what its file holds. The content hashes of a part are history: only the ids are compared."""
    name = str(path.relative_to(store.root))
    told.files += 1
    try:
        known = ids.load(path)
        same = (
            (known.high == wanted.high).all() and (known.low == wanted.low).all()
            if len(known) == len(wanted)
            else False
        )
        problem = None if same else f"it knows {len(known)} ids, its file holds {len(wanted)}"
    except (OSError, StoreDamaged):
        problem = "it is missing or broken"
    if problem is None:
        return
    if repair and contents:
        with journal.staging(store) as staged, locks.commit(store):
            staged.write("ids", ids.chunks(wanted))
            journal.commit(staged, "repair", [("ids", name)])
        told.repaired.append(Finding(name, problem))
    else:
        told.findings.append(Finding(name, problem, repairable=contents))


def _double(store: Store, now: snapshot.Snapshot, told: Verified) -> None:
    """No event id stands twice in a partition."""
    index = ids.Index(store)
    for day in now.days:
        try:
            known = ids.merged(index.known(day))
        except StoreDamaged:
            continue  # a broken index is told where it is held against its file
        same, other = ids.repeats(known)
        if twice := int((same | other).sum()):
            told.findings.append(Finding(f"partition {day}", f"{twice} events stand twice"))


def _strangers(store: Store, now: snapshot.Snapshot, told: Verified) -> None:
    """No file in the tiers that no snapshot sees, no index of what is not there, no symlink, nothing left lying."""
    known = {*now.segments, *now.parts}
    known |= {store.ids(segment.day) / segment.name.file(".ids") for segment in now.hot}
    known |= {store.ids(part.day) / PART_IDS for part in now.cold}
    known.add(store.root / FIRSTS)
    for path in _tier_files(store):
        if path not in known and not _is_pending(store, path):
            told.findings.append(Finding(str(path.relative_to(store.root)), "no commit knows this file"))


def _tier_files(store: Store) -> Iterator[Path]:
    """Everything in the tiers and their indexes that is no folder of a partition."""
    for tier in ("events", "parquet", "ids"):
        top = store.root / tier
        yield from (top / name for name in (*durable.files(top, ""), *durable.others(top)))
        for folder in durable.folders(top):
            inner = top / folder
            yield from (inner / name for name in (*durable.files(inner, ""), *durable.others(inner)))
            yield from (inner / name for name in durable.folders(inner))
    top = store.root / "firsts"
    yield from (top / name for name in (*durable.files(top, ""), *durable.others(top), *durable.folders(top)))


def _is_pending(store: Store, path: Path) -> bool:
    """Whether a commit that is not wholly applied has put the file there, or is to remove it: that is told already."""
    name = str(path.relative_to(store.root))
    records = journal.unapplied(store)
    return any(name in record.unlinks or name in {target for _, target in record.renames} for record in records)


def _firsts(now: snapshot.Snapshot, told: Verified) -> None:
    """The first-seen memory can be read and is in order."""
    if now.memory is None or now.memory.stamp is None:
        return
    told.files += 1
    try:
        firsts.load(now.memory.path)
    except (OSError, StoreDamaged) as error:
        told.findings.append(Finding(FIRSTS, f"cannot be read: {error}"))


def _links(store: Store, told: Verified) -> None:
    """Every line that links an id can be read."""
    for file in links.files(store):
        told.files += 1
        try:
            file.read()
        except (OSError, StoreDamaged) as error:
            told.findings.append(Finding(file.target, f"cannot be read: {error}"))


def _former(store: Store, now: snapshot.Snapshot, told: Verified) -> None:
    """What is kept of ids that an erasure took from events can be read: a day's ingest needs it."""
    for day in now.days:
        name = ids.former_name(day)
        try:
            told.files += len(ids.former(store, day))
        except StoreDamaged:
            told.findings.append(Finding(f"tombstones/{name}", "cannot be read: bring it back from a backup"))


def _rollups(store: Store, told: Verified) -> None:
    """Every rollup can be read, and is about the period that its name says."""
    for name, path in rollups.files(store).items():
        told.files += 1
        try:
            period, _ = rollups.read(path)
        except (OSError, StoreDamaged) as error:
            told.findings.append(Finding(name, f"cannot be read: {error}"))
            continue
        if period.target != name:
            told.findings.append(Finding(name, f"it is about {period.target}"))


def _rejects(store: Store, told: Verified) -> None:
    for file in quarantine.files(store):
        told.files += 1
        sum(1 for _ in file.read())
