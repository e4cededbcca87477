"""Stores that are large in a way of their own: thousands of segments, days, types, users; with no more than 256 open files.

Every command works, and the tree of its processes stays within 400 MB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import bounds
import pytest
import storekit as kit
import torture
from bounds import LIMIT_MB
from storekit import DAY_1, event
from test_bounds_input import few_files, told

from evlog.ingest import block
from evlog.ingest.run import run
from evlog.ingest.source import Source
from evlog.store import layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Tally

SEGMENTS = torture.much(10_000, 270)
MANY = torture.much(1_000_000, 4_000)
PARTITIONS = torture.much(5_000, 300)
FIRST = "2026-01-05"
_GENERATOR = Path(__file__).parent.parent / "benchmarks" / "generate.py"
_PIECE = 10_000


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a row of them, and the exit codes it may have."""

    words: tuple[str, ...]
    codes: tuple[int, ...] = (0,)


def _walk(root: Path, steps: tuple[Step, ...]) -> tuple[dict[str, int], list[str]]:
    """The peak of each command in MB, and what went wrong."""
    peaks, wrong = {}, []
    for step in steps:
        ran = bounds.evlog(root, *step.words, preexec_fn=few_files)
        name = " ".join(step.words[:2])
        peaks[name] = round(ran.peak_mb)
        print(f"{name}: {ran.peak_mb:.0f} MB, {ran.seconds:.1f} s")
        if ran.code not in step.codes or "Traceback" in ran.err:
            wrong.append(f"{name}: exit {ran.code}, {ran.err[-300:]}")
        if ran.peak_mb > LIMIT_MB:
            wrong.append(f"{name}: {ran.peak_mb:.0f} MB")
    return peaks, wrong


_DAY = ("--from", FIRST, "--to", FIRST)
REPORT = Step(("report", "events", "--all-time", "--top", "5"))
STATUS, VERIFY = Step(("status",)), Step(("verify",))
COMPACT = Step(("compact", "--all"))
DELETE = Step(("user", "delete", "bob", "--yes"))
PURGE = Step(("purge", "--older-than", "1d", "--yes"))
OVERVIEW = Step(("overview", "--as-of", "latest"))
ROLLUP = Step(("rollup", "--grain", "day", *_DAY))


