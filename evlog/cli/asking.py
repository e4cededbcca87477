"""What every question takes: its window, its conditions, its break-down. Options in, a `Scope` out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evlog.cli.option import flag, option, repeated
from evlog.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from evlog.cli.call import Call
    from evlog.cli.option import Option
    from evlog.event import plan as planned
    from evlog.event.plan import Plan
    from evlog.query.scope import Index, Pair, Scope
    from evlog.query.where import Condition
    from evlog.store.layout import Store
    from evlog.window import AsOf, Window

SETTINGS = ("days", "as_of", "tz", "week_start", "plan")
_TABLE_GROUPS = 20  # a table shows that many groups, and the rest as one
_PREFIX = "ask__"
_COUNTABLE = 16 << 20  # bytes of quarantine that are read to be counted


def parameters() -> list[Option]:
    """The options that select: a window, conditions, groups."""
    return [
        option("ask__first", str | None, None, "--from", metavar="DATE", help="The first day, included."),
        option("ask__last", str | None, None, "--to", metavar="DATE", help="The last day, included."),
        flag("ask__all_time", "--all-time", "From the first event to the newest."),
        flag("ask__whole_days", "--whole-days", "End yesterday: the day that is running is left out."),
        repeated("ask__where", "--where", "'KEY OP VALUE'",
                 "Only events for which this, and each other, holds; OP is one of = != < <= > >= ~ in not-in exists."),
        option("ask__by", str | None, None, "--by", metavar="KEY", help="Break down by a column or a property."),
        option("ask__top", int | None, None, "--top", metavar="N", min=1, help="The N largest groups, then (other)."),
        option("ask__min_users", int, 0, "--min-users", metavar="N", min=0, show_default=False,
               help="Withhold groups with fewer users."),
        flag("ask__include_anon", "--include-anon", "Count anonymous_id where there is no user."),
        repeated("ask__active_events", "--active-events", "EVENT", "Only such events make a user active; repeatable."),
    ]  # fmt: skip


def scope(call: Call, store: Store, given: dict[str, Any], *, table: bool) -> Scope:
    """The scope of a question, out of what was given for `parameters` and the settings."""
    from evlog.query.scope import Scope

    if "" in map(str.strip, given["ask__active_events"]):
        raise UsageError("--active-events names no event", hint="leave it out: then any event makes active")
    asked = {name.removeprefix(_PREFIX): given.pop(name) for name in list(given) if name.startswith(_PREFIX)}
    plan = call.plan()
    top = asked["top"] or (_TABLE_GROUPS if table and asked["by"] else None)
    covered = window(call, store, asked)
    return Scope(
        covered,
        where=_conditions(asked["where"]),
        by=asked["by"],
        top=top,
        min_users=asked["min_users"],
        include_anon=asked["include_anon"],
        active_events=tuple(asked["active_events"]),
        quarantined=_quarantined(store, covered),
        **(of_plan(plan) if plan else {}),
    )


def _conditions(texts: list[str]) -> tuple[Condition, ...]:
    if not texts:
        return ()
    from evlog.query import where

    return tuple(map(where.parse, texts))


def of_plan(plan: Plan) -> dict[str, Any]:
    """What the plan says of every question."""
    from evlog.query.scope import Part

    pairs = {name: _pair(pair) for name, pair in plan.pairs.items()}
    return {
        "inactive": tuple(sorted(plan.inactive_types)),
        "errors": plan.errors,
        "requests": plan.requests,
        "pairs": tuple(pairs.values()),
        "parts": tuple(
            Part(name, part.targets, part.required or part.targets, part.title) for name, part in plan.parts.items()
        ),
        "indices": tuple(_index(name, index, pairs) for name, index in plan.indices.items()),
    }


def _pair(pair: planned.Pair) -> Pair:
    from evlog.query.scope import NEVER, Pair
    from evlog.window import limit

    abandon_after = limit(pair.abandon_after)
    return Pair(
        pair.start,
        pair.complete,
        NEVER if abandon_after is None else abandon_after,
        pair.abandon,
        pair.target_type,
    )


def _index(name: str, index: planned.Index, pairs: Mapping[str, Pair]) -> Index:
    from evlog.query.scope import Component, Index

    components = tuple(
        Component(key, one.measure, one.max, one.min, one.weight, one.events, one.property, pairs.get(one.pair or ""))
        for key, one in index.components.items()
    )
    return Index(name, components, index.description)


def window(call: Call, store: Store, asked: dict[str, Any]) -> Window:
    """The window that the options mean; days out of file or environment give way to a range that was asked for."""
    from evlog.window import resolve, until

    settings = call.settings
    ranged = bool(asked["first"] or asked["last"] or asked["all_time"])
    days = None if ranged and "days" not in call.flags else settings.days
    now = as_of(call, store)
    return resolve(
        now,
        tz=settings.tz,
        week_start=settings.week_start,
        days=days,
        first=asked["first"],
        last=asked["last"],
        all_time=asked["all_time"],
        whole_days=asked["whole_days"],
        held=_held(store, until=until(now, settings.tz)) if asked["all_time"] else None,
    )


def as_of(call: Call, store: Store) -> AsOf:
    """What plays now: the clock, unless a setting says otherwise."""
    from evlog.window import as_of as meant
    from evlog.window import at

    settings = call.settings
    if settings.as_of is None:
        return at(call.now, settings.tz)
    if settings.as_of.lower() == "latest":
        return at(_newest(store), settings.tz)
    try:
        return meant(settings.as_of, tz=settings.tz, now=call.now)
    except UsageError as error:
        raise UsageError(f"{settings.place('as_of')}: {error}", hint=error.hint) from error


def _newest(store: Store) -> datetime:
    held = _held(store)
    if held is None:
        raise UsageError("--as-of latest: the store holds no event", hint="take some in with: evlog ingest FILE")
    return held[1]


def _held(store: Store, *, until: datetime | None = None) -> tuple[datetime, datetime] | None:
    from evlog.query import span

    return span.held(store, until=until)


def _quarantined(store: Store, covered: Window) -> int | None:
    """How many lines of the window are quarantined, by the day of their event, or else of their coming.

    None where there are so many that counting them would take longer than the question.
    """
    from evlog.store import quarantine

    files = quarantine.files(store)
    try:
        size = sum(file.path.stat().st_size for file in files)
    except FileNotFoundError:  # replayed or purged just now
        return _quarantined(store, covered)
    if size > _COUNTABLE:
        return None
    first, last = covered.first.isoformat(), covered.last.isoformat()
    days = (str(found.body["day"] or found.body["received_at"])[:10] for file in files for found in file.read())
    return sum(first <= day <= last for day in days)
