"""The answers to standing questions: each period's records, by the functions of the reports, of one snapshot."""

from __future__ import annotations

from bisect import bisect, bisect_left
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from evlog import reports
from evlog.errors import UsageError
from evlog.query import keyed
from evlog.query.ask import Question, Reach
from evlog.query.identity import Identity
from evlog.query.standing import of_alone, of_series, of_table, partitions
from evlog.rollup import hours, quality
from evlog.rollup.periods import runs
from evlog.rollup.present import EVER, PRESENT, Present
from evlog.rollup.questions import HOURS, QUALITY
from evlog.rollup.settled import settled
from evlog.store.rollups import Period

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import date, datetime

    from evlog.engine import Engine
    from evlog.query.apart import Alone
    from evlog.query.result import Result
    from evlog.query.scope import Scope
    from evlog.query.standing import Standing
    from evlog.rollup.rejects import Refused
    from evlog.store.journal import Staging
    from evlog.store.layout import Store
    from evlog.store.links import Said
    from evlog.store.rollups import Grain, Record
    from evlog.store.snapshot import Snapshot

_WHO = {"told", "aliases", "lines", "linked", "claims", "standing", "named", "ends", "users"}
"""The tables of query/identity.py: who is who is settled once for all questions."""
_KEPT = {*_WHO, PRESENT, *EVER}
_PIECE = 16 << 20
"""Bytes of Parquet files, which are some 400,000 events."""
_DAY = timedelta(days=1)
_TYPES = "SELECT DISTINCT event_type FROM seen ORDER BY event_type"


class _Question(Question):
    """A question of a run: which event types the store holds, which pairs go by, is the same for every window.

    So is the newest event.
    """

    alone = False
    types: Callable[[], list[Any]]
    present: Present
    ends: list[datetime | None]

    def newest(self) -> datetime | None:
        """The instant of the newest event that plays now."""
        if not self.ends:
            self.ends.append(super().newest())
        return self.ends[0]

    def keep_ever(self, table: str, sql: str, params: Mapping[str, Any] | None = None) -> None:
        """Keep the rows of `sql` over all that plays now."""
        self.present.ever(self, table, sql, params or {})

    def keep_visits(self, table: str, sql: str, params: Mapping[str, Any]) -> None:  # noqa: ARG002 - it is known
        """Keep the visits that touch the window."""
        self._keep(table, *self.present.visits(self))

    def keep_present(self, table: str, reach: Reach) -> None:
        """Keep who was there."""
        assert reach.first is not None
        assert reach.last is not None
        self._keep(table, *self.present.over_days(self, reach.first, reach.last))

    def keep_daily(self, table: str, sql: str, params: Mapping[str, Any], *, reach: Reach) -> None:
        """Keep the rows of `sql`, which asks who was active."""
        text, bounds = self.present.daily(self, sql, reach)
        self._keep(table, text, {**params, **bounds})

    def _keep(self, table: str, sql: str, params: Mapping[str, Any]) -> None:
        self.engine.run(f"CREATE TEMP TABLE {table} AS {sql}", params)

    def rows(self, sql: str, params: Mapping[str, Any] | None = None, *, reach: Reach | None = None) -> list[Any]:
        """The rows of `sql` over `seen`."""
        if sql != _TYPES or reach != Reach(None, None):
            return super().rows(sql, params, reach=reach)
        return self.types()


