"""The resume point of a repeated export: a small file of the person's own that says how far the last run went.

It names a commit, not a time: what a later run sends is what later commits brought, whatever its date. A run that
writes files says beforehand which commits they are of (`pending`), so that a run after a crash makes the same files.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from evlog.errors import EvlogError, StoreLocked, UsageError
from evlog.store import durable, locks, tombstones
from evlog.store.layout import MARKER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evlog.query.where import Condition
    from evlog.store.layout import Store

_POLL = 0.05  # seconds between two tries while waiting for another run


@dataclass(frozen=True, slots=True)
class Point:
    """How far an export went: everything that commits up to `batch` brought is sent.

    `store` and `asked` say of which store and of which conditions (a keyed hash: they may name people).
    """

    store: str
    asked: str
    batch: int = 0
    pending: int | None = None  # files of the commits after `batch` up to this one were begun


def begin(store: Store, where: Sequence[Condition]) -> Point:
    """The point at which nothing of these conditions is sent yet."""
    asked = tombstones.load(store).subject("\n".join(sorted(map(str, where))))
    return Point(str(json.loads(durable.read(store.root / MARKER))["store"]), asked)


def load(path: Path, fresh: Point, *, newest: int) -> Point:
    """The point in a file, `fresh` where there is no file; an error where it is of something else."""
    try:
        body = json.loads(path.read_bytes())
        found = Point(**{field.name: body[field.name] for field in fields(Point)})
        numbers = (int(found.batch), int(found.batch if found.pending is None else found.pending))
    except FileNotFoundError:
        return fresh
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is no resume point of evlog", hint="name another file; it is made if absent"
        ) from error
    if found.store != fresh.store:
        raise EvlogError(f"{path} is the resume point of another store", hint="name another file for this one")
    if found.asked != fresh.asked:
        raise EvlogError(
            f"{path} is the resume point of an export with other --where", hint="name another file for these"
        )
    if max(numbers) > newest:
        raise EvlogError(
            f"{path} is ahead of the store: it says commit {max(numbers)}, the store is at {newest}",
            hint="was a backup brought back? remove the file to send everything again",
        )
    return found


def save(path: Path, point: Point) -> None:
    """Put the point into the file, whole or not at all; it is for its owner alone. The caller has its turn."""
    target = Path(os.path.realpath(path))
    scratch = target.with_name(f".{target.name}{durable.SCRATCH}")
    with durable.told_once("write", path):
        scratch.unlink(missing_ok=True)  # left by a run that died
        durable.write_new(scratch, [json.dumps(asdict(point)).encode() + b"\n"])
        scratch.replace(target)
    durable.sync_folder(target.parent)


@contextmanager
def turn(store: Store, path: Path, *, wait: float | None = 0.0) -> Iterator[str]:
    """Hold the turn of this resume point, and yield a word that stands for it; StoreLocked where another run has it."""
    key = tombstones.load(store).subject(os.path.realpath(path))[:16]
    until = None if wait is None else time.monotonic() + wait
    while (fd := locks.owned(store.locks / f"export-{key}")) is None:
        if until is not None and time.monotonic() >= until:
            raise StoreLocked(f"this resume point ({path})", "another evlog export")
        time.sleep(_POLL)
    try:
        yield key
    finally:
        os.close(fd)
