"""What purge and archive share: which days are old enough, whether to trust the clock, what is rolled up first."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from typer import Option

from evlog.cli import clock, printing, rolling
from evlog.errors import EvlogError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from evlog.cli.call import Call
    from evlog.purge import Plan, Signed
    from evlog.store.layout import Store
    from evlog.window import AsOf

SETTINGS = ("retention", "remember", *rolling.SETTINGS)
FORCE = Option("--force", help="Go on though the clock seems to be wrong, or the final rollups fail.")
_DAY = timedelta(days=1)
_RECEIVED = "%Y%m%dT%H%M%SS%fZ"  # as it stands in names of segments


def before(call: Call) -> date:
    """The first day that stays."""
    from evlog import purge

    return purge.cutoff(today(call).day, whole_days(call.settings.retention, "--older-than"))


def rollups_before(call: Call) -> date | None:
    """The first day whose rollups stay; None where all do. They are kept no shorter than events."""
    from evlog import purge

    kept = call.settings.rollups_retention
    if kept is None:
        return None
    days, raw = whole_days(kept, "--rollups-older-than"), call.settings.retention.days
    if days < raw:
        hint = f"say {raw}d or more, or none to keep them"
        raise UsageError(f"--rollups-older-than: rollups are kept as long as events at least ({raw} days)", hint=hint)
    return purge.cutoff(today(call).day, days)


def whole_days(kept: timedelta, word: str) -> int:
    """How many days a duration is; UsageError where they are not whole."""
    if kept % _DAY:
        raise UsageError(f"{word}: expected whole days", hint="such as 90d, 12w or 1y")
    return kept.days


def today(call: Call, tz: str = "UTC") -> AsOf:
    """What plays now: the clock, unless the flag says otherwise; the environment has no say here."""
    from evlog.window import as_of, at

    said = call.flags.get("as_of")
    if said is None:
        return at(call.now, tz)
    if str(said).lower() == "latest":
        raise UsageError("--as-of latest is not for what removes days", hint="name a date")
    return as_of(str(said), tz=tz, now=call.now)


def sane(planned: Plan) -> None:
    """Refuse where the clock stands before what was received already: then it cannot tell what is old."""
    if planned.newest_received is None:
        return
    newest = datetime.strptime(planned.newest_received, _RECEIVED)  # noqa: DTZ007 - naive UTC throughout
    if clock.now() < newest:
        hint = "mend the clock; or, if it is right, say --force"
        raise EvlogError(f"the clock stands before the newest events came in ({newest}Z)", hint=hint)


def remembered(call: Call) -> tuple[list[str], list[str]]:
    """The types that make nobody active, and those whose first time is remembered: cohorts begin with them.

    They are what the setting names, and what starts a pair or a funnel of the plan.
    """
    from evlog.event.lint import types_of

    plan, named = call.plan(), set(call.settings.remember)
    if plan is None:
        return [], sorted(named)
    named |= {pair.start for pair in plan.pairs.values()}
    named |= {kind for funnel in plan.funnels.values() for kind in types_of(funnel.steps[0])}
    return sorted(plan.inactive_types), sorted(named)


def roll(call: Call, store: Store, before: date) -> Callable[[], object]:
    """What makes the final rollups of the days before `before`; the maintenance lock is held by then."""
    from evlog import rollup
    from evlog.window import Window

    asked, now, settings = rolling.asked(call, store), today(call, call.settings.tz), call.settings
    # what plays now for the days that go, plays for their numbers: the environment has no say in either
    window = Window(now.day, now.day, now.instant, now.day, settings.tz, settings.week_start)
    asked = replace(asked, scope=replace(asked.scope, window=window))

    def finish() -> None:
        begun = clock.now()
        done = rollup.finish(store, asked, before=before, held=True)
        ended = clock.now()
        rolling.tell(store, done, at=ended.replace(microsecond=0), seconds=(ended - begun).total_seconds())

    return finish


def signed(call: Call) -> Signed:
    """Who asks, and when, for the audit log."""
    from evlog.purge import Signed

    return Signed(clock.now(), call.environ.get("USER") or call.environ.get("LOGNAME") or "")


def forced(why: str) -> str:
    """The note of what went without a final rollup."""
    return f"forced: the final rollups of these days were not made: {why}"


def told(planned: Plan) -> str:
    """What would go, in words."""
    several = printing.several
    most = f", more than half of the {several(planned.total, 'day')}," if planned.takes_most else ""
    return f"{several(len(planned.days), 'day')}{most} with {several(planned.events, 'event')}"
