"""The ids of persons: what an erasure takes with it, and what an export prints (metrics §13)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from evlog import engine
from evlog.query import view
from evlog.query.identity import Identity
from evlog.store import links

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from evlog.store.layout import Store
    from evlog.store.links import Said
    from evlog.store.snapshot import Snapshot

T = TypeVar("T")
_EVER = datetime(9999, 12, 31)  # noqa: DTZ001 - naive UTC

_MEANT = """
WITH ids AS (
         SELECT DISTINCT unnest(CAST($ids AS VARCHAR[])) AS id),
     persons AS (
         SELECT DISTINCT person
         FROM   linked)
SELECT   ids.id, users.person, persons.person IS NOT NULL, nobodys.person
FROM     ids
         LEFT JOIN linked AS users ON users.id = ids.id AND NOT users.anonymous
         LEFT JOIN linked AS nobodys ON nobodys.id = ids.id AND nobodys.anonymous
         LEFT JOIN persons ON persons.person = ids.id
ORDER BY ids.id
"""
_MEMBERS = """
SELECT   DISTINCT person, id
FROM     linked
WHERE    person IN (SELECT unnest(CAST($persons AS VARCHAR[])))
ORDER BY person, id
"""
_USERS = """
WITH events AS NOT MATERIALIZED ({events})
SELECT   DISTINCT user_id
FROM     events
WHERE    user_id IN (SELECT unnest(CAST($ids AS VARCHAR[])))
ORDER BY user_id
"""
_CLAIMED = """
WITH members AS (
         SELECT unnest(CAST($persons AS VARCHAR[])) AS person, unnest(CAST($ids AS VARCHAR[])) AS id)
SELECT   DISTINCT members.person, members.id
FROM     members
         JOIN claims ON claims.id = members.id
         LEFT JOIN users ON users.id = claims.target
WHERE    source <> 'line' AND coalesce(users.person, claims.target) <> members.person
ORDER BY members.person, members.id
"""
_NEWEST = """
SELECT   id, make_timestamp(CAST(max(said // 18446744073709551616) AS BIGINT))
FROM     claims
WHERE    id IN (SELECT unnest(CAST($ids AS VARCHAR[])))
GROUP BY id
ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Closure:
    """What means the same person now: the id that was named, the person, and every other id that is theirs alone.

    `shared` are ids that mean the person too, but that events of others carry: a device, say. They are not erased.
    `strangers` are those of them that are another person's user id: what is said of these is that person's affair.
    """

    named: str
    person: str
    others: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    shared_until: datetime | None = field(default=None, compare=False)  # when something was last said of these
    strangers: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id that goes, the one that was named first."""
        return tuple(dict.fromkeys((self.named, self.person, *self.others)))

    @property
    def devices(self) -> tuple[str, ...]:
        """The ids that others used too, and that are nobody's user id."""
        return tuple(one for one in self.shared if one not in self.strangers)


def of(store: Store, named: str) -> Closure:
    """What means the same person as the id `named`, as everything stands now."""
    return of_each(store, [named])[0]


def of_each(store: Store, named: Sequence[str]) -> list[Closure]:
    """The same of several ids, in a few passes over the store rather than some for each."""
    return asked(store, lambda identity: _of_each(identity, named))


def _of_each(identity: Identity, named: Sequence[str]) -> list[Closure]:
    identity.whole()
    if not identity.count:
        return [Closure(one, one) for one in named]
    persons = _persons(identity, named)
    wanted = {"persons": sorted(set(persons.values()))}
    pairs = [(str(person), str(id_)) for person, id_ in identity.engine.rows(_MEMBERS, wanted)]
    strangers = _strangers(identity, pairs)
    theirs = {"persons": [person for person, _ in pairs], "ids": [id_ for _, id_ in pairs]}
    shared = strangers | {(str(person), str(id_)) for person, id_ in identity.engine.rows(_CLAIMED, theirs)}
    until = dict(identity.engine.rows(_NEWEST, {"ids": sorted({id_ for _, id_ in shared})})) if shared else {}
    members: dict[str, list[str]] = {}
    for person, id_ in pairs:
        members.setdefault(person, []).append(id_)
    found = []
    for one in named:
        person = persons[one]
        rest = [id_ for id_ in members.get(person, ()) if id_ not in {one, person}]
        apart = tuple(id_ for id_ in rest if (person, id_) in shared)
        others = tuple(id_ for id_ in rest if (person, id_) not in shared)
        last = max((until[id_] for id_ in apart if until.get(id_)), default=None)
        foreign = frozenset(id_ for id_ in apart if (person, id_) in strangers)
        found.append(Closure(one, person, others, apart, last, foreign))
    return found


def _persons(identity: Identity, ids: Sequence[str]) -> dict[str, str]:
    """Whom each id means, as `Identity.person` has it: as a user id where it ever was one, else as an anonymous id."""
    found: dict[str, str] = {}
    nobodys: dict[str, str] = {}
    for one, user, is_person, nobody in identity.engine.rows(_MEANT, {"ids": list(ids)}):
        found[one] = user if user is not None else one
        if user is None and not is_person and nobody is not None:
            nobodys[one] = nobody
    seen = _users(identity, nobodys)
    return found | {one: person for one, person in nobodys.items() if one not in seen}


def _strangers(identity: Identity, pairs: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those members of persons that events have as their user, and that mean somebody else as such."""
    users = _users(identity, {id_ for _, id_ in pairs})
    meant = {one: user or one for one, user, *_ in identity.engine.rows(_MEANT, {"ids": sorted(users)})}
    return {(person, id_) for person, id_ in pairs if id_ in users and meant[id_] != person}


def _users(identity: Identity, ids: Iterable[str]) -> set[str]:
    """Those of the ids that an event has as its user."""
    if not (listed := sorted(ids)):
        return set()
    events, params = view.relation(identity.snapshot.hot, identity.snapshot.cold)
    return {str(one) for (one,) in identity.engine.rows(_USERS.format(events=events), {**params, "ids": listed})}


def asked(store: Store, read: Callable[[Identity], T]) -> T:
    """What `read` makes of the ids of one snapshot."""

    def answered(seen: Snapshot, said: Sequence[Said]) -> T:
        with engine.connect() as connection:
            return read(Identity(connection, seen, said, until=_EVER))

    return links.steady(store, answered)
