"""The benchmark's own logic: made stores are true stores, and the table says what was measured."""

import pyarrow.parquet as pq
from benchmarks import stores
from benchmarks.people import Shape

from evlog import verify
from evlog.cli.run import run
from evlog.store import ids, layout

SHAPE = Shape(events=900, days=3)
OWN = ["received_at", "user_key", "seq"]  # of a store or of the way in


def test_a_made_store_holds_what_ingest_and_compact_leave(tmp_path):
    made = stores.made(tmp_path, SHAPE)
    asked = tmp_path / "asked"
    assert run(["--data", str(asked), "ingest", str(stores.log(tmp_path, SHAPE)), "--quiet"]) == 0
    assert run(["--data", str(asked), "compact", "--all", "--quiet"]) == 0
    for path in sorted(asked.glob("parquet/*/*.parquet")):
        name = path.relative_to(asked)
        theirs, ours = pq.read_table(path), pq.read_table(made / name)
        assert ours.schema.equals(theirs.schema)
        assert rows(ours) == rows(theirs)
        assert set(footer(made / name)) == set(footer(path))
        day = ids.load(layout.Store(made).ids(layout.day_of(path.parent.name)) / layout.PART_IDS)
        known = ids.load(layout.Store(asked).ids(layout.day_of(path.parent.name)) / layout.PART_IDS)
        assert ids.chunks(day) == ids.chunks(known)
    assert len(list(made.glob("parquet/*/*.parquet"))) == SHAPE.days


def rows(table):
    return sorted(table.drop_columns(OWN).to_pylist(), key=lambda row: row["event_id"])


def footer(path):
    return pq.read_metadata(path).metadata


def test_a_made_store_verifies_and_is_sorted(tmp_path):
    made = stores.made(tmp_path, SHAPE)
    assert verify.verify(layout.open_store(made)).holds
    for path in made.glob("parquet/*/*.parquet"):
        table = pq.read_table(path).select(["user_key", "ts", "seq"])
        assert table.equals(table.sort_by([(name, "ascending") for name in table.column_names]))


def test_the_same_seed_makes_the_same_events(tmp_path):
    first = stores.log(tmp_path, SHAPE).read_bytes()
    assert first.count(b"\n") == SHAPE.events
    (tmp_path / "again").mkdir()
    assert stores.log(tmp_path / "again", SHAPE).read_bytes() == first
    assert stores.log(tmp_path, Shape(events=900, days=3, seed=2)).read_bytes() != first


def test_a_copy_of_a_store_is_its_own(tmp_path):
    made = stores.made(tmp_path, SHAPE)
    copy = stores.copied(made, tmp_path / "copy")
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    user = pq.read_table(next(made.glob("parquet/*/*.parquet")))["user_id"][0].as_py()
    assert run(["--data", str(copy), "user", "delete", user, "--yes", "--quiet"]) == 0
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before
