"""What the whole funnel report must say, by trying every chain of every lane of every user (metrics §7).

Plain loops over few events; nothing here is shared with the program.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from oracle import suppression
from oracle.funnel_chains import FOREVER, Asked, chain, clustered, enters, fits, inside, local, prop, rank

__all__ = ["FOREVER", "Asked", "answer"]

EDGES = [timedelta(seconds=s) for s in (10, 60, 600, 3_600, 86_400, 259_200, 604_800)]


class Entrant(NamedTuple):
    owner: Any
    events: list[dict[str, Any]]  # the chain
    at: list[datetime]  # its instants
    lane: list[dict[str, Any]]
    open: bool


def answer(events, q):
    """The rows, and the summary, of events in the order of arrival."""
    lanes = list(laned(events, q))
    whole = Run(lanes, q, lambda event: inside(event, q))
    runs = {}
    if q.per:
        days = [q.first + timedelta(n) for n in range((min(q.last, last_day(q)) - q.first).days + 1)]
        for begin in dict.fromkeys(period(day, q) for day in days):
            runs[begin] = Run(
                lanes, q, lambda event, begin=begin: inside(event, q) and period(local(event, q), q) == begin
            )
    groups = grouped([whole, *runs.values()], q)
    rows = []
    for name, values in groups:
        for begin, run in (runs or {None: whole}).items():
            head = (() if q.by is None else (name,)) + (() if begin is None else (begin,))
            rows += [(*head, *row) for row in bars(kept(run.among(values), q), q)]
    everyone = whole.among(None)
    counted = kept(everyone, q)
    done = [e.at[-1] - e.at[0] for e in counted if len(e.at) == len(q.required)]
    summary = {
        "entered": len(counted),
        "converted": len(done),
        "conversion": len(done) / len(counted) if counted else None,
        "median_s": percentile(done, 50),
        "mean_s": mean(done),
        "open": sum(e.open for e in everyone),
    }
    if q.by and q.attribution.startswith("step:"):
        summary["step_not_reached"] = sum(value_of(e, q) is None for e in counted)
    return rows, summary


def last_day(q):
    return (q.until - timedelta(microseconds=1)).replace(tzinfo=UTC).astimezone(ZoneInfo(q.tz)).date()


def period(day, q):
    return {"day": day, "week": day - timedelta(day.weekday()), "month": day.replace(day=1)}[q.per]


def kept(entrants, q):
    return [e for e in entrants if not (q.complete_only and e.open)]


# Who goes through the funnel: owners and their lanes.


def laned(events, q):
    """(owner, value, events) of every lane, an owner's in order of what tells them apart."""
    events = [e for e in sorted(events, key=lambda e: e["ts"]) if e["ts"] < q.until]
    events = [e for e in events if local(e, q) >= q.first and (inside(e, q) or not q.cut)]
    people = {}
    for event in events:
        owner = event.get("user_id") if q.unit in ("user", "session") else prop(event, q.unit)
        if owner is not None:
            people.setdefault(owner, []).append(event)
    for owner, own in people.items():
        for key, part in sessions(own, q) if q.within_session or q.unit == "session" else [((), own)]:
            yield from held((owner, key) if q.unit == "session" else owner, part, q)


def sessions(own, q):
    named, loose, last = {}, [], None
    for event in own:
        if event.get("session_id") is not None:
            named.setdefault(event["session_id"], []).append(event)
            continue
        live = last is not None and event["ts"] - last <= q.timeout
        if event["event_type"] in q.inactive:
            if live:
                loose[-1].append(event)
            continue
        if not live:
            loose.append([])
        loose[-1].append(event)
        last = event["ts"]
    return [*enumerate(loose), *((key, named[key]) for key in sorted(named))]


def held(owner, own, q):
    lanes = {}
    for event in own:
        values = [prop(event, key) for key in q.hold]
        if None not in values:
            lanes.setdefault(json.dumps(values), []).append(event)
    for key in sorted(lanes):
        yield owner, lanes[key]


def apart(lanes, q, merged=()):
    """The lanes again, for every value of the break-down its own; those of `merged` are one."""
    wanted = [q.steps[n] for n in q.required]
    having = {
        owner
        for owner, own in lanes
        for e in own
        if prop(e, q.by) is not None
        and any(fits(e, step) and (n or q.free or inside(e, q)) for n, step in enumerate(wanted))
    }
    for owner, own in lanes:
        parts = {}
        for event in own:
            value = prop(event, q.by)
            if value is not None or owner not in having:
                parts.setdefault("(other)" if value in merged else value, []).append(event)
        for value in sorted(parts, key=lambda v: (v is not None, v or "")):
            yield owner, value, parts[value]


