"""DuckDB: the one module that imports it. SQL in, tuples or arrays out; and the gate before a person's own SQL."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from evlog.errors import EvlogError
from evlog.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np

_BLANK = r"(?:\s|--[^\n]*\n|/\*.*?\*/)"
_EXPLAIN = rf"{_BLANK}*EXPLAIN{_BLANK}+(?:ANALYZE{_BLANK}+)?(?:\([^()]*\){_BLANK}*)?"  # compiled when it is needed
_EXPLAIN_BARE = rf"{_BLANK}*EXPLAIN{_BLANK}*"
_MOST = 20_000_000  # values that an answer may hold: each is some 60 to 100 bytes
_IN_FUNCTION = "while executing the UDF: KeyboardInterrupt"  # what Ctrl-C becomes where it meets one of `define`
_BEFORE = {b"AS", b"MATERIALIZED"}  # the parenthesis of a WITH
_WITHS = 5  # that may stand in one another
_READING = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE", "STATEMENT_NODE"}
_RUNS_TEXT = {"query", "query_table", "json_execute_serialized_sql"}  # SQL inside a string escapes the parser's verdict


class EngineError(EvlogError):
    """The engine could not answer: a file that changed, a type that does not fit, memory that ran out."""


class OutOfMemory(EngineError):
    """The engine could not answer within the memory it was given."""

    hint = "ask for fewer days, or allow it more"


class TooMany(EngineError):
    """More rows than can stand in memory at once."""

    hint = "ask for fewer with LIMIT, or sum them up; `evlog export` writes any number of events"

    def __init__(self) -> None:
        super().__init__(f"the answer has more than {_MOST:,} values")


class TooDeep(EngineError):
    """A statement that is nested so deeply that what it does cannot be told."""

    hint = "say it flatter: IN (…) instead of many ORs, a list instead of many sums"

    def __init__(self) -> None:
        super().__init__("the statement is nested too deeply")


class Refused(EvlogError):
    """A person's statement that would do more than read."""

    hint = "the store is changed by evlog's own commands only"

    def __init__(self) -> None:
        super().__init__("only one SELECT, EXPLAIN or DESCRIBE is run, and it may only read")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a question may use: threads (None: all cores), memory, and a folder to spill to (None: none)."""

    threads: int | None = None
    memory: str = "2GB"
    spill: Path | None = None
    footers: bool = False  # whether those of Parquet files are kept from one statement to the next: 22 KB each


USUAL = Limits()
ASKED = Limits(footers=True)
"""Of a report: it reads each footer several times, and may use the memory."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with their column names and the engine's type names."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]


@contextmanager
def connect(limits: Limits = USUAL) -> Iterator[Engine]:
    """Yield an engine that holds nothing yet; it is closed afterwards.

    Nothing is imported and connected before the first statement: what needs none is spared both.
    """
    engine = Engine(limits=limits)
    try:
        yield engine
    finally:
        engine.close()


def _connected(limits: Limits) -> Any:
    """A connection. Importing DuckDB costs 65 ms, connecting 20 ms."""
    import duckdb

    config: dict[str, Any] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "python_enable_replacements": False,  # a name in SQL is never a Python variable
        "memory_limit": limits.memory,
        "temp_directory": str(limits.spill or ""),
    }
    if limits.threads is not None:
        config["threads"] = limits.threads
    connection = duckdb.connect(":memory:", config=config)
    connection.execute("SET TimeZone = 'UTC'")  # not in the config: the setting belongs to ICU, loaded by then
    if limits.footers:
        connection.execute("SET parquet_metadata_cache = true")
    connection.execute("SET enable_progress_bar = false")  # not in the config: DuckDB turns it on where it believes
    # that a person is typing (a main program without a file), and draws it on stdout, in the midst of the answer
    return connection


_MAKES = r"\bCREATE (?:OR REPLACE )?TEMP (TABLE|VIEW) (?:IF NOT EXISTS )?(\w+)"
"""How our own statements make what lasts: noting it costs less than asking the catalogue after every question."""


