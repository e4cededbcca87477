"""The numbers of a funnel: a row for each step, and the whole in a summary (metrics §7.6, §7.12)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evlog.kernel import histogram as edges
from evlog.kernel.columns import Attempts
from evlog.kernel.optional import did_between
from evlog.kernel.quantile import quantile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from evlog.query.funnel.asked import Asked
    from evlog.query.funnel.entrants import Entrants, Run

    Ints = NDArray[np.int64]

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60))


@dataclass(frozen=True, slots=True)
class Bars:
    """What stands in the rows of a step beside its text: users, rates, times."""

    users: int
    conversion: float | None
    step_conversion: float | None
    dropped: int | None
    times: Ints | None = None  # since the step before, microseconds; None where there is none

    @property
    def cells(self) -> tuple[Any, ...]:
        """The cells as the report's columns have them."""
        median, mean, p90 = summed(self.times)
        return (self.users, self.conversion, self.step_conversion, self.dropped, median, mean, p90)


def bars(run: Run, asked: Asked, entrants: Entrants) -> Iterator[Bars]:
    """The bars of all steps as written, those that are no gates included."""
    side = _side(run, asked, entrants)
    entered = before = len(entrants.level)
    number = 0
    for place in range(len(asked.steps)):
        if place in side:
            done = side[place]
            yield Bars(done, rate(done, entered), rate(done, before), None)
            continue
        reached = entrants.instants[entrants.level > number]
        times = reached[:, number] - reached[:, number - 1] if number else None
        yield Bars(len(reached), rate(len(reached), entered), rate(len(reached), before), before - len(reached), times)
        before = len(reached)
        number += 1


def _side(run: Run, asked: Asked, entrants: Entrants) -> dict[int, int]:
    """How many did each optional step, by its place (metrics §7.10)."""
    found = Attempts(entrants.owner, entrants.level, entrants.chain)
    done: dict[int, int] = {}
    for bit, place in enumerate(asked.optional):
        matching = (run.lanes.columns["side"] >> bit & 1) == 1
        after = sum(required < place for required in asked.required)
        done[place] = int(did_between(found, run.log, asked.rules, matching=matching, after=after).sum())
    return done


def histogram(times: Ints | None, asked: Asked) -> list[int]:
    """How many of the times lie between the edges; their labels are `edge_labels`."""
    return [count for _, count in edges.histogram(_none() if times is None else times, asked.rules.window)]


def edge_labels(asked: Asked) -> tuple[str, ...]:
    """What the places of a histogram are called: the longest time that each holds."""
    found = edges.histogram(_none(), asked.rules.window)
    return tuple("more" if edge is None else f"≤{_short(edge // 1_000_000)}" for edge, _ in found)


def _short(seconds: int) -> str:
    return next((f"{seconds // size}{unit}" for unit, size in _UNITS if seconds and seconds % size == 0), f"{seconds}s")


def _none() -> Ints:
    return np.zeros(0, np.int64)


def summary(asked: Asked, entrants: Entrants, still_open: int) -> dict[str, Any]:
    """The whole funnel, over all groups."""
    entered = len(entrants.level)
    done = entrants.instants[entrants.level == asked.rules.steps]
    times = done[:, -1] - done[:, 0]
    median, mean, p90 = summed(times)
    told = dict(zip(edge_labels(asked), histogram(times, asked), strict=True)) if asked.histogram else None
    return {
        "entered": entered,
        "converted": len(done),
        "conversion": rate(len(done), entered),
        "median_s": median,
        "mean_s": mean,
        "open": still_open,
        **({"p90_s": p90, "histogram": told} if told is not None else {}),
    }


def summed(microseconds: Ints | None) -> tuple[float | None, float | None, float | None]:
    """Median, mean and 90th percentile in seconds, of exact values (metrics §7.6, §12)."""
    rising: list[int] = [] if microseconds is None else np.sort(microseconds).tolist()
    if not rising:
        return None, None, None
    return _seconds(quantile(rising, 50)), sum(rising) / (len(rising) * 1_000_000), _seconds(quantile(rising, 90))


def rate(part: int, whole: int) -> float | None:
    """The share; None of nothing."""
    return part / whole if whole else None


def _seconds(microseconds: float | None) -> float | None:
    return None if microseconds is None else microseconds / 1_000_000
