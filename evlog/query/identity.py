"""Which ids are one person: what events and people say of ids, resolved when a question is asked (metrics §13).

A link says that an id belongs to a user, from an instant on. There are three sources:

- people: a line in `links/` (store/links.py), of an anonymous id or of a user id that was given up;
- events that carry both `anonymous_id` and `user_id`: such a link holds for events without a user only;
- alias events (`alias`, `user_alias`, `identify`, `$identify`, `$create_alias`): the other id stands in `properties` as
  `previous_id`, `previousId`, `alias`, `$anon_distinct_id` or `from`, the first that says something, or else in
  `anonymous_id`; it belongs to the event's user, and may have been a user id itself. `$create_alias` is sent in either
  direction: its two ids become one person under whichever comes first as text, and neither is taken from anybody by it.
  Where such an event has no user, its `anonymous_id` is the one that belongs to the other.

What events say is never stored: it is read from all events before the window's end, so purge and erasure take it along.
What people say holds always, for past events too.

What was said last of an id holds (by instant, then by `seq`); chains are followed. Saying the same again moves the link
to the later instant. Unlinking an id takes back all that was said of it up to that instant, by whomever. A link that a
person gives an id later than a `$create_alias` takes the place of that event. Where links make a circle, the latest of
them is left out and what was said before it of the same id holds; they are counted. Ids that mean nobody (`undefined`,
`[erased]`, …) are linked to nobody.

`linked(anonymous, id, person)` is the answer, a row for each id that counts as another's: `anonymous` says whether the
row is about events without a user, by their `anonymous_id`, or about events whose user is `id`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.event import placeholder
from evlog.query import chains, view

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from evlog.engine import Engine
    from evlog.store.links import Said
    from evlog.store.snapshot import Part, Segment, Snapshot

ALIASES = ("$create_alias", "$identify", "alias", "identify", "user_alias")
NOBODY = ("", *placeholder.WORDS)

_TABLES = """
CREATE TEMP TABLE told (anonymous_id VARCHAR, user_id VARCHAR, nobodys DATE, alias BOOLEAN, said HUGEINT);
CREATE TEMP TABLE aliases (anonymous_id VARCHAR, user_id VARCHAR, kind VARCHAR, properties VARCHAR, said HUGEINT);
CREATE TEMP TABLE lines (id VARCHAR, target VARCHAR, said HUGEINT);
CREATE TEMP TABLE linked (anonymous BOOLEAN, id VARCHAR, person VARCHAR);
"""

_ALIAS = "event_type IN ('$create_alias', '$identify', 'alias', 'identify', 'user_alias')"
_SAID = "CAST(epoch_us(ts) AS HUGEINT) * 18446744073709551616 + seq"
_TELL = """
INSERT INTO told
WITH events AS NOT MATERIALIZED ({events})
SELECT   CASE WHEN user_id IS NOT NULL THEN anonymous_id END,
         user_id,
         CASE WHEN user_id IS NULL AND anonymous_id IS NOT NULL THEN CAST(ts AS DATE) END,
         {alias} AS alias,
         max({said})
FROM     events
WHERE    ts < $until AND (anonymous_id IS NOT NULL{or_alias})
GROUP BY ALL
"""
_OR_ALIAS = f" OR {_ALIAS}"
_READ_ALIASES = """
INSERT INTO aliases
WITH events AS NOT MATERIALIZED ({events})
SELECT   anonymous_id, user_id, event_type, properties, max({said})
FROM     events
WHERE    ts < $until AND {alias}
GROUP BY ALL
"""
_ANY_ALIAS = """
WITH events AS NOT MATERIALIZED ({events})
SELECT 1
FROM   events
WHERE  ts < $until AND {alias}
LIMIT  1
"""
_ALIAS_TOLD = "SELECT 1 FROM told WHERE alias LIMIT 1"
_USERLESS = """
WITH events AS NOT MATERIALIZED ({events})
SELECT 1
FROM   events
WHERE  user_id IS NULL AND anonymous_id IS NOT NULL AND ts < $until
LIMIT  1
"""
_USERLESS_TOLD = "SELECT 1 FROM told WHERE list_contains($days, nobodys) LIMIT 1"

_SAY = """
INSERT INTO lines
SELECT unnest($ids), unnest($targets),
       CAST(epoch_us(unnest($moments)) AS HUGEINT) * 18446744073709551616 + unnest($places)
