"""Retention and return rate by definition (metrics §8): person by person, period by period, sets and loops."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from statistics import median

from oracle import people

from evlog.window import midnight

DAY = timedelta(days=1)
LENGTHS = {"day": DAY, "week": 7 * DAY, "month": 30 * DAY}


def begin_of(day, unit):
    if unit == "week":
        return day - timedelta(days=day.isoweekday() - 1)
    return date(day.year, day.month, 1) if unit == "month" else day


def plus(begin, unit, count):
    """The first day of the period `count` after the one that begins on `begin`."""
    if unit == "month":
        months = begin.year * 12 + begin.month - 1 + count
        return date(months // 12, months % 12 + 1, 1)
    return begin + count * LENGTHS[unit]


def index_of(day, first, unit):
    """How many periods after `first` the period of `day` is."""
    begin = begin_of(day, unit)
    if unit == "month":
        return (begin.year - first.year) * 12 + begin.month - first.month
    return (begin - first) // LENGTHS[unit]


def begins(scope, unit):
    last = min(scope.window.last, scope.window.today)
    first = begin_of(scope.window.first, unit)
    return [plus(first, unit, n) for n in range(index_of(last, first, unit) + 1)]


def acts(events, scope, kind):
    """The events of persons that are such an act, in canonical order; any active event where no kind is said."""
    fits = [e for e in people.seen(events, scope) if e["person"] is not None]
    if kind is None:
        fits = [e for e in fits if people.active(e, scope)]
    else:
        fits = [e for e in fits if e["event_type"] == kind]
    return sorted(fits, key=lambda e: (e["ts"], e["seq"]))


def entries(events, scope, *, start, unit, cohort):
    """(cohort, person, the event that begins) of everyone who enters a cohort of the range."""
    first, last = begin_of(scope.window.first, unit), scope.window.last
    starts = acts(events, scope, start)
    if cohort != "first-ever":
        starts = [e for e in starts if first <= e["date"] <= last]
    found = {}
    for e in starts:
        key = (e["person"], begin_of(e["date"], unit)) if cohort == "recurring" else e["person"]
        found.setdefault(key, e)
    chosen = [(begin_of(e["date"], unit), e["person"], e) for e in found.values() if first <= e["date"] <= last]
    return sorted(chosen, key=lambda one: (one[0], one[1]))


def gap(entry, event, unit, clock):
    """In which period after the entry an event lies; below 0: before it."""
    cohort, _, began = entry
    if clock == "rolling":
        return (event["ts"] - began["ts"]) // LENGTHS[unit]
    return index_of(event["date"], cohort, unit)


def came_back(entry, returns, span, *, unit, clock, mode, after, horizon):
    first, last = span
    if first == 0 and not after:
        return True
    for event in returns:
        n = gap(entry, event, unit, clock)
        later = event["ts"] > entry[2]["ts"] or (event["ts"] == entry[2]["ts"] and event["seq"] != entry[2]["seq"])
        if n < first or (n == 0 and not later) or (clock == "rolling" and not later):
            continue
        if mode == "unbounded" and (horizon is None or n <= horizon):
            return True
        if mode == "on" and n <= last:
            return True
    return False


def is_known(scope, members, cohort, span, *, unit, clock, horizon):
    limit = min(scope.window.as_of, midnight(scope.window.last + DAY, scope.window.tz))
    last = span[1] if horizon is None else horizon
    if clock == "calendar":
        return midnight(plus(cohort, unit, last + 1), scope.window.tz) <= limit
    lives = [e["ts"] for _, _, e in members] or [midnight(cohort, scope.window.tz)]
    return max(lives) + (last + 1) * LENGTHS[unit] <= limit


def table(events, scope, *, start=None, back=None, unit="week", spans=(), clock="calendar", mode="on",
          cohort="first-ever", after=False, horizon=None):  # fmt: skip
    """(cohort, size, retained) of each period of the range; None where not known yet."""
    entered = entries(events, scope, start=start, unit=unit, cohort=cohort)
    first, last = begin_of(scope.window.first, unit), scope.window.last
    returns = [e for e in acts(events, scope, back) if first <= e["date"] <= last]
    rows = []
    for begin in begins(scope, unit):
        members = [one for one in entered if one[0] == begin]
        cells = []
        for span in spans:
            known = is_known(scope, members, begin, span, unit=unit, clock=clock, horizon=horizon)
            how = {"unit": unit, "clock": clock, "mode": mode, "after": after, "horizon": horizon}
            kept = [m for m in members if came_back(m, [e for e in returns if e["person"] == m[1]], span, **how)]
            cells.append(len(kept) if known else None)
        rows.append((begin, len(members), cells))
    return rows


def pooled(rows, n):
    kept = [(cells[n], size) for _, size, cells in rows if cells[n] is not None]
    whole = sum(size for _, size in kept)
    return Fraction(sum(number for number, _ in kept), whole) if whole else None


def simple(rows, n):
    shares = [Fraction(cells[n], size) for _, size, cells in rows if cells[n] is not None and size]
    return sum(shares) / len(shares) if shares else None


def returns(events, scope, *, after, back, days, later="date"):
    """(date, completed, returned, rate, median days, open) of each day, and the same without the date over all."""
    done = {}
    for e in acts(events, scope, after):
        if scope.window.first <= e["date"] <= scope.window.last:
            done.setdefault(e["person"], e)
    fates = []
    for person, x in done.items():
        waits = [
            (e["date"] - x["date"]).days
            for e in acts(events, scope, back)
            if e["person"] == person and e["date"] <= x["date"] + days * DAY and _is_later(e, x, later, events, scope)
        ]
        fates.append((x["date"], x["date"] + days * DAY < scope.window.today, min(waits, default=None)))
    each = [(day, *_figures([f for f in fates if f[0] == day])) for day in scope.window.days]
    return each, _figures(fates)


def _is_later(event, x, later, events, scope):
    if later == "date":
        return event["date"] > x["date"]
    if (event["ts"], event["seq"]) <= (x["ts"], x["seq"]):
        return False
    if later == "any" or event.get("session_id") is None:
        return later == "any"
    visit = [
        (e["ts"], e["seq"])
        for e in people.seen(events, scope)
        if (e["person"], e.get("session_id")) == (x["person"], event["session_id"])
    ]
    return min(visit) > (x["ts"], x["seq"])


def _figures(fates):
    over = [wait for _, is_over, wait in fates if is_over]
    waits = [wait for wait in over if wait is not None]
    rate = len(waits) / len(over) if over else None
    return len(over), len(waits), rate, float(median(waits)) if waits else None, len(fates) - len(over)
