"""A measure over time, its slope, its growth, and a forecast (metrics §11, §12, §18.10)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from evlog.errors import UsageError
from evlog.kernel import forecast as ahead
from evlog.query import answer, presence, series
from evlog.query.measure import OF_EVENTS, kind
from evlog.query.result import Column
from evlog.window import period_after, period_begin

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from evlog.kernel.forecast import Forecast
    from evlog.query.ask import Question
    from evlog.query.result import Kind, Result
    from evlog.query.series import Asked, Cell
    from evlog.window import Unit, Window

HELP = "events, or a measure of a property, over time: its slope and a forecast"
EXAMPLE = "evlog report trend --avg properties.score --period week --days 90"
_MOST_AHEAD = 366
_DAY = timedelta(days=1)
_RULE = (
    "n: {events}; slope: least squares a period, of {headline}, over the whole periods with data (over, and not cut by "
    "the range)"
)
_FORECAST = (
    "; forecast: {headline} as {season}, plus the mean change from one to the next; low, high: an 80 % interval from "
    "the errors such forecasts made inside the range, wider the further ahead"
)
_KINDS: dict[str, Kind] = {
    "slope": "number",
    "slopes": "number",
    "now": "number",
    "previous": "number",
    "delta": "number",
    "growth": "rate",
}
_UNKNOWN = (None, None, None)


@dataclass(frozen=True, slots=True)
class _Calendar:
    """The periods of the range, and the places of those that are whole: over, and not cut by the range."""

    unit: Unit
    begins: tuple[date, ...]
    running: frozenset[date]
    cut: tuple[date, ...]

    @property
    def whole(self) -> list[int]:
        return [place for place, begin in enumerate(self.begins) if begin not in self.running and begin not in self.cut]

    @property
    def season(self) -> int:
        """After how many periods it is the same time again: weekdays differ, weeks and months do not."""
        return 7 if self.unit == "day" else 1

    def after(self, count: int) -> list[date]:
        """The first days of the next `count` periods."""
        begins = [self.begins[-1]]
        for _ in range(count):
            begins.append(period_after(begins[-1], self.unit))
        return begins[1:]


def report(
    question: Question,
    *,
    event: Annotated[tuple[str, ...], "only events of this type; repeatable"] = (),
    avg: Annotated[tuple[str, ...], "mean of this numeric property (properties.a.b, or just a.b); repeatable"] = (),
    of: Annotated[str | None, "the numeric property that --measure is of"] = None,
    measure: Annotated[
        tuple[str, ...], "count, users, sum, avg, min, max, p50, p90, p95 or p99; repeatable (default avg)"
    ] = (),
    period: Annotated[Literal["day", "week", "month"], "what a row is"] = "day",
    compare: Annotated[bool, "with the range of equal length right before"] = False,
    forecast: Annotated[int, "so many periods ahead, with an 80 % interval"] = 0,
) -> Result:
    """The events n, and the measures asked for, of each day, week or month; empty ones too."""
    if not 0 <= forecast <= _MOST_AHEAD:
        raise UsageError(f"--forecast {forecast} is out of range", hint=f"give 1 to {_MOST_AHEAD} periods")
    wanted, calendar = series.asked(of, measure, avg), _calendar(question.window, period)
    series.keep(question, wanted, event=event, reach=question.back(_length(question.window) if compare else 0))
    withheld = answer.group(question)
    lines = _lines(question, wanted, calendar)
    rows = [row for group, line in lines.items() for row in _rows(group, line, wanted, calendar, forecast)]
    late = {*calendar.running, *calendar.after(forecast)}
    return answer.result(
        question,
        "trend",
        columns=_columns(wanted, forecast=forecast),
        rows=rows,
        rule=_rule(wanted, event, calendar, forecast=forecast),
        options=_options(wanted, event=event, period=period, compare=compare, forecast=forecast),
        summary=_slopes(question, wanted, calendar, lines) | (_growth(question, wanted) if compare else {}),
        kinds=_KINDS,
        definition={**presence.cut(_named(calendar)), **(_before(question.window) if compare else {})},
        withheld=withheld,
        complete=not calendar.running,
        partial=[number for number, row in enumerate(rows) if row[1] in late],
        partial_means="still running, or forecast" if forecast else "still running",
        notes=[
            *series.notes(question, wanted, event),
            *presence.cut_note(_named(calendar)),
            *_short(calendar, rows, forecast),
        ],
    )


def _options(wanted: Asked, **given: Any) -> dict[str, Any]:
    """What was asked for, for the answer's params: the properties, and the columns of their measures."""
    return {
        "of": [one.name for one in wanted.properties],
        "measure": [one.column for one in wanted.measures],
        **given,
    }


def _calendar(window: Window, unit: Unit) -> _Calendar:
    begins = window.periods(unit)
    last = {begin: period_after(begin, unit) - _DAY for begin in begins}
    return _Calendar(
        unit,
        begins,
        frozenset(begin for begin in begins if not window.over(last[begin])),
        tuple(begin for begin in begins if begin < window.first or last[begin] > window.last),
    )


