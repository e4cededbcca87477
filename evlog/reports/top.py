"""The values of a property or column: how many events and users have each, and the mean of numbers beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from evlog.query import answer, apart, measure, tabled, where
from evlog.query.result import Column
from evlog.query.rolled import Counted
from evlog.query.standing import Standing
from evlog.query.tabled import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from evlog.query.apart import Alone
    from evlog.query.ask import Question
    from evlog.query.measure import Property
    from evlog.query.result import Result

HELP = "the values of a property or column, by events, users or a mean"
EXAMPLE = "evlog report top properties.plan --avg score --users --days 30"
ROLLUP = (
    Standing(
        "top",
        ("day", "week", "month"),
        {"events": "events", "users": "users"},
        key=("value",),
        additive=("events",),
        summary={"values": "values", "events": "events", "users": "users", "events_without": "events_without"},
        options={"key": "category"},
    ),
)

_BASE = """
WITH valued AS (SELECT *, {text} AS value {values} FROM seen)
SELECT   value, grp, person, in_range,
         count(*) AS events,
         count(*) FILTER (userless) AS userless
         {gathered}
FROM     valued
GROUP BY value, grp, person, in_range
"""
_CELLS = """
CREATE TEMP TABLE cells AS
SELECT   place, grp, value,
         CAST(sum(events) AS BIGINT) AS events,
         count(DISTINCT person) AS users
         {joined}
FROM     shown
WHERE    value IS NOT NULL
GROUP BY place, grp, value
"""
_ROWS = "SELECT place, grp, value, events, users FROM cells ORDER BY place, grp, value"
_VALUES = "SELECT * FROM cells ORDER BY place, grp, value"
_TOTAL = """
SELECT {grp},
       count(DISTINCT value),
       CAST(coalesce(sum(events) FILTER (value IS NOT NULL), 0) AS BIGINT),
       count(DISTINCT person) FILTER (value IS NOT NULL),
       CAST(coalesce(sum(events) FILTER (value IS NULL), 0) AS BIGINT)
