"""Return rate: do users come back after they did something, and how soon (metrics §8, "Return rate")."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated

from evlog.errors import UsageError
from evlog.kernel.quantile import quantile
from evlog.query import acts, answer
from evlog.query.ask import Reach
from evlog.query.result import Column
from evlog.window import duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evlog.query.acts import Act
    from evlog.query.ask import Question
    from evlog.query.result import Result

HELP = "who comes back after doing something, and after how many days"
EXAMPLE = "evlog report returns --after exercise_complete --within 30d"
COLUMNS = (
    Column("date", "date"),
    Column("completed", "count"),
    Column("returned", "count"),
    Column("rate", "rate", bar=True),
    Column("median_days", "number"),
    Column("open", "count"),
)
_DAY = timedelta(days=1)
_MOST_DAYS = 36_525
_BASE = """
SELECT   person,
         arg_min(grp, (ts, seq)) AS grp,
         min(ts) AS ts,
         min(day) AS day,
         arg_min(seq, (ts, seq)) AS seq,
         1 AS events, 0 AS userless, TRUE AS in_range
FROM     seen
WHERE    person IS NOT NULL AND ({act})
GROUP BY person
"""
_LATER_DATE = "seen.day > base.day"
_LATER = "(seen.ts > base.ts OR (seen.ts = base.ts AND seen.seq > base.seq))"
_LATER_SESSION = (
    "seen.session_id IS NOT NULL AND (seen.begun > base.ts OR (seen.begun = base.ts AND seen.first > base.seq))"
)
_SEEN = "seen"
_BEGUN = """(
             SELECT *,
                    min(ts) OVER visit AS begun,
                    arg_min(seq, (ts, seq)) OVER visit AS first
             FROM   seen
             WINDOW visit AS (PARTITION BY person, session_id))"""
_CAME = """
SELECT   base.person, min(date_diff('day', base.day, seen.day)) AS days
FROM     {seen} AS seen JOIN base ON base.person = seen.person
WHERE    ({act}) AND {later} AND date_diff('day', base.day, seen.day) <= CAST($within AS BIGINT)
GROUP BY base.person
"""
_COUNTED = """
SELECT   place, day, days, count(*)
FROM     base JOIN groups USING (grp) LEFT JOIN came USING (person)
GROUP BY place, day, days
ORDER BY place, day, days NULLS LAST
"""
_READ = "SELECT count(*), count(*) FILTER (userless AND in_range) FROM seen"
_Found = tuple[int, date, int | None, int]


def report(
    question: Question,
    *,
    after: Annotated[str | None, "step to come back after (default: what completes the pairs of the plan)"] = None,
    return_: Annotated[str | None, "step that counts as a return (default: any active event)"] = None,
    within: Annotated[str, "how many days later a return may come, such as 30d"] = "30d",
    any_later: Annotated[bool, "a return later on the same date counts too"] = False,
    next_session: Annotated[bool, "a return is an event of a session id that begins later, whatever its date"] = False,
) -> Result:
    """Those whose first completion in the range was on each date, and how many of them came back in time."""
    if any_later and next_session:
        raise UsageError("--any-later and --next-session exclude each other", hint="give one of them")
    done, back, days = _done(question, after), acts.read(return_, "return"), _days(within)
    later = _LATER if any_later else _LATER_SESSION if next_session else _LATER_DATE
    reach = _keep(question, done, back, later, days)
    withheld = answer.group(question)
    found: list[_Found] = question.engine.rows(_COUNTED)
    each: dict[tuple[int, date], list[_Found]] = defaultdict(list)
    for one in found:
        each[one[0], one[1]].append(one)
    rows = [
        (label, day, *_figures(question, days, each[place, day]))
        for label, place in answer.groups(question)
        for day in question.window.days
    ]
    overall = _figures(question, days, found)
    return answer.result(
        question,
        "returns",
        columns=COLUMNS,
        rows=rows,
        rule=_rule(done, back, days, any_later=any_later, next_session=next_session),
        options={
            "after": done.says,
            "return": return_,
            "within": timedelta(days=days),
            "any_later": any_later,
            "next_session": next_session,
        },
        summary=dict(zip((column.name for column in COLUMNS[1:]), overall, strict=True)),
        kinds={"rate": "rate", "median_days": "number"},
        by="value at the completion",
        read=question.rows(_READ, reach=reach)[0],
        withheld=withheld,
        complete=not overall[-1] and question.window.complete,
        partial=[number for number, row in enumerate(rows) if not _over(question, row[1], days)],
        partial_means="some days to return in are still to come",
    )


def _keep(question: Question, done: Act, back: Act, later: str, days: int) -> Reach:
    question.keep("base", _BASE.format(act=done.sql), done.params)
    first = None if later == _LATER_SESSION else question.window.first  # a session may have begun before the range
    reach = Reach(first, question.window.last + days * _DAY)
    seen = _BEGUN if later == _LATER_SESSION else _SEEN
    question.keep(
        "came", _CAME.format(seen=seen, act=back.sql, later=later), {**back.params, "within": days}, reach=reach
    )
    return reach


def _done(question: Question, after: str | None) -> Act:
    if after is not None:
        return acts.read(after, "after")
    types = tuple(sorted({pair.complete for pair in question.scope.pairs}))
    if not types:
        raise UsageError("--after is missing, and no pair of the plan says what completes", hint=f"such as: {EXAMPLE}")
    return acts.of_types(types, "after")


def _days(text: str) -> int:
    length = duration(text)
    if length % _DAY or not _DAY <= length <= _MOST_DAYS * _DAY:
        raise UsageError(f"--within {text} is no number of days", hint="give whole days, such as 30d")
    return length // _DAY


def _over(question: Question, day: date, days: int) -> bool:
    """Whether all days to return in are gone: the last of them lies before what plays now (metrics §8)."""
    return day + days * _DAY < question.window.today


def _figures(
    question: Question, days: int, found: Iterable[_Found]
) -> tuple[int, int, float | None, float | None, int]:
    """Completed, returned, rate and median days of those whose days are gone; and of how many they are not."""
    told = list(found)
    over = [one for one in told if _over(question, one[1], days)]
    completed = sum(count for *_, count in over)
    waits = sorted((wait, count) for _, _, wait, count in over if wait is not None)
    returned = sum(count for _, count in waits)
    still_open = sum(count for *_, count in told) - completed
    return completed, returned, returned / completed if completed else None, _median(waits), still_open


def _median(waits: Sequence[tuple[int, int]]) -> float | None:
    return quantile([wait for wait, count in waits for _ in range(count)], 50)


def _rule(done: Act, back: Act, days: int, *, any_later: bool, next_session: bool) -> str:
    when = "later, on the same date too" if any_later else "in a later session" if next_session else "on a later date"
    return (
        f"completed: users by the date of their first {done.says} in the range, counted once its {days} days are over; "
        f"returned: with {back.says} {when}, at most {days} days after; open: not over yet"
    )
