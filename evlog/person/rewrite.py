"""What an erasure makes of each file: the same without the persons' events, mentions by others taken out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from evlog.event.record import Line
from evlog.person import cold
from evlog.person.receipt import Changed
from evlog.person.retold import SAME, Outcome, Share
from evlog.store import durable, ids, parts, quarantine
from evlog.store.layout import PART, PART_IDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date
    from pathlib import Path

    from evlog.person.going import Going
    from evlog.person.mention import Mentions
    from evlog.person.receipt import Receipt
    from evlog.store.journal import Staging
    from evlog.store.layout import Store
    from evlog.store.snapshot import Part, Segment, Snapshot
    from evlog.store.tombstones import Tombstones

_OF_REJECTS = ("source", "field", "expected", "got")


class Stored(Line, kw_only=True):
    """A line as it stands in a segment; its `seq` is told whatever it is, 0 too."""

    seq: int
    received_at: str | None = None


_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(slots=True)
class Rewrite:
    """The commit of an erasure in the making; each file is looked at once."""

    store: Store
    staged: Staging
    going: Going
    tombstones: Tombstones
    receipt: Receipt
    renames: list[tuple[str, str]] = field(default_factory=list)
    unlinks: list[str] = field(default_factory=list)
    days: set[date] = field(default_factory=set)  # partitions that are not what they were
    apart: bool = True  # whether the keys of new users tell them apart from others
    _done: set[str] = field(default_factory=set)
    _former: dict[date, list[ids.Ids]] = field(default_factory=dict)  # what the index knew of events that are renamed

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

    def replace(self, path: Path, target: str, content: bytes, **counts: Any) -> None:
        """Put `content` in place of a file, nothing if it is empty, and write it in the receipt."""
        after = hashlib.sha256(content).hexdigest() if content else None
        if content:
            self.put(target, content)
        else:
            self.unlinks.append(target)
        tier = counts.pop("tier", target.partition("/")[0])
        before = _sha256(path) if counts.pop("telling", True) else None
        told = {"removed": 0, "mentions": 0, **counts}
        self.receipt.files.append(Changed(target, tier, before=before, after=after, **told))

    def shares(self, users: Iterable[str], what: str) -> Mapping[int, Share]:
        """The share of each person in something that speaks of these ids."""
        return {self.going.number(user): Share(**{what: 1}) for user in users}

    def _first_time(self, target: str) -> bool:
        new = target not in self._done
        self._done.add(target)
        return new

    def _segment(self, segment: Segment, target: str) -> None:
        raw = durable.read(segment.path)
        near = self.going.crowd.lines(raw)
        if not near:
            return
        out, lines = Outcome(), raw.splitlines(keepends=True)
        for number, mentions in near.items():
            event = self.going.retelling.event({"seq": 0} | orjson.loads(lines[number]), mentions, out)
            if event is not SAME:
                lines[number] = b"" if event is None else _encode(msgspec.convert(event, Stored)) + b"\n"
        if out.changed:
            content = b"".join(lines)
            self.days.add(segment.day)
            self.replace(segment.path, target, content, **_counts(out))
            self._reindex(segment.day, segment.name.file(".ids"), out, emptied=not content)

    def _part(self, part: Part, target: str) -> None:
        out = Outcome()
        if not cold.may_speak(part.path, self.going):
            return
        name = f"{self.staged.serial()}-part"
        path = self.staged.file(name)
        parts.write(path, cold.retold(part.path, self.going, self.tombstones, out), covers=parts.covers(part.path))
        if not out.changed:
            path.unlink()
            return
        if out.moved:
            name, apart = cold.sorted_again(self.staged, name, covers=parts.covers(part.path))
            self.apart &= apart
        after = _sha256(self.staged.file(name)) if out.kept else None
        if out.kept:
            self.staged.adopt(name)
            self.renames.append((name, target))
        else:
            self.unlinks.append(target)
        self.days.add(part.day)
        self.receipt.files.append(Changed(target, "parquet", before=_sha256(part.path), after=after, **_counts(out)))
        self._reindex(part.day, PART_IDS, out, emptied=not out.kept)

    def _reindex(self, day: date, name: str, out: Outcome, *, emptied: bool) -> None:
        """Take erased events out of an index; scrubbed ones stay in it, so that a retry of them is a duplicate."""
        index = f"ids/{day}/{name}"
        if emptied:
            self.unlinks.append(index)
        elif out.gone or out.new:
            known = ids.load(self.store.root / index)
            kept, new = ids.without(known, out.gone), ids.entries(b"".join(out.new))
            self.put(index, b"".join(ids.chunks(ids.merged([kept, new]))))
            if out.former:
                self._former.setdefault(day, []).append(ids.only(known, out.former))

    def _rejects(self, file: quarantine.File, target: str) -> None:
        """Rejects whose line speaks of a person go; other mentions (in a source's name, say) are taken out."""
        held = list(file.read())
        kept, out = [], Outcome()
        for found, near in zip(held, self.going.crowd.rejects(held), strict=True):
            gone = self.going.plain(near)
            if users := [one.user for one in gone.each if one.in_line(found.raw)]:
                out.removed += 1
                for number in {self.going.number(user) for user in users}:
                    out.shares[number].removed += 1
                continue
            body = _without_mentions(found.body, gone)
            out.mentions += body != found.body
            kept.append(quarantine.record(body))
        if out.changed:
            self.replace(file.path, target, b"".join(kept), **_counts(out))


def _without_mentions(body: dict[str, Any], gone: Mentions) -> dict[str, Any]:
    if not gone.each:
        return body
    problems = [{**problem, "says": gone.without(problem["says"])} for problem in body["problems"]]
    told = {name: gone.without(body[name]) for name in _OF_REJECTS}
    return body | told | {"problems": problems}


def _counts(out: Outcome) -> dict[str, Any]:
    return {
        "removed": out.removed,
        "mentions": out.mentions,
        "renamed": out.renamed,
        "shares": dict(out.shares),
    }


def _sha256(path: Path) -> str:
    with open(durable.reading(path), "rb") as file:  # noqa: PTH123 - an open descriptor has no path
        return hashlib.file_digest(file, "sha256").hexdigest()
