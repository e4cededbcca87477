"""An index by definition (metrics §18.10): each user, each period, each component, in exact fractions."""

from datetime import timedelta
from fractions import Fraction

from oracle import people


def begin(day, unit):
    if unit == "day":
        return day
    return day - timedelta(days=day.weekday()) if unit == "week" else day.replace(day=1)


def scores(events, scope, index, *, unit, user=None):
    """Group, period → the (score, parts) of each user active in it."""
    found = {}
    for event in read(events, scope, unit=unit, user=user):
        if event["person"] is not None:
            key = (group(event, scope), begin(event["date"], unit))
            found.setdefault(key, {}).setdefault(event["person"], []).append(event)
    return {
        key: [score(index, mine) for mine in users.values() if any(people.active(e, scope) for e in mine)]
        for key, users in found.items()
    }


def read(events, scope, *, unit, user=None):
    """The events of the periods that the range touches, up to its end; of one user, if one is named."""
    first, last = begin(scope.window.first, unit), scope.window.last
    return [e for e in people.seen(events, scope) if first <= e["date"] <= last and user in {None, e["person"]}]


def groups(events, scope, *, unit, user=None):
    """Every group that an event stands in, be it nobody's."""
    return {group(event, scope) for event in read(events, scope, unit=unit, user=user)}


def group(event, scope):
    if scope.by == "user_id":
        return event["person"] or "(none)"
    return (event.get(scope.by) or "(none)") if scope.by else ""


def score(index, mine):
    parts = [scaled(component, measured(component, mine)) for component in index.components]
    there = [
        (part, Fraction(one.weight)) for part, one in zip(parts, index.components, strict=True) if part is not None
    ]
    whole = sum(weight for _, weight in there)
    return (sum(part * weight for part, weight in there) / whole if there else None), parts


def scaled(component, value):
    if value is None:
        return None
    way = (value - Fraction(component.low)) / (Fraction(component.high) - Fraction(component.low))
    return 100 * min(max(way, Fraction(0)), Fraction(1))


def measured(component, mine):
    chosen = [e for e in mine if not component.events or e["event_type"] in component.events]
    numbers = (
        [Fraction(e["properties"][component.property.removeprefix("properties.")]) for e in chosen]
        if component.property
        else []
    )
    if component.measure == "rate":
        return rate(component.pair, mine)
    if component.measure == "avg":
        return sum(numbers) / len(numbers) if numbers else None
    return {
        "events": len(chosen),
        "targets": len({(e.get("target_type"), e["target_id"]) for e in chosen if e.get("target_id")}),
        "days": len({e["date"] for e in chosen}),
        "sum": sum(numbers),
    }[component.measure]


def rate(pair, mine):
    done = []
    acts = [e for e in mine if pair.target_type in {None, e.get("target_type")}]
    for name in {(e.get("target_type"), e.get("target_id")) for e in acts}:
        here = [e for e in acts if (e.get("target_type"), e.get("target_id")) == name]
        starts = [e["ts"] for e in here if e["event_type"] == pair.start]
        ends = [e["ts"] for e in here if e["event_type"] == pair.complete]
        if starts:
            done.append(any(end >= min(starts) for end in ends))
    return Fraction(sum(done), len(done)) if done else None


def mean(values):
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None
