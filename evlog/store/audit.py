"""The audit log: who did what to the people in the store, each entry sealed to the one before it.

An entry is an immutable file, `audit/NUMBER.entry`, put in place by the commit that did what it tells, so that neither
stands without the other. It holds the SHA-256 of the entry before it: what is changed or taken out later, shows. Users
stand in it as keyed hashes only (`Tombstones.subject`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from evlog.errors import StoreDamaged
from evlog.store import durable, journal, locks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from evlog.store.layout import Store

SUFFIX = ".entry"
ORIGIN = "0" * 64
"""What the first entry says of the one before it."""


@dataclass(frozen=True, slots=True)
class Act:
    """What was done: the command's word (`user delete`), to whom (keyed hashes), by whom, and counts of what changed.

    `details` hold numbers, dates and words of ours: no id, no text of an event.
    """

    what: str
    at: datetime  # naive UTC
    by: str = ""
    subjects: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


def entry(staged: journal.Staging, act: Act) -> tuple[str, str]:
    """The staged file of the next entry, and where it belongs: one of the renames of the commit that does the act.

    The caller holds the commit lock and has recovered.
    """
    store = staged.store
    names = durable.files(store.audit, SUFFIX)
    before = _seal(durable.read(store.audit / names[-1])) if names else ORIGIN
    number = int(names[-1].removesuffix(SUFFIX)) + 1 if names else 1
    body = {
        "number": number,
        "at": act.at,
        "what": act.what,
        "by": act.by,
        "subjects": sorted(act.subjects),
        "details": dict(act.details),
        "before": before,
    }
    options = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
    name = f"{staged.serial()}-audit"
    staged.write(name, [orjson.dumps(body, option=options)])
    return name, f"audit/{number:012d}{SUFFIX}"


def tell(store: Store, act: Act) -> None:
    """Write an entry in a commit of its own: of an act that changes nothing in the store (an export, say)."""
    with journal.staging(store) as staged, locks.commit(store):
        journal.recover(store)
        journal.commit(staged, "audit", [entry(staged, act)])


def read(store: Store) -> list[dict[str, Any]]:
    """The entries, oldest first; StoreDamaged where one is none."""
    found = []
    for name in durable.files(store.audit, SUFFIX):
        try:
            found.append(orjson.loads(durable.read(store.audit / name)))
        except ValueError as error:
            raise StoreDamaged(f"{store.audit / name} is no entry of the audit log") from error
    return found


def _seal(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
