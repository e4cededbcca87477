"""Pairs, revisions and parts by definition (metrics §6, §10, §11), act by act."""

from datetime import timedelta
from itertools import pairwise
from statistics import fmean, quantiles

from oracle import people

STATUSES = ("completed", "superseded", "abandoned", "open")
HALF_AN_HOUR = timedelta(minutes=30)


def target(event):
    return event.get("target_type"), event.get("target_id") or "(none)"


def histories(events, scope):
    """The acts of each person on each target, in canonical order."""
    held = {}
    for event in sorted(people.seen(events, scope), key=lambda e: (e["ts"], e["seq"])):
        if event["person"] is not None:
            held.setdefault((target(event), event["person"]), []).append(event)
    return held


def group(event, scope):
    return (event.get(scope.by) or "(none)") if scope.by else ""


class Start:
    def __init__(self, event):
        self.event, self.status, self.end = event, None, None


def walk(acts, scope, pair, *, choice):
    """Every start with its status, every completion without a start of its own with what it is."""
    starts, lone, pending, closed_by = [], [], [], None
    for act in sorted(acts, key=lambda e: (e["ts"], e["event_type"] != pair.start, e["seq"])):
        if act["event_type"] == pair.start:
            pending.append(Start(act))
            starts.append(pending[-1])
        elif act["event_type"] in {pair.complete, pair.abandon}:
            done = act["event_type"] == pair.complete
            if pending:
                chosen = pending[-1] if choice == "latest" else pending[0]
                for start in pending:
                    start.status = "superseded"
                chosen.status, chosen.end = ("completed" if done else "abandoned"), act
                pending, closed_by = [], act["event_type"]
            elif done:
                lone.append((act, {pair.complete: "extra", pair.abandon: "reopened"}.get(closed_by, "orphan")))
    for start in pending:
        late = scope.window.as_of - start.event["ts"] > pair.abandon_after
        start.status = "abandoned" if late else "open"
    return starts, lone


def durations(events, scope, pair, *, choice="latest", active=False, longest=None):
    """A row for each group and target: n, mean, median, p90, abandoned, and the further counts, as a dict."""
    cells = {}
    within = people.seen(events, scope)
    for (name, who), acts in histories(events, scope).items():
        starts, lone = walk(acts, scope, pair, choice=choice)
        mine = sorted(e["ts"] for e in within if e["person"] == who)
        for start in starts:
            cell = (group(start.event, scope), name)
            if inside(start.event, scope):
                note(cells, cell, who)[start.status] += 1
                note(cells, cell, who)["starts"] += 1
            if start.status == "completed" and inside(start.end, scope):
                took = length(start, mine) if active else start.end["ts"] - start.event["ts"]
                cut = longest is not None and took > longest
                note(cells, cell, who)["outlier" if cut else "times"] += 1 if cut else [took.total_seconds()]
        for act, kind in lone:
            if inside(act, scope):
                found = note(cells, (group(act, scope), name), who)
                found["extra" if kind == "extra" else "orphan"] += 1
                found["reopened"] += kind == "reopened"
    return cells


def inside(event, scope):
    return scope.window.first <= event["date"] <= scope.window.last


def note(cells, cell, who):
    empty = {"users": set(), "times": [], **dict.fromkeys(("starts", "outlier", "orphan", "extra", "reopened"), 0)}
    found = cells.setdefault(cell, {**empty, **dict.fromkeys(STATUSES, 0)})
    found["users"].add(who)
    return found


def length(start, moments):
    """The gaps of half an hour at most between the person's events from the start to its end."""
    steps = [m for m in moments if start.event["ts"] <= m <= start.end["ts"]]
    gaps = [later - earlier for earlier, later in pairwise(steps)]
    return sum((gap for gap in gaps if gap <= HALF_AN_HOUR), timedelta())


def row(cell):
    """The columns of the report, out of a cell."""
    times = sorted(cell["times"])
    return {
        "n": len(times),
        "mean_s": fmean(times) if times else None,
        "median_s": percentile(times, 50),
        "p90_s": percentile(times, 90),
        "abandoned": cell["abandoned"],
        "open": cell["open"],
        "p25_s": percentile(times, 25),
        "p75_s": percentile(times, 75),
        "starts": cell["starts"],
        "completed": cell["completed"],
        "superseded": cell["superseded"],
        "outlier": cell["outlier"],
        "orphan_complete": cell["orphan"],
        "extra_complete": cell["extra"],
        "reopened": cell["reopened"],
    }


def percentile(rising, percent):
    if len(rising) < 2:
        return rising[0] if rising else None
    return quantiles(rising, n=100, method="inclusive")[percent - 1]


def revisions(events, scope, types, *, least):
    """Each group and target: users, submissions, revised users, and the revisions of each user, rising."""
    found = {}
    submits = [e for e in people.in_window(events, scope) if e["event_type"] in types and e["person"] is not None]
    for event in submits:
        found.setdefault((group(event, scope), target(event)), {}).setdefault(event["person"], []).append(event["ts"])
    return {cell: [sorted(kept(times, least)) for times in users.values()] for cell, users in found.items()}


def kept(times, least):
    rising = sorted(times)
    return [t for n, t in enumerate(rising) if n == 0 or t - rising[n - 1] >= least]


def parts(events, scope, pair):
    """Each part with how many start it in the range, and complete all that it requires."""
    rows = []
    for part in scope.parts:
        begun, done = {}, {}
        for ((_, name), who), acts in histories(events, scope).items():
            starts = [e["ts"] for e in acts if e["event_type"] == pair.start and inside(e, scope)]
            ends = [e["ts"] for e in acts if e["event_type"] == pair.complete]
            if starts and name in part.targets:
                begun.setdefault(who, set()).add(name)
                if any(end >= min(starts) for end in ends):
                    done.setdefault(who, set()).add(name)
        rows.append((part.name, len(begun), sum(set(part.required) <= done.get(who, set()) for who in begun)))
    return rows
