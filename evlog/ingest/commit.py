"""From a parsed block to a durable batch: dedupe against the batch and the store, stage, commit.

The work is cut in two. `stage` writes and syncs the files of a batch before its turn comes, on the guess that no ingest
brings the same events at the same moment. `commit` then looks the ids up and commits under one lock, so that two
ingests never store one event twice, and writes again only what the guess got wrong (docs/design.md).
"""

from __future__ import annotations

import contextlib
from array import array
from bisect import bisect_right
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date
from io import BytesIO
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

from evlog.event.consent import UPDATE
from evlog.event.record import derived_id, entry, stored
from evlog.event.reject import Problem
from evlog.event.times import canonical
from evlog.ingest.contents import Contents
from evlog.ingest.ledger import SILENCE, Heard
from evlog.ingest.parsed import Day, Reject
from evlog.store import audit, ids, journal, locks, tombstones
from evlog.store.layout import SegmentName, received_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from numpy.typing import NDArray

    from evlog.ingest.block import Block
    from evlog.ingest.parsed import Parsed
    from evlog.ingest.rules import Moment
    from evlog.ingest.tally import Tally
    from evlog.store.layout import Store

    Mask = NDArray[np.bool_]
    Also = tuple[list[tuple[str, bytes]], list[str]]  # (target, content) to put in place, and what to unlink

_EMPTY_ID, _AT = b'"event_id":""', b',"seq":'


class Stale(Exception):
    """Users were erased or suppressed, or days purged, since the block was parsed."""


@dataclass(slots=True)
class _Day:
    """One partition's share of a batch: its rows, which of them are new, and whether those stand in a staged file.

    What is known of them is known in the order of their ids, in which they are looked up and stored.
    """

    rows: Day
    order: NDArray[np.intp]  # the rows by their ids
    ids: ids.Ids
    same: Mask
    other: Mask
    staged: str | None = None

    @property
    def keep(self) -> Mask:
        """Which are new."""
        return ~(self.same | self.other)

    @property
    def conflicts(self) -> list[int]:
        """The rows whose id stands for other content, as they came."""
        found: list[int] = np.sort(self.order[self.other]).tolist()
        return found


@dataclass(slots=True)
class Batch:
    """A parsed block on its way to being committed."""

    parsed: Parsed
    block: Block
    moment: Moment
    held: ExitStack
    staging: journal.Staging
    before: Heard = SILENCE  # what the run had heard of consent when it was parsed
    days: dict[str, _Day] = field(default_factory=dict)
    named: bool = False  # its events without an id were given one


