"""`evlog sql` reads the views and nothing else; and what people type elsewhere reaches the engine as a value, never as SQL."""

from __future__ import annotations

import itertools
import os
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import household
import logs
import pytest
import torture

from evlog import engine
from evlog.engine import EngineError, Limits, Refused
from evlog.errors import EvlogError
from evlog.query import id_columns, sql

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Tally

    from evlog.store.layout import Store

CANARY = "CANARY-4711"
NOW = datetime(2026, 3, 1)
LOG = "2026-01-05 09:00 u1 a plan=pro\n2026-01-06 10:00 u2 b plan=free"
LIMITS = Limits(threads=1, memory="200MB")

_READERS = (
    "read_csv('{}')", "read_csv_auto(['{}'])", "read_text('{}')", "read_blob('{}')", "read_json('{}')", "read_ndjson_objects('{}')",
    "read_parquet('{}')", "parquet_metadata('{}')", "glob('{}')", "sniff_csv('{}')", "'{}'", '"{}"', "read_duckdb('{}')",
    "parquet_full_metadata('{}')", "read_json_objects_auto(['{}', '{}'])", "read_text('file:' || '{}')",
)  # fmt: skip
_SECRETS = (
    "/etc/passwd", "/proc/self/environ", "/dev/stdin", "{here}/secret.csv", "secret.csv", "file://{here}/secret.csv",
    "{root}/quarantine/x.rejects", "{root}/tombstones/key", "{root}/quarantine/*", "{root}/**", "{segment}/../../../../secret.csv",
    "{part}/../../../tombstones/key", "{root}/evlog.json", "https://localhost:1/x.csv", "s3://bucket/x", "{here}/link.csv",
)  # fmt: skip
_ASKED = (
    "SELECT * FROM {}", "FROM {}", "TABLE {}", "SELECT (SELECT count(*) FROM {})", "WITH x AS MATERIALIZED (FROM {}) FROM x",
    "EXPLAIN SELECT * FROM {}", "EXPLAIN ANALYZE SELECT * FROM {}", "DESCRIBE SELECT * FROM {}", "SUMMARIZE SELECT * FROM {}",
    "SELECT 1 WHERE EXISTS (FROM {})", "SELECT * FROM events, LATERAL (FROM {}) AS x", "SELECT 1 UNION ALL BY NAME FROM {}",
    "/* x */ SELECT /* y */ * -- z\nFROM\t{}", "FROM (PIVOT (FROM {}) ON 1 IN (1) USING count(*))", "SELECT 1 FROM events ANTI JOIN {} ON true",
)  # fmt: skip
_PAIRS = list(itertools.product(_READERS, _SECRETS))
READING = [
    _ASKED[(5 * number + turn) % len(_ASKED)].format(reader).replace("{}", secret)
    for number, (reader, secret) in enumerate(_PAIRS) for turn in range(4)
]  # fmt: skip
"""Every way to read with every secret, each asked for in four of the forms."""

