"""The order of writing, seen from outside: every command that touches a store, held against the rules of `tracelint`.

Each rule has a mutant that breaks it, run as a real command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orders
import pytest
import scenarios
import torture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Tally

NAMES = torture.share(sorted(orders.ORDERS), 19, "commands")


@pytest.fixture(scope="module", autouse=True)
def _homes() -> Iterator[None]:
    yield
    scenarios.forget()


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_writing(name: str, tally: Tally) -> None:
    """Synced before renamed, folders before the acknowledgement, nothing removed before what replaces it lasts."""
    if not torture.can_trace():
        tally("lint", skipped=1, why="needs strace, and leave to use it")
    assert orders.linted(name) == []
    tally("lint", commands=1)


LAZY = """
real = journal._apply
def lazy(store, record, **more):
    sync, durable.sync_folder = durable.sync_folder, lambda path: None
    real(store, record, **more)
    durable.sync_folder = sync
journal._apply = lazy
"""
SWAPPED = """
real = journal._apply
def swapped(store, record, **more):
    [(store.root / name).unlink(missing_ok=True) for name in record.unlinks]
    real(store, record, **more)
journal._apply = swapped
"""
TOUCHED = """
real = journal._mark_applied
def touched(store, batch):
    [open(path, 'ab').close() for path in (store.root / 'events').rglob('*.ndjson')]
    real(store, batch)
journal._mark_applied = touched
"""
UNRECORDED = """
journal._write = lambda store, record: None
journal._mark_applied = lambda store, batch: None
"""
BUT = "real = durable.sync_folder\ndurable.sync_folder = lambda path: None if {} else real(path)"
AT_ONCE = """
import os, sys
from evlog.ingest import commit
real = journal.commit
journal.commit = lambda *words, **more: (os.write(1, b'done'), real(*words, **more))[1]
durable.sync_folder = lambda path, real=durable.sync_folder: (os.write(1, b'done'), real(path))[1]
"""
MARKED = """
from evlog import status
real = journal.newest
def marked(store):
    durable.replace_whole(store.root / 'runs' / 'seen', b'x')
    return real(store)
journal.newest = marked
from evlog.store import snapshot
real_look = snapshot.snapshot
snapshot.snapshot = lambda store, *more: (marked(store), real_look(store, *more))[1]
"""
STRAY = """
real = journal._mark_applied
def stray(store, batch):
    (store.root.absolute().parent / 'a copy').write_bytes(b'x')
    real(store, batch)
journal._mark_applied = stray
"""
FOLLOWED = """
import os
durable._NEW &= ~os.O_NOFOLLOW
"""
LINKED = """
real = journal._mark_applied
def linked(store, batch):
    (store.root / 'events' / 'newest').symlink_to('elsewhere')
    real(store, batch)
journal._mark_applied = linked
"""
UNTOLD = """
import os
from pathlib import Path
os.umask = lambda mode: mode
Path.chmod = lambda self, mode: None
"""
MUTANTS = {
    "a file is not synced": (
        "durable.Writer.sync = lambda self: self.drop()",
        "ingest",
        "renamed before it was synced",
    ),
    "a part is not synced": ("durable.sync = lambda path: None", "compact", "renamed before it was synced"),
    "a folder is not synced": ("durable.sync_folder = lambda path: None", "ingest", "folder not synced"),
    "the folder of what replaces is not synced": (LAZY, "compact", "removed before"),
    "the folder of what is staged is not synced": (
        BUT.format("path.parent.name == 'staging'"),
        "ingest",
        "committed before",
    ),
    "the folder of records is not synced": (BUT.format("path.name == 'journal'"), "link", "in place before"),
    "removed before it is replaced": (SWAPPED, "compact", "removed before"),
    "published and removed without a record": (UNRECORDED, "compact", "without a record"),
    "acknowledged too early": (AT_ONCE, "link", "acknowledged with"),
    "a published file is written to": (TOUCHED, "ingest", "published file opened for writing"),
    "a reader writes": (MARKED, "dau", "by a command that only reads"),
    "written elsewhere": (STRAY, "link", "outside of the store"),
    "a symlink is followed": (FOLLOWED, "link", "would follow a symlink"),
    "a symlink is made": (LINKED, "link", "a symlink made"),
    "modes are wide": ("durable.FILE_MODE = 0o644", "link", "mode 0644"),
    "modes of folders are wide": ("durable.FOLDER_MODE = 0o755", "first", "mode 0755 of folder"),
    "the mode of a part stays wide": (UNTOLD, "compact", "in the end"),
}


@pytest.mark.parametrize("mutant", torture.share(sorted(MUTANTS), 6, "a wrong order"))
def test_the_lint_sees_a_wrong_order(mutant: str, tally: Tally) -> None:
    if not torture.can_trace():
        tally("lint", skipped=1, why="needs strace, and leave to use it")
    code, name, says = MUTANTS[mutant]
    found = orders.linted(name, code)
    assert any(says in line for line in found), found
    tally("lint", mutants=1)
