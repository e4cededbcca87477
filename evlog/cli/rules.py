"""What lines are held against: the plan and the settings, for every command that parses events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evlog.cli.call import Call
    from evlog.event.plan import Plan
    from evlog.ingest.rules import Rules

SETTINGS = ("plan", "assume_tz", "max_line", "max_age", "consent", "placeholder_users", "pii", "pii_allow")


def held_against(
    call: Call, field_map: Iterable[str] = (), *, plan: Plan | None = None, dedupe: bool = True, backfill: bool = False
) -> Rules:
    """The plan and the settings of this call, as an ingest holds them against every line."""
    from evlog.event import times
    from evlog.event.plan import Plan as Plans
    from evlog.event.privacy import Guard
    from evlog.ingest.rules import Rules

    settings = call.settings
    return Rules(
        plan or call.plan() or Plans.open(),
        mapping=tuple(_mapped(text) for text in field_map),
        assume=times.zone(settings.assume_tz),
        max_line=settings.max_line,
        max_age=settings.max_age,
        consent=settings.consent,
        placeholder_users=settings.placeholder_users,
        guard=Guard(settings.pii, allow=settings.pii_allow),
        dedupe=dedupe,
        backfill=backfill,
    )


def _mapped(text: str) -> tuple[str, tuple[str, ...]]:
    from evlog.cli.suggest import did_you_mean
    from evlog.event.fields import ALIASES

    name, equals, path = (part.strip() for part in text.partition("="))
    parts = tuple(path.split("."))
    if not equals or not name or "" in parts:
        raise UsageError(f"--map: expected FIELD=PATH, got {text!r}", hint="such as --map user_id=actor.id")
    if name not in ALIASES and not name.startswith(("properties.", "context.")):
        known = f"one of {', '.join(ALIASES)}, or properties.NAME"
        raise UsageError(f"--map: there is no field {name!r}", hint=did_you_mean(name, ALIASES) or known)
    return name, parts
