"""The operations: count what is new or stale; count for the last time what a purge removes next; say what is due."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from evlog import engine
from evlog.query.gathered import gathered
from evlog.rollup.asked import GRAINS, Done
from evlog.rollup.count import Counter
from evlog.rollup.rejects import refused
from evlog.rollup.run import Range, Run
from evlog.store import journal, links, locks, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from evlog.rollup.asked import Asked, Due
    from evlog.store.layout import Store
    from evlog.store.links import Said
    from evlog.store.rollups import Grain
    from evlog.store.snapshot import Snapshot

    Progress = Callable[[int, int], None]

_LIMITS = ("150MB", "400MB", "1GB", "2GB")  # of the engine; the next where the one before was too little
_THREADS = 2  # each reads lines into buffers of its own


def roll(
    store: Store,
    asked: Asked,
    *,
    grains: Sequence[Grain] = GRAINS,
    first: date | None = None,
    last: date | None = None,
    wait: float | None = 0.0,
    done: Progress = lambda _done, _total: None,
) -> Done:
    """Count every period that is new or stale, of all that is held or of a range; what was done.

    `done` hears of each commit: how many periods are counted, of how many. They stay if the run is interrupted, and run
    again it goes on from there.
    """
    with locks.maintenance(store, "rollup", wait=wait):
        return _rolled(store, asked, Range(grains, first, last), done)


def finish(
    store: Store,
    asked: Asked,
    *,
    before: date,
    wait: float | None = 0.0,
    held: bool = False,
    done: Progress = lambda _done, _total: None,
) -> Done:
    """Count for the last time what needs the partitions before `before`, which are to be purged.

    `held` says that the caller holds the maintenance lock already.
    """
    with nullcontext() if held else locks.maintenance(store, "rollup", wait=wait):
        return _rolled(store, asked, Range(leaving=before), done)


def plan(
    store: Store,
    asked: Asked,
    *,
    grains: Sequence[Grain] = GRAINS,
    first: date | None = None,
    last: date | None = None,
) -> tuple[Due, ...]:
    """The periods that `roll` would count, and why."""

    def told(seen: Snapshot, said: list[Said]) -> tuple[Due, ...]:
        with engine.connect() as connection:
            return Run(
                asked, _counter(store, asked, connection, seen=seen, said=said), Range(grains, first, last)
            ).due()

    return links.steady(store, told)


def _rolled(store: Store, asked: Asked, span: Range, done: Progress) -> Done:
    with journal.staging(store) as staged:
        with locks.commit(store):  # under the lock nothing is on its way from one name to another
            journal.recover(store)
            seen = snapshot.snapshot(store)
            said = links.seen(store, seen.batch)
        assert said is not None, "nobody commits under the lock"
        return _within_limits(store, asked, span, seen, said=said, staged=staged, done=done)


def _within_limits(
    store: Store,
    asked: Asked,
    span: Range,
    seen: Snapshot,
    *,
    said: Sequence[Said],
    staged: journal.Staging,
    done: Progress,
) -> Done:
    """Count with as little memory as will do; with more, what was committed stays, and it goes on from there."""
    so_far = Done()
    for memory in _LIMITS:
        limits = engine.Limits(threads=_THREADS, memory=memory, spill=staged.path)
        run: Run | None = None
        try:
            with engine.connect(limits) as connection, gathered(seen, connection) as read:
                run = Run(asked, _counter(store, asked, connection, seen=read, said=said), span, done=so_far)
                return run.all(staged, done)
        except engine.OutOfMemory:
            if memory == _LIMITS[-1]:
                raise
            so_far = so_far if run is None else run.done
    raise AssertionError  # pragma: no cover - the last limit returns or raises


def _counter(store: Store, asked: Asked, connection: engine.Engine, *, seen: Snapshot, said: Sequence[Said]) -> Counter:
    return Counter(store, asked.scope, seen, said, engine=connection, refused=refused(store))
