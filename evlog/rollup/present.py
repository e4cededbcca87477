"""Who was there on which day, and since when: read once, for all questions of a run that ask it of the same days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evlog.query.ask import Question, Reach

if TYPE_CHECKING:
    from datetime import date

PRESENT, FIRSTS = "present", "firsts"
"""The tables: a row for each day and person (or nobody), and one for each person ever active."""

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
_OF_DAYS = """
SELECT day, day BETWEEN $first AND $last AS in_range, '' AS grp, person, events, userless, active
FROM   present
WHERE  day BETWEEN $from_date AND $to_date
"""
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
    """The two tables, as far as they were asked for; they outlive a question."""

    def __init__(self) -> None:
        self._days: tuple[date, date] | None = None
        self._ever = False

    def over_days(self, question: Question, first: date, last: date) -> tuple[str, dict[str, Any]]:
        """What to select of the rows of these days, as `Question.keep_present` tells them."""
        self._read(question, first, last)
        window = question.window
        bounds = {"from_date": first, "to_date": last, "first": window.first, "last": window.last}
        return _OF_DAYS, bounds

    def daily(self, question: Question, sql: str, reach: Reach) -> tuple[str, dict[str, Any]]:
        """The same question about who was active on a day, or (from no day on) since when, of what was read."""
        assert reach.last is not None
        if reach.first is None:
            self._read_ever(question)
            return _joined(_EVER, sql), {"to_date": reach.last}
        self._read(question, reach.first, reach.last)
        return _joined(_DAILY, sql), {"from_date": reach.first, "to_date": reach.last}

    def _read(self, question: Question, first: date, last: date) -> None:
        if self._days is None or not self._days[0] <= first <= last <= self._days[1]:
            question.engine.drop([("TABLE", PRESENT)])
            self._days = None
            question.keep(PRESENT, _PRESENT, reach=Reach(first, last))
            self._days = first, last

    def _read_ever(self, question: Question) -> None:
        if not self._ever:
            question.engine.drop([("TABLE", FIRSTS)])
            question.keep(FIRSTS, _FIRSTS, reach=Reach(None, None))
            self._ever = True


def _joined(head: str, sql: str) -> str:
    """One statement of a list of relations and what is asked of them."""
    rest = sql.strip()
    return f"{head}, {rest[5:]}" if rest.startswith("WITH ") else f"{head} {rest}"
