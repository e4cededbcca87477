"""How long a start takes to its completion, and what becomes of the starts without one (metrics §10)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from evlog.errors import UsageError
from evlog.kernel.quantile import quantile
from evlog.query import answer, pairs, suppression, where
from evlog.query.ask import Reach
from evlog.query.ranked import grouped
from evlog.query.result import Column
from evlog.window import limit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from evlog.kernel.pairs import Fates
    from evlog.query.ask import Question
    from evlog.query.result import Result
    from evlog.query.scope import Pair

    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

HELP = "how long targets take from start to completion, longest first"
EXAMPLE = "evlog report durations --target-type exercise --days 30"

_TICK = timedelta(microseconds=1)
_LONGEST = 10**13  # milliseconds of an event's own duration: three centuries are a slip
_GIVEN = ", {number} AS given"
_NOT_GIVEN = ", CAST(NULL AS DOUBLE) AS given"
_ACTIVE = """
WITH mine AS (SELECT DISTINCT person FROM acts WHERE person IS NOT NULL),
     gaps AS (
         SELECT person, ts, seq,
                epoch_us(ts) - lag(epoch_us(ts)) OVER (PARTITION BY person ORDER BY ts, seq) AS gap
         FROM   seen SEMI JOIN mine USING (person)),
     running AS (
         SELECT seq,
                sum(CASE WHEN gap <= $timeout THEN gap ELSE 0 END)
                    OVER (PARTITION BY person ORDER BY ts, seq ROWS UNBOUNDED PRECEDING) AS active
         FROM   gaps)
SELECT seq, CAST(active AS BIGINT) AS active
FROM   running SEMI JOIN acts USING (seq)
"""
_NO_ACTIVE = "CREATE TEMP TABLE pulse AS SELECT 0 AS seq, 0 AS active WHERE FALSE"
_PLACES = """
CREATE TEMP TABLE places AS
SELECT pair, target_type, target_id,
       row_number() OVER (ORDER BY pair, target_type NULLS LAST, target_id) - 1 AS place
FROM   (SELECT DISTINCT pair, target_type, target_id FROM acts WHERE person IS NOT NULL)
"""
_PEOPLE = """
CREATE TEMP TABLE people AS
SELECT person, row_number() OVER (ORDER BY person) - 1 AS who
FROM   (SELECT DISTINCT person FROM acts WHERE person IS NOT NULL)
"""
_LABELS = """
CREATE TEMP TABLE labels AS
SELECT grp, row_number() OVER (ORDER BY grp) - 1 AS label
FROM   (SELECT DISTINCT grp FROM acts WHERE person IS NOT NULL)
"""
_LOG = """
SELECT   place, who, label,
         epoch_us(ts) AS ts,
         CASE WHEN starts THEN 0 WHEN completes THEN 1 ELSE 2 END AS kind,
         in_range,
         coalesce(active, 0) AS active,
         coalesce(CASE WHEN given BETWEEN 0 AND $longest THEN CAST(round(given * 1000) AS BIGINT) END, -1) AS given
FROM     acts
         JOIN places ON places.pair = acts.pair AND places.target_id = acts.target_id
                        AND places.target_type IS NOT DISTINCT FROM acts.target_type
         JOIN people USING (person)
         JOIN labels USING (grp)
         LEFT JOIN pulse USING (seq)
