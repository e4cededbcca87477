"""A repeated export sends each event once: whatever happened to its files, whenever it came, wherever a run was cut."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
import storekit as kit
from exportkit import evlog, ids, lake, sent, summed
from hypothesis import given, settings
from hypothesis import strategies as st
from storekit import DAY_1, DAY_2, DAY_3, event
from torture import much

from evlog.export import events, resume
from evlog.query.where import parse
from evlog.store import audit, layout

if TYPE_CHECKING:
    from evlog.store.layout import Store


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("EVLOG_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = layout.create(tmp_path / "s")
    kit.ingest(made, *(event(f"a{n}", day, f"u{n % 2}") for day in (DAY_1, DAY_2) for n in range(3)))
    return made


def test_what_came_in_since_is_sent_whatever_its_date(store: Store, tmp_path: Path) -> None:
    assert len(sent(store.root, "--resume", "r")) == 6
    assert sent(store.root, "--resume", "r") == []
    kit.ingest(store, event("late", date(2001, 1, 1)), event("b", DAY_2))
    kit.here(store.root, "compact", str(DAY_3))
    kit.ingest(store, event("c", DAY_2))
    assert ids(sent(store.root, "--resume", "r")) == ["late", "b", "c"]
    kit.here(store.root, "compact", str(DAY_3))
    assert sent(store.root, "--resume", "r") == []
    point = tmp_path / "r"
    assert stat.S_IMODE(point.stat().st_mode) == 0o600
    assert set(json.loads(point.read_text())) == {"store", "asked", "batch", "pending"}


def test_a_run_with_nothing_to_send_says_nothing_to_the_audit_log(store: Store, tmp_path: Path) -> None:
    sent(store.root, "--resume", "r")
    code, out, err = evlog(store.root, "export", "--resume", "r", "--into", "lake")
    assert (code, out, err) == (0, b"", "no event came in since the last run\n")
    assert len(audit.read(store)) == 1
    assert lake(tmp_path / "lake") == []


def test_events_that_were_merged_are_told_by_their_own_commit(store: Store) -> None:
    for number in range(4):
        kit.ingest(store, event(f"m{number}", DAY_3))
        if number == 1:
            sent(store.root, "--resume", "r")
    kit.here(store.root, "merge", str(DAY_3))
    assert len(list(store.segments(DAY_3).iterdir())) == 1
    assert ids(sent(store.root, "--resume", "r")) == ["m2", "m3"]


def test_conditions_go_with_a_resume_point(store: Store) -> None:
    words = ("--resume", "r", "--where", "user_id=u1")
    assert ids(sent(store.root, *words)) == ["a1", "a1"]
    kit.ingest(store, event("x1", DAY_1, "u1"), event("x0", DAY_1, "u0"))
    assert ids(sent(store.root, *words)) == ["x1"]
    assert sent(store.root, *words) == []


@pytest.mark.parametrize(
    ("spoil", "code", "says"),
    [
        (lambda point: point | {"store": "0" * 32}, 1, "is the resume point of another store"),
        (lambda point: point | {"batch": 10**6}, 1, "is ahead of the store"),
        (lambda point: point | {"pending": 10**6}, 1, "is ahead of the store"),
        (lambda point: point | {"batch": "x"}, 2, "is no resume point of evlog"),
        (lambda point: {"batch": 3}, 2, "is no resume point of evlog"),
        (lambda point: [], 2, "is no resume point of evlog"),
    ],
)
def test_a_resume_point_of_something_else_is_refused(
    store: Store, tmp_path: Path, spoil: Any, code: int, says: str
) -> None:
    sent(store.root, "--resume", "r")
    told = json.dumps(spoil(json.loads((tmp_path / "r").read_text())))
    (tmp_path / "r").write_text(told)
    found, out, err = evlog(store.root, "export", "--resume", "r")
    assert (found, out, (tmp_path / "r").read_text()) == (code, b"", told)
    assert says in err


def test_other_conditions_need_another_resume_point(store: Store, tmp_path: Path) -> None:
    sent(store.root, "--resume", "r", "--where", "user_id=u1")
    code, out, err = evlog(store.root, "export", "--resume", "r")
    assert (code, out) == (1, b"")
    assert "is the resume point of an export with other --where" in err
    assert "u1" not in (tmp_path / "r").read_text()


def test_two_runs_of_one_resume_point_take_turns(store: Store, tmp_path: Path) -> None:
    with resume.turn(store, tmp_path / "r"):
        code, out, err = evlog(store.root, "export", "--resume", "r")
        assert (code, out) == (4, b"")
        assert "another evlog export" in err
        assert len(sent(store.root, "--resume", "other")) == 6
    assert len(sent(store.root, "--resume", "r")) == 6


def test_runs_at_once_send_each_event_once(store: Store, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "evlog", "--data", str(store.root), "export", "--resume", "r", "--into", "lake"]
    calls = [subprocess.Popen([*words, "--wait", "1m"], stderr=subprocess.PIPE) for _ in range(3)]
    assert [(call.communicate()[1], call.returncode)[1] for call in calls] == [0, 0, 0]
    assert sorted(ids(lake(tmp_path / "lake"))) == kit.ids(store)
    summed(tmp_path / "lake")


def test_a_folder_that_holds_another_export_is_not_added_to(store: Store, tmp_path: Path) -> None:
    assert evlog(store.root, "export", "--into", "lake")[0] == 0
    before = kit.tree(tmp_path / "lake")
    code, _, err = evlog(store.root, "export", "--into", "lake", "--resume", "r")
    assert code == 1
    assert "is not empty" in err
    assert kit.tree(tmp_path / "lake") == before


def test_files_that_were_taken_away_are_no_matter(store: Store, tmp_path: Path) -> None:
    words = ("export", "--into", "lake", "--resume", "r")
    evlog(store.root, *words)
    first = lake(tmp_path / "lake")
    for path in list((tmp_path / "lake").glob("*/*")):
        path.unlink()
    kit.ingest(store, event("b", DAY_2))
    assert evlog(store.root, *words)[0] == 0
    assert sorted(ids(first) + ids(lake(tmp_path / "lake"))) == kit.ids(store)
    summed(tmp_path / "lake")


# -- crashes ----------------------------------------------------------------------------------------------------------

KILLED = """
import os, pathlib, sys
calls, replace = 0, pathlib.Path.replace
def counted(self, target):
    global calls
    calls += 1
    if calls == {nth}:
        os._exit(9)
    return replace(self, target)
