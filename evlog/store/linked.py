"""Who was linked to whom when the rollups were made: keyed hashes, and no id (docs/design.md, "Rollups").

`rollups/linked` begins with a line of JSON, which says at which commit, up to which instant and after which purge this
was so. Entries of fixed width follow, sorted: what kind of id, its hash, the hash of the person. An erasure drops those
of the person's ids.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

from evlog.errors import StoreDamaged
from evlog.store import durable

if TYPE_CHECKING:
    from collections.abc import Collection

    from evlog.store.layout import Store

LINKED = "rollups/linked"
"""The file, as journal records name it."""

USER, ANONYMOUS = b"\x00", b"\x01"
"""What kind of id an entry is about: a `user_id`, or an `anonymous_id` that came without one."""

_HASH = 16
_WIDTH = 1 + 2 * _HASH


@dataclass(frozen=True, slots=True)
class Linked:
    """The links as of an instant: entries of kind, hash of the id, hash of the person."""

    batch: int = -1
    until: datetime | None = None
    purged_before: date | None = None
    entries: frozenset[bytes] = field(default=frozenset(), repr=False)


def entry(kind: bytes, subject: str, person: str) -> bytes:
    """The entry of an id, by its keyed hash and that of its person (`Tombstones.subject`)."""
    return kind + bytes.fromhex(subject) + bytes.fromhex(person)


def whose(one: bytes) -> bytes:
    """The part of an entry that says which id it is about."""
    return one[: 1 + _HASH]


def content(known: Linked) -> bytes:
    """The bytes of the file."""
    head = {
        "batch": known.batch,
        "until": known.until.isoformat() if known.until else None,
        "purged_before": known.purged_before.isoformat() if known.purged_before else None,
    }
    return json.dumps(head).encode() + b"\n" + b"".join(sorted(known.entries))


def load(store: Store) -> Linked:
    """The links as they stood when rollups were last made; none where there are no rollups yet."""
    path = store.root / LINKED
    try:
        return _read(durable.read(path))
    except FileNotFoundError:
        return Linked()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreDamaged(f"{path} cannot be read", hint="remove it and run: evlog rollup") from error


def _read(raw: bytes) -> Linked:
    head, newline, rest = raw.partition(b"\n")
    if not newline or len(rest) % _WIDTH:
        raise ValueError("it is cut off")
    told = json.loads(head)
    return Linked(
        int(told["batch"]),
        datetime.fromisoformat(told["until"]) if told["until"] else None,
        date.fromisoformat(told["purged_before"]) if told["purged_before"] else None,
        frozenset(rest[at : at + _WIDTH] for at in range(0, len(rest), _WIDTH)),
    )


def without(store: Store, subjects: Collection[str]) -> bytes | None:
    """The bytes of the file without these subjects, be they id or person; None: nothing changes.

    The caller holds the commit lock and has recovered.
    """
    known = load(store)
    gone = {bytes.fromhex(one) for one in subjects}
    kept = frozenset(one for one in known.entries if not {one[1 : 1 + _HASH], one[1 + _HASH :]} & gone)
    if len(kept) == len(known.entries):
        return None
    return content(Linked(known.batch, known.until, known.purged_before, kept))
