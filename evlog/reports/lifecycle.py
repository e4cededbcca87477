"""Lifecycle: who of a period's users is new, stayed, came back, and who of the period before is gone (metrics §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from evlog.query import acts, answer, first_seen, periods, pieced, presence, rolled
from evlog.query.ask import Reach
from evlog.query.result import Column
from evlog.query.rolled import Counted, Series
from evlog.query.standing import EVER, Standing
from evlog.store.firsts import ANY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from evlog.query.ask import Question
    from evlog.query.first_seen import Past
    from evlog.query.result import Result
    from evlog.window import Unit

HELP = "new, returning, resurrected and dormant users of each period"
EXAMPLE = "evlog report lifecycle --period week --days 90"
ROLLUP = (
    Standing(
        "lifecycle",
        ("day", "week", "month"),
        {"new": "new", "returning": "returning", "resurrected": "resurrected", "dormant": "dormant"},
        grain_option="period",
        back=EVER,
        needs=1,
    ),
)
COLUMNS = (
    Column("period", "date"),
    Column("new", "count", bar=True),
    Column("returning", "count"),
    Column("resurrected", "count"),
    Column("dormant", "count"),
)
_BASE = """
CREATE TEMP TABLE base AS
SELECT   calendar.number, grp, person,
         calendar.number >= 0 AS in_range,
         CAST(sum(events) AS BIGINT) AS events,
         CAST(sum(userless) AS BIGINT) AS userless,
         CAST(sum(active) AS BIGINT) AS active
FROM     present_days JOIN calendar USING (day)
GROUP BY calendar.number, grp, person
"""
_EVER = "active OR NOT list_contains($ever_inactive, event_type)"
_BEGINNINGS = """
CREATE TEMP TABLE beginnings AS
SELECT person, calendar.number AS beginning
FROM   first_seen JOIN calendar USING (day)
"""
_BY_GROUP = "SELECT DISTINCT grp, place, person, number FROM shown WHERE active > 0"
_OVERALL = "SELECT DISTINCT '' AS grp, 1 AS place, person, number FROM base WHERE active > 0"
_COUNTED = """
WITH present AS ({present}),
     known AS (
         SELECT place, number,
                coalesce(number = beginning, FALSE) AS fresh,
                coalesce(lag(number) OVER each = number - 1, FALSE) AS stayed,
                coalesce(lead(number) OVER each = number + 1, FALSE) AS stays
         FROM   present LEFT JOIN beginnings USING (person)
         WINDOW each AS (PARTITION BY place, person ORDER BY number)),
     counted AS (
         SELECT place, number, fresh, NOT fresh AND stayed AS kept, NOT fresh AND NOT stayed AS back, FALSE AS gone
         FROM   known
         UNION ALL
         SELECT place, number + 1, FALSE, FALSE, FALSE, TRUE
         FROM   known
         WHERE  NOT stays),
     summed AS (
         SELECT   place, number,
                  count(*) FILTER (fresh) AS fresh,
                  count(*) FILTER (kept) AS kept,
                  count(*) FILTER (back) AS back,
                  count(*) FILTER (gone) AS gone
         FROM     counted
         GROUP BY place, number)
SELECT   grid.grp, grid.number, coalesce(fresh, 0), coalesce(kept, 0), coalesce(back, 0), coalesce(gone, 0)
FROM     (SELECT grp, place, number FROM ({groups}), (SELECT unnest($numbers) AS number)) AS grid
         LEFT JOIN summed ON summed.place = grid.place AND summed.number = grid.number
