"""Hostile strings, read back by machines: JSON, CSV and Parquet give what was sent, and every question finds its own."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import naughty
import pytest
import torture
from exportkit import evlog
from feed import line, new_store, quick, refused
from hostilekit import CLEAN, SENT, SPAN, on_a_terminal, stores

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Tally

__all__ = ["quick", "stores"]
KEYS = (
    "event_type",
    "user_id",
    "session_id",
    "target_id",
    "target_type",
    "feature",
    "source",
    "category",
    "properties.v",
    "properties.status",
    "context.v",
)
FORMULA = tuple("=+-@\t\r\n＝＋－＠")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
SCALAR = {"null": None, "true": True, "false": False}


def _disarmed(text: str) -> str:
    """A cell as a spreadsheet may see it: what it would run stands behind a quote, numbers exempt."""
    return f"'{text}" if text.lstrip("'").startswith(FORMULA) and not NUMBER.fullmatch(text) else text


def _held(key: str) -> Counter[str]:
    """How often each value was sent under a key."""
    root, _, name = key.partition(".")
    found = (one.get(root) if not name else one.get(root, {}).get(name) for one in SENT.values())
    return Counter(one for one in found if one is not None)


def _out(store: Any, *words: str) -> bytes:
    code, out, err = evlog(store.root, *words)
    assert code == 0, err
    return out


def _cells(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


@pytest.mark.parametrize("tier", ["hot", "cold"])
@pytest.mark.parametrize("key", torture.share(KEYS, 6, "key"))
def test_every_value_is_a_row_of_its_own_in_every_format(stores, tmp_path, key: str, tier: str, tally: Tally) -> None:
    from pyarrow import parquet

    words = ("report", "top", key, *SPAN)
    held = _held(key)
    out = json.loads(_out(stores[tier], *words, "--format", "json"))["rows"]
    found = {row["value"]: row["events"] for row in out}
    found.pop(None, None)
    none = found.pop("(none)", 0) - held["(none)"]
    wanted = {value: count for value, count in held.items() if value != "(none)"}
    assert found == wanted
    assert none in {0, len(SENT) - held.total()}
    lines = [json.loads(one) for one in _out(stores[tier], *words, "--format", "ndjson").splitlines()]
    assert lines == out
    cells = _cells(_out(stores[tier], *words, "--format", "csv"))
    assert [row["value"] for row in cells] == [_disarmed(row["value"] or "") for row in out]
    raw = _cells(_out(stores[tier], *words, "--format", "csv", "--raw-csv"))
    assert [row["value"] for row in raw] == [row["value"] or "" for row in out]
    _out(stores[tier], *words, "--format", "parquet", "--output", str(tmp_path / "p"))
    assert parquet.read_table(tmp_path / "p").column("value").to_pylist() == [row["value"] for row in out]
    table = _out(stores[tier], *words, "--top", "1000").decode().splitlines()
    assert sum(1 for one in table if re.search(r"\s\d[\d,]*\s", one + " ")) >= len(out)
    tally("hostile strings, read back", values=len(held) * 6)


QUESTIONS = (
    ("report", "events"), ("report", "targets"), ("report", "errors"), ("report", "paths", "--unit", "user"), ("report", "usage"),
    ("report", "retention", "--by", "properties.v"), ("funnel", "*", "*", "--by", "properties.v"), ("report", "trend", "--by", "user_id"),
    ("report", "sessions"), ("report", "top", "properties.v", "--by", "feature"), ("report", "streaks"), ("report", "lifecycle"),
)  # fmt: skip


@pytest.mark.parametrize("words", torture.share(QUESTIONS, 6, "tiers"), ids=" ".join)
def test_segments_and_parts_give_the_same_answer(stores, words, tally: Tally) -> None:
    hot, cold = (_out(stores[tier], *words, *SPAN, "--format", "csv") for tier in ("hot", "cold"))
    assert hot == cold
    told = [json.loads(_out(stores[tier], *words, *SPAN, "--format", "json")) for tier in ("hot", "cold")]
    assert told[0] == told[1]
    tally("hostile strings, both tiers", answers=2)


@pytest.mark.parametrize("tier", ["hot", "cold"])
def test_what_is_exported_is_what_was_sent(stores, tmp_path, tier: str, tally: Tally) -> None:
    from pyarrow import parquet

    whole = ("export", "--all-time", "--format")
    lines = [json.loads(one) for one in _out(stores[tier], *whole, "ndjson").splitlines()]
    rows = json.loads(_out(stores[tier], "sql", "SELECT * FROM events", "--format", "json"))["rows"]
    _out(stores[tier], *whole, "parquet", "--output", str(tmp_path / "all"))
    table = parquet.read_table(tmp_path / "all").to_pylist()
    cells = _cells(_out(stores[tier], *whole, "csv", "--raw-csv"))
    for read in (lines, rows, table, cells):
        found = {one["event_id"]: one for one in read}
        assert {name: _as_sent(found[name], one) for name, one in SENT.items()} == {
            name: _untimed(one) for name, one in SENT.items()
        }
    tally("hostile strings, read back", values=len(SENT) * 4)


def _untimed(one: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key != "ts"}


def _as_sent(found: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    """What was read of the fields of an event, JSON opened where it is text."""
    told = {key: found[key] for key in _untimed(one)}
    for key in told.keys() & {"properties", "context"}:
        told[key] = json.loads(told[key]) if isinstance(told[key], str) else told[key]
    return told


NAMED = [one for one in CLEAN if one in SENT and one != "-"]


@pytest.mark.parametrize("name", torture.share(NAMED, 70, "user"), ids=ascii)
def test_a_user_of_any_name_is_found_alone(stores, tmp_path, name: str, tally: Tally) -> None:
    user = SENT[name]["user_id"]
    rows = [
        json.loads(one) for one in _out(stores["cold"], "user", "export", "--format", "ndjson", "--", user).splitlines()
    ]
    assert {one["event_id"] for one in rows} == {
        one["event_id"] for one in SENT.values() if user in (one.get("user_id"), one.get("anonymous_id"))
    }
    journey = json.loads(_out(stores["cold"], "report", "journey", f"--user={user}", *SPAN, "--format", "json"))["rows"]
    assert len(journey) == sum(one.get("user_id") == user and one["ts"] < "2026-03-10" for one in SENT.values())
    tally("hostile strings, asked for", values=2)


@pytest.mark.parametrize("one", torture.share(naughty.ALL, 70, "where"), ids=ascii)
def test_a_condition_finds_any_value_and_no_other(stores, monkeypatch, one: str, tally: Tally) -> None:
    told = one.strip()
    for key in ("feature", "properties.v", "context.v"):
        code, out, err = evlog(stores["hot"].root, "sql", "SELECT 1") if not told else evlog(
            stores["hot"].root, "report", "top", key, *SPAN, "--where", f"{key}={one}", "--format", "json"
        )  # fmt: skip
        assert code == 0, err
        if told:
            rows = json.loads(out)["rows"]
            assert {row["value"]: row["events"] for row in rows} == (
                {told: _held(key)[told]} if told in _held(key) else {}
            )
    if one in CLEAN and not set(one) & set("[]|*,") and one == told and one:
        step = f"*[event_type={one}]" if one.endswith("?") else one  # a `?` at the end makes a step optional
        code, out, err = evlog(stores["hot"].root, "funnel", *SPAN, "--format", "json", "--", step)
        assert code == 0, err
        assert [(row["event"], row["users"]) for row in json.loads(out)["rows"]] == [(step, 1)]
    code, out, err = on_a_terminal(stores["hot"].root, "funnel", *SPAN, "--", one, monkeypatch=monkeypatch)
    assert code in {0, 2}
    assert not naughty.steers(out + err)
    tally("hostile strings, asked for", values=4)


@pytest.mark.parametrize("form", ["ndjson", "csv", "gz"])
def test_a_file_of_any_name_is_read_and_named_harmlessly(tmp_path: Path, monkeypatch, form: str, tally: Tally) -> None:
    names = [
        one
        for one in naughty.ALL
        if "/" not in one and "\0" not in one and one not in {".", "..", ""} and len(one.encode()) < 200
    ]
    names = [*torture.share(names, 20, form), "caf\udce9", "\udcff\udcfe", "a\udc80\x1b[2J"]
    store = new_store(tmp_path)
    folder = tmp_path / "logs"
    folder.mkdir()
    for number, name in enumerate(names):
        path = folder / f"{name}.{'csv' if form == 'csv' else 'ndjson'}"
        body = (
            b"event,ts,user\nview,2026-03-01T10:00:%02dZ,u%d\nbad%d,,\n" % (number % 60, number, number)
            if form == "csv"
            else line(event_id=f"e{number}") + b"\n{bad %d" % number
        )
        if form == "gz":
            body = gzip.compress(body)[:-4]
        path.write_bytes(body)
    code, out, err = on_a_terminal(store.root, "ingest", str(folder), monkeypatch=monkeypatch)
    assert code == 3, err
    assert not naughty.steers(out + err)
    assert "Traceback" not in err
    assert len(refused(store)) == len(names) or form == "gz"
    code, out, err = on_a_terminal(store.root, "rejects", "show", "--limit", "1000", monkeypatch=monkeypatch)
    assert (code, naughty.steers(out + err)) == (0, set())
    sources = {row["source"] for row in json.loads(_out(store, "rejects", "show", "--format", "json"))["rows"]}
    assert len(sources) == len(names) or form == "gz"
    again = evlog(store.root, "ingest", str(folder))
    assert again[0] == 3
    tally("hostile file names", values=len(names))
