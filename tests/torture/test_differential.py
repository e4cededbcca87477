"""What ingest accepts, read back by four readers to equal values: orjson, DuckDB, evlog itself, and pyarrow once compacted.

Equal means the same to the bit: integers to 64 bits, floats, -0.0, text in its own normal form, absent or empty.
"""

from __future__ import annotations

import json
import math
import struct
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import storekit
import torture
from exportkit import evlog
from feed import OPEN, event, feed, new_store, plain, quick, stored, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evlog import compact
from evlog.event.plan import EventRule, Plan, Property
from evlog.event.privacy import Guard
from evlog.ingest.rules import Rules

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Tally

    from evlog.store.layout import Store

__all__ = ["quick"]
ALLOWING = Rules(plan=Plan.open(), guard=Guard("allow"))
PLANNED = Rules(
    plan=Plan(events={"view": EventRule(additional=True, properties={"n": Property(type="number")})}),
    guard=Guard("allow"),
)
SPAN = ("--from", "2026-03-01", "--to", "2026-03-03", "--as-of", "2026-03-10")
TEXTS = ("category", "feature", "source", "target_type")
IDS = ("user_id", "anonymous_id", "session_id", "target_id")

_SIGNS = st.characters(exclude_categories=["Cs"])
_EDGES = st.sampled_from(
    [0, -0.0, 0.0, 1, 1.0, -1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 1e15, 1e16, 1e17, 1e21, 1e22, 1e23, 0.1, 0.30000000000000004,
     9007199254740993.0, 123456789.123456789, 1e-7, 1e-5, "", " ", "null", "NaN", "1", "true", "\x00", "\x1f\x7f\x80", "é", "e\u0301", "\u2028", "\ufeff", "\U0010ffff", "🎉", [], {}, None, True, False, "2026-03-01", "\\", '"', "a" * 300]
)  # fmt: skip
_LEAVES = (
    _EDGES
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(_SIGNS, max_size=8)
)
_KEYS = st.text(_SIGNS, max_size=4) | st.sampled_from(
    ["", "a", "A", "a.b", "/", "~", '"', "\\", "$", "n", "é", "e\u0301", "seq", "ts", "user_id", "date", "\x00"]
)
VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4), max_leaves=10
)
_LABEL = st.text(_SIGNS, min_size=1, max_size=8)
_ID = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    lambda text: text.lower() not in {"null", "none", "undefined", "anonymous"}
)
BODIES = st.fixed_dictionaries(
    {"properties": st.dictionaries(_KEYS, VALUES, max_size=5)},
    optional={"context": st.dictionaries(_KEYS, VALUES, max_size=3), **dict.fromkeys(TEXTS, _LABEL | st.just("")), **dict.fromkeys(IDS, _ID | st.just(""))},
)  # fmt: skip


def exact(value: Any) -> Any:
    """A value in which nothing is equal that is not the same: kinds are told, floats are bits."""
    if isinstance(value, dict):
        return {"object": {key: exact(inner) for key, inner in value.items()}}
    if isinstance(value, list):
        return ["list", *map(exact, value)]
    if isinstance(value, float):
        return struct.pack(">d", value).hex()
    return [type(value).__name__, value]


def _wanted(sent: dict[str, Any]) -> dict[str, Any]:
    """What must be read: what was sent, empty fields absent."""
    return {key: exact(value) for key, value in sent.items() if key != "ts" and value not in ("", {}, None)}


