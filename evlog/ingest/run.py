"""One ingest, from names of sources to the summary."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evlog.errors import EvlogError
from evlog.ingest.block import blocks
from evlog.ingest.commit import Committer, Stale
from evlog.ingest.parse import Parser
from evlog.ingest.rules import Moment
from evlog.ingest.source import STDIN, is_csv
from evlog.ingest.tally import Tally
from evlog.store import tombstones
from evlog.store.suppressed import Suppressed, grouped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from evlog.ingest.block import Block, Buffer
    from evlog.ingest.commit import Batch
    from evlog.ingest.rules import Rules
    from evlog.ingest.source import Source, Stream
    from evlog.store.layout import Store
    from evlog.store.tombstones import Tombstones

    Kin = Callable[[Store, Sequence[str], Tombstones], Suppressed]

_WORTH_FORKING = 8 << 20  # bytes of input from which two processes beat one


class TooManyRejects(EvlogError):
    """More lines were refused than `--max-rejects` tolerates; nothing of the run was published."""

    hint = "look at them with: evlog ingest --dry-run; nothing of this run was stored"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How many rejects a run may have: a number, or a share of what was read."""

    count: int | None = None
    share: float | None = None

    def exceeded(self, tally: Tally) -> bool:
        """Whether `tally` has more rejects than that."""
        limit = self.count if self.count is not None else (self.share or 0.0) * tally.read
        return tally.rejected > limit


@dataclass(frozen=True, slots=True)
class Options:
    """How to run an ingest, beside what the rules say of its lines."""

    flush_interval: float = 5.0
    tolerance: Tolerance | None = None
    dry_run: bool = False
    workers: int | None = None  # None: two where it is worth it
    input_format: str | None = None  # ndjson, csv; None: by name


@dataclass(slots=True)
class Outcome:
    """What a run did: the numbers, and the streams that broke off (source, what happened)."""

    tally: Tally = field(default_factory=Tally)
    broken: list[tuple[str, str]] = field(default_factory=list)
    interrupted: bool = False


def run(
    store: Store,
    found: list[Source],
    rules: Rules,
    *,
    clock: Callable[[], datetime],
    options: Options | None = None,
    seen: Callable[[int], None] = lambda count: None,
    stored: Callable[[Tally], None] = lambda tally: None,
    kin: Kin = lambda store, named, known: Suppressed(),
) -> Outcome:
    """Ingest `found` into `store`.

    `clock` tells when a batch is received (naive UTC); `seen` and `stored` hear of progress. `kin` tells which other
    ids are theirs, of users who refuse consent: by what is stored.

    Each batch is durable when `stored` hears of it. An interrupt ends the reading: what was read is stored first.
    """
    asked = options or Options()
    outcome = Outcome()
    committer = Committer(store, dedupe=rules.dedupe, dry_run=asked.dry_run)
    work = _Handling(store, rules, clock, committer, kin)

    def read(buffers: Iterator[Buffer] | None = None) -> Iterator[Block]:
        for block in _blocks(found, rules, asked, seen, buffers):
            outcome.broken.extend(block.broken)
            yield block

    with _tallies(read, work, found, asked) as tallies:
        try:
            for tally in tallies:
                outcome.tally.add(tally)
                stored(outcome.tally)
            if asked.tolerance is not None and asked.tolerance.exceeded(outcome.tally):
                told = outcome.tally
                raise TooManyRejects(f"{told.rejected} of {told.read} events were refused, more than tolerated")
        except KeyboardInterrupt:
            if asked.tolerance is not None:
                raise
            outcome.interrupted = True
    return outcome


