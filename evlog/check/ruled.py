"""Events held against what the plan says of their type: of each day, the rule that is broken most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evlog.check.finding import Daily, share

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from evlog.check.look import Look

_TOLD = """
WITH rules AS (
         SELECT unnest($rule) AS rule, unnest($kind) AS kind, unnest($field) AS field, unnest($pointer) AS pointer,
                unnest($low) AS low, unnest($high) AS high,
                unnest(CAST($allowed AS VARCHAR[][])) AS allowed),
     told AS (
         SELECT day, rule, low, high, allowed,
                CASE field
                     WHEN 'category' THEN category
                     WHEN 'user_id' THEN user_id
                     WHEN 'anonymous_id' THEN anonymous_id
                     WHEN 'session_id' THEN session_id
                     WHEN 'target_type' THEN target_type
                     WHEN 'target_id' THEN target_id
                     WHEN 'feature' THEN feature
                     WHEN 'source' THEN source
                     WHEN 'context' THEN context
                     ELSE json_extract_string(properties, pointer)
                END AS value
         FROM   seen JOIN rules ON event_type = kind)
SELECT   rule, day,
         count(*) AS events,
         count(value) AS said,
         count(*) FILTER (
             TRY_CAST(value AS DOUBLE) < low
             OR TRY_CAST(value AS DOUBLE) > high
             OR (value IS NOT NULL AND len(allowed) > 0 AND NOT list_contains(allowed, value))) AS outside
FROM     told
GROUP BY rule, day
ORDER BY rule, day
"""
_TABLE = "SELECT rule, day, events, said, outside FROM ruled ORDER BY rule, day"


def keep(look: Look) -> None:
    """Keep table `ruled`: for each rule of the plan and day, how many events, and how many say it, and rightly."""
    rules = look.rules
    params: dict[str, Any] = {
        "rule": list(range(len(rules))),
        "kind": [rule.event_type for rule in rules],
        "field": [rule.field for rule in rules],
        "pointer": ["/" + rule.key.replace("~", "~0").replace("/", "~1") for rule in rules],
        "low": [rule.low if rule.low is not None else float("-inf") for rule in rules],
        "high": [rule.high if rule.high is not None else float("inf") for rule in rules],
        "allowed": [list(rule.one_of) for rule in rules],
    }
    look.question.keep("ruled", _TOLD, params)


def missing(look: Look) -> Iterator[Daily]:
    """Of each day, the required field that most events lack."""
    yield from _worst(
        share(day, events - said, events, f"events lack {look.rules[rule].name}")
        for rule, day, events, said, _ in _rows(look)
        if look.rules[rule].required
    )


def outside(look: Look) -> Iterator[Daily]:
    """Of each day, the property whose values lie most often outside of what the plan lets in."""
    yield from _worst(
        share(day, out, said, f"values of {look.rules[rule].name} are none the plan lets in")
        for rule, day, _, said, out in _rows(look)
        if look.rules[rule].ranged
    )


def _rows(look: Look) -> list[Any]:
    return look.question.engine.rows(_TABLE) if look.rules else []


def _worst(found: Iterator[Daily]) -> Iterator[Daily]:
    worst: dict[date, Daily] = {}
    for one in found:
        if one.value is not None and (one.day not in worst or one.value > (worst[one.day].value or 0.0)):
            worst[one.day] = one
    yield from worst.values()
