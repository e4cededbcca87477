"""The manifest of an archive: which file holds which day, of which store, and its checksum."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING

from evlog.errors import EvlogError
from evlog.store import durable
from evlog.store.layout import FORMAT, MARKER, must_be_utf8

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from evlog.store.layout import Store

MANIFEST, SUMS = "manifest.ndjson", "SHA256SUMS"
VERSION = 1
MISSING = "missing"
"""What is wrong with a file that is not there."""

_FILE = re.compile(r"date=(\d{4}-\d\d-\d\d)/events(?:-\d+)?\.parquet(?:\.age|\.gpg)?", re.ASCII)
_SHA = re.compile(r"[0-9a-f]{64}", re.ASCII)


class ArchiveDamaged(EvlogError):
    """An archive does not say what it must, or its files are not what it says."""

    hint = "look closer with: evlog archive verify DIR; bring the file back from a copy"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive. `content` is the SHA-256 of the Parquet inside, `sha256` that of the file as it lies."""

    store: str
    day: date
    file: str
    rows: int
    bytes: int
    sha256: str
    content: str
    encryption: str = ""  # age, gpg; empty: none
    recipients: tuple[str, ...] = ()
    format: int = FORMAT  # of the store it comes from
    archive: int = VERSION


def content(entries: Iterable[Entry]) -> bytes:
    """The bytes of a manifest: the same entries give the same bytes."""
    ordered = sorted(entries, key=lambda entry: (entry.day, entry.file))
    bodies = (asdict(entry) | {"day": entry.day.isoformat()} for entry in ordered)
    return b"".join(json.dumps(body, ensure_ascii=False).encode() + b"\n" for body in bodies)


def sums(entries: Iterable[Entry], manifest: bytes) -> bytes:
    """The bytes of the file that `sha256sum -c` reads."""
    listed = {entry.file: entry.sha256 for entry in entries} | {MANIFEST: hashlib.sha256(manifest).hexdigest()}
    return b"".join(f"{sha}  {name}\n".encode() for name, sha in sorted(listed.items()))


def load(folder: Path) -> tuple[tuple[Entry, ...], str]:
    """The entries of an archive, and the checksum of its manifest."""
    must_be_utf8(folder)
    path = folder / MANIFEST
    try:
        raw = durable.read(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise EvlogError(f"there is no archive at {folder}", hint=f"it would hold {MANIFEST}") from error
    return tuple(_entry(line, path, number) for number, line in enumerate(raw.splitlines(), 1)), sha256(raw)


def there(folder: Path) -> tuple[Entry, ...]:
    """The entries of an archive, none where it has no manifest yet."""
    if durable.is_there(folder / MANIFEST):
        return load(folder)[0]
    if durable.is_there(folder / SUMS):
        raise EvlogError(f"{folder} holds {SUMS} of something else", hint="name another folder")
    return ()


def _entry(line: bytes, path: Path, number: int) -> Entry:
    try:
        body = json.loads(line)
        day, recipients = date.fromisoformat(body["day"]), tuple(map(str, body["recipients"]))
        entry = Entry(**{**body, "day": day, "recipients": recipients})
        named = _FILE.fullmatch(entry.file)
        texts = (entry.store, entry.encryption, entry.sha256, entry.content)
        sound = (
            all(isinstance(text, str) for text in texts)
            and all(isinstance(count, int) for count in (entry.rows, entry.bytes))
            and all(map(_SHA.fullmatch, texts[2:]))
            and named is not None
            and named[1] == day.isoformat()
            and entry.file.endswith(f".{entry.encryption or 'parquet'}")
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ArchiveDamaged(f"{path} line {number} is no entry of a manifest") from error
    if not sound:
        raise ArchiveDamaged(f"{path} line {number} is no entry of a manifest")
    if entry.archive > VERSION:
        raise EvlogError(f"{path} was written by a newer evlog", hint="upgrade evlog")
    return entry


def store_id(store: Store) -> str:
    """What tells this store from every other."""
    return str(json.loads(durable.read(store.root / MARKER))["store"])


def sha256(raw: bytes) -> str:
    """The SHA-256 of bytes."""
    return hashlib.sha256(raw).hexdigest()


def digest(path: Path) -> tuple[str, int]:
    """The SHA-256 and the size of a file of an archive, read to its end; never through a symlink."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(fd, "rb") as file:  # noqa: PTH123 - an open descriptor has no path
        found = hashlib.file_digest(file, "sha256").hexdigest()
        return found, file.tell()


def fault(folder: Path, entry: Entry) -> str | None:
    """What is wrong with the file of an entry, if anything."""
    try:
        if not durable.is_folder((folder / entry.file).parent):
            return MISSING
        found, size = digest(folder / entry.file)
    except FileNotFoundError:
        return MISSING
    except OSError as error:
        return f"unreadable: {error.strerror}"
    if size != entry.bytes:
        return f"{size} bytes, not {entry.bytes}"
    return None if found == entry.sha256 else "other content"
