"""The language of funnel steps: `EVENT`, `EVENT|EVENT` or `*`, and in brackets conditions as `--where` knows them.

`purchase[properties.plan=pro, amount>=5]`: a comma starts a new condition only where KEY OP follows, so that
`purchase[plan in pro,team]` is one condition. A `?` at the very end makes the step optional (metrics §7.10): `help?`,
`help[topic=price]?`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evlog.errors import UsageError
from evlog.query import where

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_STEPS = 32
_QUOTES = "use single quotes: the shell reads $ and [ ] itself"
_FORM = "write 'EVENT', 'EVENT|EVENT' or '*', with '[KEY OP VALUE, …]' at the end if need be"


@dataclass(frozen=True, slots=True)
class Step:
    """What fills a step: one of the event types (none named: any event) for which all conditions hold."""

    text: str
    event_types: tuple[str, ...]
    conditions: tuple[where.Condition, ...] = ()
    optional: bool = False


def parse(texts: Sequence[str]) -> tuple[Step, ...]:
    """The steps that the texts say, in order."""
    if not 1 <= len(texts) <= MOST_STEPS:
        raise UsageError(f"a funnel has 1 to {MOST_STEPS} steps, not {len(texts)}", hint="name each step: funnel A B C")
    return tuple(_step(text.strip(), number) for number, text in enumerate(texts, 1))


def as_sql(step: Step, prefix: str) -> tuple[str, dict[str, Any]]:
    """Whether an event fills the step, as SQL over the columns of `events` (false or null: no), and its parameters."""
    sql, params = where.as_sql(step.conditions, prefix)
    if not step.event_types:
        return sql, params
    types = f"{prefix}_types"
    if len(step.event_types) == 1:  # found in two thirds of the time
        return f"event_type = ${types} AND {sql}", {types: step.event_types[0], **params}
    return f"list_contains(${types}, event_type) AND {sql}", {types: list(step.event_types), **params}


def _step(text: str, number: int) -> Step:
    optional = text.endswith("?")
    events, bracket, rest = text.removesuffix("?").rstrip().partition("[")
    names = tuple(dict.fromkeys(name.strip() for name in events.split("|")))
    if "" in names:
        raise UsageError(f"step {number} ({text!r}) names no event", hint=_QUOTES)
    if bracket and not rest.endswith("]"):
        raise UsageError(f"step {number} ({text!r}) does not end with the ] of its conditions", hint=_FORM)
    if "]" in events or "]|" in rest:
        raise UsageError(f"step {number} ({text!r}) has its conditions in the middle", hint=_FORM)
    conditions = _conditions(rest[:-1], number) if bracket else ()
    return Step(text, () if "*" in names else names, conditions, optional)


def _conditions(text: str, number: int) -> tuple[where.Condition, ...]:
    pieces: list[str] = []
    for piece in text.split(","):
        if pieces and not where.is_condition(piece):
            pieces[-1] += "," + piece
        else:
            pieces.append(piece)
    try:
        return tuple(where.parse(piece) for piece in pieces)
    except UsageError as error:
        raise UsageError(f"step {number}: {error}", hint=error.hint) from None
