"""Active users by definition (metrics §1, §2): sets of people for each local date, and nothing clever.

Who is a person follows from all events of a log: whoever asks about some of them takes them out of `resolved` ones.
"""

from datetime import UTC, timedelta
from statistics import fmean
from zoneinfo import ZoneInfo

from oracle import identity, where


def local_date(moment, tz):
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(tz)).date()


def resolved(events, scope, lines=()):
    """The events with the user that each counts for as `means` (None: nobody), by all that they, and people, say."""
    if all("means" in e for e in events):
        return events
    users, nobodys, _ = identity.resolve(events, scope.window.until, lines)

    def means(event):
        user, anonymous = event.get("user_id"), event.get("anonymous_id")
        return nobodys.get(anonymous) if user is None else users.get(user, user)

    return [{**e, "means": means(e)} for e in events]


def person(event, scope):
    if event["means"] is not None:
        return event["means"]
    anonymous = event.get("anonymous_id")
    return f"anon:{anonymous}" if scope.include_anon and anonymous is not None else None


def seen(events, scope):
    """The events that the scope lets through and that have happened, with their local `date` and `person`."""
    happened = [e for e in resolved(events, scope) if e["ts"] < scope.window.until]
    dated = [{**e, "date": local_date(e["ts"], scope.window.tz), "person": person(e, scope)} for e in happened]
    return [e for e in dated if all(where.matches(c, e) for c in scope.where)]


def userless(events, scope):
    """How many events in the window have no user, whoever they count for."""
    return sum(e["means"] is None for e in in_window(events, scope))


def active(event, scope):
    return event["person"] is not None and event["event_type"] not in scope.inactive


def people(events, scope, first, last):
    """Those active on a date from first to last."""
    return {e["person"] for e in seen(events, scope) if active(e, scope) and first <= e["date"] <= last}


def rolling(events, scope, length):
    """Each day of the window, and how many were active on the days that end with it."""
    return [(day, len(people(events, scope, day - timedelta(length - 1), day))) for day in scope.window.days]


def stickiness(events, scope, day, length):
    start = day - timedelta(length - 1)
    monthly = len(people(events, scope, start, day))
    days = [start + timedelta(n) for n in range(length)]
    return fmean(len(people(events, scope, d, d)) for d in days) / monthly if monthly else None


def calendar(events, scope, name):
    """Each period (as `name` calls that of a day) in order, and how many were active on its days in the window."""
    periods = {}
    for day in scope.window.days:
        periods.setdefault(name(day), set()).update(people(events, scope, day, day))
    return [(period, len(found)) for period, found in periods.items()]


def in_window(events, scope):
    return [e for e in seen(events, scope) if scope.window.first <= e["date"] <= scope.window.last]


def tallied(events, key):
    """Each value of the key (but none) with its events and people, most events first."""
    values = {e[key] for e in events if e.get(key) is not None}
    rows = [(v, [e for e in events if e.get(key) == v]) for v in values]
    return sorted(
        ((v, len(held), len({e["person"] for e in held} - {None})) for v, held in rows), key=lambda r: (-r[1], r[0])
    )


def usage(events, scope):
    """The fields of source 003."""
    found = in_window(events, scope)
    days = [n for _, n in rolling(events, scope, 1) if n]
    weeks = [n for _, n in calendar(events, scope, lambda day: day.isocalendar()[:2]) if n]
    return {
        "dau": sum(days) / len(days) if days else 0.0,
        "wau": sum(weeks) / len(weeks) if weeks else 0.0,
        "mau": len(people(events, scope, scope.window.first, scope.window.last)),
        "feature_usage": {feature: n for feature, n, _ in tallied(found, "feature")},
        "funnel_steps": {kind: n for kind, n, _ in tallied(found, "event_type")},
        "total_events": len(found),
        "unique_days": len(days),
        "unique_weeks": len(weeks),
        "period_days": (scope.window.last - scope.window.first).days + 1,
    }
