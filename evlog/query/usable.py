"""Which sections of rollups may stand for the events of a question just now (docs/design.md, "Rollups").

A section may, if nothing that its numbers depend on changed after it was made: no partition in its reach, not what its
numbers mean, and not who is who on its days; and if its reach was over when it was made, and is over for the question.
A period whose events are purged is frozen: its section is all there is.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from evlog.frozen import dataclass
from evlog.query import renamed
from evlog.query.standing import is_plain, partitions
from evlog.store import linked, purged, rollups
from evlog.store.rollups import Changes, Period, Shelf
from evlog.window import midnight, period_after

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from evlog.query.ask import Question
    from evlog.query.renamed import News
    from evlog.query.standing import Standing
    from evlog.store.linked import Head
    from evlog.store.purged import Purged
    from evlog.store.rollups import Section
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


class Rollups:
    """The rollups of a store as one question may use them; what is looked up is looked up once."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self._shelf: Shelf | None = None
        self._read: dict[tuple[str, str], Section | None] = {}
        self._wanted: frozenset[str] = frozenset()
        self._changes: Changes | None = None
        self._linked: Head | None = None
        self._news: News | None = None
        self._held: tuple[date, ...] | None = None

    @property
    def asked(self) -> bool:
        """Whether the question is one that rollups can answer."""
        return self.question.with_rollups and is_plain(self.question.scope)

    def want(self, *standings: Standing) -> None:
        """Read the sections of all of these where one of them is read: a file is then opened once."""
        self._wanted |= {standing.name for standing in standings}

    def gone(self, first: date) -> bool:
        """Whether the partition was purged, as all before it: what came back of it changes no number."""
        return self.purged.any(first)

    @cached_property
    def purged(self) -> Purged:
        """Which partitions were purged."""
        return purged.load(self.question.store)

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
        fresh = [(one, found[one.first]) for one in periods if one.first in found and one.first not in frozen]
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
        if self._held is None:
            self._held = tuple(self.question.snapshot.days)
        last = partitions(period.first, period.last, period.tz)[1]
        return bool(self._held) and last < self._held[0] and not self.gone(date.min)

    def first_kept(self, standing: Standing, unit: Unit) -> date | None:
        """The first day of the earliest period of the zone that a section tells; None where there is none."""
        for day, target in self._targets(unit) if self.asked else ():
            if self._told(target, standing) is not None:
                return day
        return None

    def kept(self, standing: Standing, unit: Unit) -> list[Section]:
        """The sections of every period of the zone, in order."""
        found = (self._told(target, standing) for _, target in self._targets(unit))
        return [section for section in found if section is not None]

    def names(self, period: Period) -> list[str]:
        """The questions of which there is a section of a period."""
        path = self.shelf.path(period.target)
        with suppress(FileNotFoundError):
            return sorted(rollups.questions(path)) if path is not None else []
        return []

    def _targets(self, unit: Unit) -> list[tuple[date, str]]:
        """The files of the zone by the first day of their period."""
        folder = Period(unit, date.min, date.min, self.question.window.tz).target.rpartition("/")[0]
        named = self.shelf.names(folder)
        return [(date.fromisoformat(name.rpartition("/")[2].removesuffix(rollups.SUFFIX)), name) for name in named]

    def _section(self, standing: Standing, period: Period) -> Section | None:
        if not self.asked or period.grain not in standing.grains:
            return None
        found = self._told(period.target, standing)
        return found if found is not None and found.batch <= self.question.snapshot.batch else None

    @property
    def shelf(self) -> Shelf:
        """Where the files of rollups lie just now."""
        if self._shelf is None:
            self._shelf = Shelf(self.question.store)
        return self._shelf

    def _told(self, target: str, standing: Standing) -> Section | None:
        """The section of a file; None where there is none, or the file is not there (any more)."""
        name = standing.name
        if (target, name) not in self._read:
            path, names = self.shelf.path(target), self._wanted | {name}
            self._read |= dict.fromkeys((target, one) for one in names)
            if path is not None:
                with suppress(FileNotFoundError):  # there is none, or it was replaced or removed under our eyes
                    self._read |= {(target, one): found for one, found in rollups.sections(path, names).items()}
        return self._read[target, name]

    def _stale(self, standing: Standing, found: Sequence[tuple[Period, Section]], definition: str) -> set[date]:
        """The first days of those periods whose section may not stand for events."""
        kept = [(one, told) for one, told in found if told.definition == definition]
        kept = [(one, told) for one, told in kept if standing.settles and self._over(standing, one, told)]
        kept = [(one, told) for one, told in kept if not self._changed(standing, one, told.batch)]
        if kept:
            kept = [(one, told) for one, told in kept if not self._renamed(standing, one)]
        return {one.first for one, _ in found} - {one.first for one, _ in kept}

    def _over(self, standing: Standing, period: Period, section: Section) -> bool:
        """Whether all that the numbers depend on had happened, when they were counted and for the question."""
        window = self.question.window
        if section.computed_at == window.as_of and not standing.onward and period.last <= window.today:
            return True
        end = midnight(standing.reach(period)[1] + _DAY, window.tz)
        return end <= window.as_of and end <= section.computed_at

    @property
    def changes(self) -> Changes:
        """The last change of each partition."""
        if self._changes is None:
            self._changes = Changes(self.question.store, self.question.snapshot)
        return self._changes

    def _changed(self, standing: Standing, period: Period, batch: int) -> bool:
        """Whether a partition in reach changed after a commit."""
        return any(touch.batch > batch for day in self._in_reach(standing, period) if (touch := self.changes.of(day)))

    def _in_reach(self, standing: Standing, period: Period) -> Iterator[date]:
        """The partitions that the numbers of a period depend on; some of them may hold nothing."""
        begin, end = standing.reach(period)
        first, last = partitions(begin or period.first, end, period.tz)
        if begin is None:
            return (day for day in self.changes.days if day <= last)
        return (first + timedelta(days=n) for n in range((last - first).days + 1))

    @property
    def linked(self) -> Head:
        """What the rollups know of links as a whole."""
        if self._linked is None:
            self._linked = linked.head(self.question.store)
        return self._linked

    @property
    def news(self) -> News:
        """What is to be known of links beyond that."""
        if self._news is None:
            self._news = renamed.news(self.question)
        return self._news

    @property
    def nobody_linked(self) -> bool:
        """Whether the rollups know that no id counts as another's, wherever it occurs."""
        return self.question.with_rollups and self.linked.ids == 0 and renamed.known_whole(self.question)

    def _renamed(self, standing: Standing, period: Period) -> bool:
        """Whether ids came to mean another person on a day in reach, without the rollups knowing."""
        days = self.news.days
        return self.news.anywhere or (bool(days) and any(day in days for day in self._in_reach(standing, period)))
