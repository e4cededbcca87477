"""`evlog purge`: whole days of events go, for good."""

from typing import TYPE_CHECKING, Annotated, Any

from evlog.cli import consent, leaving, maintaining, printing
from evlog.cli.command import command

if TYPE_CHECKING:
    from evlog.cli.call import Call
    from evlog.purge import Plan


@command(
    example="evlog purge --older-than 90d --dry-run",
    exits=(1, 4),
    settings=("rollups_retention", *leaving.SETTINGS),
    prints="table",
)
def purge(
    call: "Call",
    *,
    dry_run: Annotated[bool, maintaining.DRY_RUN] = False,
    yes: Annotated[bool, maintaining.YES] = False,
    force: Annotated[bool, leaving.FORCE] = False,
    wait: Annotated[str | None, maintaining.WAIT] = None,
    **given: Any,
) -> None:
    """Remove every day of events that is older, from every tier; nothing of it can come back.

    The final rollups of these days are made first: reports go on telling their numbers. If that fails, nothing goes.

    It asks on a terminal. From cron it simply works; where more than half of the days would go, that needs --yes.
    """
    from evlog import purge as purging

    shape, store = printing.shape(given), call.store()
    before, rollups = leaving.before(call), leaving.rollups_before(call)
    planned = purging.plan(store, before=before, rollups_before=rollups)
    if not force:
        leaving.sane(planned)
    if not dry_run and (planned.days or planned.rollups):
        consent.confirm(_question(planned), yes=yes, cron=not planned.takes_most)
    done = planned
    if not dry_run:
        inactive, remember = leaving.remembered(call)
        done = purging.apply(
            store,
            before,
            wait=maintaining.seconds(wait),
            inactive=inactive,
            remember=remember,
            rollups_before=rollups,
            roll=leaving.roll(call, store, before),
            force=force,
            signed=leaving.signed(call),
        )
    printing.emit(call, _result(call, done, dry_run=dry_run), shape)


def _question(planned: "Plan") -> str:
    rollups = f", and {printing.several(len(planned.rollups), 'rollup')}," if planned.rollups else ""
    return f"remove {leaving.told(planned)} before {planned.before}{rollups} for good?"


def _result(call: "Call", done: "Plan", *, dry_run: bool) -> Any:
    from evlog.query.result import Column, Result

    columns = (Column("date", "date"), Column("events", "count"), Column("files", "count"), Column("bytes", "count"))
    rows = tuple((day.day, day.events, len(day.files), day.bytes) for day in done.days)
    summary = {
        "days": len(rows),
        "events": done.events,
        "rejects": done.rejects,
        "rollups": len(done.rollups),
        "bytes": sum(row[3] for row in rows),
    }
    notes = ["dry run: nothing was removed"] if dry_run else []
    if not rows:
        notes.append(f"no day before {done.before} holds events")
    if done.unrolled:
        notes.append(leaving.forced(done.unrolled))
    params = {"before": done.before.isoformat()}
    return Result("purge", columns, rows, call.now, params=params, summary=summary, notes=tuple(notes))
