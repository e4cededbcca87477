"""Lifecycle by definition (metrics §4): the set of those active in each period, and when each was first seen."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from oracle import people
from oracle.retention import DAY, begin_of, begins, plus


def sets(events, scope, unit):
    """The periods of the range, and one before: each with the set of those active in it."""
    periods = begins(scope, unit)
    earlier = begin_of(periods[0] - DAY, unit)
    found = {}
    for begin in [earlier, *periods]:
        last = min(plus(begin, unit, 1) - DAY, scope.window.last)
        found[begin] = people.people(events, scope, begin, last)
    return found


def first_ever(events, scope, unit, kind=None):
    """The period in which each person was first seen, by all events, or by all of a kind."""
    whole = replace(scope, where=(), by=None)
    found = {}
    for e in people.seen(events, whole):
        fits = e["person"] is not None and (e["event_type"] == kind if kind else people.active(e, whole))
        if fits:
            begin = begin_of(e["date"], unit)
            found[e["person"]] = min(begin, found.get(e["person"], begin))
    return found


def table(events, scope, unit, kind=None):
    """(period, new, returning, resurrected, dormant) for each period of the range."""
    active, first = sets(events, scope, unit), first_ever(events, scope, unit, kind)
    periods = list(active)
    rows = []
    for before, begin in pairwise(periods):
        new = {who for who in active[begin] if first.get(who) == begin}
        returning = (active[begin] & active[before]) - new
        resurrected = active[begin] - active[before] - new
        rows.append((begin, len(new), len(returning), len(resurrected), len(active[before] - active[begin])))
    return rows
