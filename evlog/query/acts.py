"""What a question asks of a person: a step in the language of funnels, or any activity where none is said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evlog.errors import UsageError
from evlog.query import steps

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Act:
    """Whether an event of `seen` is the act, as SQL with its parameters.

    `event_types` are those that are the act whatever else they say; none: nothing so simple can be said of it.
    """

    says: str
    sql: str
    params: Mapping[str, Any] = field(default_factory=dict)
    event_types: tuple[str, ...] = ()


ACTIVE = Act("active event", "active")


def read(text: str | None, option: str) -> Act:
    """The act that the option says; any that makes active where it says nothing."""
    if text is None:
        return ACTIVE
    try:
        (step,) = steps.parse([text])
    except UsageError as error:
        raise UsageError(str(error).replace("step 1", f"--{option}", 1), hint=error.hint) from None
    sql, params = steps.as_sql(step, f"act_{option.replace('-', '_')}")
    return Act(step.text, sql, params, () if step.conditions else step.event_types)


def of_types(event_types: tuple[str, ...], option: str) -> Act:
    """The act of any of these types."""
    sql, params = steps.as_sql(steps.Step(" or ".join(event_types), event_types), f"act_{option}")
    return Act(" or ".join(event_types), sql, params, event_types)
