"""Nothing that people or libraries say steers a terminal: words of a call, names of files, settings, plans, other holders."""

from __future__ import annotations

import csv
import io
import os
import re
from typing import TYPE_CHECKING

import household
import pytest
import storekit as kit
import torture

from evlog.store import layout, locks

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Tally

STEERS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)  # what a terminal obeys, and what turns text round
EVIL = ("\x1b]0;owned\x07", "\x1b[2J\x1b[H", "\x9b31m", "a\rb", "\u202egnp.exe", "\x1b[8m\u2066", "\x7f\x08\x08")
CALLS: tuple[tuple[str, ...], ...] = (
    ("{}",), ("report", "{}"), ("report", "dau", "{}"), ("report", "dau", "--{}"), ("report", "dau", "--days", "{}"), ("report", "dau", "--tz", "{}"),
    ("report", "dau", "--as-of", "{}"), ("report", "dau", "--from", "{}"), ("report", "dau", "--format", "{}"), ("report", "events", "--where", "{}"),
    ("report", "events", "--where", "{} ~ {}"), ("report", "events", "--by", "{}"), ("report", "events", "--output", "{}/{}"), ("funnel", "{}"),
    ("funnel", "seen", "[{}"), ("funnel", "{}", "seen", "--format", "table"), ("funnel", "seen", "signup", "--window", "{}"), ("funnel", "seen", "--like", "{}"),
    ("ingest", "{}"), ("ingest", "third.ndjson", "--map", "{}"), ("ingest", "third.ndjson", "--preset", "{}"), ("ingest", "third.ndjson", "--max-rejects", "{}"),
    ("ingest", "named.ndjson"), ("rejects", "show"), ("rejects", "list"), ("--data", "{}", "status"), ("--config", "{}", "status"), ("--data", "{}", "ingest", "third.ndjson"),
    ("--data", "{}", "init"), ("init", "{}"), ("plan", "check", "{}"), ("plan", "show", "--plan", "{}"), ("plan", "add", "{}"), ("plan", "add", "x", "--property", "{}"),
    ("sql", "{}"), ("sql", "SELECT '{}' AS \"{}\""), ("sql", 'SELECT "{}" FROM events'), ("sql", "SELECT error('{}')"), ("user", "export", "{}"), ("user", "journey", "{}"),
    ("user", "delete", "{}", "--yes"), ("user", "link", "{}", "{}"), ("user", "suppress", "{}"), ("user", "unlink", "{}"), ("user", "export", "ann_the_first", "--to", "{}"),
    ("user", "export", "ann_the_first", "--output", "{}"), ("export", "--into", "{}"), ("export", "--resume", "{}", "--output", "x"), ("export", "--report", "{}"),
    ("archive", "--to", "{}", "--older-than", "2d", "--as-of", "2026-01-09", "--yes"), ("archive", "restore", "{}"), ("archive", "verify", "{}"),
    ("archive", "--to", "v", "--encrypt-to", "{}", "--yes"), ("check", "--expect", "{}"), ("check", "--expect", "dau>={}"), ("audit", "verify", "--head", "{}"),
    ("config",), ("purge", "--older-than", "{}"), ("compact", "--before", "{}"), ("rollup", "--grain", "{}"), ("user", "rotate-key", "--yes", "--pseudonym-key", "{}"),
    ("report", "journey", "{}"), ("dropoff", "--start", "{}"), ("overview", "--since", "{}"), ("report", "experiment", "{}"), ("report", "index", "--index", "{}"),
)  # fmt: skip


def _clean(home: Path, *words: str, environ: dict[str, str] | None = None) -> household.Told:
    """A call, of which nothing that it prints steers a terminal."""
    told = household.call(home, *words, environ=environ)
    for said in (told.out, told.err):
        assert STEERS.search(said) is None, (words, environ, STEERS.search(said), said[:800])
    assert "bug in evlog" not in told.err, (words, told.err)
    return told


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return household.copied(household.usual(), tmp_path / "home")


def test_words_of_a_call(home: Path, tally: Tally) -> None:
    cases = [(words, evil) for words in CALLS for evil in EVIL]
    some = torture.share(cases, 47, "words")
    for words, evil in some:
        (home / "named.ndjson").write_bytes(b'{"event_type": "%b"}\n' % evil.encode())
        _clean(home, *(word.replace("{}", evil) for word in words))
    tally("escapes", calls=len(some))


def test_words_that_are_no_utf8(home: Path, tally: Tally) -> None:
    some = torture.share(CALLS, 23, "utf")
    for words in some:
        _clean(home, *(word.replace("{}", "\udcff\udc9b") for word in words))
    tally("escapes", calls=len(some))


