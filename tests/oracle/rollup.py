"""What no report asks of a period, by definition: events and users of each hour, and how good the data of a day are."""

from collections import defaultdict
from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from oracle import people


def hour(moment, tz):
    """The instant at which the hour began that clocks in the zone show."""
    local = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(tz))
    return moment - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)


def hours(events, scope):
    """Events and users of each hour of the window with any, of all events (None) and of each type."""
    found = defaultdict(list)
    for event in people.in_window(events, scope):
        at = hour(event["ts"], scope.window.tz)
        found[at, None].append(event)
        found[at, event["event_type"]].append(event)
    return {key: (len(held), len({e["person"] for e in held} - {None})) for key, held in found.items()}


def quality(events, scope, received):
    """The figures of the window, which is a day; `received` is when its events came in."""
    held = people.in_window(events, scope)
    lags = [(received - e["ts"]).total_seconds() for e in held]
    return {
        "events": len(held),
        "null_user_share": share(sum(e["means"] is None for e in held), held),
        "lag_p50_s": float(np.percentile(lags, 50)) if lags else None,
        "lag_p95_s": float(np.percentile(lags, 95)) if lags else None,
        "out_of_order_share": share(sum(behind(e, held) for e in held), held),
        "complete_before_start": sum(too_early(e, held, pair) for pair in scope.pairs for e in held)
        if scope.pairs
        else None,
        "sessions_two_users": shared(held),
    }


def share(part, held):
    return part / len(held) if held else None


def sender(event):
    if event.get("user_id") is not None:
        return event["user_id"]
    return None if event.get("anonymous_id") is None else ("anonymous", event["anonymous_id"])


def behind(event, held):
    who = sender(event)
    return who is not None and any(
        other["seq"] < event["seq"] and other["ts"] > event["ts"] for other in held if sender(other) == who
    )


def too_early(event, held, pair):
    """Whether it completes what the same user starts later, and not before."""
    if event["event_type"] != pair.complete or event["person"] is None:
        return False

    def of(one):
        return one["person"], one.get("target_type"), one.get("target_id")

    starts = [e["ts"] for e in held if e["event_type"] == pair.start and of(e) == of(event)]
    return bool(starts) and min(starts) > event["ts"]


def shared(held):
    found = defaultdict(set)
    for event in held:
        if event.get("session_id") is not None and event["person"] is not None:
            found[event["session_id"]].add(event["person"])
    return sum(len(persons) > 1 for persons in found.values())
