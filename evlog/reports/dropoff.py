"""Who starts a target and who completes it (metrics §6): completers are starters, and come after their start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from evlog.errors import UsageError
from evlog.query import answer, pairs
from evlog.query.parts import roll_up
from evlog.query.result import Column

if TYPE_CHECKING:
    from evlog.query.ask import Question
    from evlog.query.result import Result
    from evlog.query.scope import Pair

HELP = "who starts a target and does not complete it, worst first"

_FATES = """
CREATE TEMP TABLE fates AS
SELECT   pair, target_type, target_id, person,
         {grp} AS grp,
         count(*) AS events,
         min(ts) FILTER (starts AND in_range) AS began,
         min(ts) FILTER (starts AND earlier) IS NOT NULL AS began_earlier,
         max(ts) FILTER (completes AND (in_range OR NOT $cut)) AS ended,
         max(ts) FILTER (completes AND in_range) IS NOT NULL AS ended_in_range,
         $as_of - max(ts) FILTER (starts) <= any_value(abandon_after)
             AND NOT coalesce(max(ts) FILTER (abandons) >= max(ts) FILTER (starts), FALSE) AS fresh
FROM     acts
WHERE    person IS NOT NULL
GROUP BY pair, target_type, target_id, person
HAVING   began IS NOT NULL OR ended_in_range
"""
_GROUP = """coalesce(arg_min(grp, (ts, seq)) FILTER (starts AND in_range),
                  arg_min(grp, (ts, seq)) FILTER (completes AND in_range))"""
_ONE_GROUP = "''"  # spares the search for the first of each
_BASE = "CREATE TEMP VIEW base AS FROM fates"
_TARGETS = """
WITH known AS (SELECT *, began IS NOT NULL AND coalesce(ended >= began, FALSE) AS done FROM shown)
SELECT   grp, target_id,
         count(began) AS started,
         count(*) FILTER (done) AS completed,
         count(*) FILTER (began IS NOT NULL AND NOT done AND fresh) AS in_progress,
         count(*) FILTER (ended_in_range AND NOT done AND NOT began_earlier) AS completed_without_start,
         count(*) FILTER (ended_in_range AND NOT done AND began_earlier) AS completes_of_earlier_starters,
         target_type,
         count(DISTINCT person) AS users
FROM     known
GROUP BY place, grp, pair, target_type, target_id
ORDER BY place, CASE WHEN $parts THEN pair END,
         (started - completed) / nullif(started, 0) DESC NULLS LAST, started DESC,
         target_type NULLS LAST, target_id, pair
"""
_TARGETS_APART = """
SELECT   grp, target_id,
         count(began) AS started,
         count(*) FILTER (ended_in_range) AS completed,
         NULL, NULL, NULL,
         target_type,
         count(DISTINCT person) AS users