class _Handling:
    """The two halves of handling a block; the first may run side by side with others, the second in order."""

    def __init__(
        self, store: Store, rules: Rules, clock: Callable[[], datetime], committer: Committer, kin: Kin
    ) -> None:
        self._store, self._rules, self._clock, self.committer = store, rules, clock, committer
        self._kin = kin
        self._parser: Parser | None = None
        self._moment: Moment | None = None

    def prepare(self, block: Block, whose: Suppressed | None = None) -> Batch:
        """Parse a block by the rules of this moment, and stage what it brings; `whose` tells which ids are one."""
        known = self._moment.tombstones if self._moment is not None else None
        if known is None or known.stamp != tombstones.current(self._store):
            known = tombstones.load(self._store)
        heard = self.committer.heard if whose is None else self.committer.heard.knowing(whose)
        self._moment = moment = Moment.at(self._clock(), self._rules, known, heard)
        self._parser = Parser(self._rules, moment) if self._parser is None else self._parser.at(moment)
        return self.committer.stage(self._parser.parse(block), block, moment)

    def finish(self, batch: Batch) -> Tally:
        """Commit a batch; parse it again first if somebody was erased, suppressed or heard of consent meanwhile."""
        settled = False
        while True:
            if batch.before != self.committer.heard:
                batch = self._again(batch)
            if batch.parsed.refusals and not settled:
                batch, settled = self._with_kin(batch), True
            try:
                return self.committer.commit(batch)
            except Stale:
                batch, settled = self.prepare(batch.block), False

    def _again(self, batch: Batch, whose: Suppressed | None = None) -> Batch:
        batch.held.close()
        return self.prepare(batch.block, whose)

    def _with_kin(self, batch: Batch) -> Batch:
        """The same batch without the events of other ids of those who refuse in it, by what is stored and by itself."""
        named, known = batch.parsed.refusals, batch.moment.tombstones
        devices = ((known.subject(device), known.subject(user)) for user, device in batch.parsed.pairs(named))
        found = self._kin(self._store, named, known).merged(Suppressed(shared=grouped(devices)))
        return self._again(batch, found) if found.kin or found.shared else batch


def _blocks(
    found: list[Source], rules: Rules, asked: Options, seen: Callable[[int], None], buffers: Iterator[Buffer] | None
) -> Iterator[Block]:
    done = 0

    def progress(position: int) -> None:
        seen(done + position)

    numbered = [replace(source, number=number) for number, source in enumerate(found)]
    for group in _alike(numbered, asked.input_format):
        as_csv = _csv_lines if is_csv(group[0], asked.input_format) else None
        yield from blocks(
            group, max_line=rules.max_line, flush_interval=asked.flush_interval, seen=progress, lines_of=as_csv,
            buffers=buffers,
        )  # fmt: skip
        done += sum(source.size() or 0 for source in group)


def _csv_lines(stream: Stream) -> Iterator[bytes]:
    from evlog.ingest import csv_lines

    return csv_lines.lines(stream)


def _alike(found: list[Source], input_format: str | None) -> Iterator[list[Source]]:
    """Runs of sources of one format; together they fill blocks."""
    group: list[Source] = []
    for source in found:
        if group and is_csv(source, input_format) != is_csv(group[0], input_format):
            yield group
            group = []
        group.append(source)
    if group:
        yield group


@contextmanager
def _tallies(
    read: Callable[..., Iterable[Block]], work: _Handling, found: list[Source], asked: Options
) -> Iterator[Iterator[Tally]]:
    """The tallies of all blocks, worked on by one process or by three."""
    if asked.tolerance is not None and not asked.dry_run:
        with work.committer.all_or_nothing():
            yield (work.finish(work.prepare(block)) for block in read())
    elif asked.dry_run or not _worth_forking(found, asked):
        yield (work.finish(work.prepare(block)) for block in read())
    else:
        from evlog.ingest.pool import Pool, Work  # multiprocessing: 15 ms

        pool = Pool(Work(work.prepare, work.finish, work.committer))
        try:
            yield pool.run(read(pool.buffers()))
        finally:
            pool.close()


def _worth_forking(found: list[Source], asked: Options) -> bool:
    if asked.workers is not None:
        return asked.workers > 1
    sizes = [source.size() for source in found]
    big = any(source.name == STDIN for source in found) or sum(size or 0 for size in sizes) >= _WORTH_FORKING
    return big and len(os.sched_getaffinity(0)) > 1