class Engine:
    """A connection, opened by the first statement: static SQL with named parameters in, tuples or arrays out."""

    def __init__(self, connection: Any = None, *, limits: Limits = USUAL) -> None:
        self._opened = connection
        self._limits = limits
        self._made: dict[str, str] = {}
        self._defined: set[str] = set()
        self._waiting: list[Callable[[], None]] = []

    @property
    def _connection(self) -> Any:
        while self._waiting:
            self._waiting.pop()()
        if self._opened is None:
            self._opened = _connected(self._limits)
        return self._opened

    def beforehand(self, do: Callable[[], None]) -> None:
        """Do something before the next statement; where there is none, not at all."""
        self._waiting.append(do)

    def close(self) -> None:
        """Let go of the connection, where there is one."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def run(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        """Run a statement that answers nothing."""
        with _told():
            self._connection.execute(sql, dict(params or {}))
        self._made |= {name: kind for kind, name in re.findall(_MAKES, sql)}

    def rows(self, sql: str, params: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of the answer."""
        with _told():
            found: list[tuple[Any, ...]] = self._connection.execute(sql, dict(params or {})).fetchall()
            return found

    def define(self, name: str, function: Callable[[str], int]) -> None:
        """Let statements call a function of a text that returns a 64-bit integer; of null it is null."""
        if name not in self._defined:
            with _told():
                self._connection.create_function(name, function, ["VARCHAR"], "BIGINT")
            self._defined.add(name)

    def made(self) -> list[tuple[str, str]]:
        """Kind and name of every temporary table and view there is; views first, since they look at tables."""
        return sorted(((kind, name) for name, kind in self._made.items()), reverse=True)

    def drop(self, made: Iterable[tuple[str, str]]) -> None:
        """Drop temporary tables and views that `made` named."""
        for kind, name in made:
            self.run(f'DROP {kind} IF EXISTS "{name}"')
            self._made.pop(name, None)

    def table(self, sql: str, params: Mapping[str, Any] | None = None) -> Table:
        """The rows of the answer with the names and types of their columns; TooMany where they are too many to hold."""
        with _told():
            cursor = self._connection.execute(sql, dict(params or {}))
            names = tuple(str(column[0]) for column in cursor.description)
            types = tuple(str(column[1]) for column in cursor.description)
            return _held(names, types, cursor.fetchmany(_most(names) + 1))

    def arrays(self, sql: str, params: Mapping[str, Any] | None = None) -> dict[str, np.ndarray[Any, Any]]:
        """The columns of the answer as numpy arrays (masked where they hold nulls)."""
        with _told():
            found: dict[str, np.ndarray[Any, Any]] = self._connection.execute(sql, dict(params or {})).fetchnumpy()
            return found

    def pieces(self, sql: str, *, rows: int = 8_192) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of the answer, so many at a time, streamed; no other statement may run meanwhile."""
        with _told():
            cursor = self._connection.execute(sql)
        while True:
            with _told():
                some: list[tuple[Any, ...]] = cursor.fetchmany(rows)
            if not some:
                return
            yield some

    def batches(self, sql: str, *, rows: int = 8_192) -> Iterator[Any]:
        """The rows of the answer as pyarrow record batches, streamed."""
        with _told():
            reader = self._connection.sql(sql).to_arrow_reader(rows)
        while True:
            with _told():
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    return
            yield batch

    def lock(self, readable: Sequence[Path]) -> None:
        """Shut every door but reading exactly these files; nothing can open one again."""
        self.run("SET allowed_paths = $paths", {"paths": [str(path) for path in readable]})
        self.run("SET enable_external_access = false")
        self.run("SET lock_configuration = true")

    def select(self, text: str) -> Table:
        """The answer to a person's own statement, if it is one that only reads; call `lock` before."""
        self._must_only_read(text)
        return self._utc(text)

    def _must_only_read(self, text: str) -> None:
        """Refuse all but one reading statement, as the engine's own parser tells it.

        A syntax error below some seven WITHs that stand in one another costs that parser gigabytes (DuckDB 2.0): these
        are not given to it.

        The kind of statement is not enough: since DuckDB 2.0 a SELECT may hold `WITH x AS (COPY … TO …)`, and the files
        that may be read may then be written. So the tree itself is walked.
        """
        import duckdb

        if _withs(text) > _WITHS:
            raise TooDeep
        with _told():
            found = duckdb.extract_statements(text)
            kinds = [_kind(statement) for statement in found]
        if kinds not in (["SELECT"], ["EXPLAIN"]):
            raise Refused
        inner = [text] if kinds == ["SELECT"] else _explained(text)
        if not any(self._reads(candidate) for candidate in inner):
            raise Refused

    def _reads(self, text: str) -> bool:
        tree = self.tree(text)
        try:
            return not tree["error"] and len(tree["statements"]) == 1 and _only_reads(tree["statements"])
        except RecursionError:
            raise TooDeep from None

    def tree(self, text: str) -> Any:
        """The parse tree of statements, as the engine tells it; TooDeep where nobody could walk it."""
        told = self.rows("SELECT json_serialize_sql($text)", {"text": text})[0][0]
        try:
            return json.loads(told)
        except RecursionError:
            raise TooDeep from None

    def _utc(self, text: str) -> Table:
        """The rows, with instants that carry a zone as plain UTC: fetching them as they are needs pytz."""
        import duckdb

        with _told():
            relation = self._connection.sql(text) if _describable(text) else None
        if relation is None or not any("WITH TIME ZONE" in str(kind) for kind in relation.types):
            return self.table(text)
        casts = [
            duckdb.ColumnExpression(name).cast("TIMESTAMP").alias(name)
            if str(kind) == "TIMESTAMP WITH TIME ZONE"
            else duckdb.ColumnExpression(name)
            for name, kind in zip(relation.columns, relation.types, strict=True)
        ]
        with _told():
            plain = relation.select(*casts)
            rows = plain.limit(_most(plain.columns) + 1).fetchall()
            return _held(tuple(plain.columns), tuple(map(str, plain.types)), rows)


