"""Who was there on which day, and since when: read once, for all questions of a run that ask it of the same days."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from evlog.query.ask import Reach

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from evlog.query.ask import Question

PRESENT, EVER = "present", frozenset({"firsts", "lives", "visits"})
"""The tables: a row for each day and person (or nobody); and those that look at all times, whatever the window."""

_PRESENT = """
SELECT   day, person,
         count(*) AS events,
         count(*) FILTER (userless) AS userless,
         count(*) FILTER (active) AS active
FROM     seen
GROUP BY day, person
"""
_FIRSTS = """
SELECT   person,
         min(ts) AS ts,
         min(day) AS day
FROM     seen
WHERE    active
GROUP BY person
"""
_VISITS = """
SELECT   person, session_id AS name, min(day) AS first_day, max(day) AS last_day
FROM     seen
WHERE    person IS NOT NULL
GROUP BY person, session_id
"""
_OF_VISITS = """
SELECT TRUE AS is_visit, person, name, first_day, last_day,
       CAST(NULL AS BIGINT) AS events, CAST(NULL AS BIGINT) AS userless
FROM   visits
WHERE  name IS NULL OR (first_day <= $to_date AND last_day >= $from_date)
UNION ALL
SELECT FALSE, NULL, NULL, NULL, NULL,
       CAST(coalesce(sum(events), 0) AS BIGINT), CAST(coalesce(sum(userless), 0) AS BIGINT)
FROM   present
WHERE  day BETWEEN $from_date AND $to_date
"""
_OF_DAYS = """
SELECT day, day BETWEEN $first AND $last AS in_range, {grp} AS grp, person, events, userless, active
FROM   present
WHERE  day BETWEEN $from_date AND $to_date
"""
_PERIOD = "list_extract($labels, CAST(day - $first AS INTEGER) + 1)"
_DAILY = """
WITH seen AS (
         SELECT day, '' AS grp, person, TRUE AS active
         FROM   present
         WHERE  active > 0 AND day BETWEEN $from_date AND $to_date)
"""
_EVER = """
WITH seen AS (
         SELECT day, '' AS grp, person, TRUE AS active, ts, CAST(NULL AS BIGINT) AS seq
         FROM   firsts
         WHERE  day <= $to_date)
"""


class Present:
    """The tables, as far as they were asked for; they outlive a question."""

    def __init__(self) -> None:
        self._days: tuple[date, date] | None = None
        self._ever: dict[str, tuple[str, str]] = {}

    def ever(self, question: Question, table: str, sql: str, params: Mapping[str, Any]) -> None:
        """Keep a table of all times, if it is not there already."""
        assert table in EVER
        asked = sql, repr(params)
        if self._ever.get(table) != asked:
            question.engine.drop([("TABLE", table)])
            question.keep(table, sql, params, reach=Reach(None, None))
            self._ever[table] = asked

    def over_days(self, question: Question, first: date, last: date) -> tuple[str, dict[str, Any]]:
        """What to select of the rows of these days, as `Question.keep_present` tells them."""
        self._read(question, first, last)
        window = question.window
        bounds = {"from_date": first, "to_date": last, "first": window.first, "last": window.last}
        if question.apart:
            return _OF_DAYS.format(grp=_PERIOD), {**bounds, "labels": list(question.apart)}
        return _OF_DAYS.format(grp="''"), bounds

    def daily(self, question: Question, sql: str, reach: Reach) -> tuple[str, dict[str, Any]]:
        """The same question about who was active on a day, or (from no day on) since when, of what was read."""
        assert reach.last is not None
        if reach.first is None:
            self.ever(question, "firsts", _FIRSTS, {})
            return _joined(_EVER, sql), {"to_date": reach.last}
        self._read(question, reach.first, reach.last)
        return _joined(_DAILY, sql), {"from_date": reach.first, "to_date": reach.last}

    def visits(self, question: Question) -> tuple[str, dict[str, Any]]:
        """What to select of the visits that touch the window, and of all without id; it tells of no id people share."""
        window = question.window
        self.ever(question, "visits", _VISITS, {})
        self._read(question, window.first, window.last)
        return _OF_VISITS, {"from_date": window.first, "to_date": window.last}

    def _read(self, question: Question, first: date, last: date) -> None:
        if self._days is None or not self._days[0] <= first <= last <= self._days[1]:
            question.engine.drop([("TABLE", PRESENT)])
            self._days = None
            plain = copy(question)
            plain.apart = ()
            plain.keep(PRESENT, _PRESENT, reach=Reach(first, last))
            self._days = first, last


def _joined(head: str, sql: str) -> str:
    """One statement of a list of relations and what is asked of them."""
    rest = sql.strip()
    return f"{head}, {rest[5:]}" if rest.startswith("WITH ") else f"{head} {rest}"
