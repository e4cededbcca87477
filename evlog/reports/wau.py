"""Users active in a week: the seven days that end on each day, or calendar weeks (metrics §2)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from evlog.query import answer, pieced, presence, rolled
from evlog.query.result import Column
from evlog.query.rolled import Counted, Series
from evlog.window import week_begin, week_label

if TYPE_CHECKING:
    from evlog.query.ask import Question
    from evlog.query.result import Result

HELP = "users active in the seven days ending on each day"
LENGTH = 7
ROLLUP = (rolled.WAU, rolled.WEEKS)
_DAYS = Series((rolled.WAU,), "day", ("wau",), blank=(0,), totals=rolled.totals_of_users, distinct=True)
_WEEKS = Series((rolled.WEEKS,), "week", ("wau",), blank=(0,), totals=rolled.totals_of_users)


def report(
    question: Question, *, calendar: Annotated[bool, "calendar weeks (see --week-start), cut by the range"] = False
) -> Result:
    """Users active in the seven days ending on each day, or in each calendar week."""
    return _weeks(question) if calendar else _rolling(question)


def _rolling(question: Question) -> Result:
    found = pieced.series(question, _DAYS, _counted_days)
    return answer.result(
        question,
        "wau",
        columns=(Column("date", "date"), Column("wau", "count", bar=True)),
        rows=found.rows,
        rule=f"{presence.rule(question)}; wau: distinct users of the 7 days ending that day",
        options={"calendar": False},
        summary=_summary(found),
        kinds={"wau_avg": "number"},
        definition={} if found.told.frozen else presence.short_history(question, LENGTH),
        read=found.read,
        withheld=found.withheld,
        partial=[number for number, row in enumerate(found.rows) if not question.window.over(row[1])],
        told=found.told,
    )


def _counted_days(question: Question) -> Counted:
    presence.keep(question, back=LENGTH - 1)
    withheld = answer.group(question)
    rows = presence.rolling(question, LENGTH)
    overall = presence.overall(question, LENGTH, rows)
    return Counted([*rows], {"users": presence.users(question)}, answer.base_read(question), withheld, overall=overall)


def _weeks(question: Question) -> Result:
    window = question.window
    found = pieced.series(question, _WEEKS, _counted_weeks)
    last = timedelta(days=LENGTH - 1)
    cut = [begin for begin in window.weeks if begin < window.first or begin + last > window.last]
    return answer.result(
        question,
        "wau",
        columns=(Column("week"), Column("week_start", "date"), Column("wau", "count", bar=True)),
        rows=[(group, week_label(begin, window.week_start), begin, users) for group, begin, users in found.rows],
        rule=f"{presence.rule(question)}; wau: distinct users of a week, {window.week_start} first",
        options={"calendar": True, "week_start": window.week_start},
        summary=_summary(found),
        kinds={"wau_avg": "number"},
        definition=presence.cut([week_label(begin, window.week_start) for begin in cut]),
        read=found.read,
        withheld=found.withheld,
        complete=window.over(window.weeks[-1] + last),
        partial=[number for number, row in enumerate(found.rows) if not window.over(row[1] + last)],
        notes=presence.cut_note([week_label(begin, window.week_start) for begin in cut]),
        told=found.told,
    )


def _counted_weeks(question: Question) -> Counted:
    window = question.window
    presence.keep(question)
    withheld = answer.group(question)
    periods = {day: week_begin(day, window.week_start) for day in window.days}
    rows = presence.calendar(question, periods)
    overall = rows if question.scope.by is None else presence.calendar(question, periods, overall=True)
    return Counted([*rows], {"users": presence.users(question)}, answer.base_read(question), withheld, overall=overall)


def _summary(found: Counted) -> dict[str, Any]:
    return {"wau_avg": rolled.mean(rolled.overall(found, 2)), "users": found.totals["users"]}
