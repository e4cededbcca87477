"""Users active on each day (metrics §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.query import answer, presence
from evlog.query.result import Column
from evlog.query.standing import Standing

if TYPE_CHECKING:
    from evlog.query.ask import Question
    from evlog.query.result import Result

HELP = "users active on each day"
ROLLUP = (Standing("dau", grains=("day",), metrics={"dau": "dau"}),)


def report(question: Question) -> Result:
    """Users active on each day, days without any included."""
    presence.keep(question)
    withheld = answer.group(question)
    rows = presence.rolling(question, 1)
    counts = [users for _, _, users in presence.overall(question, 1, rows)]
    return answer.result(
        question,
        "dau",
        columns=(Column("date", "date"), Column("dau", "count", bar=True)),
        rows=rows,
        rule=presence.rule(question),
        summary={"dau_avg": sum(counts) / len(counts), "peak": max(counts), "users": presence.users(question)},
        kinds={"dau_avg": "number"},
        withheld=withheld,
        partial=[number for number, row in enumerate(rows) if not question.window.over(row[1])],
    )
