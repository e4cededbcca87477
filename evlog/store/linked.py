"""Who was linked to whom when the rollups were made: keyed hashes, and no id (docs/design.md, "Rollups").

`rollups/linked` begins with a line of JSON, which says at which commit, up to which instant and after which purge this
was so, how many ids are linked, and which partitions hold events of nobody: what a question needs of it without reading
on. Entries of fixed width follow, sorted: what kind of id, its hash, the hash of the person. An erasure drops those of
the person's ids.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from evlog.errors import StoreDamaged
from evlog.frozen import dataclass, field, replace
from evlog.store import durable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from evlog.store.layout import Store

LINKED = "rollups/linked"
"""The file, as journal records name it."""

USER, ANONYMOUS = b"\x00", b"\x01"
"""What kind of id an entry is about: a `user_id`, or an `anonymous_id` that came without one."""

_HASH = 16
_WIDTH = 1 + 2 * _HASH
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Head:
    """What the first line says: the links as of an instant, without the links.

    `ids` count as somebody else's, `users` of them as users too. `nobodys` are runs of partitions (first and last) that
    hold events of an anonymous id without a user. None: the line does not say.
    """

    batch: int = -1
    until: datetime | None = None
    purged_before: date | None = None
    users: int | None = None
    ids: int | None = None
    nobodys: tuple[tuple[date, date], ...] | None = None


@dataclass(frozen=True, slots=True)
class Linked:
    """The links as of an instant: entries of kind, hash of the id, hash of the person."""

    batch: int = -1
    until: datetime | None = None
    purged_before: date | None = None
    entries: frozenset[bytes] = field(default=frozenset(), repr=False)
    nobodys: frozenset[date] | None = None  # partitions with events of an anonymous id without a user, where known


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
        "users": sum(one[:1] == USER for one in known.entries),
        "ids": len({one[1 : 1 + _HASH] for one in known.entries}),
        "nobodys": None if known.nobodys is None else [list(map(str, run)) for run in _runs(known.nobodys)],
    }
    return json.dumps(head).encode() + b"\n" + b"".join(sorted(known.entries))


def _runs(days: Iterable[date]) -> list[tuple[date, date]]:
    """The days as runs without a gap: the first and the last of each."""
    found: list[tuple[date, date]] = []
    for day in sorted(days):
        if found and found[-1][1] + _DAY == day:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def load(store: Store) -> Linked:
    """The links as they stood when rollups were last made; none where there are no rollups yet."""
    with _told(store) as path:
        return _read(durable.read(path)) if durable.is_there(path) else Linked()


def head(store: Store) -> Head:
    """What the file says of the links as a whole; the links themselves stay unread."""
    with _told(store) as path:
        if not durable.is_there(path):
            return Head()
        with open(durable.reading(path), "rb") as file:  # noqa: PTH123 - a descriptor
            return _head(file.readline())


@contextmanager
def _told(store: Store) -> Iterator[Path]:
    """Yield the path of the file, and say what to do if it is damaged."""
    path = store.root / LINKED
    try:
        yield path
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreDamaged(f"{path} cannot be read", hint="remove it and run: evlog rollup") from error


def _read(raw: bytes) -> Linked:
    line, newline, rest = raw.partition(b"\n")
    if not newline or len(rest) % _WIDTH:
        raise ValueError("it is cut off")
    known = _head(line)
    nobodys = None if known.nobodys is None else frozenset(day for run in known.nobodys for day in _days(*run))
    entries = frozenset(rest[at : at + _WIDTH] for at in range(0, len(rest), _WIDTH))
    return Linked(known.batch, known.until, known.purged_before, entries, nobodys)


def _head(line: bytes) -> Head:
    told = json.loads(line)
    runs = told.get("nobodys")
    return Head(
        int(told["batch"]),
        datetime.fromisoformat(told["until"]) if told["until"] else None,
        date.fromisoformat(told["purged_before"]) if told["purged_before"] else None,
        told.get("users"),
        told.get("ids"),
        None if runs is None else tuple((date.fromisoformat(one), date.fromisoformat(other)) for one, other in runs),
    )


def _days(first: date, last: date) -> Iterator[date]:
    return (first + n * _DAY for n in range((last - first).days + 1))


def without(store: Store, subjects: Collection[str]) -> bytes | None:
    """The bytes of the file without these subjects, be they id or person; None: nothing changes.

    The caller holds the commit lock and has recovered.
    """
    known = load(store)
    gone = {bytes.fromhex(one) for one in subjects}
    kept = frozenset(one for one in known.entries if not {one[1 : 1 + _HASH], one[1 + _HASH :]} & gone)
    if len(kept) == len(known.entries):
        return None
    return content(replace(known, entries=kept))
