"""Completions held against their starts: before the start, or with none at all."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from evlog.query.ask import Reach
from evlog.query.scope import Pair

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from evlog.check.look import Look
    from evlog.query.ask import Question

BACK = 30
"""How many days before the range a start is looked for."""

_SEEN_TYPES = "SELECT DISTINCT event_type FROM seen ORDER BY event_type"
_COMPLETIONS = """
WITH pairs AS (
         SELECT unnest($pair) AS pair, unnest($start) AS start, unnest($complete) AS complete,
                unnest($wanted) AS wanted),
     acts AS (
         SELECT pair, person, coalesce(target_type, '') AS target_type, coalesce(target_id, '') AS target_id,
                day, ts, in_range, event_type = start AS starts
         FROM   seen JOIN pairs ON event_type = start OR event_type = complete
         WHERE  person IS NOT NULL AND (wanted = '' OR target_type = wanted)),
     firsts AS (
         SELECT   pair, person, target_type, target_id, min(ts) FILTER (starts) AS first
         FROM     acts
         GROUP BY pair, person, target_type, target_id)
SELECT   day,
         count(*) AS completions,
         count(*) FILTER (first > ts) AS early,
         count(*) FILTER (first IS NULL) AS unstarted
FROM     acts JOIN firsts USING (pair, person, target_type, target_id)
WHERE    in_range AND NOT starts
GROUP BY day
"""
_TABLE = "SELECT day, completions, early, unstarted FROM completions ORDER BY day"


def keep(look: Look) -> None:
    """Keep table `completions`: of each day, how many there were, how many before their start, how many without one."""
    question = look.question
    pairs = question.scope.pairs or _by_name(question)
    params = {
        "pair": list(range(len(pairs))),
        "start": [pair.start for pair in pairs],
        "complete": [pair.complete for pair in pairs],
        "wanted": [pair.target_type or "" for pair in pairs],
    }
    reach = Reach(question.window.first - timedelta(days=BACK), None)
    question.keep("completions", _COMPLETIONS, params, reach=reach)


def days(look: Look) -> list[tuple[date, int, int, int]]:
    """Of each day: completions, those before their start, those without one."""
    return look.question.engine.rows(_TABLE)


def _by_name(question: Question) -> Sequence[Pair]:
    """The pairs that event types of the range give away by their names."""
    from evlog.event.infer import infer

    found = infer({"event_type": name} for (name,) in question.rows(_SEEN_TYPES)).pairs
    return [Pair(pair.start, pair.complete) for pair in found.values()]
