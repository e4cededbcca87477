"""The first-seen memory: after a purge it is still known who is new (metrics §13)."""

from __future__ import annotations

import tempfile
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import storekit as kit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from questions import ONE_THREAD, scoped
from storekit import DAY_1, DAY_2, DAY_3, NOW, event
from torture import much

from evlog import purge, reports
from evlog.errors import StoreDamaged
from evlog.purge import memory as remembering
from evlog.query.ask import ask
from evlog.store import firsts, journal, layout, locks, tombstones
from evlog.store.layout import FIRSTS
from evlog.verify import verify


@pytest.fixture
def store(tmp_path: Path) -> layout.Store:
    made = layout.create(tmp_path / "s")
    kit.ingest(
        made,
        event("1", DAY_1, "bob"),
        event("2", DAY_2, "bob"),
        event("3", DAY_3, "bob"),
        event("4", DAY_1, "eve"),
        event("5", DAY_2, "ann"),
        event("6", DAY_3, "ann"),
        event("7", DAY_1, None, anonymous_id="ann"),
    )
    return made


def answered(store: layout.Store, name: str, asked: dict[str, Any] | None = None, /, **options: Any) -> Any:
    scope, _ = scoped({"from": "2026-01-03", "to": "2026-01-12"} | (asked or {}))
    return ask(store, scope, reports.load(name).report, limits=ONE_THREAD, **options)


def memory(store: layout.Store) -> list[tuple[int, bytes, int]]:
    return list(firsts.held(store).read([firsts.ANY]))


def micros(day: date, hour: int = 10) -> int:
    return (datetime.combine(day, datetime.min.time()) - datetime(1970, 1, 1)) // timedelta(microseconds=1) + (
        hour * 3_600_000_000
    )


def test_a_purge_remembers_since_when_each_id_was_active(store: layout.Store) -> None:
    purge.apply(store, DAY_2)
    subject = tombstones.load(store).subject
    assert memory(store) == sorted(
        [
            (firsts.USER, bytes.fromhex(subject("bob")), micros(DAY_1)),
            (firsts.USER, bytes.fromhex(subject("eve")), micros(DAY_1)),
            (firsts.ANONYMOUS, bytes.fromhex(subject("ann")), micros(DAY_1)),
        ]
    )
    raw = (store.root / FIRSTS).read_bytes()
    assert not any(name in raw for name in (b"bob", b"eve", b"ann"))
    assert (store.root / FIRSTS).stat().st_mode & 0o777 == 0o600
    kit.sound(store)


def test_two_purges_remember_what_one_would(store: layout.Store, tmp_path: Path) -> None:
    import shutil

    other = layout.Store(shutil.copytree(store.root, tmp_path / "other"))
    purge.apply(store, DAY_3)
    purge.apply(other, DAY_2)
    kit.here(other.root, "compact", "2026-01-20")
    purge.apply(other, DAY_3)
    assert memory(store) == memory(other)
    assert (store.root / FIRSTS).read_bytes() == (other.root / FIRSTS).read_bytes()


def test_inactive_types_are_not_remembered(store: layout.Store) -> None:
    kit.ingest(store, event("early", DAY_1 - timedelta(days=1), "zoe", event_type="ping"))
    purge.apply(store, DAY_2, inactive=["ping"])
    assert len(memory(store)) == 3


def test_who_came_before_the_purge_is_not_new_after_it(store: layout.Store) -> None:
    before = answered(store, "lifecycle").rows
    purge.apply(store, DAY_2)
    after = answered(store, "lifecycle")
    assert [row[:2] for row in after.rows if row[0] >= DAY_2] == [row[:2] for row in before if row[0] >= DAY_2]
    assert [row[1] for row in after.rows if row[0] == DAY_2] == [1]
    assert after.definition["first_ever"] == "purged days (before 2026-01-06) are remembered"


def test_a_purged_cohort_keeps_its_size_and_what_is_held_of_its_returns(store: layout.Store) -> None:
    purge.apply(store, DAY_2)
    result = answered(store, "retention", period="day", periods=3)
    assert [row for row in result.rows if row[1]] == [
        (DAY_1, 2, [2, 1, 1], [1.0, 0.5, 0.5]),
        (DAY_2, 1, [1, 1, 0], [1.0, 1.0, 0.0]),
    ]
    assert [row[2] for row in result.rows][:2] == [[0, None, None], [0, None, 0]]  # what fell into purged days is gone
    assert "days before 2026-01-06 are purged" in result.notes


