"""Rows about funnels: ClickHouse's windowFunnel over the same events."""

from __future__ import annotations

from typing import Any

from benchmarks.asking import REPORT_MB, Question
from benchmarks.row import Reach

WINDOW_DAYS = 7
STEPS = ("page_view", "exercise_start", "exercise_complete", "tool_submit", "bookmark", "search", "download", "share")

# No type and no time is null, and to say so spares the peer half of its work. A user who reached a level reached those below it as well.
_SQL = """
WITH levels AS (
    SELECT   windowFunnel({window})(toUInt64(toUnixTimestamp64Micro(assumeNotNull(ts))), {steps}) AS level
    FROM     {{events}}
    WHERE    event_type IN ({types})
    GROUP BY user_id)
SELECT   step, countIf(level >= step)
FROM     levels
ARRAY JOIN range(1, {count} + 1) AS step
GROUP BY step
ORDER BY step
"""


def _sql(steps: tuple[str, ...]) -> str:
    return _SQL.format(
        window=WINDOW_DAYS * 86_400_000_000,
        steps=", ".join(f"assumeNotNull(event_type) = '{step}'" for step in steps),
        types=", ".join(f"'{step}'" for step in steps),
        count=len(steps),
    )


def _reached(told: Any) -> list[list[Any]]:
    return [[row["step"], row["users"]] for row in told["rows"]]


QUESTIONS = tuple(
    Question(
        f"funnel-{count}",
        f"funnel of {count} steps within {WINDOW_DAYS} days",
        Reach(ratio=1, peak_mb=REPORT_MB),
        ("funnel", *STEPS[:count], "--window", f"{WINDOW_DAYS}d", "--all-time"),
        _reached,
        {"chdb": _sql(STEPS[:count])},
    )
    for count in (3, 5, 8)
)
ROWS = tuple(row for question in QUESTIONS for row in question.rows())
