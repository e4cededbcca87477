"""`evlog sql`: one statement that reads is answered, everything else is refused and changes nothing."""

from dataclasses import replace
from datetime import date, datetime

import logs
import pytest
import rollkit
import storekit
from hypothesis import given, settings
from hypothesis import strategies as st
from questions import scoped
from test_sessions import logged
from torture import much

from evlog import engine
from evlog.engine import EngineError, Limits, Refused
from evlog.errors import EvlogError
from evlog.query import answer, sessions, span, sql, view
from evlog.query.ask import Reach
from evlog.query.ask import ask as questioned
from evlog.store.layout import SEQ_BITS, SegmentName
from evlog.store.snapshot import Segment

NOW = datetime(2026, 3, 1)
LOG = """
2026-01-05 09:00 u1 a plan=pro
2026-01-06 10:00 u2 b plan=free feature=x target=t/1 session_id=s source=web category=c anonymous_id=z
"""
COLUMNS = [
    *("event_id", "ts", "event_type", "category", "user_id", "anonymous_id", "session_id", "target_type", "target_id"),
    *("feature", "source", "properties", "context", "received_at", "seq", "date"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store whose path needs quoting, with a part, a segment, and a file beside them."""
    made = logs.store(tmp_path_factory.mktemp("st o'k") / "s", logs.events(LOG), cold=[date(2026, 1, 6)])
    (made.root / "beside.csv").write_text("a\n1\n")
    return made


def ask(store, text):
    return sql.select(store, text, as_of=NOW, limits=Limits(threads=1))


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("SELECT count(*), min(date) FROM events", ((2, date(2026, 1, 5)),)),
        ("FROM events SELECT user_id ORDER BY ts", (("u1",), ("u2",))),
        ("WITH a AS (SELECT 1 AS x) SELECT * FROM a;", ((1,),)),
        ("WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM a WHERE n < 3) FROM a", ((1,), (2,), (3,))),
        ("SELECT properties->>'plan' FROM events ORDER BY seq", (("pro",), ("free",))),
        ("SELECT 'a;b', 1.5, DATE '2026-01-01'", (("a;b", 1.5, date(2026, 1, 1)),)),
        ("SELECT TIMESTAMPTZ '2026-01-01 12:00:00+01'", ((datetime(2026, 1, 1, 11),),)),
        ("SELECT [1, 2], {'a': DATE '2026-01-01'}, 'x'::BLOB", (("[1, 2]", '{"a": "2026-01-01"}', "78"),)),
        ("VALUES (1), (NULL)", ((1,), (None,))),
    ],
)
def test_what_reads_is_answered(store, text, rows):
    assert ask(store, text).rows == rows


def test_an_explanation_has_a_row_for_each_line(store):
    told = ask(store, "EXPLAIN SELECT count(*) FROM events")
    assert [column.name for column in told.columns] == ["plan"]
    assert len(told.rows) > 5
    assert not [line for (line,) in told.rows if "\n" in line or len(line) > 200]


@pytest.mark.parametrize("text", ["SELECT 1 FROM event", "SELECT plan FROM events", "SELEC 1"])
def test_an_error_says_what_can_be_asked_for(store, text):
    with pytest.raises(EngineError) as told:
        ask(store, text)
    assert "\n" not in str(told.value)
    assert told.value.hint == (
        "the views are events, sessions, users and rollups; their columns: evlog sql 'DESCRIBE events'; "
        "a property: properties->>'NAME'"
    )


def test_the_view_has_the_columns_that_are_promised(store):
    assert [column.name for column in ask(store, "SELECT * FROM events").columns] == COLUMNS
    assert [row[0] for row in ask(store, "DESCRIBE events").rows] == COLUMNS
    row = ask(store, "SELECT * FROM events WHERE event_id = 'e1'").rows[0]
    assert row[1:11] == (datetime(2026, 1, 6, 10), "b", "c", "u2", "z", "s", "t", "1", "x", "web")
    assert row[11:] == ('{"plan": "free"}', None, logs.RECEIVED, 1, date(2026, 1, 6))


@pytest.mark.parametrize(
    "text", ["EXPLAIN SELECT 1", "explain /* x */ analyze FROM events", "EXPLAIN (FORMAT json) SELECT 1"]
)
def test_plans_are_shown(store, text):
    assert ask(store, text).columns[0].name == "plan"


def test_an_empty_store_has_an_empty_view(tmp_path):
    assert ask(logs.store(tmp_path, []), "SELECT * FROM events").rows == ()


SESSION_COLUMNS = ["user_id", "session", "session_id", "started", "ended", "duration_s", "events", "date"]


def test_sessions_are_told_by_their_id_or_by_a_gap(tmp_path):
    log = """
    2026-01-05 10:00 a x
    2026-01-05 10:30 a x
    2026-01-05 10:10 a x session_id=s
    2026-01-05 11:00:00.000001 a x
    2026-01-06 23:50 a x session_id=s
    2026-01-05 10:10 b x session_id=s
    2026-01-05 10:10 - x session_id=s
    """
    made = logs.store(tmp_path, logs.events(log))
    day, five = date(2026, 1, 5), datetime(2026, 1, 5)
    found = ask(made, "SELECT * FROM sessions ORDER BY ALL")
    assert [column.name for column in found.columns] == SESSION_COLUMNS
    assert [(row[0], row[1], row[2], *row[5:]) for row in found.rows] == [
        ("a", 1, None, 1800.0, 2, day),
        ("a", 2, "s", 37 * 3600 + 2400.0, 2, day),
        ("a", 3, None, 0.0, 1, day),
        ("b", 1, "s", 0.0, 1, day),
    ]
    assert found.rows[0][3:5] == (five.replace(hour=10), five.replace(hour=10, minute=30))
    assert ask(made, "FROM users ORDER BY user_id").rows == (
        ("a", five.replace(hour=10), datetime(2026, 1, 6, 23, 50), 5),
        ("b", five.replace(hour=10, minute=10), five.replace(hour=10, minute=10), 1),
    )


@settings(max_examples=much(36, 4), deadline=None)
@given(logged(), st.booleans())
def test_the_view_of_sessions_is_what_the_kernel_tells(tmp_path_factory, question, cold):
    events, scope = question
    ever = replace(scope, window=replace(scope.window, as_of=datetime(2035, 1, 1), today=date(2035, 1, 1)))
    plain = replace(ever, include_anon=False, inactive=())
    made = logs.store(tmp_path_factory.mktemp("store"), events, cold=cold)
    found = []

    def report(question):
        visits = sessions.read(question, sessions.Rule(), reach=Reach(None, None))
        held = visits.runs()
        told = zip(visits.ts[held.first].tolist(), visits.ts[held.last].tolist(), held.events.tolist(), strict=True)
        found.extend(told)
        return answer.result(question, "x", columns=(), rows=(), rule="", read=(0, 0))

    questioned(made, plain, report, limits=Limits(threads=1))
    rows = ask(made, "SELECT epoch_us(started), epoch_us(ended), events FROM sessions").rows
    assert sorted(rows) == sorted(found)


COPY = "COPY (SELECT 78 AS x) TO '{part}' (FORMAT parquet, USE_TMP_FILE false)"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-- nothing",
        "SELECT 1; SELECT 2",
        COPY,
        f"WITH a AS ({COPY}) SELECT 1",
        f"EXPLAIN ANALYZE {COPY}",
        f"EXPLAIN {COPY}",
        f"EXPLAIN (ANALYZE) WITH a AS ({COPY}) SELECT 1",
        f"SELECT * FROM (WITH a AS ({COPY}) SELECT 1)",
        "WITH a AS (INSERT INTO events VALUES (1) RETURNING *) FROM a",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM QUERY('SELECT 1')",
        "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
        "INSERT INTO events VALUES (1)",
        "DELETE FROM events",
        "CREATE TABLE t (x INT)",
        "DROP VIEW events",
        "SET threads = 1",
        "RESET memory_limit",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "ATTACH 'other.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "EXPORT DATABASE 'x'",
        "PREPARE x AS SELECT 1",
    ],
)
def test_what_does_more_than_read_is_refused(store, text):
    path = store.part(date(2026, 1, 6))
    before = path.read_bytes()
    with pytest.raises(Refused) as told:
        ask(store, text.format(part=str(path).replace("'", "''")))
    assert told.value.exit_code == 1
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/proc/self/environ')",
        "SELECT * FROM read_blob('{root}/evlog.json')",
        "SELECT * FROM '{root}/beside.csv'",
        "SELECT * FROM read_text('{root}/parquet/date=2026-01-06/../../beside.csv')",
        "SELECT * FROM glob('{root}/*')",
        "SELECT * FROM sniff_csv('{root}/beside.csv')",
        "SELECT * FROM 'https://example.com/x.csv'",
        "SELECT getenv('HOME')",
        "SELECT * FROM LOG",  # a variable of this module
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM enable_profiling()",
    ],
)
def test_nothing_but_the_events_can_be_read(store, text):
    with pytest.raises(EngineError):
        ask(store, text.format(root=str(store.root).replace("'", "''")))


@pytest.mark.parametrize("text", ["selekt", "SELECT nope FROM events", "SELECT $x", "SELECT 1/'a'"])
def test_what_cannot_be_answered_is_told_in_a_line(store, text):
    with pytest.raises(EvlogError) as told:
        ask(store, text)
    assert "\n" not in str(told.value)


def test_a_segment_says_with_its_name_when_and_in_which_batch_its_events_came(tmp_path):
    segments = []
    for batch in (7, 3):
        name = SegmentName(batch, f"2026010{batch}T000000S000001Z", 0)
        path = tmp_path / f"{batch}.staged"
        path.write_text('{"event_type":"a","event_id":"e","ts":"2026-01-01T00:00:00.000000Z","seq":2}\n')
        segments.append(Segment(date(2026, 1, 1), name, path, (0, 0, 0)))
    events, params = view.relation(segments, [])
    with engine.connect(Limits(threads=1)) as opened:
        rows = opened.rows(f"SELECT seq, received_at FROM ({events}) ORDER BY seq", params)
    assert rows == [(batch * 2**SEQ_BITS + 2, datetime(2026, 1, batch, 0, 0, 0, 1)) for batch in (3, 7)]


def test_the_ends_of_a_store(store, tmp_path):
    ends = (datetime(2026, 1, 5, 9), datetime(2026, 1, 6, 10))
    assert span.held(store) == ends
    assert span.held(store, until=ends[1]) == (ends[0], ends[0])
    assert span.held(store, until=ends[0]) is None
    assert span.held(logs.store(tmp_path, [])) is None


@pytest.mark.long
def test_rows_come_in_the_same_order_each_time(tmp_path):
    """Without an ORDER BY too: a rerun gives the same bytes."""
    lines = (f"2026-03-{1 + n % 9:02} 09:{n % 60:02} u{n * 7919 % 5003} e{n % 13}" for n in range(20_000))
    store = logs.store(tmp_path, logs.events("\n".join(lines)))
    texts = ("SELECT * FROM users", "SELECT event_type, user_id, count(*) FROM events GROUP BY ALL")
    for text in texts:
        assert len({sql.select(store, text, as_of=NOW).rows for _ in range(4)}) == 1


ROLLED = """
SELECT   report, metric, dimension, dimension_value, value, grain, period_start, period_end, tz, state, computed_at
FROM     rollups
WHERE    report IN ('dau', 'events', 'wau')
ORDER BY ALL
"""


@pytest.mark.long
@pytest.mark.parametrize("column", ["ts", "CAST(ts AS TIMESTAMPTZ) AS ts"])
def test_an_answer_that_memory_could_not_hold_is_refused(store, monkeypatch, column):
    text = f"SELECT {column}, event_id FROM events LIMIT 2"
    monkeypatch.setattr(engine, "_MOST", 4)
    assert len(sql.select(store, text, as_of=NOW).rows) == 2
    monkeypatch.setattr(engine, "_MOST", 3)
    with pytest.raises(EngineError, match="more than 3 values"):
        sql.select(store, text, as_of=NOW)


def test_the_view_of_rollups_has_each_number_that_is_kept(tmp_path):
    made = logs.store(tmp_path / "s", logs.events("2026-03-02 09:00 u1 a\n2026-03-02 10:00 u2 a"))
    assert ask(made, ROLLED).rows == ()
    scope, _ = scoped({"from": "2026-03-02", "to": "2026-03-02", "as_of": "2026-03-03", "tz": "Asia/Tokyo"})
    rollkit.roll(made, scope, first=date(2026, 3, 2), last=date(2026, 3, 2))
    found = sql.select(made, ROLLED, as_of=datetime(2026, 3, 4, 14), limits=Limits(threads=1)).rows
    day = (
        "day",
        datetime(2026, 3, 1, 15),
        datetime(2026, 3, 2, 15),
        "Asia/Tokyo",
        "provisional",
        datetime(2026, 3, 3, 15),
    )
    assert ("dau", "dau", None, None, 2.0, *day) in found
    assert ("events", "events", "event_type", "a", 2.0, *day) in found
    assert ("wau", "wau_calendar", None, None, 2.0, "week", datetime(2026, 3, 1, 15)) in {row[:7] for row in found}
    states = "SELECT DISTINCT state FROM rollups WHERE grain = 'day'"
    assert sql.select(made, states, as_of=datetime(2026, 3, 4, 15)).rows == (("final",),)
    storekit.here(made.root, "purge", "2026-03-03")
    assert sql.select(made, states, as_of=datetime(2026, 3, 4, 15)).rows == (("frozen",),)


def test_a_statement_that_reads_rollups_may_do_no_more_than_read(store):
    with pytest.raises(Refused):
        ask(store, "DELETE FROM rollups")
    assert ask(store, "SELECT count(*) FROM rollups").rows == ((0,),)
