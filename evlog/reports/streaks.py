"""Streaks: runs of consecutive local dates on which a user was active (metrics §18.10)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from evlog.query import answer, presence
from evlog.query.result import Column

if TYPE_CHECKING:
    from evlog.query.ask import Question
    from evlog.query.result import Result

HELP = "how many days in a row users were active: each user's longest streak"
EXAMPLE = "evlog report streaks --days 90"

_STREAKS = """
CREATE TEMP TABLE {table} AS
WITH present AS ({present}),
     islands AS (
         SELECT place, grp, person, day,
                day - CAST(row_number() OVER (PARTITION BY place, person ORDER BY day) AS INTEGER) AS island
         FROM   present)
SELECT   place, grp, person, count(*) AS length, max(day) AS last
FROM     islands
GROUP BY place, grp, person, island
"""
_BY_GROUP = "SELECT DISTINCT place, grp, person, day FROM shown WHERE active > 0"
_OVERALL = "SELECT DISTINCT 1 AS place, '' AS grp, person, day FROM base WHERE active > 0"
_ROWS = """
WITH longest AS (
         SELECT   place, grp, person, max(length) AS length
         FROM     streaks
         GROUP BY place, grp, person)
SELECT   grp, length, count(*) AS users
FROM     longest
GROUP BY place, grp, length
ORDER BY place, length
"""
_SUMMARY = """
SELECT coalesce(max(length), 0),
       count(DISTINCT person) FILTER (last >= $yesterday),
       coalesce(max(length) FILTER (last >= $yesterday), 0),
       count(DISTINCT person)
FROM   overall
"""
_DAY = timedelta(days=1)


def report(question: Question) -> Result:
    """How many users have a longest streak of each length, counted inside the range."""
    presence.keep(question)
    withheld = answer.group(question)
    question.engine.run(_STREAKS.format(table="streaks", present=_BY_GROUP))
    question.engine.run(_STREAKS.format(table="overall", present=_OVERALL))
    return answer.result(
        question,
        "streaks",
        columns=(Column("length", "count"), Column("users", "count", bar=True)),
        rows=question.engine.rows(_ROWS),
        rule=f"{presence.rule(question)}; streak: consecutive days active, inside the range; users by their longest; "
        "current: users whose streak ends on the as-of day or the day before",
        summary=_summary(question),
        withheld=withheld,
        notes=[] if _reaches(question) else ["the range ends too early to tell which streaks are current"],
    )


def _summary(question: Question) -> dict[str, Any]:
    yesterday = question.window.today - _DAY
    longest, current, current_longest, users = question.engine.rows(_SUMMARY, {"yesterday": yesterday})[0]
    return {"longest": longest, "current": current, "current_longest": current_longest, "users": users}


def _reaches(question: Question) -> bool:
    """Whether the range holds the day before the as-of day: a streak that ends there is current."""
    return question.window.last >= question.window.today - _DAY