FROM   base
{each}
"""
_TOTALS = ("values", "events", "users", "events_without")
_Row = tuple[Any, ...]


def report(
    question: Question,
    *,
    key: Annotated[str, "a property (properties.a.b, or just a.b) or a column"],
    avg: Annotated[tuple[str, ...], "mean of this numeric property over the events that have it; repeatable"] = (),
    order: Annotated[Literal["events", "users", "avg"], "what comes first: most events, users, or highest mean"] = (
        "events"
    ),
    users: Annotated[bool, "the same as --order users"] = False,
) -> Result:
    """Events, users and means of each value; without a break-down, --top keeps that many values."""
    order = "users" if users else order
    found = _measured(avg, order)

    def counted(asked: Question) -> Counted:
        return _counted(asked, key, found, order)

    kept = next((one for one in ROLLUP if one.options == {"key": key} and not found), None)
    told = tabled.table(question, _table(kept, order), counted) if kept else counted(question)
    rows = told.rows if kept is None or told.told.source == "events" else sorted(told.rows, key=_order(order))
    shown = rows if question.scope.by else rows[: question.scope.top]
    return answer.result(
        question,
        "top",
        columns=_columns(found),
        rows=shown,
        rule=_RULE.format(order=_ORDERS[order]),
        options={"key": key, "avg": [one.name for one in found], "order": order},
        summary={
            **{name: told.totals[name] for name in ROLLUP[0].summary},
            "values": len(rows) if told.told.frozen else told.totals["values"],
        },
        read=told.read,
        withheld=told.withheld,
        notes=[*_cut(len(shown), len(rows)), *_absent(told, key),
               *(measure.notes(question, found, among=_HAVE) if found else ())],
        told=told.told,
    )  # fmt: skip


def _table(standing: Standing, order: str) -> Table:
    return Table(standing, ("events", "users"), order=_order(order), sums=("events", "events_without"))


def _order(order: str) -> Callable[[_Row], _Row]:
    """The order of rows of one group, of which the users may not be known."""
    by = _by(order)
    return lambda row: by((1, *row[:3], row[3] or 0))


def _counted(question: Question, key: str, found: tuple[Property, ...], order: str) -> Counted:
    _read(question, key, found)
    withheld = answer.group(question)
    rows = _sorted(question, found, order)
    large = answer.large_enough(question, rows, users=4)
    withheld += len(rows) - len(large)
    return Counted([row[1:] for row in large], _summary(question), answer.base_read(question), withheld)


def each(question: Question, *, key: str) -> dict[str, Alone]:
    """The answer to each of the periods that are asked of apart."""
    _read(question, key, ())
    answer.group(question)
    rows = [row[1:] for row in _sorted(question, (), "events")]
    found = apart.told(rows, apart.totals(question, _TOTAL.format(**apart.EACH), _TOTALS), apart.userless(question))
    return {label: replace(one, rows=one.rows[: question.scope.top]) for label, one in found.items()}


def _sorted(question: Question, found: tuple[Property, ...], order: str) -> list[_Row]:
    """Place of the group, group, value and its numbers, in their order."""
    question.engine.run(_CELLS.format(joined=measure.joined(len(found))))
    return sorted(_rows(question, len(found)), key=_by(order))


_HAVE = "value IS NOT NULL"
_RULE = (
    "values by their text (1 and '1' are one, a list or object is its JSON); events without the key are left out; "
    "avg: over the events that have a number there; {order} first"
)
_ORDERS = {"events": "most events", "users": "most users", "avg": "highest mean"}


def _measured(avg: tuple[str, ...], order: str) -> tuple[Property, ...]:
    from evlog.errors import UsageError

    if order == "avg" and not avg:
        raise UsageError("--order avg needs a property", hint="add --avg PROPERTY")
    return measure.properties("--avg", avg)


def _read(question: Question, key: str, found: tuple[Property, ...]) -> None:
    text, known = where.text_sql(where.path(key), "value_key")
    values, params = measure.values(found)
    sql = _BASE.format(text=text, values=values, gathered=measure.gathered(len(found)))
    question.keep("base", sql, {**known, **params})


def _columns(found: tuple[Property, ...]) -> tuple[Column, ...]:
    return (
        Column("value"),
        Column("events", "count", bar=True),
        Column("users", "count"),
        *(Column(f"avg_{one.name}", "number") for one in found),
        *(Column(f"n_{one.name}", "count", aside=True) for one in found),
    )


def _rows(question: Question, count: int) -> list[_Row]:
    """Place of the group, group, value, events, users, means, and of how many events each is the mean."""
    found = zip(question.engine.rows(_ROWS), measure.lists(question, _VALUES, count), strict=True)
    return [(*row, *(measure.measured("avg", rising) for rising in held), *map(len, held)) for row, held in found]


def _by(order: str) -> Callable[[_Row], _Row]:
    """The key of the order: groups in theirs; a value without a mean comes after those with one."""

    def sizes(row: _Row) -> _Row:
        place, _, value, events, users, *means = row
        first = {"events": (-events, -users), "users": (-users, -events)}.get(order)
        return (place, *(first or (*_falling(means[0]), -events)), value)

    return sizes


def _falling(mean: float | None) -> tuple[bool, float]:
    return mean is None, -(mean or 0)


def _summary(question: Question) -> dict[str, int]:
    _, *totals = question.engine.rows(_TOTAL.format(**apart.ALL))[0]
    return dict(zip(_TOTALS, totals, strict=True))


def _cut(shown: int, known: int) -> list[str]:
    return [f"the first {shown} of {known} values (--top)"] if shown < known else []


def _absent(told: Counted, key: str) -> list[str]:
    """A note where no event has the key: it may be misspelt."""
    totals = told.totals
    return [f"no event has {key}"] if totals["events_without"] and not (totals["values"] or told.rows) else []
