"""The ids of one person: what an erasure takes with it, and what an export prints (metrics §13)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from evlog import engine
from evlog.query.identity import Identity
from evlog.store import links

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evlog.store.layout import Store
    from evlog.store.links import Said
    from evlog.store.snapshot import Snapshot

T = TypeVar("T")
_EVER = datetime(9999, 12, 31)  # noqa: DTZ001 - naive UTC


@dataclass(frozen=True, slots=True)
class Closure:
    """What means the same person now: the id that was named, the person, and every other id that is theirs alone.

    `shared` are ids that mean the person too, but that events of others carry: a device, say. They are not erased.
    """

    named: str
    person: str
    others: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    shared_until: datetime | None = field(default=None, compare=False)  # when something was last said of these

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id that goes, the one that was named first."""
        return tuple(dict.fromkeys((self.named, self.person, *self.others)))


def of(store: Store, named: str) -> Closure:
    """What means the same person as the id `named`, as everything stands now."""
    return asked(store, lambda identity: _of(identity, named))


def _of(identity: Identity, named: str) -> Closure:
    person = identity.person(named)
    shared = identity.shared(person) - {named, person}
    others = [one for one in identity.members(person) if one not in {named, person, *shared}]
    return Closure(named, person, tuple(others), tuple(sorted(shared)), identity.told_until(shared) if shared else None)


def asked(store: Store, read: Callable[[Identity], T]) -> T:
    """What `read` makes of the ids of one snapshot."""

    def answered(seen: Snapshot, said: Sequence[Said]) -> T:
        with engine.connect() as connection:
            return read(Identity(connection, seen, said, until=_EVER))

    return links.steady(store, answered)
