"""Who began when, and in which periods after it they came back: the tables that retention counts from (metrics §8).

`base` has a row for each entry into a cohort: a person, and the period in which they began. `gaps` has, for each entry,
the numbers of the periods after it in which the person returned; each once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from evlog.query import first_seen
from evlog.query.acts import ACTIVE
from evlog.query.ask import Reach

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from evlog.query.acts import Act
    from evlog.query.ask import Question
    from evlog.query.first_seen import Past
    from evlog.window import Unit

Cohort = Literal["first-ever", "first-in-range", "recurring"]
Clock = Literal["calendar", "rolling"]
LENGTHS: dict[Unit, timedelta] = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}
"""How long a period is by the rolling clock."""

_STARTS = """
SELECT   person, {number} AS number,
         min(ts) AS ts,
         arg_min(seq, (ts, seq)) AS seq,
         arg_min(grp, (ts, seq)) AS grp,
         min(day) AS day
FROM     seen {calendar}
WHERE    person IS NOT NULL AND ({act})
GROUP BY person, number
"""
_IN_RANGE = {"number": "0", "calendar": ""}
_EACH_PERIOD = {"number": "calendar.number", "calendar": "JOIN calendar USING (day)"}
_BASE = """
CREATE TEMP TABLE base AS
SELECT CAST(row_number() OVER () AS INTEGER) AS entry,
       grp, person, ts, seq, calendar.number,
       1 AS events, 0 AS userless, TRUE AS in_range
FROM   {starts} JOIN calendar USING (day)
WHERE  calendar.number >= 0
"""
_GAPS = """
WITH came AS (
         SELECT DISTINCT person, calendar.number
         FROM   seen JOIN calendar USING (day)
         WHERE  person IS NOT NULL AND ({act}))
SELECT entry, CAST(came.number - base.number AS INTEGER) AS gap
FROM   base JOIN came USING (person)
WHERE  came.number BETWEEN base.number AND base.number + CAST($most AS BIGINT)
"""
_LIVED = """
SELECT   person, calendar.number, min(ts) AS ts, min(day) AS day,
         count(*) AS events, count(*) FILTER (userless AND in_range) AS userless
FROM     seen LEFT JOIN calendar USING (day)
WHERE    person IS NULL OR ({act})
GROUP BY person, calendar.number
"""
_READ_LIVED = "SELECT CAST(sum(events) AS BIGINT), CAST(sum(userless) AS BIGINT) FROM lived WHERE number IS NOT NULL"
_READ = "SELECT count(*), count(*) FILTER (userless AND in_range) FROM seen"
_FIRST_LIVED = """
CREATE TEMP TABLE held_first AS
SELECT   person, min(ts) AS ts, CAST(NULL AS BIGINT) AS seq, '' AS grp, min(day) AS day
FROM     lived
WHERE    person IS NOT NULL
GROUP BY person
"""
_GAPS_LIVED = """
CREATE TEMP TABLE gaps AS
SELECT entry, CAST(lived.number - base.number AS INTEGER) AS gap
FROM   base JOIN lived USING (person)
WHERE  lived.number BETWEEN base.number AND base.number + CAST($most AS BIGINT)
"""
_GAPS_EACH = """
WITH lived AS (
         SELECT entry, CAST({gap} AS INTEGER) AS gap
         FROM   seen JOIN calendar USING (day) JOIN base ON base.person = seen.person
         WHERE  ({act})
                AND (seen.ts > base.ts OR (seen.ts = base.ts AND seen.seq IS DISTINCT FROM base.seq)))
SELECT DISTINCT entry, gap
FROM   lived
WHERE  gap <= CAST($most AS BIGINT)
"""
_PERIODS_SINCE = "calendar.number - base.number"
_LENGTHS_SINCE = "(epoch_us(seen.ts) - epoch_us(base.ts)) // CAST($length AS BIGINT)"

_SIZES = """
SELECT   place, number, count(*), min(ts), max(ts)
FROM     base JOIN groups USING (grp)
GROUP BY place, number
ORDER BY place, number
"""
_ON = """
SELECT   place, number, gap, count(*)
FROM     base JOIN groups USING (grp) JOIN gaps USING (entry)
GROUP BY place, number, gap
ORDER BY place, number, gap
"""
_LAST = """
WITH last AS (SELECT entry, max(gap) AS gap FROM gaps GROUP BY entry)
SELECT   place, number, gap, count(*)
FROM     base JOIN groups USING (grp) JOIN last USING (entry)
GROUP BY place, number, gap
ORDER BY place, number, gap
"""
_BRACKETS = """
WITH brackets AS (SELECT unnest($numbers) AS bracket, unnest($first) AS first, unnest($last) AS last),
     inside AS (SELECT DISTINCT entry, bracket FROM gaps JOIN brackets ON gap BETWEEN first AND last)
