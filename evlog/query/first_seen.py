"""Since when each person does something: the first instant ever, though the events of it be purged (metrics §13).

While events are there, it is their minimum. For purged days the store remembers the first instant of each id (any
activity, and types that were asked for); a person's first is the least over the events and over all their ids.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from evlog.query.acts import ACTIVE
from evlog.query.ask import Reach
from evlog.store import tombstones
from evlog.store.firsts import ANONYMOUS, ANY, USER, Firsts, load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from evlog.query.acts import Act
    from evlog.query.ask import Question

Key = tuple[int, bytes]
"""What stands for an id in the memory: its kind, and its hash."""

_HELD = """
SELECT   person,
         min(ts) AS ts,
         {seq} AS seq,
         {grp} AS grp,
         min(day) AS day
FROM     seen
WHERE    person IS NOT NULL AND ({act})
GROUP BY person
"""
_OF_FIRST = "arg_min({}, (ts, seq))"
_KNOWN = "SELECT DISTINCT person FROM seen WHERE person IS NOT NULL"
_LINKED = "SELECT anonymous, id, person FROM linked ORDER BY anonymous, id"
_REMEMBERED = """
CREATE TEMP TABLE remembered AS
SELECT person, ts, CAST(timezone($tz, CAST(ts AS TIMESTAMPTZ)) AS DATE) AS day
FROM   (SELECT unnest(CAST($persons AS {kind}[])) AS person, make_timestamp(unnest(CAST($moments AS BIGINT[]))) AS ts)
WHERE  ts < $until
"""
_BOTH = """
CREATE TEMP TABLE first_seen AS
SELECT coalesce(held.person, remembered.person) AS person,
       least(held.ts, remembered.ts) AS ts,
       CASE WHEN held.ts <= coalesce(remembered.ts, held.ts) THEN held.seq END AS seq,
       CASE WHEN held.ts <= coalesce(remembered.ts, held.ts) THEN held.grp ELSE $unknown END AS grp,
       least(held.day, remembered.day) AS day
FROM   held_first AS held FULL JOIN remembered ON held.person = remembered.person
"""
_FORGOTTEN = "\x01"  # begins the name of whom only the memory knows: no id holds such a character


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of purged days: the instant they end at, and whether first instants there are remembered."""

    purged: datetime | None  # None: nothing was purged
    remembered: bool = False
    says: str | None = None  # for the definition

    @property
    def notes(self) -> list[str]:
        """A note where first instants in purged days are not known: later ones then pass for the first."""
        if self.purged is None or self.remembered:
            return []
        return [f"who began in purged days (before {self.purged.date()}) is not remembered: see the setting remember"]


def unfiltered(question: Question) -> Question:
    """The same question without `--where` and `--by`: whose first time is asked for is no matter of them."""
    whole = copy(question)
    whole.scope = replace(question.scope, where=(), by=None)
    return whole


def keep(question: Question, act: Act, *, exactly: bool = True) -> Past:
    """Make table `first_seen`: `person, ts, seq, grp, day` of the first such act of each person up to the window's end.

    Of an act that only the memory knows `seq` is null and `grp` absent; whom only the memory knows has a name that is
    no id. `seq` is told where it is wanted `exactly` which event it was; `grp` where something is broken down.
    """
    reach = Reach(None, question.window.last)
    keep = question.keep_daily if act.sql == ACTIVE.sql else question.keep
    seq = _OF_FIRST.format("seq") if exactly else "CAST(NULL AS BIGINT)"
    grp = "''" if question.scope.by is None and not question.apart else _OF_FIRST.format("grp")
    keep("held_first", _HELD.format(act=act.sql, seq=seq, grp=grp), act.params, reach=reach)
    return add_remembered(question, act)


