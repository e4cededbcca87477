"""One run: what must be counted is counted from one snapshot, and committed some files at a time.

A section says at which commit it was made: what comes in while it is counted has a later one, and makes it stale.
"""

from __future__ import annotations

from collections import Counter as Tally
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from evlog.query import view
from evlog.query.standing import partitions
from evlog.rollup import who
from evlog.rollup.asked import GRAINS, Change, Done, Due
from evlog.rollup.changed import changed, later
from evlog.rollup.due import Now
from evlog.rollup.periods import covering, runs, state
from evlog.rollup.questions import standing
from evlog.store import journal, linked, locks, purged, rollups
from evlog.store.linked import LINKED
from evlog.store.rollups import TOUCHED, Section
from evlog.window import local_date

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from evlog.rollup.asked import Asked
    from evlog.rollup.count import Counter
    from evlog.rollup.due import Work
    from evlog.store.journal import Staging
    from evlog.store.rollups import Grain, Period
    from evlog.window import Window

CHUNK = 192
"""Files that one commit puts in place at most: their records stand in memory."""
_LARGE = 64 << 20
"""Bytes of events that are looked at for one commit, unless they are those of one period."""

_EARLIEST = "WITH events AS NOT MATERIALIZED ({events}) SELECT min(ts) FROM events WHERE ts < $until"
_LATE = """
SELECT   day, seq // 67108864 AS batch, count(*) AS events
FROM     seen
WHERE    in_range AND NOT list_contains($restored, CAST(ts AS DATE))
GROUP BY ALL
ORDER BY ALL
"""


@dataclass(frozen=True, slots=True)
class Range:
    """Which periods: of these grains, of a range of local dates, or those that a purge of what is `leaving` freezes."""

    grains: Sequence[Grain] = GRAINS
    first: date | None = None
    last: date | None = None
    leaving: date | None = None