def _seen(row: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """A row of a reader: its JSON opened, what is null absent."""
    opened = {
        key: json.loads(value) if key in {"properties", "context"} and isinstance(value, str) else value
        for key, value in row.items()
    }
    return {key: exact(value) for key, value in opened.items() if key in names and value not in (None, {})}


NAMES = {"event_id", "event_type", "properties", "context", *TEXTS, *IDS}


def by_orjson(store: Store) -> dict[str, Any]:
    raws = [raw for path in store.root.glob("events/*/*.ndjson") for raw in path.read_bytes().splitlines()]
    return {row["event_id"]: _seen(row, NAMES) for row in map(orjson.loads, raws)}


def by_duckdb(store: Store) -> dict[str, Any]:
    """A stranger's DuckDB, told only which columns there are."""
    import duckdb

    kinds = ", ".join(f"{name}: 'VARCHAR'" for name in sorted(NAMES - {"properties", "context"}))
    sql = f"SELECT * FROM read_json('{store.root}/events/*/*.ndjson', format = 'newline_delimited', columns = {{{kinds}, properties: 'JSON', context: 'JSON'}})"
    with duckdb.connect() as connection:
        found = connection.execute(sql)
        names = [column[0] for column in found.description]
        return {
            row["event_id"]: _seen(row, NAMES)
            for row in (dict(zip(names, one, strict=True)) for one in found.fetchall())
        }


def by_evlog(store: Store) -> dict[str, Any]:
    columns = sorted(NAMES)
    return {
        row["event_id"]: _seen(row, NAMES)
        for row in (dict(zip(columns, one, strict=True)) for one in storekit.rows(store, ", ".join(columns)))
    }


def by_pyarrow(store: Store) -> dict[str, Any]:
    from pyarrow import parquet

    tables = [parquet.ParquetFile(path).read() for path in store.root.glob("parquet/*/events.parquet")]
    return {row["event_id"]: _seen(row, NAMES) for table in tables for row in table.to_pylist()}


def _sent(bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        event(**{"event_id": f"e{n}", "ts": f"2026-03-0{n % 3 + 1}T10:00:00Z", "user_id": None} | body)
        for n, body in enumerate(bodies)
    ]


@settings(
    max_examples=torture.much(300, 3),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    bodies=st.lists(BODIES, min_size=1, max_size=12),
    rules=st.sampled_from([ALLOWING, PLANNED]),
    spelt=st.integers(0, 3),
)
def test_every_reader_reads_equal_values(tmp_path_factory: pytest.TempPathFactory, bodies, rules, spelt) -> None:
    sent = _sent(
        [
            body | {"properties": {k: v for k, v in body["properties"].items() if rules is ALLOWING or k != "n"}}
            for body in bodies
        ]
    )
    home = tmp_path_factory.mktemp("sent")
    store = new_store(home)
    lines = [
        json.dumps(one, ensure_ascii=spelt % 2 == 0, separators=(",", ":") if spelt > 1 else None).encode()
        for one in sent
    ]
    assert feed(store, written(home / "log", *lines), rules=rules).tally.stored == len(sent)
    wanted = {one["event_id"]: _wanted(one) for one in sent}
    for reader in (by_orjson, by_duckdb, by_evlog):
        assert reader(store) == wanted, reader.__name__
    keys = [key for one in stored(store) for key in one if key not in {"day", "seq"}]
    assert set(keys) <= {*NAMES, "ts"}
    for one in stored(store):
        assert [*one.get("properties", {})] == sorted(one.get("properties", {}), key=lambda key: key.encode())
    compact.run(store, before=storekit.DAY_1.replace(month=6))
    assert not [*store.root.glob("events/*/*.ndjson")]
    for reader in (by_pyarrow, by_evlog):
        assert reader(store) == wanted, reader.__name__


def test_an_export_can_be_taken_in_again_and_changes_nothing(tmp_path: Path) -> None:
    store, other = new_store(tmp_path / "a"), new_store(tmp_path / "b")
    deep = json.loads('{"a":' * 61 + "1" + "}" * 61)
    bodies = [
        {"properties": {"v": value}}
        for value in (2**53 + 1, 2**64 - 1, -0.0, 5e-324, 1e22, "\0", deep, [None, {}], {"": 1})
    ]
    feed(store, written(tmp_path / "log", *(json.dumps(one).encode() for one in _sent(bodies))))
    code, out, _ = evlog(store.root, "export", "--all-time", "--format", "ndjson")
    assert code == 0
    (tmp_path / "again").write_bytes(out)
    assert feed(store, tmp_path / "again").tally.duplicates == len(bodies)
    assert feed(other, tmp_path / "again").tally.stored == len(bodies)
    held, again = ({one["event_id"]: exact(one) for one in plain(place)} for place in (store, other))
    assert again == held


ALIKE = [(1, True), (1, 1.0), (0, False), (0, -0.0), (0.0, -0.0), ([1], [True]), ({"a": 0}, {"a": False}), ("1", 1)]


@pytest.mark.parametrize(("one", "other"), [*ALIKE, *((b, a) for a, b in ALIKE)])
def test_a_field_that_is_said_twice_and_nearly_the_same_loses_nothing(tmp_path: Path, one: Any, other: Any) -> None:
    store = new_store(tmp_path)
    raw = json.dumps(event(properties={"v": one}) | {"v": other}).encode()
    assert feed(store, written(tmp_path / "log", raw)).tally.conflicts == 1
    held = plain(store)[0]
    assert exact([held["properties"]["v"], held["context"]["conflicts"]["v"]]) == exact([one, other])


REPORTS = (
    ("report", "events"), ("report", "top", "properties.v"), ("report", "trend", "--by", "properties.v"), ("report", "dau"), ("report", "retention"), ("report", "lifecycle"), ("report", "paths"), ("report", "sessions"),
    ("funnel", "view", "view"), ("report", "targets"), ("report", "streaks"), ("report", "stickiness"), ("report", "usage"), ("report", "active"), ("report", "frequency"), ("report", "top", "properties.v", "--avg", "v"),
    ("report", "trend", "--measure", "sum", "--of", "v"), ("export", "--all-time"), ("sql", "SELECT event_id, properties, context FROM events ORDER BY seq"), ("report", "top", "feature", "--where", "properties.v>=1"),
)  # fmt: skip


@settings(
    max_examples=torture.much(40, 1),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(values=st.lists(VALUES, min_size=3, max_size=20), users=st.lists(_ID, min_size=1, max_size=4))
def test_both_tiers_answer_every_question_alike(tmp_path_factory: pytest.TempPathFactory, values, users) -> None:
    home = tmp_path_factory.mktemp("tiers")
    sent = _sent(
        [
            {"properties": {"v": value}, "user_id": users[n % len(users)], "feature": "a"}
            for n, value in enumerate(values)
        ]
    )
    store = new_store(home)
    feed(store, written(home / "log", *(json.dumps(one).encode() for one in sent)), rules=OPEN)
    reports = REPORTS if torture.ALL else REPORTS[len(values) % 7 :: 7]
    hot = [_answer(store, words) for words in reports]
    compact.run(store, before=storekit.DAY_1.replace(month=6))
    assert [_answer(store, words) for words in reports] == hot


def _answer(store: Store, words: tuple[str, ...]) -> bytes:
    span = () if words[0] in {"export", "sql"} else SPAN
    code, out, err = evlog(store.root, *words, *span, "--format", "json")
    assert (code, "Traceback" in err) in {(0, False), (2, False)}, err
    return out


def test_the_measure_tells_apart_what_is_not_the_same(tally: Tally) -> None:
    """Else equality would prove nothing."""
    different = [
        0,
        0.0,
        -0.0,
        False,
        None,
        "",
        "0",
        [],
        {},
        [0],
        [0.0],
        {"": 0},
        2**53,
        2**53 + 1,
        float(2**53),
        "é",
        "e\u0301",
        math.pi,
    ]
    assert len({repr(exact(value)) for value in different}) == len(different)
    tally("readers that agree", histories=torture.much(300, 3), tiers=torture.much(40, 1))
