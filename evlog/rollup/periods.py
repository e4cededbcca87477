"""The periods of a range, the partitions that a question about one looks at, and how a period stands."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal

from evlog.query.standing import partitions
from evlog.store.rollups import Period
from evlog.window import midnight, period_after, period_begin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from evlog.query.standing import Standing
    from evlog.store.purged import Purged
    from evlog.store.rollups import Grain
    from evlog.window import Unit, Window

State = Literal["provisional", "final", "frozen"]
_DAY = timedelta(days=1)


def covering(grain: Grain, first: date, last: date, window: Window) -> Iterator[Period]:
    """The periods that the local dates from `first` to `last` touch, in order; those not begun are left out."""
    unit: Unit = "day" if grain == "hour" else grain
    begin, end = period_begin(first, unit, window.week_start), min(last, window.today)
    while begin <= end:
        after = period_after(begin, unit)
        yield Period(grain, begin, after - _DAY, window.tz)
        begin = after


def runs(periods: Iterable[Period]) -> list[list[Period]]:
    """The periods, which come in order, cut where one does not follow the one before."""
    found: list[list[Period]] = []
    for period in periods:
        if found and found[-1][-1].last + _DAY == period.first:
            found[-1].append(period)
        else:
            found.append([period])
    return found


def reach(standing: Standing, period: Period) -> tuple[date, date]:
    """The first and the last partition whose events may change the numbers of a period."""
    begin, end = standing.reach(period)
    first, last = partitions(begin or period.first, end, period.tz)
    return (date.min if begin is None else first), last


def over(standing: Standing, period: Period) -> datetime:
    """The instant from which on nothing that is still to happen changes the numbers of a period."""
    return midnight(standing.reach(period)[1] + _DAY, period.tz)


def state(period: Period, window: Window, *, late: timedelta, purged: Purged) -> State:
    """How the numbers of a period stand that look at nothing but its own days."""
    if purged.any(partitions(period.first, period.last, period.tz)[0]):
        return "frozen"
    return "final" if midnight(period.last + _DAY, period.tz) + late <= window.as_of else "provisional"
