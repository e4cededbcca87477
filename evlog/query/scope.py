"""What a question covers: everything about it but the question itself."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from evlog.frozen import dataclass

if TYPE_CHECKING:
    from evlog.query.where import Condition
    from evlog.window import Window

NEVER = timedelta(days=1_000_000)
"""An open start that is never abandoned, however old."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A start and its completion, from the plan; an open start is abandoned after `abandon_after`."""

    start: str
    complete: str
    abandon_after: timedelta = timedelta(hours=24)
    abandon: str | None = None  # the type that says so, if there is one
    target_type: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Targets that belong together, from the plan; who completes the required ones completes the part."""

    name: str
    targets: tuple[str, ...]
    required: tuple[str, ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Component:
    """One measure of a user in a period, and how it counts in an index: `low` is 0, `high` is 100."""

    name: str
    measure: Literal["events", "targets", "days", "sum", "avg", "rate"]
    high: float
    low: float = 0
    weight: float = 1
    events: tuple[str, ...] = ()  # only these types; none named: all
    property: str | None = None  # of sum and avg: a key as in `--where`
    pair: Pair | None = None  # of rate


@dataclass(frozen=True, slots=True)
class Index:
    """A weighted mean of components, from the plan (metrics §18.10)."""

    name: str
    components: tuple[Component, ...]
    description: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """The window of a question, what of it counts, and how it is broken down.

    `by` is a key as in `--where`; `top` keeps that many groups and counts the rest together, None keeps all.
    """

    window: Window
    where: tuple[Condition, ...] = ()
    by: str | None = None
    top: int | None = None
    min_users: int = 0
    include_anon: bool = False
    inactive: tuple[str, ...] = ()  # types that make nobody active (plan)
    active_events: tuple[str, ...] = ()  # if given, only these make active
    pairs: tuple[Pair, ...] = ()  # start and complete types (plan)
    errors: tuple[str, ...] = ()  # types that are errors (plan); none named: the type or category `error`
    requests: tuple[str, ...] = ()  # types that errors are measured against (plan); none named: all events
    parts: tuple[Part, ...] = ()  # in the order of the plan
    indices: tuple[Index, ...] = ()
    quarantined: int | None = None  # rejects in the range, if known
