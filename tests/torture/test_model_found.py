"""Histories that the model has found, told by hand; and the power cut itself."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torture
from machine import Machine
from model import Event, Offer, Run, State, content

if TYPE_CHECKING:
    from collections.abc import Iterator

ANN, BOB, DEVICE = "user-anna-0001", "user-boris-0002", "device-dora-0001"


@pytest.fixture
def machine() -> Iterator[Machine]:
    made = Machine(Counter())
    yield made
    made.close()


def seen(name: str, user: str = ANN, day: int = 5, note: str | None = None) -> Offer:
    made = Event(name, f"2026-01-0{day}T09:00:00.000000Z", "open", user, note=note)
    body = {"event_id": name, "ts": made.ts, "event_type": "open", "user_id": user, "properties": made.properties}
    return Offer(json.dumps(body).encode(), replace(made, content=content(made)))


def test_an_export_that_began_with_an_empty_store_goes_on(machine: Machine) -> None:
    machine.export(at=0)
    machine.ingest([[seen("1")]], at=0, rerun=False)
    machine.export(at=0)
    assert len(machine.sent) == 1


def test_an_export_cut_short_anywhere_sends_each_event_once(machine: Machine) -> None:
    machine.ingest([[seen("1"), seen("2", BOB, day=6)]], at=0, rerun=False)
    for at in range(1, 60, torture.much(1, 9)):
        machine.ingest([[seen(f"at {at}", day=5 + at % 3)]], at=0, rerun=False)
        machine.export(at=at)
    machine.export(at=0)
    assert len(machine.sent) == len(machine.state.events)


def test_a_user_who_was_linked_to_a_device_is_told_its_events_too(machine: Machine) -> None:
    """An erasure takes them along; so an export must tell them."""
    made = replace(seen("1").event, id="2", user=None, anonymous=DEVICE)
    body = {"event_id": "2", "ts": made.ts, "event_type": "open", "anonymous_id": DEVICE}
    device = Offer(json.dumps(body).encode(), replace(made, content=content(made)))
    machine.ingest([[seen("1"), device]], at=0, rerun=False)
    machine.link(ANN, DEVICE, at=0)
    told = machine.run("user", "export", ANN).out.splitlines()
    assert [json.loads(line)["event_id"] for line in told] == ["1", "2"]
    machine.delete([ANN], at=0)
    assert machine.state.events == {}


def test_after_the_cut_nothing_changes_any_more(machine: Machine) -> None:
    before = {path: path.read_bytes() for path in machine.root.rglob("*") if path.is_file()}
    file = machine.home / "in.ndjson"
    file.write_bytes(seen("1").raw + b"\n")
    ran = machine.run("ingest", str(file), "--workers", "1", at=1)
    assert (ran.off, ran.out) == (True, "")
    assert {path: path.read_bytes() for path in machine.root.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("wrong", ["lost", "doubled", "other", "back"])
def test_a_dictionary_that_knows_otherwise_is_told(machine: Machine, wrong: str) -> None:
    """The check is checked: a store that lost, doubled or changed an event, or forgot an erasure, is not as it must be."""
    machine.ingest([[seen("1", note=f"met {BOB}"), seen("2", BOB)]], at=0, rerun=False)
    run = Run(machine.state, machine.now)
    states = {
        "lost": lambda: run.batch([seen("3")]),
        "doubled": lambda: State(dict(list(machine.state.events.items())[:1])),
        "other": lambda: State({key: replace(e, note="met nobody") for key, e in machine.state.events.items()}),
        "back": lambda: machine.state.but(erased=frozenset({ANN})),
    }
    with pytest.raises(AssertionError, match="must be"):
        machine.settle([states[wrong]()])
