"""The first and the newest event of a store: what `--all-time`, `--as-of latest` and every definition line need."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from evlog.engine import USUAL, connect
from evlog.query import view
from evlog.query.gathered import gathered
from evlog.store.snapshot import steady

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from evlog.engine import Engine, Limits
    from evlog.store.layout import Store
    from evlog.store.snapshot import Snapshot

_ENDS = "WITH events AS NOT MATERIALIZED ({events}) SELECT min(ts), max(ts) FROM events"
_ENDS_UNTIL = _ENDS + " WHERE ts < $until"


def held(store: Store, *, until: datetime | None = None, limits: Limits = USUAL) -> tuple[datetime, datetime] | None:
    """The instants of the first and the newest event (before `until`); None where there is none."""
    return steady(store, partial(_held, until=until, limits=limits))


def newest(engine: Engine, snapshot: Snapshot, *, until: datetime | None = None) -> datetime | None:
    """The instant of the newest event before `until`: from the newest partition that holds one."""
    ends = _first_found(engine, snapshot, reversed(snapshot.days), until=until)
    return ends[1] if ends else None


def _held(snapshot: Snapshot, *, until: datetime | None, limits: Limits) -> tuple[datetime, datetime] | None:
    with connect(limits) as engine, gathered(snapshot, engine) as seen:
        early = _first_found(engine, seen, seen.days, until=until)
        late = newest(engine, seen, until=until)
    return None if early is None or late is None else (early[0], late)


def _first_found(
    engine: Engine, snapshot: Snapshot, days: Iterable[date], *, until: datetime | None
) -> tuple[datetime, datetime] | None:
    for day in days:
        if until is not None and day > until.date():
            continue
        ends = _ends(engine, snapshot, day, until=until)
        if ends is not None:
            return ends
    return None


def _ends(engine: Engine, snapshot: Snapshot, day: date, *, until: datetime | None) -> tuple[datetime, datetime] | None:
    """The ends of one partition; a file's footer tells them for a part, so that its rows are not read."""
    hot = [segment for segment in snapshot.hot if segment.day == day]
    cold = [part for part in snapshot.cold if part.day == day]
    events, params = view.relation(hot, cold)
    sql = _ENDS if until is None else _ENDS_UNTIL
    found = engine.rows(sql.format(events=events), params if until is None else {**params, "until": until})[0]
    return None if found[0] is None else (found[0], found[1])
