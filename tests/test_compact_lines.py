"""A part holds what its lines say: the quick reading of lines and the parsing one give the same rows in the same order."""

from __future__ import annotations

import re
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import orjson
import pyarrow as pa
import pytest
import storekit as kit
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from storekit import DAY_1, DAY_2, NOW, event
from torture import much

from evlog import compact
from evlog.compact import part
from evlog.store import layout, lines, parts, snapshot

SIGNS = 'ab é😀"\\{}[],:\n\x07\x1f\x7f/c\u2028'
TEXT = st.one_of(
    st.text(SIGNS, max_size=6),
    st.sampled_from(
        ['},"context":{', '"context":{}', "},", '{"', "}", "\\u001F", "1e5", '":{', "seq", 'x},","yyyyy', "4e5f-1e9"]
    ),
)
NUMBER = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1e16, 1e21, 1e22, 4.8e-06, 1e-7, -0.0, 2**53 + 1, 5e-324, 0.1]),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBER, TEXT),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.one_of(TEXT, st.just("context")), inner, max_size=2)
    ),
    max_leaves=5,
)
OBJECT = st.dictionaries(st.one_of(TEXT, st.sampled_from(["a", "context", "properties", "seq"])), JSON, max_size=3)
LABEL = st.one_of(
    st.none(), st.sampled_from(["x", "d", ":e", "e", ",", "d,", "é", 'a"b', "a\\b", "{", "seq", "u_1", "u_2"])
)
EVENT = st.fixed_dictionaries(
    {"at": st.integers(0, 3), "user_id": LABEL},
    optional={
        "category": LABEL, "anonymous_id": LABEL, "session_id": LABEL, "target_type": LABEL, "target_id": LABEL,
        "feature": LABEL, "source": LABEL, "properties": OBJECT, "context": OBJECT,
    },
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> layout.Store:
    return layout.create(tmp_path / "s")


def sent(name: str, *, at: int = 0, user_id: str | None = None, **more: Any) -> dict[str, Any]:
    """An event at one of a few instants, so that many tie."""
    return event(name, DAY_1, user_id, ts=f"{DAY_1}T10:00:0{at}Z", **more)


def filled(folder: Path, batches: list[list[dict[str, Any]]], *, first: int = 0) -> layout.Store:
    store = layout.create(folder / "s")
    for number, batch in enumerate(batches, first):
        told = [sent(f"e{number}-{place}", **one) for place, one in enumerate(batch)]
        kit.ingest(store, *(orjson.dumps(one) for one in told), now=NOW + timedelta(seconds=number))
    return store


def part_rows(store: layout.Store) -> list[dict[str, Any]]:
    """The rows of the part as they stand in it."""
    return [row for batch in parts.read(store.part(DAY_1)) for row in batch.to_pylist()]


def by_engine(store: layout.Store) -> list[dict[str, Any]]:
    """The rows of the part that the engine makes of a day, which does not fit then."""
    with mock.patch.object(part, "_FITS", -1):
        compact.run(store, before=DAY_2)
    return part_rows(store)


def copied(store: layout.Store, to: str) -> layout.Store:
    import shutil

    shutil.copytree(store.root, store.root.parent / to)
    return layout.open_store(store.root.parent / to)


@settings(max_examples=much(400, 25), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    batches=st.lists(st.lists(EVENT, min_size=1, max_size=6), min_size=1, max_size=4),
    before=st.sampled_from(["nothing", "merge", "compact"]),
    block=st.sampled_from([1, 300, 1 << 20]),
    together=st.sampled_from([1, 1000, 1 << 20]),
)
@example(
    batches=[[{"at": 0, "user_id": "u_1", "properties": {"a": {"b": "}"}, "context": {}}}]],
    before="merge",
    block=1,
    together=1,
)
@example(
    batches=[[{"at": 0, "user_id": None, "properties": {"x": "a},", "yyyyy": {}}}]],
    before="nothing",
    block=1,
    together=1 << 20,
)
def test_lines_and_the_engine_tell_the_same(batches: Any, before: str, block: int, together: int) -> None:
    """Any events in any batches, merged or in part compacted before: the same rows, the same order, as before."""
    with tempfile.TemporaryDirectory(dir=kit.FAST) as folder:
        store = filled(Path(folder), batches[:-1] if before == "compact" else batches)
        if before != "nothing":
            kit.here(store.root, before, str(DAY_1 if before == "merge" else DAY_2))
        if before == "compact":
            filled(Path(folder), batches[-1:], first=len(batches))
        other, rows = copied(store, "other"), kit.rows(store)
        with mock.patch.object(lines, "_BLOCK", block), mock.patch.object(lines, "_RUN", together):
            compact.run(store, before=DAY_2)
        assert kit.rows(store) == rows
        assert part_rows(store) == by_engine(other)
        kit.sound(store)


def test_a_rerun_gives_the_same_bytes(store: layout.Store) -> None:
    kit.ingest(store, *(sent(f"e{n}", at=n % 4, user_id=f"u{n % 7}", properties={"n": n * 0.1}) for n in range(500)))
    other = copied(store, "other")
    for one in (store, other):
        compact.run(one, before=DAY_2)
    assert store.part(DAY_1).read_bytes() == other.part(DAY_1).read_bytes()


ODD = (
    {"feature": 'a"b'}, {"properties": {"a": "\x1f"}}, {"properties": {"a": 1e16}}, {"context": {"a": [4.8e-06]}},
)  # fmt: skip


@pytest.mark.parametrize("more", ODD)
def test_odd_lines_are_parsed_and_only_they(store: layout.Store, more: dict[str, Any]) -> None:
    kit.ingest(
        store, *(orjson.dumps(sent(f"e{n}", user_id="bob")) for n in range(5)), orjson.dumps(sent("odd", **more))
    )
    rows, odd = kit.rows(store), list[int]()

    def noted(staged: Any, held: list[snapshot.Segment]) -> Any:
        odd.extend(one.path.read_bytes().count(b"\n") for one in held)
        return REAL_ODD(staged, held)

    with mock.patch.object(part, "_odd", noted):
        compact.run(store, before=DAY_2)
    assert kit.rows(store) == rows
    assert odd == [1]


REAL_ODD = part._odd
PLAIN = (
    {"properties": {"a": '\\ " \n é'}}, {"properties": {"id": "3e5f", "b": {"c": [{}]}}, "context": {"d": {}}},
    {"properties": {"n": 1e22}, "category": "{}"} | {"properties": {"n": 12.5}},
)  # fmt: skip


@pytest.mark.parametrize("more", PLAIN)
def test_what_is_common_is_not_odd(store: layout.Store, more: dict[str, Any]) -> None:
    kit.ingest(store, orjson.dumps(sent("e", user_id="bob", **more)))
    rows = kit.rows(store)
    with mock.patch.object(part, "_by_engine", side_effect=AssertionError):
        compact.run(store, before=DAY_2)
    assert kit.rows(store) == rows


TOLD = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBER, st.text('e3"\\,}]:x+-', max_size=9)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "3e", "e5"]), inner)),
)


