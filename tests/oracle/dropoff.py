"""Starters and completers of each target by definition (metrics §6), person by person."""

from fractions import Fraction

from oracle import people


def targets(events, scope, pair, *, cut=False):
    """A row for each target, worst first: id, started, completed, in progress, without start, of earlier starters."""
    acts = [e for e in people.seen(events, scope) if e["person"] is not None]
    keys = {(e.get("target_type"), e.get("target_id") or "(none)") for e in acts}
    rows = []
    for kind, name in keys:
        mine = [e for e in acts if (e.get("target_type"), e.get("target_id") or "(none)") == (kind, name)]
        fates = [
            _fate([e for e in mine if e["person"] == who], scope, pair, cut) for who in {e["person"] for e in mine}
        ]
        counts = [sum(fate[n] for fate in fates) for n in range(5)]
        if any(counts):
            rows.append((name, *counts, kind))
    return sorted(rows, key=_worst_first)


def _fate(acts, scope, pair, cut):
    """started, completed, in progress, completed without start, completed a start from before the range."""
    window = scope.window
    starts = [e for e in acts if e["event_type"] == pair.start]
    ends = [e for e in acts if e["event_type"] == pair.complete]
    here = [e["ts"] for e in starts if window.first <= e["date"] <= window.last]
    ends_here = [e["ts"] for e in ends if window.first <= e["date"] <= window.last]
    counting = ends_here if cut else [e["ts"] for e in ends]
    started = bool(here)
    completed = started and any(end >= min(here) for end in counting)
    dropped = started and not completed
    fresh = dropped and window.as_of - max(e["ts"] for e in starts) <= pair.abandon_after
    earlier = any(e["date"] < window.first for e in starts)
    other = bool(ends_here) and not completed
    return started, completed, fresh, other and not earlier, other and earlier


def _worst_first(row):
    name, started, completed, *_, kind = row
    rate = Fraction(started - completed, started) if started else Fraction(-1)
    return -rate, -started, kind is None, kind or "", name
