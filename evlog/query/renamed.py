"""On which days ids came to mean another person since the rollups were made (metrics §13): links reach into the past.

The rollups keep up to which commit and instant they know who is who (store/linked.py); what was said before is in their
numbers. What was said since is looked for here, in the partitions that changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.frozen import dataclass
from evlog.query import view
from evlog.store.layout import SEQ_BITS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from evlog.query.ask import Question, Reach
    from evlog.store.linked import Head

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
    """The partitions on which ids mean another person now; or that it may be any of them.

    `ties` says that ids were linked which were not, or otherwise; perhaps they occur on no day without a user.
    """

    anywhere: bool = False
    days: frozenset[date] = frozenset()
    ties: bool = False


def news(question: Question) -> News:
    """What is to be known of links beyond what the rollups know.

    What people link, alias events, and days that came back may concern any day. An event with both ids concerns the
    days on which its anonymous id occurs without a user, and only where it says something new: that id was nobody's,
    or is several's. A purge may have taken links along.
    """
    known, until = question.rollups.linked, question.window.until
    if known.until is None or known.batch > question.snapshot.batch:
        return News(anywhere=True)
    if known.ids != 0 and known.purged_before != question.rollups.purged.before:
        return News(anywhere=True)
    start = (known.batch + 1) << SEQ_BITS
    touched = question.rollups.changes.touched.values()
    if any(line.seq >= start for line in question.said) or any(
        touch.batch > known.batch and touch.why == _RESTORED for touch in touched
    ):
        return News(anywhere=True)
    return _said(question, known.batch, low=min(until, known.until), high=max(until, known.until))


def count(question: Question, reach: Reach) -> int | None:
    """How many ids count as another's for the events of a reach, as the rollups know it (see `Identity.count`).

    None where they do not, since something may have been said since, or where it takes a look at events.
    """
    known = question.rollups.linked
    if known.users is None or known.ids is None or not known_whole(question):
        return None
    if known.users == known.ids:
        return known.users
    days = {file.day for file in question.files(reach)}
    new = {day for day in days if _is_new(question, known, day)}
    if known.nobodys is None or new:
        return None
    return known.ids if any(first <= day <= last for day in days for first, last in known.nobodys) else known.users


def known_whole(question: Question) -> bool:
    """Whether the rollups know of all links: nothing was said since, nor did an erasure leave other words standing."""
    rollups, since = question.rollups, question.rollups.linked.batch
    return rollups.news == News() and all(touch.batch <= since for touch in rollups.changes.touched.values())


def _is_new(question: Question, known: Head, day: date) -> bool:
    """Whether a partition changed since the links were looked at, or time lets another part of it be seen."""
    touch, until = question.rollups.changes.of(day), question.window.until
    if touch is not None and touch.batch > known.batch:
        return True
    return known.until is None or (until != known.until and day >= min(until, known.until).date())


def _said(question: Question, batch: int, *, low: datetime, high: datetime) -> News:
    """What events say that came in after a commit, or lie between two instants of which one plays now."""
    snapshot, engine = question.snapshot, question.engine
    changes = question.rollups.changes
    days = {day for day in changes.days if day <= high.date() and (low < high and day >= low.date())}
    days |= {day for day in changes.since(batch) if day <= high.date()}
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
    return News(days=_days(question, everything, parts), ties=True)


def _days(question: Question, events: str, files: Mapping[str, object]) -> frozenset[date]:
    return frozenset(day for (day,) in question.engine.rows(_DAYS.format(events=events), files))