DOING = (
    "COPY events TO '{here}/x'", "COPY (SELECT 1) TO '{part}'", "WITH a AS (COPY (SELECT 1) TO '{here}/x') SELECT 1",
    "ATTACH '{here}/x.db'", "ATTACH ':memory:' AS y", "DETACH memory", "USE memory", "INSTALL httpfs", "FORCE INSTALL httpfs", "LOAD httpfs",
    "LOAD '{here}/x.so'", "UPDATE EXTENSIONS", "EXPORT DATABASE '{here}/x'", "IMPORT DATABASE '{here}'", "COPY FROM DATABASE memory TO temp",
    "PRAGMA database_list", "PRAGMA enable_profiling", "PRAGMA profile_output='{here}/x'", "PRAGMA temp_directory='{here}'",
    "SET threads = 1", "SET enable_external_access = true", "SET allowed_paths = ['/']", "SET SESSION memory_limit = '1TB'", "RESET memory_limit",
    "SET VARIABLE x = 1", "SET lock_configuration = false", "CALL enable_logging()", "CALL pragma_version()", "CHECKPOINT", "VACUUM", "ANALYZE",
    "BEGIN", "COMMIT", "CREATE TABLE t (x INT)", "CREATE TEMP TABLE t AS SELECT 1", "CREATE VIEW v AS SELECT 1", "CREATE MACRO f(a) AS a",
    "CREATE OR REPLACE MACRO f() AS TABLE FROM read_text('{here}/secret.csv')", "CREATE SECRET x (TYPE s3)", "CREATE SCHEMA x", "CREATE SEQUENCE x",
    "CREATE TYPE x AS ENUM ('a')", "CREATE INDEX x ON rollups (tz)", "ALTER VIEW events RENAME TO x", "COMMENT ON VIEW events IS 'x'", "DROP VIEW events",
    "DROP TABLE rollups", "TRUNCATE rollups", "INSERT INTO rollups VALUES (1)", "UPDATE rollups SET tz = 'x'", "DELETE FROM rollups",
    "WITH a AS (DELETE FROM rollups RETURNING *) FROM a", "WITH a AS (INSERT INTO rollups DEFAULT VALUES RETURNING *) FROM a",
    "MERGE INTO rollups USING events ON true WHEN MATCHED THEN DELETE", "PREPARE x AS SELECT 1", "EXECUTE x", "DEALLOCATE x",
    "PIVOT events ON event_type USING count(*)", "SELECT 1; SELECT 2", "SELECT 1; COPY events TO '{here}/x'", ";;COPY events TO '{here}/x'",
    "EXPLAIN COPY events TO '{here}/x'", "EXPLAIN ANALYZE COPY events TO '{here}/x'", "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1",
    "explain/**/analyze/**/delete from rollups", "EXPLAIN (ANALYZE, FORMAT json) DELETE FROM rollups", "\ufeffCOPY events TO '{here}/x'",
    "/* SELECT 1 */ COPY events TO '{here}/x'", "-- SELECT\nDROP VIEW events", "SELECT * FROM query('COPY events TO ''{here}/x''')",
    "SELECT * FROM query_table('events')", "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))", "SHOW TABLES; DROP VIEW events",
)  # fmt: skip
HARMLESS_OR_NOT = (
    "SELECT * FROM enable_logging(storage='file', storage_path='{here}/log')", "SELECT * FROM enable_logging('QueryLog', storage='stdout')",
    "SELECT * FROM enable_profiling()", "FROM truncate_duckdb_logs()", "SELECT write_log('x')", "FROM checkpoint()", "FROM force_checkpoint()",
    "SELECT getenv('SECRET_OF_THE_TEST')", "SELECT getvariable('x')", "FROM duckdb_settings()", "FROM duckdb_secrets()", "FROM duckdb_extensions()",
    "FROM which_secret('s3://x', 's3')", "FROM duckdb_views()", "FROM duckdb_tables()", "FROM duckdb_databases()", "FROM duckdb_logs", "FROM sqlite_master",
    "FROM duckdb_temporary_files()", "FROM pragma_database_size()", "FROM pragma_storage_info('rollups')", "FROM pandas_scan(1)", "FROM arrow_scan(1, 2, 3)",
    "FROM arrow_scan_dumb(1, 2, 3)", "FROM seq_scan()", "FROM python_map_function()", "FROM sqlite_scan('a', 'b')", "FROM postgres_scan('a', 'b', 'c')",
    "FROM iceberg_scan('{here}')", "FROM delta_scan('{here}')", "FROM ST_Read('{here}/secret.csv')", "FROM read_xlsx('{here}/secret.csv')",
    "FROM sql_auto_complete('SEL')", "FROM test_all_types()", "SELECT error('x')", "SELECT nextval('x')", "FROM repeat_row(1, num_rows = 3)",
    "SELECT json_serialize_plan('FROM read_text(''{here}/secret.csv'')')", "SELECT file_exists('/etc/passwd')", "SELECT current_setting('home_directory')",
    "SELECT list_transform(['{here}/secret.csv'], x -> (FROM read_text(x)))", "SELECT regexp_matches(repeat('a', 40) || '!', '(a+)+$')",
    "SELECT length(repeat('x', 1000000))", "SELECT DISTINCT range FROM range(100000000)", "SELECT count(*) FROM range(100000)", "SELECT ?", "SELECT $1, $x",
    "SELECT {{'a': 1}}::JSON", "SELECT 'a\0b'", "SELECT chr(0), '\\x00'::BLOB", "FROM events AT (VERSION => 1)", "SELECT COLUMNS('.*') FROM events",
    "FROM histogram('events', 'seq')", "FROM events TABLESAMPLE 10%", "SELECT json_extract(properties, '$..*') FROM events",
)  # fmt: skip
DEEP = (
    "SELECT " + "+".join("1" * 900), "SELECT" + " NOT" * 900 + " TRUE", "SELECT " + "[" * 900 + "]" * 900, "(" * 5000 + "1" + ")" * 5000,
    "SELECT 1" + " UNION ALL SELECT 1" * 900, "SELECT CASE WHEN true THEN " * 400 + "1" + " END" * 400, "WITH x AS (" * 300 + "SELECT 1",
)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store that holds secrets, with secrets beside it."""
    here = tmp_path_factory.mktemp("sql")
    made = logs.store(here / "s", logs.events(LOG), cold=[date(2026, 1, 6)])
    (here / "secret.csv").write_text(f"a\n{CANARY}\n")
    (here / "link.csv").symlink_to(here / "secret.csv")
    (made.root / "quarantine" / "x.rejects").write_text(CANARY)
    (made.root / "tombstones" / "key").write_bytes(f"{CANARY}{'k' * 32}".encode()[:32])
    return made


def filled(store: Store, text: str) -> str:
    """A statement with the paths of this store."""
    segment = next((store.root / "events").glob("*/*"))
    places = {"here": store.root.parent, "root": store.root, "part": store.part(date(2026, 1, 6)), "segment": segment}
    return text.format(**places)


def attempted(store: Store, text: str) -> EvlogError | None:
    """How a statement was refused, None if it was answered; nothing is let out, nothing changes, nothing else is raised."""
    before = _files(store.root.parent)
    refused = None
    try:
        found = sql.select(store, text, as_of=NOW, limits=LIMITS)
        assert CANARY not in repr(found.rows), text
        assert "root:" not in repr(found.rows), text
        assert os.environ["PATH"] not in repr(found.rows), text
    except EvlogError as error:
        assert CANARY not in str(error), text  # noqa: PT017 - not that it is raised: what it says
        assert "\n" not in str(error), text  # noqa: PT017
        refused = error
    assert _files(store.root.parent) == before, text
    return refused


def _files(here: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in here.rglob("*") if path.is_file()}


def test_no_file_but_events_is_read_by_whatever_function(store: Store, tally: Tally) -> None:
    some = torture.share(READING, 53, "reading")
    for asked in some:
        text = filled(store, asked)
        told = attempted(store, text)
        looks_only = text.startswith("DESCRIBE") or (text.startswith("EXPLAIN SELECT") and "sniff_csv" in text)
        assert told is not None or looks_only, text  # what is not run reads nothing
    tally("sql", statements=len(some))


def test_nothing_but_reading_is_done(store: Store, tally: Tally) -> None:
    some = torture.share(DOING, 3, "doing")
    for text in some:
        assert isinstance(attempted(store, filled(store, text)), (Refused, EngineError)), text
    tally("sql", statements=len(some))


def test_what_may_be_asked_lets_nothing_out(store: Store, tally: Tally) -> None:
    some = [filled(store, text) for text in torture.share(HARMLESS_OR_NOT, 4, "harm")] + torture.share(DEEP, 3, "deep")
    for text in some:
        attempted(store, text)
    tally("sql", statements=len(some))


def test_a_statement_nested_too_deeply_is_told_so(store: Store) -> None:
    for text in (DEEP[0], "WITH x AS (" * 9 + "SELECT 1 1", "WITH x AS NOT MATERIALIZED (" * 9 + "SELECT 1"):
        assert str(attempted(store, text)) == "the statement is nested too deeply"
    four = "WITH y AS /* é */ (" * 4 + "SELECT 1 AS z" + ") FROM y" * 4
    assert attempted(store, four) is None
    with pytest.raises(engine.TooDeep):
        id_columns.vet(DEEP[0])
    assert isinstance(attempted(store, "UPDATE EXTENSIONS"), Refused)  # a kind of statement that has no name in Python


def test_without_the_lock_the_attempts_would_find_something(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check sees what it looks for."""
    monkeypatch.setattr(engine.Engine, "lock", lambda self, readable: None)
    for text in ("SELECT * FROM read_text('{here}/secret.csv')", "SELECT * FROM '{here}/link.csv'"):
        with pytest.raises(AssertionError):
            attempted(store, filled(store, text))
    monkeypatch.setattr(engine.Engine, "_must_only_read", lambda self, text: None)
    with pytest.raises(AssertionError):
        attempted(store, filled(store, "COPY (SELECT 1) TO '{here}/x'"))


