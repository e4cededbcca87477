"""Targets: what people write by hand: times, dates, durations, conditions, steps, expectations, settings, plans."""

from __future__ import annotations

import atexit
import os
import re
from contextlib import ExitStack, suppress
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from storekit import FAST

from evlog import engine, window
from evlog.check import expect
from evlog.cli import settings, values
from evlog.cli.specs import SPECS
from evlog.errors import EvlogError, PlanError, UsageError
from evlog.event import plan_file, times
from evlog.event.reject import Rejected
from evlog.event.validator import Validator
from evlog.ingest.shapes import shape
from evlog.query import steps, where

_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(:\d\d)?(?:[.,](\d+))? ?(.*)", re.ASCII | re.DOTALL)
_PLAIN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_NOW = datetime(2026, 3, 1, 12)
_STATIC = re.compile(r"[A-Za-z_0-9 ().,|'%:/$=!<>\[\]?+*-]+")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def target_times(data: bytes) -> None:
    """An event time is what datetime (or a fraction) makes of it, and stays what it is; plain ISO is never refused."""
    text = _text(data)
    try:
        told = times.read(text).text
    except Rejected:
        assert _plain(text) is None, text
        return
    assert times.read(told).text == told
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", told)
    assert datetime.fromisoformat(told) == _independent(text.strip()), (text, told)


def _plain(text: str) -> datetime | None:
    """The instant of a time as everybody writes it, by datetime's own reading; None if it is none."""
    if not _PLAIN.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _independent(text: str) -> datetime:
    match = _ISO.fullmatch(text)
    if match is None:
        return _epoch(text)
    day, minute, second, digits, zone = match.groups()
    leap = second == ":60"
    offset = "+00:00" if zone.upper() in {"", "Z", "UTC", "GMT"} else zone
    micros = int((digits or "0").ljust(6, "0")[:6])
    found = datetime.fromisoformat(f"{day}T{minute}{':59' if leap else second or ':00'}{offset}")
    return (found + timedelta(seconds=leap, microseconds=micros)).astimezone(UTC)


def _epoch(text: str) -> datetime:
    number = Fraction(text)
    scale = next(scale for scale in (1, 10**3, 10**6, 10**9) if 946_684_800 <= number / scale < 4_102_444_800)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(number / scale * 10**6))


def target_dates(data: bytes) -> None:
    """A date, an instant, a duration, a zone, a setting of any kind on the command line: read, or refused in words."""
    text = _text(data)
    for read in (
        lambda: window.parse_date(text, today=_NOW.date()).isoformat(),
        lambda: window.as_of(text, tz="Europe/Berlin", now=_NOW),
        lambda: window.instant(text, tz="America/New_York"),
        lambda: window.duration(text),
        lambda: window.zone(text),
        lambda: times.zone(text),
        lambda: expect.parse(text),
    ):
        with suppress(UsageError):
            read()
    for spec in SPECS:
        with suppress(UsageError, ValueError):  # the two that a reader of a setting may raise
            spec.kind.read(text)
    with suppress(UsageError):
        found = window.parse_date(text, today=_NOW.date())
        assert window.parse_date(found.isoformat(), today=date(2000, 1, 1)) == found
    with suppress(ValueError, UsageError):
        assert values.amount(text) > 0


def target_where(data: bytes) -> None:
    """A condition or a step is read, or refused in words; its SQL is static, and the engine takes it with its values."""
    text = _text(data).encode("utf-8", "replace").decode()
    for read in (lambda: (where.parse(text),), lambda: steps.parse([text])[0].conditions):
        try:
            conditions = read()
        except UsageError:
            continue
        for condition in conditions:
            assert where.parse(str(condition)) == condition
        sql, params = where.as_sql(conditions, "w")
        assert _skeleton(sql, params), sql
        _engine().rows(f"SELECT {sql} FROM e", params)


def _skeleton(sql: str, params: dict[str, Any]) -> bool:
    """Whether SQL is made of words of ours alone: a column, functions, operators, the names of its parameters."""
    bare = re.sub(r"'[^']*'", "''", sql.replace(where._NUMBER, ""))
    words = set(re.findall(r"[A-Za-z_]\w*", re.sub(r"\$\w+", "", bare)))
    named = set(re.findall(r"\$(\w+)", bare))
    return bool(_STATIC.fullmatch(sql)) and named == set(params) and words <= _WORDS


_WORDS = {
    "AND", "TRUE", "IS", "NOT", "NULL", "CAST", "CASE", "WHEN", "THEN", "END", "AS", "DOUBLE", "VARCHAR", "contains",
    "lower", "list_contains", "regexp_full_match", "strftime", "json_extract_string", "is", *where.COLUMNS,
}  # fmt: skip


@cache
def _engine() -> engine.Engine:
    opened = _OPEN.enter_context(engine.connect(engine.Limits(threads=1)))
    columns = ", ".join(f"'x' AS {name}" for name in where.COLUMNS if name not in _TYPED)
    opened.run(
        f"CREATE TABLE e AS SELECT {columns}, TIMESTAMP '2026-01-01' AS ts, TIMESTAMP '2026-01-01' AS received_at, "
        """DATE '2026-01-01' AS date, 1 AS seq, '{"a": 1}' AS properties, '{}' AS context"""
    )
    return opened


_OPEN = ExitStack()  # to the end of the process
atexit.register(_OPEN.close)
_TYPED = {"ts", "received_at", "date", "seq", "properties", "context"}


@cache
def _scratch() -> Path:
    return Path(_OPEN.enter_context(TemporaryDirectory(prefix="evlog-fuzz-", dir=FAST)))


def target_config(data: bytes) -> None:
    """A settings file is read, or refused in words that name it; so is a setting in the environment."""
    file = _scratch() / f"{os.getpid()}.toml"
    file.write_bytes(data)
    with suppress(UsageError):
        found = settings.resolve({}, {}, _scratch(), file)
        assert set(found.origins) == {spec.name for spec in SPECS}
    spec, text = SPECS[(data or b"0")[0] % len(SPECS)], _text(data[1:])
    with suppress(UsageError):
        settings.resolve({}, {spec.env: text}, _scratch())


def target_plan(data: bytes) -> None:
    """A plan is read, or refused in words; one that is read can be used."""
    try:
        plan = plan_file.parse(plan_file.text_of(data))
    except PlanError:
        return
    Validator(plan)
    with suppress(EvlogError):
        shape(plan, {})