FROM     shown
GROUP BY place, grp, pair, target_type, target_id
HAVING   started > 0
ORDER BY place, completed / started, started DESC, target_type NULLS LAST, target_id, pair
"""
_COLUMNS = (
    Column("target_id"),
    Column("started", "count"),
    Column("completed", "count"),
    Column("dropped", "count"),
    Column("completion_rate", "rate"),
    Column("dropoff_rate", "rate", bar=True),
    Column("in_progress", "count"),
    Column("abandoned", "count", aside=True),
    Column("completed_without_start", "count", aside=True),
    Column("completes_of_earlier_starters", "count", aside=True),
)
_RULE = (
    "completed: starters in the range with a completion at or after their first start there{}; "
    "in progress: dropped, last start at most {} ago"
)
_PARTS = "; a part: started with any of its targets, completed with all that are required"
_APART = "in the manner of dreamtree: starters and completers of the range counted apart, in any order"


def report(
    question: Question,
    *,
    start: Annotated[
        str | None, "event type that starts a target (default: the pairs of the plan, else by name)"
    ] = None,
    complete: Annotated[str | None, "event type that completes it"] = None,
    target_type: Annotated[str | None, "only targets of this type"] = None,
    abandon_after: Annotated[str | None, "how long an open start is in progress (default 24h, or the plan's)"] = None,
    cut: Annotated[bool, "only completions inside the range count"] = False,
    parts: Annotated[bool, "the parts of the plan, in its order, in place of single targets"] = False,
    warn: Annotated[float, "drop-off rate from which a row is marked"] = 0.4,
    like: Annotated[Literal["dreamtree"] | None, "dreamtree: starters and completers apart, in any order"] = None,
) -> Result:
    """Starters, completers and drop-off of each target."""
    if parts and like:
        raise UsageError(f"--parts and --like {like} exclude each other", hint="give one of them")
    asked = pairs.asked(question, start, complete, abandon_after=abandon_after)
    pairs.keep(question, asked, target_type=target_type)
    fates = _FATES.format(grp=_ONE_GROUP if question.scope.by is None else _GROUP)
    question.engine.run(fates, {"cut": cut, "as_of": question.window.as_of})
    if parts:
        roll_up(question)
    else:
        question.engine.run(_BASE)
    withheld = answer.group(question)
    found = question.engine.rows(_TARGETS_APART) if like else question.engine.rows(_TARGETS, {"parts": parts})
    kept = answer.large_enough(question, found, users=8)
    rows = [_row(*row[:8]) for row in (_all_parts(question, found, kept) if parts else kept)]
    return answer.result(
        question,
        "dropoff",
        columns=(*_COLUMNS, Column("target_type", aside=len({row[-1] for row in rows}) < 2)),  # noqa: PLR2004 - types
        rows=rows,
        rule=_APART if like else _rule(asked, cut=cut) + _PARTS * parts,
        options={
            "pairs": pairs.named(asked),
            "target_type": target_type,
            "cut": cut,
            "parts": parts,
            "warn": warn,
            "like": like,
        },
        summary=_summary(rows),
        definition={"pairs": pairs.named(asked)},
        by="value at the first start, else at the first completion",
        read=pairs.read(question),
        withheld=withheld + len(found) - len(kept),
        marks=[number for number, row in enumerate(rows) if row[6] is not None and row[6] >= warn],
        notes=pairs.unfitted(question, start, complete),
    )


def _all_parts(question: Question, found: list[tuple[Any, ...]], kept: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows with those of parts that nobody started; where groups are, only parts that somebody started are told."""
    if question.scope.by is not None:
        return kept
    told, started = {row[1]: row for row in kept}, {row[1] for row in found}
    empty = {name: ("", name, 0, 0, 0, 0, 0, None) for name in (part.name for part in question.scope.parts)}
    rows = {**{name: row for name, row in empty.items() if name not in started}, **told}
    return [rows[name] for name in empty if name in rows]


def _row(  # noqa: PLR0917 - the columns of the row, in order
    group: str,
    target_id: str,
    started: int,
    completed: int,
    in_progress: int | None,
    without_start: int | None,
    of_earlier: int | None,
    target_type: str | None,
) -> tuple[Any, ...]:
    dropped = started - completed
    rates = (completed / started, dropped / started) if started else (None, None)
    abandoned = None if in_progress is None else dropped - in_progress
    counts = (in_progress, abandoned, without_start, of_earlier)
    return (group, target_id, started, completed, dropped, *rates, *counts, target_type)


def _summary(rows: list[tuple[Any, ...]]) -> dict[str, Any]:
    """Sums over the targets: a user counts once for each target."""
    summed = {place: column.name for place, column in enumerate(_COLUMNS, 1) if column.kind == "count"}
    sums = {name: sum(row[place] or 0 for row in rows) for place, name in summed.items()}
    return {"targets": len({(row[1], row[-1]) for row in rows}), **sums}


def _rule(asked: tuple[Pair, ...], *, cut: bool) -> str:
    lengths = sorted({pair.abandon_after for pair in asked})
    return _RULE.format(" and inside the range" if cut else "", " or ".join(map(pairs.spelled, lengths)))
