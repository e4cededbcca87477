"""Archived events as segments: canonical lines that carry their own `seq` and `received_at`, and their id index."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from evlog.archive import day as days
from evlog.archive.scrub import Scrub
from evlog.errors import EvlogError
from evlog.event.record import Line, encode, entry
from evlog.store import ids
from evlog.store.layout import SegmentName, received_text

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from evlog.store.journal import Staging
    from evlog.store.layout import Store
    from evlog.store.tombstones import Tombstones

_BYTES, _LINES = 64 << 20, 250_000  # of a segment
_JSON = ("properties", "context")
_load = msgspec.json.decode


@dataclass(slots=True)
class _Block:
    """A segment in the making."""

    lines: bytearray = field(default_factory=bytearray)
    ids: list[ids.Ids] = field(default_factory=list)
    count: int = 0


@dataclass(slots=True)
class Segments:
    """The segments that bring one day back."""

    store: Store
    staged: Staging
    day: date
    tombstones: Tombstones
    newest: datetime = datetime(1970, 1, 1)  # noqa: DTZ001 - naive UTC; the newest `received_at` among the events
    _names: list[str] = field(default_factory=list)
    _block: _Block = field(default_factory=_Block)
    _known: list[ids.Ids] | None = None
    _scrub: Scrub | None = None

    def take(self, path: Path) -> Counter[str]:
        """Take in the events of an archived day; how many there were, are new, are known already, are erased."""
        if self._known is None:
            self._known = list(ids.Index(self.store).known(self.day))
        counts: Counter[str] = Counter()
        for table in days.read(path):
            counts.update(self._rows(table.to_pylist()))
        return counts

    def end(self) -> None:
        """Write the segment that is not full yet."""
        block, self._block = self._block, _Block()
        if block.count:
            name = f"{self.staged.serial()}-{self.day}"
            self.staged.write(f"{name}.lines", [block.lines])
            self.staged.write(f"{name}.ids", ids.chunks(ids.merged(block.ids)))
            self._names.append(name)

    def close(self) -> None:
        """Write what is left; nothing more comes, and what was needed to tell it apart goes."""
        self.end()
        self._known = None

    def renames(self, batch: int) -> list[tuple[str, str]]:
        """What a commit of that number puts in place."""
        found = []
        for part, name in enumerate(self._names):
            named = SegmentName(batch, received_text(self.newest), part)
            found.append((f"{name}.ids", f"ids/{self.day}/{named.file('.ids')}"))
            found.append((f"{name}.lines", f"events/date={self.day}/{named.file('.ndjson')}"))
        return found

    def _rows(self, rows: list[dict[str, Any]]) -> dict[str, int]:
        assert self._known is not None
        opened = [row | {name: _load(row[name]) for name in _JSON if row[name] is not None} for row in rows]
        scrub = self._scrub = self._scrub or Scrub(self.tombstones)
        left = [row for row in map(scrub.left, opened) if row is not None]
        if not left:
            return {"events": len(rows), "erased": len(rows)}
        contents = [self._content(row) for row in left]
        packed = b"".join(entry(row["event_id"], content) for row, content in zip(left, contents, strict=True))
        new = ids.entries(packed)
        again = np.logical_or(*ids.repeats(new))
        for known in self._known:
            again |= np.logical_or(*ids.stored_already(new, known))
        fresh = ids.arranged(ids.chosen(new, ~again))
        for row, content, there in zip(left, contents, again.tolist(), strict=True):
            if not there:
                self._line(row, content)
        self._keep(fresh)
        told = {"stored": len(fresh), "duplicates": int(again.sum()), "erased": len(rows) - len(left)}
        return {"events": len(rows)} | told

    def _keep(self, fresh: ids.Ids) -> None:
        """Remember what was taken, and end a segment that is full."""
        assert self._known is not None
        if not len(fresh):
            return
        self._known.append(fresh)
        small = [known for known in self._known if len(known) <= _LINES]
        if len(small) > 8:  # noqa: PLR2004 - few look-ups, few merges
            self._known = [known for known in self._known if len(known) > _LINES] + [ids.merged(small)]
        self._block.ids.append(fresh)
        if self._block.count >= _LINES or len(self._block.lines) >= _BYTES:
            self.end()

    def _content(self, row: dict[str, Any]) -> bytes:
        """The canonical line of a row; EvlogError where it is no event of the day."""
        try:
            told = {name: row[name] for name in Line.__struct_fields__} | {"ts": _spelled(row["ts"])}
            line = msgspec.convert(told, Line)
        except (msgspec.ValidationError, AttributeError, TypeError) as error:
            raise EvlogError(f"an archived event of {self.day} is none: {error}") from error
        if row["ts"].date() != self.day or row["seq"] is None or row["received_at"] is None:
            raise EvlogError(f"an archived event of {self.day} belongs to another day")
        return encode(line)

    def _line(self, row: dict[str, Any], content: bytes) -> None:
        received = row["received_at"]
        said = (content[:-1], row["seq"], _spelled(received).encode())
        self._block.lines += b'%b,"seq":%d,"received_at":"%b"}\n' % said
        self._block.count += 1
        self.newest = max(self.newest, received)


def _spelled(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds") + "Z"