@dataclass(slots=True)
class Run:
    """A run over the snapshot of `counter`, and what it did so far."""

    asked: Asked
    counter: Counter
    span: Range
    now: Now = field(init=False)
    who: who.Who = field(init=False)
    done: Done = field(default_factory=Done)
    _can: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        store = self.counter.store
        changes, files = rollups.changes(store, self.counter.seen), rollups.files(store)
        gone = purged.load(store)
        self.who = who.looked(self.counter, changes, any_made=bool(files))
        self.now = Now(
            self.asked.scope,
            standing(self.asked.more),
            files,
            self.who.marked(changes),
            self.counter.refused,
            gone,
            None if self.span.leaving is None else purged.Purged(self.span.leaving, gone.restored),
        )

    def due(self) -> tuple[Due, ...]:
        """The periods to count."""
        return tuple(
            Due(one.period.grain, one.period.first, tuple(sorted(one.stale)), one.why)
            for one in self._work()
            if one.stale
        )

    def all(self, staged: Staging, seen: Callable[[int, int], None]) -> Done:
        """Count what there is to count, commit by commit; `seen` hears of each."""
        found = self._work()
        if self.who.news or any(one.stale or one.unasked for one in found):
            self._keep_who(staged)
        for counted, chunk in self._chunks(found):
            self._count(chunk, staged)
            seen(counted, len(found))
        return self._stand()

    def _chunks(self, found: Iterable[Work]) -> Iterator[tuple[int, list[Work]]]:
        """The periods, in their order, cut into commits; with each, how many there are up to its last."""
        chunk: list[Work] = []
        counted = size = 0
        for work in found:
            more = self.counter.size(work.period)
            if chunk and (len(chunk) == CHUNK or size + more > _LARGE):
                yield counted, chunk
                chunk, size = [], 0
            chunk.append(work)
            counted += 1
            size += more
        if chunk:
            yield counted, chunk

    def _count(self, chunk: Sequence[Work], staged: Staging) -> None:
        """Count and commit these periods; where that fails, `done` says nothing of them."""
        known = self.done
        try:
            self.counter.settle(_days(chunk, self._window), staged)
            self._commit(staged, self._files(chunk))
        except BaseException:
            self.done = known
            raise

    def _work(self) -> list[Work]:
        """The periods that there is something to do about, in order, a grain after the other."""
        within = self._within()
        if within is None:
            return []
        found = [self._able(one) for grain in self.span.grains for one in self.now.work(grain, *within)]
        return [one for one in found if one.stale or one.frozen or one.unasked]

    def _within(self) -> tuple[date, date] | None:
        """The local dates to count: from the first event held, or from where the range begins."""
        window = self.counter.scope.window
        for day in self.counter.seen.days:
            hot = [file for file in self.counter.seen.hot if file.day == day]
            events, params = view.relation(hot, [file for file in self.counter.seen.cold if file.day == day])
            found = self.counter.engine.rows(_EARLIEST.format(events=events), {**params, "until": window.until})[0][0]
            if found is not None:
                held = local_date(found, window.tz)
                return max(held, self.span.first or held), self.span.last or window.today
            if day >= window.until.date():
                return None
        return None

    def _able(self, work: Work) -> Work:
        """The same without questions that have no answer in this store: those that never had one are tried, once."""
        for one in self.now.questions:
            if one.name in work.stale and one.name not in {*self.now.names, *self._can}:
                self._can[one.name] = self.counter.can(one, work.period.grain)
        return replace(work, stale={name: why for name, why in work.stale.items() if self._can.get(name, True)})

    def _files(self, chunk: Iterable[Work]) -> dict[str, bytes]:
        """The files of these periods that must be put in place, by name."""
        chunk = list(chunk)
        late = self._late([one for one in chunk if one.frozen])
        made: dict[str, bytes] = {}
        for grain in self.span.grains:
            works = [one for one in chunk if one.period.grain == grain]
            for work, fresh in zip(works, self._sections(works), strict=True):
                content = self._content(work, fresh, late)
                made |= {work.period.target: content} if content is not None else {}
        return made

    def _sections(self, works: Sequence[Work]) -> list[dict[str, Section]]:
        """The stale sections of periods of one grain, made anew."""
        scope, found = self.counter.scope, [dict[str, Section]() for _ in works]
        for one in self.now.questions:
            stale = [number for number, work in enumerate(works) if one.name in work.stale]
            told = self.counter.records(one, [works[number].period for number in stale])
            for number in stale:
                records = told.get(works[number].period.first)
                if records is not None:
                    made = one.name, one.definition(scope), self.counter.seen.batch, scope.window.as_of, records
                    found[number][one.name] = Section(*made)
        return found

    def _content(self, work: Work, fresh: Mapping[str, Section], late: Mapping[tuple[date, int], int]) -> bytes | None:
        """The bytes of a period's file; None where it stays as it is. What changed is noted."""
        period, path = work.period, self.now.files.get(work.period.target)
        old = rollups.read(path)[1] if path is not None else {}
        gone = work.unasked | (work.known - fresh.keys())  # nobody asks any more, or nobody can answer
        kept = {name: one for name, one in old.items() if name not in gone}
        told = {name: self._told(period, kept[name], late) for name in work.frozen}
        self._note(work, old, fresh, told)
        if not fresh and not gone and all(kept[name] == one for name, one in told.items()):
            return None
        sections = {**kept, **told, **fresh}
        return rollups.content(period, [sections[name] for name in sorted(sections)])

    @staticmethod
    def _told(period: Period, section: Section, late: Mapping[tuple[date, int], int]) -> Section:
        """A frozen section, and how many events came into its period after it was made."""
        own = [one for one in late.items() if period.first <= one[0][0] <= period.last]
        return replace(section, late=sum(events for (_, batch), events in own if batch > section.batch))

    def _note(
        self, work: Work, old: Mapping[str, Section], fresh: Mapping[str, Section], told: Mapping[str, Section]
    ) -> None:
        """Take note of what is counted, and of what changed."""
        found: list[Change] = []
        for name, new in fresh.items():
            found += changed(work.period, old[name], new, why=work.stale[name]) if name in old else []
        before = max((old[name].late for name in told), default=0)
        after = max((one.late for one in told.values()), default=0)
        found += [later(work.period, old=before, new=after)] if before != after else []
        self.done = replace(
            self.done,
            periods=self.done.periods + bool(fresh),
            first=self.done.first + bool(fresh and not old),
            sections=self.done.sections + len(fresh),
            records=self.done.records + sum(len(one.records) for one in fresh.values()),
            changed=(*self.done.changed, *found),
        )

    def _late(self, works: Sequence[Work]) -> dict[tuple[date, int], int]:
        """How many events the days of frozen periods hold, by day and by the commit that brought them."""
        days = {day for one in works for day in covering("day", one.period.first, one.period.last, self._window)}
        restored = [date.fromisoformat(day) for day in self.now.purged.restored]
        found: dict[tuple[date, int], int] = {}
        for run in runs(sorted(days, key=lambda one: one.first)):
            rows = self.counter.put(run, lambda question: question.rows(_LATE, {"restored": restored}))
            found |= {(day, batch): events for day, batch, events in rows}
        return found

    @property
    def _window(self) -> Window:
        return self.counter.scope.window

    def _keep_who(self, staged: Staging) -> None:
        """Commit who is who, and the marks of the days that this changes, before anything is counted by it."""
        files = {LINKED: linked.content(self.who.known)}
        if self.who.days:
            files[TOUCHED] = who.marks(self.counter, self.who.days, batch=self.who.known.batch)
        self._commit(staged, files)

    def _commit(self, staged: Staging, files: Mapping[str, bytes]) -> None:
        if not files:
            return
        renames = []
        for target, content in files.items():
            name = f"{staged.serial()}-rollup"
            staged.write(name, [content])
            renames.append((name, target))
        staged.sync()
        with locks.commit(self.counter.store):
            journal.recover(self.counter.store)
            journal.commit(staged, "rollup", renames)

    def _stand(self) -> Done:
        """What was done, and how the periods of the range stand."""
        within = self._within()
        if within is None:
            return self.done
        states = Tally(
            state(period, self._window, late=self.asked.late, purged=self.now.purged)
            for grain in self.span.grains
            for period in covering(grain, *within, self._window)
        )
        return replace(self.done, provisional=states["provisional"], final=states["final"], frozen=states["frozen"])


def _days(works: Iterable[Work], window: Window) -> set[date]:
    """The partitions of the periods to count; those that a question looks at besides are read once or twice."""
    found: set[date] = set()
    for work in works:
        if work.stale:
            first, last = partitions(work.period.first, min(work.period.last, window.today), work.period.tz)
            found |= {first + timedelta(days=n) for n in range((last - first).days + 1)}
    return found
