"""A score of the plan for each period: a weighted mean of what users did, with its components (metrics §18.10)."""

from __future__ import annotations

from datetime import timedelta
from math import isnan
from typing import TYPE_CHECKING, Annotated, Any, get_args

from evlog.errors import UsageError
from evlog.query import answer, where
from evlog.query.ask import Reach
from evlog.query.result import Column
from evlog.window import Unit, period_after, period_begin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    import numpy as np

    from evlog.query.ask import Question
    from evlog.query.result import Result
    from evlog.query.scope import Component, Index

HELP = "an index of the plan: weighted scores of users, and what they are made of"
EXAMPLE = "evlog report index engagement --period week --by user_id"

_DAY = timedelta(days=1)
_LARGEST = "1e290"  # beyond it sums would overflow; no quantity is that large
_GROUP = "seen.grp"
_PERSON = "coalesce(person, '(none)')"  # broken down by user, an event stands with its person
_BASE = """
SELECT   {grp} AS grp, person,
         count(*) AS events,
         count(*) FILTER (userless) AS userless,
         TRUE AS in_range
FROM     seen
WHERE    $user IS NULL OR person = $user
GROUP BY {grp}, person
"""
_NO_BASE = """
CREATE TEMP TABLE base AS
SELECT '' AS grp, CAST(NULL AS VARCHAR) AS person, 0 AS events, 0 AS userless, TRUE AS in_range
WHERE  FALSE
"""
_CELLS = """
WITH calendar AS (SELECT unnest($days) AS day, unnest($periods) AS period)
SELECT   place, withheld, person, period,
         bool_or(active) AS active,
         count(*) AS events,
         count(*) FILTER (userless) AS userless{pieces}
FROM     seen
         JOIN calendar ON calendar.day = seen.day
         JOIN groups ON groups.grp = {grp}
WHERE    $user IS NULL OR person = $user
GROUP BY place, withheld, person, period
"""
_RATE = """
WITH calendar AS (SELECT unnest($days) AS day, unnest($periods) AS period),
     tried AS (
         SELECT   place, person, period, target_type, target_id,
                  min(ts) FILTER (event_type = $start) AS began,
                  max(ts) FILTER (event_type = $complete) AS ended
         FROM     seen
                  JOIN calendar ON calendar.day = seen.day
                  JOIN groups ON groups.grp = {grp}
         WHERE    event_type IN ($start, $complete)
                  AND person IS NOT NULL
                  AND ($user IS NULL OR person = $user)
                  AND ($target_type IS NULL OR target_type = $target_type)
         GROUP BY place, person, period, target_type, target_id)
SELECT   place, person, period,
         count(*) FILTER (ended >= began) / count(*) AS rate
FROM     tried
WHERE    began IS NOT NULL
GROUP BY place, person, period
"""
_SCORED = """
SELECT   cells.place, cells.period{columns}
FROM     cells{joins}
WHERE    cells.active AND NOT cells.withheld AND cells.person IS NOT NULL
ORDER BY cells.place, cells.period, cells.person
"""
_JOIN = """
         LEFT JOIN rate{n} ON rate{n}.place = cells.place AND rate{n}.person = cells.person
                              AND rate{n}.period = cells.period"""
_LABELS = "SELECT DISTINCT place, label FROM groups WHERE NOT withheld ORDER BY place"
_READ = "SELECT coalesce(sum(events), 0), coalesce(sum(userless), 0) FROM cells"
_USERS = "SELECT count(DISTINCT person) FROM cells WHERE active"

_ANY = "SELECT coalesce(bool_or(c{n} <> 0), FALSE) FROM cells WHERE active"
_ANY_RATE = "SELECT count(*) > 0 FROM rate{n}"

_FITS = "list_contains($types_{n}, event_type)"
_NUMBER = "CASE WHEN abs({number}) <= {largest} THEN {number} END"
_MEASURED = {
    "events": "CAST(count(*) FILTER ({fits}) AS DOUBLE)",
    "targets": "CAST(count(DISTINCT (target_type, target_id)) FILTER ({fits} AND target_id IS NOT NULL) AS DOUBLE)",
    "days": "CAST(count(DISTINCT seen.day) FILTER ({fits}) AS DOUBLE)",
    "sum": "coalesce(fsum({value} ORDER BY {value}) FILTER ({fits}), 0)",
    "avg": "fsum({value} ORDER BY {value}) FILTER ({fits}) / nullif(count({value}) FILTER ({fits}), 0)",
}
"""Each measure of the events of a user in a period; in order, since sums of floats depend on it."""


