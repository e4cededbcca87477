"""Power losses without root: after every step of a command, every tree that POSIX allows to be left (see `remains`).

Of each: a reader sees one of the allowed states and none older than what was acknowledged; recovery ends in one; the
same command again ends where an undisturbed run ends, and `verify` finds nothing.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest
import subsets
import torture
from acts import ACTS
from remains import Lasting, trees, walked
from shim import ROOT, Recorder

from evlog.store import durable, journal, layout

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from conftest import Tally

BOUND = torture.much(12, 8)
SHARES = {
    "rollup": 60,
    "anew": 60,
    "delete": 30,
    "unsaid": 30,
    "anonymise": 30,
    "archive": 40,
}  # those that take longer
OFTEN = 24
QUICK = [name for name in ACTS if name not in {"again", "unsaid", "anonymise", "anew"}]  # each has a sister here


@pytest.mark.parametrize("name", list(ACTS) if torture.ALL else QUICK)
def test_power_fails_after_any_step(name: str, tally: Tally) -> None:
    one_in = torture.much(3 if name in SHARES else 1, SHARES.get(name, OFTEN))
    told = subsets.lost(name, bound=BOUND, one_in=one_in)
    assert told.findings == []
    tally("power lost (replayed)", steps=told.steps, trees=told.trees, differ=told.differ, checked=told.checked)


KILLED = {"first": 23, "ingest": 17, "compact": 11, "purge": 7, "link": 5}  # one step in so many


@pytest.mark.parametrize("name", torture.share(sorted(KILLED), 3, "death"))
def test_power_fails_after_a_death(name: str, tally: Tally) -> None:
    """What a dead process left in the cache alone must be durable before the next one builds on it."""
    kills = range(1, len(subsets.said(name)), KILLED[name] if torture.ALL else 10**6)
    told = subsets.lost(name, bound=6, one_in=torture.much(6, 40), kills=kills)
    assert told.findings == []
    tally("power lost (replayed) after a death", deaths=len(kills), differ=told.differ, checked=told.checked)


def _at(name: str, words: str) -> int:
    """The step after the last one of an undisturbed run that says these words."""
    return max(number for number, said in enumerate(subsets.said(name), 1) if words in said)


DIED = {
    "the folder of a partition": ("first", "mkdir s/events/"),
    "the marker of a store": ("first", "as s/evlog.json"),
    "the folder of a store": ("first", "mkdir s"),
    "a record": ("compact", "tmp to s/journal/"),
}


@pytest.mark.parametrize("what", torture.share(sorted(DIED), 2, "died"))
def test_a_name_that_a_dead_process_made_lasts_before_anything_stands_on_it(what: str) -> None:
    name, words = DIED[what]
    told = subsets.lost(name, bound=6, one_in=torture.much(1, 12), kills=(_at(name, words),))
    assert told.findings == []


# -- every sync, left out -----------------------------------------------------------------------------------------------


def _but(wanted: Callable[[Path], bool]) -> AbstractContextManager[object]:
    """No sync of the folders that are wanted."""
    real = durable.sync_folder
    return mock.patch.object(durable, "sync_folder", lambda path: None if wanted(Path(path)) else real(path))


def _in(*folders: str) -> Callable[[], AbstractContextManager[object]]:
    """No sync of these folders, nor of those that lie in them; names are from the store, or its own."""
    return partial(_but, lambda path: path.name in folders or path.parent.name in folders)


def _still(*, again: bool) -> AbstractContextManager[object]:
    real = journal._apply
    return mock.patch.object(journal, "_apply", lambda store, record, **_: real(store, record, again=again))


MUTANTS: dict[str, tuple[str, Callable[[], AbstractContextManager[object]], str]] = {
    "files": ("ingest", partial(mock.patch.object, durable.Writer, "sync", durable.Writer.drop), ""),
    "a part": ("compact", partial(mock.patch.object, durable, "sync", lambda path: None), ""),
    "what is staged": ("ingest", partial(_but, lambda path: path.parent.name == "staging"), ""),
    "the staging folder": ("ingest", partial(_but, lambda path: path.name == "staging"), ""),
    "records": ("ingest", partial(_but, lambda path: path.name == "journal"), ""),
    "segments": ("ingest", partial(_but, lambda path: path.parent.name == "events"), ""),
    "parts": ("compact", partial(_but, lambda path: path.parent.name == "parquet"), ""),
    "new folders of segments": ("first", partial(_but, lambda path: path.name == "events"), ""),
    "removed segments": ("delete", partial(_but, lambda path: path.parent.name == "events"), ""),
    "removed days": ("purge", _in("events"), ""),
    "links": ("link", partial(_but, lambda path: path.name == "links"), ""),
    "rollups": ("rollup", _in("UTC", "rollups"), ""),
    "the key": ("first", partial(_but, lambda path: path.name == "tombstones"), ""),
    "the marker": ("first", partial(_but, lambda path: path.name == "s"), ""),
    "the store": ("first", partial(_but, lambda path: path.name.startswith("recorded")), ""),
    "the archive": ("archive", _in("arc"), ""),
    "folders of the dead": ("first", partial(_still, again=False), "mkdir s/events/"),
    "stores of the dead": (
        "first",
        partial(mock.patch.object, layout, "settle", lambda store: None),
        "as s/evlog.json",
    ),
    "records of the dead": ("compact", partial(_but, lambda path: path.name == "journal"), "tmp to s/journal/"),
}


@pytest.mark.parametrize("mutant", torture.share(sorted(MUTANTS), 6, "unsynced"))
def test_a_sync_that_is_left_out_is_seen(mutant: str, tally: Tally) -> None:
    name, breaks, words = MUTANTS[mutant]
    kills = (_at(name, words) if words else None,)
    told = subsets.lost(name, bound=8, first=True, kills=kills, breaks=breaks)
    assert told.findings != []
    tally("power lost (replayed)", mutants=1)


# -- the model itself ---------------------------------------------------------------------------------------------------


def _synced(home: Path) -> None:
    (home / "d").mkdir()
    durable.write_new(home / "d" / "a", [b"four"])
    (home / "d" / "a").rename(home / "b")


def _unsynced(home: Path) -> None:
    writer = durable.Writer()
    writer.write(home / "a", [b"four"])
    writer.drop()
    (home / "a").rename(home / "b")


def _left(
    home: Path, history: Callable[[Path], None], *, bound: int = 10**4
) -> set[tuple[tuple[str, bytes | None], ...]]:
    """Every tree that may remain after a little history of plain calls."""
    recorder = Recorder(home)
    with recorder.recording():
        history(home)
    lasting = Lasting(recorder.base)
    for op in recorder.ops:
        lasting.follow(op)
    found = trees(lasting, bound=bound, seed="")
    return {tuple((path, tree.files.get(node)) for path, node in walked(tree, ROOT)) for tree in found}


def test_what_may_remain_of_a_file_that_was_synced_and_renamed_and_no_folder(tmp_path: Path) -> None:
    folder, old, new = ("d", None), ("d/a", b"four"), ("b", b"four")
    assert _left(tmp_path, _synced) == {(), (folder,), (folder, old), (new,), (new, folder), (new, folder, old)}


def test_a_content_that_was_never_synced_may_be_whole_torn_zeros_or_nothing(tmp_path: Path) -> None:
    found = _left(tmp_path, _unsynced)
    assert {dict(tree).get("b") for tree in found} == {None, b"", b"fo", b"\0\0\0\0", b"four"}


def test_a_sample_is_of_the_trees_that_may_remain(tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    (tmp_path / "all").mkdir()
    assert _left(tmp_path / "few", _synced, bound=5) < _left(tmp_path / "all", _synced)
