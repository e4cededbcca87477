"""Persons as numbers: the 64-bit keys that parts hold of users, where only how many there are is asked.

Texts take twice as long to tell apart. Parts hold the key of each user, sorted by it; of a segment's it is computed. A
key is a keyed hash, so two users might share one: compaction looks for that, and where it ever happened, persons stay
texts (docs/design.md, "Users by number").
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from evlog.store import keys, tombstones

if TYPE_CHECKING:
    from collections.abc import Callable

    from evlog.query.scope import Scope
    from evlog.store.layout import Store
    from evlog.store.snapshot import Snapshot

FUNCTION = "user_key"
"""What statements call to have the key of a text."""

_WORTH = 32 << 20  # bytes of parts beside which the keys of segments are worth what the function costs: 0.1 s at once
_MOST = 1 << 20  # users whose keys are remembered while a statement runs


def possible(store: Store, seen: Snapshot, scope: Scope) -> bool:
    """Whether a key stands for just one person of a question, and is cheap to have.

    Events of nobody have no key, so anonymous ids must not count as persons.
    """
    if scope.include_anon or not keys.tell_apart(store):
        return False
    return not seen.hot or sum(part.stamp[1] for part in seen.cold) >= _WORTH


def function(store: Store) -> Callable[[str], int]:
    """The key of a user's id, as parts hold it."""
    return lru_cache(_MOST)(tombstones.load(store).user_key)
