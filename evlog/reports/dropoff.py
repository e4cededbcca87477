"""Who starts a target and who completes it (metrics §6): completers are starters, and come after their start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from evlog.errors import UsageError
from evlog.query import answer, apart, pairs, rolled, tabled
from evlog.query.parts import roll_up
from evlog.query.result import Column
from evlog.query.rolled import Counted
from evlog.query.standing import EVER, Standing
from evlog.query.tabled import Table

if TYPE_CHECKING:
    from evlog.query.apart import Alone
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
_KINDS = """
WITH kinds AS (SELECT unnest($acts) AS event_type, unnest($pair) AS pair, unnest($role) AS role,
                      unnest($abandon_after) AS abandon_after, unnest($wanted) AS wanted)
"""
_LIVES = (
    _KINDS
    + """
SELECT   pair, target_type, coalesce(target_id, '(none)') AS target_id, person,
         any_value(abandon_after) AS abandon_after,
         min(day) FILTER (role = 'start') AS first_start,
         max(ts) FILTER (role = 'start') AS last_start,
         max(ts) FILTER (role = 'complete') AS ended,
         max(ts) FILTER (role = 'abandon') AS abandoned
FROM     seen JOIN kinds USING (event_type)
WHERE    person IS NOT NULL AND (wanted = '' OR target_type = wanted)
GROUP BY pair, target_type, coalesce(target_id, '(none)'), person
"""
)
_DEEDS = (
    _KINDS
    + """
SELECT   grp, pair, target_type, coalesce(target_id, '(none)') AS target_id, person,
         any_value(abandon_after) AS abandon_after,
         min(ts) FILTER (role = 'start') AS began,
         bool_or(role = 'complete') AS ended_in_range
FROM     seen JOIN kinds USING (event_type)
WHERE    person IS NOT NULL AND role <> 'abandon' AND (wanted = '' OR target_type = wanted)
GROUP BY grp, pair, target_type, coalesce(target_id, '(none)'), person
"""
)
_USERLESS_EACH = """
WITH kinds AS (SELECT unnest($acts) AS event_type, unnest($wanted) AS wanted)
SELECT   grp, count(DISTINCT seq)
FROM     seen JOIN kinds USING (event_type)
WHERE    userless AND in_range AND (wanted = '' OR target_type = wanted)
GROUP BY grp
"""
_TARGETS_EACH = """
WITH known AS (
         SELECT grp, pair, own.target_type, target_id, began, ended_in_range,
                $as_of - last_start <= own.abandon_after AND NOT coalesce(abandoned >= last_start, FALSE) AS fresh,
                began IS NOT NULL AND coalesce(ended >= began, FALSE) AS done,
                coalesce(first_start < CAST(grp AS DATE), FALSE) AS began_earlier
         FROM   deeds AS own JOIN lives USING (pair, target_id, person)
         WHERE  own.target_type IS NOT DISTINCT FROM lives.target_type)
SELECT   grp, target_id, target_type,
         count(began) AS started,
         count(*) FILTER (done) AS completed,
         count(*) FILTER (began IS NOT NULL AND NOT done AND fresh) AS in_progress,
         count(*) FILTER (ended_in_range AND NOT done AND NOT began_earlier) AS completed_without_start,
         count(*) FILTER (ended_in_range AND NOT done AND began_earlier) AS completes_of_earlier_starters
FROM     known
GROUP BY grp, pair, target_type, target_id
ORDER BY grp, (started - completed) / nullif(started, 0) DESC NULLS LAST, started DESC,
         target_type NULLS LAST, target_id, pair
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
_OWN = ("started", "completed", "in_progress", "completed_without_start", "completes_of_earlier_starters")
ROLLUP = (
    Standing(
        "dropoff",
        ("day", "week", "month"),
        {name: name for name in _OWN},
        key=("target_id", "target_type"),
        summary={rolled.WITHOUT_USER: "acts_without_user"},
        back=EVER,
        onward=14,
        settles=False,  # a completion counts however late it comes
    ),
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
    asked = _pairs(question, start, complete, abandon_after)

    def counted(which: Question) -> Counted:
        return _counted(which, asked, target_type, cut=cut, parts=parts, apart=like is not None)

    usual = not (start or target_type or abandon_after or cut or parts or like)
    found = tabled.table(question, _TABLE, counted) if usual else counted(question)
    rows = list(map(_row, found.rows))
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
        summary=_summary(rows, known=not found.told.frozen),
        definition={"pairs": pairs.named(asked)},
        by="value at the first start, else at the first completion",
        read=found.read,
        withheld=found.withheld,
        marks=[number for number, row in enumerate(rows) if row[6] is not None and row[6] >= warn],
        notes=pairs.unfitted(question, start, complete) if start else (),
        told=found.told,
    )


