"""Access: every event of one person, in canonical order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.person import closure
from evlog.query import view

if TYPE_CHECKING:
    from evlog.engine import Table
    from evlog.query.identity import Identity
    from evlog.store.layout import Store

_THEIRS = """
SELECT   event_id, ts, event_type, category, user_id, anonymous_id, session_id, target_type, target_id, feature, source,
         properties, context, received_at, seq, date
FROM     events
         LEFT JOIN (SELECT anonymous, id, person FROM linked) AS links
                ON links.anonymous = (user_id IS NULL) AND links.id = coalesce(user_id, anonymous_id)
WHERE    coalesce(person, user_id) = $person
OR       coalesce(user_id, anonymous_id) = $user
ORDER BY ts, seq, event_id
"""


def export(store: Store, user: str) -> Table:
    """The events of `user` (a user id, or an anonymous id) and of every id that means the same person."""

    def read(identity: Identity) -> Table:
        person = identity.person(user)
        view.offer(identity.engine, identity.snapshot.hot, identity.snapshot.cold)
        return identity.engine.table(_THEIRS, {"user": user, "person": person})

    return closure.asked(store, read)
