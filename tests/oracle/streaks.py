"""Streaks and stickiness by definition (metrics §3, §18.10): sets of dates for each person, walked day by day."""

from collections import Counter
from datetime import timedelta
from fractions import Fraction

from oracle import people

DAY = timedelta(1)


def present(events, scope):
    """The dates in the window on which each person was active."""
    found = {}
    for event in people.in_window(events, scope):
        if people.active(event, scope):
            found.setdefault(event["person"], set()).add(event["date"])
    return found


def runs(dates):
    """The last date and length of each run of consecutive dates."""
    return [(day, _length(dates, day)) for day in dates if day + DAY not in dates]


def _length(dates, day):
    return 1 + _length(dates, day - DAY) if day - DAY in dates else 1


def streaks(events, scope):
    """How many have each longest streak, and longest, current, current_longest, users."""
    found = {who: runs(dates) for who, dates in present(events, scope).items()}
    longest = Counter(max(length for _, length in mine) for mine in found.values())
    today = scope.window.today
    current = [length for mine in found.values() for day, length in mine if day in {today, today - DAY}]
    return sorted(longest.items()), {
        "longest": max(longest, default=0),
        "current": len(current),
        "current_longest": max(current, default=0),
        "users": len(found),
    }


def bars(events, scope, begin, *, cumulative):
    """How many were active in exactly (or at least) 1, 2 … of the periods that the window touches."""
    periods = {begin(day) for day in scope.window.days}
    counts = [len({begin(day) for day in dates}) for dates in present(events, scope).values()]
    fits = (lambda n, bar: n >= bar) if cumulative else (lambda n, bar: n == bar)
    return [(bar, sum(fits(n, bar) for n in counts)) for bar in range(1, len(periods) + 1)]


def dau_mau(events, scope, *, point):
    """Mean daily users over users of the window; with `point` those of the last day."""
    found = present(events, scope)
    days = scope.window.days
    daily = [sum(day in dates for dates in found.values()) for day in days]
    if not found:
        return None
    return Fraction(daily[-1] if point else sum(daily), (1 if point else len(days)) * len(found))