ORDER BY grid.place, grid.number
"""
_USERS = "SELECT count(DISTINCT person) FROM base WHERE active > 0 AND in_range"


def report(
    question: Question,
    *,
    period: Annotated[Literal["day", "week", "month"], "what a row is"] = "day",
    first_of: Annotated[str | None, "step whose first time makes a user new (default: any active event)"] = None,
) -> Result:
    """The users of each period by where they come from, and those who are gone."""

    def counted(asked: Question) -> Counted:
        return _counted(asked, period, first_of)

    found = counted(question) if first_of else pieced.series(question, _series(period), counted)
    begins = question.window.periods(period)
    past = first_seen.past_of(first_seen.unfiltered(question), _act(question, first_of))
    overall = found.rows if found.overall is None else found.overall
    return answer.result(
        question,
        "lifecycle",
        columns=COLUMNS,
        rows=found.rows,
        rule=_rule(question, period, first_of),
        options={"period": period, "first_of": first_of},
        summary={**_summed(question, overall, period), "users": found.totals["users"]},
        kinds={"quick_ratio": "number"},
        definition=_definition(question, begins, past, period, frozen=found.told.frozen is not None),
        read=found.read,
        withheld=found.withheld,
        complete=question.window.over(periods.last_day(begins[-1], period)),
        partial=[number for number, row in enumerate(found.rows) if not _over(question, row[1], period)],
        partial_means="still running: too many count as dormant",
        notes=[*_notes(question, first_of, period), *past.notes],
        told=found.told,
    )


def _series(unit: Unit) -> Series:
    columns = ("new", "returning", "resurrected", "dormant")
    return Series(ROLLUP, unit, columns, blank=(0, 0, 0, 0), totals=lambda asked: _users(asked, unit), widened=True)


def _users(question: Question, unit: Unit) -> dict[str, Any] | None:
    """The users of the periods as a section tells them: the first period is taken whole."""
    return rolled.totals_of_users(question.narrowed(question.window.widened(unit).first))


def _counted(question: Question, unit: Unit, first_of: str | None) -> Counted:
    begins = periods.keep(question, unit, back=1)
    before = periods.before(begins[0], unit, 1, question.window)[0]
    question.keep_present("present_days", Reach(before, question.window.last))
    question.engine.run(_BASE)
    withheld = answer.group(question)
    first_seen.keep(first_seen.unfiltered(question), _act(question, first_of))
    question.engine.run(_BEGINNINGS)
    rows = _rows(question, begins, overall=False)
    overall = rows if question.scope.by is None else _rows(question, begins, overall=True)
    users = int(question.engine.rows(_USERS)[0][0])
    return Counted(rows, {"users": users}, answer.base_read(question), withheld, overall=overall)


def _act(question: Question, first_of: str | None) -> acts.Act:
    """What makes a user new: by all their events, whatever `--where` lets through."""
    if first_of is not None:
        return acts.read(first_of, "first-of")
    if not question.scope.active_events:
        return acts.Act("any active event", acts.ACTIVE.sql, event_types=(ANY,))
    return acts.Act("any active event", _EVER, {"ever_inactive": list(question.scope.inactive)}, (ANY,))


def _rows(question: Question, begins: Sequence[date], *, overall: bool) -> list[tuple[Any, ...]]:
    present, groups = (_OVERALL, answer.ONE_GROUP) if overall else (_BY_GROUP, answer.GROUPS)
    sql = _COUNTED.format(present=present, groups=groups)
    found = question.engine.rows(sql, {"numbers": list(range(len(begins)))})
    return [(group, begins[number], *counts) for group, number, *counts in found]


def _summed(question: Question, rows: Sequence[tuple[Any, ...]], unit: Unit) -> dict[str, Any]:
    """Totals over the periods that are over: one that is still running counts too many as dormant (metrics §4)."""
    whole = [row for row in rows if _over(question, row[1], unit)]
    new, returning, resurrected, dormant = (rolled.total([row[n] for row in whole]) for n in range(2, 6))
    return {
        "new": new,
        "returning": returning,
        "resurrected": resurrected,
        "dormant": dormant,
        "quick_ratio": (new + resurrected) / dormant if dormant else None,
    }


def _over(question: Question, begin: date, unit: Unit) -> bool:
    """Whether all of a period has been counted: it is over, and the range does not cut it."""
    last = periods.last_day(begin, unit)
    return question.window.over(last) and last <= question.window.last


def _rule(question: Question, unit: Unit, first_of: str | None) -> str:
    first = first_of or "active event"
    return (
        f"{presence.rule(question)}; new: first {first} ever in this {unit}; returning: active in the {unit} before "
        f"too; resurrected: not in that one, but earlier; dormant: active in the {unit} before, not in this"
    )


def _definition(question: Question, begins: Sequence[date], past: Past, unit: Unit, *, frozen: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"quick_ratio": "(new + resurrected) / dormant, over periods that are over"}
    held = question.snapshot.days[0] if question.snapshot.days else None
    before = periods.before(begins[0], unit, 1, question.window)[0]
    short = [begin for begin, earlier in zip(begins, (before, *begins), strict=False) if held and earlier < held]
    if short and not frozen:
        told["short_history"] = f"to {short[-1]}: the {unit} before reaches back before the first day held"
    if past.says:
        told["first_ever"] = past.says
    if question.scope.by is not None:
        told["by"] = "each group by its own events; first ever by all events"
    return told


def _notes(question: Question, first_of: str | None, unit: Unit) -> list[str]:
    scope, window = question.scope, question.window
    notes = periods.widened(question, unit)
    last = periods.last_day(window.periods(unit)[-1], unit)
    if window.last < last and window.over(last):
        notes.append(f"the last {unit} is cut by the range: too many count as dormant")
    if scope.where or scope.active_events or first_of:
        first = first_of or "active event"
        notes.append(
            f"new by the first {first} ever, whatever else is asked for: who came before counts as resurrected"
        )
    return notes
