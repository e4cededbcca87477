"""Which events are errors, and the status and message they carry: one definition for all who ask (metrics §11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evlog.query.scope import Scope

TOLD = """
WITH judged AS (
         SELECT *,
                CASE WHEN len($errors) > 0 THEN list_contains($errors, event_type)
                     ELSE event_type = 'error' OR ends_with(event_type, '_error') OR coalesce(category = 'error', FALSE)
                END AS failed
         FROM   seen),
     coded AS (
         SELECT *,
                CASE WHEN failed THEN json_extract_string(properties, '/code') END AS code,
                coalesce(regexp_full_match(code, '[0-9]+'), FALSE) AS numeric
         FROM   judged),
     told AS (
         SELECT *,
                coalesce(target_id, '(none)') AS target,
                CASE WHEN failed
                     THEN coalesce(json_extract_string(properties, '/status'),
                                   json_extract_string(properties, '/status_code'),
                                   CASE WHEN numeric THEN code END)
                END AS status,
                CASE WHEN failed
                     THEN coalesce(json_extract_string(properties, '/message'),
                                   json_extract_string(properties, '/error'),
                                   CASE WHEN NOT numeric THEN code END)
                END AS message
         FROM   coded)
"""
"""`told`: the rows of `seen` with `failed`, `target`, and `status` and `message` of those that failed.

Only these are looked into: taking JSON apart costs more than all the rest.
"""


def params(scope: Scope) -> dict[str, Any]:
    """The parameters of `TOLD`: the types that the plan says are errors; without any they are told by their names."""
    return {"errors": list(scope.errors)}