def _most(names: Sequence[str]) -> int:
    """How many rows of so many columns an answer may have."""
    return _MOST // max(len(names), 1)


def _held(names: tuple[str, ...], types: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Table:
    if len(rows) > _most(names):
        raise TooMany
    return Table(names, types, rows)


def _withs(text: str) -> int:
    """How deep WITHs stand in one another at most: parentheses that follow AS, or AS MATERIALIZED."""
    import duckdb

    letters, deepest, open_ones, before = text.encode(), 0, [], b""
    word_at = re.compile(rb"[A-Za-z]+").match
    for start, kind in duckdb.tokenize(text):
        sign = letters[start : start + 1]
        if kind == duckdb.token_type.operator and sign == b"(":
            open_ones.append(before in _BEFORE)
            deepest = max(deepest, sum(open_ones))
        elif kind == duckdb.token_type.operator and sign == b")" and open_ones:
            open_ones.pop()
        if kind != duckdb.token_type.comment:
            word = word_at(letters, start)
            before = word[0].upper() if word else sign
    return deepest


def _kind(statement: Any) -> str:
    """The name of a statement's kind; empty for one so new that the engine's own Python names it not."""
    try:
        return str(statement.type.name)
    except ValueError:
        return ""


def _begins(pattern: str, text: str) -> re.Match[str] | None:
    return re.match(pattern, text, re.IGNORECASE | re.DOTALL)


def _describable(text: str) -> bool:
    return _begins(_EXPLAIN_BARE, text) is None


def _explained(text: str) -> list[str]:
    """What an EXPLAIN may be about: the text after the word, or after its options."""
    found = (_begins(pattern, text) for pattern in (_EXPLAIN_BARE, _EXPLAIN))
    return [text[match.end() :] for match in found if match is not None]


def _only_reads(tree: Any) -> bool:
    """Whether every node of the parse tree reads: no COPY, INSERT or the like, no function that runs SQL from text."""
    if isinstance(tree, list):
        return all(_only_reads(item) for item in tree)
    if not isinstance(tree, dict):
        return True
    kind = tree.get("type")
    if isinstance(kind, str) and kind.endswith("_NODE") and kind not in _READING:
        return False
    if str(tree.get("function_name", "")).lower() in _RUNS_TEXT or "info_type" in tree:
        return False
    return all(_only_reads(item) for item in tree.values())


@contextmanager
def _told() -> Iterator[None]:
    """Turn the engine's errors into ours: its first line says what is wrong."""
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise OutOfMemory("the question needs more memory than it may use") from error
    except duckdb.Error as error:
        if _IN_FUNCTION in str(error):
            raise KeyboardInterrupt from error
        raise EngineError(_first_line(error)) from error
    except RuntimeError as error:
        if str(error) == "Query interrupted":  # what Ctrl-C becomes where it meets the engine
            raise KeyboardInterrupt from error
        raise


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