def report(
    question: Question,
    *,
    name: Annotated[str, "index of the plan"],
    period: Annotated[Unit, "what a score covers"] = "day",
    user: Annotated[str | None, "only this user"] = None,
) -> Result:
    """The score of each period, as the mean over the users active in it, and its components, each 0..100."""
    if period not in get_args(Unit):
        raise UsageError(f"--period {period!r} is unknown", hint=f"give one of: {', '.join(get_args(Unit))}")
    question = question.by_name()
    index = _index(question, name)
    periods = question.window.periods(period)
    withheld = _keep(question, index, unit=period, user=user)
    rows, overall = _rows(question, index, periods)
    events, userless = question.engine.rows(_READ)[0]
    last = question.window.last
    ends = {begin: period_after(begin, period) - _DAY for begin in periods}
    return answer.result(
        question,
        "index",
        columns=_columns(index),
        rows=rows,
        rule="score: weighted mean of a user's components, each scaled to 0..100, absent ones left out; "
        "a row: mean over the users active in the period",
        options={"name": name, "period": period, "user": user, "week_start": question.window.week_start},
        summary={"score": overall, "users": question.engine.rows(_USERS)[0][0]},
        kinds={"score": "number"},
        definition={**_components(index), **_widened(question, periods)},
        read=(int(events), int(userless)),
        withheld=withheld,
        complete=question.window.over(ends[periods[-1]]),
        partial=[n for n, row in enumerate(rows) if ends[row[1]] > last or not question.window.over(ends[row[1]])],
        partial_means="still running, or cut by the range",
        notes=_strangers(question, index, user),
    )


def _index(question: Question, name: str) -> Index:
    """The index of that name; UsageError where the plan has none, or it names a pair that is not there."""
    known = {index.name: index for index in question.scope.indices}
    if name not in known:
        hint = f"it has: {', '.join(known)}" if known else f"write one down: [indices.{name}], see docs/plan.md"
        raise UsageError(f"the plan has no index {name!r}", hint=hint)
    for component in known[name].components:
        if component.measure == "rate" and component.pair is None:
            raise UsageError(f"component {component.name} of {name} names a pair that the plan does not have",
                             hint="see: evlog plan lint")  # fmt: skip
    return known[name]


def _keep(question: Question, index: Index, *, unit: Unit, user: str | None) -> int:
    """Keep what each user did in each period as table `cells`, rates beside it; how many groups are withheld."""
    window, by = question.window.widened(unit), question.scope.by
    grp = _PERSON if by == "user_id" else _GROUP
    reach = Reach(window.first, window.last)
    if by is None:
        question.engine.run(_NO_BASE)
    else:
        question.keep("base", _BASE.format(grp=grp), {"user": user}, reach=reach)
    withheld = answer.group(question)
    number = {begin: n for n, begin in enumerate(window.periods(unit))}
    params: dict[str, Any] = {
        "user": user,
        "days": list(window.days),
        "periods": [number[period_begin(day, unit, window.week_start)] for day in window.days],
    }
    pieces, known = _pieces(index.components)
    question.keep("cells", _CELLS.format(grp=grp, pieces=pieces), {**params, **known}, reach=reach)
    for n, component in enumerate(index.components):
        if component.pair is not None:
            pair = component.pair
            ends = {"start": pair.start, "complete": pair.complete, "target_type": pair.target_type}
            question.keep(f"rate{n}", _RATE.format(grp=grp), {**params, **ends}, reach=reach)
    return withheld


def _pieces(components: Sequence[Component]) -> tuple[str, dict[str, Any]]:
    """The columns of `cells` that hold the components, and their parameters; a rate stands in a table of its own."""
    pieces: list[str] = []
    params: dict[str, Any] = {}
    for n, component in enumerate(components):
        if component.measure == "rate":
            continue
        value = ""
        if component.property is not None:
            number, known = where.number_sql(_path(component), f"property_{n}")
            value, params = _NUMBER.format(number=number, largest=_LARGEST), params | known
        if component.events:
            params[f"types_{n}"] = list(component.events)
        fits = _FITS.format(n=n) if component.events else "TRUE"
        pieces.append(f", {_MEASURED[component.measure].format(fits=fits, value=value)} AS c{n}")
    return "".join(pieces), params