class Committer:
    """Commits the parsed blocks of one run, in order."""

    def __init__(self, store: Store, *, dedupe: bool = True, dry_run: bool = False) -> None:
        self.store = store
        self.contents = Contents()
        self.heard = SILENCE  # what this run has heard of consent in the batches it committed
        self._dedupe = dedupe
        self._dry_run = dry_run
        self._index = ids.Index(store)
        self._whole: _Whole | None = None
        self._repeating = False  # most of the last batch was stored already: look before writing
        self._tried: dict[str, list[ids.Ids]] = {}  # ids of this run that are not in the store, or not yet
        self._quarantined: list[ids.Ids] = []

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Publish what is committed inside only at the end, and nothing of it if the body raises."""
        with ExitStack() as held:
            held.enter_context(locks.commit(self.store))
            journal.recover(self.store)
            self._whole = whole = _Whole(held.enter_context(journal.staging(self.store)), journal.newest(self.store))
            yield
            if whole.received is not None:
                whole.renames += self._consent(whole.staging, whole.received)
            if whole.renames:
                journal.commit(whole.staging, "ingest", whole.renames, batches=whole.batches)

    def stage(self, parsed: Parsed, block: Block, moment: Moment) -> Batch:
        """Write what seems to be new, durable but not visible. Events without an id wait for their turn."""
        with ExitStack() as held:
            staging = self._whole.staging if self._whole else held.enter_context(journal.staging(self.store))
            batch = Batch(parsed, block, moment, ExitStack(), staging, before=self.heard)
            nameless = {day for day, *_ in parsed.anonymous}
            for day in sorted(parsed.days.keys() - nameless):
                batch.days[day] = self._day(batch, day)
            staging.sync()
            batch.held = held.pop_all()  # from here on the batch lets go of its staging
        return batch

    def commit(self, batch: Batch, *, also: Callable[[], Also] | None = None) -> Tally:
        """Make a staged batch durable and visible; what it added. Raises Stale when it must be parsed again first.

        `also`, asked once the batch is settled, tells what else the same commit puts in place and removes.
        """
        with batch.held:
            self._name_the_nameless(batch)
            if self._whole is not None:
                self._whole.batches += 1
                self._whole.renames += self._settle(batch, self._whole.base + self._whole.batches)
                self._whole.received = batch.moment.received
                self.heard = batch.parsed.heard
            else:
                with locks.commit(self.store):
                    journal.recover(self.store)
                    if tombstones.current(self.store) != batch.moment.tombstones.stamp:
                        if batch.named:
                            self.contents.forget()
                        raise Stale
                    renames = self._settle(batch, journal.newest(self.store) + 1)
                    self.heard = batch.parsed.heard
                    renames += self._consent(batch.staging, batch.moment.received)
                    writes, unlinks = also() if also is not None else ([], [])
                    if self._dry_run:
                        writes, unlinks = [], []
                    for target, content in writes:
                        staged = f"{batch.staging.serial()}-also"
                        batch.staging.write(staged, [content])
                        renames.append((staged, target))
                    if renames or unlinks:
                        journal.commit(batch.staging, "ingest", renames, unlinks=unlinks)
        tally = batch.parsed.tally
        tally.batches += 1
        self._repeating = tally.duplicates > tally.stored
        return tally

    def _day(self, batch: Batch, day: str) -> _Day:
        """A partition's share of a batch, its new rows written."""
        rows = _in_order(batch.parsed.days[day])
        came = ids.entries(rows.ids)
        order = ids.order(came)
        known = ids.chosen(came, order)
        found = _Day(rows, order, known, *ids.repeated(known))
        if self._repeating:  # else a look under the lock is enough
            with contextlib.suppress(FileNotFoundError):  # compacted under our eyes
                self._look_up(day, found)
        self._write(batch, day, found)
        return found

    def _look_up(self, day: str, found: _Day) -> bool:
        """Mark the rows that the store (or this run) has already; whether there were any more than were known."""
        before = int(found.keep.sum())
        if self._dedupe and before:
            seen = [*self._index.known(date.fromisoformat(day)), *self._tried.get(day, ())]
            again, differs = found.same & False, found.same & False
            for known in seen:
                same, other = ids.stored_already(found.ids, known)
                again |= same
                differs |= other
            differs &= ~again
            found.same = (found.same & ~differs) | again  # what repeats a conflict is one
            found.other = (found.other & ~again) | differs
        return int(found.keep.sum()) < before

    def _write(self, batch: Batch, day: str, found: _Day) -> None:
        """Stage the new rows of a day."""
        keep = found.keep
        if self._dry_run or not keep.any():
            found.staged = None
            return
        found.staged = name = f"{batch.staging.serial()}-{day}"
        batch.staging.write(f"{name}.lines", [found.rows.lines if keep.all() else _kept(found, keep)])
        batch.staging.write(f"{name}.ids", ids.chunks(ids.chosen(found.ids, keep)))

    def _name_the_nameless(self, batch: Batch) -> None:
        """Give an id to each event that has none; its day is staged only now."""
        parsed = batch.parsed
        if not parsed.anonymous:
            return
        ordinals = self.contents.ordinals(_by_input(batch))
        batch.named = True
        for (day, ordinal, content, origin), before in zip(parsed.anonymous, ordinals, strict=True):
            name = derived_id(content, before)
            named = content.replace(_EMPTY_ID, b'"event_id":"%b"' % name.encode(), 1)
            parsed.day(day).add(stored(named, ordinal), entry(name, named), origin)
        for day in sorted({day for day, *_ in parsed.anonymous}):
            batch.days[day] = self._day(batch, day)
        batch.staging.sync()  # before the lock: others wait for whoever holds it
        parsed.tally.derived_ids += len(parsed.anonymous)
        parsed.anonymous.clear()

    def _settle(self, batch: Batch, number: int) -> list[tuple[str, str]]:
        """Look the ids up once more, now that nobody else commits; the renames that publish the batch."""
        name = SegmentName(number, received_text(batch.moment.received), 0)
        tally, renames = batch.parsed.tally, []
        for day, found in batch.days.items():
            if self._look_up(day, found):
                self._write(batch, day, found)
            _count(batch, day, found)
            if found.staged is not None:
                renames.append((f"{found.staged}.ids", f"ids/{day}/{name.file('.ids')}"))
                renames.append((f"{found.staged}.lines", f"events/date={day}/{name.file('.ndjson')}"))
            if self._dry_run or self._whole is not None:
                self._tried.setdefault(day, []).append(ids.chosen(found.ids, found.keep))
        tally.partitions.update({day: count for day, found in batch.days.items() if (count := int(found.keep.sum()))})
        return renames + self._quarantine(batch, name)

    def _consent(self, staging: journal.Staging, received: datetime) -> list[tuple[str, str]]:
        """Stage who is suppressed from now on and who no longer is, where the run has heard of any change.

        The caller holds the commit lock, so that what the store knows is what it will be added to.
        """
        if self._dry_run or not self.heard.said.words:
            return []
        stored = tombstones.load(self.store).suppressed
        now = stored.merged(self.heard.said)
        if now == stored:
            return []
        staged = f"{staging.serial()}-suppressed"
        staging.write(staged, [tombstones.suppressed_file(now)])
        changed = sorted(one for one in now.words if now.words[one] != stored.words.get(one))
        refused = sum(any(word.refused for word in now.words[one].values()) for one in changed)
        counts = {"refused": refused, "granted": len(changed) - refused}
        act = audit.Act(UPDATE, received, "ingest", tuple(changed), counts)
        return [(staged, f"tombstones/{tombstones.SUPPRESSED}"), audit.entry(staging, act)]

    def _quarantine(self, batch: Batch, name: SegmentName) -> list[tuple[str, str]]:
        """Stage the rejects that are not in quarantine yet: a rerun over the same bad line adds nothing."""
        rejects = batch.parsed.rejects
        if not rejects or self._dry_run:
            return []
        keys = ids.entries(b"".join(reject.key + bytes(8) for reject in rejects))
        again, _ = ids.repeats(keys)
        for known in [*self._index.quarantined(), *self._quarantined]:
            again |= ids.stored_already(keys, known)[0]
        if again.all():
            return []
        fresh = ids.arranged(ids.chosen(keys, ~again))
        if self._whole is not None:
            self._quarantined.append(fresh)
        received = canonical(batch.moment.received.replace(tzinfo=UTC))
        staged = f"{batch.staging.serial()}-quarantine"
        records = (reject.record(received) for reject, known in zip(rejects, again.tolist(), strict=True) if not known)
        batch.staging.write(f"{staged}.rejects", records)
        batch.staging.write(f"{staged}.ids", ids.chunks(fresh))
        return [(staged + end, f"quarantine/{name.file(end)}") for end in (".ids", ".rejects")]


