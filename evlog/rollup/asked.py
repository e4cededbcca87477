"""What a rollup is asked for, and what it tells when it is done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    from evlog.query.scope import Scope
    from evlog.query.standing import Standing
    from evlog.store.rollups import Grain

GRAINS: tuple[Grain, ...] = ("hour", "day", "week", "month")

NEW, FINAL = "new", "final"
"""Why a number may have changed: its period was still running; its period is over now."""
LATE, PLAN, LINKS, REJECTS = "late events", "plan", "links", "rejects"
"""The same: events came into a day that was over; the question means something else now; who is who; lines refused."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of every period: all events of `scope`, in its zone and as of its instant; its range is ignored.

    `more` are standing questions beside those of the reports, `late` is how long late events are expected.
    """

    scope: Scope
    more: tuple[Standing, ...] = ()
    late: timedelta = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Change:
    """A number that was known and is another now, and why. `period` is its first day, of an hour its instant."""

    grain: Grain
    period: str
    metric: str
    dimension: str
    of: str
    old: float | None
    new: float | None
    why: str
    report: str = ""


@dataclass(frozen=True, slots=True)
class Due:
    """A period that must be counted, for the first time or again: the questions, and why."""

    grain: Grain
    period: date
    questions: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Done:
    """What a rollup did: how much was counted, how the periods of its range stand, and which known numbers changed."""

    periods: int = 0
    sections: int = 0
    records: int = 0
    first: int = 0  # periods that were counted for the first time
    provisional: int = 0
    final: int = 0
    frozen: int = 0
    changed: tuple[Change, ...] = ()

    @property
    def numbers_changed(self) -> int:
        """How many known numbers are others now."""
        return len(self.changed)
