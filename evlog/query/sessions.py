"""The events of a question with the session that each belongs to (metrics §9): what every answer over sessions reads.

    found = sessions.read(question, Rule(), numbers={"fills": sql}, texts={"source": "event_type"}, params=values)
    found.session[i], found.person[i], found.ts[i], found.columns["fills"][i], found.words["source"][...]

Rows come by person, time and arrival. Sessions are whole: more is read than was asked for, so that a session which
crosses an edge of the range has all its events. A session lies on the local date of its first event; what the caller
does not count it leaves out by `day`, or by `started`, which holds the sessions that began in the window.

Where there are more events than memory should hold, `each` tells the same in slices: some of the persons, then others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from evlog.kernel.rules import FOREVER
from evlog.query import view
from evlog.query.ask import Reach
from evlog.window import limit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from evlog.kernel.sessions import Runs
    from evlog.query.ask import Question

    Ints = NDArray[np.int64]

T = TypeVar("T")

USUAL = timedelta(minutes=30)
_EPOCH = date(1970, 1, 1)
_TICK, _DAY = timedelta(microseconds=1), timedelta(days=1)

_VALUES = """
WITH told AS NOT MATERIALIZED (
         SELECT person, {name} AS name, day, in_range, userless{texts}
         FROM   seen)
SELECT   {kinds}
         person, name{words},
         min(day) AS first_day,
         max(day) AS last_day,
         count(*) FILTER (in_range) AS events,
         count(*) FILTER (userless AND in_range) AS userless
FROM     told
GROUP BY GROUPING SETS ((), (person, name){sets})
"""
_SPOKEN_VALUES = """
WITH told AS NOT MATERIALIZED (
         SELECT in_range, userless{texts}
         FROM   seen)
SELECT   {kinds} FALSE AS is_visit{words},
         count(*) FILTER (in_range) AS events,
         count(*) FILTER (userless AND in_range) AS userless
FROM     told
GROUP BY GROUPING SETS ((){sets})
"""
_SLICED_VALUES = """
SELECT   TRUE AS is_visit, person, name,
         min(day) AS first_day,
         max(day) AS last_day,
         count(*) FILTER (in_range) AS events
FROM     (SELECT person, {name} AS name, day, in_range
          FROM   seen
          WHERE  {among})
GROUP BY person, name
"""
_HASHES = """
SELECT hash(name) AS name
FROM   session_values
WHERE  name IS NOT NULL AND person IS NOT NULL AND events > 0
"""
_SHARED_AMONG = """
SELECT count(*)
FROM   (SELECT   {name} AS name
        FROM     seen
        WHERE    in_range AND person IS NOT NULL
        AND      hash({name}) IN (SELECT unnest(CAST($hashes AS UBIGINT[])))
        GROUP BY name
        HAVING   name IS NOT NULL AND min(person) <> max(person))
"""
_AMONG_KEYS = "seen.person BETWEEN $slice_low AND $slice_high"
_AMONG_NAMES = "hash(seen.person) % $slices = $slice"
_PERSONS = """
CREATE OR REPLACE TEMP TABLE session_persons AS
SELECT person, CAST(row_number() OVER () AS INTEGER) AS number
FROM   (SELECT DISTINCT person FROM session_values WHERE is_visit AND person IS NOT NULL)
"""
_VISITS = """
CREATE OR REPLACE TEMP TABLE session_visits AS
SELECT person, name, number, first_day, last_day,
       CASE WHEN name IS NULL THEN -1 ELSE CAST(row_number() OVER () AS INTEGER) END AS explicit
FROM   session_values JOIN session_persons USING (person)
WHERE  is_visit AND (name IS NULL OR (first_day <= $high AND last_day >= $low))
"""
_EXTENT = "SELECT min(first_day), max(last_day) FROM session_visits WHERE name IS NOT NULL"
_WORDS = """
CREATE TEMP TABLE {table} AS
SELECT {table} AS word, CAST(row_number() OVER (ORDER BY {table}) - 1 AS INTEGER) AS number
FROM   session_values
WHERE  is_{table}
"""
_SPOKEN = "SELECT word FROM {table} ORDER BY number"
_TOTALS = """
SELECT any_value(events), any_value(userless)
FROM   session_values
WHERE  NOT is_visit{no_word}
"""
_SHARED = """
SELECT count(*)
FROM   (SELECT   name
        FROM     session_values
        WHERE    is_visit AND name IS NOT NULL AND person IS NOT NULL AND events > 0
        GROUP BY name
        HAVING   count(*) > 1)
