"""From a parsed block to a durable batch: dedupe against the batch and the store, stage, commit.

Looking up the ids and committing happen under one lock, so two ingests never store one event twice; the expensive part,
parsing, is over by then (docs/design.md, "Dedupe and commit are one step").
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date
from typing import TYPE_CHECKING

import numpy as np

from evlog.event.record import derived_id, entry, stored
from evlog.event.reject import Problem
from evlog.event.times import canonical
from evlog.ingest.parsed import Parsed, Reject
from evlog.store import durable, ids, journal, locks, tombstones
from evlog.store.layout import SegmentName, received_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from evlog.ingest.block import Block
    from evlog.ingest.parsed import Day
    from evlog.ingest.rules import Moment
    from evlog.ingest.tally import Tally
    from evlog.store.layout import Store

    Hashes = NDArray[np.uint64]

_PIECES = 8
_EMPTY_ID, _AT = b'"event_id":""', b',"seq":'


class Stale(Exception):  # noqa: N818 - a call to parse again, not an error
    """Users were erased or days purged since the block was parsed."""


class Contents:
    """How often each content without an id came in this run: its ordinal keeps equal events apart (metrics §13).

    Sorted arrays of 64-bit hashes, merged now and then: eight bytes an event.
    """

    def __init__(self) -> None:
        self._seen: list[Hashes] = []
        self.news = np.empty(0, np.uint64)  # what the last call added

    def ordinals(self, contents: list[bytes]) -> list[int]:
        """For each content, how many equal ones came before it in this run; they count from now on."""
        keys = ids.entries(b"".join(entry("", content) for content in contents)).content
        order = np.argsort(keys, kind="stable")
        arranged = keys[order]
        starts = np.searchsorted(arranged, arranged)
        inside = np.arange(len(keys)) - starts
        before = sum((np.searchsorted(old, arranged, "right") - np.searchsorted(old, arranged) for old in self._seen), inside)
        self.learn(arranged)
        found = np.empty(len(keys), np.int64)
        found[order] = before
        return found.tolist()

    def learn(self, arranged: Hashes) -> None:
        """Count contents (sorted hashes) that came elsewhere in this run."""
        self.news = arranged
        if len(arranged):
            self._seen.append(arranged)
        if len(self._seen) > _PIECES:
            self._seen = [np.sort(np.concatenate(self._seen))]


class Committer:
    """Commits the parsed blocks of one run, in order."""

    def __init__(self, store: Store, *, dedupe: bool = True, dry_run: bool = False) -> None:
        self.store = store
        self.contents = Contents()
        self._dedupe = dedupe
        self._dry_run = dry_run
        self._index = ids.Index(store)
        self._atomic: _Whole | None = None
        self._run_ids: dict[str, list[ids.Ids]] = {}  # of what is staged or was only tried, and not yet in the store
        self._run_rejects: set[bytes] = set()

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Publish what is committed inside only at the end, and nothing of it if the body raises."""
        with ExitStack() as held:
            held.enter_context(locks.commit(self.store))
            journal.recover(self.store)
            self._atomic = _Whole(held.enter_context(journal.staging(self.store)), journal.newest(self.store))
            yield
            whole = self._atomic
            if whole.renames:
                journal.commit(whole.staged, "ingest", whole.renames, batches=whole.batches)

    def commit(self, parsed: Parsed, block: Block, moment: Moment) -> Tally:
        """Make a parsed block durable and visible; what it added. Raises Stale when it must be parsed again first."""
        self._name_the_nameless(parsed)
        if self._atomic is not None:
            self._atomic.batches += 1
            number = self._atomic.base + self._atomic.batches
            self._atomic.renames += self._stage(parsed, block, moment, self._atomic.staged, number)
        else:
            with locks.commit(self.store), journal.staging(self.store) as staged:
                journal.recover(self.store)
                if tombstones.current(self.store) != moment.tombstones.stamp:
                    raise Stale
                renames = self._stage(parsed, block, moment, staged, journal.newest(self.store) + 1)
                if renames:
                    journal.commit(staged, "ingest", renames)
        parsed.tally.batches += 1
        return parsed.tally

    def _name_the_nameless(self, parsed: Parsed) -> None:
        """Give an id to each event that has none."""
        if not parsed.anonymous:
            return
        ordinals = self.contents.ordinals([content for _, _, content, _ in parsed.anonymous])
        for (day, ordinal, content, origin), before in zip(parsed.anonymous, ordinals, strict=True):
            name = derived_id(content, before)
            named = content.replace(_EMPTY_ID, b'"event_id":"%b"' % name.encode(), 1)
            parsed.day(day).add(stored(named, ordinal), entry(name, named), origin)
        parsed.tally.derived_ids += len(parsed.anonymous)
        parsed.anonymous.clear()

    def _stage(
        self, parsed: Parsed, block: Block, moment: Moment, staged: journal.Staging, number: int
    ) -> list[tuple[str, str]]:
        """Write the files of a batch; the renames that publish them. Completes the tally."""
        name = SegmentName(number, received_text(moment.received), 0)
        renames: list[tuple[str, str]] = []
        for day in sorted(parsed.days):
            rows = parsed.days[day]
            known = ids.entries(rows.ids)
            keep = self._keep(day, known, rows, block, parsed)
            count = int(keep.sum())
            if not count:
                continue
            parsed.tally.stored += count
            parsed.tally.partitions[day] += count
            fresh = ids.arranged(ids.Ids(*(column[keep] for column in known)))
            if self._dry_run or self._atomic is not None:
                self._run_ids.setdefault(day, []).append(fresh)
            if not self._dry_run:
                lines = rows.lines if count == len(keep) else _kept(rows, keep)
                renames += _write(staged, day, name, lines, fresh)
        return renames + self._quarantine(parsed, moment, staged, name)

    def _keep(
        self, day: str, known: ids.Ids, rows: Day, block: Block, parsed: Parsed
    ) -> NDArray[np.bool_]:
        """Which lines of a day are new; repeats are counted, conflicts rejected."""
        same, other = ids.repeats(known)
        if self._dedupe:
            for stored_ids in [*self._index.known(date.fromisoformat(day)), *self._run_ids.get(day, ())]:
                again, differs = ids.stored_already(known, stored_ids)
                same |= again
                other |= differs
        other &= ~same
        parsed.tally.duplicates += int(same.sum())
        for row in other.nonzero()[0].tolist():
            _conflict(parsed, rows, row, block, day)
        return ~(same | other)

    def _quarantine(
        self, parsed: Parsed, moment: Moment, staged: journal.Staging, name: SegmentName
    ) -> list[tuple[str, str]]:
        """Stage the rejects that are not in quarantine yet: a rerun over the same bad line adds nothing."""
        if not parsed.rejects or self._dry_run:
            return []
        keys = ids.entries(b"".join(reject.key + bytes(8) for reject in parsed.rejects))
        again, _ = ids.repeats(keys)
        for known in self._index.quarantined():
            there, _ = ids.stored_already(keys, known)
            again |= there
        fresh = [
            reject
            for reject, known in zip(parsed.rejects, again.tolist(), strict=True)
            if not known and reject.key not in self._run_rejects
        ]
        if not fresh:
            return []
        if self._atomic is not None:
            self._run_rejects.update(reject.key for reject in fresh)
        received = _received(moment)
        index = ids.arranged(ids.entries(b"".join(reject.key + bytes(8) for reject in fresh)))
        rejects, hashes = name.file(".rejects"), name.file(".ids")
        durable.write_new(staged.file(rejects), (reject.record(received) for reject in fresh))
        durable.write_new(staged.file(f"q{hashes}"), ids.chunks(index))
        return [(rejects, f"quarantine/{rejects}"), (f"q{hashes}", f"quarantine/{hashes}")]


