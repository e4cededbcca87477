"""A measure over time: events and numbers of properties in each period (metrics §5, §11, §12)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evlog.errors import UsageError
from evlog.query import measure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from evlog.query.ask import Question, Reach
    from evlog.query.measure import Measure, Property

_BASE = """
WITH valued AS (
         SELECT *
                {values}
         FROM   seen
         WHERE  len($kinds) = 0 OR list_contains($kinds, event_type))
SELECT   day, grp, person, in_range,
         count(*) AS events,
         count(*) FILTER (userless) AS userless,
         count(*) FILTER ({counted}) AS n
         {gathered}
FROM     valued
GROUP BY day, grp, person, in_range
"""
_CELLS = """
CREATE OR REPLACE TEMP TABLE cells AS
WITH calendar AS (SELECT unnest($days) AS day, unnest($periods) AS period)
SELECT   place, grp, period,
         CAST(sum(n) AS BIGINT) AS n,
         count(DISTINCT person) FILTER (n > 0) AS users
         {users}
         {joined}
FROM     {source} JOIN calendar USING (day)
GROUP BY place, grp, period
"""
_BY_GROUP = "shown"
_OVERALL = "(SELECT * REPLACE ('' AS grp), 1 AS place FROM base)"
_ROWS = "SELECT * EXCLUDE (place {lists}) FROM cells ORDER BY place, period"
_VALUES = "SELECT * FROM cells ORDER BY place, period"

Cell = tuple[float | None, ...]
"""n, the events that count, and the measures of them."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One measure of a series: of which property (by its place; None: of the events themselves), and its column."""

    measure: Measure
    place: int | None
    column: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What is measured: the properties, and the measures of them, in the order of the columns."""

    properties: tuple[Property, ...]
    measures: tuple[Measured, ...]

    @property
    def nothing(self) -> Cell:
        """The cell of no events: counts are 0, all else is not known."""
        return (0, *(0 if one.measure in measure.OF_EVENTS else None for one in self.measures))


def asked(of: str | None, measures: Sequence[str], avg: Sequence[str]) -> Asked:
    """What `--of`, `--measure` and `--avg` say; a lone property gives its columns plain names."""
    named = measure.properties("--of", [of] if of else [])
    means = measure.properties("--avg", avg)
    subject = named[0] if named else means[0] if len(means) == 1 else None
    wanted = [(_known(name, subject), subject) for name in measures or (["avg"] if named else [])]
    wanted += [("avg", one) for one in means]
    found = tuple(dict.fromkeys((*named, *means)))
    return Asked(
        found,
        tuple(
            Measured(
                name,
                None if one is None else found.index(one),
                f"{name}_{one.name}" if one is not None and len(found) > 1 else name,
            )
            for name, one in dict.fromkeys(wanted)
        ),
    )


def _known(name: str, subject: Property | None) -> Measure:
    if name not in measure.MEASURES:
        raise UsageError(f"--measure {name!r} is none", hint=f"give one of: {' '.join(measure.MEASURES)}")
    if subject is None and name not in measure.OF_EVENTS:
        raise UsageError(f"--measure {name} needs a property", hint="add --of PROPERTY")
    return name


def keep(question: Question, wanted: Asked, *, event: Sequence[str], reach: Reach) -> None:
    """Read the events, of these types if any is named, into table `base`: a row for each day, group and person."""
    values, params = measure.values(wanted.properties)
    places = range(len(wanted.properties))
    counted = " OR ".join(f"v{place} IS NOT NULL" for place in places) or "TRUE"
    sql = _BASE.format(values=values, counted=counted, gathered=measure.gathered(len(places)))
    question.keep("base", sql, {**params, "kinds": list(event)}, reach=reach)


def cells(
    question: Question, wanted: Asked, periods: Mapping[date, date], *, overall: bool = False
) -> dict[tuple[str, date], Cell]:
    """The cells by group and period (`periods`: that of each day); a period without events is left out."""
    count = len(wanted.properties)
    users = "".join(f", count(DISTINCT person) FILTER (len(v{p}) > 0) AS users{p}" for p in range(count))
    source = _OVERALL if overall else _BY_GROUP
    sql = _CELLS.format(users=users, joined=measure.joined(count), source=source)
    question.engine.run(sql, {"days": list(periods), "periods": list(periods.values())})
    rows = question.engine.rows(_ROWS.format(lists="".join(f", v{place}" for place in range(count))))
    held = measure.lists(question, _VALUES, count)
    return {
        (group, period): (n, *(_value(one, n, users, rising) for one in wanted.measures))
        for (group, period, n, *users), rising in zip(rows, held, strict=True)
    }


def _value(one: Measured, n: int, users: Sequence[int], lists: tuple[list[float], ...]) -> float | None:
    """The measure of one cell; `users` are those of any event, then those of each property."""
    if one.measure == "users":
        return users[0 if one.place is None else one.place + 1]
    return n if one.place is None else measure.measured(one.measure, lists[one.place])


def groups(question: Question) -> list[str]:
    """The groups that are shown, in their order."""
    found: list[tuple[Any, ...]] = question.engine.rows(
        "SELECT DISTINCT label, place FROM groups WHERE NOT withheld ORDER BY place"
    )
    return [label for label, _ in found]


def notes(question: Question, wanted: Asked, event: Sequence[str]) -> list[str]:
    """What to say of types and properties that no event bears: they may be misspelt."""
    read = question.engine.rows("SELECT count(*) FROM base")[0][0]
    if not read and event:
        return [f"no event is a {' or '.join(event)}"]
    return measure.notes(question, wanted.properties)
