"""What an erasure makes of all that is known of persons beside their events: links, first instants, counts, plans."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from evlog.person import counted, pending
from evlog.person.retold import Share
from evlog.store import durable, firsts, linked, links, rollups
from evlog.store.layout import FIRSTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from evlog.person.mention import Mentions
    from evlog.person.rewrite import Rewrite
    from evlog.store.firsts import Firsts
    from evlog.store.links import Said

_DAYS = """
SELECT   DISTINCT date
FROM     events
WHERE    coalesce(user_id, anonymous_id) IN (SELECT unnest(CAST($ids AS VARCHAR[])))
ORDER BY date
"""


def cleared(work: Rewrite) -> None:
    """Take the persons out of everything that is no event; the caller holds the commit lock, or only wants to know."""
    unsaid(work)
    forgotten(work)
    unlinked(work)
    uncounted(work)
    unawaited(work)


def unsaid(work: Rewrite) -> None:
    """Take out every line of `links/` that speaks of a person, or tell it by pseudonyms."""
    for file in links.files(work.store):
        lines = file.read()
        texts = ([line.source, line.target or "", line.by] for line in lines)
        near = work.going.crowd.near_texts(texts)
        told = [_told(work, line, whom) for line, whom in zip(lines, near, strict=True)]
        kept = [line for line in told if line is not None]
        if kept != lines:
            users = [user for line, whom in zip(lines, near, strict=True) for user in _named(line, whom)]
            what = "renamed" if work.going.anonymise else "removed"
            count = sum(line != was for line, was in zip(told, lines, strict=True))
            counts = {what: count, "shares": work.shares(users, what)}
            work.replace(file.path, file.target, b"".join(line.line() for line in kept), **counts)


def _told(work: Rewrite, line: Said, whom: Mentions) -> Said | None:
    if not whom.each:
        return line
    by = work.going.plain(whom).without(line.by)
    if not _named(line, whom):
        return replace(line, by=by)
    if not work.going.anonymise:
        return None
    target = None if line.target is None else whom.unnamed(line.target)
    return replace(line, source=whom.unnamed(line.source), target=target, by=by)


def _named(line: Said, whom: Mentions) -> list[str]:
    ends = [one for one in (line.source, line.target) if one is not None]
    return [one.user for one in whom.each if any(map(one.named, ends))]


def forgotten(work: Rewrite) -> None:
    """Take the persons out of the first-seen memory, or keep it under their pseudonyms."""
    memory = firsts.held(work.store)
    hashes = _hashes(work)
    theirs = _theirs(memory, hashes)
    if not theirs.any():
        return
    kept, gone = replace(memory, entries=memory.entries[~theirs]), memory.entries[theirs]
    moved = [_moved(gone, hashes)] if work.going.anonymise else []
    told = firsts.merged(kept, memory.since, moved, before=memory.before)
    held = {_hash(entry) for entry in gone}
    what = "renamed" if work.going.anonymise else "removed"
    users = [user for user, subject in _subjects(work).items() if subject in held]
    counts: dict[str, Any] = {what: len(gone), "shares": work.shares(users, what)}
    work.replace(work.store.root / FIRSTS, FIRSTS, firsts.content(told), **counts)


def _subjects(work: Rewrite) -> dict[str, str]:
    subject = work.tombstones.subject
    return {user: subject(user) for user in (work.going.pseudonyms or work.going.owners)}


def _hashes(work: Rewrite) -> dict[str, str]:
    """The keyed hash of each id that goes, and that of its pseudonym (empty: it has none)."""
    subject, names = work.tombstones.subject, work.going.pseudonyms
    return {hashed: subject(names[user]) if user in names else "" for user, hashed in _subjects(work).items()}


def _theirs(memory: Firsts, hashes: Iterable[str]) -> NDArray[np.bool_]:
    """Which entries of the memory are about one of these keyed hashes."""
    lows: dict[int, set[int]] = {}
    for one in hashes:
        lows.setdefault(int(one[:16], 16), set()).add(int(one[16:], 16))
    found = np.isin(memory.entries["high"].astype(np.uint64), np.array(sorted(lows), np.uint64))
    for place in np.flatnonzero(found):
        found[place] = int(memory.entries["low"][place]) in lows[int(memory.entries["high"][place])]
    return found


def _moved(entries: NDArray[np.void], hashes: Mapping[str, str]) -> NDArray[np.void]:
    told = entries.copy()
    for place in range(len(told)):
        one = hashes[_hash(told[place])]
        if one:
            told["high"][place], told["low"][place] = int(one[:16], 16), int(one[16:], 16)
    return told


def _hash(entry: Any) -> str:
    return f"{int(entry['high']):016x}{int(entry['low']):016x}"


def unlinked(work: Rewrite) -> None:
    """Take the persons out of what rollups remember of links, or keep it under their pseudonyms."""
    hashes = _hashes(work)
    if not work.going.anonymise:
        content = linked.without(work.store, hashes)
    else:
        known, new = linked.load(work.store), {bytes.fromhex(old): bytes.fromhex(one) for old, one in hashes.items()}
        told = frozenset(_renamed(entry, new) for entry in known.entries)
        content = None if told == known.entries else linked.content(replace(known, entries=told))
    if content is not None:
        work.put(linked.LINKED, content)


def _renamed(entry: bytes, new: Mapping[bytes, bytes]) -> bytes:
    """An entry with pseudonyms' hashes in place of those that go."""
    kind, pair = entry[:1], (entry[1:17], entry[17:33])
    return kind + b"".join(new.get(one, one) for one in pair)


def uncounted(work: Rewrite) -> None:
    """Take the persons out of the values that rollups count by; numbers stay as they are."""
    for target, path in rollups.files(work.store).items():
        raw = durable.read(path)
        if not work.going.crowd.lines(raw):
            continue
        content, users = counted.without(path, work.going)
        if users:
            shares: dict[int, Share] = {}
            for user in users:
                shares.setdefault(work.going.number(user), Share()).mentions += 1
            work.replace(path, target, content, tier="rollups", mentions=len(users), shares=shares)


def unawaited(work: Rewrite) -> None:
    """Take the persons out of the erasures that wait: they need not wait any more."""
    waiting = pending.pending(work.store)
    kept = [one for one in waiting if one.user not in work.going.owners]
    if kept != waiting:
        users = [one.user for one in waiting if one.user in work.going.owners]
        path, content = work.store.root / pending.FILE, pending.content(kept)
        counts: dict[str, Any] = {"removed": len(users), "shares": work.shares(users, "removed")}
        work.replace(path, pending.FILE, content, tier="pending", telling=False, **counts)


def told_days(work: Rewrite, shared: Sequence[str]) -> None:
    """Mark the days of events whose id means nobody from now on."""
    from evlog import engine
    from evlog.query import view
    from evlog.store import snapshot

    if not shared:
        return
    seen = snapshot.snapshot(work.store)
    with engine.connect() as connection:
        view.offer(connection, seen.hot, seen.cold)
        work.days |= {day for (day,) in connection.rows(_DAYS, {"ids": list(shared)})}
