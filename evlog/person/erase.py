"""Erasure: persons leave every tier in one commit, with tombstones against return and a receipt.

Every id that means the person now goes (person/closure.py), and with each its links; an id that others used too stays,
and means nobody any more. A mention inside another user's event becomes `[erased]` and is counted. A scan of every file
of the store closes the receipt; it shares no code with the removal but the definition of a mention.

Anonymised, nothing of a person goes but their name: each of their ids, and each id that others used too, becomes a
random one wherever it stands, and what became what is kept nowhere. So every number stays what it is. Only what is in
quarantine goes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson

from evlog.errors import StoreDamaged
from evlog.person import beside, closure, going, pending, scan
from evlog.person.mention import ERASED
from evlog.person.receipt import Changed, Receipt
from evlog.person.rewrite import Rewrite
from evlog.store import audit, journal, keys, links, locks, quarantine, rollups, snapshot, tombstones
from evlog.store.layout import SegmentName
from evlog.store.snapshot import StoreBusy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from evlog.person.closure import Closure
    from evlog.person.going import Going
    from evlog.store.layout import Store

_AGAIN = "run it again once nothing sends events of this user any more"
_TRIES = 5
_OUT = ("archive", "export", "user export")  # acts that take events out of the store


@dataclass(frozen=True, slots=True)
class How:
    """How an erasure is done, when and by whom; without `at` it bears the instant of the newest events."""

    anonymise: bool = False
    dry_run: bool = False
    wait: float | None = 0.0
    at: datetime | None = None  # naive UTC
    by: str = ""

    @property
    def what(self) -> str:
        """What the audit log calls it."""
        return "user anonymise" if self.anonymise else "user delete"


def erase(store: Store, user: str, *, wait: float | None = 0.0, dry_run: bool = False) -> Receipt:
    """Remove `user` (a user id or an anonymous id), and every id that means the same person, from every tier."""
    return erase_each(store, [user], How(wait=wait, dry_run=dry_run))


def due(store: Store, now: datetime, *, by: str = "", wait: float | None = 0.0, dry_run: bool = False) -> list[Receipt]:
    """Erase whose period of grace has ended by `now`; a receipt for those who go, one for those who are anonymised."""
    waiting = [one for one in pending.pending(store) if one.due <= now]
    modes = {mode: [one.user for one in waiting if one.mode == mode] for mode in ("delete", "anonymise")}
    return [
        erase_each(store, users, How(mode == "anonymise", dry_run, wait, now, by))
        for mode, users in modes.items()
        if users
    ]


def erase_each(store: Store, users: Sequence[str], how: How) -> Receipt:
    """Remove all of these, and every id that means one of them, from every tier, in one commit.

    Ingest goes on while files are rewritten; what it stored meanwhile is looked at under the commit lock, so that no
    batch can bring back what is being erased; if it says that another id is a person's too, all begins anew. Of a
    user nobody knows, the tombstone stays all the same.
    """
    named = list(dict.fromkeys(users))
    with locks.maintenance(store, how.what, wait=how.wait):
        for _ in range(_TRIES):
            known = tombstones.load(store)
            who = closure.of_each(store, named)
            leaving = going.of(who, known, anonymise=how.anonymise)
            receipt, batch = _attempt(store, who, leaving, how)
            if how.dry_run:
                return receipt
            if batch is not None:
                _settle(store)
                gone = {subject for user in leaving.users for subject in user.subjects}
                seen = scan.scan(store, leaving.mentions, upto=batch, subjects=gone)
                receipt.scanned, receipt.bytes, receipt.found_in = seen.files, seen.bytes, seen.found
                return receipt
    raise StoreBusy(f"new ids of the user kept coming into {store.root}; nothing was erased", hint=_AGAIN)


def _attempt(store: Store, who: list[Closure], leaving: Going, how: How) -> tuple[Receipt, int | None]:
    """The receipt and the number of the commit; None where there was none, since other ids are the person's by now."""
    with journal.staging(store) as staged:
        with locks.commit(store):  # under the lock nothing is on its way from one name to another
            journal.recover(store)
            known = tombstones.load(store)
            seen, rejects = snapshot.snapshot(store), quarantine.files(store)
        receipt = Receipt(leaving.users, how.anonymise, how.dry_run, elsewhere=_elsewhere(store, leaving))
        work = Rewrite(store, staged, leaving, known, receipt)
        work.files(seen, rejects)
        staged.sync()
        if how.dry_run:
            beside.cleared(work)
            receipt.days = _days(work, who)
            return receipt, None
        with locks.commit(store):
            journal.recover(store)
            if closure.of_each(store, [one.named for one in who]) != who:
                return receipt, None
            work.files(snapshot.snapshot(store), quarantine.files(store))
            beside.cleared(work)
            work.remembered()
            receipt.days = _days(work, who)
            if not how.anonymise:
                _unlink(store, work, who)
            if not (work.renames or work.unlinks) and tombstones.load(store).users.issuperset(receipt.subjects):
                return receipt, journal.newest(store)  # all was done before
            _bury(store, work)
            _tell(store, work, how)
            if not work.apart:
                keys.mark(store)
            return receipt, journal.commit(staged, "erasure", work.renames, unlinks=work.unlinks)