"""

_CLAIMS = """
CREATE OR REPLACE TEMP TABLE claims AS
WITH named AS (
         SELECT user_id, anonymous_id, said, kind = '$create_alias' AS mutual,
                coalesce(nullif(properties->>'$.previous_id', ''), nullif(properties->>'$.previousId', ''),
                         nullif(properties->>'$.alias', ''), nullif(properties->>'$."$anon_distinct_id"', ''),
                         nullif(properties->>'$.from', '')) AS other
         FROM   aliases),
     every AS (
         SELECT anonymous_id AS id, user_id AS target, said, 'both' AS source
         FROM   told
         UNION ALL
         SELECT coalesce(other, anonymous_id), user_id, said, 'alias'
         FROM   named
         WHERE  NOT (mutual AND other IS NOT NULL)
         UNION ALL
         SELECT anonymous_id, other, said, 'alias'
         FROM   named
         WHERE  mutual AND user_id IS NULL
         UNION ALL
         SELECT user_id, other, said, 'mutual'
         FROM   named
         WHERE  mutual AND other <> user_id
         UNION ALL
         SELECT other, user_id, said, 'mutual'
         FROM   named
         WHERE  mutual AND other <> user_id
         UNION ALL
         SELECT id, target, said, 'line'
         FROM   lines
         WHERE  target IS NOT NULL)