pathlib.Path.replace = counted
from evlog.cli.run import run
code = run(sys.argv[1:])
os._exit(code)
"""


def _killed(nth: int, *words: str) -> int:
    """The exit code of a run that dies where it would put its `nth` file in place: 9, or 0 if there is none such."""
    called = [sys.executable, "-c", KILLED.format(nth=nth), *words]
    return subprocess.run(called, capture_output=True, check=False, timeout=60).returncode


@pytest.mark.long
@pytest.mark.parametrize("nth", [1, 2, 3, 5, 6, 7])
def test_a_run_that_died_is_made_up_for_exactly_once(store: Store, tmp_path: Path, nth: int) -> None:
    """Seven files are put in place: the point, the commit of the audit log, three of events, sums, the point."""
    words = ("--data", str(store.root), "export", "--into", "lake", "--resume", "r", "--format", "parquet")
    evlog(store.root, *words[2:])
    kit.ingest(store, event("b1", DAY_1), event("b2", DAY_2), event("b3", DAY_3))
    assert _killed(nth, *words) == 9
    kit.ingest(store, event("c1", DAY_1), event("late", date(2001, 1, 1)))
    kit.here(store.root, "compact", "2026-02-01")
    kit.here(store.root, "delete", "u1")
    assert evlog(store.root, *words[2:])[0] == 0
    found = sorted((row["event_id"], str(row["date"])) for row in lake(tmp_path / "lake", "parquet"))
    erased = [("a1", str(DAY_1)), ("a1", str(DAY_2))]  # they went out before
    stored = [(name, str(day)) for name, day in kit.rows(store, "event_id, date")]
    assert found == sorted([*stored, *erased])
    summed(tmp_path / "lake")


def test_nothing_more_is_put_in_place_than_was_killed_before(store: Store) -> None:
    words = ("--data", str(store.root), "export", "--into", "lake", "--resume", "r", "--format", "parquet")
    kit.ingest(store, event("b3", DAY_3))
    assert _killed(8, *words) == 0


def test_who_was_erased_after_a_crash_is_not_in_what_is_made_up_for(store: Store, tmp_path: Path) -> None:
    words = ("--data", str(store.root), "export", "--into", "lake", "--resume", "r")
    kit.ingest(store, event("z", DAY_3, "zoe-the-first"))
    assert _killed(6, *words) == 9
    assert "zoe-the-first" in json.dumps(lake(tmp_path / "lake"))
    kit.here(store.root, "delete", "zoe-the-first")
    assert evlog(store.root, *words[2:])[0] == 0
    assert sorted(ids(lake(tmp_path / "lake"))) == kit.ids(store)
    assert "zoe-the-first" not in json.dumps(lake(tmp_path / "lake"))
    summed(tmp_path / "lake")


def test_the_same_run_makes_the_same_bytes(store: Store, tmp_path: Path) -> None:
    words = ("--data", str(store.root), "export", "--into", "lake", "--resume", "r")
    assert _killed(6, *words) == 9
    before = kit.tree(tmp_path / "lake")
    kit.here(store.root, "compact", str(DAY_3))
    assert evlog(store.root, *words[2:])[0] == 0
    assert kit.tree(tmp_path / "lake") == before


def test_a_stream_that_died_is_sent_again_and_nothing_is_lost(store: Store, tmp_path: Path) -> None:
    words = ("--data", str(store.root), "export", "--resume", "r")
    assert _killed(2, *words) == 9
    assert not (tmp_path / "r").exists()
    assert sorted(ids(sent(store.root, "--resume", "r"))) == kit.ids(store)


# -- histories --------------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ingest"), st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=4)),
        st.tuples(st.sampled_from(("compact", "merge", "purge")), st.integers(0, 3)),
        st.tuples(st.just("delete"), st.integers(0, 3)),
        st.tuples(st.just("export"), st.sampled_from(("file", "stdout", "failing"))),
    ),
    min_size=3,
    max_size=12,
)


class History:
    """A store, what was ever stored in it, what went out."""

    def __init__(self, root: Path, where: str | None) -> None:
        self.store = layout.create(root / "s")
        self.root = root
        self.words = ("--where", where) if where else ()
        self.ever: dict[str, str] = {}
        self.waiting: set[str] = set()
        self.gone: list[str] = []
        self.users: set[int] = set()
        self.purged = DAY_1

    def ingest(self, told: list[tuple[int, int]]) -> None:
        new = []
        for day, user in told:
            name, on = f"e{len(self.ever)}", DAY_1 + timedelta(days=day)
            self.ever[name] = f"user-number-{user}"
            new.append(event(name, on, f"user-number-{user}"))
            if user not in self.users and on >= self.purged and (not self.words or user == 1):
                self.waiting.add(name)
        kit.ingest(self.store, *new)

    def delete(self, user: int) -> None:
        kit.here(self.store.root, "delete", f"user-number-{user}")
        self.users.add(user)
        self._drop()

    def purge(self, days: int) -> None:
        self.purged = max(self.purged, DAY_1 + timedelta(days=days))
        kit.here(self.store.root, "purge", str(self.purged))
        self._drop()

    def _drop(self) -> None:
        """What is in the store no more will not be sent."""
        self.waiting &= set(kit.ids(self.store))

    def export(self, how: str) -> None:
        words = ("export", "--resume", str(self.root / "r"), *self.words)
        if how == "failing":
            assert evlog(self.store.root, *words, "--output", str(self.root / "no" / "x"))[0] == 1
            return
        code, out, err = evlog(self.store.root, *words, *(("--output", str(self.root / "x")) if how == "file" else ()))
        assert code == 0, err
        raw = (self.root / "x").read_bytes() if how == "file" else out
        rows = [json.loads(line) for line in raw.splitlines()]
        assert sorted(ids(rows)) == sorted(self.waiting)
        assert not {row["user_id"] for row in rows} & {f"user-number-{user}" for user in self.users}
        self.gone += ids(rows)
        self.waiting.clear()


@pytest.mark.usefixtures("alone")
@settings(max_examples=much(30, 3), deadline=None)
@given(steps=STEPS, where=st.sampled_from((None, "user_id=user-number-1")))
def test_over_any_history_each_event_is_sent_once(steps: list[tuple[str, Any]], where: str | None) -> None:
    with TemporaryDirectory(dir=kit.FAST) as place:
        history = History(Path(place), where)
        history.ingest([(0, 1)])
        for what, told in [*steps, ("export", "stdout")]:
            if what in {"compact", "merge"}:
                kit.here(history.store.root, what, str(DAY_1 + timedelta(days=told)))
            else:
                getattr(history, what)(told)
        assert kit.doubles(history.gone) == []
        asked = events.Asked(-1, 10**6, (parse(where),) if where else (), every=True)
        left = [
            name
            for _, batches in events.days(history.store, asked)
            for batch in batches
            for name in batch["event_id"].to_pylist()
        ]
        assert set(left) <= set(history.gone) <= set(history.ever)
        kit.sound(history.store)