@dataclass(slots=True)
class _Whole:
    """What an all-or-nothing run has staged so far."""

    staging: journal.Staging
    base: int
    batches: int = 0
    renames: list[tuple[str, str]] = field(default_factory=list)
    received: datetime | None = None  # when its last batch was


def _by_input(batch: Batch) -> list[bytes]:
    """What is counted to tell equal events without an id apart: each input counts its own."""
    pieces = batch.block.pieces
    starts = [piece.start for piece in pieces]
    places = (max(origin, ~origin) for *_, origin in batch.parsed.anonymous)
    inputs = (pieces[bisect_right(starts, place) - 1].input for place in places)
    contents = (content for _, _, content, _ in batch.parsed.anonymous)
    return [b"%d:%b" % (number, content) for content, number in zip(contents, inputs, strict=True)]


def _in_order(rows: Day) -> Day:
    """The rows as they arrived (what the fast lane took stands before what it left): the first of an id is the one."""
    origins = np.array(rows.origins, np.int64)
    places = np.maximum(origins, ~origins)
    if (places[1:] >= places[:-1]).all():
        return rows
    order = np.argsort(places, kind="stable")
    lines = BytesIO(rows.lines).readlines()
    packed = np.frombuffer(bytes(rows.ids), np.uint8).reshape(-1, ids.ENTRY)[order].tobytes()
    chosen = bytearray(b"".join([lines[row] for row in order.tolist()]))
    return Day(chosen, bytearray(packed), array("q", origins[order].tobytes()))


def _count(batch: Batch, day: str, found: _Day) -> None:
    """Count the rows of a day; those whose id is stored with other content become rejects."""
    tally = batch.parsed.tally
    tally.stored += int(found.keep.sum())
    tally.duplicates += int(found.same.sum())
    for row in found.conflicts:
        batch.parsed.rejects.append(_conflict(batch.block, found.rows, row, day))
        tally.rejected += 1
        tally.reasons["id_conflict"] += 1


def _conflict(block: Block, rows: Day, row: int, day: str) -> Reject:
    """The reject of a line whose id is stored with other content."""
    problem = Problem("id_conflict", "event_id", "the content stored first under this id", "other content")
    origin = rows.origins[row]
    if origin < 0:  # out of an envelope: its canonical line stands for it
        origin = ~origin
        told = bytes(rows.lines).split(b"\n")[row]
        raw = told[: told.rindex(_AT)] + b"}"
    else:
        raw = bytes(block.data[origin : block.data.find(b"\n", origin)]).rstrip(b"\r")
    piece = next(piece for piece in block.pieces if piece.start <= origin < piece.stop)
    line = piece.line + block.data[piece.start : origin].count(b"\n")
    return Reject(piece.source, line, piece.offset + origin - piece.start, (problem,), raw, day=day)


def _kept(found: _Day, keep: Mask) -> bytes:
    """The lines of those that are kept, as they came."""
    told = BytesIO(found.rows.lines).readlines()
    return b"".join(compress(told, ids.unsorted(keep, found.order).tolist()))
