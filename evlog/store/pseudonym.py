"""Pseudonyms: what stands for an id in output that is handed on, a keyed hash that nobody makes without the key.

The key is a file of its own, not that of the store's other hashes: it may be thrown away, and then what was handed out
before and after can no longer be joined.
"""

from __future__ import annotations

import os
from base64 import b32encode
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from evlog.errors import EvlogError
from evlog.store import audit, durable, journal, locks

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from evlog.store.layout import Store

KEY = "tombstones/pseudonym-key"
"""The key of a store where the settings name no other, as journal records name it."""

_LEAST, _MOST = 32, 4096  # bytes of a key file
_BYTES = 16  # of a pseudonym
_MAKE = "make one with: evlog user rotate-key"
_OTHERS = 0o077  # what anybody but the owner may do with a file


class KeyUnfit(EvlogError):
    """The key of pseudonyms cannot be used."""


@dataclass(frozen=True, slots=True)
class Key:
    """What turns an id into its pseudonym."""

    secret: bytes = field(repr=False)


def of(key: Key, text: str) -> str:
    """The pseudonym of an id: the same under one key, whatever kind of id it is."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), key=key.secret, digest_size=_BYTES).digest()
    return f"p_{b32encode(digest).decode().rstrip('=').lower()}"


def key_of(store: Store, path: Path | None = None) -> Key:
    """The key in the file that the settings name; or else the store's own, which is made when it is first needed."""
    if path is not None:
        return _loaded(path)
    own = store.root / KEY
    if not durable.is_there(own):
        durable.put_first(own, os.urandom(_LEAST))
    return _loaded(own, inside=True)


def rotate(store: Store, path: Path | None = None, *, now: datetime, by: str = "") -> None:
    """Put a new key in the place of the old one, which is gone then; the audit log tells when.

    Inside the store both happen in one commit. A key elsewhere is replaced first: a log that speaks of a key which was
    never made would be wrong.
    """
    act = audit.Act("user rotate-key", now, by)
    if path is not None:
        durable.replace_whole(path, os.urandom(_LEAST))
        audit.tell(store, act)
        return
    with journal.staging(store) as staged, locks.commit(store):
        journal.recover(store)
        staged.write("key", [os.urandom(_LEAST)])
        journal.commit(staged, "pseudonym key", [("key", KEY), audit.entry(staged, act)])


def _loaded(path: Path, *, inside: bool = False) -> Key:
    """The key in a file that nobody else may read; a symlink is followed only outside of the store."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | (os.O_NOFOLLOW if inside else 0))
        with open(fd, "rb") as file:  # noqa: PTH123 - an open descriptor has no path
            mode = os.fstat(fd).st_mode
            content = file.read(_MOST + 1)
    except FileNotFoundError as error:
        raise KeyUnfit(f"there is no key of pseudonyms at {path}", hint=_MAKE) from error
    except OSError as error:
        raise KeyUnfit(f"the key of pseudonyms {path} cannot be read: {error.strerror}") from error
    if mode & _OTHERS:
        hint = f"make it yours alone with: chmod 600 {path}; if somebody may have read it: evlog user rotate-key"
        raise KeyUnfit(f"others may read the key of pseudonyms {path}", hint=hint)
    if not _LEAST <= len(content) <= _MOST:
        raise KeyUnfit(f"the key of pseudonyms {path} must hold {_LEAST} to {_MOST} bytes", hint=_MAKE)
    return Key(blake2b(content, digest_size=_LEAST, person=b"pseudonym").digest())