SELECT   place, number, bracket, count(*)
FROM     base JOIN groups USING (grp) JOIN inside USING (entry)
GROUP BY place, number, bracket
ORDER BY place, number, bracket
"""
_ENDLESS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Size:
    """How many began in a cohort, and when the first and the last of them did."""

    people: int
    first: datetime
    last: datetime


Cell = tuple[int, int, int]
"""Which cell: the place of the group, the number of the cohort's period, the number of the cell."""


def keep_lived(question: Question, act: Act, *, most: int | None) -> Past:
    """Make `base` and `gaps` in one, where whoever began by an act comes back by the same in a calendar period.

    Events are read once: when a person was first there follows from when they first were in each period.
    """
    question.keep("lived", _LIVED.format(act=act.sql), act.params, reach=Reach(None, question.window.last))
    question.engine.run(_FIRST_LIVED)
    past = first_seen.add_remembered(question, act)
    question.engine.run(_BASE.format(starts="first_seen"))
    question.engine.run(_GAPS_LIVED, {"most": _ENDLESS if most is None else most})
    return past


def read(question: Question, unit: Unit) -> tuple[int, int]:
    """The events read of the window's periods, and how many of those in the window have no user."""
    found = question.rows(_READ, reach=reach(question, unit))[0]
    return int(found[0]), int(found[1])


def read_lived(question: Question) -> tuple[int, int]:
    """The same of what `keep_lived` kept of an act that every event of a person is."""
    events, userless = question.engine.rows(_READ_LIVED)[0]
    return int(events or 0), int(userless or 0)


def keep_starts(question: Question, act: Act, cohort: Cohort, unit: Unit, *, exactly: bool) -> Past:
    """Make `base` of who began in the periods of `calendar`; what is known of purged days.

    `exactly`: returns are told from starts by which event they are.
    """
    if cohort == "first-ever":
        past = first_seen.keep(question, act, exactly=exactly)
        question.engine.run(_BASE.format(starts="first_seen"))
        return past
    how = _IN_RANGE if cohort == "first-in-range" else _EACH_PERIOD
    question.keep("starts", _STARTS.format(act=act.sql, **how), act.params, reach=reach(question, unit))
    question.engine.run(_BASE.format(starts="(SELECT * EXCLUDE (number) FROM starts)"))
    return first_seen.past(question)


def keep_gaps(question: Question, act: Act, *, unit: Unit, clock: Clock, most: int | None, after: bool) -> None:
    """Make `gaps` of the returns in the periods from the start's own to `most` later (None: however late).

    With `after`, a return in the start's own period counts only after the start (metrics §8, `--p0 return`).
    """
    params = {**act.params, "most": _ENDLESS if most is None else most}
    if clock == "rolling":
        params["length"] = LENGTHS[unit] // timedelta(microseconds=1)
        sql = _GAPS_EACH.format(act=act.sql, gap=_LENGTHS_SINCE)
    else:
        sql = _GAPS_EACH.format(act=act.sql, gap=_PERIODS_SINCE) if after else _GAPS.format(act=act.sql)
    keep = question.keep_daily if act.sql == ACTIVE.sql and clock == "calendar" and not after else question.keep
    keep("gaps", sql, params, reach=reach(question, unit))


def reach(question: Question, unit: Unit) -> Reach:
    """The window, its first period whole."""
    return Reach(question.window.widened(unit).first, question.window.last)


def sizes(question: Question) -> dict[tuple[int, int], Size]:
    """The size of each cohort that is not empty, by place and period; withheld groups too."""
    return {(place, number): Size(n, first, last) for place, number, n, first, last in question.engine.rows(_SIZES)}


def on(question: Question) -> dict[Cell, int]:
    """How many of each cohort returned in exactly each period."""
    return _cells(question.engine.rows(_ON))


def last(question: Question) -> dict[Cell, int]:
    """How many of each cohort returned for the last time in each period."""
    return _cells(question.engine.rows(_LAST))


def within(question: Question, brackets: Sequence[tuple[int, int]]) -> dict[Cell, int]:
    """How many of each cohort returned in any period of each bracket."""
    params = {
        "numbers": list(range(len(brackets))),
        "first": [first for first, _ in brackets],
        "last": [last for _, last in brackets],
    }
    return _cells(question.engine.rows(_BRACKETS, params))


def _cells(rows: Sequence[tuple[int, int, int, int]]) -> dict[Cell, int]:
    return {(place, number, gap): count for place, number, gap, count in rows}
