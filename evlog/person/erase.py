"""Erasure: a user leaves every tier in one commit, with a tombstone against return and a receipt.

What resolves to the person goes; a mention inside another user's event becomes `[erased]` and is counted. A scan of
every file of the store closes the receipt; it shares no code with the removal but the definition of a mention.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.person import scan
from evlog.person.mention import ERASED, Mention
from evlog.person.rewrite import Changed, Receipt, Rewrite
from evlog.store import journal, locks, quarantine, snapshot, tombstones

if TYPE_CHECKING:
    from evlog.store.layout import Store


def erase(store: Store, user: str, *, wait: float | None = 0.0, dry_run: bool = False) -> Receipt:
    """Remove `user` (a user id or an anonymous id) from every tier; the receipt.

    Ingest goes on while files are rewritten; what it stored meanwhile is looked at under the commit lock, so that no
    batch can bring back what is being erased. Of a user nobody knows, the tombstone stays all the same.
    """
    with locks.maintenance(store, "user delete", wait=wait):
        with journal.staging(store) as staged:
            with locks.commit(store):  # under the lock nothing is on its way from one name to another
                journal.recover(store)
                known = tombstones.load(store)
                seen, rejects = snapshot.snapshot(store), quarantine.files(store)
            receipt = Receipt(known.subject(user), dry_run=dry_run)
            work = Rewrite(store, staged, Mention(user), known, receipt)
            work.files(seen, rejects)
            if dry_run:
                return receipt
            with locks.commit(store):
                journal.recover(store)
                work.files(snapshot.snapshot(store), quarantine.files(store))
                known = tombstones.load(store)
                work.put(f"tombstones/{tombstones.USERS}", tombstones.users_file(known, also=receipt.subject))
                batch = journal.commit(staged, "erasure", work.renames, unlinks=work.unlinks)
        _settle(store)
        receipt.scanned, receipt.found = scan.scan(store, work.mention, upto=batch)
    return receipt


def _settle(store: Store) -> None:
    """Wait for the batches in flight: staged before the tombstone, they are parsed again and their files removed."""
    for owner in journal.living(store):
        locks.awaited(owner)
    with locks.commit(store):
        journal.recover(store)


__all__ = ["ERASED", "Changed", "Receipt", "erase"]
