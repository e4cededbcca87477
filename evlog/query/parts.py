"""Parts: targets that belong together, and who starts and completes them (metrics §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.errors import UsageError

if TYPE_CHECKING:
    from evlog.query.ask import Question

_BASE = """
CREATE TEMP TABLE {table} AS
WITH members AS (
         SELECT unnest($part) AS part, unnest($name) AS name, unnest($target) AS target_id,
                unnest($required) AS required, unnest($needed) AS needed),
     done AS (
         SELECT fates.*, part, name, required, needed, coalesce(ended >= began, FALSE) AS done
         FROM   fates JOIN members USING (target_id))
SELECT   part AS pair,
         CAST(NULL AS VARCHAR) AS target_type,
         any_value(name) AS target_id,
         person,
         arg_min(grp, (began, target_id, pair)) AS grp,
         sum(events) AS events,
         min(began) AS began,
         FALSE AS began_earlier,
         CASE WHEN count(DISTINCT target_id) FILTER (required AND done) = any_value(needed)
              THEN max(ended) END AS ended,
         FALSE AS ended_in_range,
         coalesce(bool_or(fresh), FALSE) AS fresh
FROM     done
WHERE    began IS NOT NULL
GROUP BY part, person
"""


def roll_up(question: Question, *, table: str = "base") -> None:
    """Make that table of the kept table `fates`: a row for each person and part in place of person and target.

    Who starts one of its targets starts a part; who completes all that are required completes it.
    """
    parts = question.scope.parts
    if not parts:
        raise UsageError("the plan names no parts", hint="write them down: [parts.NAME] with targets, see docs/plan.md")
    rows = [
        (number, part.name, target, target in part.required, len(set(part.required)))
        for number, part in enumerate(parts)
        for target in dict.fromkeys(part.targets)
    ]
    names = ("part", "name", "target", "required", "needed")
    params = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    question.engine.run(_BASE.format(table=table), params)
