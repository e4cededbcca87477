"""Rollups for tests: the sections of standing questions, as the reports answer them of each period, put into a store."""

from dataclasses import replace
from datetime import datetime, timedelta

from evlog import purge, reports, rollup, window
from evlog.engine import Limits
from evlog.query import standing as kept
from evlog.query.ask import ask

ONE_THREAD = Limits(threads=1)
DAY = timedelta(days=1)


def standings(*names):
    """The standing questions of these reports, or of all."""
    known = names or [name for name in reports.names() if hasattr(reports.load(name), "ROLLUP")]
    return kept.all_of(reports.load(name) for name in known)


def roll(store, scope, *, first=None, last=None, **more):
    """Roll up what the store holds (of these days), as of the scope's instant."""
    asked = rollup.Asked(replace(scope, quarantined=None), **more)
    return rollup.roll(store, asked, grains=("day", "week", "month"), first=first, last=last)


def scope_of(scope, **changes):
    """The scope with another window."""
    return replace(scope, window=replace(scope.window, **changes))


def at(scope, instant):
    """The scope, as of another instant."""
    now = window.at(instant, scope.window.tz)
    return scope_of(scope, as_of=now.instant, today=now.day)


def both(store, scope, name, **options):
    """A report's answer, and the same from events alone."""
    report = reports.load(name).report
    return (
        ask(store, scope, report, limits=ONE_THREAD, **options),
        ask(store, scope, report, limits=ONE_THREAD, rollups=False, **options),
    )


def same(told, events):
    """The answer from sections without what may differ, next to that from events."""
    return replace(told, source="events", events_read=0), replace(events, events_read=0)


NOW = datetime(2030, 1, 1)


def purged(store, scope, before, **more):
    """Purge as `evlog purge` does: what goes is rolled up for the last time first."""
    asked = rollup.Asked(replace(scope, quarantined=None), **more)
    inactive = scope.inactive
    return purge.apply(
        store, before, inactive=inactive, roll=lambda: rollup.finish(store, asked, before=before, held=True)
    )
