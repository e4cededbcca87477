"""Rollups in little memory: in pieces, and with more where it was too little, the files and what is told are the same."""

from __future__ import annotations

import shutil
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
import storekit as kit
from rollups import asked, content, value
from storekit import DAY_1, event

from evlog import engine, rollup
from evlog.query import rolled
from evlog.reports import frequency, sessions
from evlog.rollup import count
from evlog.rollup import run as running
from evlog.rollup.questions import HOURS, QUALITY
from evlog.store import journal, layout, locks

if TYPE_CHECKING:
    from pathlib import Path

    from evlog.store.layout import Store

QUESTIONS = (HOURS, QUALITY, rolled.DAU, rolled.EVENTS, *frequency.ROLLUP, *sessions.ROLLUP)
DAYS = 9
roll = import_module("evlog.rollup.roll")  # the package calls a function so


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "standing", lambda more: sorted((*QUESTIONS, *more), key=lambda one: one.name))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Days of sessions: by gaps, with an id that goes on for days, over midnight; one id is linked to a user later."""
    made = layout.create(tmp_path / "s")
    days = [DAY_1 + timedelta(days=number) for number in range(DAYS)]
    late = {"ts": "23:50:00", "user": "bob"}
    early = {"ts": "00:05:00", "user": "bob"}
    for number, day in enumerate(days):
        lines = [
            event(f"a{number}", day, user="ann", session_id=f"s{number // 4}"),
            event(f"g{number}", day, user="cid"),
        ]
        lines += [
            event(f"{one['ts']}{number}", day, user="bob") | {"ts": f"{day}T{one['ts']}Z"} for one in (late, early)
        ]
        lines += [event(f"n{number}", day, user=None, anonymous_id="phone")]
        kit.ingest(made, *lines)
    kit.ingest(made, event("both", days[-1], user="ann", anonymous_id="phone"))
    return made


def twin(store: Store, monkeypatch: pytest.MonkeyPatch) -> tuple[rollup.Done, dict[str, bytes]]:
    """What a roll-up with the usual limits, all at once, does and leaves behind; nothing has run out of memory."""
    made = layout.Store(shutil.copytree(store.root, store.root.with_name("twin")))
    with monkeypatch.context() as patch:
        patch.setattr(roll, "_LIMITS", ("1GB",))
        patch.setattr(count, "_PIECE", 1 << 40)
        return rollup.roll(made, asked()), content(made)


@pytest.mark.parametrize(("module", "size"), [(count, "_PIECE"), (running, "_LARGE")])
def test_numbers_are_the_same_in_pieces(store: Store, monkeypatch: pytest.MonkeyPatch, module: Any, size: str) -> None:
    usual = twin(store, monkeypatch)
    monkeypatch.setattr(module, size, 1)
    widths: list[int] = []
    real = count.Counter._answer

    def noted(self: Any, question: Any, *, standing: Any, grain: Any) -> Any:
        widths.extend([len(question.window.days)] * (standing is sessions.ROLLUP[0]))
        return real(self, question, standing=standing, grain=grain)

    monkeypatch.setattr(count.Counter, "_answer", noted)
    assert (rollup.roll(store, asked()), content(store)) == usual
    assert len([width for width in widths if width == 1]) >= DAYS
    assert value(store, "day", DAY_1, "sessions", "sessions") == 5  # ann's two, cid's, bob's before dawn and overnight
    assert value(store, "day", DAY_1 + timedelta(days=1), "sessions", "sessions") == 3  # that of an id goes on


def test_too_little_memory_is_followed_by_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = twin(store, monkeypatch)
    monkeypatch.setattr(roll, "_LIMITS", ("1MB", "2GB"))
    assert (rollup.roll(store, asked()), content(store)) == usual
    kit.sound(store)


def test_the_last_limit_is_the_last(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roll, "_LIMITS", ("1MB", "2MB"))
    with pytest.raises(engine.OutOfMemory):
        rollup.roll(store, asked())
    kit.sound(store)


@pytest.mark.parametrize("when", range(1, 12, 3))
@pytest.mark.parametrize("what", ["settle", "commit"])
def test_it_goes_on_from_what_was_committed(
    store: Store, monkeypatch: pytest.MonkeyPatch, when: int, what: str
) -> None:
    usual = twin(store, monkeypatch)
    monkeypatch.setattr(running, "CHUNK", 2)
    broken = _Broken(count.Counter.settle if what == "settle" else count.Counter.put, when)
    monkeypatch.setattr(count.Counter, "settle" if what == "settle" else "put", broken.call)
    seen: list[tuple[int, int]] = []
    done = rollup.roll(store, asked(), done=lambda *told: seen.append(told))
    assert broken.calls > when, "it never ran out"
    assert (done, content(store)) == usual
    assert seen[-1][0] == seen[-1][1]
    assert not list((store.root / "staging").iterdir())


def test_what_was_not_committed_is_not_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = twin(store, monkeypatch)
    real, failed = count.Counter.records, []

    def records(self: Any, standing: Any, periods: Any) -> Any:
        held = list(periods)
        if not failed and held and held[0].grain == "week":  # days stand in the same commit, and were counted
            failed.append(1)
            raise engine.OutOfMemory("too little")
        return real(self, standing, held)

    monkeypatch.setattr(count.Counter, "records", records)
    assert (rollup.roll(store, asked()), content(store)) == usual
    assert failed


class _Broken:
    """A method of the counter that runs out of memory at one call."""

    def __init__(self, real: Any, when: int) -> None:
        self.real, self.when, self.calls = real, when, 0

    @property
    def call(self) -> Any:
        def called(counter: Any, *args: Any) -> Any:
            self.calls += 1
            if self.calls == self.when:
                raise engine.OutOfMemory("too little")
            return self.real(counter, *args)

        return called


def test_a_purge_counts_for_the_last_time_in_little_memory(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = layout.Store(shutil.copytree(store.root, store.root.with_name("twin")))
    before = DAY_1 + timedelta(days=5)
    usual = rollup.finish(whole, asked(), before=before)
    monkeypatch.setattr(roll, "_LIMITS", ("1MB", "2GB"))
    monkeypatch.setattr(count, "_PIECE", 1)
    assert (rollup.finish(store, asked(), before=before), content(store)) == (usual, content(whole))
    with locks.commit(store):
        journal.recover(store)
