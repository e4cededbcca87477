"""What one user did, event by event, with the time between (metrics §18.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from evlog.errors import UsageError
from evlog.query import answer
from evlog.query.result import Column

if TYPE_CHECKING:
    from evlog.query.ask import Question
    from evlog.query.result import Result

HELP = "what one user did, event by event"
EXAMPLE = "evlog report journey --user u_1042 --days 30"
COLUMNS = (
    Column("ts", "instant"),
    Column("event_type"),
    Column("target"),
    Column("session_id"),
    Column("gap_s", "seconds"),
)

_BASE = """
SELECT grp, person, 1 AS events, CAST(userless AS INTEGER) AS userless, in_range, ts, seq, event_type,
       target_id, target_type, session_id, day
FROM   seen
WHERE  list_contains($persons, person)
"""
_EVENTS = """
SELECT   grp, ts, event_type, target_id, session_id,
         epoch_us(ts) - lag(epoch_us(ts)) OVER (PARTITION BY place ORDER BY ts, seq) AS gap,
         target_type, day
FROM     shown
ORDER BY place, ts, seq
"""
_TOTALS = """
SELECT count(*), count(DISTINCT day), count(DISTINCT session_id), min(ts), max(ts)
FROM   base
"""


def report(question: Question, *, user: Annotated[str | None, "the user's id, or one linked to it"] = None) -> Result:
    """The events of the user in the window, in canonical order; `gap_s`: since the one before."""
    if not user:
        raise UsageError("a journey is one user's", hint="give --user ID")
    question = question.by_name()
    question.keep("base", _BASE, {"persons": _persons(question, user)})
    withheld = answer.group(question)
    rows = [_row(*row) for row in question.engine.rows(_EVENTS)]
    utc = question.window.tz == "UTC"
    events, days, ids, first, last = question.engine.rows(_TOTALS)[0]
    return answer.result(
        question,
        "journey",
        columns=(
            *COLUMNS,
            Column("target_type", aside=len({row[-2] for row in rows}) < 2),  # noqa: PLR2004 - types
            Column("day", "date", aside=utc),
        ),
        rows=rows,
        rule="the user's events by time, those of one instant as they arrived; gap_s: since the event before",
        options={"user": user},
        summary={"events": events, "days": days, "session_ids": ids, "first": first, "last": last},
        kinds={"first": "instant", "last": "instant"},
        withheld=withheld,
        notes=[] if events else [f"no event of user {user} from {question.window.first} to {question.window.last}"],
    )


def _persons(question: Question, user: str) -> list[str]:
    """Who is meant by the id, once links are followed; with include_anon also who bears it without being a user."""
    person = question.identity.person(user)
    return [person, f"anon:{user}"] if question.scope.include_anon else [person]


def _row(*row: Any) -> tuple[Any, ...]:
    *before, gap, target_type, day = row
    return (*before, None if gap is None else gap / 1_000_000, target_type, day)
