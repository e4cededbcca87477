"""One lane of a funnel: its best chain, by trying every chain (metrics §7.1 to §7.5, §7.9)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1)
FOREVER = timedelta(days=30_000)


@dataclass(frozen=True)
class Asked:
    """The question. A step is a set of event types; a name that ends in ? is optional. Keys are properties."""

    steps: tuple[str, ...]
    first: date
    last: date
    until: datetime
    tz: str = "UTC"
    window: timedelta = timedelta(days=14)
    step_window: timedelta = FOREVER
    order: str = "ordered"
    attempt: str = "best"
    ties: str = "step"
    start: str = "last"
    share: bool = False
    anchored: bool = False
    grace: timedelta = timedelta(0)
    exclude: tuple[tuple[str, int, int], ...] = ()  # event type, between these required steps (from 1)
    remove: bool = False
    strict_scope: str = "all"
    ignore: tuple[str, ...] = ()
    within_session: bool = False
    timeout: timedelta = timedelta(minutes=30)
    inactive: tuple[str, ...] = ()
    hold: tuple[str, ...] = ()
    unit: str = "user"
    by: str | None = None
    attribution: str = "first"
    top: int | None = None
    min_users: int = 0
    cut: bool = False
    complete_only: bool = False
    per: str | None = None
    histogram: bool = False

    @property
    def required(self):
        return [n for n, step in enumerate(self.steps) if not step.endswith("?")]

    @property
    def free(self):
        return self.order == "any" and not self.anchored

    @property
    def reach(self):
        gaps = len(self.required) - (0 if self.steps[-1].endswith("?") else 1)
        if not gaps or self.step_window >= FOREVER:
            return self.window
        return min(self.window, self.step_window * gaps)


def fits(event, step):
    return step.rstrip("?") == "*" or event["event_type"] in step.rstrip("?").split("|")


def local(event, q):
    return event["ts"].replace(tzinfo=UTC).astimezone(ZoneInfo(q.tz)).date()


def inside(event, q):
    return q.first <= local(event, q) <= q.last


def prop(event, key):
    if key == "session_id":
        return event.get(key)
    value = event.get("properties", {}).get(key)
    return None if value is None else str(value)


def clustered(own, q):
    """(instant, event), with what lies within the grace of an event that fits a step at the instant of that event."""
    found, head = [], None
    for event in own:
        if any(fits(event, q.steps[n]) and (n or q.free or inside(event, q)) for n in q.required) and (
            head is None or event["ts"] - head > q.grace
        ):
            head = event["ts"]
        near = head is not None and event["ts"] - head <= q.grace
        found.append((head if near else event["ts"], event))
    return found


def enters(event, q):
    steps = q.required if q.order == "any" and not q.anchored else [0]
    return any(fits(event, q.steps[n]) for n in steps)


def chain(own, q, entry):
    """The chosen chain as (place, step) pairs; empty if there is none, or an exclusion takes its owner out."""
    exclude = () if q.remove else q.exclude
    found = list(chains(own, q, entry, [], exclude))
    if q.attempt == "first" and found:
        begin = min(own[c[0][0]][0] for c in found)
        found = [c for c in found if own[c[0][0]][0] == begin]
        best = min(found, key=lambda c: greedy(own, c, q))
    else:
        best = min(found, key=lambda c: rank(own, c, q), default=[])
    return [] if q.remove and tainted(own, best, q.exclude) else best


def rank(own, c, q):
    at = [own[place][0] for place, _ in c]
    begun = at[0] - EPOCH if q.start == "first" else EPOCH - at[0]
    return (-len(c), at[-1], begun, at, [place for place, _ in c], [step for _, step in c])


def greedy(own, c, q):
    at = [own[place][0] for place, _ in c]
    return [*at, *[datetime.max] * (len(q.required) - len(c))], [place for place, _ in c], [step for _, step in c]


def chains(own, q, entry, begun, exclude):
    """Every chain that goes on from here."""
    for place, (_, event) in enumerate(own):
        for step in range(len(q.required)):
            longer = [*begun, (place, step)]
            if (
                fits(event, q.steps[q.required[step]])
                and may(own, longer, q, entry)
                and not tainted(own, longer, exclude)
            ):
                yield longer
                if len(longer) < len(q.required):
                    yield from chains(own, q, entry, longer, exclude)


def may(own, c, q, entry):
    (place, step), level = c[-1], len(c)
    at, event = own[place]
    if level == 1:
        return entry(event) and (step == 0 or (q.order == "any" and not q.anchored))
    before_place, _ = c[-2]
    before = own[before_place][0]
    if (step in {s for _, s in c[:-1]}) if q.order == "any" else step != level - 1:
        return False
    if not q.share and place in {p for p, _ in c[:-1]}:
        return False
    if step == 0 and q.order != "any" and not entry(event):
        return False
    late = {"strict": at <= before, "step": at < before, "seq": place < before_place}[q.ties]
    if late or at - own[c[0][0]][0] > q.window or at - before > q.step_window:
        return False
    return q.order != "strict" or not any(before < t < at and breaks(e, q) for t, e in own)


def breaks(event, q):
    if any(fits(event, q.steps[n]) and (n or inside(event, q)) for n in q.required):
        return True
    if q.strict_scope == "steps" or event["event_type"] in q.ignore:
        return False
    return not any(fits(event, step) for step in q.steps if step.endswith("?"))


def tainted(own, c, exclude):
    """Whether an excluded event lies strictly between the steps it may not."""
    for kind, first, last in exclude:
        if len(c) > first:
            begin, end = own[c[first - 1][0]][0], own[c[min(last, len(c)) - 1][0]][0]
            if any(begin < at < end and event["event_type"] == kind for at, event in own):
                return True
    return False
