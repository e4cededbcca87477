"""Jobs: whether what cron should do gets done."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from evlog.check import ingested
from evlog.check.finding import Daily, Finding, Measure, by_day, judged, no_data
from evlog.store import journal, rollups, tombstones
from evlog.window import midnight

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from evlog.check.look import Look

_DAY = timedelta(days=1)
_GRACE = timedelta(hours=6)
"""How long after its end a day may wait for its rollup; cron makes it at 03:15."""


def rollup_seconds(look: Look, limit: float) -> Iterator[Finding]:
    """The longest run of `evlog rollup` on a day."""
    longest: dict[date, float] = {}
    for run in ingested.of_job(look.store, look.question.window, "rollup"):
        longest[run.day] = max(longest.get(run.day, 0.0), run["seconds"])
    yield by_day(
        Measure(
            "rollup_seconds", "jobs", "seconds", limit,
            "let it run oftener, or fewer days at a time", "no run of rollup",
        ),
        (Daily(day, seconds, f"the longest run of rollup on {day}") for day, seconds in longest.items()),
    )  # fmt: skip


def rollup_overdue(look: Look, _limit: timedelta) -> Iterator[Finding]:
    """How long the oldest day that has events and no rollup has been waiting; it is due six hours after the day."""
    measure = Measure(
        "rollup_overdue", "jobs", "seconds", _GRACE.total_seconds(),
        "does cron run it, and does it fail? evlog rollup", "never rolled up",
    )  # fmt: skip
    rolled = _rolled(look)
    if not rolled and not look.expect_rollup:
        yield no_data(measure)
        return
    done = next((day for day, path in rolled if _over(path)), None)
    begin = done + _DAY if done else date.min
    as_of = look.question.window.as_of
    waiting = [day for day in look.question.snapshot.days if day >= begin and _end(day) <= as_of]
    if not waiting:
        yield judged(measure, 0.0, f"rolled up to {done}" if done else "no day is over yet")
        return
    age = (as_of - _end(waiting[0])).total_seconds()
    yield judged(measure, age, f"{waiting[0]} is not rolled up", since=waiting[0] + _DAY)


def _rolled(look: Look) -> list[tuple[date, Path]]:
    """The days that have a rollup in any zone, and its file; the newest first."""
    named = [(name.split("/"), path) for name, path in rollups.files(look.store).items()]
    days = [(date.fromisoformat(name[-1].removesuffix(rollups.SUFFIX)), path) for name, path in named if "day" in name]
    return sorted(days, reverse=True)


def _over(path: Path) -> bool:
    """Whether a rolled-up day was over when it was counted; what was counted while it ran is not done."""
    period, sections = rollups.read(path)
    end = midnight(period.last + _DAY, period.tz)
    return any(one.computed_at >= end for one in sections.values())


def compact_overdue(look: Look, limit: timedelta) -> Iterator[Finding]:
    """How long the oldest segment of a closed day has been waiting for `evlog compact`."""
    as_of = look.question.window.as_of
    due = [(max(_end(one.day), one.name.received_at), one.day) for one in look.question.snapshot.hot]
    due = [one for one in due if one[0] <= as_of]
    yield _waited(
        look, "compact_overdue", limit, due, what="a closed day has waited for evlog compact",
        todo="does cron run it? evlog compact",
    )  # fmt: skip


def purge_overdue(look: Look, limit: timedelta) -> Iterator[Finding]:
    """How long the oldest day that is past the retention has been there too long."""
    kept = look.limits.retention
    if not look.limits.retention_said and tombstones.load(look.store).purged_before is None:
        idle = "nobody purges here"
        yield no_data(Measure("purge_overdue", "jobs", "seconds", limit.total_seconds(), "", idle))
        return
    as_of = look.question.window.as_of
    due = [(_end(day) + kept, day) for day in look.question.snapshot.days if _end(day) + kept <= as_of]
    yield _waited(
        look, "purge_overdue", limit, due, what="a day has been kept past the retention",
        todo=f"does cron run it? evlog purge --older-than {kept.days}d",
    )  # fmt: skip


def _waited(
    look: Look, name: str, limit: timedelta, due: list[tuple[datetime, date]], *, what: str, todo: str
) -> Finding:
    """The finding about what has been due since some instants, each for a day."""
    measure = Measure(name, "jobs", "seconds", limit.total_seconds(), todo, "no event")
    if not look.question.snapshot.days:
        return no_data(measure)
    if not due:
        return judged(measure, 0.0, "nothing waits")
    as_of = look.question.window.as_of
    oldest, day = min(due)
    days = len({one for _, one in due})
    says = f"{what}: {day}" + (f" and {days - 1} more" if days > 1 else "")
    return judged(measure, (as_of - oldest).total_seconds(), says, since=(oldest + limit).date())


def commits(look: Look, limit: float) -> Iterator[Finding]:
    """Commits that were unapplied when the check began and still are: one that is being applied just now is none."""
    waiting = {record.batch for record in journal.unapplied(look.store)}
    begun = {batch for batch in waiting if batch <= look.question.snapshot.batch}
    measure = Measure("commits", "jobs", "count", limit, "apply it with: evlog verify --repair", "no commit yet")
    if not look.question.snapshot.batch:
        yield no_data(measure)
        return
    yield judged(measure, len(begun), f"{len(begun)} commits wait to be applied")


def _end(day: date) -> datetime:
    """The end of a partition."""
    return datetime.combine(day + _DAY, time())
