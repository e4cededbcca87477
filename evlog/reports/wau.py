"""Users active in a week: the seven days that end on each day, or calendar weeks (metrics §2)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from evlog.query import answer, presence
from evlog.query.result import Column
from evlog.window import week_begin, week_label

if TYPE_CHECKING:
    from datetime import date

    from evlog.query.ask import Question
    from evlog.query.result import Result

HELP = "users active in the seven days ending on each day"
LENGTH = 7


def report(
    question: Question, *, calendar: Annotated[bool, "calendar weeks (see --week-start), cut by the range"] = False
) -> Result:
    """Users active in the seven days ending on each day, or in each calendar week."""
    return _weeks(question) if calendar else _rolling(question)


def _rolling(question: Question) -> Result:
    presence.keep(question, back=LENGTH - 1)
    withheld = answer.group(question)
    rows = presence.rolling(question, LENGTH)
    return answer.result(
        question,
        "wau",
        columns=(Column("date", "date"), Column("wau", "count", bar=True)),
        rows=rows,
        rule=f"{presence.rule(question)}; wau: distinct users of the 7 days ending that day",
        options={"calendar": False},
        summary=_summary(question, presence.overall(question, LENGTH, rows)),
        kinds={"wau_avg": "number"},
        definition=presence.short_history(question, LENGTH),
        withheld=withheld,
        partial=[number for number, row in enumerate(rows) if not question.window.over(row[1])],
    )


def _weeks(question: Question) -> Result:
    window = question.window
    presence.keep(question)
    withheld = answer.group(question)
    periods = {day: week_begin(day, window.week_start) for day in window.days}
    rows = presence.calendar(question, periods)
    last = timedelta(days=LENGTH - 1)
    cut = [begin for begin in window.weeks if begin < window.first or begin + last > window.last]
    return answer.result(
        question,
        "wau",
        columns=(Column("week"), Column("week_start", "date"), Column("wau", "count", bar=True)),
        rows=[(group, week_label(begin, window.week_start), begin, users) for group, begin, users in rows],
        rule=f"{presence.rule(question)}; wau: distinct users of a week, {window.week_start} first",
        options={"calendar": True, "week_start": window.week_start},
        summary=_summary(question, presence.calendar(question, periods, overall=True)),
        kinds={"wau_avg": "number"},
        definition=presence.cut([week_label(begin, window.week_start) for begin in cut]),
        withheld=withheld,
        complete=window.over(window.weeks[-1] + last),
        partial=[number for number, row in enumerate(rows) if not window.over(row[1] + last)],
        notes=presence.cut_note([week_label(begin, window.week_start) for begin in cut]),
    )


def _summary(question: Question, overall: list[tuple[str, date, int]]) -> dict[str, float]:
    return {"wau_avg": sum(row[2] for row in overall) / len(overall), "users": presence.users(question)}
