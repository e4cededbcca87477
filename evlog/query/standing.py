"""Standing questions: what a rollup keeps of a report, so that it can be answered without the events.

A report that can be rolled up says so in its file, as `ROLLUP: tuple[Standing, ...]`. There are two shapes:

- a series (`key` is empty): each row of the answer is a period, told by its first column, or by `period` where that is
  a label. The rows of any range are the rows of its periods;
- a table (`key` names the columns that say what a row is about): the rows are about values of these columns, over the
  whole range. What is kept of a period is the answer to that period alone; of a longer range only `additive` columns
  can be told from it.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from functools import lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from evlog.frozen import dataclass, field
from evlog.store.rollups import Record
from evlog.window import midnight, period_begin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from evlog.query.apart import Alone
    from evlog.query.result import Result
    from evlog.query.scope import Scope
    from evlog.store.rollups import Grain, Period, Section
    from evlog.window import WeekStart

EVER: None = None
"""As `back`: the numbers of a period depend on every event before it (who is new does)."""

_DAY = timedelta(days=1)
_MANY = 1 << 14

SUMMARY = "summary"
"""The dimension of what the summary says of a whole period."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One standing question: a report with these options, for each period of these grains.

    `metrics` maps columns to the metric that a record calls them, `summary` keys of the summary (or of the definition)
    likewise. `grain_option` is the option that says how long a period is, for series that have one. `back` and `onward`
    are how many local days before and after a period its numbers depend on. Of what lies before only the `needs`
    periods must still be there as events, where `back` is EVER: the first-seen memory tells the rest. What never
    `settles` may grow as long as events come: then events answer while they are there, and a section what is purged.
    `version` rises whenever the report comes to mean something else.
    """

    report: str
    grains: tuple[Grain, ...]
    metrics: Mapping[str, str]
    key: tuple[str, ...] = ()
    additive: tuple[str, ...] = ()  # columns of a table that may be added up over periods
    summary: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    grain_option: str = ""
    period: str = ""
    back: int | None = 0
    onward: int = 0
    needs: int = 0
    settles: bool = True
    version: int = 1

    @property
    def name(self) -> str:
        """What sections of rollups call it: the report, and its options where it has any."""
        return (
            f"{self.report} {json.dumps(_plain(dict(self.options)), sort_keys=True)}" if self.options else self.report
        )

    def asked(self, grain: Grain) -> dict[str, Any]:
        """The options with which the report is asked for a grain."""
        return {**self.options, **({self.grain_option: grain} if self.grain_option else {})}

    def reach(self, period: Period) -> tuple[date | None, date]:
        """The local dates that its numbers of a period depend on; None: every date before."""
        begin = None if self.back is None else period.first - timedelta(days=self.back)
        return begin, period.last + timedelta(days=self.onward)

    def needed(self, period: Period, week_start: WeekStart = "monday") -> tuple[date, date]:
        """The first and the last partition that must be there, so that events can tell a period's numbers."""
        first = period.first
        for _ in range(self.needs):
            first = period_begin(first - _DAY, "day" if period.grain == "hour" else period.grain, week_start)
        return partitions(first - timedelta(days=self.back or 0), period.last, period.tz)

    def definition(self, scope: Scope) -> str:
        """A hash of all that says what the numbers mean, beside the zone and the period."""
        said = {
            "report": self.report,
            "version": self.version,
            "options": _plain(dict(self.options)),
            "week_start": scope.window.week_start,
            **{name: repr(getattr(scope, name)) for name in ("inactive", "pairs", "errors", "requests")},
        }
        return _sha256(json.dumps(said, sort_keys=True).encode())[:16]


def _sha256(text: bytes) -> str:
    try:
        from _sha256 import sha256  # type: ignore[import-not-found]  # hashlib loads OpenSSL, which takes 3 ms
    except ImportError:  # a Python that has no such module
        from hashlib import sha256
    return str(sha256(text).hexdigest())


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.0f}s"
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def partitions(first: date, last: date, tz: str) -> tuple[date, date]:
    """The first and the last partition that may hold events of these local dates."""
    return midnight(first, tz).date(), (midnight(last + _DAY, tz) - timedelta(microseconds=1)).date()


def is_plain(scope: Scope) -> bool:
    """Whether a scope asks of all events, so that a standing question may answer it."""
    return not (scope.where or scope.by or scope.active_events or scope.include_anon or scope.min_users)


