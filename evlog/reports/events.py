"""What happened: events and users per event type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.query import answer, apart, rolled, tabled
from evlog.query.result import Column
from evlog.query.rolled import Counted
from evlog.query.tabled import Table

if TYPE_CHECKING:
    from evlog.query.apart import Alone
    from evlog.query.ask import Question
    from evlog.query.result import Result

HELP = "events and users per event type"
ROLLUP = (rolled.EVENTS,)
_TABLE = Table(
    rolled.EVENTS,
    ("events", "users", "first", "last"),
    order=lambda row: (-row[2], row[1]),
    sums=("events",),
    instants=("first", "last"),
    least=("first",),
    most=("last",),
)

_BASE = """
SELECT   event_type, in_range, grp, person,
         count(*) AS events,
         count(*) FILTER (userless) AS userless,
         min(ts) AS first,
         max(ts) AS last
FROM     seen
GROUP BY event_type, in_range, grp, person
"""
_TYPES = """
SELECT   grp, event_type, CAST(sum(events) AS BIGINT) AS events, count(DISTINCT person) AS users,
         min(first) AS first, max(last) AS last
FROM     shown
GROUP BY place, grp, event_type
ORDER BY place, events DESC, event_type
"""
_TOTAL = "SELECT {grp}, CAST(coalesce(sum(events), 0) AS BIGINT), count(DISTINCT person) FROM base {each}"
_TOTALS = ("events", "users")


def report(question: Question) -> Result:
    """Events, users, first and last instant of each event type in the range."""
    found = tabled.table(question, _TABLE, _counted)
    return answer.result(
        question,
        "events",
        columns=(
            Column("event_type"),
            Column("events", "count", bar=True),
            Column("users", "count"),
            Column("first", "instant"),
            Column("last", "instant"),
        ),
        rows=found.rows,
        rule="every event in the range, of any type, with or without a user",
        summary={name: found.totals[name] for name in _TOTALS},
        read=found.read,
        withheld=found.withheld,
        told=found.told,
    )


def _counted(question: Question) -> Counted:
    question.keep("base", _BASE)
    withheld = answer.group(question)
    rows = question.engine.rows(_TYPES)
    kept = answer.large_enough(question, rows, users=3)
    _, *totals = question.engine.rows(_TOTAL.format(**apart.ALL))[0]
    read = answer.base_read(question)
    return Counted(kept, dict(zip(_TOTALS, totals, strict=True)), read, withheld + len(rows) - len(kept))


def each(question: Question) -> dict[str, Alone]:
    """The answer to each of the periods that are asked of apart."""
    question.keep("base", _BASE)
    answer.group(question)
    totals = apart.totals(question, _TOTAL.format(**apart.EACH), _TOTALS)
    return apart.told(question.engine.rows(_TYPES), totals, apart.userless(question))