def _days(work: Rewrite, who: Sequence[Closure]) -> tuple[date, ...]:
    """The partitions that are not what they were; with each the days of events that mean nobody from now on."""
    if not work.going.anonymise:
        beside.told_days(work, [one for whole in who for one in whole.shared if one not in work.going.owners])
    return tuple(sorted(work.days))


def _unlink(store: Store, work: Rewrite, who: Sequence[Closure]) -> None:
    """Say of the ids that others used too that they mean nobody any more."""
    shared = dict.fromkeys(one for whole in who for one in whole.devices if one not in work.going.owners)
    until = [whole.shared_until for whole in who if whole.shared_until is not None]
    if not shared or not until:
        return
    at = links.moment(max(until), (line for file in links.files(store) for line in file.read()))
    lines = [links.Said(one, None, at, "user delete") for one in shared]
    work.put(*links.file_of(lines, batch=journal.newest(store) + 1, at=at))


def _bury(store: Store, work: Rewrite) -> None:
    """Let no event of them in again, and have the days counted anew."""
    receipt = work.receipt
    known = tombstones.load(store)
    known = replace(known, users=known.users.union(receipt.subjects))
    work.put(f"tombstones/{tombstones.USERS}", tombstones.users_file(known, also=receipt.subject))
    if receipt.days:
        why = "anonymisation" if receipt.anonymised else "erasure"
        work.put(rollups.TOUCHED, rollups.touching(store, receipt.days, why=why))


def _tell(store: Store, work: Rewrite, how: How) -> None:
    """Write it into the audit log; nothing is counted there of who is anonymised: it could tell who they are now."""
    receipt = work.receipt
    details: dict[str, int] = {"users": len(receipt.users), "ids": len(receipt.subjects)}
    if not how.anonymise:
        details |= {f"removed_{tier}": count for tier, count in sorted(receipt.removed.items())}
        details |= {"mentions": receipt.mentions, "days": len(receipt.days), "unlinked": receipt.unlinked}
    act = audit.Act(how.what, how.at or _newest(store), how.by, receipt.subjects, details)
    name, target = audit.entry(work.staged, act)
    receipt.audit = orjson.loads(work.staged.file(name).read_bytes())["number"]
    work.renames.append((name, target))


def _newest(store: Store) -> datetime:
    """The instant at which the newest events came in."""
    received = journal.last_received(store)
    return SegmentName(0, received, 0).received_at if received else datetime.fromtimestamp(0, UTC).replace(tzinfo=None)


def _elsewhere(store: Store, leaving: Going) -> tuple[str, ...]:
    """The acts that took events out of the store, by name; what they hold of the person no erasure reaches."""
    gone = {subject for user in leaving.users for subject in user.subjects}
    try:
        entries = audit.read(store)
    except StoreDamaged:
        return ("the audit log cannot be read: see evlog audit verify",)
    out = [one for one in entries if one["what"].startswith(_OUT) and "restore" not in one["what"]]
    return tuple(
        f"{one['what']} of {one['at'][:10]} (audit entry {one['number']})"
        for one in out
        if not one["what"].startswith("user") or gone & set(one["subjects"])
    )


def _settle(store: Store) -> None:
    """Wait for the batches in flight: staged before the tombstone, they are parsed again and their files removed."""
    for owner in journal.living(store):
        locks.awaited(owner)
    with locks.commit(store):
        journal.recover(store)


__all__ = ["ERASED", "Changed", "How", "Receipt", "due", "erase", "erase_each"]
