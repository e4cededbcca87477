"""What must hold of a store after a command was stopped: what is seen is whole, and the same words end what they began."""

from __future__ import annotations

import re
import shutil
from hashlib import sha256
from typing import TYPE_CHECKING

import scenarios
import storekit as kit

from evlog.store import audit, layout

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios import Scenario


_RANDOM = re.compile(r"[0-9a-f]{32}|\d{8}T\d{12}Z")  # names of staging folders; when a batch came in


def legal(scenario: Scenario, store: Path, least: int) -> None:
    """Assert that a reader, and a stranger with DuckDB, see one of the allowed contents, none older than `least`.

    What was committed is applied on a copy, so that it is the command that recovers the store itself.
    """
    assert kit.doubles(kit.outside(store)) == []
    allowed = scenarios.states(scenario.name)[least:]
    seen = scenarios.look(scenario, store)
    assert seen in [state.rows for state in allowed], (least, len(seen))
    copy = shutil.copytree(store.parent, store.parent.with_name(f"{store.parent.name}-copy"))
    try:
        found = scenarios.whole(scenario, copy / store.name)
        assert (found.rows, found.kept) in [(state.rows, state.kept) for state in allowed], found.kept
        assert found.rows == seen
        assert kit.doubles(found.outside) == []
        if seen == allowed[-1].rows != allowed[0].rows:  # what goes was counted, and put elsewhere, before
            assert (found.rolled, found.outside) == (allowed[-1].rolled, allowed[-1].outside)
    finally:
        shutil.rmtree(copy)


def converges(scenario: Scenario, store: Path) -> None:
    """Assert that the same words once more end where an undisturbed run ends, with nothing wrong or left lying about."""
    assert scenarios.again(scenario, store) in (0, scenario.ends)
    assert scenarios.whole(scenario, store) == scenarios.states(scenario.name)[-1]
    opened = layout.open_store(store)
    kit.sound(opened)
    assert audit.findings(opened) == []
    assert litter(store.parent) == []


class Judge:
    """Judges what commands leave behind; homes that are equal in every byte that matters, once."""

    def __init__(self) -> None:
        self._known: set[tuple[str, int, bytes]] = set()

    def __call__(self, scenario: Scenario, store: Path, least: int) -> None:
        """Assert that what a command left is legal, and that the same words once more end it."""
        key = scenario.name, least, likeness(store)
        if key in self._known:
            return
        legal(scenario, store, least)
        converges(scenario, store)
        self._known.add(key)


def likeness(store: Path) -> bytes:
    """A sum over every file of a home, alike for two that differ in random names and in what will be swept away."""
    swept = not any((store / "journal").glob("*.json"))  # what is staged is of use to a commit that is not yet applied
    found = sha256()
    for path in sorted(store.parent.rglob("*"), key=lambda path: _RANDOM.sub("", str(path))):
        name = str(path.relative_to(store.parent))
        if swept and name.startswith(f"{store.name}/staging/"):
            name, path = "something staged", store  # noqa: PLW2901
        content = _RANDOM.sub("", path.read_bytes().decode("latin-1")) if path.is_file() else ""
        found.update(f"{_RANDOM.sub('', name)}\0{len(content)}\0{content}".encode())
    return found.digest()


def litter(home: Path) -> list[str]:
    """Scratch files that nobody will remove any more, in the store or beside it."""
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.name.endswith((".tmp", ".part")))


def told(stderr: bytes) -> bool:
    """Whether an error met the person as a sentence: no traceback, no excuse that it is a bug."""
    said = any(line.startswith(b"evlog: ") for line in stderr.splitlines())
    return said and b"Traceback" not in stderr and b"this is a bug" not in stderr


def truthful(scenario: Scenario, store: Path, stderr: bytes) -> bool:
    """Whether it is as an error says: nothing there, or all of what it did."""
    seen, states = scenarios.look(scenario, store), scenarios.states(scenario.name)
    if b"nothing was published" in stderr:
        return seen == states[0].rows
    if b"what it did is committed" in stderr and scenario.steps == 1:
        return scenarios.committed(store) > scenarios.at_first(scenario)
    return True
