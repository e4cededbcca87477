"""Errors by target, status and message, and how many of a target's events they are (metrics §11, error rate)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from evlog.errors import UsageError
from evlog.query import answer, apart, failures, pieced, presence, tabled
from evlog.query.result import Column
from evlog.query.rolled import Counted, Series
from evlog.query.standing import Standing
from evlog.query.tabled import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from evlog.query.apart import Alone
    from evlog.query.ask import Question
    from evlog.query.result import Result

HELP = "errors by target, status and message, and the error rate of each target"
EXAMPLE = "evlog report errors --days 30"
_KIND = ("count", "users", "last", "events", "error_rate", "errors")
_TOTALS = ("errors", "events", "error_rate", "users", "active_users", "users_rate")
ROLLUP = (
    Standing(
        "errors",
        ("day", "week", "month"),
        {"count": "count", "users": "users", "last": "last", "events": "events_of_target",
         "error_rate": "error_rate", "errors": "errors_of_target"},
        key=("target_id", "status", "message"),
        additive=("count",),
        summary={name: name for name in _TOTALS},
    ),
    Standing(
        "errors",
        ("day",),
        {"errors": "errors", "users": "users_with_errors", "events": "events", "error_rate": "error_rate"},
        options={"per_day": True},
    ),
)  # fmt: skip

_BASE = """
SELECT   CASE WHEN NOT $per_day THEN target END AS target,
         failed,
         CASE WHEN NOT $per_day THEN status END AS status,
         CASE WHEN NOT $per_day THEN message END AS message,
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
_FAILURES = """
SELECT   grp, target, status, message, person,
         count(*) AS events,
         max(ts) AS last
FROM     told
WHERE    failed
GROUP BY grp, target, status, message, person
"""
_MEASURED = """
SELECT   grp, coalesce(target_id, '(none)') AS target,
         count(*) FILTER (len($requests) = 0 OR list_contains($requests, event_type)) AS counted
FROM     seen
GROUP BY grp, coalesce(target_id, '(none)')
"""
_ERRORS_EACH = """
WITH kinds AS (
         SELECT   grp, target, status, message,
                  sum(events) AS found,
                  count(DISTINCT person) AS users,
                  max(last) AS last
         FROM     failures
         GROUP BY grp, target, status, message),
     targets AS (
         SELECT   grp, target, sum(events) AS errors
         FROM     failures
         GROUP BY grp, target)
SELECT   grp, target, status, message,
         CAST(found AS BIGINT), users, last,
         counted, CAST(errors AS BIGINT)
FROM     kinds JOIN targets USING (grp, target) JOIN measured USING (grp, target)
ORDER BY grp, found DESC, users DESC, target, status NULLS LAST, message NULLS LAST
"""
_TOTAL_EACH = """
WITH failed AS (
         SELECT   grp, sum(events) AS errors, count(DISTINCT person) AS users
         FROM     failures
         GROUP BY grp),
     hit AS (
         SELECT   grp, count(DISTINCT person) AS hit
         FROM     failures SEMI JOIN (SELECT grp, person FROM base WHERE active > 0) AS present USING (grp, person)
         GROUP BY grp),
     every AS (
         SELECT   grp, sum(counted) AS events
         FROM     measured
         GROUP BY grp)
SELECT grp, CAST(coalesce(errors, 0) AS BIGINT), CAST(events AS BIGINT), coalesce(users, 0), coalesce(hit, 0)
FROM   every LEFT JOIN failed USING (grp) LEFT JOIN hit USING (grp)
"""
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

    def counted(asked: Question) -> Counted:
        return _counted(asked, requests, per_day=per_day)

    found = counted(question) if base is not None else _told(question, counted, per_day=per_day)
    columns, rows = (_DAILY, found.rows) if per_day else _typed(found.rows)
    rates = [row[5 if per_day else 8] for row in rows]
    summary = {name: found.totals[name] for name in _TOTALS}
    return answer.result(
        question,
        "errors",
        columns=columns,
        rows=rows,
        rule=_rule(question, requests, "day" if per_day else "target"),
        options={"base": "requests" if requests else "events", "warn": warn, "per_day": per_day},
        summary=summary,
        kinds={"error_rate": "rate", "users_rate": "rate"},
        read=found.read,
        withheld=found.withheld,
        partial=[number for number, row in enumerate(rows) if per_day and not question.window.over(row[1])],
        marks=[number for number, rate in enumerate(rates) if rate is not None and rate > warn],
        notes=_notes(summary, rates),
        told=found.told,
    )