@pytest.mark.parametrize("evil", EVIL)
def test_names_of_files_and_folders(home: Path, evil: str) -> None:
    odd = (home / "third.ndjson").rename(home / f"x{evil}.ndjson")
    _clean(home, "ingest", odd.name)
    _clean(home, "rejects", "show")
    _clean(home, "rejects", "list", "--format", "csv")
    (home / "broken.gz").write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\3\0\0")
    _clean(home, "ingest", str((home / "broken.gz").rename(home / f"{evil}.gz").name))
    store = (home / "store").rename(home / f"s{evil}")
    for words in (("status",), ("verify",), ("config",), ("ingest", "second.ndjson")):
        _clean(home, "--data", store.name, *words)
    (store / "journal" / f"{evil}.json").write_text("{}")
    (store / "tombstones" / "users.json").write_text(evil)
    _clean(home, "--data", store.name, "verify")
    _clean(home, "--data", store.name, "status")


@pytest.mark.parametrize("evil", EVIL)
def test_settings_plans_and_the_environment(home: Path, evil: str) -> None:
    written = evil.encode("unicode_escape").decode().replace("\\x", "\\u00")
    for body in (
        f'[report]\ntz = "{written}"',
        f'"{written}" = 1',
        f'[store]\npath = "{written}"',
        f"{evil} = 1",
        f'plan = "{written}"',
    ):
        (home / "evlog.toml").write_text(body)
        _clean(home, "status")
        _clean(home, "config")
        _clean(home, "plan", "show")
    (home / "evlog.toml").write_text(household.SETTINGS)
    for body in (
        f'[events."{written}"]\ntype = 1',
        f'[events."{written}"]\n[funnels.x]\nsteps = ["{written}"]',
        f"{evil}=",
        f'"{written}" = 1',
    ):
        (home / "plan.toml").write_text(body)
        for words in (
            ("plan", "show"),
            ("plan", "lint"),
            ("plan", "check", "third.ndjson"),
            ("ingest", "third.ndjson"),
            ("funnel", "x"),
        ):
            _clean(home, *words)
    (home / "plan.toml").write_text(household.PLAN)
    for name in ("EVLOG_TZ", "EVLOG_DATA", "EVLOG_AS_OF", "EVLOG_PLAN", "EVLOG_DAYS", "USER", "EVLOG_CONFIG"):
        if "\0" not in evil:
            _clean(home, "status", environ={name: evil})
    _clean(home, "user", "export", "ann_the_first", "--output", "mine.ndjson", environ={"USER": evil})
    _clean(home, "audit", "show", environ={"USER": evil})


def test_the_holder_of_a_lock(home: Path) -> None:
    store = layout.open_store(home / "store")
    with locks.maintenance(store, "compact"):
        os.truncate(store.locks / "maintenance", 0)
        (store.locks / "maintenance").write_text("evlog \x1b[2J\x07 (process 1)")
        assert _clean(home, "compact", "--all").code == 4


def test_the_check_sees_what_it_looks_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evlog.render.escape.escape", lambda text: text)
    with pytest.raises(AssertionError):
        _clean(home, "report", EVIL[0])


_FORMULA, _NUMBER = (
    re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"),
    re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?", re.ASCII | re.IGNORECASE),
)
FORMULAS = ("=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "\uff1d1+1", "-", "=")
TABLES: tuple[tuple[str, ...], ...] = (
    ("report", "top", "properties.x"), ("report", "events"), ("report", "targets"), ("report", "usage"), ("report", "paths"), ("report", "dau", "--by", "properties.x"),
    ("report", "errors"), ("report", "durations"), ("report", "depth"), ("report", "revisions"), ("report", "experiment", "--by", "properties.x"),
    ("funnel", "seen", "signup", "--by", "properties.x"), ("dropoff",), ("user", "journey", "{}"), ("user", "export", "{}"), ("export",), ("rejects", "show"), ("rejects", "list"),
    ("plan", "show"), ("sql", "SELECT * FROM events"), ("sql", 'SELECT user_id AS "{}" FROM events'), ("config",), ("status",), ("check",), ("audit", "show"), ("verify",),
    ("overview",), ("user", "delete", "{}", "--dry-run"), ("purge", "--dry-run", "--older-than", "2d", "--as-of", "2026-01-09"), ("rollup",), ("report", "index", "--by", "user_id"),
    ("export", "--report", "top properties.x"),
)  # fmt: skip


def test_no_cell_of_any_csv_is_a_formula(home: Path, tally: Tally) -> None:
    cells = torture.share(FORMULAS, 5, "cells")
    events = [kit.event(f"f{n}", user=cell, event_type="seen", feature=cell, target_type="exercise", target_id=cell, source=cell,
                        session_id=cell, properties={"x": cell, cell: cell}) for n, cell in enumerate(cells)]  # fmt: skip
    kit.written(home / "formulas.ndjson", *events, *(f'{cell}{{"'.encode() for cell in cells))
    household.call(home, "ingest", "formulas.ndjson")
    some = torture.share(TABLES, 8, "tables")
    for words in some:
        told = household.call(home, *(word.replace("{}", cells[0]) for word in words), "--format", "csv")
        assert "bug in evlog" not in told.err, (words, told)
        for row in csv.reader(io.StringIO(told.out)):
            bad = [cell for cell in row if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell)]
            assert bad == [], (words, row)
    tally("formulas", calls=len(some))
