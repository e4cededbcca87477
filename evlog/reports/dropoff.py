"""Who starts a target and who completes it (metrics §6): completers are starters, and come after their start."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from evlog.errors import UsageError
from evlog.query import answer
from evlog.query.ask import Reach
from evlog.query.result import Column
from evlog.query.scope import Pair
from evlog.window import duration

if TYPE_CHECKING:
    from evlog.query.ask import Question
    from evlog.query.result import Result

HELP = "who starts a target and does not complete it, worst first"

_ACTS = """
SELECT pair, abandon_after, target_type, coalesce(target_id, '(none)') AS target_id, person, grp, ts, seq, in_range,
       day < $first AS earlier,
       userless,
       event_type = start AS starts,
       event_type = complete AS completes
FROM   seen
       JOIN (SELECT unnest($pair) AS pair, unnest($start) AS start, unnest($complete) AS complete,
                    unnest($abandon_after) AS abandon_after)
       ON event_type = start OR event_type = complete
WHERE  list_contains($acts, event_type) AND ($target_type IS NULL OR target_type = $target_type)
"""
_BASE = """
CREATE TEMP TABLE base AS
SELECT   pair, target_type, target_id, person,
         coalesce(arg_min(grp, (ts, seq)) FILTER (starts AND in_range),
                  arg_min(grp, (ts, seq)) FILTER (completes AND in_range)) AS grp,
         count(*) AS events,
         min(ts) FILTER (starts AND in_range) AS began,
         min(ts) FILTER (starts AND earlier) IS NOT NULL AS began_earlier,
         max(ts) FILTER (completes AND (in_range OR NOT $cut)) AS ended,
         max(ts) FILTER (completes AND in_range) IS NOT NULL AS ended_in_range,
         $as_of - max(ts) FILTER (starts) <= any_value(abandon_after) AS fresh
FROM     acts
WHERE    person IS NOT NULL
GROUP BY pair, target_type, target_id, person
HAVING   began IS NOT NULL OR ended_in_range
"""
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
ORDER BY place, (started - completed) / nullif(started, 0) DESC NULLS LAST, started DESC,
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
_READ = """
SELECT count(DISTINCT seq), count(DISTINCT seq) FILTER (userless AND in_range)
FROM   acts
"""
_SEEN_TYPES = "SELECT DISTINCT event_type FROM seen ORDER BY event_type"
_FITTED = "SELECT coalesce(bool_or(starts), FALSE), coalesce(bool_or(completes), FALSE) FROM acts"
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
    warn: Annotated[float, "drop-off rate from which a row is marked"] = 0.4,
    like: Annotated[Literal["dreamtree"] | None, "dreamtree: starters and completers apart, in any order"] = None,
) -> Result:
    """Starters, completers and drop-off of each target."""
    pairs = _pairs(question, start, complete)
    if abandon_after is not None:
        pairs = tuple(replace(pair, abandon_after=duration(abandon_after)) for pair in pairs)
    _read(question, pairs, target_type=target_type, cut=cut)
    withheld = answer.group(question)
    found = question.engine.rows(_TARGETS_APART if like else _TARGETS)
    kept = answer.large_enough(question, found, users=8)
    rows = [_row(*row[:8]) for row in kept]
    return answer.result(
        question,
        "dropoff",
        columns=(*_COLUMNS, Column("target_type", aside=len({row[-1] for row in rows}) < 2)),  # noqa: PLR2004 - types
        rows=rows,
        rule=_APART if like else _rule(pairs, cut=cut),
        options={
            "pairs": _named(pairs),
            "target_type": target_type,
            "cut": cut,
            "warn": warn,
            "like": like,
        },
        summary=_summary(rows),
        definition={"pairs": _named(pairs)},
        read=question.engine.rows(_READ)[0],
        withheld=withheld + len(found) - len(kept),
        marks=[number for number, row in enumerate(rows) if row[6] is not None and row[6] >= warn],
        notes=_unfitted(question, start, complete),
    )


def _pairs(question: Question, start: str | None, complete: str | None) -> tuple[Pair, ...]:
    """The pairs asked for, else the plan's, else those that event types give away by their names."""
    if start and complete:
        return (Pair(start, complete),)
    if start or complete:
        raise UsageError("--start and --complete go together", hint="give both, or neither for the pairs of the plan")
    pairs = question.scope.pairs or _by_name(question)
    if not pairs:
        raise UsageError(
            "the plan names no start and complete pair, and no event types are named like one",
            hint="give --start TYPE --complete TYPE",
        )
    return pairs


def _by_name(question: Question) -> tuple[Pair, ...]:
    """The pairs that `plan infer` would write down: `x_start` and `x_complete`, `x_open` and `x_submit`, the like."""
    from evlog.event.infer import infer

    seen = question.rows(_SEEN_TYPES, reach=Reach(None, None))
    found = infer({"event_type": name} for (name,) in seen).pairs
    return tuple(Pair(pair.start, pair.complete) for pair in found.values())


def _named(pairs: tuple[Pair, ...]) -> list[str]:
    return [f"{pair.start} -> {pair.complete}" for pair in pairs]


def _unfitted(question: Question, start: str | None, complete: str | None) -> list[str]:
    """A note where there is no event of a type that was asked for: it may be misspelt."""
    if start is None:
        return []
    fitted = question.engine.rows(_FITTED)[0]
    return [f"no event is a {name}" for name, known in zip((start, complete), fitted, strict=True) if not known]


def _read(question: Question, pairs: tuple[Pair, ...], *, target_type: str | None, cut: bool) -> None:
    """Keep the starts and completions of all time up to now, and of them `base`: a row for each person and target."""
    params = {
        "pair": list(range(len(pairs))),
        "start": [pair.start for pair in pairs],
        "complete": [pair.complete for pair in pairs],
        "abandon_after": [pair.abandon_after for pair in pairs],
        "acts": sorted({kind for pair in pairs for kind in (pair.start, pair.complete)}),
        "target_type": target_type,
    }
    question.keep("acts", _ACTS, params, reach=Reach(None, None))
    question.engine.run(_BASE, {"cut": cut, "as_of": question.window.as_of})


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


def _rule(pairs: tuple[Pair, ...], *, cut: bool) -> str:
    lengths = sorted({pair.abandon_after for pair in pairs})
    return _RULE.format(" and inside the range" if cut else "", " or ".join(map(_hours, lengths)))


def _hours(length: timedelta) -> str:
    return f"{length / timedelta(hours=1):g} h"
