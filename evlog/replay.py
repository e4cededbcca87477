"""Replay and clearing: what the quarantine holds, in again once mended, or gone for good.

Replaying holds each kept line against the plan of today. What is accepted (or stored already) leaves the quarantine in
the commit that stores it; what is refused again stays, with the reason of today. `received_at` of the first attempt is
kept (metrics §13).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evlog.ingest.block import Block, Piece
from evlog.ingest.commit import Committer, Stale
from evlog.ingest.parse import Parser
from evlog.ingest.rules import Moment
from evlog.ingest.tally import Tally
from evlog.store import ids, journal, locks, quarantine, tombstones

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from evlog.ingest.commit import Also
    from evlog.ingest.parsed import Reject
    from evlog.ingest.rules import Rules
    from evlog.store.layout import Store
    from evlog.store.quarantine import File, Rejected


@dataclass(slots=True)
class Replayed:
    """What a replay did: the counts, and how many lines left the quarantine, stayed, or cannot be replayed."""

    tally: Tally = field(default_factory=Tally)
    left: int = 0
    stayed: int = 0
    unreplayable: int = 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """What to replay, and by which rules."""

    store: Store
    rules: Rules
    now: datetime
    code: str | None
    dry_run: bool

    def wants(self, found: Rejected) -> bool:
        """Whether a line is asked for."""
        return self.code is None or found.code == self.code


def run(
    store: Store,
    rules: Rules,
    *,
    now: datetime,
    code: str | None = None,
    wait: float | None = 0.0,
    dry_run: bool = False,
) -> Replayed:
    """Try the lines in quarantine again; of one reason if `code` is given."""
    told, asked = Replayed(), _Asked(store, rules, now, code, dry_run)
    with locks.maintenance(store, "rejects replay", wait=wait):
        for file in quarantine.files(store):
            _file(asked, file, told)
    return told


def clear(store: Store, *, code: str | None = None, wait: float | None = 0.0) -> int:
    """Remove lines from quarantine for good; how many. Their hashes stay, so a rerun does not bring them back."""
    gone = 0
    with locks.maintenance(store, "rejects clear", wait=wait):
        for file in quarantine.files(store):
            held = list(file.read())
            kept = [found for found in held if code is not None and found.code != code]
            if len(kept) < len(held):
                gone += len(held) - len(kept)
                _rewrite(store, file, kept)
    return gone


def _file(asked: _Asked, file: File, told: Replayed) -> None:
    """Replay one file of rejects: one batch."""
    held = list(file.read())
    tried = [found for found in held if found.whole and asked.wants(found)]
    told.unreplayable += sum(1 for found in held if not found.whole and asked.wants(found))
    if not tried:
        return
    while True:
        try:
            told.tally.add(_again(asked, file, held, tried, told))
        except Stale:  # somebody was suppressed meanwhile
            continue
        return


def _again(asked: _Asked, file: File, held: list[Rejected], tried: list[Rejected], told: Replayed) -> Tally:
    """Offer the lines of a file once more, and take out of it what is stored; what that added."""
    moment = Moment.at(asked.now, asked.rules, tombstones.load(asked.store))
    moment = replace(moment, received=file.name.received_at)
    block = _block(tried)
    parsed = Parser(asked.rules, moment).parse(block)
    again, parsed.rejects = parsed.rejects, []
    committer = Committer(asked.store, dedupe=asked.rules.dedupe, dry_run=asked.dry_run)
    batch = committer.stage(parsed, block, moment)

    def leaving() -> Also:
        news = {reject.source: reject for reject in [*again, *parsed.rejects]}
        stay = _staying(held, tried, news)
        told.stayed += len(news)
        told.left += len(held) - len(stay)
        if stay == [quarantine.record(found.body) for found in held]:
            return [], []
        return _replacement(file, stay, [reject.key for reject in news.values()])

    return committer.commit(batch, also=leaving)


def _block(tried: list[Rejected]) -> Block:
    """The kept lines as a block; each is a piece of its own and goes by its id, as it comes from a place of its own."""
    data = bytearray()
    pieces = []
    inputs = {name: number for number, name in enumerate(dict.fromkeys(found.body["source"] for found in tried))}
    for found in tried:
        start = len(data)
        data += found.raw + b"\n"
        line, offset, torn = int(found.body["line"]), int(found.body["offset"]), found.code == "truncated"
        pieces.append(Piece(found.id, line, offset, start, len(data), torn, inputs[found.body["source"]]))
    return Block(bytes(data), len(data), pieces)


def _staying(held: list[Rejected], tried: list[Rejected], news: dict[str, Reject]) -> list[bytes]:
    """The records of what stays: what was not tried as it was, what was refused again with its new reason."""
    asked = {found.id for found in tried}
    lines = []
    for found in held:
        if found.id not in asked:
            lines.append(quarantine.record(found.body))
        elif (reject := news.get(found.id)) is not None:
            told = replace(reject, source=str(found.body["source"]))
            lines.append(told.record(str(found.body["received_at"])))
    return lines


def _replacement(file: File, stay: list[bytes], keys: Iterable[bytes] = ()) -> Also:
    """The commit's share that replaces a file of rejects. A line that is redacted now has another of the `keys`."""
    target = f"quarantine/{file.path.name}"
    if not stay:
        return [], [target]
    index = file.path.with_suffix(".ids")
    known, now = ids.load(index), ids.arranged(ids.entries(b"".join(key + bytes(8) for key in keys)))
    again, _ = ids.stored_already(now, known)
    writes = [(target, b"".join(stay))]
    if not again.all():
        writes.append((f"quarantine/{index.name}", b"".join(ids.chunks(ids.merged([known, now])))))
    return writes, []


def _rewrite(store: Store, file: File, kept: list[Rejected]) -> None:
    writes, unlinks = _replacement(file, [quarantine.record(found.body) for found in kept])
    with journal.staging(store) as staged:
        for _, content in writes:
            staged.write("rejects", [content])
        staged.sync()
        with locks.commit(store):
            journal.recover(store)
            journal.commit(staged, "rejects clear", [("rejects", target) for target, _ in writes], unlinks=unlinks)
