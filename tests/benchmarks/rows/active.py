"""Rows about active users: from rollups in 1/20 of a scan, and with a condition that no rollup holds in a scan."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from benchmarks.asking import REPORT_MB, Question
from benchmarks.people import LAST_DAY
from benchmarks.row import Reach

if TYPE_CHECKING:
    from collections.abc import Callable

DAYS = 30
WINDOWS = {"dau": 1, "wau": 7, "mau": 30}
_FIRST = LAST_DAY - timedelta(days=DAYS - 1)

# Each user counts from a day on which they were seen until the next such day, or until the window has passed: every
# pair of user and day is touched once, however long the window. Counting each window by itself takes twice as long.
_DUCKDB_TRAILING = """
WITH seen AS (
         SELECT DISTINCT user_id, date
         FROM   {{events}}
         WHERE  date >= DATE '{since}' {where}),
     spans AS (
         SELECT date,
                least(lead(date) OVER (PARTITION BY user_id ORDER BY date), date + {window}) AS until
         FROM   seen),
     changes AS (
         SELECT   date AS day, count(*) AS users FROM spans GROUP BY date
         UNION ALL
         SELECT   until AS day, -count(*) AS users FROM spans GROUP BY until),
     standing AS (
         SELECT   day, sum(sum(users)) OVER (ORDER BY day) AS users
         FROM     changes
         GROUP BY day)
SELECT   day, CAST(users AS BIGINT)
FROM     standing
WHERE    day BETWEEN DATE '{first}' AND DATE '{last}'
ORDER BY day
"""
_DUCKDB_DAY = """
SELECT   date, count(DISTINCT user_id)
FROM     {{events}}
WHERE    date >= DATE '{first}' {where}
GROUP BY date
ORDER BY date
"""
_CHDB_TRAILING = """
SELECT day, users
FROM  (SELECT day, uniqExactMerge(state) OVER (ORDER BY day ROWS BETWEEN {before} PRECEDING AND CURRENT ROW) AS users
       FROM  (SELECT   toDate(ts) AS day, uniqExactState(user_id) AS state
              FROM     {{events}}
              WHERE    ts >= toDateTime64('{since} 00:00:00', 6, 'UTC') {where}
              GROUP BY day))
WHERE    day >= '{first}'
ORDER BY day
"""
_CHDB_DAY = """
SELECT   toDate(ts) AS day, uniqExact(user_id)
FROM     {{events}}
WHERE    ts >= toDateTime64('{first} 00:00:00', 6, 'UTC') {where}
GROUP BY day
ORDER BY day
"""


def _sql(name: str, duckdb: str = "", chdb: str = "") -> dict[Any, str]:
    """The question to each peer; in every day somebody was seen, so no day is missing."""
    window = WINDOWS[name]
    said = {
        "first": _FIRST,
        "last": LAST_DAY,
        "since": _FIRST - timedelta(days=window - 1),
        "window": window,
        "before": window - 1,
    }
    day = window == 1
    return {
        "duckdb": (_DUCKDB_DAY if day else _DUCKDB_TRAILING).format(**said, where=duckdb),
        "chdb": (_CHDB_DAY if day else _CHDB_TRAILING).format(**said, where=chdb),
    }


def _rows(name: str) -> Callable[[Any], list[list[Any]]]:
    return lambda told: [[row["date"], row[name]] for row in told["rows"]]


QUESTIONS = (
    *(
        Question(
            f"report-{name}",
            f"report {name} --days {DAYS}",
            Reach(ratio=0.05, wall_ms=250, peak_mb=REPORT_MB),
            ("report", name, "--days", str(DAYS)),
            _rows(name),
            _sql(name),
        )
        for name in WINDOWS
    ),
    *(
        Question(
            f"adhoc-{name}",
            f"{name} where target_type=exercise",
            Reach(ratio=1, peak_mb=REPORT_MB),
            ("report", name, "--days", str(DAYS), "--where", "target_type=exercise"),
            _rows(name),
            _sql(name, "AND target_type = 'exercise'", "AND target_type = 'exercise'"),
        )
        for name in WINDOWS
    ),
    Question(
        "adhoc-json",
        "dau where context.platform=ios",
        Reach(ratio=1, peak_mb=REPORT_MB),
        ("report", "dau", "--days", str(DAYS), "--where", "context.platform=ios"),
        _rows("dau"),
        _sql(
            "dau",
            "AND json_extract_string(context, 'platform') = 'ios'",
            "AND JSONExtractString(context, 'platform') = 'ios'",
        ),
    ),
)
ROWS = tuple(row for question in QUESTIONS for row in question.rows())