# -- what people type elsewhere ------------------------------------------------------------------------------------------

MARK = "zqmark"
HOSTILE = (
    f"{MARK}'; DROP TABLE seen; --", f'{MARK}"; DROP VIEW events; --', f"{MARK}$1", f"{MARK} OR 1=1", f"{MARK}{{0}}{{events}}%s", f"{MARK}\\",
    f"{MARK}') UNION SELECT 1 --", f"{MARK}(((a+)+)+)+$", f"{MARK}/*", f"{MARK}\u2019 OR \u20181", f"{MARK}$$x$$", f"{MARK}?",
)  # fmt: skip
TYPED: tuple[tuple[str, ...], ...] = (
    ("report", "top", "event_type", "--where", "user_id={}"), ("report", "events", "--where", "{}=1"), ("report", "events", "--where", "properties.{} exists"),
    ("report", "events", "--where", 'properties."{}" in {},b'), ("report", "events", "--where", "feature ~ {}"), ("report", "dau", "--by", "properties.{}"),
    ("report", "dau", "--active-events", "{}"), ("report", "targets", "--target-type", "{}", "--avg", "{}"), ("report", "top", "properties.{}"),
    ("report", "trend", "properties.{}"), ("funnel", "{}", "seen"), ("funnel", "seen[properties.{}={}]", "signup"), ("funnel", "seen", "signup", "--hold", "properties.{}"),
    ("funnel", "seen", "signup", "--exclude", "{}@1..2"), ("funnel", "seen", "signup", "--unit", "properties.{}"), ("funnel", "seen", "signup", "--explain", "{}"),
    ("dropoff", "--start", "{}", "--complete", "{}"), ("report", "retention", "--start", "{}", "--return", "{}[x={}]"), ("report", "index", "--user", "{}"),
    ("user", "journey", "{}"), ("user", "export", "{}"), ("user", "link", "{}", "{}b"), ("user", "unlink", "{}"), ("user", "suppress", "{}"),
    ("user", "delete", "{}", "--yes"), ("user", "delete", "{}", "--anonymise", "--yes"), ("export", "--where", "user_id = {}"), ("report", "dau", "--tz", "{}"),
    ("check", "--expect", "funnel.{} >= 1"), ("report", "{}"), ("rejects", "show", "--reason", "{}"), ("report", "paths", "--start", "{}"),
)  # fmt: skip


def test_what_people_type_reaches_the_engine_as_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    home = household.copied(household.usual(), tmp_path / "home")
    seen: list[str] = []
    for name in ("run", "rows", "table", "arrays", "batches"):
        monkeypatch.setattr(engine.Engine, name, _listening(getattr(engine.Engine, name), seen))
    cases = [(words, text) for words in TYPED for text in HOSTILE]
    some = torture.share(cases, 53, "typed")
    for words, text in some:
        told = household.call(home, *(word.replace("{}", text) for word in words))
        assert told.code in (0, 1, 2), (words, text, told)
        assert "bug in evlog" not in told.err, (words, text, told)
    assert seen
    assert [statement for statement in seen if MARK in statement] == []
    tally("typed", calls=len(some))


def _listening(method: Any, seen: list[str]) -> Any:
    def heard(self: engine.Engine, text: str, *more: Any, **options: Any) -> Any:
        seen.append(text)
        return method(self, text, *more, **options)

    return heard
