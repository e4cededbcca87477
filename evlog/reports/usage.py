"""The usage summary: means over days and weeks with data, and events per feature (metrics §2)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from evlog.query import answer, apart, presence, rolled, tabled
from evlog.query.result import Column
from evlog.query.rolled import Counted
from evlog.query.standing import Standing
from evlog.query.tabled import Table
from evlog.window import week_begin

if TYPE_CHECKING:
    from datetime import date

    from evlog.query.apart import Alone
    from evlog.query.ask import Question
    from evlog.query.result import Result

HELP = "usage summary: mean daily and weekly users over days with data, events per feature and type"
ROLLUP = (
    Standing(
        "usage",
        ("day", "week", "month"),
        {"events": "events", "users": "users"},
        key=("feature",),
        additive=("events",),
        summary={
            "dau": "dau_mean",
            "wau": "wau_mean",
            "mau": "users",
            "total_events": "events",
            "unique_days": "unique_days",
            "unique_weeks": "unique_weeks",
        },
    ),
)
_TABLE = Table(
    ROLLUP[0],
    ("events", "users"),
    order=lambda row: (-row[2], row[1]),
    sums=("total_events", "unique_days"),
    beside=rolled.EVENTS,
)

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
_FEATURES_EACH = """
SELECT   grp, feature, count(*) AS events, count(DISTINCT person) AS users
FROM     seen
WHERE    feature IS NOT NULL
GROUP BY grp, feature
ORDER BY grp, events DESC, feature
"""
_FEATURE_USAGE = """
SELECT   '', feature, CAST(sum(events) AS BIGINT) AS events, count(DISTINCT person) AS users
FROM     base
WHERE    feature IS NOT NULL
GROUP BY feature
ORDER BY events DESC, feature
"""
_TYPES = """
SELECT   '', event_type, CAST(sum(events) AS BIGINT) AS events, count(DISTINCT person) AS users
FROM     base
GROUP BY event_type
ORDER BY events DESC, event_type
"""
_TOTAL = "SELECT {grp}, CAST(coalesce(sum(events), 0) AS BIGINT) FROM base {each}"


def report(
    question: Question,
    *,
    avg_over: Annotated[
        Literal["data", "all"], "days and weeks that the means count: those with data, or all"
    ] = "data",
    full_weeks_only: Annotated[bool, "leave out weeks that the range cuts"] = False,
) -> Result:
    """Events and users per feature, and the summary: dau, wau, mau, feature_usage, funnel_steps."""

    def counted(asked: Question) -> Counted:
        return _counted(asked, over_all=avg_over == "all", full_only=full_weeks_only)

    usual = avg_over == "data" and not full_weeks_only
    found = tabled.table(question, _TABLE, counted) if usual else counted(question)
    return answer.result(
        question,
        "usage",
        columns=(Column("feature"), Column("events", "count", bar=True), Column("users", "count")),
        rows=found.rows,
        rule=_rule(question, avg_over, full_weeks_only=full_weeks_only),
        options={"avg_over": avg_over, "full_weeks_only": full_weeks_only},
        summary=_summary(question, found),
        kinds={"dau": "number", "wau": "number", "feature_usage": "json", "funnel_steps": "json"},
        definition={"cut_weeks": len(set(question.window.weeks) - _full(question))},
        read=found.read,
        withheld=found.withheld,
        told=found.told,
    )


def _counted(question: Question, *, over_all: bool, full_only: bool) -> Counted:
    question.keep("base", _BASE)
    withheld = answer.group(question)
    rows = question.engine.rows(_FEATURES)
    kept = answer.large_enough(question, rows, users=3)
    days = [users for _, _, users in presence.rolling(question, 1, overall=True)]
    weeks = _weeks(question, full_only=full_only)
    total = int(question.engine.rows(_TOTAL.format(**apart.ALL))[0][1])
    totals = _totals(days, weeks, presence.users(question), total, over_all=over_all)
    totals["feature_usage"] = _events(question, _FEATURE_USAGE)
    types = _events(question, _TYPES)
    return Counted(kept, totals, answer.base_read(question), withheld + len(rows) - len(kept), beside=types)


def each(question: Question) -> dict[str, Alone]:
    """The answer to each of the periods that are asked of apart."""
    presence.keep(question)
    people, days, weeks = presence.users_each(question), _by_label(presence.days_each(question)), _weeks_each(question)
    said = {
        label: _totals(days.get(label, []), weeks.get(label, []), people.get(label, 0), events)
        for label, events in question.engine.rows(_TOTAL.format(**apart.EACH))
    }
    return apart.told(question.rows(_FEATURES_EACH), said, apart.userless(question))


def _weeks_each(question: Question) -> dict[str, list[int]]:
    """The distinct users of each week of a period, of its days there, by the period's label."""
    labels = dict(zip(question.window.days, question.apart, strict=True))
    begun: dict[tuple[str, date], date] = {}
    parts = {day: begun.setdefault((label, _begin(question, day)), day) for day, label in labels.items()}
    counted = presence.calendar(question, parts, overall=True)
    return _by_label([(labels[first], first, users) for _, first, users in counted])


def _by_label(rows: list[tuple[str, date, int]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for label, _, users in rows:
        found.setdefault(label, []).append(users)
    return found


def _events(question: Question, sql: str) -> dict[str, int]:
    """The events of each of the values that are about enough users."""
    return {row[1]: row[2] for row in answer.large_enough(question, question.engine.rows(sql), users=3)}


def _summary(question: Question, found: Counted) -> dict[str, Any]:
    """The summary, in its order; what is made of rows is made of them where sections told them."""
    features = {row[1]: row[2] for row in found.rows}
    types = found.beside or {}
    return {
        **{name: found.totals[name] for name in ("dau", "wau", "mau")},
        "feature_usage": found.totals.get("feature_usage") or features,
        "funnel_steps": {name: types[name] for name in sorted(types, key=lambda name: (-types[name], name))},
        **{name: found.totals[name] for name in ("total_events", "unique_days", "unique_weeks")},
        "period_days": (question.window.last - question.window.first).days + 1,
    }


def _totals(days: list[int], weeks: list[int], users: int, events: int, *, over_all: bool = False) -> dict[str, Any]:
    """The totals of users of each day and week, of all users and of all events."""
    return {
        "dau": _mean(days, over_all=over_all),
        "wau": _mean(weeks, over_all=over_all),
        "mau": users,
        "total_events": events,
        "unique_days": sum(users > 0 for users in days),
        "unique_weeks": sum(users > 0 for users in weeks),
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
