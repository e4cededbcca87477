"""Whether each `user_key` in parts stands for one user, so that who counts keys counts users (docs/design.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.store import durable
from evlog.store.layout import COLLISION

if TYPE_CHECKING:
    from evlog.store.layout import Store

_SAYS = b"Two users of this store have the same user_key: only user_id tells them apart.\n"


def tell_apart(store: Store) -> bool:
    """Whether keys tell users apart, as far as anybody has noticed.

    Ask after the snapshot was taken: the mark is there before the part that needs it.
    """
    return not durable.is_there(store.root / COLLISION)


def mark(store: Store) -> None:
    """Say, for good, that two users share a key. The caller holds the commit lock; what has them is committed after."""
    durable.put_first(store.root / COLLISION, _SAYS)