def of_series(standing: Standing, result: Result) -> dict[date, tuple[Record, ...]]:
    """The records of each period (by its first day) out of the answer for a range of them."""
    columns = [column.name for column in result.columns]
    place = columns.index(standing.period) if standing.period else 0
    return {
        _first_day(row[place]): tuple(
            Record(metric, _number(value))
            for name, value in zip(columns, row, strict=True)
            if (metric := standing.metrics.get(name))
        )
        for row in result.rows
    }


def _first_day(told: Any) -> date:
    """The first day of a period as a column tells it: a date, or `2026-03` of a month."""
    if isinstance(told, str):
        year, month = told.split("-")
        return date(int(year), int(month), 1)
    assert isinstance(told, date)
    return told


def of_table(standing: Standing, result: Result) -> tuple[Record, ...]:
    """The records of one period out of the answer for just that period."""
    columns = [column.name for column in result.columns]
    return _told(standing, columns, result.rows, {**result.definition, **result.summary})


def of_alone(standing: Standing, told: Alone) -> tuple[Record, ...]:
    """The same out of the answer for a period of several that were asked of apart."""
    return _told(standing, [*standing.key, *standing.metrics], told.rows, told.said)


def _told(
    standing: Standing, columns: Sequence[str], rows: Iterable[tuple[Any, ...]], said: Mapping[str, Any]
) -> tuple[Record, ...]:
    """The records of a table: of what is said of all its rows, then of each."""
    places = [columns.index(name) for name in standing.key]
    dimension = ",".join(standing.key)
    summed = [Record(metric, _number(said[name]), SUMMARY) for name, metric in standing.summary.items()]
    return (
        *summed,
        *(
            Record(metric, _number(value), dimension, _spelled([row[place] for place in places]))
            for row in rows
            for name, value in zip(columns, row, strict=True)
            if (metric := standing.metrics.get(name))
        ),
    )


def _number(value: Any) -> float | None:
    """A value as a record holds it: an instant as microseconds since 1970."""
    from datetime import datetime

    if isinstance(value, datetime):
        return (value - datetime(1970, 1, 1)) // timedelta(microseconds=1)  # noqa: DTZ001 - naive UTC throughout
    return None if value is None else value


def _spelled(key: Sequence[Any]) -> str:
    """The value of a dimension: text, or a JSON list where it has several columns, is no text or looks like a list."""
    plain = len(key) == 1 and isinstance(key[0], str) and not key[0].startswith("[")
    return str(key[0]) if plain else _listed(tuple(key), tuple(map(type, key)))


@lru_cache(_MANY)
def _listed(key: tuple[Any, ...], kinds: tuple[type, ...]) -> str:  # noqa: ARG001 - 1 is equal to 1.0 and to True
    """A JSON list; the same rows come in period after period."""
    return json.dumps(list(key), separators=(",", ":"))


def series(standing: Standing, section: Section) -> dict[str, float | None]:
    """The values of a period's row by column."""
    held = {one.metric: one.value for one in section.records if not one.dimension}
    return {column: held.get(metric) for column, metric in standing.metrics.items()}


def summed(standing: Standing, section: Section) -> dict[str, float | None]:
    """What the summary of a period says, by its key; its records come first."""
    held = {one.metric: one.value for one in takewhile(lambda one: one.dimension == SUMMARY, section.records)}
    return {name: held.get(metric) for name, metric in standing.summary.items()}


def table(standing: Standing, section: Section) -> dict[str, dict[str, float | None]]:
    """The values of each row of a period by column; rows by the spelled value of their key, in the answer's order."""
    columns = {metric: column for column, metric in standing.metrics.items()}
    found: dict[str, dict[str, float | None]] = {}
    for one in section.records:
        if one.dimension not in {"", SUMMARY}:
            row = found.setdefault(one.of, {})
            if one.metric in columns:
                name = columns[one.metric]
                row[name] = _added(row[name], one.value) if name in row else one.value
    return found


def _added(one: float | None, other: float | None) -> float | None:
    """The sum, of two rows about the same thing."""
    return None if one is None or other is None else one + other


def keys(standing: Standing, spelled: str) -> tuple[Any, ...]:
    """The values of the key columns that a dimension's value spells."""
    if len(standing.key) == 1 and not spelled.startswith("["):
        return (spelled,)
    return tuple(json.loads(spelled))


def all_of(reports: Iterable[Any]) -> tuple[Standing, ...]:
    """The standing questions of the reports that have any."""
    return tuple(standing for report in reports for standing in getattr(report, "ROLLUP", ()))