class Counter:
    """What standing questions are asked through: one engine, one snapshot, one answer to who is who."""

    def __init__(
        self, store: Store, scope: Scope, seen: Snapshot, said: Sequence[Said], *, engine: Engine, refused: Refused
    ) -> None:
        self.store = store
        self.scope = scope
        self.seen = seen
        self._read = seen
        self.engine = engine
        self.refused = refused
        self.said = said
        self.identity = Identity(engine, seen, said, until=scope.window.until)
        self._reports: dict[str, Any] = {}
        self._types: list[Any] | None = None
        self._present = Present()
        self._by_key = keyed.possible(store, seen, scope)
        self._ends: list[datetime | None] = []
        self._sizes = _sizes(seen)
        self._days = seen.days
        self._blanks: dict[tuple[str, Grain], tuple[Record, ...]] = {}

    def settle(self, days: Collection[date], staged: Staging) -> None:
        """Make what is read again and again cheaper to read: segments of these partitions."""
        key = keyed.function(self.store) if self._by_key else None
        self._read = settled(self.engine, self._read, days, staged, key)
        self._sizes = _sizes(self._read)

    def question(self, first: date, last: date) -> _Question:
        """An open question about a range of local dates; it reads events, never rollups."""
        scope = replace(self.scope, window=replace(self.scope.window, first=first, last=last))
        made = _Question(self.engine, self._read, scope, store=self.store, said=self.said, rollups=False)
        made.identity, made.types, made.ends = self.identity, self.types, self._ends
        made.present, made.numbered = self._present, self._by_key
        return made

    def types(self) -> list[Any]:
        """The rows of `_TYPES`: the event types of the store."""
        if self._types is None:
            day = self.scope.window.today
            self._types = Question.rows(self.question(day, day), _TYPES, reach=Reach(None, None))
        return self._types

    def records(self, standing: Standing, periods: Iterable[Period]) -> dict[date, tuple[Record, ...]]:
        """The records of these periods, which come in order, by their first day; none where there is no answer."""
        found: dict[date, tuple[Record, ...]] = {}
        for run in runs(periods):
            with suppress(UsageError):
                found |= self._run(standing, run)
        return found

    def _run(self, standing: Standing, run: Sequence[Period]) -> dict[date, tuple[Record, ...]]:
        """The records of periods that follow one another: a series is asked once, a table of each."""
        if standing is HOURS:
            return dict(self.put(run, hours.records))
        if standing is QUALITY:
            read = partial(quality.records, reasons=self.refused.reasons)
            return {day: records for piece in self._pieces(run) for day, records in self.put(piece, read).items()}
        asked = partial(self._answer, standing=standing, grain=run[0].grain)
        if not standing.key:
            pieces = [run] if standing.settles else self._pieces(run)  # for sessions, events stand in memory
            series = [of_series(standing, self.put(piece, asked)) for piece in pieces]
            told = {first: records for piece in series for first, records in piece.items()}
            return {one.first: told.get(one.first, ()) for one in run}
        if standing.period:
            return _of_tables(standing, self.put(run, asked), run)
        if hasattr(self._module(standing), "each"):
            return self._tables(standing, run)
        return {one.first: of_table(standing, self.put([one], asked)) for one in run}

    def _tables(self, standing: Standing, run: Sequence[Period]) -> dict[date, tuple[Record, ...]]:
        """The records of tables: those of periods with events in one go, those of the others all alike."""
        held = [one for one in run if self._holds(one)]
        found = {
            one.first: of_alone(standing, told[one.first.isoformat()])
            for piece in (self._pieces(held) if held else ())
            for told in (self._each(standing, piece),)
            for one in piece
            if one.first.isoformat() in told
        }
        return {one.first: found[one.first] if one.first in found else self._blank(standing, one) for one in run}

    def _each(self, standing: Standing, piece: Sequence[Period]) -> dict[str, Alone]:
        """The answers to these periods, by the first day of each."""
        asked = standing.asked(piece[0].grain)

        def read(question: Question) -> dict[str, Alone]:
            begins = [one.first.isoformat() for one in piece]
            question.apart = tuple(begins[bisect(begins, day.isoformat()) - 1] for day in question.window.days)
            told: dict[str, Alone] = self._module(standing).each(question, **asked)
            return told

        return self.put(piece, read)  # type: ignore[no-any-return]

    def _blank(self, standing: Standing, period: Period) -> tuple[Record, ...]:
        """The records of a period that holds no event: asked of the first such, since they are the same of each."""
        key = standing.name, period.grain
        if key not in self._blanks:
            asked = partial(self._answer, standing=standing, grain=period.grain)
            self._blanks[key] = of_table(standing, self.put([period], asked))
        return self._blanks[key]

    def _holds(self, period: Period) -> bool:
        """Whether there may be an event of a period."""
        first, last = partitions(period.first, period.last, period.tz)
        place = bisect_left(self._days, first)
        return place < len(self._days) and self._days[place] <= last

    def _pieces(self, run: Sequence[Period]) -> list[list[Period]]:
        """The run, cut so that no piece holds more events than may stand in memory at once, or else is one period."""
        found, size = [list[Period]()], 0
        for period in run:
            more = self.size(period)
            if found[-1] and size + more > _PIECE:
                found.append([])
                size = 0
            found[-1].append(period)
            size += more
        return found

    def size(self, period: Period) -> int:
        """The bytes of the files that hold a period."""
        first, last = partitions(period.first, period.last, period.tz)
        return sum(self._sizes.get(first + n * _DAY, 0) for n in range((last - first).days + 1))

    def put(self, run: Sequence[Period], read: Callable[[_Question], Any]) -> Any:
        """What `read` makes of a question about these periods; the tables that it keeps go with it."""
        try:
            return read(self.question(run[0].first, run[-1].last))
        finally:
            self._clear()

    def can(self, standing: Standing, grain: Grain) -> bool:
        """Whether a report has an answer in this store: it may need what neither plan nor events say."""
        if standing is HOURS or standing is QUALITY:
            return True
        today = self.scope.window.today

        def read(question: _Question) -> None:
            question.snapshot = replace(self._read, hot=(), cold=())  # beyond the types of events none tells more
            self._answer(question, standing=standing, grain=grain)

        try:
            self.put([Period(grain, today, today, self.scope.window.tz)], read)
        except UsageError:
            return False
        finally:
            self._present = Present()  # what was made of nothing tells nothing
        return True

    def _answer(self, question: Question, *, standing: Standing, grain: Grain) -> Result:
        answer: Result = self._module(standing).report(question, **standing.asked(grain))
        return answer

    def _module(self, standing: Standing) -> Any:
        module = self._reports.get(standing.report) or reports.load(standing.report)
        self._reports[standing.report] = module
        return module

    def _clear(self) -> None:
        self.engine.drop((kind, name) for kind, name in self.engine.made() if name not in _KEPT)


def _sizes(seen: Snapshot) -> dict[date, int]:
    """The bytes of the files of each partition."""
    found: dict[date, int] = {}
    for file in seen.files:
        found[file.day] = found.get(file.day, 0) + file.stamp[1]
    return found


def _of_tables(standing: Standing, told: Result, run: Sequence[Period]) -> dict[date, tuple[Record, ...]]:
    """The records of each period out of an answer that holds the table of each, and says which in its first column."""
    assert told.columns[0].name == standing.period
    inner = replace(told, columns=told.columns[1:])
    rows: dict[date, list[tuple[Any, ...]]] = {one.first: [] for one in run}
    for row in told.rows:
        rows[row[0]].append(row[1:])
    return {first: of_table(standing, replace(inner, rows=tuple(own))) for first, own in rows.items()}
