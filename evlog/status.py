"""The state of a store at a glance: what it holds, since when, how fresh, and who is here now."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from evlog.store import ids, journal, quarantine, runs, snapshot, tombstones
from evlog.store.layout import SegmentName

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from evlog.store.layout import Store
    from evlog.store.runs import Job
    from evlog.store.snapshot import Snapshot

_NOW = """
SELECT   max(ts)                                                          AS newest,
         count(DISTINCT user_id) FILTER (WHERE ts > $five AND ts <= $now)   AS users_5m,
         count(DISTINCT user_id) FILTER (WHERE ts > $thirty AND ts <= $now) AS users_30m
FROM     events
"""


@dataclass(frozen=True, slots=True)
class Status:
    """What `evlog status` tells."""

    events: int
    hot_events: int
    cold_events: int
    segments: int
    parts: int
    bytes: int
    first_day: date | None
    last_day: date | None
    newest_event: datetime | None
    last_received: datetime | None
    users_5m: int
    users_30m: int
    rejects: dict[str, int]
    batches: int
    unapplied: int
    erased_users: int
    purged_before: date | None
    to_compact: int  # partitions before the as-of day that still have segments
    last_ingest: datetime | None  # when the newest run that is logged was done
    last_rollup: datetime | None


def status(store: Store, *, now: datetime) -> Status:
    """The state of a store; `now` (naive UTC) plays now."""
    seen, newest, five, thirty = snapshot.steady(store, lambda held: (held, *_recent(held, now)))
    known = tombstones.load(store)
    hot = sum(_count(store, segment.day, segment.name.file(".ids")) for segment in seen.hot)
    cold = sum(_count(store, part.day, "part.ids") for part in seen.cold)
    received = journal.last_received(store)
    return Status(
        events=hot + cold,
        hot_events=hot,
        cold_events=cold,
        segments=len(seen.hot),
        parts=len(seen.cold),
        bytes=sum(file.stamp[1] for file in seen.files),
        first_day=seen.days[0] if seen.days else None,
        last_day=seen.days[-1] if seen.days else None,
        newest_event=newest,
        last_received=SegmentName(0, received, 0).received_at if received else None,
        users_5m=five,
        users_30m=thirty,
        rejects=dict(sorted(Counter(found.code for found in quarantine.rejects(store)).items())),
        batches=journal.newest(store),
        unapplied=len(journal.unapplied(store)),
        erased_users=len(known.users),
        purged_before=known.purged_before,
        to_compact=len({segment.day for segment in seen.hot if segment.day < now.date()}),
        last_ingest=_newest_run(store, "ingest"),
        last_rollup=_newest_run(store, "rollup"),
    )


def totals(store: Store, job: Job, names: Sequence[str]) -> dict[str, float]:
    """Numbers that the runs of a job told, added up over all that are logged; how many they were is `runs`."""
    found = dict.fromkeys(names, 0.0) | {"runs": 0.0}
    for line in runs.read(store, job):
        found["runs"] += 1
        for name in names:
            value = line.get(name)
            found[name] += value if isinstance(value, int | float) else 0
    return found


def last_seconds(store: Store, job: Job) -> float | None:
    """How long the newest run of a job took; None where there is none."""
    took = [line.get("seconds") for line in runs.read(store, job)]
    return next((value for value in reversed(took) if isinstance(value, int | float)), None)


def _newest_run(store: Store, job: Job) -> datetime | None:
    at = max((str(line.get("at", "")) for line in runs.read(store, job)), default="")
    try:
        return datetime.fromisoformat(at).replace(tzinfo=None)
    except ValueError:
        return None


def _recent(seen: Snapshot, now: datetime) -> tuple[datetime | None, int, int]:
    """The newest event, and the users of the last 5 and 30 minutes; only the newest partitions are read."""
    from evlog import engine
    from evlog.query import view
    from evlog.query.gathered import gathered

    if not seen.days:
        return None, 0, 0
    since = min(seen.days[-1], (now - timedelta(days=1)).date())
    hot = tuple(segment for segment in seen.hot if segment.day >= since)
    cold = tuple(part for part in seen.cold if part.day >= since)
    params = {"now": now, "five": now - timedelta(minutes=5), "thirty": now - timedelta(minutes=30)}
    with engine.connect() as connection, gathered(replace(seen, hot=hot, cold=cold), connection) as recent:
        view.offer(connection, recent.hot, recent.cold)
        newest, five, thirty = connection.rows(_NOW, params)[0]
    return newest, five, thirty


def _count(store: Store, day: date, name: str) -> int:
    """How many events an index knows, by its size."""
    try:
        return os.stat(store.ids(day) / name).st_size // ids.ENTRY  # noqa: PTH116 - called for every segment
    except FileNotFoundError:
        return 0