@settings(deadline=None)
@given(
    told=st.lists(st.dictionaries(st.sampled_from(["a", "3e5,"]), TOLD), min_size=1),
    together=st.sampled_from([1, 2, 99]),
)
def test_exponents_are_found_wherever_they_stand(told: list[Any], together: int) -> None:
    """And taken for none in a text."""
    texts = [orjson.dumps(one).decode() for one in told]
    wanted = [bool(re.search(r"\d[eE]", re.sub(r'"(?:[^"\\]|\\.)*"', "", text))) for text in texts]
    with mock.patch.object(lines, "_TEXTS", together):
        assert lines.spelled_otherwise(pa.array([None, *texts])[1:]).tolist() == wanted


def test_columns_say_how_they_are_spelled(store: layout.Store) -> None:
    """Few values make a dictionary; ids of events have their lengths apart; numbers in order are differences."""
    import pyarrow.parquet as pq

    kit.ingest(store, *(sent(f"e{n}", at=n % 4, user_id=f"u{n}", category="c") for n in range(100)))
    compact.run(store, before=DAY_2)
    group = pq.ParquetFile(store.part(DAY_1)).metadata.row_group(0)
    told = {column.path_in_schema: column.encodings for column in map(group.column, range(group.num_columns))}
    assert "RLE_DICTIONARY" in told["category"]
    assert "DELTA_LENGTH_BYTE_ARRAY" in told["event_id"]
    assert "PLAIN" in told["user_id"]
    assert "DELTA_BINARY_PACKED" in told["ts"]
    assert sorted(kit.outside(store.root)) == sorted((f"e{n}", DAY_1) for n in range(100))


def test_many_days_are_made_side_by_side_and_committed_in_order(
    store: layout.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [DAY_1 - timedelta(days=n) for n in range(9, 0, -1)]
    kit.ingest(store, *(event(f"{day}", day) for day in days))
    before = kit.rows(store)
    monkeypatch.setattr(compact, "_WORTH", 0)
    assert [one.day for one in compact.run(store, before=DAY_2)] == days
    assert kit.rows(store) == before
    kit.sound(store)


@pytest.mark.parametrize("worth", [0, 1 << 30])
@pytest.mark.parametrize("alone", [1, 1000])
def test_a_large_day_among_others_is_made_alone_or_left_to_the_engine(
    store: layout.Store, monkeypatch: pytest.MonkeyPatch, worth: int, alone: int
) -> None:
    """Those that come after it are made anew: whoever made them ahead is ended, so that there is memory for it."""
    days = [DAY_1 - timedelta(days=n) for n in range(9, 0, -1)]
    large = (days[2], days[3], days[8])
    kit.ingest(store, *(event(f"{day} {n}", day) for day in days for n in range(40 if day in large else 1)))
    before, sorted_by_engine = kit.rows(store), []
    real = part.by_engine

    def noted(staged: Any, day: Any, *told: Any, **more: Any) -> part.Made:
        sorted_by_engine.append(day.day)
        return real(staged, day, *told, **more)

    monkeypatch.setattr(compact, "_WORTH", worth)
    monkeypatch.setattr(part, "_FITS", 2000)
    monkeypatch.setattr(part, "_ALONE", alone)
    monkeypatch.setattr(part, "by_engine", noted)
    assert [one.day for one in compact.run(store, before=DAY_2)] == days
    assert sorted_by_engine == ([*large] if alone == 1 else [])
    assert kit.rows(store) == before
    kit.sound(store)


def test_a_day_that_fails_among_others_keeps_those_before_it(
    store: layout.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [DAY_1 - timedelta(days=n) for n in range(9, 0, -1)]
    kit.ingest(store, *(event(f"{day}", day) for day in days))
    before, real = kit.rows(store), part.in_memory

    def failing(staged: Any, day: Any, known: Any, *, covers: int) -> part.Made | None:
        if day.day == days[5]:
            raise OSError(28, "No space left on device")
        return real(staged, day, known, covers=covers)

    monkeypatch.setattr(compact, "_WORTH", 0)
    monkeypatch.setattr(part, "in_memory", failing)
    with pytest.raises(OSError, match="No space"):
        compact.run(store, before=DAY_2)
    assert [one.day for one in snapshot.snapshot(store).cold] == days[:5]
    assert kit.rows(store) == before
    kit.sound(store)