SELECT   id, target, source, max(said) AS said
FROM     every
WHERE    NOT list_contains($nobody, lower(id)) AND NOT list_contains($nobody, lower(target))
AND      NOT (contains(id, '[erased]') OR contains(id, '[redacted]'))
AND      NOT (contains(target, '[erased]') OR contains(target, '[redacted]'))
GROUP BY id, target, source
"""

_STANDING = """
CREATE OR REPLACE TEMP TABLE standing AS
WITH retracted AS (
         SELECT   id, max(said // 18446744073709551616) AS moment
         FROM     lines
         WHERE    target IS NULL
         GROUP BY id),
     corrected AS (
         SELECT   id, max(said) AS said
         FROM     claims
         WHERE    source = 'line'
         GROUP BY id)
SELECT claims.*
FROM   claims
       LEFT JOIN retracted AS own ON own.id = claims.id
       LEFT JOIN retracted AS its ON its.id = claims.target AND source = 'mutual'
       LEFT JOIN corrected AS one ON one.id = claims.id AND source = 'mutual'
       LEFT JOIN corrected AS two ON two.id = claims.target AND source = 'mutual'
WHERE  coalesce(claims.said // 18446744073709551616 > own.moment, TRUE)
AND    coalesce(claims.said // 18446744073709551616 > its.moment, TRUE)
AND    coalesce(claims.said > one.said, TRUE)
AND    coalesce(claims.said > two.said, TRUE)
"""

_NAMED = """
CREATE OR REPLACE TEMP TABLE named AS
SELECT   id, target, max(said) AS said
FROM     standing
WHERE    source IN ('alias', 'line') AND id <> target
GROUP BY id, target
"""
_CHAINED = """
SELECT   id, target, said
FROM     named
WHERE    id IN (SELECT id FROM named WHERE target IN (SELECT id FROM named))
OR       id IN (SELECT target FROM named)
OR       id IN (SELECT id FROM standing WHERE source = 'mutual')
ORDER BY id, said, target
"""
_MUTUAL = "SELECT id, target FROM standing WHERE source = 'mutual' AND id < target ORDER BY id, target"
_ENDS = "CREATE OR REPLACE TEMP TABLE ends AS SELECT unnest($ids) AS id, unnest($persons) AS person"

_USERS = """
CREATE OR REPLACE TEMP TABLE users AS
WITH direct AS (
         SELECT   id, arg_max(target, (said, target)) AS target
         FROM     named
         GROUP BY id)
SELECT direct.id, coalesce(own.person, onward.person, direct.target) AS person
FROM   direct
       LEFT JOIN ends AS own ON own.id = direct.id
       LEFT JOIN ends AS onward ON onward.id = direct.target
UNION ALL
SELECT id, person
FROM   ends
WHERE  id NOT IN (SELECT id FROM direct)
"""
_LINKED = """
INSERT INTO linked
WITH nobodys AS (
         SELECT   id, arg_max(CASE WHEN source = 'mutual' THEN id ELSE target END, (said, target)) AS target
         FROM     standing
         GROUP BY id)
SELECT FALSE, id, person
FROM   users
WHERE  id <> person
UNION ALL
SELECT TRUE, nobodys.id, coalesce(users.person, nobodys.target)
FROM   nobodys LEFT JOIN users ON users.id = nobodys.target
"""
_COUNT = "SELECT count(DISTINCT id), count(DISTINCT id) FILTER (NOT anonymous) FROM linked"
_OF_USER = "SELECT person FROM linked WHERE NOT anonymous AND id = $id"
_OF_NOBODY = "SELECT person FROM linked WHERE anonymous AND id = $id"
_ANY_OF = "SELECT 1 FROM linked WHERE id = $id LIMIT 1"
_ONWARD = "SELECT target FROM named WHERE id = $id ORDER BY said DESC, target DESC LIMIT 1"
_NEWEST = (
    "SELECT make_timestamp(CAST(max(said // 18446744073709551616) AS BIGINT)) FROM claims WHERE list_contains($ids, id)"
)
_IS_PERSON = "SELECT 1 FROM linked WHERE person = $id LIMIT 1"
_USERS_AMONG = """
WITH events AS NOT MATERIALIZED ({events})
SELECT   DISTINCT user_id
FROM     events
WHERE    list_contains($ids, user_id) AND ts < $until
ORDER BY user_id
"""
_MEMBERS = "SELECT DISTINCT id FROM linked WHERE person = $person ORDER BY id"
_CLAIMED = """
SELECT   DISTINCT claims.id
FROM     claims
         LEFT JOIN users ON users.id = claims.target
WHERE    source <> 'line' AND list_contains($ids, claims.id) AND coalesce(users.person, claims.target) <> $person
ORDER BY claims.id
"""


class Identity:
    """What the ids of one snapshot mean, worked out once, and only as far as a question needs it.

    `linked` of the engine holds the answer after `whole`, or after `fit` for the events of the files it was given.
    """

    def __init__(self, engine: Engine, snapshot: Snapshot, said: Iterable[Said], *, until: datetime) -> None:
        self.engine = engine
        self.snapshot = snapshot
        self.left_out = 0  # links that would have closed a circle
        self._until = until
        self._lines = list(said)
        self._begun = False
        self._all_told = False  # whether events with both ids are in `told`, of parts too
        self._looked: set[Part] = set()
        self._heard = bool(self._lines)  # whether anything was read that may say a link
        self._resolved = False  # whether anything was said, and the tables of it are there
        self._linked, self._renamed = 0, 0  # ids that count as another's; and those of them that do so as users

    @property
    def count(self) -> int:
        """How many ids count as another's: of users, and of nobody once files with events of nobody are fitted.

        So it is the same whatever was read on the way, and of whichever tier.
        """
        return self._linked if self._all_told else self._renamed

    @property
    def renames(self) -> bool:
        """Whether users are among the ids that count as another's."""
        return bool(self._renamed)

    def fit(self, hot: Sequence[Segment], cold: Sequence[Part]) -> None:
        """Make `linked` right for every event in these files, which are some of the snapshot's.

        Events with both ids are only read where an event of these files has no user: they mean nothing elsewhere.
        """
        self._begin()
        if not self._all_told and self._userless(hot, cold):
            self.whole()

    def whole(self) -> None:
        """Make `linked` right for every event of the snapshot."""
        self._begin()
        if not self._all_told:
            self._all_told = True
            if self.snapshot.cold:
                self._read(_TELL, (), self.snapshot.cold, or_alias="")
                self._resolve()

    def person(self, one: str) -> str:
        """Whom an id means: as a user id where it ever was one, else as an anonymous id; itself without any link."""
        self.whole()
        for sql in (_OF_USER, _IS_PERSON, _OF_NOBODY):
            found = self.engine.rows(sql, {"id": one})
            if found and sql is _IS_PERSON:
                return one
            if found:
                return one if sql is _OF_NOBODY and self._users([one]) else str(found[0][0])
        return one

    def members(self, person: str) -> list[str]:
        """The ids, but for its own, that mean this person: of users and of events without one, in order."""
        self.whole()
        return [str(one) for (one,) in self.engine.rows(_MEMBERS, {"person": person})]

    def shared(self, person: str) -> set[str]:
        """The members of which events say, or said, that they are somebody else's: a device that two people used."""
        members = self.members(person)
        if not members:
            return set()
        found = self.engine.rows(_CLAIMED, {"ids": members, "person": person})
        strangers = {one for one in self._users(members) if self.person(one) != person}
        return strangers | {str(one) for (one,) in found}

    def means(self, one: str, person: str) -> bool:
        """Whether all events of an id are this person's, with and without a user."""
        self.whole()
        nobody, user = (self.engine.rows(sql, {"id": one}) for sql in (_OF_NOBODY, _OF_USER))
        if nobody != [(person,)]:
            return False
        return user == [(person,)] if user else not self._users([one])

    def last_said(self, one: str) -> str | None:
        """The user that an id was last linked to by hand; None if it never was, or was unlinked since."""
        said = [line for line in self._lines if line.source == one]
        return max(said, key=lambda line: (line.at, line.seq)).target if said else None

    def is_linked(self, one: str) -> bool:
        """Whether anything was said of an id that still holds."""
        self.whole()
        return bool(self.engine.rows(_ANY_OF, {"id": one}))

    def chain(self, one: str) -> list[str]:
        """The user ids from one to the last that it was given up for, by what was said last of each."""
        self.whole()
        passed = [one]
        while self._resolved and (found := self.engine.rows(_ONWARD, {"id": passed[-1]})):
            if found[0][0] in passed:  # a circle, of which one link is left out
                break
            passed.append(str(found[0][0]))
        return passed

    def told_until(self, ids: Iterable[str]) -> datetime | None:
        """When something was last said of any of these ids."""
        self.whole()
        if not self._resolved:
            return None
        found: datetime | None = self.engine.rows(_NEWEST, {"ids": list(ids)})[0][0]
        return found

    def _users(self, ids: list[str]) -> list[str]:
        """Those of the ids that an event has as its user."""
        events, params = view.relation(self.snapshot.hot, self.snapshot.cold)
        found = self.engine.rows(_USERS_AMONG.format(events=events), {**params, "ids": ids, "until": self._until})
        return [str(one) for (one,) in found]

    def _begin(self) -> None:
        """Read what people said and what alias events say; of segments all that events say: lines are read whole.

        The text of `properties` costs as much as all the rest, so it is read where there is an alias event only.
        """
        if self._begun:
            return
        self._begun = True
        self.engine.run(_TABLES)
        self._say()
        hot, cold = self.snapshot.hot, self.snapshot.cold
        self._read(_TELL, hot, (), or_alias=_OR_ALIAS)
        if self.engine.rows(_ALIAS_TOLD):
            self._read(_READ_ALIASES, hot, ())
        if cold and self._any(_ANY_ALIAS, cold):
            self._read(_READ_ALIASES, (), cold)
        self._resolve()

    def _say(self) -> None:
        if self._lines:
            lines = self._lines
            self.engine.run(
                _SAY,
                {
                    "ids": [line.source for line in lines],
                    "targets": [line.target for line in lines],
                    "moments": [line.at for line in lines],
                    "places": [line.seq for line in lines],
                },
            )

    def _read(self, sql: str, hot: Sequence[Segment], cold: Sequence[Part], **fragments: str) -> None:
        if hot or cold:
            self._heard = True
            events, params = view.relation(hot, cold)
            self.engine.run(
                sql.format(events=events, alias=_ALIAS, said=_SAID, **fragments), {**params, "until": self._until}
            )

    def _any(self, sql: str, cold: Sequence[Part]) -> bool:
        events, params = view.relation((), cold)
        return bool(self.engine.rows(sql.format(events=events, alias=_ALIAS), {**params, "until": self._until}))

    def _userless(self, hot: Sequence[Segment], cold: Sequence[Part]) -> bool:
        """Whether any event of these files has no user and an anonymous id."""
        days = sorted({segment.day for segment in hot})
        if days and self.engine.rows(_USERLESS_TOLD, {"days": days}):
            return True
        new = [part for part in cold if part not in self._looked]
        self._looked.update(new)
        return bool(new) and self._any(_USERLESS, new)

    def _resolve(self) -> None:
        """Fill `linked` from all that was said so far; where nothing was, it is empty as it is."""
        if not self._heard:
            return
        run, rows = self.engine.run, self.engine.rows
        run("DELETE FROM linked")
        run(_CLAIMS, {"nobody": list(NOBODY)})
        if not rows("SELECT 1 FROM claims LIMIT 1"):
            return
        self._resolved = True
        run(_STANDING)
        run(_NAMED)
        ends, self.left_out = chains.ends(rows(_CHAINED), rows(_MUTUAL))
        run(_ENDS, {"ids": list(ends), "persons": list(ends.values())})
        run(_USERS)
        run(_LINKED)
        self._linked, self._renamed = rows(_COUNT)[0]
