"""How good the data of a day are: what was refused, who is missing, how late and in which order events came.

null_user_share       events without a user, by no link either
lag_p50_s, lag_p95_s  from an event's time to its coming in
out_of_order_share    events that came in after a later one of the same id, that day
complete_before_start completions of which that user starts the same target later that day, and not before
sessions_two_users    session ids with more than one person
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.store.rollups import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evlog.query.ask import Question

_EVENTS = """
SELECT person, userless, session_id, event_type, target_type, target_id, ts, seq, received_at,
       coalesce(user_id, 'anon:' || anonymous_id) AS sender
FROM   seen
WHERE  in_range
"""
_FIGURES = """
WITH ordered AS (
         SELECT *,
                ts < max(ts) OVER (PARTITION BY sender ORDER BY seq
                                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS behind
         FROM   quality_events)
SELECT count(*) AS events,
       count(*) FILTER (userless) / count(*) AS null_user_share,
       quantile_cont((epoch_us(received_at) - epoch_us(ts)) / 1000000, 0.5) AS lag_p50_s,
       quantile_cont((epoch_us(received_at) - epoch_us(ts)) / 1000000, 0.95) AS lag_p95_s,
       count(*) FILTER (behind AND sender IS NOT NULL) / count(*) AS out_of_order_share
FROM   ordered
"""
_SHARED = """
SELECT count(*)
FROM   (SELECT   session_id
        FROM     quality_events
        WHERE    session_id IS NOT NULL AND person IS NOT NULL
        GROUP BY session_id
        HAVING   count(DISTINCT person) > 1)
"""
_EARLY = """
WITH pairs AS (
         SELECT unnest($places) AS pair, unnest($starts) AS start, unnest($completes) AS complete,
                unnest($targets) AS wanted),
     acts AS (
         SELECT pair, person, target_type, target_id, ts, event_type = start AS starts
         FROM   quality_events JOIN pairs ON event_type IN (start, complete)
         WHERE  person IS NOT NULL AND (wanted = '' OR target_type = wanted)),
     begun AS (
         SELECT   pair, person, target_type, target_id, min(ts) AS begun
         FROM     acts
         WHERE    starts
         GROUP BY ALL)
SELECT count(*)
FROM   acts
       JOIN begun ON begun.pair = acts.pair AND begun.person = acts.person
                  AND begun.target_type IS NOT DISTINCT FROM acts.target_type
                  AND begun.target_id IS NOT DISTINCT FROM acts.target_id
WHERE  NOT starts AND acts.ts < begun.begun
"""
_FIGURED = ("events", "null_user_share", "lag_p50_s", "lag_p95_s", "out_of_order_share")


def records(question: Question, reasons: Mapping[str, int]) -> tuple[Record, ...]:
    """The figures of the window, which is a day; `reasons` are its refused lines by their code."""
    question.keep("quality_events", _EVENTS)
    figures = question.engine.rows(_FIGURES)[0]
    early = _early(question)
    return (
        *(Record(name, _known(value)) for name, value in zip(_FIGURED, figures, strict=True)),
        Record("complete_before_start", early),
        Record("sessions_two_users", question.engine.rows(_SHARED)[0][0]),
        Record("rejected", sum(reasons.values())),
        *(Record("rejected", reasons[code], "reason", code) for code in sorted(reasons)),
    )


def _known(value: float | None) -> float | None:
    """A figure; null where there was nothing to divide by."""
    return None if value is None or value != value else value  # noqa: PLR0124 - not a number


def _early(question: Question) -> int | None:
    """Completions before their start; null where the plan names no pairs."""
    pairs = question.scope.pairs
    if not pairs:
        return None
    params = {
        "places": list(range(len(pairs))),
        "starts": [pair.start for pair in pairs],
        "completes": [pair.complete for pair in pairs],
        "targets": [pair.target_type or "" for pair in pairs],
    }
    found: int = question.engine.rows(_EARLY, params)[0][0]
    return found
