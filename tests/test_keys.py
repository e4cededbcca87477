"""Two users who share a `user_key` are noticed before anybody can count them as one, and for good."""

from __future__ import annotations

from datetime import timedelta
from unittest import mock

import pyarrow as pa
import pytest
import storekit as kit
from hypothesis import given, settings
from hypothesis import strategies as st
from storekit import DAY_1, DAY_2, DAY_3, NOW, event

from evlog import compact, verify
from evlog.compact import part
from evlog.person import erase
from evlog.store import journal, keys, layout
from evlog.store.tombstones import Tombstones


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> layout.Store:
    return layout.create(tmp_path_factory.mktemp("keys") / "s")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of two bits: by the last digit of an id."""
    monkeypatch.setattr(Tombstones, "user_keys", lambda _known, users: [int(user[-1]) % 4 for user in users])


def compacted(store: layout.Store, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Compact all; for each commit whether keys told users apart just before it."""
    real, apart = journal.commit, []

    def committing(*given: object, **more: object) -> int:
        apart.append(keys.tell_apart(store))
        return real(*given, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(journal, "commit", committing)
        compact.run(store, before=None)
    return apart


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("room", [part._FITS, -1])
def test_a_shared_key_is_marked_before_the_part_is_there(
    store: layout.Store, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr(part, "_FITS", room)
    kit.ingest(store, event("1", DAY_1, "u1"), event("2", DAY_1, "u2"), event("3", DAY_1, None))
    kit.ingest(store, event("4", DAY_2, "u1"), event("5", DAY_2, "u5"), event("6", DAY_3, "u3"))
    assert compacted(store, monkeypatch) == [True, False, False]
    mark = store.root / layout.COLLISION
    assert mark.stat().st_mode & 0o777 == 0o600
    assert b"u1" not in mark.read_bytes()
    kit.sound(store)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("room", [part._FITS, -1])
def test_a_late_user_may_share_the_key_of_one_in_the_part(
    store: layout.Store, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr(part, "_FITS", room)
    kit.ingest(store, event("1", DAY_1, "u1"), event("2", DAY_1, "u2"))
    assert compacted(store, monkeypatch) == [True]
    assert keys.tell_apart(store)
    kit.ingest(store, event("3", DAY_1, "u6"), now=NOW + timedelta(days=1))
    assert compacted(store, monkeypatch) == [False]


@pytest.mark.usefixtures("few")
def test_a_name_given_instead_may_share_a_key(store: layout.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.ingest(store, event("1", DAY_1, "user-of-one-1"), event("2", DAY_1, "user-of-two-2"))
    compact.run(store, before=None)
    monkeypatch.setattr(Tombstones, "user_keys", lambda _known, users: [2] * len(users))
    erase.erase_each(store, ["user-of-one-1"], erase.How(anonymise=True, at=NOW))
    assert not keys.tell_apart(store)


def test_different_keys_leave_no_mark(store: layout.Store) -> None:
    kit.ingest(store, *(event(f"{n}", DAY_1, f"u{n}") for n in range(50)), event("x", DAY_2, None))
    compact.run(store, before=None)
    assert keys.tell_apart(store)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("at_once", [1, verify._AT_ONCE])
def test_verification_looks_at_all_days_together(
    store: layout.Store, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(verify, "_AT_ONCE", at_once)
    kit.ingest(store, event("1", DAY_1, "u1"), event("2", DAY_1, "u2"), event("3", DAY_2, "u1"))
    compact.run(store, before=None)
    assert verify.verify(store).holds
    kit.ingest(store, event("4", DAY_3, "u6"))
    compact.run(store, before=None)
    assert keys.tell_apart(store)
    (found,) = verify.verify(store).findings
    assert (found.path, found.repairable) == (layout.COLLISION, True)
    mended = verify.verify(store, repair=True)
    assert ([one.path for one in mended.repaired], mended.findings) == ([layout.COLLISION], [])
    assert not keys.tell_apart(store)
    kit.sound(store)


def test_a_key_that_is_not_the_users_is_found(store: layout.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.ingest(store, event("1", DAY_1, "u1"), event("2", DAY_1, "u2"), event("3", DAY_1, None))
    with monkeypatch.context() as patch:
        patch.setattr(Tombstones, "user_keys", lambda _known, users: [ord(user[-1]) for user in users])
        compact.run(store, before=None)
    assert [one.says for one in verify.verify(store).findings] == ["2 events have a user_key that is not their user's"]


@settings(deadline=None)
@given(
    days=st.lists(st.sets(st.text(max_size=2)), max_size=6),
    remembered=st.sampled_from([0, 3, 50]),
    seldom=st.integers(1, 4),
)
def test_remembered_keys_are_the_keys(days: list[set[str]], remembered: int, seldom: int) -> None:
    """Whoever is remembered from another day, and however many."""
    known = Tombstones(b"k" * 32, frozenset(), None, ())
    with mock.patch.object(keys, "_REMEMBERED", remembered), mock.patch.object(keys, "_SELDOM", seldom):
        held = keys.Keys(known)
        for day in days:
            users = sorted(day)
            assert held.of(pa.array(users, pa.string())).tolist() == [known.user_key(user) for user in users]
