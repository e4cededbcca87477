"""Checks are checked: evlog broken on purpose, and a short history in which the dictionary notices."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torture
from machine_asks import Asked
from test_model_found import ANN, BOB, seen

from evlog.compact import part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Tally


@pytest.fixture
def machine() -> Iterator[Asked]:
    made = Asked(Counter())
    yield made
    made.close()


def cut_anywhere(machine: Asked) -> None:
    for at in range(12, 60, 3):
        machine.ingest([[seen(f"at {at}")]], at=at, rerun=True)


def twice(machine: Asked) -> None:
    for _ in range(2):
        machine.ingest([[seen("1")]], at=0, rerun=False)


def refused_twice(machine: Asked) -> None:
    for _ in range(2):
        machine.ingest([[replace(seen("1"), raw=b"{oops", fault="bad_json")]], at=0, rerun=False)


def erased_and_back(machine: Asked) -> None:
    machine.ingest([[seen("1"), seen("2", BOB)]], at=0, rerun=False)
    machine.link("device-dora-0001", ANN, at=0)
    machine.delete([ANN], at=0)
    machine.ingest([[seen("3")]], at=0, rerun=False)


def purged_and_back(machine: Asked) -> None:
    machine.ingest([[seen("1"), seen("2", day=8)]], at=0, rerun=False)
    machine.purge(1, at=0)
    machine.ingest([[seen("3")]], at=0, rerun=False)


def refused_and_mended(machine: Asked) -> None:
    machine.ingest([[seen("1"), seen("1", note=f"met {BOB}")]], at=0, rerun=False)
    machine.delete([BOB], at=0)
    machine.ingest([[seen("2"), seen("2", day=5, note="met nobody")]], at=0, rerun=False)
    machine.purge(1, at=0)
    machine.clear(None, at=0)
    machine.ingest([[seen("3", day=8), seen("3", day=8, note="met nobody")]], at=0, rerun=False)
    machine.replay(at=0)
    machine.clear("id_conflict", at=0)


def sent_on(machine: Asked) -> None:
    for name in "12":
        machine.ingest([[seen(name)]], at=0, rerun=False)
        machine.export(at=0)


def asked_of(machine: Asked) -> None:
    machine.ingest([[seen("1"), seen("2", BOB)]], at=0, rerun=False)
    machine.link(BOB, ANN, at=0)
    machine.ask("dau")


def compacted(machine: Asked) -> None:
    machine.ingest([[seen("1")]], at=0, rerun=False)
    machine.ingest([[seen("2")]], at=0, rerun=False)
    machine.still("compact")


def nothing(*_: Any, **__: Any) -> None:
    return None


def no(*_: Any, **__: Any) -> bool:
    return False


def none_at_all(*_: Any, **__: Any) -> list[Any]:
    return []


ORDER = part._order
MUTANTS: dict[str, tuple[str, Any, Callable[[Asked], None]]] = {
    "recovery does nothing": ("evlog.store.journal.recover", lambda _: 0, cut_anywhere),
    "no look-up of ids": ("evlog.ingest.commit.Committer._look_up", no, twice),
    "tombstones hold nobody": ("evlog.store.tombstones.Tombstones.erased", no, erased_and_back),
    "links outlive their person": ("evlog.person.beside.unsaid", nothing, erased_and_back),
    "a purge leaves no tombstone": ("evlog.purge.leave._Leaving._tombstone", none_at_all, purged_and_back),
    "rejects are not cleared": ("evlog.replay._rewrite", nothing, refused_and_mended),
    "rejects are kept twice": ("evlog.store.ids.Index.quarantined", none_at_all, refused_twice),
    "a point that does not move": ("evlog.export.resume.save", nothing, sent_on),
    "links mean nothing": ("evlog.query.identity.Identity._say", nothing, asked_of),
    "parts forget an event": (
        "evlog.compact.part._order",
        lambda *told: [all_of[:1] for all_of in ORDER(*told)],
        compacted,
    ),
}


HISTORIES = torture.share(list(dict.fromkeys(history for _, _, history in MUTANTS.values())), 4, "quiet")


@pytest.mark.parametrize("name", torture.share(list(MUTANTS), 4, "mutants"))
def test_the_dictionary_notices(machine: Asked, monkeypatch: pytest.MonkeyPatch, tally: Tally, name: str) -> None:
    target, broken, history = MUTANTS[name]
    monkeypatch.setattr(target, broken)
    with pytest.raises(AssertionError):
        history(machine)
    tally("model", mutants=1)


@pytest.mark.parametrize("history", HISTORIES, ids=lambda one: one.__name__)
def test_and_keeps_silent_of_evlog_as_it_is(machine: Asked, history: Callable[[Asked], None]) -> None:
    history(machine)
    machine.look_about()
