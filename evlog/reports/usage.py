"""The usage summary: means over days and weeks with data, and events per feature (metrics §2)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from evlog.query import answer, presence
from evlog.query.result import Column
from evlog.window import week_begin

if TYPE_CHECKING:
    from datetime import date

    from evlog.query.ask import Question
    from evlog.query.result import Result

HELP = "usage summary: mean daily and weekly users over days with data, events per feature and type"

_BASE = """
SELECT   day, in_range, feature, event_type, grp, person,
         count(*) AS events,
         count(*) FILTER (userless) AS userless,
         count(*) FILTER (active) AS active
FROM     seen
GROUP BY day, in_range, feature, event_type, grp, person
"""
_FEATURES = """
SELECT   grp, feature, CAST(sum(events) AS BIGINT) AS events, count(DISTINCT person) AS users
FROM     shown
WHERE    feature IS NOT NULL
GROUP BY place, grp, feature
ORDER BY place, events DESC, feature
"""
_FEATURE_USAGE = """
SELECT   feature, CAST(sum(events) AS BIGINT) AS events
FROM     base
WHERE    feature IS NOT NULL
GROUP BY feature
HAVING   count(DISTINCT person) >= $min_users
ORDER BY events DESC, feature
"""
_TYPES = """
SELECT   event_type, CAST(sum(events) AS BIGINT) AS events
FROM     base
GROUP BY event_type
HAVING   count(DISTINCT person) >= $min_users
ORDER BY events DESC, event_type
"""


def report(
    question: Question,
    *,
    avg_over: Annotated[
        Literal["data", "all"], "days and weeks that the means count: those with data, or all"
    ] = "data",
    full_weeks_only: Annotated[bool, "leave out weeks that the range cuts"] = False,
) -> Result:
    """Events and users per feature, and the summary: dau, wau, mau, feature_usage, funnel_steps."""
    question.keep("base", _BASE)
    withheld = answer.group(question)
    rows = question.engine.rows(_FEATURES)
    kept = answer.large_enough(question, rows, users=3)
    weeks = _weeks(question, full_only=full_weeks_only)
    return answer.result(
        question,
        "usage",
        columns=(Column("feature"), Column("events", "count", bar=True), Column("users", "count")),
        rows=kept,
        rule=_rule(question, avg_over, full_weeks_only=full_weeks_only),
        options={"avg_over": avg_over, "full_weeks_only": full_weeks_only},
        summary=_summary(question, weeks, over_all=avg_over == "all"),
        kinds={"dau": "number", "wau": "number", "feature_usage": "json", "funnel_steps": "json"},
        definition={"cut_weeks": len(set(question.window.weeks) - _full(question))},
        withheld=withheld + len(rows) - len(kept),
    )


def _summary(question: Question, weeks: list[int], *, over_all: bool) -> dict[str, Any]:
    days = [users for _, _, users in presence.rolling(question, 1, overall=True)]
    floor = {"min_users": question.scope.min_users}
    return {
        "dau": _mean(days, over_all=over_all),
        "wau": _mean(weeks, over_all=over_all),
        "mau": presence.users(question),
        "feature_usage": dict(question.engine.rows(_FEATURE_USAGE, floor)),
        "funnel_steps": dict(question.engine.rows(_TYPES, floor)),
        "total_events": int(question.engine.rows("SELECT coalesce(sum(events), 0) FROM base")[0][0]),
        "unique_days": sum(users > 0 for users in days),
        "unique_weeks": sum(users > 0 for users in weeks),
        "period_days": (question.window.last - question.window.first).days + 1,
    }


def _mean(counts: list[int], *, over_all: bool) -> float:
    counted = len(counts) if over_all else sum(count > 0 for count in counts)
    return sum(counts) / counted if counted else 0.0


def _weeks(question: Question, *, full_only: bool) -> list[int]:
    """The distinct users of each week: of its days in the range."""
    full = _full(question)
    periods = {day: _begin(question, day) for day in question.window.days}
    wanted = {day: begin for day, begin in periods.items() if not full_only or begin in full}
    return [users for _, _, users in presence.calendar(question, wanted, overall=True)]


def _full(question: Question) -> set[date]:
    """The first days of the weeks that lie wholly in the range."""
    window = question.window
    return {begin for begin in window.weeks if begin >= window.first and begin + timedelta(days=6) <= window.last}


def _begin(question: Question, day: date) -> date:
    return week_begin(day, question.window.week_start)


def _rule(question: Question, avg_over: str, *, full_weeks_only: bool) -> str:
    over = "all days and weeks" if avg_over == "all" else "days and weeks with an active user"
    weeks = "weeks wholly in the range" if full_weeks_only else "weeks cut by the range count as they are"
    return f"{presence.rule(question)}; dau, wau: means over {over} ({weeks}); mau: distinct users of the range"