def add_remembered(question: Question, act: Act) -> Past:
    """Make `first_seen` of `held_first`, the same by events alone, and of what is remembered of purged days."""
    memory, asked = _memory(question), _asked(question, act)
    found = _by_person(question, memory, asked) if _is_told(memory, asked) else {}
    params = {"persons": question.told_as(found), "moments": list(found.values())}
    sql = _REMEMBERED.format(kind="BIGINT" if question.by_key else "VARCHAR")
    question.engine.run(sql, {**params, "tz": question.window.tz, "until": question.window.until})
    question.engine.run(_BOTH, {"unknown": "" if question.scope.by is None else "(none)"})
    return past_of(question, act)


def past_of(question: Question, act: Act) -> Past:
    """What is known of purged days where first instants of an act are asked for."""
    memory, asked = _memory(question), _asked(question, act)
    purged, told = _purged(question, memory), _is_told(memory, asked)
    if purged is None:
        return Past(None)
    since = max((day for name, day in memory.since.items() if name in asked and day), default=None)
    return Past(_edge(purged), told, _says(purged, since, told=told))


def past(question: Question) -> Past:
    """What is known of purged days where no first instants are asked for."""
    purged = _purged(question, _memory(question))
    return Past(None) if purged is None else Past(_edge(purged))


def _purged(question: Question, memory: Firsts) -> date | None:
    """The first day that was not purged, as it stood when the snapshot was taken: the memory says so too."""
    return memory.before or tombstones.load(question.store).purged_before


def _edge(purged: date) -> datetime:
    return datetime.combine(purged, datetime.min.time())


def _says(purged: date, since: date | None, *, told: bool) -> str:
    if not told:
        return f"by what the store holds from {purged} on: of purged days it remembers other acts only"
    return f"purged days (before {purged}) are remembered" + (f" from {since} on" if since else "")


def _memory(question: Question) -> Firsts:
    found = question.snapshot.memory
    return Firsts() if found is None or found.stamp is None else load(found.path)


def _asked(question: Question, act: Act) -> tuple[str, ...]:
    """What the memory is asked for: any activity, or the types of the act; nothing where it cannot know the answer."""
    scope = question.scope
    if scope.where:
        return ()
    if act.event_types:
        return act.event_types
    return (scope.active_events or (ANY,)) if act is ACTIVE else ()


def _is_told(memory: Firsts, asked: tuple[str, ...]) -> bool:
    """Whether the memory knows the first instants that are asked for."""
    return bool(asked) and set(asked) <= set(memory.since)


def _by_person(question: Question, memory: Firsts, asked: tuple[str, ...]) -> dict[str, int]:
    """The first instant that is remembered of each person (µs since 1970), in order of their names."""
    names, anyone = _names(question), question.scope.include_anon
    found: dict[str, int] = {}
    for kind, subject, moment in memory.read(asked):
        person = names.get((kind, subject))
        if person is None and (kind == USER or anyone):
            person = f"{_FORGOTTEN}{kind}{subject.hex()}"
        if person is not None:
            found[person] = min(moment, found.get(person, moment))
    return dict(sorted(found.items()))


def _names(question: Question) -> dict[Key, str]:
    """The person that each id of those seen stands for, by what stands for the id in the memory."""
    subject = tombstones.load(question.store).subject
    reach = Reach(None, question.window.last)
    question.identity.whole()
    linked = question.engine.rows(_LINKED)
    persons = {person for (person,) in question.by_name().rows(_KNOWN, reach=reach)} | {row[2] for row in linked}
    pairs = {(kind, id_): person for person in sorted(persons) for kind, id_ in _ids(person, question)}
    pairs |= {(ANONYMOUS if anonymous else USER, id_): person for anonymous, id_, person in linked}
    return {(kind, bytes.fromhex(subject(id_))): person for (kind, id_), person in pairs.items()}


def _ids(person: str, question: Question) -> Iterator[tuple[int, str]]:
    """The ids that are a person by name: the user id, or the anonymous id."""
    yield USER, person
    if question.scope.include_anon and person.startswith("anon:"):
        yield ANONYMOUS, person.removeprefix("anon:")
