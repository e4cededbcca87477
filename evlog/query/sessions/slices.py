"""Sessions read in slices: some of the persons, then others, where there are more events than memory should hold."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evlog.query import view
from evlog.query.ask import Reach
from evlog.query.sessions.grown import Asked, Totals, grown, number_persons, number_words, of_words, totals
from evlog.query.sessions.whole import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from evlog.query.ask import Question
    from evlog.query.sessions.rule import Rule
    from evlog.query.sessions.visits import Visits

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
_EVENTS_OF = "WITH events AS NOT MATERIALIZED ({events}) SELECT count(*) FROM events"
_AT_ONCE = 1_000_000  # ids
_SLICE = 2_500_000  # events: some 600 MB with all that is made of them
_LEAST = 16  # bytes of a file that an event takes, whatever it says


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
    asked = Asked(rule, numbers or {}, texts or {}, params or {})
    reach = Reach(question.window.first, question.window.last)
    _keep_words(question, asked)
    counted, persons, hashes = totals(question, asked), 0, []
    for number in range(slices):
        some = _of_slice(question, asked, number, slices)
        _keep_slice(question, some)
        hashes.append(question.engine.arrays(_HASHES)["name"])
        if number == slices - 1:
            counted = replace(counted, shared_ids=_shared(question, asked, hashes))
        found = grown(question, some, reach, counted)
        yield replace(found, person=found.person + persons)
        persons += int(found.person.max(initial=0))
        counted = Totals(0, 0)


def _slices(question: Question) -> int:
    """In how many slices the events are read: in one where others read the same, or there are few."""
    files = question.files(Reach(None, None))
    if not question.alone or sum(file.stamp[1] for file in files) < _LEAST * _SLICE:
        return 1
    events, params = view.relation(question.snapshot.hot, question.snapshot.cold)
    ((count,),) = question.engine.rows(_EVENTS_OF.format(events=events), params)
    return 1 + int(count) // _SLICE


def _of_slice(question: Question, asked: Asked, number: int, slices: int) -> Asked:
    """The same of some of the persons: by a stretch of keys, by which parts are sorted, or by hashes of names."""
    if not question.by_key:
        return replace(asked, among=_AMONG_NAMES, params={**asked.params, "slice": number, "slices": slices})
    edges = [(place << 64) // slices - (1 << 63) for place in (number, number + 1)]
    params = {**asked.params, "slice_low": edges[0], "slice_high": edges[1] - 1}
    return replace(asked, among=_AMONG_KEYS, params=params)


def _keep_words(question: Question, asked: Asked) -> None:
    """Number the words of the texts, and count all events, whoever sent them."""
    sql = _SPOKEN_VALUES.format(**of_words({}, asked.tables))
    question.keep("session_values", sql, asked.of(sql), reach=Reach(None, None))
    number_words(question, asked)


def _keep_slice(question: Question, asked: Asked) -> None:
    """Number the persons of a slice and their session ids."""
    reach = Reach(question.window.first, question.window.last)
    sql = _SLICED_VALUES.format(name=asked.name, among=asked.among)
    question.engine.drop([("TABLE", "session_values")])
    question.keep("session_values", sql, asked.of(sql), reach=Reach(None, None))
    number_persons(question, reach)


def _shared(question: Question, asked: Asked, hashes: Sequence[NDArray[np.uint64]]) -> int:
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
