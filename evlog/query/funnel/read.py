"""What a funnel reads: the events that fit a step, an exclusion or the sessions, as sorted columns.

Events that fit nothing never leave the scan, unless the question needs them all: a strict order is broken by any event,
and a session without an id is prolonged by any.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from evlog.kernel.rules import FOREVER
from evlog.query import answer, where
from evlog.query import steps as language
from evlog.query.ask import Reach
from evlog.query.funnel import sorting
from evlog.query.funnel.asked import TICK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from evlog.query.ask import Question
    from evlog.query.funnel.asked import Asked
    from evlog.query.steps import Step
    from evlog.window import Window

    Ints = NDArray[np.int64]

_TAKEN = """
WITH told AS (
         SELECT {subject} AS subject, epoch_us(ts) AS ts, seq, grp, in_range, userless{columns},
                {marks}
         FROM   seen{only})
SELECT {wanted}
FROM   told
WHERE  {kept}
"""
_STRAIGHT = "subject AS owner, ts, seq, userless AND in_range AS userless"
_MARKED = "coalesce({sql}, 0) AS {name}"
_BREAKS = "CASE WHEN subject IS NOT NULL AND NOT list_contains($ignored, event_type) THEN 1 END"
_HELD = "CASE WHEN {carried} THEN {mark} END"
_MARK = "CASE WHEN {condition} THEN CAST({bit} AS BIGINT) ELSE 0 END"
_READ = """
SELECT count(*), count(*) FILTER (userless AND in_range), coalesce(bit_or(fills), 0), coalesce(bit_or({side}), 0),
       coalesce(bit_or({excluded}), 0)
FROM   taken
WHERE  {fits}
"""
_VALUED = """
CREATE TEMP TABLE valued AS
SELECT   grp, row_number() OVER (ORDER BY grp) - 1 AS value
FROM     (SELECT DISTINCT grp FROM taken WHERE grp <> '(none)')
ORDER BY value
"""
_NAMES = "SELECT grp FROM valued ORDER BY value"
_HOLDS = """
CREATE TEMP TABLE holds AS
SELECT   hold, row_number() OVER (ORDER BY hold) - 1 AS held
FROM     (SELECT DISTINCT hold FROM taken WHERE hold IS NOT NULL)
"""
_VISITS = """
CREATE TEMP TABLE visits AS
SELECT   session_id, row_number() OVER (ORDER BY session_id) - 1 AS explicit
FROM     (SELECT DISTINCT session_id FROM taken WHERE session_id IS NOT NULL)
"""
_PERSONS = """
CREATE TEMP TABLE persons AS
SELECT   person, row_number() OVER (ORDER BY person) - 1 AS who
FROM     (SELECT DISTINCT person FROM taken WHERE person IS NOT NULL)
"""
_LOG = """
WITH entrants AS (
         SELECT subject, row_number() OVER () - 1 AS owner
         FROM   (SELECT DISTINCT subject
                 FROM   taken
                 WHERE  in_range AND {entry} AND subject IS NOT NULL))
