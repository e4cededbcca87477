"""Replay and clearing: what the quarantine holds, in again once mended, or gone for good.

Replaying holds each kept line against the plan of today. What is accepted (or stored already) leaves the quarantine in
the commit that stores it; what is refused again stays, with the reason of today. `received_at` of the first attempt is
kept (metrics §13).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evlog.ingest.block import Block, Piece
from evlog.ingest.commit import Committer
from evlog.ingest.parse import Parser
from evlog.ingest.rules import Moment
from evlog.ingest.tally import Tally
from evlog.store import journal, locks, quarantine, tombstones

if TYPE_CHECKING:
    from datetime import datetime

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


def run(
    store: Store, rules: Rules, *, now: datetime, code: str | None = None, wait: float | None = 0.0, dry_run: bool = False
) -> Replayed:
    """Try the lines in quarantine again; of one reason if `code` is given."""
    told = Replayed()
    with locks.maintenance(store, "rejects replay", wait=wait):
        for file in quarantine.files(store):
            _file(store, rules, file, now, code, told, dry_run=dry_run)
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


def _file(
    store: Store, rules: Rules, file: File, now: datetime, code: str | None, told: Replayed, *, dry_run: bool
) -> None:
    """Replay one file of rejects: one batch."""
    held = list(file.read())
    tried = [found for found in held if found.whole and (code is None or found.code == code)]
    told.unreplayable += sum(1 for found in held if not found.whole and (code is None or found.code == code))
    if not tried:
        return
    moment = Moment.at(now, rules, tombstones.load(store))
    moment = replace(moment, received=file.name.received_at)
    block = _block(tried)
    parsed = Parser(rules, moment).parse(block)
    again, parsed.rejects = parsed.rejects, []
    committer = Committer(store, dedupe=rules.dedupe, dry_run=dry_run)
    batch = committer.stage(parsed, block, moment)

    def leaving() -> tuple[list[tuple[str, bytes]], list[str]]:
        stay = _staying(held, tried, [*again, *parsed.rejects])
        told.stayed += len(stay) - (len(held) - len(tried))
        told.left += len(held) - len(stay)
        return _replacement(file, stay) if len(stay) < len(held) or again else ([], [])

    told.tally.add(committer.commit(batch, also=leaving))


def _block(tried: list[Rejected]) -> Block:
    """The kept lines as a block; each is a piece of its own, since each comes from a place of its own."""
    data = bytearray()
    pieces = []
    for found in tried:
        start = len(data)
        data += found.raw + b"\n"
        body = found.body
        pieces.append(Piece(str(body["source"]), int(body["line"]), int(body["offset"]), start, len(data), torn=False))
    return Block(bytes(data), len(data), pieces)


def _staying(held: list[Rejected], tried: list[Rejected], again: list[Reject]) -> list[bytes]:
    """The records of what stays: what was not tried as it was, what was refused again with its new reason."""
    asked = {found.id for found in tried}
    news = {reject.key.hex(): reject for reject in again}
    lines = []
    for found in held:
        if found.id not in asked:
            lines.append(quarantine.record(found.body))
        elif (reject := news.get(found.id)) is not None:
            lines.append(reject.record(str(found.body["received_at"])))
    return lines


def _replacement(file: File, stay: list[bytes]) -> tuple[list[tuple[str, bytes]], list[str]]:
    """The commit's share that replaces a file of rejects: (target, content), and what to unlink."""
    target = f"quarantine/{file.path.name}"
    return ([(target, b"".join(stay))], []) if stay else ([], [target])


def _rewrite(store: Store, file: File, kept: list[Rejected]) -> None:
    writes, unlinks = _replacement(file, [quarantine.record(found.body) for found in kept])
    with journal.staging(store) as staged:
        for target, content in writes:
            staged.write("rejects", [content])
        with locks.commit(store):
            journal.recover(store)
            journal.commit(staged, "rejects clear", [("rejects", target) for target, _ in writes], unlinks=unlinks)