@dataclass(slots=True)
class _Whole:
    """What an all-or-nothing run has staged so far."""

    staged: journal.Staging
    base: int
    batches: int = 0
    renames: list[tuple[str, str]] = field(default_factory=list)


def _received(moment: Moment) -> str:
    """When the batch was received, as text."""
    return canonical(moment.received.replace(tzinfo=UTC))


def _write(
    staged: journal.Staging, day: str, name: SegmentName, lines: bytes | bytearray, fresh: ids.Ids
) -> list[tuple[str, str]]:
    segment, index = f"{day}-{name.file('.lines')}", f"{day}-{name.file('.ids')}"
    durable.write_new(staged.file(segment), [lines])
    durable.write_new(staged.file(index), ids.chunks(fresh))
    return [
        (index, f"ids/{day}/{name.file('.ids')}"),
        (segment, f"events/date={day}/{name.file('.ndjson')}"),
    ]


def _kept(rows: Day, keep: NDArray[np.bool_]) -> bytes:
    lines = bytes(rows.lines).split(b"\n")[:-1]
    return b"".join(line + b"\n" for line, wanted in zip(lines, keep.tolist(), strict=True) if wanted)


def _conflict(parsed: Parsed, rows: Day, row: int, block: Block, day: str) -> None:
    """Reject a line whose id is stored with other content."""
    origin = rows.origins[row]
    if origin >= 0:
        raw = block.data[origin : block.data.index(b"\n", origin)]
        piece = next(piece for piece in block.pieces if piece.start <= origin < piece.stop)
        line = piece.line + block.data.count(b"\n", piece.start, origin)
        source, offset = piece.source, piece.offset + origin - piece.start
    else:
        told = bytes(rows.lines).split(b"\n")[row]
        raw = told[: told.rindex(_AT)] + b"}"
        source, line, offset = block.pieces[0].source, block.pieces[0].line, block.pieces[0].offset
    problem = Problem("id_conflict", "event_id", "the content stored first under this id", "other content")
    parsed.rejects.append(Reject(source, line, offset, (problem,), raw, day=day))
    parsed.tally.rejected += 1
    parsed.tally.reasons["id_conflict"] += 1