SELECT owner, ts, fills, seq{columns}
FROM   taken JOIN entrants USING (subject){joins}
"""
_ENTRY = "fills & 1 = 1"
_ANY_ENTRY = "fills <> 0"


@dataclass(frozen=True, slots=True)
class Read:
    """How many events count, how many of those in the range have no user, and what some event fits."""

    events: int
    userless: int
    fitted: int  # bit i: step i as written
    excluded: int = 0  # bit i: exclusion i
    rows: Mapping[str, Ints] | None = None  # the columns, where they are not kept as tables


def keep(question: Question, asked: Asked) -> Read:
    """What was read; keeps it as table `taken`, and as tables the values that events are told apart by.

    Only an event of the range can be step 1. Where persons are numbers and nothing else tells events apart, nothing is
    kept: the columns are fetched at once.
    """
    marks, params = _marks(asked)
    columns = _columns(question, asked, params)
    only = ""
    if asked.explain is not None:
        only, params["explain"] = "\n         WHERE  person = $explain", asked.explain
    sql = _TAKEN.format(
        subject=_subject(asked, params),
        columns=columns,
        marks=",\n                ".join(_MARKED.format(sql=mark, name=name) for name, mark in marks.items()),
        only=only,
        kept=" OR ".join([*(f"{name} <> 0" for name in marks), *_further(asked)]),
        wanted=", ".join([_STRAIGHT, *marks, *_day(asked)]) if _is_straight(question, asked) else "*",
    )
    reach = _reach(question.window, asked)
    if _is_straight(question, asked):
        return _straight(question.arrays(sql, params, reach=reach), asked, tuple(marks))
    question.keep("taken", sql, params, reach=reach)
    for table, wanted in _tables(question, asked):
        if wanted:
            question.engine.run(table)
    fits = " OR ".join(f"{name} <> 0" for name in marks if name != "breaks")
    found = _READ.format(
        side="side" if asked.optional else "0", excluded="excluded" if asked.excluded else "0", fits=fits
    )
    events, userless, fills, side, excluded = question.engine.rows(found)[0]
    return Read(events, userless, _fitted(asked, fills, side), excluded)


def _fitted(asked: Asked, fills: int, side: int) -> int:
    """Which of the steps as written some event fits, of the bits that any event has."""
    fitted = sum(1 << place for bit, place in enumerate(asked.required) if fills >> bit & 1)
    return fitted | sum(1 << asked.optional[bit] for bit in range(32) if side >> bit & 1)


def _is_straight(question: Question, asked: Asked) -> bool:
    """Whether owners are numbers as they are read, and nothing is to be told apart by texts."""
    texts = _by(question) or asked.hold or asked.sessions or asked.explain is not None
    return question.by_key and asked.unit == "user" and not (texts or asked.free or asked.sideways)


def _straight(found: Mapping[str, Any], asked: Asked, marks: tuple[str, ...]) -> Read:
    """What was read, of columns that come straight from the files; rows of nobody are counted and left out."""
    import numpy as np

    counting = np.zeros(len(found["ts"]), bool)
    for name in marks:
        counting |= (found[name] != 0) & (name != "breaks")
    bits = {name: int(np.bitwise_or.reduce(found[name])) for name in marks}
    somebody = ~np.ma.getmaskarray(found["owner"])
    columns = {name: np.ma.getdata(column) for name, column in found.items() if name != "userless"}
    if not somebody.all():
        columns = {name: column[somebody] for name, column in columns.items()}
    return Read(
        int(counting.sum()),
        int((counting & found["userless"]).sum()),
        _fitted(asked, bits["fills"], bits.get("side", 0)),
        bits.get("excluded", 0),
        columns,
    )


def columns_of(question: Question, asked: Asked, found: Read) -> dict[str, Ints]:
    """The columns of what `keep` read."""
    return arrays(question, asked) if found.rows is None else sorting.sorted_rows(found.rows, entrants=True)


def arrays(question: Question, asked: Asked) -> dict[str, Ints]:
    """The columns of `taken` for everyone who entered, sorted by (owner, ts, arrival).

    owner, ts, fills, seq; and where the question needs it: excluded, side, breaks, value, held, explicit, extends, day,
    who.
    """
    import numpy as np

    columns, joins = [], []
    for wanted, column, join in (
        (bool(asked.excluded), "excluded", ""),
        (bool(asked.optional), "side", ""),
        (asked.every_event, "breaks", ""),
        (_by(question), "coalesce(value, -1) AS value", "LEFT JOIN valued USING (grp)"),
        (bool(asked.hold), "coalesce(held, -1) AS held", "LEFT JOIN holds USING (hold)"),
        (asked.sessions, "coalesce(explicit, -1) AS explicit", "LEFT JOIN visits USING (session_id)"),
        (asked.sessions, "CAST(extends AS BIGINT) AS extends", ""),
        (bool(_day(asked)), "day", ""),
        (_counts_persons(question, asked), "coalesce(who, -1) AS who", "LEFT JOIN persons USING (person)"),
    ):
        if wanted:
            columns.append(f", {column}")
            joins.append(f" {join}")
    entry = _ANY_ENTRY if asked.free or asked.sideways else _ENTRY
    sql = _LOG.format(columns="".join(columns), joins="".join(joins), entry=entry)
    rows = {name: np.asarray(column, np.int64) for name, column in question.engine.arrays(sql).items()}
    return sorting.sorted_rows(rows)


def names(question: Question) -> tuple[str, ...]:
    """The values of the break-down by number; `(none)` is number -1, and stands last."""
    return (*(row[0] for row in question.engine.rows(_NAMES)), answer.ABSENT) if _by(question) else ("",)


def _by(question: Question) -> bool:
    return question.scope.by is not None


def _counts_persons(question: Question, asked: Asked) -> bool:
    """Whether the users behind sessions or values are counted, to withhold groups of few."""
    return asked.unit != "user" and _by(question) and question.scope.min_users > 0


def _marks(asked: Asked) -> tuple[dict[str, str], dict[str, Any]]:
    """Which step, exclusion and optional step each event fits, as SQL, and its parameters."""
    params: dict[str, Any] = {}
    required = [asked.steps[place] for place in asked.required]
    marks = {"fills": _bits(required, "step", params, inside=0 if asked.free else 1)}
    if asked.excluded:
        marks["excluded"] = _bits(asked.excluded, "not", params)
    if asked.optional:
        marks["side"] = _bits([asked.steps[place] for place in asked.optional], "side", params)
    if asked.every_event:
        params["ignored"] = list(asked.ignore)
        marks["breaks"] = _BREAKS
    if asked.hold:
        carried = " AND ".join(f"{text} IS NOT NULL" for text in _texts(asked.hold, "hold", params))
        marks = {name: _HELD.format(carried=carried, mark=mark) for name, mark in marks.items()}
    return marks, params


def _bits(steps: Sequence[Step], prefix: str, params: dict[str, Any], *, inside: int = 0) -> str:
    """The steps that an event fits, a bit each, as SQL; those below `inside` only in the range."""
    pieces: list[str] = []
    for number, step in enumerate(steps):
        sql, values = language.as_sql(step, f"{prefix}_{number}")
        condition = f"in_range AND {sql}" if number < inside else sql
        pieces.append(_MARK.format(condition=condition, bit=1 << number))
        params |= values
    return " | ".join(pieces) or "0"


def _subject(asked: Asked, params: dict[str, Any]) -> str:
    """Who or what is counted, as SQL: the user, or the value of a key."""
    if asked.unit in ("user", "session"):
        return "person"
    return _texts([where.path(asked.unit)], "unit", params)[0]


def _texts(keys: Iterable[tuple[str, ...]], prefix: str, params: dict[str, Any]) -> list[str]:
    """The text forms of the keys, as SQL."""
    texts = []
    for number, path in enumerate(keys):
        sql, key = where.text_sql(path, f"{prefix}_{number}")
        params |= key
        texts.append(sql)
    return texts


def _day(asked: Asked) -> tuple[str, ...]:
    """The column that says on which day of the range an event lies, where that is asked."""
    return ("day",) if asked.per or asked.free else ()


def _further(asked: Asked) -> tuple[str, ...]:
    """Which events beside those that fit something are kept: those that keep a session going, or may explain."""
    return ("subject IS NOT NULL",) if asked.sessions or asked.explain is not None else ()


def _columns(question: Question, asked: Asked, params: dict[str, Any]) -> str:
    """Further columns that the question needs."""
    columns: list[str] = []
    if asked.hold:
        columns.append(f"to_json([{', '.join(_texts(asked.hold, 'hold', params))}]) AS hold")
    if asked.sessions:
        params["inactive"] = list(question.scope.inactive)
        columns += ["session_id", "NOT list_contains($inactive, event_type) AS extends"]
    if _day(asked):
        columns.append("CASE WHEN in_range THEN day - $first_day ELSE -1 END AS day")
        params["first_day"] = question.window.first
    if _counts_persons(question, asked):
        columns.append("person")
    if asked.explain is not None:
        columns.append("event_type")
    return "".join(f", {column}" for column in columns)


def _tables(question: Question, asked: Asked) -> tuple[tuple[str, bool], ...]:
    return (
        (_VALUED, _by(question)),
        (_HOLDS, bool(asked.hold)),
        (_VISITS, asked.sessions),
        (_PERSONS, _counts_persons(question, asked)),
    )


def _reach(window: Window, asked: Asked) -> Reach:
    """The dates on which an event may count: up to the end of the funnel window of the last entrant."""
    if asked.options["cut"]:
        return Reach(window.first, window.last)
    longest = None if asked.reach >= FOREVER or asked.explain is not None else asked.reach * TICK
    if longest is None or longest.days > (window.today - window.last).days:
        return Reach(window.first, None)
    return Reach(window.first, window.last + longest + timedelta(days=2))
