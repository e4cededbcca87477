"""Sessions read in one piece."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evlog.query.ask import Reach
from evlog.query.sessions.grown import Asked, grown, number_persons, number_words, of_words, totals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evlog.query.ask import Question
    from evlog.query.sessions.rule import Rule
    from evlog.query.sessions.visits import Visits

_VALUES = """
WITH told AS NOT MATERIALIZED (
         SELECT person, {name} AS name, day, in_range, userless{texts}
         FROM   seen)
SELECT   {kinds}
         person, name{words},
         min(day) AS first_day,
         max(day) AS last_day,
         count(*) FILTER (in_range) AS events,
         count(*) FILTER (userless AND in_range) AS userless
FROM     told
GROUP BY GROUPING SETS ((), (person, name){sets})
"""
_SHARED = """
SELECT count(*)
FROM   (SELECT   name
        FROM     session_values
        WHERE    is_visit AND name IS NOT NULL AND person IS NOT NULL AND events > 0
        GROUP BY name
        HAVING   count(*) > 1)
"""


def read(
    question: Question,
    rule: Rule,
    *,
    reach: Reach | None = None,
    numbers: Mapping[str, str] | None = None,
    texts: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
) -> Visits:
    """The events of the reach (not given: the window) with their sessions, and what else belongs to these.

    `numbers` and `texts` are further columns, a name and SQL over `seen` each, never null: whole numbers, and texts,
    which come as numbers of `words`. `params` are the parameters of that SQL. Ask once in a question.

    All events that bear the id of a session in the reach are read, wherever they lie. Of those without an id a day
    and the timeout are read beyond the reach, and more where that does not show how a session ends.
    """
    asked = Asked(rule, numbers or {}, texts or {}, params or {})
    reach = reach or Reach(question.window.first, question.window.last)
    _keep(question, asked, reach)
    ((shared,),) = question.engine.rows(_SHARED)
    return grown(question, asked, reach, replace(totals(question, asked), shared_ids=shared))


def _keep(question: Question, asked: Asked, reach: Reach) -> None:
    """Number the persons, their session ids and the words of the texts, in one reading of the store."""
    tables = asked.tables
    sql = _VALUES.format(name=asked.name, **of_words({"person": "visit"}, tables))
    if asked.tables or asked.rule.ignore_ids:
        question.keep("session_values", sql, asked.of(sql), reach=Reach(None, None))
    else:
        question.keep_visits("session_values", sql, asked.of(sql))
    number_persons(question, reach)
    number_words(question, asked)
