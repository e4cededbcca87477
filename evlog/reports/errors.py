"""Errors by target, status and message, and how many of a target's events they are (metrics §11, error rate)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from evlog.errors import UsageError
from evlog.query import answer, failures, presence
from evlog.query.result import Column

if TYPE_CHECKING:
    from evlog.query.ask import Question
    from evlog.query.result import Result

HELP = "errors by target, status and message, and the error rate of each target"
EXAMPLE = "evlog report errors --days 30"

_BASE = """
SELECT   target, failed, status, message,
         CASE WHEN $per_day THEN day END AS day,
         grp, person, in_range,
         count(*) AS events,
         count(*) FILTER (userless) AS userless,
         count(*) FILTER (active) AS active,
         count(*) FILTER (len($requests) = 0 OR list_contains($requests, event_type)) AS counted,
         max(ts) FILTER (failed) AS last
FROM     told
GROUP BY ALL
"""
_ERRORS = """
WITH kinds AS (
         SELECT   place, grp, target, status, message,
                  sum(events) AS found,
                  count(DISTINCT person) AS users,
                  max(last) AS last
         FROM     shown
         WHERE    failed
         GROUP BY place, grp, target, status, message),
     targets AS (
         SELECT   place, grp, target,
                  sum(counted) AS events,
                  sum(events) FILTER (failed) AS errors
         FROM     shown
         GROUP BY place, grp, target)
SELECT   grp, target, status, message,
         CAST(found AS BIGINT), users, last,
         CAST(events AS BIGINT), CAST(errors AS BIGINT)
FROM     kinds JOIN targets USING (place, grp, target)
ORDER BY place, found DESC, users DESC, target, status NULLS LAST, message NULLS LAST
"""
_DAYS = """
WITH days AS (SELECT unnest($days) AS day),
     named AS (SELECT DISTINCT label AS grp, place FROM groups WHERE NOT withheld),
     counted AS (
         SELECT   place, day,
                  sum(events) FILTER (failed) AS errors,
                  count(DISTINCT person) FILTER (failed) AS users,
                  sum(counted) AS events
         FROM     shown
         GROUP BY place, day)
SELECT   grp, days.day,
         CAST(coalesce(errors, 0) AS BIGINT), coalesce(users, 0), CAST(coalesce(events, 0) AS BIGINT)
FROM     named CROSS JOIN days
         LEFT JOIN counted ON counted.place = named.place AND counted.day = days.day
ORDER BY named.place, days.day
"""
_TOTAL = """
SELECT CAST(coalesce(sum(events) FILTER (failed), 0) AS BIGINT),
       CAST(coalesce(sum(counted), 0) AS BIGINT),
       count(DISTINCT person) FILTER (failed)
FROM   base
"""
_HIT = "SELECT count(DISTINCT person) FROM base WHERE failed AND person IN (SELECT person FROM base WHERE active > 0)"
_WHOLE = re.compile("0|[1-9][0-9]{0,8}")
_COLUMNS = (
    Column("count", "count", bar=True),
    Column("users", "count"),
    Column("last", "instant"),
    Column("events", "count"),
    Column("error_rate", "rate"),
    Column("errors", "count", aside=True),
)
_DAILY = (
    Column("date", "date"),
    Column("errors", "count", bar=True),
    Column("users", "count"),
    Column("events", "count"),
    Column("error_rate", "rate"),
)
_Row = tuple[Any, ...]


def report(
    question: Question,
    *,
    base: Annotated[
        Literal["events", "requests"] | None,
        "what errors are measured against: all events, or the plan's requests (default: those, if it names any)",
    ] = None,
    warn: Annotated[float, "error rate above which a row is marked"] = 0.01,
    per_day: Annotated[bool, "a row for each day instead"] = False,
) -> Result:
    """Errors of each kind, or of each day, and the rate of all errors of the target, or of the day."""
    requests = _requests(question, base)
    params = {**failures.params(question.scope), "requests": list(requests), "per_day": per_day}
    question.keep("base", failures.TOLD + _BASE, params)
    withheld = answer.group(question)
    found = _days(question) if per_day else _kinds(question)
    kept = found if per_day else answer.large_enough(question, found, users=5)
    columns, rows = (_DAILY, kept) if per_day else _typed(kept)
    rates = [row[5 if per_day else 8] for row in rows]
    summary = _summary(question)
    return answer.result(
        question,
        "errors",
        columns=columns,
        rows=rows,
        rule=_rule(question, requests, "day" if per_day else "target"),
        options={"base": "requests" if requests else "events", "warn": warn, "per_day": per_day},
        summary=summary,
        kinds={"error_rate": "rate", "users_rate": "rate"},
        withheld=withheld + len(found) - len(kept),
        partial=[number for number, row in enumerate(rows) if per_day and not question.window.over(row[1])],
        marks=[number for number, rate in enumerate(rates) if rate is not None and rate > warn],
        notes=_notes(summary, rates),
    )


def _requests(question: Question, base: str | None) -> tuple[str, ...]:
    named = question.scope.requests
    if base == "requests" and not named:
        hint = "name them in the plan, or measure against all events: --base events"
        raise UsageError("--base requests: the plan names no request types", hint=hint)
    return () if base == "events" else named


def _kinds(question: Question) -> list[_Row]:
    return [
        (*row[:7], events, errors / events if events else None, errors)
        for *row, events, errors in question.engine.rows(_ERRORS)
    ]


def _days(question: Question) -> list[_Row]:
    found = question.engine.rows(_DAYS, {"days": list(question.window.days)})
    return [(*row, events, row[2] / events if events else None) for *row, events in found]


def _typed(rows: list[_Row]) -> tuple[tuple[Column, ...], list[_Row]]:
    """The columns and rows; statuses are numbers where all of them are."""
    whole = all(row[2] is None or _WHOLE.fullmatch(row[2]) for row in rows) and any(row[2] for row in rows)
    columns = (Column("target_id"), Column("status", "count" if whole else "text"), Column("message"), *_COLUMNS)
    return columns, [(*row[:2], int(row[2]), *row[3:]) if whole and row[2] is not None else row for row in rows]


def _summary(question: Question) -> dict[str, Any]:
    errors, events, users = question.engine.rows(_TOTAL)[0]
    active, hit = presence.users(question), question.engine.rows(_HIT)[0][0]
    return {
        "errors": errors,
        "events": events,
        "error_rate": errors / events if events else None,
        "users": users,
        "active_users": active,
        "users_rate": hit / active if active else None,
    }


def _rule(question: Question, requests: tuple[str, ...], what: str) -> str:
    types = question.scope.errors
    errors = f"of type {', '.join(types)}" if types else "of a type error or …_error, or of the category error"
    events = f"its events of type {', '.join(requests)}" if requests else "all its events, errors included"
    return (
        f"errors: events {errors}; status: status, status_code or a numeric code; message: message, error or any other "
        f"code; error_rate: all errors of the {what} / {events}; users_rate: of the active users, those with an error"
    )


def _notes(summary: dict[str, Any], rates: list[float | None]) -> list[str]:
    said = [] if summary["errors"] or not summary["events"] else ["no event is an error"]
    if any(rate is not None and rate > 1 for rate in (*rates, summary["error_rate"])):
        said.append("an error rate above 100 %: there are more errors than requests")
    return said
