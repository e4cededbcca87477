"""Which days count otherwise because ids came to mean another person since the rollups were made.

Links reach into the past: an event with both ids of today tells who an earlier one was. So the rollups keep who was
linked to whom, as keyed hashes; of ids where this differs now, the days on which they occur are marked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import orjson

from evlog.query import view
from evlog.query.identity import ALIASES
from evlog.rollup.asked import LINKS
from evlog.store import linked, rollups, tombstones
from evlog.store.layout import SEQ_BITS
from evlog.store.linked import ANONYMOUS, USER, Linked
from evlog.store.rollups import Touch

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date

    from evlog.rollup.count import Counter
    from evlog.store.tombstones import Tombstones

_CLAIMS = """
WITH events AS NOT MATERIALIZED ({events})
SELECT 1
FROM   events
WHERE  (user_id IS NOT NULL AND anonymous_id IS NOT NULL) OR list_contains($aliases, event_type)
LIMIT  1
"""
_NOBODYS = """
WITH events AS NOT MATERIALIZED ({events})
SELECT   DISTINCT date
FROM     events
WHERE    user_id IS NULL AND anonymous_id IS NOT NULL AND ts < $until
ORDER BY date
"""
_LINKED = "SELECT anonymous, id, person FROM linked ORDER BY anonymous, id"
_IDS = """
WITH events AS NOT MATERIALIZED ({events})
SELECT   DISTINCT user_id IS NULL, coalesce(user_id, anonymous_id)
FROM     events
WHERE    user_id IS NOT NULL OR anonymous_id IS NOT NULL
ORDER BY ALL
"""
_DAYS = """
WITH events AS NOT MATERIALIZED ({events}),
     changed AS (SELECT unnest($nobodys) AS anonymous, unnest($ids) AS id)
SELECT   DISTINCT CAST(ts AS DATE) AS day
FROM     events JOIN changed ON changed.anonymous = (user_id IS NULL)
                             AND changed.id = coalesce(user_id, anonymous_id)
ORDER BY day
"""


@dataclass(frozen=True, slots=True)
class Who:
    """The links as they stand now, whether that must be kept though nothing is counted, and the days to be marked."""

    known: Linked
    news: bool = False
    days: frozenset[date] = frozenset()

    def marked(self, changes: Mapping[date, Touch]) -> dict[date, Touch]:
        """The last change of every partition, with these days."""
        return {**changes, **dict.fromkeys(self.days, Touch(self.known.batch, LINKS))}


def looked(counter: Counter, changes: Mapping[date, Touch], *, any_made: bool) -> Who:
    """Who is who, against what the rollups were made of, where there are any.

    All is resolved only where something may have changed: people linked an id, a purge or an erasure took links along,
    or a partition that is new, or that time lets be seen now, has an event that says a link.
    """
    seen, until = counter.seen, counter.scope.window.until
    stones = tombstones.load(counter.store)
    known = linked.load(counter.store)
    nobodys = _nobodys(counter, known, changes)
    kept = Linked(seen.batch, until, stones.purged_before, known.entries, nobodys)
    if not _may_differ(counter, known, changes, purged_before=stones.purged_before):
        return Who(kept, news=known.nobodys is None)  # what an older evlog kept does not say it
    counter.identity.whole()
    now = {
        linked.entry(ANONYMOUS if nobody else USER, stones.subject(one), stones.subject(person)): (nobody, one)
        for nobody, one, person in counter.engine.rows(_LINKED)
    }
    entries = frozenset(now)
    kept = replace(kept, entries=entries)
    ids = {now[new] for new in entries - known.entries} | _gone(counter, known.entries - entries, entries, stones)
    days = frozenset(_days(counter, ids)) if ids and any_made else frozenset()
    if known.batch >= 0:
        days -= {day for day, touch in changes.items() if touch.batch > known.batch}  # counted again anyway
    return Who(kept, news=known.batch < seen.batch, days=days)


def _may_differ(counter: Counter, known: Linked, changes: Mapping[date, Touch], *, purged_before: date | None) -> bool:
    """Whether anything happened since that can make an id mean another person."""
    if known.until is None or known.purged_before != purged_before:
        return True
    if any(line.seq >> SEQ_BITS > known.batch for line in counter.said):
        return True
    if any(touch.batch > known.batch and touch.why != "events" for touch in changes.values()):
        return True
    days = _news(counter, known, changes)
    events, params = _of(counter, days)
    return bool(days) and bool(counter.engine.rows(_CLAIMS.format(events=events), {**params, "aliases": list(ALIASES)}))


def _news(counter: Counter, known: Linked, changes: Mapping[date, Touch]) -> set[date]:
    """The partitions that changed since, or of which time lets another part be seen now."""
    days = {day for day, touch in changes.items() if touch.batch > known.batch}
    until = counter.scope.window.until
    if known.until is not None and until != known.until:
        edge = min(until, known.until).date()
        days |= {day for day in changes if day >= edge}
    return days


def _nobodys(counter: Counter, known: Linked, changes: Mapping[date, Touch]) -> frozenset[date]:
    """The partitions with events of an anonymous id without a user; only what is new is looked at."""
    held = set(counter.seen.days)
    new = held if known.nobodys is None else held & _news(counter, known, changes)
    events, params = _of(counter, new)
    until = counter.scope.window.until
    found = counter.engine.rows(_NOBODYS.format(events=events), {**params, "until": until}) if new else []
    return frozenset((known.nobodys or frozenset()) & (held - new)) | {day for (day,) in found}


def _of(counter: Counter, days: Collection[date] | None = None) -> tuple[str, dict[str, object]]:
    """The events of some partitions, or of all."""
    hot = [file for file in counter.seen.hot if days is None or file.day in days]
    cold = [file for file in counter.seen.cold if days is None or file.day in days]
    return view.relation(hot, cold)


def _gone(
    counter: Counter, gone: Collection[bytes], now: Collection[bytes], stones: Tombstones
) -> set[tuple[bool, str]]:
    """The ids that were linked and are nobody's now; only their hashes are known, so every id is held against them."""
    linked_now = {linked.whose(one) for one in now}
    lost = {whose for one in gone if (whose := linked.whose(one)) not in linked_now}
    if not lost:
        return set()
    events, params = _of(counter)
    return {
        (nobody, one)
        for nobody, one in counter.engine.rows(_IDS.format(events=events), params)
        if (ANONYMOUS if nobody else USER) + bytes.fromhex(stones.subject(one)) in lost
    }


def _days(counter: Counter, ids: Collection[tuple[bool, str]]) -> list[date]:
    """The partitions that hold events of these ids."""
    events, params = _of(counter)
    told = sorted(ids)
    params |= {"nobodys": [nobody for nobody, _ in told], "ids": [one for _, one in told]}
    return [day for (day,) in counter.engine.rows(_DAYS.format(events=events), params)]


def marks(counter: Counter, days: Collection[date], *, batch: int) -> bytes:
    """The content of the file of marks with these days, as of the snapshot that was counted from."""
    known = rollups.touched(counter.store)
    now = known | {day: Touch(batch, LINKS) for day in days if day not in known or known[day].batch < batch}
    body = {day.isoformat(): {"batch": one.batch, "why": one.why} for day, one in sorted(now.items())}
    return orjson.dumps(body) + b"\n"
