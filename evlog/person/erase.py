"""Erasure: a person leaves every tier in one commit, with tombstones against return and a receipt.

Every id that means the person now goes (person/closure.py), and with each its links; an id that others used too stays,
and means nobody any more. A mention inside another user's event becomes `[erased]` and is counted. A scan of every file
of the store closes the receipt; it shares no code with the removal but the definition of a mention.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evlog.person import closure, mention, scan
from evlog.person.mention import ERASED
from evlog.person.rewrite import Changed, Receipt, Rewrite
from evlog.store import journal, links, locks, quarantine, snapshot, tombstones
from evlog.store.snapshot import StoreBusy

if TYPE_CHECKING:
    from evlog.person.closure import Closure
    from evlog.person.mention import Mentions
    from evlog.store.layout import Store

_TRIES = 5


def erase(store: Store, user: str, *, wait: float | None = 0.0, dry_run: bool = False) -> Receipt:
    """Remove `user` (a user id or an anonymous id), and every id that means the same person, from every tier.

    Ingest goes on while files are rewritten; what it stored meanwhile is looked at under the commit lock, so that no
    batch can bring back what is being erased; if it says that another id is the person's too, all begins anew. Of a
    user nobody knows, the tombstone stays all the same.
    """
    with locks.maintenance(store, "user delete", wait=wait):
        for _ in range(_TRIES):
            whole = closure.of(store, user)
            mentions = mention.of(whole.ids)
            receipt, batch = _attempt(store, whole, mentions, dry_run=dry_run)
            if dry_run:
                return receipt
            if batch is not None:
                _settle(store)
                receipt.scanned, receipt.found = scan.scan(store, mentions, upto=batch)
                return receipt
    raise StoreBusy(f"new ids of the user kept coming into {store.root}")


def _attempt(store: Store, whole: Closure, mentions: Mentions, *, dry_run: bool) -> tuple[Receipt, int | None]:
    """The receipt and the number of the commit; None where there was none, since other ids are the person's by now."""
    with journal.staging(store) as staged:
        with locks.commit(store):  # under the lock nothing is on its way from one name to another
            journal.recover(store)
            known = tombstones.load(store)
            seen, rejects, said = snapshot.snapshot(store), quarantine.files(store), links.files(store)
        subjects = tuple(map(known.subject, whole.ids))
        receipt = Receipt(subjects[0], subjects, len(whole.shared), dry_run=dry_run)
        work = Rewrite(store, staged, mentions, known, receipt)
        work.files(seen, rejects)
        if dry_run:
            work.unsaid(said)
            work.forgotten()
            return receipt, None
        with locks.commit(store):
            journal.recover(store)
            now = closure.of(store, whole.named)
            if now != whole:
                return receipt, None
            work.files(snapshot.snapshot(store), quarantine.files(store))
            work.unsaid(links.files(store))
            work.forgotten()
            work.remembered()
            _unlink(store, work, now)
            known = tombstones.load(store)
            known = replace(known, users=known.users.union(receipt.subjects))
            work.put(f"tombstones/{tombstones.USERS}", tombstones.users_file(known, also=receipt.subject))
            return receipt, journal.commit(staged, "erasure", work.renames, unlinks=work.unlinks)


def _unlink(store: Store, work: Rewrite, whole: Closure) -> None:
    """Say of the ids that others used too that they mean nobody any more."""
    if whole.shared_until is None:
        return
    at = links.moment(whole.shared_until, (line for file in links.files(store) for line in file.read()))
    lines = [links.Said(one, None, at, "user delete") for one in whole.shared]
    work.put(*links.file_of(lines, batch=journal.newest(store) + 1, at=at))


def _settle(store: Store) -> None:
    """Wait for the batches in flight: staged before the tombstone, they are parsed again and their files removed."""
    for owner in journal.living(store):
        locks.awaited(owner)
    with locks.commit(store):
        journal.recover(store)


__all__ = ["ERASED", "Changed", "Receipt", "erase"]
