"""Which periods must be counted, for the first time or again, and why (docs/design.md, "Rollups")."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import orjson

from evlog.errors import StoreDamaged
from evlog.rollup.asked import FINAL, LATE, LINKS, NEW, PLAN, REJECTS
from evlog.rollup.periods import covering, over, reach
from evlog.rollup.questions import QUALITY
from evlog.store import durable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from evlog.query.scope import Scope
    from evlog.query.standing import Standing
    from evlog.rollup.rejects import Refused
    from evlog.store.purged import Purged
    from evlog.store.rollups import Grain, Period, Touch

_HEAD = b'\n{"question":'
_PERIOD, _MADE = b',"grain":', b',"definition":'  # within a text of JSON no quotes stand so
_ZONE = timedelta(days=2)  # the end of a local date lies less than so much after its midnight, UTC
_RANK = (NEW, FINAL, LATE, REJECTS, LINKS)
"""Reasons, the stronger the later; a plan, and any other that a partition was marked with, are stronger still."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a section says beside its records."""

    definition: str
    batch: int
    computed_at: datetime
    late: int


@dataclass(frozen=True, slots=True)
class Work:
    """A period to count: which questions and why, and the sections that fall or are told of late events."""

    period: Period
    stale: Mapping[str, str]  # with the reason
    known: frozenset[str]  # those of the stale that have a section
    unasked: frozenset[str] = frozenset()  # sections of questions that nobody asks any more
    frozen: frozenset[str] = frozenset()  # frozen sections into whose days events came since

    @property
    def why(self) -> str:
        """The strongest reason."""
        return max(self.stale.values(), key=_rank, default=LATE if self.frozen else PLAN)


@dataclass(frozen=True, slots=True)
class Now:
    """What sections are held against: what is asked, and what became of the store since they were made."""

    scope: Scope
    questions: Sequence[Standing]
    files: Mapping[str, Path]  # of rollups
    changes: Mapping[date, Touch]
    refused: Refused
    purged: Purged
    leaving: Purged | None = None  # what will be purged: then only periods that this freezes are counted
    names: set[str] = field(default_factory=set)  # the questions of the sections that were met so far

    def work(self, grain: Grain, first: date, last: date) -> Iterator[Work]:
        """The periods of a grain in a range of local dates that there is something to do about."""
        asked = {one.name: one for one in self.questions if grain in one.grains}
        meant = {name: one.definition(self.scope) for name, one in asked.items()}
        held = [(one, self._heads(one)) for one in covering(grain, first, last, self.scope.window)]
        since = min((head.batch for _, heads in held for head in heads.values()), default=-1)
        recent = replace(self, changes={day: one for day, one in self.changes.items() if one.batch > since})
        for period, heads in held:
            work = recent.about(period, heads, asked, meant)
            if work is not None:
                yield work

    def _heads(self, period: Period) -> dict[str, Head]:
        path = self.files.get(period.target)
        found = heads(path) if path is not None else {}
        self.names.update(found)
        return found

    def about(
        self, period: Period, heads: Mapping[str, Head], asked: Mapping[str, Standing], meant: Mapping[str, str]
    ) -> Work | None:
        """What there is to do about a period whose file says this; questions, and their definitions, by name."""
        stale: dict[str, str] = {}
        frozen: set[str] = set()
        for name, one in asked.items():
            head = heads.get(name)
            if self._is_frozen(one, period, self.purged):
                if head is not None and self._changed(head.batch, period, one, own=True):
                    frozen.add(name)
            elif self.leaving is None or self._is_frozen(one, period, self.leaving):
                why = self._why(one, period, head, meant[name])
                if why is not None:
                    stale[name] = why
        unasked = frozenset(heads.keys() - meant.keys()) if self._falls(period) else frozenset()
        if not stale and not frozen and not unasked:
            return None
        return Work(period, stale, frozenset(stale.keys() & heads.keys()), unasked, frozenset(frozen))

    def _falls(self, period: Period) -> bool:
        """Whether sections that nobody asks for any more need not stay: they can be made again."""
        return self.leaving is None and not self._is_frozen(QUALITY, period, self.purged)

    def _is_frozen(self, standing: Standing, period: Period, purged: Purged) -> bool:
        return purged.before is not None and purged.any(standing.needed(period, self.scope.window.week_start)[0])

    def _why(self, standing: Standing, period: Period, head: Head | None, meant: str) -> str | None:
        """Why a section must be made anew; None if it stands."""
        if head is None:
            return NEW
        if head.definition != meant:
            return PLAN
        reasons = [self._reason(day, touch, head) for day, touch in self._changed(head.batch, period, standing)]
        if standing is QUALITY and self.refused.newest.get(period.first, -1) > head.batch:
            reasons.append(REJECTS)
        as_of = self.scope.window.as_of
        if as_of != head.computed_at and not self._is_over(standing, period, min(as_of, head.computed_at)):
            reasons.append(FINAL if over(standing, period) <= as_of else NEW)
        return max(reasons, key=_rank, default=None)

    @staticmethod
    def _is_over(standing: Standing, period: Period, at: datetime) -> bool:
        """Whether nothing that happens from an instant on changes the numbers of a period."""
        end = standing.reach(period)[1]
        return at.date() > end + _ZONE or at >= over(standing, period)

    def _changed(
        self, batch: int, period: Period, standing: Standing, *, own: bool = False
    ) -> list[tuple[date, Touch]]:
        """The partitions in reach (of the period's `own` days alone) that changed after a commit."""
        newer = [(day, one) for day, one in self.changes.items() if one.batch > batch]
        if not newer:
            return []
        first, last = reach(QUALITY if own else standing, period)
        if not standing.settles and self.leaving is not None:
            last = date.max
        return [(day, one) for day, one in newer if first <= day <= last]

    @staticmethod
    def _reason(day: date, touch: Touch, head: Head) -> str:
        if touch.why != "events":
            return touch.why
        return LATE if day < head.computed_at.date() else NEW


def heads(path: Path) -> dict[str, Head]:
    """What the sections of a rollup file say beside their records, by question."""
    found = {}
    try:
        for line in _heads(durable.read(path)):
            name, head = _head(line[: line.index(_PERIOD)] + b"}", b"{" + line[line.index(_MADE) + 1 :])
            found[name] = head
    except (ValueError, KeyError, TypeError) as error:
        raise StoreDamaged(f"{path} is no rollup", hint="remove it and run: evlog rollup") from error
    return found


@lru_cache(1 << 14)
def _head(question: bytes, made: bytes) -> tuple[str, Head]:
    """The question of a head line, and how its section was made: in most files they are the same but for the period."""
    name, told = orjson.loads(question)["question"], orjson.loads(made)
    at = datetime.fromisoformat(told["computed_at"]).replace(tzinfo=None)  # naive UTC throughout
    return name, Head(told["definition"], told["batch"], at, told["late"])


def _heads(raw: bytes) -> Iterator[bytes]:
    """Yield the head lines; the records between them, which are most of a file, are passed over."""
    raw = b"\n" + raw + b"\n"
    begin = raw.find(_HEAD)
    while begin >= 0:
        end = raw.index(b"\n", begin + 1)
        yield raw[begin + 1 : end]
        begin = raw.find(_HEAD, end)


def _rank(why: str) -> int:
    return _RANK.index(why) if why in _RANK else len(_RANK)