def _path(component: Component) -> tuple[str, ...]:
    try:
        return where.path(component.property or "")
    except UsageError as error:
        raise UsageError(f"component {component.name} of the plan: {error}", hint=error.hint) from error


def _scored(question: Question, index: Index) -> dict[str, np.ndarray[Any, Any]]:
    """The measures of everyone in every period they were active in, by group and period."""
    rates = [n for n, component in enumerate(index.components) if component.measure == "rate"]
    columns = "".join(
        f", rate{n}.rate AS c{n}" if n in rates else f", cells.c{n}" for n in range(len(index.components))
    )
    return question.engine.arrays(_SCORED.format(columns=columns, joins="".join(_JOIN.format(n=n) for n in rates)))


def _rows(question: Question, index: Index, periods: Sequence[date]) -> tuple[list[tuple[Any, ...]], float | None]:
    """The rows, and the mean over all users and periods."""
    import numpy as np

    from evlog.kernel import score

    found = _scored(question, index)
    place, period = (np.asarray(found[name], np.int64) for name in ("place", "period"))
    measured = [np.ma.filled(found[f"c{n}"].astype(np.float64), np.nan) for n in range(len(index.components))]
    ends = [(component.low, component.high, component.weight) for component in index.components]
    low, high, weight = np.array(ends, np.float64).T
    parts = score.scaled(np.column_stack(measured), low, high)
    whole = score.scores(parts, weight)
    told = np.column_stack([whole, parts])
    begin = np.flatnonzero(np.append([True], (np.diff(place) != 0) | (np.diff(period) != 0))) if len(place) else period
    users = np.diff(np.append(begin, len(place))).tolist()
    keys = zip(place[begin].tolist(), period[begin].tolist(), strict=True)
    means = score.means(told, begin).tolist()
    cells = {key: (*map(_number, row), count) for key, row, count in zip(keys, means, users, strict=True)}
    overall = score.means(told[:, :1], begin[:1]).tolist()
    return _grid(question, index, periods, cells), _number(overall[0][0]) if overall else None


def _grid(
    question: Question, index: Index, periods: Sequence[date], cells: Mapping[tuple[int, int], tuple[Any, ...]]
) -> list[tuple[Any, ...]]:
    """A row for each group and period; where groups are users, only for the periods in which they were active."""
    empty = (*(None for _ in range(len(index.components) + 1)), 0)
    return [
        (label, begin, *cells.get((place, number), empty))
        for place, label in question.engine.rows(_LABELS)
        for number, begin in enumerate(periods)
        if question.scope.by != "user_id" or (place, number) in cells
    ]


def _number(value: float) -> float | None:
    return None if isnan(value) else value


def _columns(index: Index) -> tuple[Column, ...]:
    components = (Column(component.name, "number") for component in index.components)
    return (Column("period", "date"), Column("score", "number", bar=True), *components, Column("users", "count"))


def _components(index: Index) -> dict[str, str]:
    """Each component in words, for the definition."""
    return {component.name: _said(component) for component in index.components}


def _said(component: Component) -> str:
    what: str = component.measure
    if component.property is not None:
        what += f" of {component.property}"
    if component.pair is not None:
        what += f" of targets {component.pair.start} -> {component.pair.complete}"
    if component.events:
        what += f" in {', '.join(component.events)}"
    return f"{what}, {component.low:g} to {component.high:g}, weight {component.weight:g}"


def _widened(question: Question, periods: Sequence[date]) -> dict[str, str]:
    """For the definition: from where the first period was counted, if the range cuts it."""
    return {"widened": f"from {periods[0]}"} if periods[0] < question.window.first else {}


def _strangers(question: Question, index: Index, user: str | None) -> list[str]:
    """A note for each component that nobody has anything of, or for a user who has no event."""
    if not question.engine.rows(_READ)[0][0]:
        return [] if user is None else [f"no event of user {user} in the range"]
    said = []
    for n, component in enumerate(index.components):
        sql = _ANY_RATE if component.measure == "rate" else _ANY
        if not question.engine.rows(sql.format(n=n))[0][0]:
            said.append(f"nobody has any {component.name}: {_said(component)}")
    return said
