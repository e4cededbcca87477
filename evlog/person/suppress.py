"""Suppression: nothing more is stored of a person, and the past stays; taken back, their events are let in again.

What is said of whom, and which ids are theirs, stands in the tombstones (store/suppressed.py), where ingest looks. A
batch that is on its way meanwhile finds them changed, and is parsed again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from evlog.event.times import canonical
from evlog.person import closure
from evlog.person.named import vet
from evlog.store import audit, journal, locks, tombstones
from evlog.store.suppressed import EVERYTHING, Suppressed, Word, grouped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evlog.person.closure import Closure
    from evlog.store.layout import Store
    from evlog.store.tombstones import Tombstones

WHAT, LIFT = "user suppress", "user suppress --lift"
"""What the audit log calls it."""

_TICK = timedelta(microseconds=1)
_AT = "%Y-%m-%dT%H:%M:%S.%fZ"
_USAGE = "evlog user suppress ID"


@dataclass(frozen=True, slots=True)
class Told:
    """What came of it: the user as a keyed hash, how many ids it holds for, since when; whether anything changed."""

    subject: str
    suppressed: bool
    ids: int
    since: datetime | None  # of who is suppressed
    changed: bool


def suppress(store: Store, named: Iterable[str], *, now: datetime, by: str = "", lift: bool = False) -> list[Told]:
    """Store nothing more of these users, under any id that means them; or, to `lift` it, store their events again.

    All of it is one commit; there is none where nothing changes.
    """
    ids = list(dict.fromkeys(named))
    for one in ids:
        vet(one, usage=_USAGE)
    with journal.staging(store) as staged:
        seen, whole = journal.newest(store), closure.of_each(store, ids)
        with locks.commit(store):
            journal.recover(store)
            if journal.newest(store) != seen:  # what came in meanwhile may say that other ids are theirs
                whole = closure.of_each(store, ids)
            known = tombstones.load(store)
            news = [(_lifted if lift else _refused)(known, one, now) for one in whole]
            _commit(staged, known, news, act=(LIFT if lift else WHAT, now, by))
    return [_told(known, one, new) for one, new in zip(whole, news, strict=True)]


def kin(store: Store, named: Sequence[str], known: Tombstones) -> Suppressed:
    """Which other ids are theirs, of these users, by what is stored."""
    return _kin(closure.of_each(store, named), known)


def _kin(found: Sequence[Closure], known: Tombstones) -> Suppressed:
    subject = known.subject
    alone = ((subject(one), subject(whole.person)) for whole in found for one in whole.ids if one != whole.person)
    shared = ((subject(one), subject(whole.person)) for whole in found for one in whole.shared)
    return Suppressed(kin=grouped(alone), shared=grouped(shared))


def _refused(known: Tombstones, whole: Closure, now: datetime) -> Suppressed:
    """What must be added so that nothing is stored of a person."""
    root, ids = known.subject(whole.person), _kin([whole], known)
    said = known.suppressed.words.get(root, {})
    if said and all(known.suppressed.refuses(root, about) for about in {EVERYTHING, *said}):
        return ids
    return Suppressed({root: {EVERYTHING: Word(_after(now, said.values()), refused=True)}}, ids.kin, ids.shared)


def _lifted(known: Tombstones, whole: Closure, now: datetime) -> Suppressed:
    """What must be added so that events of a person are stored again: a grant of everything, newer than any refusal."""
    held = known.suppressed
    meant = {subject for one in whole.ids for subject in held.group(known.subject(one))}
    words = {subject: held.words.get(subject, {}) for subject in meant}
    at = _after(now, (word for said in words.values() for word in said.values()))
    refusing = [subject for subject, said in words.items() if any(held.refuses(subject, about) for about in said)]
    return Suppressed({subject: {EVERYTHING: Word(at, refused=False)} for subject in refusing})


def _after(now: datetime, said: Iterable[Word]) -> str:
    """Now, or right after the last word, whatever the clocks say."""
    last = max((datetime.strptime(word.at, _AT) for word in said), default=None)  # noqa: DTZ007 - naive UTC throughout
    return canonical((now if last is None else max(now, last + _TICK)).replace(tzinfo=UTC))


def _commit(
    staged: journal.Staging, known: Tombstones, news: Sequence[Suppressed], *, act: tuple[str, datetime, str]
) -> None:
    """Add what is new to the tombstones, with an entry in the audit log; the caller holds the commit lock."""
    held = known.suppressed
    now = held
    for more in news:
        now = now.merged(more)
    if now == held:
        return
    subjects = sorted({subject for more in news for subject in more.subjects})
    what, at, by = act
    entry = audit.entry(staged, audit.Act(what, at, by, tuple(subjects), {"ids": len(subjects)}))
    staged.write("suppressed", [tombstones.suppressed_file(now)])
    journal.commit(staged, "suppression", [("suppressed", f"tombstones/{tombstones.SUPPRESSED}"), entry])


def _told(known: Tombstones, whole: Closure, new: Suppressed) -> Told:
    now = known.suppressed.merged(new)
    root = known.subject(whole.person)
    word = now.last(root, EVERYTHING)
    suppressed = word is not None and word.refused
    since = datetime.strptime(word.at, _AT) if word is not None and suppressed else None  # noqa: DTZ007 - naive UTC
    return Told(root, suppressed, len(whole.ids) + len(whole.shared), since, now != known.suppressed)