@pytest.mark.parametrize("spread", ["one day", "many days"])
def test_thousands_of_segments(spread: str, tally: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not torture.ALL and spread != "one day":
        pytest.skip("one of the two stores runs with the other tests, both under make torture")
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    store = layout.create(tmp_path / "s")
    days = 1 if spread == "one day" else 100
    monkeypatch.setattr(block, "LINES", 1)  # so that each file is a batch of its own
    events = (event(f"e{n}", DAY_1 + timedelta(days=n % days), user=f"u{n % 7}") for n in range(SEGMENTS))
    files = [kit.written(tmp_path / f"{number}.ndjson", one) for number, one in enumerate(events)]
    run(store, [Source(str(path)) for path in files], kit.RULES, clock=lambda: kit.NOW, options=kit.ONE_PROCESS)
    assert len(list(store.root.glob("events/*/*.ndjson"))) == SEGMENTS
    erase = Step(("user", "delete", "u3", "--yes"))
    steps = (STATUS, REPORT, erase, COMPACT, VERIFY, DELETE, PURGE) if torture.ALL else (COMPACT,)
    peaks, wrong = _walk(store.root, steps)
    assert wrong == []
    tally("segments", stores=1, segments=SEGMENTS, peak_mb=max(peaks.values()))


def _lines(kind: str) -> Iterator[bytes]:
    """A day of very many events that differ in one respect."""
    for start in range(0, MANY, _PIECE):
        rows = range(start, min(MANY, start + _PIECE))
        yield b"".join(_line(kind, number) for number in rows)


def _line(kind: str, number: int) -> bytes:
    type_ = f"kind_{number}" if kind == "types" else "seen"
    user = f"u{number}" if kind == "users" else "bob"
    said = f'"event_type":"{type_}","user_id":"{user}","session_id":"s{number // 9}"'
    moment = f"{FIRST}T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z"
    return f'{{"event_id":"e{number}","ts":"{moment}",{said}}}\n'.encode()


WALKS = {
    "types": (REPORT, STATUS, OVERVIEW, ROLLUP, COMPACT, REPORT, VERIFY),
    "users": (REPORT, ROLLUP, Step(("user", "delete", "u77", "--yes")), COMPACT, OVERVIEW, VERIFY),
    "one user": (
        REPORT, Step(("user", "journey", "bob", "--limit", "5"), (0, 2)), COMPACT,
        Step(("user", "export", "bob", "--format", "ndjson")), ROLLUP, DELETE, VERIFY,
    ),
}  # fmt: skip


@pytest.mark.skipif(not torture.ALL, reason="runs under make torture")
@pytest.mark.parametrize("kind", WALKS)
def test_a_million_of_something(kind: str, tally: Tally, tmp_path: Path) -> None:
    words = ("ingest", "--workers", "2", "--format", "json")
    ran = bounds.evlog(tmp_path / "s", *words, feed=_lines(kind), preexec_fn=few_files)
    told(ran, stored=MANY)
    peaks, wrong = _walk(tmp_path / "s", WALKS[kind])
    assert wrong == []
    tally(f"a million {kind}", events=MANY, peak_mb=max(peaks.values()))


def test_a_plan_out_of_a_million_types(tally: Tally, tmp_path: Path) -> None:
    if not torture.ALL:
        pytest.skip("runs under make torture")
    with (tmp_path / "in.ndjson").open("wb") as file:
        file.writelines(_lines("types"))
    ran = bounds.evlog(tmp_path / "s", "plan", "infer", tmp_path / "in.ndjson", "--output", tmp_path / "p.toml")
    assert ran.code in (0, 1), ran.err
    assert "Traceback" not in ran.err
    assert ran.peak_mb <= LIMIT_MB, ran.peak_mb
    tally("a million types, a plan", types=MANY, peak_mb=round(ran.peak_mb))


def test_thousands_of_days(tally: Tally, tmp_path: Path) -> None:
    if not torture.ALL:
        pytest.skip("runs under make torture; a share of it is the batch of many days")
    days = [date(2012, 1, 1) + timedelta(days=number) for number in range(PARTITIONS)]
    feed = [kit.lines(*(event(f"e{day}", day) for day in days))]
    ran = bounds.evlog(tmp_path / "s", "ingest", "--format", "json", feed=feed, preexec_fn=few_files)
    assert json.loads(ran.out)["stored"] == PARTITIONS
    peaks, wrong = _walk(tmp_path / "s", (STATUS, REPORT, COMPACT, REPORT, VERIFY, PURGE))
    assert wrong == []
    tally("days", days=PARTITIONS, peak_mb=max(peaks.values()))


def test_the_peaks_of_every_command(tally: Tally, tmp_path: Path) -> None:
    """A million events of thirty days, through everything that maintains a store."""
    if not torture.ALL:
        pytest.skip("runs under make torture")
    with (tmp_path / "m.ndjson").open("wb") as file:
        call = [sys.executable, str(_GENERATOR), "--events", str(MANY), "--seed", "1"]
        subprocess.run(call, stdout=file, check=True)
    month = ("--from", "2026-03-01", "--to", "2026-03-30")
    out, arc = str(tmp_path / "out"), str(tmp_path / "arc")
    archive = ("archive", "out", "--older-than", "20d", "--as-of", "2026-04-01", "--to", arc, "--yes")
    steps = (
        Step(("ingest", str(tmp_path / "m.ndjson"), "--workers", "2")),
        Step(("rollup", "--grain", "day", *month)), COMPACT, VERIFY,
        Step(("export", "--all-time", "--format", "ndjson", "--output", out)),
        Step(("user", "delete", "u_000000001", "--yes")),
        Step(archive), Step(("archive", "restore", arc)),
        Step(("purge", "--older-than", "10d", "--as-of", "2026-04-01", "--yes")),
    )  # fmt: skip
    peaks, wrong = _walk(tmp_path / "s", steps)
    assert wrong == []
    tally("a million events", **{name.replace(" ", "_"): peak for name, peak in peaks.items()})


def test_one_day_of_millions_is_compacted(tally: Tally, tmp_path: Path) -> None:
    if not torture.ALL:
        pytest.skip("runs under make torture")
    total = 3

    def feed() -> Iterator[bytes]:
        for turn in range(total):
            for piece in _lines("users"):
                yield piece.replace(b'"event_id":"e', b'"event_id":"%d-' % turn)

    ran = bounds.evlog(tmp_path / "s", "ingest", "--workers", "2", "--format", "json", feed=feed())
    told(ran, stored=total * MANY)
    peaks, wrong = _walk(tmp_path / "s", (COMPACT, VERIFY))
    assert wrong == []
    tally("a day of millions", events=total * MANY, **{name.replace(" ", "_"): peak for name, peak in peaks.items()})
