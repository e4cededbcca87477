"""Which sections of rollups may stand for the events of a question just now (docs/design.md, "Rollups").

A section may, if nothing that its numbers depend on changed after it was made: no partition in its reach, not what its
numbers mean, and not who is who on its days; and if its reach was over when it was made, and is over for the question.
A period whose events are purged is frozen: its section is all there is.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

from evlog.query import renamed
from evlog.query.standing import is_plain, partitions
from evlog.store import rollups, tombstones
from evlog.store.rollups import Period
from evlog.window import midnight, period_after

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from evlog.query.ask import Question
    from evlog.query.renamed import News
    from evlog.query.standing import Standing
    from evlog.store.rollups import Section
    from evlog.store.tombstones import Tombstones
    from evlog.window import Unit

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Held:
    """What sections tell of a run of periods, by the first day of each."""

    standing: Standing
    periods: tuple[Period, ...]
    sections: Mapping[date, Section]  # those that may stand for events, frozen ones among them
    frozen: frozenset[date]  # periods of which events are purged, whether there is a section or not
    earlier: frozenset[date] = frozenset()  # frozen, and counted when the plan said otherwise

    @property
    def whole(self) -> bool:
        """Whether every period is told."""
        return all(period.first in self.sections for period in self.periods)


@dataclass(slots=True)
class Rollups:
    """The rollups of a store as one question may use them; what is looked up is looked up once."""

    question: Question
    _files: Mapping[str, Path] | None = None
    _read: dict[str, dict[str, Section]] = field(default_factory=dict)
    _changes: Mapping[date, int] | None = None
    _news: News | None = None
    _stones: Tombstones | None = None

    @property
    def asked(self) -> bool:
        """Whether the question is one that rollups can answer."""
        return self.question.with_rollups and is_plain(self.question.scope)

    def gone(self, first: date) -> bool:
        """Whether the partition was purged, as all before it: what came back of it changes no number."""
        if self._stones is None:
            self._stones = tombstones.load(self.question.store)
        before = self._stones.purged_before
        return before is not None and first < before

    def periods(self, unit: Unit, begins: Iterable[date]) -> tuple[Period, ...]:
        """The periods that begin on these days."""
        tz = self.question.window.tz
        return tuple(Period(unit, begin, period_after(begin, unit) - _DAY, tz) for begin in begins)

    def held(self, standing: Standing, periods: Sequence[Period]) -> Held:
        """What sections tell of these periods; nothing where the question is none for rollups."""
        frozen = {one.first for one in periods if self.is_frozen(standing, one)} if self.asked else set()
        found = {one.first: told for one in periods if (told := self._section(standing, one)) is not None}
        definition = standing.definition(self.question.scope)
        old = frozenset(first for first in frozen if first in found and found[first].definition != definition)
        fresh = {one: told for one in periods if (told := found.get(one.first)) is not None and one.first not in frozen}
        stale = self._stale(standing, fresh, definition)
        return Held(
            standing,
            tuple(periods),
            {first: told for first, told in found.items() if first not in stale},
            frozenset(frozen),
            old,
        )

    def is_frozen(self, standing: Standing, period: Period) -> bool:
        """Whether only a section can tell the numbers of a period."""
        return self.gone(standing.needed(period, self.question.window.week_start)[0])

    def before_all(self, period: Period) -> bool:
        """Whether a period was over before anything happened, as far as the store ever knew."""
        days, last = self.question.snapshot.days, partitions(period.first, period.last, period.tz)[1]
        return bool(days) and last < days[0] and not self.gone(date.min)

    def first_kept(self, standing: Standing, unit: Unit) -> date | None:
        """The first day of the earliest period of the zone that a section tells; None where there is none."""
        for day, target in self._targets(unit) if self.asked else ():
            if standing.name in self._sections(target):
                return day
        return None

    def kept(self, standing: Standing, unit: Unit) -> list[Section]:
        """The sections of every period of the zone, in order."""
        found = (self._sections(target).get(standing.name) for _, target in self._targets(unit))
        return [section for section in found if section is not None]

    def names(self, period: Period) -> list[str]:
        """The questions of which there is a section of a period."""
        return sorted(self._sections(period.target))

    def _targets(self, unit: Unit) -> list[tuple[date, str]]:
        """The files of the zone by the first day of their period."""
        head = Period(unit, date.min, date.min, self.question.window.tz).target.rpartition("/")[0] + "/"
        named = sorted(name for name in self._known() if name.startswith(head))
        return [(date.fromisoformat(name.removeprefix(head).removesuffix(rollups.SUFFIX)), name) for name in named]

    def _section(self, standing: Standing, period: Period) -> Section | None:
        if not self.asked or period.grain not in standing.grains:
            return None
        found = self._sections(period.target).get(standing.name)
        return found if found is not None and found.batch <= self.question.snapshot.batch else None

    def _known(self) -> Mapping[str, Path]:
        if self._files is None:
            self._files = rollups.files(self.question.store)
        return self._files

    def _sections(self, target: str) -> dict[str, Section]:
        """The sections of a file; none where it is not there (any more)."""
        if target not in self._read:
            self._read[target] = {}
            if target in self._known():
                with suppress(FileNotFoundError):  # replaced or removed under our eyes
                    self._read[target] = rollups.read(self._known()[target])[1]
        return self._read[target]

    def _stale(self, standing: Standing, found: Mapping[Period, Section], definition: str) -> set[date]:
        """Those of the periods whose section may not stand for events."""
        kept = {one: told for one, told in found.items() if told.definition == definition}
        kept = {one: told for one, told in kept.items() if standing.settles and self._over(standing, one, told)}
        kept = {one: told for one, told in kept.items() if not self._changed(standing, one, told.batch)}
        if kept:
            kept = {one: told for one, told in kept.items() if not self._renamed(standing, one)}
        return {one.first for one in found} - {one.first for one in kept}

    def _over(self, standing: Standing, period: Period, section: Section) -> bool:
        """Whether all that the numbers depend on had happened, when they were counted and for the question."""
        window = self.question.window
        if section.computed_at == window.as_of and not standing.onward and period.last <= window.today:
            return True
        end = midnight(standing.reach(period)[1] + _DAY, window.tz)
        return end <= window.as_of and end <= section.computed_at

    def _changed(self, standing: Standing, period: Period, batch: int) -> bool:
        """Whether a partition in reach changed after a commit."""
        if self._changes is None:
            found = rollups.changes(self.question.store, self.question.snapshot)
            self._changes = {day: touch.batch for day, touch in found.items()}
        return _any_in(self._changes, standing, period, batch)

    def _renamed(self, standing: Standing, period: Period) -> bool:
        """Whether ids came to mean another person on a day in reach, without the rollups knowing."""
        if self._news is None:
            self._news = renamed.news(self.question)
        return self._news.anywhere or _any_in(dict.fromkeys(self._news.days, 0), standing, period, -1)


def _any_in(changes: Mapping[date, int], standing: Standing, period: Period, batch: int) -> bool:
    """Whether any partition that the numbers of a period depend on has a change after a commit."""
    begin, end = standing.reach(period)
    first, last = partitions(begin or period.first, end, period.tz)
    return any(at > batch and day <= last and (begin is None or day >= first) for day, at in changes.items())