def _counted(question: Question, requests: tuple[str, ...], *, per_day: bool) -> Counted:
    params = {**failures.params(question.scope), "requests": list(requests), "per_day": per_day}
    question.keep("base", failures.TOLD + _BASE, params)
    withheld = answer.group(question)
    found = _days(question) if per_day else _rated_kinds(question.engine.rows(_ERRORS))
    kept = found if per_day else answer.large_enough(question, found, users=5)
    return Counted(kept, _summary(question), answer.base_read(question), withheld + len(found) - len(kept))


def each(question: Question) -> dict[str, Alone]:
    """The answer to each of the periods that are asked of apart: their kinds of errors."""
    question.keep("failures", failures.TOLD + _FAILURES, failures.params(question.scope))
    question.keep("measured", _MEASURED, {"requests": list(_requests(question, None))})
    presence.keep(question)
    active = presence.users_each(question)
    said = {
        label: _totals(errors, events, users, active.get(label, 0), hit)
        for label, errors, events, users, hit in question.engine.rows(_TOTAL_EACH)
    }
    found = apart.told(_rated_kinds(question.engine.rows(_ERRORS_EACH)), said, apart.userless(question))
    return {label: replace(one, rows=_shown([("", *row) for row in one.rows])) for label, one in found.items()}


def _shown(rows: list[_Row]) -> list[_Row]:
    """The rows as they are shown, without their group."""
    return [row[1:] for row in _typed(rows)[1]]


def _told(question: Question, counted: Callable[[Question], Counted], *, per_day: bool) -> Counted:
    """The rows and totals, from sections where they can tell them."""
    if not per_day:
        return _rated(tabled.table(question, _TABLE, counted))
    series = Series(ROLLUP[1:], "day", ("errors", "users", "events", "error_rate"), blank=(0, 0, 0, None),
                    totals=_day_totals, lost=_TOTALS)  # fmt: skip
    return _rated(pieced.series(question, series, counted))


def _day_totals(question: Question) -> dict[str, Any] | None:
    """The totals of the window as the section of its kinds of errors tells them: of a day, a week or a month."""
    return tabled.totals(question, ROLLUP[0])


def _rated(found: Counted) -> Counted:
    """The totals with the rate of all errors, where days are purged: errors and events may be added up."""
    totals = dict(found.totals)
    if found.told.frozen and totals["errors"] is None and all(row[2] is not None for row in found.rows):
        totals |= {"errors": sum(row[2] for row in found.rows), "events": sum(row[4] for row in found.rows)}
    if found.told.frozen and totals["error_rate"] is None and totals["events"]:
        totals["error_rate"] = totals["errors"] / totals["events"]
    return replace(found, totals=totals)


def _kind_order(row: _Row) -> _Row:
    target, status, message, count, users = row[1:6]
    return (-count, -(users or 0), target, status is None, status or "", message is None, message or "")


_TABLE = Table(
    ROLLUP[0], _KIND, order=_kind_order, sums=("errors", "events"), instants=("last",), most=("last",), texts=True
)


def _requests(question: Question, base: str | None) -> tuple[str, ...]:
    named = question.scope.requests
    if base == "requests" and not named:
        hint = "name them in the plan, or measure against all events: --base events"
        raise UsageError("--base requests: the plan names no request types", hint=hint)
    return () if base == "events" else named


def _rated_kinds(rows: list[_Row]) -> list[_Row]:
    """The kinds of errors with the rate of all errors of their target."""
    return [(*row[:7], events, errors / events if events else None, errors) for *row, events, errors in rows]


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
    return _totals(errors, events, users, presence.users(question), question.engine.rows(_HIT)[0][0])


def _totals(errors: int, events: int, users: int, active: int, hit: int) -> dict[str, Any]:
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
