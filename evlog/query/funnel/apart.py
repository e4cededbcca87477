"""Steps counted each by itself, without chains: flags per user, and the open funnel (metrics §7.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evlog.kernel.funnel import Log, attempts, folded
from evlog.kernel.rules import Rules
from evlog.query import answer
from evlog.query.funnel.groups import Group, cut_off
from evlog.query.funnel.rows import Bars, rate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from evlog.query.funnel.asked import Asked
    from evlog.query.funnel.lanes import Lanes
    from evlog.query.scope import Scope

    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]


class Apart:
    """Owners and the steps they did, each counted for itself."""

    def __init__(self, lanes: Lanes, asked: Asked) -> None:
        self.lanes = lanes
        self.asked = asked

    def of(self, values: Sequence[int] | None, absent: int) -> Flags:
        """The rows whose lane has one of these values (None: all rows)."""
        if values is None:
            return np.ones(len(self.lanes.lane), bool)
        value = np.where(self.lanes.value < 0, absent, self.lanes.value)
        return np.isin(value, values)[self.lanes.lane]

    def owners(self, rows: Flags, step: int) -> Ints:
        """Those with an event that fits the step."""
        fits = rows & ((self.lanes.columns["fills"] >> step & 1) == 1)
        return np.unique(self.lanes.owner[self.lanes.lane[fits]])

    def bars(self, rows: Flags) -> Iterator[Bars]:
        """The bars of all steps; rates may exceed 1."""
        first = before = len(self.owners(rows, 0))
        for step in range(len(self.asked.steps)):
            users = len(self.owners(rows, step))
            if step and self.asked.like == "open":
                went_on, times = self._onward(rows, step)
                yield Bars(users, rate(users, first), rate(went_on, before), before - went_on, times)
            else:
                yield Bars(users, rate(users, first), rate(users, before), before - users)
            before = users

    def _onward(self, rows: Flags, step: int) -> tuple[int, Ints]:
        """How many of those at the step before did this one after it, and the times it took."""
        fills = self.lanes.columns["fills"][rows] >> (step - 1) & 3
        log = Log(self.lanes.lane[rows], self.lanes.columns["ts"][rows], fills)
        best = folded(attempts(log, Rules(2, self.asked.rules.window)), self.lanes.owner, log)
        instants = log.ts[best.chain[best.level > 1]]
        return len(instants), instants[:, 1] - instants[:, 0]

    def summary(self, rows: Flags) -> dict[str, Any]:
        """The first and the last step, over all groups."""
        entered, converted = (len(self.owners(rows, step)) for step in (0, len(self.asked.steps) - 1))
        return {
            "entered": entered,
            "converted": converted,
            "conversion": rate(converted, entered),
            "median_s": None,
            "mean_s": None,
            "open": None,
        }

    def groups(self, names: tuple[str, ...], scope: Scope) -> list[tuple[Group, Flags]]:
        """The groups with their rows, the largest first."""
        absent = len(names) - 1
        values = np.unique(np.where(self.lanes.value < 0, absent, self.lanes.value)).tolist()
        sizes = {number: len(self._who(self.of([number], absent))) for number in values}
        ranked = sorted(values, key=lambda number: (-sizes[number], names[number]))
        top = len(ranked) if scope.top is None else scope.top
        parts = [(names[number], [number]) for number in ranked[:top]]
        parts += [(answer.OTHER, ranked[top:])] if ranked[top:] else []
        found = [(name, held, self.of(held, absent)) for name, held in parts]
        cut = cut_off([self._who(rows) for *_, rows in found], scope.min_users)
        return [(Group(name, tuple(held), number in cut), rows) for number, (name, held, rows) in enumerate(found)]

    def _who(self, rows: Flags) -> Ints:
        """The users who did anything of this."""
        if "who" not in self.lanes.columns:
            return np.unique(self.lanes.owner[self.lanes.lane[rows]])
        who = self.lanes.columns["who"][rows]
        return np.unique(who[who >= 0])
