"""An archive held against its own checksums; no store is needed for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evlog.archive import manifest
from evlog.archive.manifest import MANIFEST, SUMS
from evlog.store import durable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    from evlog.archive.manifest import Entry

SOUND = "ok"


@dataclass(frozen=True, slots=True)
class Held:
    """What became of one file: `ok`, or what is wrong with it."""

    file: str
    says: str
    day: date | None = None
    rows: int | None = None
    bytes: int | None = None


def verify(folder: Path) -> list[Held]:
    """Every file of an archive, held against the manifest; and the manifest against its checksum."""
    entries, sha = manifest.load(folder)
    told = [
        Held(entry.file, manifest.fault(folder, entry) or SOUND, entry.day, entry.rows, entry.bytes)
        for entry in entries
    ]
    return [Held(MANIFEST, _sums(folder, entries, sha)), *told, *_strangers(folder, entries)]


def _sums(folder: Path, entries: tuple[Entry, ...], sha: str) -> str:
    """Whether the list of checksums says what the manifest says, and what the manifest is."""
    try:
        listed = durable.read(folder / SUMS)
    except OSError:
        return f"{SUMS} is missing"
    told = manifest.sums(entries, durable.read(folder / MANIFEST)) if sha else b""
    return SOUND if listed == told else f"{SUMS} says otherwise"


def _strangers(folder: Path, entries: tuple[Entry, ...]) -> Iterator[Held]:
    """Files in the folders of days that the manifest does not know."""
    known = {entry.file for entry in entries}
    for name in durable.folders(folder, "date="):
        for file in (*durable.files(folder / name, ""), *durable.others(folder / name)):
            if f"{name}/{file}" not in known:
                yield Held(f"{name}/{file}", "not in the manifest")