def test_anonymous_ids_are_remembered_apart(store: layout.Store) -> None:
    purge.apply(store, DAY_2)
    result = answered(store, "retention", {"include_anon": True}, period="day", periods=1)
    assert [row[1] for row in result.rows if row[1]] == [3, 1]  # the anonymous ann is not the user ann


@pytest.mark.parametrize(
    "asked",
    [{"where": ["event_type=seen"]}, {"active_events": ["seen"]}],
)
def test_what_the_memory_cannot_know_is_said(store: layout.Store, asked: dict[str, Any]) -> None:
    purge.apply(store, DAY_2)
    result = answered(store, "retention", asked, period="day", periods=1)
    assert [row[1] for row in result.rows if row[1]] == [2]  # bob and ann, as if both were new
    assert "by what the store holds from 2026-01-06 on" in result.definition["first_ever"]


def test_a_type_that_was_asked_for_is_remembered(store: layout.Store) -> None:
    purge.apply(store, DAY_2, remember=["seen"])
    result = answered(store, "retention", period="day", periods=1, start="seen")
    assert [row[1] for row in result.rows if row[1]] == [2, 1]
    assert result.definition["first_ever"] == "purged days (before 2026-01-06) are remembered"
    other = answered(store, "retention", period="day", periods=1, start="else")
    assert "by what the store holds" in other.definition["first_ever"]
    unknown = "who began in purged days (before 2026-01-06) is not remembered: see the setting remember"
    assert (unknown in result.notes, unknown in other.notes) == (False, True)


def test_a_type_that_was_asked_for_later_is_remembered_from_then_on(store: layout.Store) -> None:
    purge.apply(store, DAY_2)
    purge.apply(store, DAY_3, remember=["seen"])
    result = answered(store, "retention", period="day", periods=1, start="seen")
    assert result.definition["first_ever"] == "purged days (before 2026-01-07) are remembered from 2026-01-06 on"
    purge.apply(store, DAY_3 + timedelta(days=1))  # whoever is remembered stays it
    assert set(firsts.held(store).since) == {firsts.ANY, "seen"}
    assert len(list(firsts.held(store).read(["seen"]))) == 2


def test_an_erased_id_leaves_the_memory(store: layout.Store) -> None:
    purge.apply(store, DAY_2)
    subject = tombstones.load(store).subject
    assert firsts.without(store, []) is None
    assert firsts.without(store, [subject("nobody")]) is None
    left = firsts.without(store, [subject("bob"), subject("ann")])
    assert left is not None
    (store.root / FIRSTS).write_bytes(left)
    assert [found[1] for found in memory(store)] == [bytes.fromhex(subject("eve"))]


def test_erasure_takes_the_memory_along(store: layout.Store) -> None:
    purge.apply(store, DAY_2)
    subject = bytes.fromhex(tombstones.load(store).subject("bob"))
    kit.here(store.root, "delete", "bob")
    assert subject not in {found[1] for found in memory(store)}
    assert len(memory(store)) == 2
    kit.sound(store)


