"""The `user_key` of users in parts; and whether each stands for one user, so that who counts keys counts users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evlog.store import durable
from evlog.store.layout import COLLISION

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from evlog.store.layout import Store
    from evlog.store.tombstones import Tombstones

_REMEMBERED = 65_536
_SELDOM = 16  # to look up a user among those remembered costs a part of a new key, but all of those are gone through
_SAYS = b"Two users of this store have the same user_key: only user_id tells them apart.\n"


def tell_apart(store: Store) -> bool:
    """Whether keys tell users apart, as far as anybody has noticed.

    Ask after the snapshot was taken: the mark is there before the part that needs it.
    """
    return not durable.is_there(store.root / COLLISION)


def mark(store: Store) -> None:
    """Say, for good, that two users share a key. The caller holds the commit lock; what has them is committed after."""
    durable.put_first(store.root / COLLISION, _SAYS)


class Keys:
    """The keys of users, day after day: who came on a day before is remembered."""

    def __init__(self, known: Tombstones) -> None:
        self._known = known
        self._users: Any = None
        self._keys: NDArray[np.int64] | None = None

    def of(self, users: Any) -> NDArray[np.int64]:
        """The keys of these users, an Arrow array of strings without repeats or nulls."""
        import numpy as np
        import pyarrow as pa

        if self._users is None or self._keys is None or len(self._users) > _REMEMBERED:
            self._users, self._keys = users, self._made(users)
            return self._keys
        before = len(self._users)
        if _SELDOM * len(users) < before:
            return self._made(users)
        both = pa.chunked_array([self._users, users]).dictionary_encode().combine_chunks()
        self._users = both.dictionary
        self._keys = np.concatenate([self._keys, self._made(both.dictionary[before:])])
        found: NDArray[np.int64] = self._keys[both.indices[before:].to_numpy()]
        return found

    def _made(self, users: Any) -> NDArray[np.int64]:
        import numpy as np

        return np.array(self._known.user_keys(users.to_pylist()), np.int64)
