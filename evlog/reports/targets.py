"""What is used: events, users and mean properties of each target (metrics §11, usage)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

from evlog.query import answer, apart, measure, presence, tabled
from evlog.query.result import Column
from evlog.query.rolled import Counted
from evlog.query.standing import Standing
from evlog.query.tabled import Table

if TYPE_CHECKING:
    from evlog.query.apart import Alone
    from evlog.query.ask import Question
    from evlog.query.measure import Property
    from evlog.query.result import Result

HELP = "events, users and mean properties of each target, most used first"
EXAMPLE = "evlog report targets --target-type tool --avg items_count --avg duration_ms --days 30"
_NAMES = ("events", "users", "uses_per_user", "adoption")
ROLLUP = (
    Standing(
        "targets",
        ("day", "week", "month"),
        {name: name for name in _NAMES},
        key=("target_type", "target_id"),
        additive=("events",),
        summary={"targets": "targets", "events": "events", "users": "users", "active_users": "active_users"},
    ),
)
_TABLE = Table(
    ROLLUP[0], _NAMES, order=lambda row: (-row[3], -(row[4] or 0), row[1] is None, row[1], row[2]), sums=("events",)
)

_BASE = """
WITH judged AS (
         SELECT *,
                (target_type IS NOT NULL OR target_id IS NOT NULL)
                AND ($target_type IS NULL OR coalesce(target_type = $target_type, FALSE))
                AND (len($uses) = 0 OR list_contains($uses, event_type)) AS used
         FROM   seen),
     uses AS (
         SELECT * REPLACE (CASE WHEN used THEN properties END AS properties,
                           CASE WHEN used THEN context END AS context),
                CASE WHEN used THEN target_type END AS kind,
                CASE WHEN used THEN coalesce(target_id, '(none)') END AS target
         FROM   judged),
     valued AS (
         SELECT *{values}
         FROM   uses)
SELECT   used, kind, target, grp, person, in_range,
         count(*) AS events,
         count(*) FILTER (userless) AS userless,
         count(*) FILTER (active) AS active
         {gathered}
FROM     valued
GROUP BY used, kind, target, grp, person, in_range
"""
_CELLS = """
CREATE TEMP TABLE cells AS
SELECT   place, grp, kind, target,
         CAST(sum(events) AS BIGINT) AS events,
         count(DISTINCT person) AS users,
         CAST(coalesce(sum(events) FILTER (person IS NOT NULL), 0) AS BIGINT) AS by_users
         {joined}
FROM     shown
WHERE    used
GROUP BY place, grp, kind, target
"""
_ROWS = """
SELECT   grp, kind, target, events, users, by_users
FROM     cells
ORDER BY place, events DESC, users DESC, kind NULLS LAST, target
"""
_VALUES = """
SELECT   *
FROM     cells
ORDER BY place, events DESC, users DESC, kind NULLS LAST, target
"""
_ACTIVE = "SELECT grp, count(DISTINCT person) FROM shown WHERE active > 0 GROUP BY place, grp ORDER BY place"
_TOTAL = """
SELECT {grp},
       coalesce(CAST(sum(events) FILTER (used) AS BIGINT), 0),
       count(DISTINCT person) FILTER (used)
FROM   base
{each}
"""


def report(
    question: Question,
    *,
    target_type: Annotated[str | None, "only targets of this type"] = None,
    event: Annotated[tuple[str, ...], "only such events are a use; repeatable (default: all)"] = (),
    avg: Annotated[tuple[str, ...], "mean of this numeric property over the events that have it; repeatable"] = (),
) -> Result:
    """Events, users, mean properties, uses per user and adoption of each target."""
    found = measure.properties("--avg", avg)

    def counted(asked: Question) -> Counted:
        return _counted(asked, found, target_type, event)

    usual = target_type is None and not event and not found
    told = tabled.table(question, _TABLE, counted) if usual else counted(question)
    return answer.result(
        question,
        "targets",
        columns=_columns(found),
        rows=told.rows,
        rule=_rule(event),
        options={"target_type": target_type, "event": event, "avg": [one.name for one in found]},
        summary={
            **{name: told.totals[name] for name in ROLLUP[0].summary},
            "targets": len({row[1:3] for row in told.rows}) if told.told.frozen else told.totals["targets"],
        },
        read=told.read,
        withheld=told.withheld,
        notes=() if told.told.source == "rollups" else measure.notes(question, found, among="used"),
        told=told.told,
    )


def _counted(
    question: Question, found: tuple[Property, ...], target_type: str | None, event: tuple[str, ...]
) -> Counted:
    withheld = _keep(question, found, target_type, event)
    rows = _rows(question, len(found))
    kept = answer.large_enough(question, rows, users=4)
    withheld += len(rows) - len(kept)
    return Counted(kept, _summary(question, rows), answer.base_read(question), withheld)


def each(question: Question) -> dict[str, Alone]:
    """The answer to each of the periods that are asked of apart."""
    _keep(question, (), None, ())
    rows, active = _rows(question, 0), presence.users_each(question)
    targets = Counter(label for label, _, _ in {row[:3] for row in rows})
    totals = apart.totals(question, _TOTAL.format(**apart.EACH), ("events", "users"))
    said = {
        label: {"targets": targets[label], **one, "active_users": active.get(label, 0)} for label, one in totals.items()
    }
    return apart.told(rows, said, apart.userless(question))


def _keep(question: Question, found: tuple[Property, ...], target_type: str | None, event: tuple[str, ...]) -> int:
    """Make `cells` of the uses; the number of groups withheld."""
    values, params = measure.values(found)
    sql = _BASE.format(values=values, gathered=measure.gathered(len(found)))
    question.keep("base", sql, {**params, "target_type": target_type, "uses": list(event)})
    withheld = answer.group(question)
    question.engine.run(_CELLS.format(joined=measure.joined(len(found))))
    return withheld


def _columns(found: tuple[Property, ...]) -> tuple[Column, ...]:
    return (
        Column("target_type"),
        Column("target_id"),
        Column("events", "count", bar=True),
        Column("users", "count"),
        *(Column(f"avg_{one.name}", "number") for one in found),
        Column("uses_per_user", "number"),
        Column("adoption", "rate"),
        *(Column(f"n_{one.name}", "count", aside=True) for one in found),
    )


def _rows(question: Question, count: int) -> list[tuple[Any, ...]]:
    active = dict(question.engine.rows(_ACTIVE))
    found = zip(question.engine.rows(_ROWS), measure.lists(question, _VALUES, count), strict=True)
    return [
        (
            *(group, kind, target, events, users),
            *(measure.measured("avg", rising) for rising in held),
            by_users / users if users else None,
            users / active[group] if active.get(group) else None,
            *map(len, held),
        )
        for (group, kind, target, events, users, by_users), held in found
    ]


def _summary(question: Question, rows: list[tuple[Any, ...]]) -> dict[str, int]:
    _, events, users = question.engine.rows(_TOTAL.format(**apart.ALL))[0]
    targets = len({row[1:3] for row in rows})
    return {"targets": targets, "events": events, "users": users, "active_users": presence.users(question)}


def _rule(event: tuple[str, ...]) -> str:
    uses = f"events of type {', '.join(event)}" if event else "events"
    return (
        f"uses: {uses} that name a target; avg: over the events that have a number there; uses_per_user: those "
        "of a user / users; adoption: users / users active in the range"
    )
