"""The sessions of events that are kept: of so many days around a range that each session of it is whole.

Tables `session_visits`, and one of words for each text, say whose events and which ids are to be read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from evlog.query.ask import Reach
from evlog.query.sessions.rule import ticks
from evlog.query.sessions.visits import Visits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evlog.query.ask import Question
    from evlog.query.sessions.rule import Rule

_DAY = timedelta(days=1)

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
_ACTIVE = "NOT list_contains($inactive_types, event_type)"


@dataclass(frozen=True, slots=True)
class Totals:
    """What is counted of all persons together."""

    events: int
    userless: int
    shared_ids: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
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


def grown(question: Question, asked: Asked, reach: Reach, totals: Totals) -> Visits:
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


def number_persons(question: Question, reach: Reach) -> None:
    """Number the persons of `session_values` and their session ids of the reach."""
    question.engine.run(_PERSONS)
    question.engine.run(_VISITS, _between(reach))


def number_words(question: Question, asked: Asked) -> None:
    """Make the tables that number the words of the texts."""
    for table in asked.tables:
        question.engine.run(_WORDS.format(table=table))


def of_words(kinds: Mapping[str, str], tables: Mapping[str, str]) -> dict[str, str]:
    """The fragments that tell the words of texts; `kinds` are keys whose rows are told apart beside them."""
    kinds = {**kinds, **{table: table for table in tables}}
    return {
        "texts": "".join(f", {text} AS {table}" for table, text in tables.items()),
        "words": "".join(f", {table}" for table in tables),
        "kinds": "".join(f"GROUPING({key}) = 0 AS is_{kind}, " for key, kind in kinds.items()),
        "sets": "".join(f", ({table})" for table in tables),
    }


def totals(question: Question, asked: Asked) -> Totals:
    """How many events of the window there are, and how many without a user."""
    no_word = "".join(f" AND NOT is_{table}" for table in asked.tables)
    ((events, userless),) = question.engine.rows(_TOTALS.format(no_word=no_word))
    return Totals(events, userless)


def _between(reach: Reach) -> dict[str, date]:
    return {"low": reach.first or date.min, "high": reach.last or date.max}


def _numbered(question: Question, asked: Asked, near: Reach, totals: Totals) -> Visits:
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


def _arrays(question: Question, asked: Asked, near: Reach) -> dict[str, Any]:
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
