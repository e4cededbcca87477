"""Access: every event of one person, in canonical order; and beside them all else that the store holds of them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from evlog.event.record import COLUMNS
from evlog.person import closure
from evlog.query import view
from evlog.store import tombstones

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from evlog.engine import Table
    from evlog.query.identity import Identity
    from evlog.store.layout import Store
    from evlog.store.tombstones import Tombstones

_THEIRS = """
SELECT   event_id, ts, event_type, category, user_id, anonymous_id, session_id, target_type, target_id, feature, source,
         properties, context, received_at, CAST(seq AS BIGINT) AS seq, date
FROM     (SELECT *
          FROM   events
          WHERE  CASE WHEN user_id IS NOT NULL THEN list_contains(getvariable('users'), user_id)
                      ELSE list_contains(getvariable('nobodys'), anonymous_id) END
          {cold})
ORDER BY ts, seq, event_id
"""
_COLD = """
          UNION ALL BY NAME
          SELECT *, CAST(ts AS DATE) AS date
          FROM   read_parquet(getvariable('asked_parts'), hive_partitioning = false)
          WHERE  list_contains(getvariable('keys'), user_key) AND list_contains(getvariable('users'), user_id)
          UNION ALL BY NAME
          SELECT *, CAST(ts AS DATE) AS date
          FROM   read_parquet(getvariable('asked_parts'), hive_partitioning = false)
          WHERE  user_key IS NULL AND list_contains(getvariable('nobodys'), anonymous_id)
"""
_ASKED = {
    "users": "SET VARIABLE users = CAST($value AS VARCHAR[])",
    "nobodys": "SET VARIABLE nobodys = CAST($value AS VARCHAR[])",
    "keys": "SET VARIABLE keys = CAST($value AS BIGINT[])",
}
_PARTS = "SET VARIABLE asked_parts = $value"
_MEANT = "SELECT anonymous, id, person FROM linked WHERE person = $person OR id = $person"


@cache
def schema() -> Any:
    """The columns of a person's events, for whoever writes them as they come."""
    import pyarrow as pa

    moment = pa.timestamp("us")
    kinds = {"ts": moment, "received_at": moment, "seq": pa.int64()}
    return pa.schema([*((name, kinds.get(name, pa.string())) for name in COLUMNS), ("date", pa.date32())])


def export(store: Store, user: str) -> Table:
    """The events of `user` (a user id, or an anonymous id) and of every id that means the same person."""

    def read(identity: Identity) -> Table:
        sql = _offered(identity)
        _ask(identity, user, tombstones.load(store))
        return identity.engine.table(sql)

    return closure.asked(store, read)


def stream(store: Store, users: Sequence[str], write: Callable[[Iterator[Any]], None], *, arrow: bool = False) -> int:
    """How many events of these users there are, one user after the other; `write` is handed them some at a time.

    They are lists of rows, or as `arrow` record batches. It is called again, to write over what it wrote, where files
    were replaced before all was read.
    """

    def read(identity: Identity) -> int:
        rows, known = 0, tombstones.load(store)

        def pieces() -> Iterator[Any]:
            nonlocal rows
            for user in users:
                _ask(identity, user, known)
                for some in identity.engine.batches(sql) if arrow else identity.engine.pieces(sql):
                    rows += len(some)
                    yield some

        sql = _offered(identity)
        write(pieces())
        return rows

    return closure.asked(store, read)


def _offered(identity: Identity) -> str:
    """What asks for a person's events, of the files of this snapshot.

    A part is sorted by its users' keys: where none of the person's is in it, nothing but its keys is read.
    """
    hot, cold = identity.snapshot.hot, identity.snapshot.cold
    view.offer(identity.engine, hot, ())
    if cold:
        identity.engine.run(_PARTS, {"value": [str(part.path) for part in cold]})
    return _THEIRS.format(cold=_COLD if cold else "")


def _ask(identity: Identity, user: str, known: Tombstones) -> None:
    """Ask for all events whose user is one of these, or that have no user and one of these ids."""
    person = identity.person(user)
    told = identity.engine.rows(_MEANT, {"person": person})
    users, nobodys = (_meant(user, person, told, anonymous=anonymous) for anonymous in (False, True))
    for name, value in {"users": users, "nobodys": nobodys, "keys": [*map(known.user_key, users)]}.items():
        identity.engine.run(_ASKED[name], {"value": value})


def _meant(user: str, person: str, told: Sequence[tuple[Any, ...]], *, anonymous: bool) -> list[str]:
    """The ids of users, or of nobody, that are asked for: those that mean the person, and the one that was named."""
    means = {str(id_): whom for kind, id_, whom in told if kind == anonymous}
    return sorted({user, *(id_ for id_, whom in ({person: person} | means).items() if whom == person)})
