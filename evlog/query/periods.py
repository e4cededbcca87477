"""The periods of a question as a table: SQL asks in which period a day lies; the calendar itself stays in Python."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from evlog.window import period_after, period_begin, week_label

if TYPE_CHECKING:
    from datetime import date

    from evlog.query.ask import Question
    from evlog.window import Unit, Window

_CALENDAR = """
CREATE TEMP TABLE calendar AS
SELECT unnest($days) AS day, unnest(CAST($numbers AS INTEGER[])) AS number
"""
_DAY = timedelta(days=1)


def keep(question: Question, unit: Unit, *, back: int = 0) -> tuple[date, ...]:
    """The first days of the periods of the window, the first one whole; makes table `calendar`: `day`, `number`.

    `number` counts the periods from 0; the `back` periods before the window have negative ones.
    """
    window = question.window.widened(unit)
    begins = window.periods(unit)
    earlier = before(begins[0], unit, back, window)
    numbered = dict(zip((*earlier, *begins), range(-back, len(begins)), strict=True))
    first = (*earlier, *begins)[0]
    days = [first + n * _DAY for n in range((window.days[-1] - first).days + 1)]
    numbers = [numbered[period_begin(day, unit, window.week_start)] for day in days]
    question.engine.run(_CALENDAR, {"days": days, "numbers": numbers})
    return begins


def before(begin: date, unit: Unit, count: int, window: Window) -> tuple[date, ...]:
    """The first days of the `count` periods before the one that begins on `begin`, in order."""
    found: list[date] = []
    for _ in range(count):
        begin = period_begin(begin - _DAY, unit, window.week_start)
        found.append(begin)
    return tuple(reversed(found))


def onward(begins: tuple[date, ...], unit: Unit, count: int) -> tuple[date, ...]:
    """The periods, and the `count` after them."""
    found = list(begins)
    for _ in range(count):
        found.append(period_after(found[-1], unit))
    return tuple(found)


def last_day(begin: date, unit: Unit) -> date:
    """The last day of the period that begins on `begin`."""
    return period_after(begin, unit) - _DAY


def widened(question: Question, unit: Unit) -> list[str]:
    """What to say where the range cuts its first period: the period is taken whole (cli contract)."""
    window = question.window
    begin = period_begin(window.first, unit, window.week_start)
    if begin == window.first:
        return []
    name = f"week {week_label(begin, window.week_start)}" if unit == "week" else "month"
    return [f"the first {name} is taken whole, from {begin}"]
