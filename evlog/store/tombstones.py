"""What keeps the erased, the suppressed and the purged out: keyed hashes of users, and the dates of purged days."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from evlog.errors import StoreDamaged
from evlog.store import durable, purged
from evlog.store import suppressed as words
from evlog.store.layout import KEY, KEY_BYTES

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date
    from pathlib import Path

    from evlog.store.layout import Store

USERS, DAYS, SUPPRESSED = "users.json", purged.FILE, words.FILE


@dataclass(frozen=True, slots=True)
class Tombstones:
    """The erased and suppressed users and the purged days of a store, as they stood at one moment.

    `stamp` tells whether they still stand so. Days before `purged_before` were purged, and refuse events, unless an
    archive brought them back: those are `restored`. Their frozen rollups stay all the same.
    """

    key: bytes = field(repr=False)
    users: frozenset[str]
    purged_before: date | None
    stamp: tuple[int, ...]
    restored: frozenset[str] = frozenset()  # ISO dates
    suppressed: words.Suppressed = field(default_factory=words.Suppressed, compare=False)

    def erased(self, user: str | None) -> bool:
        """Whether `user` (an id of any kind) was erased."""
        return bool(self.users) and user is not None and self.subject(user) in self.users

    def purged(self, day: str) -> bool:
        """Whether the partition `day` (ISO; a time may follow) was purged, and not restored since."""
        if self.purged_before is None or day >= self.purged_before.isoformat():
            return False
        return day[:10] not in self.restored

    def subject(self, user: str) -> str:
        """The keyed hash that stands for `user` wherever the id itself must not."""
        return blake2b(user.encode("utf-8", "surrogatepass"), key=self.key, digest_size=16).hexdigest()

    def user_key(self, user: str) -> int:
        """The 64-bit key of `user` in parts (signed, as Parquet's readers like it)."""
        return self.user_keys([user])[0]

    def user_keys(self, users: Collection[str]) -> tuple[int, ...]:
        """The keys of many users, each in less than half the time: the secret is taken in once."""
        fresh, digests = blake2b(key=self.key, digest_size=8, person=b"user_key"), bytearray()
        for user in users:
            one = fresh.copy()
            one.update(user.encode("utf-8", "surrogatepass"))
            digests += one.digest()
        return struct.unpack(f">{len(users)}q", digests)


def load(store: Store) -> Tombstones:
    """The tombstones of a store as they stand now."""
    stamp = current(store)
    users = purged.document(store.tombstones / USERS, {"users": []})
    days = purged.load(store)
    try:
        consent = words.of(purged.document(store.tombstones / SUPPRESSED, {}))
        held = frozenset(map(str, users["users"]))
        return Tombstones(_key(store), held, days.before, stamp, days.restored, consent)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreDamaged(f"{store.tombstones} cannot be read: {error}") from error


def current(store: Store) -> tuple[int, ...]:
    """A stamp that changes whenever the tombstones do."""
    return tuple(part for name in (USERS, DAYS, SUPPRESSED) for part in _stamp(store.tombstones / name))


def users_file(tombstones: Tombstones, *, also: str) -> bytes:
    """The content of the file of erased users, with the subject `also` in it."""
    return json.dumps({"users": sorted(tombstones.users | {also})}).encode() + b"\n"


def days_file(*, purged_before: date, restored: Collection[str] = ()) -> bytes:
    """The content of the file of purged days; those among them that are back are named one by one."""
    body = {"purged_before": purged_before.isoformat(), **({"restored": sorted(restored)} if restored else {})}
    return json.dumps(body).encode() + b"\n"


def suppressed_file(suppressed: words.Suppressed) -> bytes:
    """The content of the file of those of whom nothing more is stored."""
    return json.dumps(suppressed.content()).encode() + b"\n"


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def _key(store: Store) -> bytes:
    """The secret of the store, made with it and never changed: without it no tombstone would hold any more."""
    path = store.tombstones / KEY
    try:
        key = durable.read(path)
    except FileNotFoundError as error:
        raise StoreDamaged(
            f"{path} is missing", hint="bring it back from a backup: it keeps erased users out"
        ) from error
    if len(key) != KEY_BYTES:
        raise StoreDamaged(f"{path} must hold {KEY_BYTES} bytes")
    return key