def _length(window: Window) -> int:
    return (window.last - window.first).days + 1


def _lines(question: Question, wanted: Asked, calendar: _Calendar, *, overall: bool = False) -> dict[str, list[Cell]]:
    """The cells of each period, by group."""
    window = question.window
    periods = {day: period_begin(day, calendar.unit, window.week_start) for day in window.days}
    found = series.cells(question, wanted, periods, overall=overall)
    groups = [""] if overall else series.groups(question)
    return {group: [found.get((group, begin), wanted.nothing) for begin in calendar.begins] for group in groups}


def _rows(group: str, line: list[Cell], wanted: Asked, calendar: _Calendar, forecast: int) -> list[tuple[Any, ...]]:
    """The rows of one group: its periods, and with a forecast those to come."""
    periods = zip(calendar.begins, line, strict=True)
    if not forecast:
        return [(group, begin, *cell) for begin, cell in periods]
    foreseen = _foreseen(line, wanted, calendar, forecast)
    nothing = (None,) * len(wanted.nothing)
    rows = [*periods, *((begin, nothing) for begin in calendar.after(forecast) if foreseen)]
    told = [_UNKNOWN] * (len(rows) - len(foreseen)) + [(one.expected, one.low, one.high) for one in foreseen]
    return [(group, begin, *cell, *three) for (begin, cell), three in zip(rows, told, strict=True)]


def _foreseen(line: list[Cell], wanted: Asked, calendar: _Calendar, count: int) -> list[Forecast]:
    """What is expected of the periods after the last whole one; nothing where the series is too short."""
    whole = calendar.whole
    if not whole:
        return []
    past = [_headline(line[place]) for place in whole]
    found = ahead.forecast(past, calendar.season, len(line) - 1 - whole[-1] + count) or []
    return [one.above_zero for one in found] if _counts(wanted) else found


def _counts(wanted: Asked) -> bool:
    return not wanted.measures or wanted.measures[0].measure in OF_EVENTS


def _headline(cell: Cell) -> float | None:
    """The first measure; n without one."""
    return cell[min(1, len(cell) - 1)]


def _columns(wanted: Asked, *, forecast: int) -> list[Column]:
    return [
        Column("period", "date"),
        Column("n", "count", bar=not wanted.measures),
        *(Column(one.column, kind(one.measure), bar=place == 0) for place, one in enumerate(wanted.measures)),
        *(Column(name, "number") for name in ("forecast", "low", "high") if forecast),
    ]


def _slopes(question: Question, wanted: Asked, calendar: _Calendar, lines: dict[str, list[Cell]]) -> dict[str, Any]:
    """The slope over all; broken down, that of each group beside it."""
    if question.scope.by is None:
        return {"slope": _slope(lines[""], calendar)}
    overall = _lines(question, wanted, calendar, overall=True)[""]
    slopes = {group: _slope(line, calendar) for group, line in lines.items()}
    return {"slope": _slope(overall, calendar), "slopes": slopes}


def _slope(line: list[Cell], calendar: _Calendar) -> float | None:
    known = [(place, _headline(line[place])) for place in calendar.whole]
    return ahead.slope([(place, value) for place, value in known if value is not None])


def _growth(question: Question, wanted: Asked) -> dict[str, float | None]:
    """The first measure (n without one) of the whole range and of the one before it, and how they differ."""
    first, length = question.window.first, _length(question.window)
    before = first - length * _DAY
    days = dict.fromkeys(question.window.days, first) | {before + n * _DAY: before for n in range(length)}
    found = series.cells(question, wanted, days, overall=True)
    now, previous = (_headline(found.get(("", begin), wanted.nothing)) for begin in (first, before))
    delta = None if now is None or previous is None else now - previous
    growth = delta / abs(previous) if delta is not None and previous else None
    return {"now": now, "previous": previous, "delta": delta, "growth": growth}


def _before(window: Window) -> dict[str, str]:
    return {"previous": f"{window.first - _length(window) * _DAY} to {window.first - _DAY}"}


def _named(calendar: _Calendar) -> list[str]:
    return [begin.isoformat() for begin in calendar.cut]


def _rule(wanted: Asked, event: Sequence[str], calendar: _Calendar, *, forecast: int) -> str:
    events = f"events of type {', '.join(event)}" if event else "events"
    names = " or ".join(one.name for one in wanted.properties)
    counted = f"{events} with a number in {names}" if names else events
    headline = wanted.measures[0].column if wanted.measures else "n"
    season = "on the last such weekday" if calendar.unit == "day" else f"in the last {calendar.unit}"
    rule = _RULE.format(events=counted, headline=headline)
    return rule + (_FORECAST.format(headline=headline, season=season) if forecast else "")


def _short(calendar: _Calendar, rows: list[tuple[Any, ...]], forecast: int) -> list[str]:
    """A note where nothing could be foreseen."""
    if not forecast or any(row[-1] is not None for row in rows):
        return []
    have, need = len(calendar.whole), ahead.least(calendar.season)
    return [f"too little to forecast from: {have} whole {calendar.unit}s, {need} with data are needed"]
