"""The benchmark's own logic: made stores are true stores, and the table says what was measured."""

import itertools
import json

import pyarrow.parquet as pq
import pytest
from benchmarks import run as bench
from benchmarks import stores
from benchmarks.measure import Cost, RunError
from benchmarks.people import Shape
from benchmarks.row import Bench, Reach, Row, same_as
from benchmarks.rows import ROWS
from benchmarks.table import HEAD, Figures, markdown

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


# -- the table ---------------------------------------------------------------------------------------------------------


def figures(reach, ours, theirs=(), trouble=""):
    row = Row("row", "work", "against", reach, ours=None)
    return Figures(row, tuple(ours), tuple(theirs), trouble)


def cost(wall, *, peak=None, size=None, count=None):
    return Cost(wall_s=wall, cpu_s=wall / 2, peak_mb=peak, size=size, count=count)


FAST, SLOW = cost(1, peak=100, size=70, count=10), cost(2, peak=900, size=100, count=10)


@pytest.mark.parametrize(
    ("reach", "says"),
    [
        (Reach(ratio=0.05, wall_ms=250), "≤ 1/20, ≤ 250 ms"),
        (Reach(ratio=1, bytes=0.8), "≤ 1, bytes ≤ 0.8"),
        (Reach(more_ms=60), "+ ≤ 60 ms"),
        (Reach(each_ms=2, peak_mb=400), "each ≤ 2 ms, ≤ 400 MB"),
        (Reach(), ""),
    ],
)
def test_a_reach_says_what_it_asks_for(reach, says):
    assert str(reach) == says


@pytest.mark.parametrize(
    ("reach", "held"),
    [
        (Reach(ratio=0.5), True),
        (Reach(ratio=0.49), False),
        (Reach(more_ms=-1000), True),
        (Reach(more_ms=-1001), False),
        (Reach(each=0.5), True),
        (Reach(each=0.4), False),
        (Reach(each_ms=100), True),
        (Reach(each_ms=99), False),
        (Reach(wall_ms=1000), True),
        (Reach(wall_ms=999), False),
        (Reach(bytes=0.7), True),
        (Reach(bytes=0.69), False),
        (Reach(peak_mb=100), True),
        (Reach(peak_mb=99), False),
    ],
)
def test_a_row_is_held_up_to_its_reach(reach, held):
    assert figures(reach, [FAST], [SLOW]).verdict().startswith("held" if held else "missed")


def test_the_median_of_the_rounds_decides_but_memory_is_the_highest():
    rounds = [cost(1), cost(1), cost(9, peak=500)]
    assert figures(Reach(ratio=1), rounds, [cost(1)] * 3).verdict() == "held"
    assert figures(Reach(ratio=1, peak_mb=400), rounds, [cost(1)] * 3).verdict() == "missed: memory"


def test_a_ratio_is_taken_round_by_round():
    found = figures(Reach(ratio=1), [cost(1), cost(4), cost(9)], [cost(2), cost(4), cost(3)])
    assert found.cells()[HEAD.index("ours to theirs (min, max)")] == "1 (0.5, 3)"


def test_a_row_without_figures_or_in_trouble_is_never_held():
    assert figures(Reach(ratio=1), []).verdict() == "no figures"
    assert figures(Reach(ratio=1), [FAST]).verdict() == "missed: time"
    assert figures(Reach(ratio=1), [FAST], [SLOW], "the answers differ").verdict() == "in doubt"
    assert figures(Reach(), [FAST], [SLOW]).verdict() == ""


def test_the_table_lines_up():
    lines = markdown([figures(Reach(ratio=1), [FAST], [SLOW]), figures(Reach(), [])]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert {line.count("|") for line in lines} == {len(HEAD) + 1}


# -- the run -----------------------------------------------------------------------------------------------------------


def measured(tmp_path, rows, rounds=2):
    return bench.measured(rows, Bench(bench.SMALL, tmp_path / "log", tmp_path), rounds)


def test_the_peer_goes_first_every_other_round(tmp_path):
    went = []
    row = Row("row", "", "", Reach(), lambda _: went.append("ours") or FAST, lambda _: went.append("theirs") or SLOW)
    measured(tmp_path, [row])
    assert went == ["ours", "theirs", "theirs", "ours"]


def test_a_side_that_fails_leaves_no_pair_and_stops_nobody(tmp_path):
    turns = itertools.count()

    def sometimes(_):
        if next(turns) == 0:
            raise RunError("no")
        return FAST

    other = Row("other", "", "", Reach(ratio=1), lambda _: FAST, lambda _: SLOW)
    row, other = measured(tmp_path, [Row("row", "", "", Reach(ratio=1), sometimes, lambda _: SLOW), other])
    assert (row.ours, row.theirs, row.verdict()) == ((FAST,), (SLOW,), "in doubt")
    assert row.trouble == "ours: no"
    assert other.verdict() == "held"


def test_answers_that_differ_are_told(tmp_path):
    right, wrong = Cost(1, 1, None, answer=[1, 2]), Cost(1, 1, None, answer=[1, 3])
    rows = [
        Row("equal", "", "", Reach(ratio=1), lambda _: right, lambda _: right),
        Row("unequal", "", "", Reach(ratio=1), lambda _: right, lambda _: wrong),
    ]
    equal, unequal = measured(tmp_path, rows)
    assert equal.verdict() == "held"
    assert unequal.verdict() == "in doubt"
    assert unequal.trouble == "the answers differ: ours 2, theirs 3"


def test_a_row_can_use_what_another_measured_in_the_same_round(tmp_path):
    costs = itertools.count(1)
    first = Row("first", "", "", Reach(), lambda _: cost(next(costs)))
    rows = measured(tmp_path, [first, Row("second", "", "", Reach(), same_as("first"), same_as("first"))])
    assert [one.wall_s for one in rows[1].ours] == [1, 2]
    (alone,) = measured(tmp_path, [Row("second", "", "", Reach(), same_as("first"))])
    assert alone.trouble == "ours: needs the row first"


def test_rows_are_chosen_by_name_pattern_and_size():
    assert [row.name for row in bench.chosen("ingest,version", bench.SMALL)] == ["ingest", "version"]
    assert {row.name for row in bench.chosen("purge*", bench.FULL)} == {"purge", "purge-more", "purge-long"}
    assert "purge-long" not in {row.name for row in bench.chosen("*", bench.SMALL)}
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_what_was_measured_is_kept_for_machines(tmp_path):
    found = figures(Reach(ratio=1), [FAST], [SLOW])
    assert bench.report([found], {"size": "small"}, tmp_path) == 0
    (row,) = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert (row["verdict"], row["reach"], row["ours"][0]["wall_s"]) == ("held", "≤ 1", 1)
    assert (tmp_path / "results.md").read_text().startswith("size small\n\n| row")