class Run:
    """The attempts of all lanes, where only some events may be the first of one."""

    def __init__(self, lanes, q, entry, merged=()):
        self.q = q
        self.merge = lambda values: Run(lanes, q, entry, values)
        self.apart = q.by is not None and q.attribution == "all"
        self.lanes = []
        for owner, value, own in (
            apart(lanes, q, merged) if self.apart else ((owner, None, own) for owner, own in lanes)
        ):
            timed = clustered(own, q)
            found = chain(timed, q, entry)
            entries = [at for at, event in timed if enters(event, q) and entry(event)]
            self.lanes.append((owner, value, timed, found, max(entries, default=None)))

    def among(self, values):
        """The entrants of some values (None: all), each with the best of their lanes."""
        q = self.q
        if self.apart and values is not None and len(values) > 1 and "(other)" not in values:
            return self.merge(values - {"(none)"}).among({"(other)"} | (values & {"(none)"}))
        owners = {}
        for number, (owner, value, own, found, latest) in enumerate(self.lanes):
            if self.apart and values is not None and (value or "(none)") not in values:
                continue
            if latest is not None:
                owners.setdefault(owner, []).append((number, own, found, latest))
        entrants = []
        for owner, parts in owners.items():
            known = [(rank(own, found, q)[:4], number) for number, own, found, _ in parts if found]
            if not known:
                continue
            number = min(known)[1]
            own, found = next((own, found) for n, own, found, _ in parts if n == number)
            at = [own[place][0] for place, _ in found]
            entered = at[0] if q.attempt == "first" else max(latest for *_, latest in parts)
            running = entered + q.reach >= q.until and not (q.cut and over(q))
            entrants.append(
                Entrant(owner, [own[place][1] for place, _ in found], at, own, running and len(at) < len(q.required))
            )
        if q.by is None or self.apart or values is None:
            return entrants
        return [e for e in entrants if value_of(e, q) in values]


def over(q):
    """Whether the range is over by the instant that plays now."""
    end = (
        datetime.combine(q.last + timedelta(1), datetime.min.time(), ZoneInfo(q.tz))
        .astimezone(UTC)
        .replace(tzinfo=None)
    )
    return end <= q.until


def value_of(e, q):
    values = [prop(event, q.by) for event in e.events]
    if q.attribution.startswith("step:"):
        step = q.required.index(int(q.attribution[5:]) - 1)
        return None if step >= len(values) else values[step] or "(none)"
    values = [value for value in values if value is not None]
    return (values[0 if q.attribution == "first" else -1]) if values else "(none)"


def grouped(runs, q):
    """The groups that are shown: name, values."""
    if q.by is None:
        return [("", None)]
    names = {value or "(none)" for run in runs for _, value, *_ in run.lanes} if runs[0].apart else set()
    sized = []
    for run in runs:
        counts = {}
        if runs[0].apart:
            for name in names:
                counts[name] = len(kept(run.among({name}), q))
        else:
            for e in kept(run.among(None), q):
                counts[value_of(e, q)] = counts.get(value_of(e, q), 0) + 1
        sized.append({name: n for name, n in counts.items() if n and name is not None})
    every = set().union(*sized)
    ranked = sorted(every, key=lambda name: (-sized[0].get(name, 0), name))
    top = len(ranked) if q.top is None else q.top
    rest = (names if runs[0].apart else every) - set(ranked[:top])
    groups = [(name, {name}) for name in ranked[:top]] + ([("(other)", rest)] if ranked[top:] else [])
    cut = suppression.groups([users(kept(runs[0].among(values), q)) for _, values in groups], q.min_users)
    return [pair for place, pair in enumerate(groups) if place not in cut]


def users(entrants):
    return {e.events[0].get("user_id") for e in entrants} - {None}


# The numbers.


def bars(entrants, q):
    entered, before, number = len(entrants), len(entrants), 0
    for place, step in enumerate(q.steps):
        text = f"did at least {place + 1}" if q.order == "any" else step
        if step.endswith("?"):
            done = sum(did(e, step, number, q) for e in entrants)
            row = (place + 1, text, done, rate(done, entered), rate(done, before), None, None, None, None)
            times = []
        else:
            reached = [e for e in entrants if len(e.at) > number]
            times = [e.at[number] - e.at[number - 1] for e in reached] if number else []
            users = len(reached)
            row = (place + 1, text, users, rate(users, entered), rate(users, before), before - users)
            row += (percentile(times, 50), mean(times), percentile(times, 90))
            before, number = users, number + 1
        yield (*row, *([histogram(times, q)] if q.histogram else []))


def did(e, step, number, q):
    """Whether another event of the lane fits the optional step after the required steps so far."""
    if len(e.at) < number:
        return False
    begin = e.at[number - 1]
    end = e.at[number] if len(e.at) > number else min(e.at[0] + q.window, begin + q.step_window)
    chosen = [id(event) for event in e.events]
    return any(begin <= at <= end and fits(event, step) and id(event) not in chosen for at, event in e.lane)


def rate(part, whole):
    return part / whole if whole else None


def histogram(times, q):
    edges = [edge for edge in EDGES if edge < q.window] + [q.window]
    return [sum(low < time <= high for time in times) for low, high in pairwise([timedelta(-1), *edges])]


def percentile(times, percent):
    if not times:
        return None
    rising = sorted(times)
    place = Fraction((len(rising) - 1) * percent, 100)
    low = rising[math.floor(place)]
    return (low + (rising[math.ceil(place)] - low) * float(place % 1)).total_seconds()


def mean(times):
    return sum(times, timedelta()).total_seconds() / len(times) if times else None
