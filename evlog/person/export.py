"""Access: every event of one person, in canonical order; and beside them all else that the store holds of them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from evlog.event.record import COLUMNS
from evlog.person import closure
from evlog.query import view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from evlog.engine import Table
    from evlog.query.identity import Identity
    from evlog.store.layout import Store

_THEIRS = """
SELECT   event_id, ts, event_type, category, user_id, anonymous_id, session_id, target_type, target_id, feature, source,
         properties, context, received_at, CAST(seq AS BIGINT) AS seq, date
FROM     events
         LEFT JOIN (SELECT anonymous, id, person FROM linked) AS links
                ON links.anonymous = (user_id IS NULL) AND links.id = coalesce(user_id, anonymous_id)
WHERE    coalesce(person, user_id, anonymous_id) = getvariable('asked_person')
OR       coalesce(user_id, anonymous_id) = getvariable('asked_user')
ORDER BY ts, seq, event_id
"""
_ASK_USER = "SET VARIABLE asked_user = $value"
_ASK_PERSON = "SET VARIABLE asked_person = $value"


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
        _offer(identity)
        _ask(identity, user)
        return identity.engine.table(_THEIRS)

    return closure.asked(store, read)


def stream(store: Store, users: Sequence[str], write: Callable[[Iterator[Any]], None]) -> int:
    """How many events of these users there are, one user after the other; `write` is handed them batch by batch.

    It is called again, to write over what it wrote, where files were replaced before all was read.
    """

    def read(identity: Identity) -> int:
        rows = 0

        def batches() -> Iterator[Any]:
            nonlocal rows
            for user in users:
                _ask(identity, user)
                for batch in identity.engine.batches(_THEIRS):
                    rows += batch.num_rows
                    yield batch

        _offer(identity)
        write(batches())
        return rows

    return closure.asked(store, read)


def _offer(identity: Identity) -> None:
    view.offer(identity.engine, identity.snapshot.hot, identity.snapshot.cold)
    identity.whole()


def _ask(identity: Identity, user: str) -> None:
    identity.engine.run(_ASK_USER, {"value": user})
    identity.engine.run(_ASK_PERSON, {"value": identity.person(user)})
