"""The groups of a broken-down funnel: which value an entrant counts under, the largest first (metrics §7.11)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from evlog.kernel.attribution import attributed
from evlog.query import answer, suppression
from evlog.query.funnel.entrants import run as attempted
from evlog.query.funnel.lanes import merged

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from evlog.query.ask import Question
    from evlog.query.funnel.asked import Asked
    from evlog.query.funnel.entrants import Entrants, Run

    Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Group:
    """A group as it is shown: the values it stands for, and whether it is withheld."""

    name: str
    values: tuple[int, ...]  # places in the names; `(none)` is the last
    withheld: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """The entrants of a run by group, all of them, and how many stand in no group: they never reached the step."""

    groups: tuple[tuple[Group, Entrants, Run], ...]  # with the run that the entrants' rows are of
    everyone: Entrants
    counted: Entrants  # without those whose window is open, if they are to be left out
    step_not_reached: int


class Breakdown:
    """The funnel broken down, or not: the same groups for the whole range and for each of its periods."""

    def __init__(self, question: Question, asked: Asked, names: tuple[str, ...]) -> None:
        self.question = question
        self.asked = asked
        self.names = names
        self.apart = question.scope.by is not None and asked.options["attribution"] == "all"
        self.groups: tuple[Group, ...] = ()

    def whole(self, run: Run, periods: Sequence[Run] = ()) -> Told:
        """The groups of the whole range; they are the groups of its periods, where a value may be new, too."""
        if self.question.scope.by is None:
            self.groups = (Group("", ()),)
            return self.told(run)
        sizes = self._sizes(run)
        known = sizes > 0
        for period in periods:
            known |= self._sizes(period) > 0
        ranked = sorted(np.flatnonzero(known).tolist(), key=lambda n: (-int(sizes[n]), self.names[n]))
        top = len(ranked) if self.question.scope.top is None else self.question.scope.top
        groups = [Group(self.names[number], (number,)) for number in ranked[:top]]
        if ranked[top:]:
            rest = set(range(len(self.names)) if self.apart else ranked) - set(ranked[:top])
            groups.append(Group(answer.OTHER, tuple(sorted(rest))))
        self.groups = tuple(groups)
        told = self.told(run)
        cut = cut_off([self._who(run, entrants) for _, entrants, run in told.groups], self.question.scope.min_users)
        self.groups = tuple(Group(one.name, one.values, number in cut) for number, one in enumerate(groups))
        return self.told(run)

    def told(self, run: Run) -> Told:
        """The entrants of a run, group by group; groups withheld are left out."""
        window = self.question.window
        everyone = run.among(None, self.asked, window)
        counted = self._kept(everyone)
        shown = [group for group in self.groups if not group.withheld]
        if self.question.scope.by is None:
            return Told(((self.groups[0], counted, run),), everyone, counted, 0)
        if self.apart:
            return Told(tuple(self._own(run, group) for group in shown), everyone, counted, 0)
        number = self._numbers(run, counted)
        found = [(group, counted.only(np.isin(number, group.values)), run) for group in shown]
        return Told(tuple(found), everyone, counted, int((number < 0).sum()))

    def _own(self, run: Run, group: Group) -> tuple[Group, Entrants, Run]:
        """The entrants of a group whose values are funnels of their own; those past the top are one, recomputed."""
        window, absent = self.question.window, len(self.names) - 1
        if len(group.values) == 1:
            found = run.among(self._lane_values(run) == group.values[0], self.asked, window)
            return group, self._kept(found), run
        lanes = [-1 if value == absent else value for value in group.values]
        rest, opens = merged(run.lanes, lanes, run.log.opens)
        own = attempted(rest, self.asked, opens)
        return group, self._kept(own.among(None, self.asked, window)), own

    def _kept(self, entrants: Entrants) -> Entrants:
        """Without those whose window is still open, if only what is complete counts (metrics §7.7)."""
        return entrants.only(~entrants.still_open) if self.asked.options["complete_only"] else entrants

    def _sizes(self, run: Run) -> Ints:
        """How many entrants each value has."""
        if self.apart:
            pairs = np.stack((self._lane_values(run), run.lanes.owner))
            (value, _), pair = np.unique(pairs, axis=1, return_inverse=True)
            each = replace(run, lanes=replace(run.lanes, owner=pair))  # every value of an owner counts by itself
            entrants = self._kept(each.among(None, self.asked, self.question.window))
            return np.bincount(value[entrants.owner], minlength=len(self.names))
        number = self._numbers(run, self._kept(run.among(None, self.asked, self.question.window)))
        return np.bincount(number[number >= 0], minlength=len(self.names))

    def _lane_values(self, run: Run) -> Ints:
        return np.where(run.lanes.value < 0, len(self.names) - 1, run.lanes.value)

    def _numbers(self, run: Run, entrants: Entrants) -> Ints:
        """The value of each entrant, as a place in the names; -1 of those who never reached the step that tells."""
        values, step = run.lanes.columns["value"], self.asked.at_step
        absent = len(self.names) - 1
        if step is not None:
            rows = entrants.chain[:, step]
            return np.where(rows < 0, -1, np.where(values[rows] < 0, absent, values[rows]))
        found = attributed(entrants.chain, values, self.asked.options["attribution"])
        return np.where(found < 0, absent, found)

    def _who(self, run: Run, entrants: Entrants) -> Ints:
        """The users who stand behind the entrants: what decides whether a group is shown."""
        if "who" not in run.lanes.columns:
            return np.unique(entrants.owner)
        who = run.lanes.columns["who"][entrants.chain[:, 0]]
        return np.unique(who[who >= 0])


def cut_off(who: Sequence[Ints], least: int) -> frozenset[int]:
    """The numbers of the groups that are withheld, by the users of each."""

    def together(cells: Collection[int]) -> int:
        return len(np.unique(np.concatenate([who[cell] for cell in cells])))

    return suppression.hidden([len(users) for users in who], least, together=together)


def withheld(groups: Sequence[Group]) -> int:
    """How many groups are too small to be shown, or hide such."""
    return sum(group.withheld for group in groups)
