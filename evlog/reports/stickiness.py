"""Stickiness: how many days, weeks or months of the range users were active on, and mean DAU / MAU (metrics §3)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from evlog.query import answer, presence
from evlog.query.result import Column
from evlog.window import period_after, period_begin

if TYPE_CHECKING:
    from datetime import date

    from evlog.query.ask import Question
    from evlog.query.result import Result

HELP = "on how many days of the range users were active, and mean daily over all users"
EXAMPLE = "evlog report stickiness --days 30"

_BARS = """
WITH calendar AS (SELECT unnest($days) AS day, unnest($periods) AS period),
     counts AS (
         SELECT   place, person, count(DISTINCT period) AS periods
         FROM     shown JOIN calendar USING (day)
         WHERE    active > 0
         GROUP BY place, person),
     sized AS (
         SELECT   place, periods, count(*) AS users
         FROM     counts
         GROUP BY place, periods),
     named AS (SELECT DISTINCT label AS grp, place FROM groups WHERE NOT withheld),
     bars AS (SELECT grp, place, unnest(range(1, $most + 1)) AS periods FROM named)
SELECT   bars.grp, bars.periods, coalesce(users, 0)
FROM     bars
         LEFT JOIN sized ON sized.place = bars.place AND sized.periods = bars.periods
ORDER BY bars.place, bars.periods
"""
_DAY = timedelta(days=1)
_NAMES = {"day": "days", "week": "weeks", "month": "months"}


def report(
    question: Question,
    *,
    period: Annotated[Literal["day", "week", "month"], "what is counted: days, calendar weeks, or months"] = "day",
    cumulative: Annotated[bool, "users active on so many or more"] = False,
    point: Annotated[bool, "dau_mau: the last day's users, not the mean, over the users of the range"] = False,
) -> Result:
    """How many users were active on exactly 1, 2 … N days (weeks, months) of the range."""
    presence.keep(question)
    withheld = answer.group(question)
    periods = question.window.periods(period)
    return answer.result(
        question,
        "stickiness",
        columns=(Column("days", "count"), Column("users", "count", bar=True)),
        rows=_bars(question, period, len(periods), cumulative=cumulative),
        rule=_rule(question, period, cumulative=cumulative, point=point),
        options={"period": period, "cumulative": cumulative, "point": point},
        summary=_summary(question, point=point),
        kinds={"dau_mau": "rate", "mean_days": "number"},
        definition=presence.cut([str(begin) for begin in _cut(question, period)]),
        withheld=withheld,
        complete=question.window.over(period_after(periods[-1], period) - _DAY) if period != "day" else None,
        notes=presence.cut_note([str(begin) for begin in _cut(question, period)]),
    )


def _bars(question: Question, period: Any, most: int, *, cumulative: bool) -> list[tuple[str, int, int]]:
    """Group, number of periods, users; each number up to the periods of the range has its bar."""
    window = question.window
    begins = [period_begin(day, period, window.week_start) for day in window.days]
    params = {"days": list(window.days), "periods": begins, "most": most}
    bars = question.engine.rows(_BARS, params)
    return _summed(bars) if cumulative else bars


def _summed(bars: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """The users of each bar and of all above it in its group."""
    summed: list[tuple[str, int, int]] = []
    for group, periods, users in reversed(bars):
        above = summed[-1][2] if summed and summed[-1][0] == group else 0
        summed.append((group, periods, users + above))
    return summed[::-1]


def _summary(question: Question, *, point: bool) -> dict[str, Any]:
    daily = [users for _, _, users in presence.rolling(question, 1, overall=True)]
    users = presence.users(question)
    mean = sum(daily) / users if users else None
    ratio = (daily[-1] if point else sum(daily) / len(daily)) / users if users else None
    return {"dau_mau": ratio, "users": users, "mean_days": mean}


def _cut(question: Question, period: Any) -> list[date]:
    """The periods that the range cuts."""
    window = question.window
    return [
        begin
        for begin in window.periods(period)
        if begin < window.first or period_after(begin, period) - _DAY > window.last
    ]


def _rule(question: Question, period: str, *, cumulative: bool, point: bool) -> str:
    least = " or more" if cumulative else ""
    daily = "users of the last day" if point else "mean daily users, days without any included"
    return (
        f"{presence.rule(question)}; days: on how many {_NAMES[period]}{least} of the range a user was active; "
        f"dau_mau: {daily} / users of the range"
    )
