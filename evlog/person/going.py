"""Who goes with one erasure: the persons behind the ids that were named, and what stands in their place."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evlog.person import mention
from evlog.person.crowd import Crowd
from evlog.person.mention import Mention, Mentions
from evlog.person.receipt import Erased
from evlog.person.retold import Retelling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evlog.person.closure import Closure
    from evlog.store.tombstones import Tombstones


@dataclass(frozen=True, slots=True)
class Going:
    """Everybody who goes, by number: their ids, and how events are told afterwards."""

    owners: Mapping[str, int]  # whose each id is
    shared: Mapping[str, int]  # ids that others used too
    pseudonyms: Mapping[str, str]  # what stands for an id from now on; kept nowhere. None where they are erased
    crowd: Crowd
    retelling: Retelling
    users: tuple[Erased, ...]

    @property
    def anonymise(self) -> bool:
        """Whether pseudonyms take the place of ids, and nothing of the persons goes."""
        return self.retelling.anonymise

    @property
    def mentions(self) -> Mentions:
        """The ways in which the ids that go can be spoken of: what nothing may do afterwards."""
        return mention.of(self.owners)

    def number(self, user: str) -> int:
        """Which person an id is."""
        return self.owners.get(user, self.shared.get(user, 0))

    def plain(self, near: Mentions) -> Mentions:
        """Those of `near` who go, with `[erased]` in their place."""
        return Mentions(tuple(Mention(one.user) for one in near.each if one.user in self.owners))


def of(closures: Sequence[Closure], known: Tombstones, *, anonymise: bool) -> Going:
    """Who goes, with pseudonyms from the system's source of chance, where they are anonymised."""
    owners: dict[str, int] = {}
    for whole in closures:
        number = next((owners[one] for one in whole.ids if one in owners), len(set(owners.values())))
        owners |= {one: owners.get(one, number) for one in whole.ids}
    shared = {one: owners[whole.named] for whole in closures for one in whole.shared if one not in owners}
    devices = {one for whole in closures for one in whole.devices}
    renamed = [*owners, *(one for one in shared if one in devices)] if anonymise else []
    pseudonyms = {one: f"anon-{secrets.token_hex(16)}" for one in renamed}
    crowd = Crowd(mention.of(pseudonyms or owners, instead=pseudonyms))
    hashed = [(tuple(map(known.subject, whole.ids)), whole) for whole in closures]
    users = tuple(Erased(one[0], one, len(whole.devices), owners[whole.named]) for one, whole in hashed)
    retelling = Retelling(owners, known.subject, anonymise, shared)
    return Going(owners, shared, pseudonyms, crowd, retelling, users)
