"""Daily, weekly and monthly active users side by side, with stickiness (metrics §2, §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from evlog.errors import UsageError
from evlog.query import answer, pieced, presence, rolled
from evlog.query.result import Column
from evlog.query.rolled import Counted, Series
from evlog.query.standing import Standing

if TYPE_CHECKING:
    from evlog.query.ask import Question
    from evlog.query.result import Result

HELP = "daily, weekly and monthly active users side by side, and stickiness"
_MONTH = 30
ROLLUP = (Standing("active", ("day",), {"stickiness": "stickiness"}, back=_MONTH - 1),)
_SERIES = Series(
    (rolled.DAU, rolled.WAU, rolled.MAU, *ROLLUP),
    "day",
    ("dau", "wau", "mau", "stickiness"),
    blank=(0, 0, 0, None),
    totals=rolled.totals_of_users,
)
COLUMNS = (
    Column("date", "date"),
    Column("dau", "count", bar=True),
    Column("wau", "count"),
    Column("mau", "count"),
    Column("stickiness", "rate"),
)


def report(
    question: Question,
    *,
    mau_window: Annotated[int, "days that count as a month; 28 holds each weekday equally often"] = 30,
    point: Annotated[bool, "stickiness as dau/mau of the day, not the mean dau of the mau days"] = False,
) -> Result:
    """Users of the day, and of the 7 and 30 days ending with it, for each day."""
    if not 1 <= mau_window <= 366:  # noqa: PLR2004 - a year
        raise UsageError(f"--mau-window {mau_window} is out of range", hint="give 1 to 366 days")

    def counted(asked: Question) -> Counted:
        return _counted(asked, mau_window, point=point)

    usual = mau_window == _MONTH and not point
    found = pieced.series(question, _SERIES, counted) if usual else counted(question)
    daily, weekly = rolled.overall(found, 2), rolled.overall(found, 3)
    return answer.result(
        question,
        "active",
        columns=COLUMNS,
        rows=found.rows,
        rule=f"{presence.rule(question)}; wau, mau: distinct users of the 7 and {mau_window} days ending that day; "
        f"stickiness: {'dau' if point else f'mean dau of the {mau_window} days'} / mau",
        options={"mau_window": mau_window, "point": point},
        summary={
            "dau_avg": rolled.mean(daily),
            "peak": rolled.greatest(daily),
            "wau_avg": rolled.mean(weekly),
            "users": found.totals["users"],
        },
        kinds={"dau_avg": "number", "wau_avg": "number"},
        definition={} if found.told.frozen else presence.short_history(question, max(mau_window, 7)),
        read=found.read,
        withheld=found.withheld,
        partial=[number for number, row in enumerate(found.rows) if not question.window.over(row[1])],
        told=found.told,
    )


def _counted(question: Question, length: int, *, point: bool) -> Counted:
    presence.keep(question, back=max(length, 7) - 1)
    withheld = answer.group(question)
    rows = _rows(question, length, point=point, overall=False)
    overall = rows if question.scope.by is None else _rows(question, length, point=point, overall=True)
    return Counted(rows, {"users": presence.users(question)}, answer.base_read(question), withheld, overall=overall)


def _rows(question: Question, length: int, *, point: bool, overall: bool) -> list[tuple[Any, ...]]:
    daily, weekly, monthly = (presence.rolling(question, days, overall=overall) for days in (1, 7, length))
    days_active = daily if point else presence.days_active(question, length, overall=overall)
    share = 1 if point else length
    return [
        (group, day, dau, wau, mau, total / share / mau if mau else None)
        for (group, day, dau), (_, _, wau), (_, _, mau), (_, _, total) in zip(
            daily, weekly, monthly, days_active, strict=True
        )
    ]
