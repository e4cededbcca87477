"""The layout of a store: which file lies where, and what its name says (docs/design.md, "On disk")."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from evlog.errors import StoreDamaged, StoreMissing, UsageError
from evlog.frozen import dataclass
from evlog.store import durable

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
SEQ_BITS = 26
"""`seq` of an event is BATCH * 2^26 + its ordinal in the batch."""

LONGEST_LINE = 9 << 20
"""No stored line is longer, in bytes: readers of segments set aside memory for two of them."""

FOLDERS = (
    "events", "parquet", "ids", "quarantine", "journal", "staging", "tombstones", "links", "firsts", "rollups", "audit",
    "runs", "locks",
)  # fmt: skip
MARKER = "evlog.json"
KEY, KEY_BYTES = "key", 32
PART = "events.parquet"
PART_IDS = "part.ids"
FIRSTS = "firsts/first-seen"
"""The memory of who was first seen when, as journal records name it."""
COLLISION = "tombstones/collision"
"""Is there once two users have the same `user_key`, and stays (`store/keys.py`)."""

_DASHES = (4, 7)  # where they stand in a date
_NAME = r"(\d{12})-(\d{8}T\d{6}S\d{6}Z)-(\d+)\.(?:ndjson|ids|rejects)"  # compiled when the first name is read: 0.5 ms
_RECEIVED = "%Y%m%dT%H%M%SS%fZ"


@dataclass(frozen=True, slots=True)
class Store:
    """A store on disk; every path in it is derived here."""

    root: Path

    def segments(self, day: date) -> Path:
        """The folder of the segments of a partition."""
        return self.root / "events" / f"date={day}"

    def part(self, day: date) -> Path:
        """The part of a partition (which may not exist)."""
        return self.root / "parquet" / f"date={day}" / PART

    def ids(self, day: date) -> Path:
        """The folder of a partition's id index."""
        return self.root / "ids" / str(day)

    @property
    def quarantine(self) -> Path:
        """The folder of rejects."""
        return self.root / "quarantine"

    @property
    def journal(self) -> Path:
        """The folder of commit records."""
        return self.root / "journal"

    @property
    def staging(self) -> Path:
        """The folder of files that are not yet visible."""
        return self.root / "staging"

    @property
    def tombstones(self) -> Path:
        """The folder of what keeps the erased and the purged out."""
        return self.root / "tombstones"

    @property
    def links(self) -> Path:
        """The folder of what people said about ids that belong together."""
        return self.root / "links"

    @property
    def rollups(self) -> Path:
        """The folder of what was counted of each period."""
        return self.root / "rollups"

    @property
    def audit(self) -> Path:
        """The folder of who did what to the people in the store."""
        return self.root / "audit"

    @property
    def runs(self) -> Path:
        """The folder of a summary line per run."""
        return self.root / "runs"

    @property
    def locks(self) -> Path:
        """The folder of lock files."""
        return self.root / "locks"

    def days(self) -> list[date]:
        """The partitions that have a folder in any tier, in order."""
        names = durable.folders(self.root / "events", "date=") + durable.folders(self.root / "parquet", "date=")
        return sorted({day for name in names if (day := day_of(name)) is not None})


@dataclass(frozen=True, slots=True, order=True)
class SegmentName:
    """What the name of a segment (and of its id index, and of a file of rejects) says."""

    batch: int
    received: str  # YYYYMMDDTHHMMSSffffffZ with an S before the fraction
    part: int

    def file(self, suffix: str) -> str:
        """The file name, with `suffix` (`.ndjson`, `.ids`, `.rejects`)."""
        return f"{self.batch:012d}-{self.received}-{self.part}{suffix}"

    @property
    def received_at(self) -> datetime:
        """When evlog received these events (naive UTC)."""
        return datetime.strptime(self.received, _RECEIVED)  # noqa: DTZ007 - the whole project is naive UTC here


def segment_name(file_name: str) -> SegmentName | None:
    """What a file name says; None if it is not one of ours."""
    match = re.fullmatch(_NAME, file_name, re.ASCII)
    return SegmentName(int(match[1]), match[2], int(match[3])) if match else None


def received_text(moment: datetime) -> str:
    """`moment` (naive UTC) as it stands in file names."""
    return moment.strftime(_RECEIVED)


def day_of(folder_name: str) -> date | None:
    """The partition a folder name stands for; None if it is none."""
    written = folder_name.removeprefix("date=")
    try:
        return date.fromisoformat(written) if all(written[at] == "-" for at in _DASHES) else None
    except (ValueError, IndexError):
        return None


def must_be_utf8(path: Path) -> None:
    """Refuse a path that is no UTF-8: neither DuckDB nor pyarrow opens what lies there."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"the path {path} is not UTF-8", hint="give the folder another name") from error


def create(root: Path) -> Store:
    """The store at `root`, made (or completed) if need be; the marker comes last, so it never names half a store."""
    must_be_utf8(root)
    if root.is_symlink() and not (root / MARKER).exists():
        raise StoreDamaged(f"{root} is a symlink: no store is made through one", hint="name the folder it leads to")
    for path in reversed([root, *root.parents]):
        if not path.exists():
            durable.folder(path)
    for name in FOLDERS:
        durable.folder(root / name)
    marker = root / MARKER
    if not marker.exists():
        durable.put_first(root / "tombstones" / KEY, os.urandom(KEY_BYTES))
        made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {"format": FORMAT, "store": os.urandom(16).hex(), "created_at": made}
        durable.put_first(marker, json.dumps(body).encode() + b"\n")
    return open_store(root)


def settle(store: Store) -> None:
    """Make the names that lead to a store durable: who made it and folders above it may have died before they were.

    A folder that its owner may not list was not made by us, nor was one on another disk.
    """
    device = store.root.stat().st_dev
    for path in (store.root, *store.root.resolve().parents):
        if path.stat().st_dev == device and os.access(path, os.R_OK):
            durable.sync_folder(path)


def open_store(root: Path) -> Store:
    """The store at `root`; StoreMissing if there is none, StoreDamaged if it is of another format."""
    must_be_utf8(root)
    marker = root / MARKER
    try:
        body = json.loads(durable.read(marker))
        known = body["format"] == FORMAT
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StoreMissing(root) from error
    except (ValueError, KeyError, TypeError) as error:
        raise StoreDamaged(f"{marker} is not the marker of a store") from error
    if not known:
        raise StoreDamaged(f"{root} has format {body['format']!r}; this evlog reads {FORMAT}", hint="upgrade evlog")
    for name in FOLDERS:
        durable.folder(root / name)
    return Store(root)
