"""`evlog purge`: whole days of events go, for good."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from evlog.cli import clock, consent, maintaining, printing
from evlog.cli.command import command
from evlog.errors import EvlogError, UsageError

if TYPE_CHECKING:
    from datetime import date

    from evlog.cli.call import Call
    from evlog.purge import Plan

_DAY = timedelta(days=1)
_RECEIVED = "%Y%m%dT%H%M%SS%fZ"  # as it stands in names of segments


@command(
    example="evlog purge --older-than 90d --dry-run",
    exits=(1, 4),
    settings=("retention", "remember", "as_of", "plan"),
    prints="table",
)
def purge(
    call: "Call",
    *,
    dry_run: Annotated[bool, maintaining.DRY_RUN] = False,
    yes: Annotated[bool, maintaining.YES] = False,
    force: Annotated[bool, Option("--force", help="Go on although the clock seems to be wrong.")] = False,
    wait: Annotated[str | None, maintaining.WAIT] = None,
    **given: Any,
) -> None:
    """Remove every day of events that is older, from every tier; nothing of it can come back.

    It asks on a terminal. From cron it simply works; where more than half of the days would go, that needs --yes.
    """
    from evlog import purge as purging

    shape, store = printing.shape(given), call.store()
    before = purging.cutoff(_today(call), _days(call))
    planned = purging.plan(store, before=before)
    if not force:
        _sane(planned)
    if not dry_run and planned.days:
        question = f"remove {_told(planned)} before {before} for good?"
        consent.confirm(question, yes=yes, cron=not planned.takes_most)
    done = planned
    if not dry_run:
        inactive, remember = _remembered(call)
        done = purging.apply(store, before, wait=maintaining.seconds(wait), inactive=inactive, remember=remember)
    printing.emit(call, _result(call, done, dry_run=dry_run), shape)


def _remembered(call: "Call") -> tuple[list[str], list[str]]:
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


def _today(call: "Call") -> "date":
    """The day that plays today: the clock's, unless the flag says otherwise; the environment has no say here."""
    from evlog.window import as_of

    said = call.flags.get("as_of")
    if said is None:
        return call.now.date()
    if str(said).lower() == "latest":
        raise UsageError("--as-of latest is not for purge", hint="name a date")
    return as_of(str(said), tz="UTC", now=call.now).day


def _days(call: "Call") -> int:
    kept = call.settings.retention
    if kept % _DAY:
        raise UsageError("--older-than: expected whole days", hint="such as 90d, 12w or 1y")
    return kept.days


def _sane(planned: "Plan") -> None:
    """Refuse where the clock stands before what was received already: then it cannot tell what is old."""
    if planned.newest_received is None:
        return
    newest = datetime.strptime(planned.newest_received, _RECEIVED)  # noqa: DTZ007 - naive UTC throughout
    if clock.now() < newest:
        hint = "mend the clock; or, if it is right, say --force"
        raise EvlogError(f"the clock stands before the newest events came in ({newest}Z)", hint=hint)


def _told(planned: "Plan") -> str:
    several = printing.several
    most = f", more than half of the {several(planned.total, 'day')}," if planned.takes_most else ""
    return f"{several(len(planned.days), 'day')}{most} with {several(planned.events, 'event')}"


def _result(call: "Call", done: "Plan", *, dry_run: bool) -> Any:
    from evlog.query.result import Column, Result

    columns = (Column("date", "date"), Column("events", "count"), Column("files", "count"), Column("bytes", "count"))
    rows = tuple((day.day, day.events, len(day.files), day.bytes) for day in done.days)
    summary = {"days": len(rows), "events": done.events, "rejects": done.rejects, "bytes": sum(row[3] for row in rows)}
    notes = ("dry run: nothing was removed",) if dry_run else ()
    if not rows:
        notes = (*notes, f"no day before {done.before} holds events")
    params = {"before": done.before.isoformat()}
    return Result("purge", columns, rows, call.now, params=params, summary=summary, notes=notes)
