"""Bytes and columns are looked through first: whatever speaks of an id is among what is then decoded and judged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
import pyarrow as pa
import pytest
import storekit as kit
from hypothesis import given
from hypothesis import strategies as st
from storekit import DAY_1, DAY_2, event

from evlog.person import mention, scan
from evlog.person.crowd import Crowd, escaped
from evlog.person.likely import Likely
from evlog.store import layout

if TYPE_CHECKING:
    from pathlib import Path

_encode = msgspec.json.Encoder(order="deterministic").encode
IDS = (
    "bob", "b-b", "42", "7", "é", "naïve-user-1", " ", "\u00a0\u00a0\u00a0\u00a0\u00a0", '"', "\\", "a/b", "x y", "[erased]",
    "alice_the_erased", "12345678", "100000000000", "say \"hi\" to 'me'", "back\\slash_1", "user/of/slashes", "漢字の名前です",
    "n",
)  # fmt: skip
LABELS = ("event_id", "session_id", "target_id", "event_type", "category", "feature", "source")
TEXTS = (*LABELS, "user_id", "anonymous_id", "target_type")

ids = st.sampled_from(IDS)
folds = st.booleans()
filling = st.sampled_from(["", " ", "x", "é", "-", ".", "0", "[erased]", "\n", "\t", '"', "\\", "/", ":", "n"])


@st.composite
def _spoken(draw: st.DrawFn) -> str:
    """A text that perhaps speaks of an id, perhaps of one that only looks like it."""
    return draw(filling) + draw(ids) + draw(filling)


numbers = st.sampled_from([7, 42, 12345678, 112345678.5, 1.2345678e15, 1e16, 1e11, 42.0, True, None])
values = st.recursive(
    st.one_of(_spoken(), ids, numbers),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(_spoken(), inner, max_size=2),
        inner.map(lambda one: json.dumps([one])),
        inner.map(lambda one: json.dumps({"in": one}, ensure_ascii=False)),
    ),
    max_leaves=4,
)
events = st.fixed_dictionaries(
    {"properties": st.dictionaries(st.one_of(_spoken(), st.just("k")), values, max_size=2), "context": st.just({})},
    optional=dict.fromkeys(TEXTS, st.one_of(_spoken(), ids, st.sampled_from(["user", "page"]))),
)


def _batch(some: list[dict[str, Any]], *, folded: bool) -> Any:
    """The texts of a part; with `folded` as a file that has dictionaries is read."""
    kept = [{**one, **{name: _encode(one[name]).decode() for name in ("properties", "context")}} for one in some]
    columns = {
        name: pa.array([one.get(name) for one in kept], pa.string()) for name in (*TEXTS, "properties", "context")
    }
    return pa.record_batch({name: one.dictionary_encode() if folded else one for name, one in columns.items()})


@pytest.mark.long
@given(
    st.lists(events, min_size=1, max_size=5), st.lists(ids, min_size=1, max_size=3), st.integers(0, 30), st.booleans()
)
def test_what_speaks_of_an_id_is_among_what_is_judged(
    some: list[dict[str, Any]], users: list[str], strangers: int, folded: Any
) -> None:
    known = mention.of([*users, *(f"somebody_else_{n}" for n in range(strangers))])
    likely = Likely(known)
    lines = [_encode(one) for one in some]
    assert [one for one in lines if scan._event(orjson.loads(one), known)] == [
        one for one in likely.lines(b"\n".join(lines)) if scan._event(orjson.loads(one), known)
    ]
    batch = _batch(some, folded=folded)
    speak = [scan._row(row) for row in batch.to_pylist() if scan._event(scan._row(row), known)]
    near = [scan._row(row) for row in likely.rows(batch).to_pylist()]
    assert [row for row in near if scan._event(row, known)] == speak


@given(st.lists(events, min_size=1, max_size=5), st.lists(ids, min_size=1, max_size=3))
def test_a_few_ids_are_found_where_they_are_found_among_many(some: list[dict[str, Any]], users: list[str]) -> None:
    few, many = Crowd(mention.of(users)), Crowd(mention.of([*users, *(f"somebody_else_{n}" for n in range(30))]))
    batch = _batch(some, folded=False)
    near = {row: whom.users for row, whom in few.rows(batch).items()}
    assert near == {row: whom.users for row, whom in many.rows(batch).items()}
    assert few.in_columns(_batch(some, folded=True)) == many.in_columns(batch)
    assert bool(near) <= (few.in_columns(batch) or escaped(batch))


def test_what_speaks_of_nobody_is_not_judged() -> None:
    known = Likely(mention.of(["alice_the_erased", "42"]))
    plain = [event("1"), event("2", n=42, price=142), event("3", note="to 42nd street")]
    assert known.lines(b"\n".join(json.dumps(one).encode() for one in plain)) == []


@pytest.mark.parametrize("users", [1, 40])
def test_a_part_is_searched_whatever_spells_its_texts(tmp_path: Path, users: int) -> None:
    """In columns with a dictionary and without, in the first row group and in the last."""
    import pyarrow.parquet as pq

    store = layout.create(tmp_path / "s")
    kit.ingest(store, *(event(str(n), note="x", session_id=f"s{n}") for n in range(50)))
    kit.here(store.root, "compact", str(DAY_2))
    table = pq.ParquetFile(store.part(DAY_1)).read()
    known = mention.of(["alice_the_erased", *(f"somebody_{n}" for n in range(users - 1))])
    for name in ("session_id", "properties", "feature"):
        for row in (0, 49):
            told = table.column(name).to_pylist()
            told[row] = '{"note":"alice_the_erased"}' if name == "properties" else "alice_the_erased"
            spoiled = table.set_column(table.schema.get_field_index(name), name, pa.array(told, pa.string()))
            for folded in ([name], []):
                pq.write_table(spoiled, store.part(DAY_1), use_dictionary=folded, row_group_size=7)
                found = scan.scan(store, known, upto=99).found
                assert found == (store.part(DAY_1).relative_to(store.root).as_posix(),)


def test_a_number_may_be_spelled_with_an_exponent() -> None:
    known = Likely(mention.of(["12345678"]))
    spelled = [b'{"n":1.2345678e7}', b'{"n":[1, 1.2345678E+7]}', b'{"n":"{\\"n\\":1.2345678e7}"}']
    assert known.lines(b"\n".join([*spelled, b'{"n":"3e8"}'])) == spelled


@pytest.mark.parametrize("beside", ["{}", "[erased]{}", "{}[erased]", "[erased]{}[erased]"])
def test_what_was_erased_beside_a_short_id_hides_nothing(beside: str) -> None:
    one = {"anonymous_id": beside.format("42"), "properties": {}, "context": {}}
    known = Likely(mention.of(["42"]))
    assert known.rows(_batch([one], folded=False)).num_rows == len(known.lines(_encode(one))) == 1
