"""The id index against a dictionary: what it calls a repeat, a stored event, a conflict."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from evlog.errors import StoreDamaged
from evlog.event.record import entry
from evlog.store import ids, layout

if TYPE_CHECKING:
    from pathlib import Path

Event = tuple[str, bytes]  # id, content
EVENTS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from([b"{1}", b"{2}"])), max_size=30)
# halves of hashes that are equal are too rare to wait for: here they are not
HALVES = st.lists(st.tuples(*[st.integers(0, 2)] * 3), max_size=30)


def packed(events: list[Event]) -> ids.Ids:
    return ids.entries(b"".join(entry(name, content) for name, content in events))


def of_halves(triples: list[tuple[int, int, int]]) -> ids.Ids:
    columns = np.array(triples, np.uint64).reshape(-1, 3)
    return ids.Ids(*(np.ascontiguousarray(columns[:, i]) for i in range(3)))


@given(EVENTS)
def test_repeats_are_what_a_dictionary_has_seen(events: list[Event]) -> None:
    first: dict[str, bytes] = {}
    expected = []
    for name, content in events:
        known = first.setdefault(name, content) if name in first else None
        first.setdefault(name, content)
        expected.append((known == content, known is not None and known != content))
    same, other = ids.repeats(packed(events))
    assert list(zip(same.tolist(), other.tolist(), strict=True)) == expected


@given(HALVES, HALVES)
def test_look_ups_find_what_a_dictionary_holds(
    batch: list[tuple[int, int, int]], stored: list[tuple[int, int, int]]
) -> None:
    known = {(high, low): content for high, low, content in reversed(stored)}
    unique = [(high, low, content) for (high, low), content in known.items()]
    same, other = ids.stored_already(of_halves(batch), ids.arranged(of_halves(unique)))
    for (high, low, content), is_same, is_other in zip(batch, same.tolist(), other.tolist(), strict=True):
        there = known.get((high, low))
        assert (is_same, is_other) == (there == content, there is not None and there != content)


@given(EVENTS, st.sets(st.sampled_from("abcdefghxyz")))
def test_without_forgets_exactly_the_named(events: list[Event], gone: set[str]) -> None:
    kept = ids.without(ids.arranged(packed(events)), sorted(gone))
    assert rows(kept) == rows(ids.arranged(packed([one for one in events if one[0] not in gone])))


@given(st.lists(EVENTS, max_size=4))
def test_merged_holds_all_and_is_sorted(many: list[list[Event]]) -> None:
    found = ids.merged([packed(events) for events in many])
    assert rows(found) == rows(packed([one for events in many for one in events]))
    keys = list(zip(found.high.tolist(), found.low.tolist(), strict=True))
    assert keys == sorted(keys)


@given(EVENTS)
def test_an_index_file_says_what_was_written(events: list[Event]) -> None:
    import tempfile
    from pathlib import Path

    found = ids.arranged(packed(events))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.ids"
        path.write_bytes(b"".join(ids.chunks(found)))
        assert path.stat().st_size == ids.ENTRY * len(events)
        again = ids.load(path)
        assert all((a == b).all() for a, b in zip(found, again, strict=True))


def test_a_running_index_notices_files_that_were_replaced(tmp_path: Path) -> None:
    store, day = layout.create(tmp_path / "s"), date(2026, 1, 5)
    path = store.ids(day) / "000000000001-20260120T120000S000000Z-0.ids"
    path.parent.mkdir()
    index = ids.Index(store)

    def put(*names: str) -> None:
        scratch = path.with_suffix(".new")
        scratch.write_bytes(b"".join(ids.chunks(ids.arranged(packed([(name, b"") for name in names])))))
        scratch.rename(path)

    def knows(name: str) -> bool:
        return any(bool(ids.stored_already(packed([(name, b"")]), known)[0].any()) for known in index.known(day))

    put("a", "b")
    assert knows("a")
    assert knows("b")
    put("b")  # as an erasure does: the same name, another file
    assert not knows("a")
    assert knows("b")
    path.unlink()  # as a compaction does
    assert not knows("b")


def test_many_small_files_are_merged_and_nothing_is_lost(tmp_path: Path) -> None:
    store, day = layout.create(tmp_path / "s"), date(2026, 1, 5)
    store.ids(day).mkdir()
    index = ids.Index(store)
    for number in range(20):
        name = store.ids(day) / f"{number:012d}-20260120T120000S000000Z-0.ids"
        name.write_bytes(b"".join(ids.chunks(packed([(f"e{number}", b"x")]))))
        known = index.known(day)
        assert len(known) <= 6
        found = [any(ids.stored_already(packed([(f"e{n}", b"x")]), one)[0].any() for one in known) for n in range(21)]
        assert found == [n <= number for n in range(21)]


def test_a_torn_index_is_no_index(tmp_path: Path) -> None:
    path = tmp_path / "x.ids"
    path.write_bytes(b"1234567")
    with pytest.raises(StoreDamaged, match="no id index"):
        ids.load(path)


def rows(found: ids.Ids) -> list[tuple[int, int, int]]:
    return sorted(zip(*(column.tolist() for column in found), strict=True))


assert xxhash.xxh3_128_digest(b"a") == entry("a", b"")[:16]
