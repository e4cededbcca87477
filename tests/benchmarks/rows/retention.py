"""Rows about retention: cohorts of the week in which a user was first seen, and who came back in the seven weeks after."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from benchmarks.asking import REPORT_MB, Question
from benchmarks.people import LAST_DAY
from benchmarks.row import Reach

WEEKS = 8
_OPEN = LAST_DAY - timedelta(days=LAST_DAY.weekday())  # the week that is not over: cells in it are not known yet

_DUCKDB = """
WITH seen AS (
         SELECT DISTINCT user_id, CAST(date_trunc('week', date) AS DATE) AS week
         FROM   {{events}}
         WHERE  date < DATE '{open}' {where}),
     aged AS (
         SELECT week, min(week) OVER (PARTITION BY user_id) AS cohort
         FROM   seen)
SELECT   cohort, (week - cohort) // 7 AS weeks, count(*)
FROM     aged
WHERE    weeks < {weeks}
GROUP BY ALL
ORDER BY ALL
"""
_CHDB = """
SELECT   cohort, intDiv(week - cohort, 7) AS weeks, count()
FROM    (SELECT user_id, groupUniqArray(toMonday(ts)) AS found, arrayMin(found) AS cohort
         FROM   {{events}}
         WHERE  ts < toDateTime64('{open} 00:00:00', 6, 'UTC') {where}
         GROUP BY user_id)
ARRAY JOIN found AS week
WHERE    weeks < {weeks}
GROUP BY cohort, weeks
ORDER BY cohort, weeks
"""


def _cells(told: Any) -> list[list[Any]]:
    """Cohort, weeks after, users; but for cells of nobody, of which SQL knows nothing, and the week that is not over."""
    return [
        [row["cohort"], week, users]
        for row in told["rows"]
        for week, users in enumerate(row["retained"])
        if users and date.fromisoformat(row["cohort"]) < _OPEN
    ]


def _question(name: str, work: str, *more: str, where: str = "") -> Question:
    return Question(
        name,
        work,
        Reach(ratio=1, peak_mb=REPORT_MB),
        ("report", "retention", "--period", "week", "--periods", str(WEEKS), "--all-time", *more),
        _cells,
        {
            "duckdb": _DUCKDB.format(weeks=WEEKS, open=_OPEN, where=where),
            "chdb": _CHDB.format(weeks=WEEKS, open=_OPEN, where=where),
        },
    )


QUESTIONS = (
    _question("retention", f"retention, {WEEKS} weeks"),
    _question(
        "retention-adhoc",
        f"retention, {WEEKS} weeks, where target_type=exercise",
        "--where",
        "target_type=exercise",
        where="AND target_type = 'exercise'",
    ),
)
ROWS = tuple(row for question in QUESTIONS for row in question.rows())