"""
_EVENTS = """
SELECT   visits.number AS person, visits.explicit,
         epoch_us(ts) AS ts,
         CAST(day - DATE '1970-01-01' AS INTEGER) AS day{columns}
FROM     seen
         JOIN session_visits AS visits ON visits.person = seen.person AND visits.name IS NOT DISTINCT FROM {name}
         {joins}
WHERE    seen.person IS NOT NULL AND (visits.name IS NOT NULL OR day BETWEEN $low AND $high) AND {among}
ORDER BY visits.number, seen.ts, seen.seq
"""
_EVENTS_OF = "WITH events AS NOT MATERIALIZED ({events}) SELECT count(*) FROM events"
_AT_ONCE = 1_000_000  # ids
_SLICE = 2_500_000  # events: some 600 MB with all that is made of them
_LEAST = 16  # bytes of a file that an event takes, whatever it says
_ACTIVE = "NOT list_contains($inactive_types, event_type)"


@dataclass(frozen=True, slots=True)
class Rule:
    """What ends a session (metrics §9)."""

    timeout: timedelta | None = USUAL  # a longer gap ends it; None: no gap does
    split_midnight: bool = False  # local midnight ends it
    ignore_ids: bool = False  # `session_id` says nothing
    max_length: timedelta | None = None  # an event later than this after its first begins another
    split_idle: bool = False  # the timeout ends a session that an id names, too

    @property
    def said(self) -> str:
        """The rule in words."""
        gap = "a gap" if self.timeout is None else f"a gap of more than {spelled(self.timeout)}"
        ended = "no gap ends one" if self.timeout is None else f"{gap} ends one"
        words = [ended if self.ignore_ids else f"the events of a user with one session_id; without an id, {ended}"]
        if self.split_idle and not self.ignore_ids and self.timeout is not None:
            words.append("so it does with one")
        if self.max_length is not None:
            words.append(f"none is longer than {spelled(self.max_length)}")
        if self.split_midnight:
            words.append("midnight ends one")
        return "session: " + "; ".join(words)


@dataclass(frozen=True, slots=True)
class Visits:
    """Columns of equal length, a row an event that has a person, sorted by (person, ts, seq)."""

    person: Ints  # a number
    ts: Ints  # microseconds
    day: Ints  # the local date, in days since 1970
    session: Ints  # a number; -1: none (an event that makes nobody active, outside all sessions)
    named: NDArray[np.bool_]  # it has a session id, and that counts
    columns: dict[str, Ints]  # what the caller asked for; of a text its number in `words`
    words: dict[str, tuple[str, ...]]  # rising
    events: int = 0  # in the window, whoever sent them
    userless: int = 0  # those of them without a user
    shared_ids: int = 0  # session ids in the window with more than one person: a session for each

    def runs(self) -> Runs:
        """The events of each session, by its number."""
        from evlog.kernel.sessions import runs

        return runs(self.session)

    def gaps(self, rule: Rule) -> int:
        """The sessions with an id in which two events are further apart than the timeout."""
        import numpy as np

        runs = self.runs()
        named = runs.rows[self.named[runs.rows]]
        long = np.diff(self.ts[named]) > ticks(rule.timeout)
        same = np.diff(self.session[named]) == 0
        return len(np.unique(self.session[named[1:]][long & same]))

    def within(self, first: date, last: date, *, day: Ints | None = None) -> NDArray[np.bool_]:
        """Whether each row (or each of these days) lies on a date from first to last."""
        days = self.day if day is None else day
        held: NDArray[np.bool_] = (days >= (first - _EPOCH).days) & (days <= (last - _EPOCH).days)
        return held


@dataclass(frozen=True, slots=True)
class _Totals:
    """What is counted of all persons together."""

    events: int
    userless: int
    shared_ids: int = 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is read besides."""

    rule: Rule
    numbers: Mapping[str, str]
    texts: Mapping[str, str]
    params: Mapping[str, Any]
    among: str = "TRUE"  # the SQL of whether a person is of this slice

    @property
    def name(self) -> str:
        """The SQL of the session id that counts."""
        return "CAST(NULL AS VARCHAR)" if self.rule.ignore_ids else "seen.session_id"

    @property
    def tables(self) -> dict[str, str]:
        """The SQL of each text by the name of the table of its words."""
        return {f"words_{number}": sql for number, sql in enumerate(self.texts.values())}

    def of(self, sql: str) -> dict[str, Any]:
        """Those of the parameters that this SQL names."""
        named = set(re.findall(r"\$(\w+)", sql))
        return {name: value for name, value in self.params.items() if name in named}


