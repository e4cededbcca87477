"""Daily, weekly and monthly active users side by side, with stickiness (metrics §2, §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from evlog.errors import UsageError
from evlog.query import answer, presence
from evlog.query.result import Column

if TYPE_CHECKING:
    from evlog.query.ask import Question
    from evlog.query.result import Result

HELP = "daily, weekly and monthly active users side by side, and stickiness"
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
    presence.keep(question, back=max(mau_window, 7) - 1)
    withheld = answer.group(question)
    rows = _rows(question, mau_window, point=point, overall=False)
    overall = rows if question.scope.by is None else _rows(question, mau_window, point=point, overall=True)
    return answer.result(
        question,
        "active",
        columns=COLUMNS,
        rows=rows,
        rule=f"{presence.rule(question)}; wau, mau: distinct users of the 7 and {mau_window} days ending that day; "
        f"stickiness: {'dau' if point else f'mean dau of the {mau_window} days'} / mau",
        options={"mau_window": mau_window, "point": point},
        summary={
            "dau_avg": sum(row[2] for row in overall) / len(overall),
            "peak": max(row[2] for row in overall),
            "wau_avg": sum(row[3] for row in overall) / len(overall),
            "users": presence.users(question),
        },
        kinds={"dau_avg": "number", "wau_avg": "number"},
        definition=presence.short_history(question, max(mau_window, 7)),
        withheld=withheld,
        partial=[number for number, row in enumerate(rows) if not question.window.over(row[1])],
    )


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
