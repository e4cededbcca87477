"""A person's own SELECT over the views `events`, `sessions`, `users` and `rollups`, with every other door shut."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from evlog.engine import USUAL, EngineError, Table, connect
from evlog.query import rollup_view, view
from evlog.query.result import Column, Result
from evlog.store.snapshot import steady

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evlog.engine import Engine, Limits
    from evlog.query.result import Kind
    from evlog.store.layout import Store
    from evlog.store.snapshot import Snapshot

_ROLLUPS = "rollups"
_HINT = (
    "the views are events, sessions, users and rollups; their columns: evlog sql 'DESCRIBE events'; "
    "a property: properties->>'NAME'"
)
_EXPLAINED = ("explain_key", "explain_value")
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(_WHOLE, "count"),
    "FLOAT": "number",
    "DOUBLE": "number",
    "DATE": "date",
    "TIMESTAMP": "instant",
    "BOOLEAN": "flag",
}


_STEADY = replace(USUAL, threads=1)  # with several, rows that no ORDER BY arranges come in another order each time


def select(store: Store, text: str, *, as_of: datetime, limits: Limits = _STEADY) -> Result:
    """The answer to one statement that only reads; UsageError for any other."""
    return steady(store, partial(_select, store=store, text=text, as_of=as_of, limits=limits))


def _select(snapshot: Snapshot, *, store: Store, text: str, as_of: datetime, limits: Limits) -> Result:
    with connect(limits) as engine:
        view.offer(engine, snapshot.hot, snapshot.cold)
        view.offer_more(engine)
        rollup_view.offer(engine, store, as_of=as_of, filled=_ROLLUPS in text.lower())
        engine.lock([*snapshot.segments, *snapshot.parts])
        found = _readable(_told(engine, text))
    return Result(
        report="sql",
        columns=tuple(Column(name, _kind(kind)) for name, kind in zip(found.names, found.types, strict=True)),
        rows=_rows(found),
        as_of=as_of,
        params={"sql": text},
    )


def _told(engine: Engine, text: str) -> Table:
    """The answer; where the engine has none, the error says what can be asked for."""
    try:
        return engine.select(text)
    except EngineError as error:
        raise EngineError(str(error), hint=error.hint or _HINT) from error


def _readable(found: Table) -> Table:
    """An explanation with a row for each line of its drawing, which is one long text otherwise; else as it is."""
    if found.names != _EXPLAINED:
        return found
    lines = [line for _, drawing in found.rows for line in str(drawing).splitlines()]
    return Table(("plan",), ("VARCHAR",), [(line,) for line in lines])


def _kind(type_name: str) -> Kind:
    return "number" if type_name.startswith("DECIMAL") else _KINDS.get(type_name, "text")


def _rows(found: Table) -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(_plain(value) for value in row) for row in found.rows)


def _plain(value: Any) -> Any:
    """The value as every format can carry it: what JSON has no form for is said as text."""
    if value is None or isinstance(value, str | int | float | date | datetime):
        return value
    if isinstance(value, Decimal):
        return float(value)
    return _text(value)


def _text(value: Any) -> str:
    import json

    if isinstance(value, dict | list | tuple):
        return json.dumps(_jsonable(value), ensure_ascii=False)
    return value.hex() if isinstance(value, bytes) else str(value)


def _jsonable(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, dict):
        return _fields(value)
    plain = _plain(value)
    return plain.isoformat() if isinstance(plain, date) else plain


def _fields(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): _jsonable(item) for key, item in value.items()}