def test_what_comes_in_while_a_purge_looks_is_remembered_too(
    store: layout.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ran = remembering.Memory.take, []

    def took(self: Any, seen: Any) -> None:
        real(self, seen)
        if not ran:
            ran.append(kit.ingest(store, event("late", DAY_1, "max")))

    monkeypatch.setattr(remembering.Memory, "take", took)
    purge.apply(store, DAY_2)
    assert len(memory(store)) == 4
    kit.sound(store)


class _StoodStillError(Exception):
    pass


@pytest.mark.parametrize("memory_first", [True, False])
def test_a_purge_that_stands_still_half_applied_is_seen_whole(
    store: layout.Store, monkeypatch: pytest.MonkeyPatch, *, memory_first: bool
) -> None:
    """Committed, and the memory perhaps not renamed yet: a question reads what the commit says."""

    def stopped(which: layout.Store, record: journal.Record) -> None:
        for source, target in record.renames:
            if memory_first and target == FIRSTS:
                (which.root / source).rename(which.root / target)
        raise _StoodStillError

    monkeypatch.setattr(journal, "_apply", stopped)
    with pytest.raises(_StoodStillError):
        purge.apply(store, DAY_2)
    during = answered(store, "retention", period="day")
    monkeypatch.undo()
    with locks.commit(store):
        journal.recover(store)
    assert during.rows == answered(store, "retention", period="day").rows
    assert sum(row[1] for row in during.rows) == 3


def test_a_purge_while_a_question_is_asked_has_it_asked_again(
    store: layout.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evlog.query import first_seen

    purge.apply(store, DAY_2)
    real, ran = first_seen._memory, []

    def looked(question: Any) -> Any:
        found = real(question)
        if not ran:
            ran.append(purge.apply(store, DAY_3))
        return found

    monkeypatch.setattr(first_seen, "_memory", looked)
    during = answered(store, "retention", period="day")
    assert ran
    assert during.rows == answered(store, "retention", period="day").rows


def test_a_memory_that_is_broken_is_told(store: layout.Store) -> None:
    purge.apply(store, DAY_2)
    path = store.root / FIRSTS
    whole = path.read_bytes()
    head, _, rest = whole.partition(b"\n")
    size = firsts.entries(0, 0, b"", []).dtype.itemsize
    for broken in (
        b"",
        b"{}\n",
        b"[]\n",
        whole[:-1],
        head + b"\n" + rest[size:] + rest[:size],
        head + b"\n" + rest * 2,
    ):
        path.write_bytes(broken)
        assert [finding.path for finding in verify(store).findings] == [FIRSTS]
        with pytest.raises(StoreDamaged):
            firsts.held(store)
    path.write_bytes(whole)
    (path.parent / "stranger").write_bytes(b"")
    assert [finding.says for finding in verify(store).findings] == ["no commit knows this file"]


moments = st.tuples(st.integers(0, 8), st.sampled_from([0, 1, 12, 23]))
whos = st.sampled_from([("u1", None), ("u2", None), ("u3", None), ("u4", None), (None, "u1"), (None, "v2")])
logged = st.lists(st.tuples(moments, whos, st.sampled_from("ab")), min_size=1, max_size=14)


def _event(number: int, moment: tuple[int, int], who: tuple[str | None, str | None], kind: str) -> dict[str, Any]:
    day = DAY_1 + timedelta(days=moment[0])
    more = {"anonymous_id": who[1]} if who[1] else {}
    return {**event(f"e{number}", day, who[0], event_type=kind, **more), "ts": f"{day}T{moment[1]:02}:30:00Z"}


@pytest.mark.long
@settings(max_examples=much(36, 4), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    batches=st.lists(logged, min_size=1, max_size=2),
    compacted=st.booleans(),
    keeps=st.lists(st.integers(0, 9), min_size=1, max_size=2),
    unit=st.sampled_from(["day", "week"]),
    tz=st.sampled_from(["UTC", "America/New_York"]),
    start=st.sampled_from([None, "a"]),
    clock=st.sampled_from(["calendar", "rolling"]),
    anyone=st.booleans(),
)
def test_an_answer_after_a_purge_is_the_one_before_it(
    *, batches: Any, compacted: Any, keeps: Any, unit: Any, tz: Any, start: Any, clock: Any, anyone: Any
) -> None:
    """Cohorts by the first time ever keep their sizes, and their returns wherever the days are held."""
    asked = {"to": "2026-01-16", "tz": tz, "include_anon": anyone}
    options = {"period": unit, "clock": clock, "start": start, "periods": 4}
    with tempfile.TemporaryDirectory(dir=kit.FAST) as folder:
        store = layout.create(Path(folder) / "s")
        for number, batch in enumerate(batches):
            kit.ingest(store, *(_event(number * 100 + n, *said) for n, said in enumerate(batch)), now=NOW)
            if compacted:
                kit.here(store.root, "compact", "2027-01-01")
        tables = answered(store, "retention", asked, **options)
        lives = answered(store, "lifecycle", asked, period=unit)
        for keep in keeps:
            purge.apply(store, DAY_1 + timedelta(days=keep), remember=["a"])
        purged = answered(store, "retention", asked, **options)
        for one, other in zip(tables.rows, purged.rows, strict=True):
            assert one[:2] == other[:2]
            assert all(b in (a, None) for a, b in zip(one[2], other[2], strict=True))
        later = answered(store, "lifecycle", asked, period=unit)
        edge = DAY_1 + timedelta(days=max(keeps) + 1)
        assert [row[:2] for row in later.rows if row[0] >= edge] == [row[:2] for row in lives.rows if row[0] >= edge]
        kit.sound(store)
