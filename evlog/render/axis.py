"""What stands along the sides of a chart: round numbers from zero, and dates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evlog.render import human

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from evlog.query.result import Kind

_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
_CLOCK = (60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 604_800)  # round to a clock
_DAYS = (1, 2, 7, 14, 28, 56, 91, 182, 364)
_THOUSANDS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_LONG = 10_000  # from here on a label is shortened
_ROOM = 8  # columns from one date to the next: `MM-DD` and three blanks


def ticks(low: float, high: float, kind: Kind, *, most: int) -> tuple[float, ...]:
    """Return round numbers a round step apart, from zero (or below `low`) to `high` or above; `most` steps."""
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        high = 1.0
    step = _step((high - low) / most, kind)
    if not math.isfinite(step) or step <= 0:
        return (low, high)
    first, last = math.floor(low / step), math.ceil(high / step)
    return tuple(step * n for n in range(first, max(last, first + 1) + 1))


def _step(least: float, kind: Kind) -> float:
    if kind == "seconds" and _CLOCK[0] / 2 < least <= _CLOCK[-1]:
        return float(next(length for length in _CLOCK if length >= least))
    if least < 1 and kind == "count":
        return 1.0
    if least < 1e-300:  # noqa: PLR2004 - there a power of ten is no number any more
        return least
    power = 10.0 ** math.floor(math.log10(least))
    steps = (r * power for r in _ROUND if kind != "count" or (r * power).is_integer())
    return next((step for step in steps if step >= least * (1 - 1e-12)), 10 * power)


def labels(scale: Sequence[float], kind: Kind) -> list[str]:
    """Return ticks in few characters, all in one unit: 1,500; 20k; 35%; 1h 30m."""
    if kind == "seconds":
        return [human.duration(value) for value in scale]
    if kind == "rate":
        return [f"{_few(value * 100)}%" for value in scale]
    largest = max(map(abs, scale))
    size, unit = next(((size, unit) for size, unit in _THOUSANDS if largest >= max(size, _LONG)), (1, ""))
    return [f"{_few(value / size)}{unit if value else ''}" for value in scale]


def _few(value: float) -> str:
    """Return the number without the dust of binary fractions and without zeros at its end."""
    written = human.number(float(f"{value:.6g}"))
    return written.rstrip("0").rstrip(".") if "." in written and "e" not in written else written


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels under a chart in one line, and the columns that have a tick."""

    text: str
    ticks: tuple[int, ...]


def dates(days: Sequence[date], places: Sequence[int], columns: int, *, starred: bool) -> Labels:
    """Return labels for as many of the days as there is room for: first and last, and evenly those between.

    `places` are the columns of the days; `starred` marks the last, which is still running.
    """
    wanted = [(places[0], _dated(days[0], None))]
    if len(days) > 1:
        wanted.append((places[-1], _dated(days[-1], days[0]) + "*" * starred))
    every = _every(days, columns)
    wanted += [(places[i], _dated(days[i], days[0])) for i in range(every, len(days) - 1, every)]
    room: list[str] = [" "] * columns
    marked = []
    for place, text in wanted:
        begin = min(max(0, place - (len(text) // 2 if place else 0)), columns - len(text))
        if begin < 0 or any(char != " " for char in room[max(0, begin - 2) : begin + len(text) + 2]):
            continue
        room[begin : begin + len(text)] = text
        marked.append(place)
    return Labels("".join(room).rstrip(), tuple(sorted(marked)))


def _every(days: Sequence[date], columns: int) -> int:
    """Return how many days lie from one label to the next; for days in a row a length that calendars know."""
    least = max(1, math.ceil(len(days) * _ROOM / columns))
    daily = (days[-1] - days[0]).days == len(days) - 1
    return next((n for n in _DAYS if n >= least), least) if daily else least


def _dated(day: date, first: date | None) -> str:
    """Return the date, without its year where the first one has it too."""
    return f"{day:%m-%d}" if first is not None and day.year == first.year else day.isoformat()