def _pairs(question: Question, start: str | None, complete: str | None, abandon_after: str | None) -> tuple[Pair, ...]:
    """The pairs; none where a rollup asks, which asks of every store, be there any or not."""
    try:
        return pairs.asked(question, start, complete, abandon_after=abandon_after)
    except UsageError:
        if question.with_rollups:
            raise
        return ()


def _counted(
    question: Question, asked: tuple[Pair, ...], target_type: str | None, *, cut: bool, parts: bool, apart: bool
) -> Counted:
    """The rows: group, target and its type, then what is counted of it."""
    if not asked:
        return Counted([], {}, (0, 0))
    pairs.keep(question, asked, target_type=target_type)
    fates = _FATES.format(grp=_ONE_GROUP if question.scope.by is None else _GROUP)
    question.engine.run(fates, {"cut": cut, "as_of": question.window.as_of})
    if parts:
        roll_up(question)
    else:
        question.engine.run(_BASE)
    withheld = answer.group(question)
    found = question.engine.rows(_TARGETS_APART) if apart else question.engine.rows(_TARGETS, {"parts": parts})
    kept = answer.large_enough(question, found, users=8)
    told = _all_parts(question, found, kept) if parts else kept
    rows = [(*row[:2], row[7], *row[2:7]) for row in told]
    return Counted(rows, {}, pairs.read(question), withheld + len(found) - len(kept))


def each(question: Question) -> dict[str, Alone]:
    """The answer to each of the periods that are asked of apart; their labels are their first days."""
    asked = _pairs(question, None, None, None)
    said: dict[str, dict[str, Any]] = {label: {} for label in question.apart}
    if not asked:
        return apart.told([], said, {})
    deeds = _deeds(asked)
    kinds = {"acts": [kind for kind, *_ in deeds], "wanted": [pair.target_type or "" for *_, pair in deeds]}
    told = {
        **kinds,
        "pair": [number for _, _, number, _ in deeds],
        "role": [role for _, role, _, _ in deeds],
        "abandon_after": [pair.abandon_after for *_, pair in deeds],
    }
    question.keep_ever("lives", _LIVES, told)
    question.keep("deeds", _DEEDS, told)
    rows = question.engine.rows(_TARGETS_EACH, {"as_of": question.window.as_of})
    return apart.told(rows, said, dict(question.rows(_USERLESS_EACH, kinds)))


def _deeds(asked: tuple[Pair, ...]) -> list[tuple[str, str, int, Pair]]:
    """Each event type that does something in a pair: what it does there, the number of the pair, and the pair."""
    return [
        (kind, role, number, pair)
        for number, pair in enumerate(asked)
        for role, kind in (("start", pair.start), ("complete", pair.complete), ("abandon", pair.abandon))
        if kind
    ]


def _worst_first(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The order of rows; those of which it is not known how many started come by their names."""
    target, kind, started, completed = row[1:5]
    dropped = -(started - completed) / started if started else 1
    return (dropped, -(started or 0), kind is None, kind or "", target)


_TABLE = Table(ROLLUP[0], _OWN, order=_worst_first)


def _all_parts(question: Question, found: list[tuple[Any, ...]], kept: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows with those of parts that nobody started; where groups are, only parts that somebody started are told."""
    if question.scope.by is not None:
        return kept
    told, started = {row[1]: row for row in kept}, {row[1] for row in found}
    empty = {name: ("", name, 0, 0, 0, 0, 0, None) for name in (part.name for part in question.scope.parts)}
    rows = {**{name: row for name, row in empty.items() if name not in started}, **told}
    return [rows[name] for name in empty if name in rows]


def _row(counted: tuple[Any, ...]) -> tuple[Any, ...]:
    """The row as it is shown, of what was counted."""
    group, target_id, target_type, started, completed, in_progress, without_start, of_earlier = counted
    if started is None or completed is None:
        return (group, target_id, *(None,) * 9, target_type)
    dropped = started - completed
    rates = (completed / started, dropped / started) if started else (None, None)
    abandoned = None if in_progress is None else dropped - in_progress
    counts = (in_progress, abandoned, without_start, of_earlier)
    return (group, target_id, started, completed, dropped, *rates, *counts, target_type)


def _summary(rows: list[tuple[Any, ...]], *, known: bool) -> dict[str, Any]:
    """Sums over the targets: a user counts once for each target."""
    summed = {place: column.name for place, column in enumerate(_COLUMNS, 1) if column.kind == "count"}
    sums = {name: rolled.total([row[place] if row[place] is not None or not known else 0 for row in rows])
            for place, name in summed.items()}  # fmt: skip
    return {"targets": len({(row[1], row[-1]) for row in rows}), **sums}


def _rule(asked: tuple[Pair, ...], *, cut: bool) -> str:
    lengths = sorted({pair.abandon_after for pair in asked})
    return _RULE.format(" and inside the range" if cut else "", " or ".join(map(pairs.spelled, lengths)))