def timeout(text: str | None) -> timedelta | None:
    """The timeout that the option says; `none`: no gap ends a session."""
    return USUAL if text is None else limit(text)


def spelled(length: timedelta) -> str:
    """`30 min`, `12 h`: the length in words."""
    seconds = length.total_seconds()
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def ticks(length: timedelta | None) -> int:
    """The length in microseconds; of no limit, longer than any log."""
    return FOREVER if length is None else min(length // _TICK, FOREVER)


def read(
    question: Question,
    rule: Rule,
    *,
    reach: Reach | None = None,
    numbers: Mapping[str, str] | None = None,
    texts: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
) -> Visits:
    """The events of the reach (not given: the window) with their sessions, and what else belongs to these.

    `numbers` and `texts` are further columns, a name and SQL over `seen` each, never null: whole numbers, and texts,
    which come as numbers of `words`. `params` are the parameters of that SQL. Ask once in a question.

    All events that bear the id of a session in the reach are read, wherever they lie. Of those without an id a day
    and the timeout are read beyond the reach, and more where that does not show how a session ends.
    """
    asked = _Asked(rule, numbers or {}, texts or {}, params or {})
    reach = reach or Reach(question.window.first, question.window.last)
    _keep(question, asked, reach)
    ((shared,),) = question.engine.rows(_SHARED)
    return _grown(question, asked, reach, replace(_totals(question, asked), shared_ids=shared))


def each(
    question: Question,
    rule: Rule,
    *,
    numbers: Mapping[str, str] | None = None,
    texts: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
) -> Iterator[Visits]:
    """What `read` tells of the window, in slices of persons: joined they are all of it, in no order of persons.

    No person is in two slices, and no number stands for two. How many events there are the first slice tells, and how
    many ids are shared the last. A slice takes memory as long as it is held.
    """
    slices = _slices(question)
    if slices == 1:
        yield read(question, rule, numbers=numbers, texts=texts, params=params)
        return
    asked = _Asked(rule, numbers or {}, texts or {}, params or {})
    reach = Reach(question.window.first, question.window.last)
    _keep_words(question, asked)
    totals, persons, hashes = _totals(question, asked), 0, []
    for number in range(slices):
        some = _of_slice(question, asked, number, slices)
        _keep_slice(question, some)
        hashes.append(question.engine.arrays(_HASHES)["name"])
        if number == slices - 1:
            totals = replace(totals, shared_ids=_shared(question, asked, hashes))
        found = _grown(question, some, reach, totals)
        yield replace(found, person=found.person + persons)
        persons += int(found.person.max(initial=0))
        totals = _Totals(0, 0)


def joined(pieces: list[T]) -> T:
    """What was made of slices, a dataclass of columns each, as one of all their rows; the pieces are let go."""
    import numpy as np

    if len(pieces) == 1:
        return pieces[0]
    held: dict[str, Any] = {}
    for name in (one.name for one in fields(pieces[0])):  # type: ignore[arg-type]
        columns = [getattr(piece, name) for piece in pieces]
        held[name] = None if columns[0] is None else np.concatenate(columns)
    whole = type(pieces[0])(**held)
    pieces.clear()
    return whole


def _slices(question: Question) -> int:
    """In how many slices the events are read: in one where others read the same, or there are few."""
    files = question.files(Reach(None, None))
    if not question.alone or sum(file.stamp[1] for file in files) < _LEAST * _SLICE:
        return 1
    events, params = view.relation(question.snapshot.hot, question.snapshot.cold)
    ((count,),) = question.engine.rows(_EVENTS_OF.format(events=events), params)
    return 1 + int(count) // _SLICE


def _of_slice(question: Question, asked: _Asked, number: int, slices: int) -> _Asked:
    """The same of some of the persons: by a stretch of keys, by which parts are sorted, or by hashes of names."""
    if not question.by_key:
        return replace(asked, among=_AMONG_NAMES, params={**asked.params, "slice": number, "slices": slices})
    edges = [(place << 64) // slices - (1 << 63) for place in (number, number + 1)]
    params = {**asked.params, "slice_low": edges[0], "slice_high": edges[1] - 1}
    return replace(asked, among=_AMONG_KEYS, params=params)


def _keep_words(question: Question, asked: _Asked) -> None:
    """Number the words of the texts, and count all events, whoever sent them."""
    sql = _SPOKEN_VALUES.format(**_of_words({}, asked.tables))
    question.keep("session_values", sql, asked.of(sql), reach=Reach(None, None))
    _number_words(question, asked)


def _keep_slice(question: Question, asked: _Asked) -> None:
    """Number the persons of a slice and their session ids."""
    reach = Reach(question.window.first, question.window.last)
    sql = _SLICED_VALUES.format(name=asked.name, among=asked.among)
    question.engine.drop([("TABLE", "session_values")])
    question.keep("session_values", sql, asked.of(sql), reach=Reach(None, None))
    question.engine.run(_PERSONS)
    question.engine.run(_VISITS, _between(reach))


def _shared(question: Question, asked: _Asked, hashes: Sequence[NDArray[np.uint64]]) -> int:
    """How many ids have more than one person; `hashes` are those of each person's ids, of all slices.

    Only an id whose hash comes again can be one: these are looked at by name.
    """
    import numpy as np

    each = np.sort(np.concatenate(hashes))
    again = np.unique(each[1:][each[1:] == each[:-1]])
    sql, shared = _SHARED_AMONG.format(name=asked.name), 0
    for start in range(0, len(again), _AT_ONCE):
        ((count,),) = question.rows(sql, {"hashes": again[start : start + _AT_ONCE].tolist()})
        shared += count
    return shared


def _grown(question: Question, asked: _Asked, reach: Reach, totals: _Totals) -> Visits:
    """The events with their sessions, of so many days beyond the reach that each session of it is whole."""
    rule = asked.rule
    margin = _DAY + _pad(rule)
    while True:
        near = Reach(None, None) if rule.timeout is None else _wider(reach, margin)
        found = _numbered(question, asked, near, totals)
        if _whole(question, found, reach, near=near, rule=rule):
            return found
        margin *= 4


def _pad(rule: Rule) -> timedelta:
    """Days so many that a session which goes on past them has an event on one of them."""
    return timedelta(days=(rule.timeout or _DAY).days + 1)


def _wider(reach: Reach, margin: timedelta) -> Reach:
    return Reach(reach.first and reach.first - margin, reach.last and reach.last + margin)


def _whole(question: Question, found: Visits, reach: Reach, *, near: Reach, rule: Rule) -> bool:
    """Whether what was read tells enough of each session of the reach that no id names.

    It must end before the last edge. Where it begins before the first does not matter, as that lies before the reach,
    unless its parts are measured from its begin.
    """
    import numpy as np

    from evlog.kernel.sessions import numbered

    held = question.snapshot.days
    early = rule.max_length is not None and near.first is not None and bool(held) and held[0] <= near.first
    late = near.last is not None and bool(held) and held[-1] >= near.last
    if rule.split_midnight or not (early or late):
        return True
    loose, pad = ~found.named, _pad(rule) - _DAY
    days, person, ts = found.day[loose], found.person[loose], found.ts[loose]
    chain = numbered(person, np.full_like(person, -1), ts, timeout=ticks(rule.timeout))
    edges = np.zeros(len(days), bool)
    if early and near.first is not None:
        edges |= found.within(near.first, near.first + pad, day=days)
    if late and near.last is not None:
        edges |= found.within(near.last - pad, near.last, day=days)
    asked = found.within(reach.first or date.min, reach.last or date.max, day=days)
    return not np.isin(chain[asked], chain[edges]).any()


def _keep(question: Question, asked: _Asked, reach: Reach) -> None:
    """Number the persons, their session ids and the words of the texts, in one reading of the store."""
    tables = asked.tables
    sql = _VALUES.format(name=asked.name, **_of_words({"person": "visit"}, tables))
    if asked.tables or asked.rule.ignore_ids:
        question.keep("session_values", sql, asked.of(sql), reach=Reach(None, None))
    else:
        question.keep_visits("session_values", sql, asked.of(sql))
    question.engine.run(_PERSONS)
    question.engine.run(_VISITS, _between(reach))
    _number_words(question, asked)


def _number_words(question: Question, asked: _Asked) -> None:
    for table in asked.tables:
        question.engine.run(_WORDS.format(table=table))


def _of_words(kinds: Mapping[str, str], tables: Mapping[str, str]) -> dict[str, str]:
    """The fragments that tell the words of texts; `kinds` are keys whose rows are told apart beside them."""
    kinds = {**kinds, **{table: table for table in tables}}
    return {
        "texts": "".join(f", {text} AS {table}" for table, text in tables.items()),
        "words": "".join(f", {table}" for table in tables),
        "kinds": "".join(f"GROUPING({key}) = 0 AS is_{kind}, " for key, kind in kinds.items()),
        "sets": "".join(f", ({table})" for table in tables),
    }


def _totals(question: Question, asked: _Asked) -> _Totals:
    """How many events of the window there are, and how many without a user."""
    no_word = "".join(f" AND NOT is_{table}" for table in asked.tables)
    ((events, userless),) = question.engine.rows(_TOTALS.format(no_word=no_word))
    return _Totals(events, userless)


def _between(reach: Reach) -> dict[str, date]:
    return {"low": reach.first or date.min, "high": reach.last or date.max}


def _numbered(question: Question, asked: _Asked, near: Reach, totals: _Totals) -> Visits:
    from evlog.kernel.sessions import numbered

    rule, found = asked.rule, _arrays(question, asked, near)
    session = numbered(
        found["person"],
        found["explicit"],
        found["ts"],
        timeout=ticks(rule.timeout),
        day=found["day"] if rule.split_midnight else None,
        extends=found["session_active"].astype(bool) if "session_active" in found else None,
        max_length=ticks(rule.max_length),
        split_idle=rule.split_idle,
    )
    return Visits(
        found["person"],
        found["ts"],
        found["day"],
        session,
        found["explicit"] >= 0,
        {name: found[name] for name in (*asked.numbers, *asked.texts)},
        {name: _words(question, table) for name, table in zip(asked.texts, asked.tables, strict=True)},
        totals.events,
        totals.userless,
        totals.shared_ids,
    )


def _arrays(question: Question, asked: _Asked, near: Reach) -> dict[str, Any]:
    """The columns of the events, as plain arrays."""
    import numpy as np

    inactive = list(question.scope.inactive)
    columns = dict(asked.numbers) | ({"session_active": _ACTIVE} if inactive else {})
    columns |= {name: f"{table}.number" for name, table in zip(asked.texts, asked.tables, strict=True)}
    sql = _EVENTS.format(
        name=asked.name,
        among=asked.among,
        columns="".join(f",\n         {told} AS {name}" for name, told in columns.items()),
        joins="".join(f"JOIN {table} ON {table}.word = {text} " for table, text in asked.tables.items()),
    )
    params = asked.of(sql) | _between(near) | ({"inactive_types": inactive} if inactive else {})
    found = question.arrays(sql, params, reach=_spanned(question, near))
    return {name: np.asarray(column) for name, column in found.items()}


def _spanned(question: Question, near: Reach) -> Reach:
    """Those dates, and all on which a session has events that is read for its id."""
    first, last = question.engine.rows(_EXTENT)[0]
    if first is None:
        return near
    return Reach(near.first and min(near.first, first), near.last and max(near.last, last))


def _words(question: Question, table: str) -> tuple[str, ...]:
    return tuple(word for (word,) in question.engine.rows(_SPOKEN.format(table=table)))
