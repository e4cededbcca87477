"""Lines made into columns before they are read a dozen times: for as long as a run takes, in its own staging folder."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from evlog.query import keyed, view
from evlog.store import parts
from evlog.store.snapshot import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import date

    from evlog.engine import Engine
    from evlog.store.journal import Staging
    from evlog.store.snapshot import Snapshot

_EVENTS = "SELECT events.* EXCLUDE (date), {key} AS user_key FROM events"


def settled(
    engine: Engine, seen: Snapshot, days: Collection[date], staged: Staging, key: Callable[[str], int] | None
) -> Snapshot:
    """The same events, those of segments of these days as Parquet: a line costs ten times as much to read.

    `key` tells the keys of users, where persons are to be numbers.
    """
    hot = sorted({segment.day for segment in seen.hot} & set(days))
    if hot and key is not None:
        engine.define(keyed.FUNCTION, key)
    events = _EVENTS.format(key="CAST(NULL AS BIGINT)" if key is None else "user_key(user_id)")
    made = [_part(engine, seen, day, staged, events) for day in hot]
    return replace(
        seen,
        hot=tuple(segment for segment in seen.hot if segment.day not in hot),
        cold=tuple(sorted((*(part for part in seen.cold if part.day not in hot), *made), key=lambda part: part.day)),
    )


def _part(engine: Engine, seen: Snapshot, day: date, staged: Staging, events: str) -> Part:
    hot = [segment for segment in seen.hot if segment.day == day]
    view.offer(engine, hot, [part for part in seen.cold if part.day == day])
    path = staged.file(f"{staged.serial()}-settled")
    parts.write(path, engine.batches(events), covers=seen.batch)
    engine.drop([("VIEW", "events")])
    found = os.lstat(path)
    return Part(day, path, (found.st_ino, found.st_size, found.st_mtime_ns))
