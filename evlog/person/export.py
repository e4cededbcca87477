"""Access: every event of one person, in canonical order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog import engine
from evlog.query import view
from evlog.store import snapshot

if TYPE_CHECKING:
    from evlog.engine import Table
    from evlog.store.layout import Store
    from evlog.store.snapshot import Snapshot

_THEIRS = """
SELECT   event_id, ts, event_type, category, user_id, anonymous_id, session_id, target_type, target_id, feature, source,
         properties, context, received_at, seq, date
FROM     events
WHERE    user_id = $user
OR       (user_id IS NULL AND anonymous_id = $user)
ORDER BY ts, seq, event_id
"""


def export(store: Store, user: str) -> Table:
    """The events of `user` (a user id, or an anonymous id without a user), whatever tier they lie in."""

    def read(seen: Snapshot) -> Table:
        with engine.connect() as connection:
            view.offer(connection, seen.hot, seen.cold)
            return connection.table(_THEIRS, {"user": user})

    return snapshot.steady(store, read)
