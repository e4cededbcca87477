"""Timeliness: how long events take to come, and whether they still come."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from evlog.check.finding import Daily, Finding, Measure, by_day, judged, no_data, share
from evlog.check.look import LIVE
from evlog.query.ask import Reach
from evlog.store.layout import SEQ_BITS
from evlog.window import local_date

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from evlog.check.look import Look

_NOT_LIVE = "no live event"
_LAG = """
SELECT   day,
         greatest(0, quantile_cont(epoch_us(received_at) - epoch_us(ts), 0.95) / 1000000) AS p95,
         count(*) AS events
FROM     seen JOIN live ON live.batch = seq >> $seq_bits
WHERE    received_at - ts <= $live_for
GROUP BY day
ORDER BY day
"""
_LATE = """
SELECT   max(received), CAST(sum(events) - sum(recent) AS BIGINT), CAST(sum(events) AS BIGINT)
FROM     arrived JOIN live USING (batch)
GROUP BY batch
ORDER BY batch
"""
_NEWEST = """
WITH batches AS (
         SELECT   seq >> $seq_bits AS batch,
                  max(ts) AS newest,
                  2 * count(*) FILTER (received_at - ts <= $live_for) > count(*) AS is_live
         FROM     seen
         GROUP BY batch)
SELECT max(newest), bool_or(is_live)
FROM   batches
"""
_WEEK = timedelta(days=6)


def lag(look: Look, limit: timedelta) -> Iterator[Finding]:
    """The 95th percentile of the time from event to receipt, over live events."""
    found = look.question.rows(_LAG, {"seq_bits": SEQ_BITS, "live_for": LIVE})
    yield by_day(
        Measure(
            "lag", "timeliness", "seconds", limit.total_seconds(),
            "look at what sends them; where a file is brought in now and then, say how often: --lag 2h", _NOT_LIVE,
        ),
        (Daily(day, p95, f"5% of {events:,} live events on {day} took longer") for day, p95, events in found),
    )  # fmt: skip


def late(look: Look, limit: float) -> Iterator[Finding]:
    """Events that came in among live ones, more than a day after their time: clocks behind, or queues kept long.

    They count on the day on which they came in.
    """
    old: Counter[date] = Counter()
    held: Counter[date] = Counter()
    for received, more_old, more in look.question.engine.rows(_LATE):
        day = local_date(received, look.question.window.tz)
        old[day] += more_old
        held[day] += more
    yield by_day(
        Measure(
            "late", "timeliness", "rate", limit,
            "clocks that are behind, or devices that were offline; count them anew with: evlog rollup", _NOT_LIVE,
        ),
        (share(day, old[day], held[day], "live events were more than a day old when they came") for day in held),
    )  # fmt: skip


def freshness(look: Look, limit: timedelta) -> Iterator[Finding]:
    """How old the newest event is, where events come in live at all."""
    question = look.question
    measure = Measure(
        "freshness", "timeliness", "seconds", limit.total_seconds(),
        "nothing comes in any more: look at what sends events", "the newest are not live",
    )  # fmt: skip
    held = [day for day in question.snapshot.days if day <= question.window.until.date()]
    if not held:
        yield no_data(measure)
        return
    newest, is_live = question.rows(
        _NEWEST, {"seq_bits": SEQ_BITS, "live_for": LIVE}, reach=Reach(held[-1] - _WEEK, None)
    )[0]
    if not is_live:
        yield no_data(measure)
        return
    age = max((question.window.as_of - newest).total_seconds(), 0.0)
    silent = local_date(newest + limit, question.window.tz)
    yield judged(measure, age, f"the newest event is of {newest:%Y-%m-%d %H:%M} UTC", since=silent)