ORDER BY place, who, ts, kind <> 0, seq, kind
"""
_NAMES = "SELECT grp FROM labels ORDER BY label"
_TARGETS = "SELECT pair, target_type, target_id FROM places ORDER BY place"

COLUMNS = (
    Column("target_id"),
    Column("n", "count"),
    Column("mean_s", "seconds"),
    Column("median_s", "seconds", bar=True),
    Column("p90_s", "seconds"),
    Column("abandoned", "count"),
    Column("open", "count"),
    Column("p25_s", "seconds", aside=True),
    Column("p75_s", "seconds", aside=True),
    Column("starts", "count", aside=True),
    Column("completed", "count", aside=True),
    Column("superseded", "count", aside=True),
    Column("outlier", "count", aside=True),
    Column("orphan_complete", "count", aside=True),
    Column("extra_complete", "count", aside=True),
    Column("reopened", "count", aside=True),
    Column("abandon_median_s", "seconds", aside=True),
)
_ROW_KINDS = {column.name: column.kind for column in COLUMNS[1:]}


@dataclass(frozen=True, slots=True)
class _Log:
    """Acts in the order of the kernel, and what became of each."""

    place: Ints
    who: Ints
    label: Ints  # of its start, where an act closed one
    kind: Ints
    in_range: Flags
    fates: Fates
    overdue: Flags  # an unmatched start that is older than its pair lets be
    took: Ints  # microseconds from its start, of an act that closed one; -1: not told
    lasting: Flags  # took longer than counts


def report(
    question: Question,
    *,
    start: Annotated[
        str | None, "event type that starts a target (default: the pairs of the plan, else by name)"
    ] = None,
    complete: Annotated[str | None, "event type that completes it"] = None,
    abandon: Annotated[str | None, "event type that says it was given up"] = None,
    abandon_after: Annotated[str | None, "how long an open start stays open (default 24h, or the plan's)"] = None,
    target_type: Annotated[str | None, "only targets of this type"] = None,
    pair: Annotated[Literal["latest", "first"], "the open start that a completion closes"] = "latest",
    duration: Annotated[
        Literal["computed", "event"], "from start to completion, or what the completion says in duration_ms"
    ] = "computed",
    active_time: Annotated[bool, "only the time between events that follow each other within --timeout"] = False,
    timeout: Annotated[str | None, "with --active-time: the longest gap that counts"] = "30m",
    max_duration: Annotated[str | None, "longer ones are outliers and leave the figures"] = None,
) -> Result:
    """Times from start to completion for each target, and its starts that led nowhere."""
    if active_time and duration == "event":
        raise UsageError("--active-time and --duration event exclude each other", hint="give one of them")
    asked = pairs.asked(question, start, complete, abandon=abandon, abandon_after=abandon_after)
    most, gap = limit(max_duration or "none"), limit(timeout or "none")
    _keep(question, asked, target_type, event=duration == "event", gap=gap, active=active_time)
    log = _log(question, asked, choice=pair, event=duration == "event", active=active_time, most=most)
    rows, summary, withheld = _tables(question, log)
    options = {"pair": pair, "duration": duration, "active_time": active_time, "timeout": gap, "max_duration": most}
    return answer.result(
        question,
        "durations",
        columns=(*COLUMNS, Column("target_type", aside=len({row[-1] for row in rows}) < 2)),  # noqa: PLR2004 - types
        rows=rows,
        rule=_rule(asked, pair=pair, event=duration == "event", gap=gap if active_time else _TICK),
        options={"pairs": pairs.named(asked), "target_type": target_type, **options},
        summary=summary,
        kinds={name: kind for name, kind in _ROW_KINDS.items() if kind != "count"},
        definition={"pairs": pairs.named(asked), "durations": "of completions in the range", "rest": "of starts there"},
        by="value at the start",
        read=pairs.read(question),
        withheld=withheld,
        notes=pairs.unfitted(question, start, complete, abandon),
    )


def _keep(
    question: Question,
    asked: tuple[Pair, ...],
    target_type: str | None,
    *,
    event: bool,
    gap: timedelta | None,
    active: bool,
) -> None:
    """Keep the acts, their places, people and groups by number, and the active time up to each."""
    number, params = where.number_sql(where.path("properties.duration_ms"), "given_key")
    more = _GIVEN.format(number=number) if event else _NOT_GIVEN
    pairs.keep(question, asked, target_type=target_type, more=more, params=params if event else None)
    if active:
        params = {"timeout": 2**62 if gap is None else gap // _TICK}
        question.keep("pulse", _ACTIVE, params, reach=Reach(None, None))
    else:
        question.engine.run(_NO_ACTIVE)
    for statement in (_PLACES, _PEOPLE, _LABELS):
        question.engine.run(statement)


def _log(
    question: Question,
    asked: tuple[Pair, ...],
    *,
    choice: Literal["latest", "first"],
    event: bool,
    active: bool,
    most: timedelta | None,
) -> _Log:
    import numpy as np

    from evlog.kernel import pairs as kernel

    found = question.engine.arrays(_LOG, {"longest": _LONGEST})
    columns = {name: np.asarray(found[name], np.int64) for name in found}
    place, who, ts, kind = (columns[name] for name in ("place", "who", "ts", "kind"))
    key = np.cumsum(np.append([0], (place[1:] != place[:-1]) | (who[1:] != who[:-1]))) if len(place) else place
    fates = kernel.fates(kernel.Acts(key, ts, kind), choice)
    closes = (fates.mate >= 0) & (kind != kernel.START)
    clock = columns["active"] if active else ts
    took = np.where(closes, columns["given"] if event else clock - clock[fates.mate], -1)
    if event:  # an abandonment has no duration of its own
        took = np.where(kind == kernel.COMPLETE, took, np.where(closes, ts - ts[fates.mate], -1))
    return _Log(
        place,
        who,
        np.where(closes, columns["label"][fates.mate], columns["label"]),
        kind,
        columns["in_range"].astype(bool),
        fates,
        fates.unmatched & _overdue(question, asked, place, ts),
        took,
        took > (2**62 if most is None else most // _TICK),
    )


def _overdue(question: Question, asked: tuple[Pair, ...], place: Ints, ts: Ints) -> Flags:
    """Whether each act is older than its pair lets a start stay open."""
    import numpy as np

    now = (question.window.as_of - pairs.EPOCH) // _TICK
    lengths = [asked[pair].abandon_after // _TICK for pair, _, _ in question.engine.rows(_TARGETS)]
    longest: Ints = np.array(lengths, np.int64)[place]
    overdue: Flags = np.greater(now - ts, longest)
    return overdue


def _tables(question: Question, log: _Log) -> tuple[list[tuple[Any, ...]], dict[str, Any], int]:
    """The rows, the same figures over all of them, and how many groups and rows are withheld."""
    import numpy as np

    targets = question.engine.rows(_TARGETS)
    names = [name for (name,) in question.engine.rows(_NAMES)]
    counting = np.flatnonzero(_counting(log))
    label = None if question.scope.by is None else log.label[counting]
    groups = grouped(question.scope, label, names, person=log.who[counting])
    rows, held = list[tuple[Any, ...]](), [dict(_by_place(log, counting[members])) for _, members in groups.groups]
    cut = _cut(question, log, held)
    withheld = groups.withheld + len(cut)
    for number, (name, _) in enumerate(groups.groups):
        kept = [(place, at) for place, at in held[number].items() if (number, place) not in cut]
        told = [(targets[place], _figures(log, at)) for place, at in kept]
        told.sort(key=lambda one: _longest_first(*one))
        rows += [(name, target[2], *figures.values(), target[1]) for target, figures in told]
    summary = {"targets": len({(row[1], row[-1]) for row in rows}), **_figures(log, counting)}
    return rows, summary, withheld


def _cut(question: Question, log: _Log, held: list[dict[int, Ints]]) -> set[tuple[int, int]]:
    """The places of each group that are withheld."""
    import numpy as np

    cells = [(number, place) for number, places in enumerate(held) for place in places]
    who = [np.unique(log.who[held[number][place]]) for number, place in cells]

    def together(some: Collection[int]) -> int:
        return len(np.unique(np.concatenate([who[cell] for cell in some])))

    sizes, least = [len(one) for one in who], question.scope.min_users
    lines = None if question.scope.by is None else suppression.crossed([place for _, place in cells], sizes, least)
    found = suppression.hidden(sizes, least, lines=lines, together=together)
    return {cells[cell] for cell in found}


def _counting(log: _Log) -> Flags:
    """The acts that a row counts: starts in the range, and completions there."""
    from evlog.kernel.pairs import ABANDON

    counting: Flags = log.in_range & (log.kind != ABANDON)
    return counting


def _by_place(log: _Log, rows: Ints) -> Iterator[tuple[int, Ints]]:
    """Each place with its acts among `rows`."""
    import numpy as np

    ordered = rows[np.argsort(log.place[rows], kind="stable")]
    places, begin = np.unique(log.place[ordered], return_index=True)
    yield from zip(places.tolist(), np.split(ordered, begin[1:]), strict=False)


def _figures(log: _Log, rows: Ints) -> dict[str, Any]:
    """The columns of a row, over these acts."""
    fates, took = log.fates, log.took[rows]
    timed = (log.kind[rows] == 1) & (took >= 0)
    rising = sorted(took[timed & ~log.lasting[rows]].tolist())
    given_up = log.took[fates.mate[rows[fates.abandoned[rows]]]]

    def count(flags: Flags) -> int:
        return int(flags[rows].sum())

    return {
        "n": len(rising),
        "mean_s": sum(rising) / (len(rising) * 1_000_000) if rising else None,
        "median_s": _seconds(rising, 50),
        "p90_s": _seconds(rising, 90),
        "abandoned": count(fates.abandoned) + count(log.overdue),
        "open": count(fates.unmatched) - count(log.overdue),
        "p25_s": _seconds(rising, 25),
        "p75_s": _seconds(rising, 75),
        "starts": int((log.kind[rows] == 0).sum()),
        "completed": count(fates.completed),
        "superseded": count(fates.superseded),
        "outlier": int((timed & log.lasting[rows]).sum()),
        "orphan_complete": count(fates.orphan),
        "extra_complete": count(fates.extra),
        "reopened": count(fates.reopened),
        "abandon_median_s": _seconds(sorted(given_up.tolist()), 50),
    }


def _seconds(rising: list[int], percent: int) -> float | None:
    found = quantile(rising, percent)
    return None if found is None else found / 1_000_000


def _longest_first(target: tuple[Any, ...], figures: dict[str, Any]) -> tuple[Any, ...]:
    pair, kind, name = target
    return -(-1 if figures["median_s"] is None else figures["median_s"]), -figures["n"], kind is None, kind, name, pair


def _rule(asked: tuple[Pair, ...], *, pair: str, event: bool, gap: timedelta | None) -> str:
    """The definition in words; `gap` is a tick where all time counts, not only active time."""
    length = "duration_ms of the completion" if event else "from the start to its completion"
    if gap != _TICK:
        length += f", gaps over {'any length' if gap is None else pairs.spelled(gap)} left out"
    after = " or ".join(pairs.spelled(length) for length in sorted({one.abandon_after for one in asked}))
    return (
        f"{length}; a completion closes the {pair} open start, others of it are superseded; "
        f"a start is abandoned by an event that says so, or open for more than {after}"
    )
