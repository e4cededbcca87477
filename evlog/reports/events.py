"""What happened: events and users per event type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.query import answer
from evlog.query.result import Column
from evlog.query.standing import Standing

if TYPE_CHECKING:
    from evlog.query.ask import Question
    from evlog.query.result import Result

HELP = "events and users per event type"
ROLLUP = (
    Standing(
        "events",
        grains=("day", "week", "month"),
        key=("event_type",),
        metrics={"events": "events", "users": "users", "first": "first", "last": "last"},
        additive=("events",),
        summary={"events": "events", "users": "users"},
    ),
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
_TOTAL = "SELECT CAST(coalesce(sum(events), 0) AS BIGINT), count(DISTINCT person) FROM base"


def report(question: Question) -> Result:
    """Events, users, first and last instant of each event type in the range."""
    question.keep("base", _BASE)
    withheld = answer.group(question)
    rows = question.engine.rows(_TYPES)
    kept = answer.large_enough(question, rows, users=3)
    events, users = question.engine.rows(_TOTAL)[0]
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
        rows=kept,
        rule="every event in the range, of any type, with or without a user",
        summary={"events": events, "users": users},
        withheld=withheld + len(rows) - len(kept),
    )
