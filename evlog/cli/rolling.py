"""What a rollup is asked for, by the settings and the plan: for `evlog rollup`, and for what removes days."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from evlog.cli.call import Call
    from evlog.event.plan import Funnel
    from evlog.query.standing import Standing
    from evlog.rollup import Asked, Done
    from evlog.store.layout import Store

SETTINGS = ("as_of", "tz", "week_start", "late_allowance", "plan")

_DAY = timedelta(days=1)
_NEVER = 36_500
"""Days that a funnel without a limit looks on: it never ends."""


def asked(call: Call, store: Store) -> Asked:
    """What is asked of every period, in the zone of the settings, as of what plays now."""
    from evlog.cli.asking import as_of, of_plan
    from evlog.query.scope import Scope
    from evlog.rollup import Asked
    from evlog.window import Window

    settings, plan, now = call.settings, call.plan(), as_of(call, store)
    covered = Window(now.day, now.day, now.instant, now.day, settings.tz, settings.week_start)
    funnels = plan.funnels.values() if plan else ()
    return Asked(
        Scope(covered, **(of_plan(plan) if plan else {})),
        more=tuple(_standing(call, funnel) for funnel in funnels),
        late=settings.late_allowance,
    )


def _standing(call: Call, funnel: Funnel) -> Standing:
    """A funnel of the plan as a question of each period: who took step 1 in it, and how far they came."""
    from evlog.query.standing import Standing
    from evlog.window import limit

    said = {one.name: getattr(funnel, one.name) for one in fields(funnel) if one.name != "description"}
    options: dict[str, Any] = {key: value for key, value in said.items() if value not in (None, False)}
    usual = call.settings.funnel_window
    options.setdefault("window", "none" if usual is None else f"{usual.total_seconds():.0f}s")
    whole = limit(options["window"])
    return Standing(
        "funnel",
        grains=("day", "week", "month"),
        key=("step", "event"),
        metrics={name: name for name in ("users", "median_s", "mean_s", "p90_s")},
        options=options,
        grain_option="per",
        period="period",
        onward=_NEVER if whole is None else -(-whole // _DAY) + 1,
    )


def tell(store: Store, done: Done, *, at: datetime, seconds: float) -> None:
    """Append the line of a run."""
    from evlog.store import runs

    line = {
        "at": at,
        "periods": done.periods,
        "records": done.records,
        "changed": len(done.changed),
        "seconds": round(seconds, 3),
    }
    runs.append(store, "rollup", line)
