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
    from collections.abc import Iterator, Mapping
    from datetime import date

    from evlog.query.ask import Question

_EVENTS = """
SELECT day, person, userless, session_id, event_type, target_type, target_id, ts, seq, received_at,
       coalesce(user_id, 'anon:' || anonymous_id) AS sender
FROM   seen
WHERE  in_range
"""
_FIGURES = """
WITH ordered AS (
         SELECT *,
                ts < max(ts) OVER (PARTITION BY day, sender ORDER BY seq
                                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS behind
         FROM   quality_events)
SELECT   day,
         count(*) AS events,
         count(*) FILTER (userless) / count(*) AS null_user_share,
         quantile_cont((epoch_us(received_at) - epoch_us(ts)) / 1000000, 0.5) AS lag_p50_s,
         quantile_cont((epoch_us(received_at) - epoch_us(ts)) / 1000000, 0.95) AS lag_p95_s,
         count(*) FILTER (behind AND sender IS NOT NULL) / count(*) AS out_of_order_share
FROM     ordered
GROUP BY day
"""
_SHARED = """
SELECT   day, count(*)
FROM     (SELECT   day, session_id
          FROM     quality_events
          WHERE    session_id IS NOT NULL AND person IS NOT NULL
          GROUP BY day, session_id
          HAVING   min(person) <> max(person))
GROUP BY day
"""
_EARLY = """
WITH pairs AS (
         SELECT unnest($places) AS pair, unnest($starts) AS start, unnest($completes) AS complete,
                unnest($targets) AS wanted),
     acts AS (
         SELECT day, pair, person, target_type, target_id, ts, event_type = start AS starts
         FROM   quality_events JOIN pairs ON event_type IN (start, complete)
         WHERE  person IS NOT NULL AND (wanted = '' OR target_type = wanted)),
     begun AS (
         SELECT   day, pair, person, target_type, target_id, min(ts) AS begun
         FROM     acts
         WHERE    starts
         GROUP BY ALL)
SELECT   acts.day, count(*)
FROM     acts
         JOIN begun ON begun.day = acts.day AND begun.pair = acts.pair AND begun.person = acts.person
                    AND begun.target_type IS NOT DISTINCT FROM acts.target_type
                    AND begun.target_id IS NOT DISTINCT FROM acts.target_id
WHERE    NOT starts AND acts.ts < begun.begun
GROUP BY acts.day
"""
_FIGURED = ("events", "null_user_share", "lag_p50_s", "lag_p95_s", "out_of_order_share")
_NO_EVENT = (0, None, None, None, None)


def records(question: Question, reasons: Mapping[date, Mapping[str, int]]) -> dict[date, tuple[Record, ...]]:
    """For each day of the window its figures; `reasons` are its refused lines by their code."""
    question.keep("quality_events", _EVENTS)
    figures = {day: told for day, *told in question.engine.rows(_FIGURES)}
    early, shared = _early(question), dict(question.engine.rows(_SHARED))
    return {
        day: (
            *(Record(name, _known(value)) for name, value in zip(_FIGURED, figures.get(day, _NO_EVENT), strict=True)),
            Record("complete_before_start", None if early is None else early.get(day, 0)),
            Record("sessions_two_users", shared.get(day, 0)),
            *_refused(reasons.get(day, {})),
        )
        for day in question.window.days
    }


def _refused(reasons: Mapping[str, int]) -> Iterator[Record]:
    yield Record("rejected", sum(reasons.values()))
    yield from (Record("rejected", reasons[code], "reason", code) for code in sorted(reasons))


def _known(value: float | None) -> float | None:
    """A figure; null where there was nothing to divide by."""
    return None if value is None or value != value else value  # noqa: PLR0124 - not a number


def _early(question: Question) -> dict[date, int] | None:
    """Completions before their start, of each day with any; None where the plan names no pairs."""
    pairs = question.scope.pairs
    if not pairs:
        return None
    params = {
        "places": list(range(len(pairs))),
        "starts": [pair.start for pair in pairs],
        "completes": [pair.complete for pair in pairs],
        "targets": [pair.target_type or "" for pair in pairs],
    }
    return dict(question.engine.rows(_EARLY, params))
