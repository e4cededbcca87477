"""What a check found: a value against its threshold, since when, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

Dimension = Literal[
    "completeness", "accuracy", "timeliness", "consistency", "volume", "ingest", "abuse", "jobs", "expectation"
]
Verdict = Literal["ok", "failed", "no data"]
Unit = Literal["rate", "seconds", "count", "number"]
"""What value and threshold are: a fraction 0..1, a duration, a number of things, a plain number."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, in numbers and words, and what to do where it failed.

    `since` is the first day of the newest unbroken run of failing days; `until` is its last, None while it goes on.
    """

    check: str
    dimension: Dimension
    verdict: Verdict
    value: float | None
    threshold: float | None
    unit: Unit
    says: str
    todo: str = ""
    since: date | None = None
    until: date | None = None

    @property
    def failed(self) -> bool:
        """Whether it did not hold."""
        return self.verdict == "failed"


@dataclass(frozen=True, slots=True)
class Measure:
    """What a check measures: its name, what it is about, the unit, the most that is fine, what to do where it is not.

    `idle` says why there is nothing to judge, where there is not.
    """

    check: str
    dimension: Dimension
    unit: Unit
    limit: float
    todo: str
    idle: str


@dataclass(frozen=True, slots=True)
class Daily:
    """What was measured on a day, and in words; a value of None: there was nothing to judge."""

    day: date
    value: float | None
    says: str


def share(day: date, part: int, whole: int, what: str) -> Daily:
    """A day on which `part` of `whole` things were amiss."""
    return Daily(day, part / whole if whole else None, f"{part:,} of {whole:,} {what} on {day}")


def by_day(measure: Measure, days: Iterable[Daily]) -> Finding:
    """The finding of a check that judges each day alone: it fails where any day does.

    The value is that of the worst day: of the run of failing days that is reported, else of all.
    """
    told = sorted((one for one in days if one.value is not None), key=lambda one: one.day)
    if not told:
        return no_data(measure)
    failing = _newest_run(told, measure.limit)
    worst = max(failing or told, key=lambda one: (one.value or 0.0, one.day))
    assert worst.value is not None
    if not failing:
        return judged(measure, worst.value, worst.says)
    until = failing[-1].day if failing[-1] is not told[-1] else None
    return judged(measure, worst.value, worst.says, since=failing[0].day, until=until)


def judged(
    measure: Measure, value: float, says: str, *, since: date | None = None, until: date | None = None
) -> Finding:
    """The finding for one value."""
    failed = value > measure.limit
    return Finding(
        measure.check,
        measure.dimension,
        "failed" if failed else "ok",
        value,
        measure.limit,
        measure.unit,
        says,
        measure.todo if failed else "",
        since if failed else None,
        until if failed else None,
    )


def no_data(measure: Measure) -> Finding:
    """The finding where there is nothing to judge."""
    return Finding(measure.check, measure.dimension, "no data", None, measure.limit, measure.unit, measure.idle)


def _newest_run(told: Sequence[Daily], limit: float) -> list[Daily]:
    """The newest failing days with no day between them that was fine; a day with nothing to judge breaks no run."""
    run: list[Daily] = []
    for one in reversed(told):
        if one.value is not None and one.value > limit:
            run.append(one)
        elif run:
            break
    return run[::-1]
