"""Sessions and what stands on them by definition (metrics §9, §11, §12, §18.10): lists, sets and loops."""

from collections import Counter
from datetime import timedelta
from fractions import Fraction

from oracle import people

DAY = timedelta(days=1)


def sessions(events, scope, *, timeout, split_midnight=False, ignore_ids=False, max_length=None, split_idle=False):
    """Every session of the log, a list of its events in their order."""
    found = sorted(
        (e for e in people.seen(events, scope) if e["person"] is not None), key=lambda e: (e["ts"], e["seq"])
    )
    made = []
    for person in sorted({e["person"] for e in found}):
        mine = [e for e in found if e["person"] == person]
        ids = {e.get("session_id") for e in mine} - {None} if not ignore_ids else set()
        for name in sorted(ids):
            named = [e for e in mine if e.get("session_id") == name]
            made += by_gaps(named, timeout, lambda e: True) if split_idle else [named]
        rest = mine if ignore_ids else [e for e in mine if e.get("session_id") is None]
        made += by_gaps(rest, timeout, lambda e: e["event_type"] not in scope.inactive)
    if split_midnight:
        made = [piece for one in made for piece in by_day(one)]
    if max_length is not None:
        made = [piece for one in made for piece in no_longer(one, max_length)]
    return made


def by_gaps(events, timeout, alive):
    """What makes nobody active prolongs nothing and begins nothing."""
    made, last = [], None
    for event in events:
        if last is not None and (timeout is None or event["ts"] - last <= timeout):
            made[-1].append(event)
        elif alive(event):
            made.append([event])
        if alive(event):
            last = event["ts"]
    return made


def by_day(session):
    return [[e for e in session if e["date"] == day] for day in sorted({e["date"] for e in session})]


def no_longer(session, most):
    made = [[session[0]]]
    for event in session[1:]:
        if event["ts"] - made[-1][0]["ts"] > most:
            made.append([event])
        else:
            made[-1].append(event)
    return made


def begun(events, scope, **rule):
    """The sessions that began in the window."""
    window = scope.window
    return [one for one in sessions(events, scope, **rule) if window.first <= one[0]["date"] <= window.last]


def quantile(values, share):
    """R-7, in fractions."""
    rising = sorted(values)
    if not rising:
        return None
    place = Fraction(len(rising) - 1) * share
    low = int(place)
    high = min(low + 1, len(rising) - 1)
    return float(rising[low] + (place - low) * (rising[high] - rising[low]))


def numbers(found, scope, *, timeout, nonzero=False):
    """sessions, users, mean_s, median_s, p90_s, events_per_session, bounce_rate; and how many are open."""
    closed = [one for one in found if timeout is not None and scope.window.as_of - one[-1]["ts"] >= timeout]
    lengths = [Fraction((one[-1]["ts"] - one[0]["ts"]) // timedelta(microseconds=1), 10**6) for one in closed]
    lengths = [length for length in lengths if length or not nonzero]
    return [
        len(found),
        len({one[0]["person"] for one in found}),
        float(sum(lengths) / len(lengths)) if lengths else None,
        quantile(lengths, Fraction(1, 2)),
        quantile(lengths, Fraction(9, 10)),
        sum(map(len, found)) / len(found) if found else None,
        sum(len(one) == 1 for one in found) / len(found) if found else None,
    ], len(found) - len(closed)


def daily(events, scope, *, nonzero=False, **rule):
    """The rows of report sessions, and its summary's numbers."""
    found = begun(events, scope, **rule)
    by_date = [[one for one in found if one[0]["date"] == day] for day in scope.window.days]
    told = [
        (day, *numbers(held, scope, timeout=rule["timeout"], nonzero=nonzero)[0])
        for day, held in zip(scope.window.days, by_date, strict=True)
    ]
    return told, numbers(found, scope, timeout=rule["timeout"], nonzero=nonzero)


def weekly(events, scope, **rule):
    """The rows of report frequency."""
    weeks = {}
    for day in scope.window.days:
        back = day.weekday() if scope.window.week_start == "monday" else (day.weekday() + 1) % 7
        weeks.setdefault(day - timedelta(back), []).append(day)
    found = begun(events, scope, **rule)
    rows = []
    for week, days in weeks.items():
        users = len(
            {e["person"] for e in people.in_window(events, scope) if e["date"] in days and people.active(e, scope)}
        )
        count = sum(one[0]["date"] in days for one in found)
        rows.append((week, users, count, count / users if users else None))
    return rows


def paths(events, scope, *, unit, transitions, start=None, end=None, **rule):
    """The rows of report paths."""
    if unit == "session":
        lists = begun(events, scope, **rule)
    else:
        held = sorted(people.in_window(events, scope), key=lambda e: (e["ts"], e["seq"]))
        persons = {e["person"] for e in held} - {None}
        lists = [[e for e in held if e["person"] == person] for person in persons]
    lists = [cut for one in lists if (cut := trimmed(one, start, end))]
    counts, users = Counter(), {}
    for one in lists:
        for place in range(len(one) - 1):
            step = (0 if transitions else place + 1, one[place]["event_type"], one[place + 1]["event_type"])
            counts[step] += 1
            users.setdefault(step, set()).add(one[place]["person"])
    rows = [(*step, count, len(users[step])) for step, count in counts.items()]
    return sorted(rows, key=lambda row: (row[0], -row[3], row[1], row[2]))


def trimmed(events, start, end):
    kinds = [e["event_type"] for e in events]
    first = 0
    if start is not None:
        if start not in kinds:
            return []
        first = kinds.index(start)
    if end is None:
        return events[first:]
    after = [place for place in range(first + (start is not None), len(kinds)) if kinds[place] == end]
    return events[first : after[0] + 1] if after else []


def depth(events, scope, opens, interacts, **rule):
    """The rows of report depth: target_id, opens, interactions, per_open, median, users, target_type."""
    first, last = scope.window.first, scope.window.last
    targets = {}
    for one in sessions(events, scope, **rule):
        inside = [e for e in one if first <= e["date"] <= last]
        for target in {(e.get("target_type"), e.get("target_id")) for e in inside}:
            kinds = [e["event_type"] for e in inside if (e.get("target_type"), e.get("target_id")) == target]
            if opens in kinds:
                told = (one[0]["person"], kinds.count(opens), kinds.count(interacts))
                targets.setdefault(target, []).append(told)
    rows = []
    for (kind, target), held in targets.items():
        counts = [count for _, _, count in held]
        opened = sum(times for _, times, _ in held)
        users = len({person for person, _, _ in held})
        median = quantile(counts, Fraction(1, 2))
        rows.append((target or "(none)", opened, sum(counts), sum(counts) / opened, median, users, kind))
    return sorted(rows, key=lambda row: (-row[1], -row[2], row[0], row[6] or ""))
