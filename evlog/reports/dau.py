"""Users active on each day (metrics §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.query import answer, pieced, presence, rolled
from evlog.query.result import Column
from evlog.query.rolled import Counted, Series

if TYPE_CHECKING:
    from evlog.query.ask import Question
    from evlog.query.result import Result

HELP = "users active on each day"
ROLLUP = (rolled.DAU,)
_SERIES = Series(ROLLUP, "day", ("dau",), blank=(0,), totals=rolled.totals_of_users, distinct=True)


def report(question: Question) -> Result:
    """Users active on each day, days without any included."""
    found = pieced.series(question, _SERIES, _counted)
    counts = rolled.overall(found, 2)
    return answer.result(
        question,
        "dau",
        columns=(Column("date", "date"), Column("dau", "count", bar=True)),
        rows=found.rows,
        rule=presence.rule(question),
        summary={"dau_avg": rolled.mean(counts), "peak": rolled.greatest(counts), "users": found.totals["users"]},
        kinds={"dau_avg": "number"},
        read=found.read,
        withheld=found.withheld,
        partial=[number for number, row in enumerate(found.rows) if not question.window.over(row[1])],
        told=found.told,
    )


def _counted(question: Question) -> Counted:
    presence.keep(question)
    withheld = answer.group(question)
    rows = presence.rolling(question, 1)
    overall = presence.overall(question, 1, rows)
    return Counted([*rows], {"users": presence.users(question)}, answer.base_read(question), withheld, overall=overall)
