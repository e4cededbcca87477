"""Users active in a month: the 30 days that end on each day, or calendar months (metrics §2)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from evlog.errors import UsageError
from evlog.query import answer, pieced, presence, rolled
from evlog.query.result import Column
from evlog.query.rolled import Counted, Series
from evlog.window import month_label

if TYPE_CHECKING:
    from datetime import date

    from evlog.query.ask import Question
    from evlog.query.result import Result

HELP = "users active in the 30 days ending on each day"
LENGTH = 30
ROLLUP = (rolled.MAU, rolled.MONTHS)
_DAYS = Series((rolled.MAU,), "day", ("mau",), blank=(0,), totals=rolled.totals_of_users, distinct=True)
_MONTHS = Series((rolled.MONTHS,), "month", ("mau",), blank=(0,), totals=rolled.totals_of_users)


def report(
    question: Question,
    *,
    calendar: Annotated[bool, "calendar months, cut by the range"] = False,
    mau_window: Annotated[int, "days that count as a month; 28 holds each weekday equally often"] = LENGTH,
) -> Result:
    """Users active in the 30 days ending on each day, or in each calendar month."""
    if not 1 <= mau_window <= 366:  # noqa: PLR2004 - a year
        raise UsageError(f"--mau-window {mau_window} is out of range", hint="give 1 to 366 days")
    if calendar and mau_window != LENGTH:
        raise UsageError("--calendar counts months, not the days of --mau-window", hint="leave one of them out")
    return _months(question) if calendar else _rolling(question, mau_window)


def _rolling(question: Question, length: int) -> Result:
    def counted(asked: Question) -> Counted:
        presence.keep(asked, back=length - 1)
        withheld = answer.group(asked)
        rows = presence.rolling(asked, length)
        return Counted([*rows], {"users": presence.users(asked)}, answer.base_read(asked), withheld)

    found = pieced.series(question, _DAYS, counted) if length == LENGTH else counted(question)
    return answer.result(
        question,
        "mau",
        columns=(Column("date", "date"), Column("mau", "count", bar=True)),
        rows=found.rows,
        rule=f"{presence.rule(question)}; mau: distinct users of the {length} days ending that day",
        options={"calendar": False, "mau_window": length},
        summary=found.totals,
        definition={} if found.told.frozen else presence.short_history(question, length),
        read=found.read,
        withheld=found.withheld,
        partial=[number for number, row in enumerate(found.rows) if not question.window.over(row[1])],
        told=found.told,
    )


def _months(question: Question) -> Result:
    window = question.window
    found = pieced.series(question, _MONTHS, _counted_months)
    cut = [month_label(begin) for begin in window.months if begin < window.first or _last(begin) > window.last]
    return answer.result(
        question,
        "mau",
        columns=(Column("month"), Column("mau", "count", bar=True)),
        rows=[(group, month_label(begin), users) for group, begin, users in found.rows],
        rule=f"{presence.rule(question)}; mau: distinct users of a calendar month",
        options={"calendar": True},
        summary=found.totals,
        definition=presence.cut(cut),
        read=found.read,
        withheld=found.withheld,
        complete=window.over(_last(window.months[-1])),
        partial=[number for number, row in enumerate(found.rows) if not window.over(_last(row[1]))],
        notes=presence.cut_note(cut),
        told=found.told,
    )


def _counted_months(question: Question) -> Counted:
    presence.keep(question)
    withheld = answer.group(question)
    rows = presence.calendar(question, {day: day.replace(day=1) for day in question.window.days})
    return Counted([*rows], {"users": presence.users(question)}, answer.base_read(question), withheld)


def _last(begin: date) -> date:
    """The last day of the month that begins on `begin`."""
    return (begin + timedelta(days=31)).replace(day=1) - timedelta(days=1)
