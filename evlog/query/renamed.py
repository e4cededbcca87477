"""On which days ids came to mean another person since the rollups were made (metrics §13): links reach into the past.

The rollups keep up to which commit and instant they know who is who (store/linked.py); what was said before is in their
numbers. What was said since is looked for here, in the partitions that changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evlog.query import view
from evlog.store import linked, rollups, tombstones
from evlog.store.layout import SEQ_BITS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from evlog.query.ask import Question

_IS_ALIAS = "event_type IN ('$create_alias', '$identify', 'alias', 'identify', 'user_alias')"
_NEW = "(seq >= $since OR ts >= $low) AND ts < $high"
_SAID = """
WITH events AS NOT MATERIALIZED ({events})
SELECT coalesce(bool_or({alias}), FALSE),
       coalesce(bool_or(user_id IS NOT NULL AND anonymous_id IS NOT NULL), FALSE)
FROM   events
WHERE  {new}
"""
_TIES = """
CREATE OR REPLACE TEMP TABLE new_ties AS
WITH events AS NOT MATERIALIZED ({events})
SELECT   DISTINCT anonymous_id
FROM     events
WHERE    user_id IS NOT NULL AND anonymous_id IS NOT NULL AND {new}
"""
_FRESH = """
CREATE OR REPLACE TEMP TABLE fresh_ties AS
WITH events AS NOT MATERIALIZED ({events})
SELECT   anonymous_id
FROM     events JOIN new_ties USING (anonymous_id)
WHERE    user_id IS NOT NULL AND ts < $high
GROUP BY anonymous_id
HAVING   count(DISTINCT user_id) > 1 OR bool_and(seq >= $since OR ts >= $low)
"""
_DAYS = """
WITH events AS NOT MATERIALIZED ({events})
SELECT   DISTINCT date
FROM     events JOIN fresh_ties USING (anonymous_id)
WHERE    user_id IS NULL
ORDER BY date
"""
_ANY_TIE = "SELECT 1 FROM fresh_ties LIMIT 1"
_RESTORED = "restored"  # why a partition changed that may bring links back


@dataclass(frozen=True, slots=True)
class News:
    """The partitions on which ids mean another person now; or that it may be any of them."""

    anywhere: bool = False
    days: frozenset[date] = frozenset()


def news(question: Question) -> News:
    """What is to be known of links beyond what the rollups know.

    What people link, alias events, and days that came back may concern any day. An event with both ids concerns the
    days on which its anonymous id occurs without a user, and only where it says something new: that id was nobody's,
    or is several's. A purge may have taken links along.
    """
    known, until = linked.load(question.store), question.window.until
    if known.until is None or known.batch > question.snapshot.batch:
        return News(anywhere=True)
    if known.entries and known.purged_before != tombstones.load(question.store).purged_before:
        return News(anywhere=True)
    start = (known.batch + 1) << SEQ_BITS
    touched = rollups.touched(question.store).values()
    if any(line.seq >= start for line in question.said) or any(
        touch.batch > known.batch and touch.why == _RESTORED for touch in touched
    ):
        return News(anywhere=True)
    return _said(question, known.batch, low=min(until, known.until), high=max(until, known.until))


def _said(question: Question, batch: int, *, low: datetime, high: datetime) -> News:
    """What events say that came in after a commit, or lie between two instants of which one plays now."""
    snapshot, engine = question.snapshot, question.engine
    changes = rollups.changes(question.store, snapshot)
    days = {day for day, touch in changes.items() if touch.batch > batch or (low < high and day >= low.date())}
    hot = [file for file in snapshot.hot if file.day in days]
    cold = [file for file in snapshot.cold if file.day in days]
    if not hot and not cold:
        return News()
    events, files = view.relation(hot, cold)
    edge = {"since": (batch + 1) << SEQ_BITS, "low": low, "high": high}
    aliased, tied = engine.rows(_SAID.format(events=events, alias=_IS_ALIAS, new=_NEW), {**files, **edge})[0]
    if aliased:
        return News(anywhere=True)
    if not tied:
        return News()
    engine.run(_TIES.format(events=events, new=_NEW), {**files, **edge})
    everything, parts = view.relation(snapshot.hot, snapshot.cold)
    engine.run(_FRESH.format(events=everything), {**parts, **edge})
    if not engine.rows(_ANY_TIE):
        return News()
    return News(days=_days(question, everything, parts))


def _days(question: Question, events: str, files: Mapping[str, object]) -> frozenset[date]:
    return frozenset(day for (day,) in question.engine.rows(_DAYS.format(events=events), files))
