"""Numbers of properties, targets, values, errors and trends by definition (metrics §11, §12): lists and fractions."""

import re
from datetime import timedelta
from fractions import Fraction

from oracle import people, where

NUMBER = re.compile(r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?")


def number(event, *path):
    """The number that stands at the path, exact; None where there is none."""
    value = where.value_at(event, path)
    text = None if value is None else where.text(value)
    return Fraction(float(text)) if text is not None and NUMBER.fullmatch(text) else None


def numbers(events, *path):
    return [n for n in (number(e, *path) for e in events) if n is not None]


def percentile(values, percent):
    """R-7: h = (n - 1) p, and the line between its neighbours."""
    if not values:
        return None
    ordered = sorted(values)
    h = (len(ordered) - 1) * Fraction(percent, 100)
    low = h.numerator // h.denominator
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (h - low) * (ordered[high] - ordered[low])


def measured(name, values, persons):
    if name in {"count", "users"}:
        return len(values) if name == "count" else persons
    if not values:
        return None
    known = {"sum": sum(values), "avg": sum(values) / len(values), "min": min(values), "max": max(values)}
    return known[name] if name in known else percentile(values, int(name[1:]))


def users(events):
    return len({e["person"] for e in events} - {None})


def ratio(part, whole):
    return Fraction(part, whole) if whole else None


def targets(events, scope, *, kind=None, uses=()):
    """Rows: type, id, events, users, mean of n, uses per user, adoption, how many had n; most events first."""
    found = people.in_window(events, scope)
    active = len({e["person"] for e in found if people.active(e, scope)})
    named = [e for e in found if e.get("target_type") is not None or e.get("target_id") is not None]
    named = [e for e in named if kind in {None, e.get("target_type")} and (not uses or e["event_type"] in uses)]
    rows = []
    for key in {_target(e) for e in named}:
        mine = [e for e in named if _target(e) == key]
        had = numbers(mine, "properties", "v")
        by_users = sum(e["person"] is not None for e in mine)
        mean = measured("avg", had, 0)
        rows.append(
            (*key, len(mine), users(mine), mean, ratio(by_users, users(mine)), ratio(users(mine), active), len(had))
        )
    return sorted(rows, key=lambda r: (-r[2], -r[3], r[0] is None, r[0] or "", r[1]))


def _target(event):
    name = event.get("target_id")
    return event.get("target_type"), "(none)" if name is None else name


def top(events, scope, path, order):
    """Rows: value, events, users, mean of v, how many had it; and how many events had no value."""
    found = people.in_window(events, scope)
    held = [(where.text(where.value_at(e, path)), e) for e in found if where.value_at(e, path) is not None]
    rows = []
    for value in {text for text, _ in held}:
        mine = [e for text, e in held if text == value]
        had = numbers(mine, "properties", "v")
        rows.append((value, len(mine), users(mine), measured("avg", had, 0), len(had)))
    keys = {
        "events": lambda r: (-r[1], -r[2], r[0]),
        "users": lambda r: (-r[2], -r[1], r[0]),
        "avg": lambda r: (r[3] is None, -(r[3] or 0), -r[1], r[0]),
    }
    return sorted(rows, key=keys[order]), len(found) - len(held)


def failed(event, scope):
    kind = event["event_type"]
    if scope.errors:
        return kind in scope.errors
    return kind == "error" or kind.endswith("_error") or event.get("category") == "error"


def errors(events, scope):
    """Rows: target, status, message, count, users, last, events and errors of the target; most first."""
    found = people.in_window(events, scope)
    rows = []
    for key in {_error(e) for e in found if failed(e, scope)}:
        mine = [e for e in found if failed(e, scope) and _error(e) == key]
        there = [e for e in found if (e.get("target_id") or "(none)") == key[0]]
        base = sum(not scope.requests or e["event_type"] in scope.requests for e in there)
        wrong = sum(failed(e, scope) for e in there)
        rows.append((*key, len(mine), users(mine), max(e["ts"] for e in mine), base, ratio(wrong, base), wrong))
    return sorted(rows, key=lambda r: (-r[3], -r[4], r[0], r[1] is None, r[1] or "", r[2] is None, r[2] or ""))


def _error(event):
    held = {key: where.text(v) for key, v in event.get("properties", {}).items() if v is not None}
    code = held.get("code")
    digits = code is not None and re.fullmatch("[0-9]+", code)
    status = next((held[key] for key in ("status", "status_code") if key in held), code if digits else None)
    message = next((held[key] for key in ("message", "error") if key in held), None if digits else code)
    return event.get("target_id") or "(none)", status, message


def begin(day, unit):
    if unit == "week":
        return day - timedelta(day.weekday())
    return day.replace(day=1) if unit == "month" else day


def trend(events, scope, unit, measures, *, of=True):
    """A row for each period: its begin, n, and the measures of v (of all events without `of`)."""
    found = people.in_window(events, scope)
    rows = []
    for start in sorted({begin(day, unit) for day in scope.window.days}):
        mine = [e for e in found if begin(e["date"], unit) == start]
        had = [e for e in mine if not of or number(e, "properties", "v") is not None]
        values = numbers(had, "properties", "v") if of else had
        rows.append((start, len(had), *(measured(name, values, users(had)) for name in measures)))
    return rows


def total(events, scope, first, last, name):
    """A measure of v over all dates from first to last."""
    found = [e for e in people.seen(events, scope) if first <= e["date"] <= last]
    had = [e for e in found if number(e, "properties", "v") is not None]
    return measured(name, numbers(had, "properties", "v"), users(had))


def slope(points):
    """Least squares, from its sums."""
    n = len(points)
    if n < 2:
        return None
    sx, sy = sum(x for x, _ in points), sum(y for _, y in points)
    sxx, sxy = sum(x * x for x, _ in points), sum(x * y for x, y in points)
    return Fraction(n * sxy - sx * sy) / (n * sxx - sx * sx)


def forecast(series, season, ahead):
    """Expected, low and high of what comes: value by value from the rule; None of too short a series."""
    steps = [
        (series[i], series[i + season])
        for i in range(len(series) - season)
        if series[i] is not None and series[i + season] is not None
    ]
    places = range(season)
    known = {p: [i for i in range(p, len(series), season) if series[i] is not None] for p in places}
    if len(steps) < 7 or not all(known.values()):
        return None
    drift = sum((Fraction(b) - Fraction(a) for a, b in steps), Fraction(0)) / len(steps)
    errors = [Fraction(b) - Fraction(a) - drift for a, b in steps]
    rows = []
    for i in range(len(series), len(series) + ahead):
        at = known[i % season][-1]
        seasons = (i - at) // season
        middle, wide = float(Fraction(series[at]) + seasons * drift), seasons**0.5
        rows.append(tuple(middle + wide * e for e in (0, *(float(percentile(errors, p)) for p in (10, 90)))))
    return rows
