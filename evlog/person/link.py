"""Linking by hand: what a person says of two ids, as one commit; what would make a circle is refused (metrics §13)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evlog.errors import EvlogError, UsageError
from evlog.person import closure
from evlog.person.named import vet
from evlog.store import audit, journal, links, locks, tombstones
from evlog.store.links import Said
from evlog.store.snapshot import StoreBusy

if TYPE_CHECKING:
    from datetime import datetime

    from evlog.query.identity import Identity
    from evlog.store.layout import Store
    from evlog.store.tombstones import Tombstones

_TRIES = 20
_USAGE = "evlog user link ANON ID"


class Circle(EvlogError):
    """The link would make an id its own user."""

    hint = "take one of these back first, with: evlog user unlink ID"

    def __init__(self, chain: list[str]) -> None:
        super().__init__(f"this would make a circle: {' → '.join(chain)}")


class Erased(EvlogError):
    """One of the ids was erased."""

    hint = "what was erased stays out: nothing is written of it any more"

    def __init__(self) -> None:
        super().__init__("one of these ids was erased")


@dataclass(frozen=True, slots=True)
class Told:
    """What came of it: who the id means now, and whether anything was written."""

    source: str
    person: str | None
    changed: bool


def link(store: Store, source: str, target: str, *, now: datetime, by: str = "") -> Told:
    """Say that events of the id `source` belong to the user `target`.

    Nothing is written where the last that people said of `source` is just that, and it holds. What events say, or a
    chain of links, does not do: it may change, and what a person said must stand then.
    """
    for one in (source, target):
        vet(one, usage=_USAGE)
    if source == target:
        raise UsageError(f"{source} cannot be linked to itself")

    def judged(identity: Identity) -> tuple[int, str | None]:
        chain = identity.chain(target)
        if source in chain:
            raise Circle([source, *chain[: chain.index(source) + 1]])
        person = identity.person(target)
        again = identity.last_said(source) == target and identity.means(source, person)
        return identity.snapshot.batch, person if again else None

    for _ in range(_TRIES):
        batch, person = closure.asked(store, judged)
        if person is not None:
            return Told(source, person, changed=False)
        if _said(store, Said(source, target, now, by), since=batch):
            return Told(source, target, changed=True)
    raise StoreBusy(f"the links of {store.root} kept changing; nothing was said", hint="run it again")


def unlink(store: Store, source: str, *, now: datetime, by: str = "") -> Told:
    """Take back all that was said of the id `source` up to now; nothing is written where it means nobody else."""
    vet(source, usage=_USAGE)
    for _ in range(_TRIES):
        batch, linked = closure.asked(store, lambda identity: (identity.snapshot.batch, identity.is_linked(source)))
        if not linked:
            return Told(source, None, changed=False)
        if _said(store, Said(source, None, now, by), since=batch):
            return Told(source, None, changed=True)
    raise StoreBusy(f"the links of {store.root} kept changing; nothing was said", hint="run it again")


def _said(store: Store, line: Said, *, since: int) -> bool:
    """Write a line in a commit of its own; False where more than events came after the commit `since`."""
    with journal.staging(store) as staged, locks.commit(store):
        journal.recover(store)
        known = tombstones.load(store)
        if known.erased(line.source) or known.erased(line.target):
            raise Erased
        if journal.replaced_since(store, since):
            return False
        before = [one for file in links.files(store) for one in file.read()]
        at = links.moment(line.at, before)
        new = Said(line.source, line.target, at, line.by)
        target, content = links.file_of([new], batch=journal.newest(store) + 1, at=at)
        staged.write("links", [content])
        journal.commit(staged, "link", [("links", target), audit.entry(staged, _act(line, known))])
    return True


def _act(line: Said, known: Tombstones) -> audit.Act:
    """What the audit log says of a line: which ids it is about, as keyed hashes."""
    ids = [line.source] if line.target is None else [line.source, line.target]
    what = "user unlink" if line.target is None else "user link"
    return audit.Act(what, line.at, line.by, tuple(known.subject(one) for one in ids))
