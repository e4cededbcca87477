"""Input that is meant to hurt: a line without end, what unpacks to a thousand times its size, an event of a thousand parts.

Memory stays within bounds, the good lines around it are stored, and what was refused is told as the contract says.
"""

from __future__ import annotations

import bz2
import gzip
import json
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import bounds
import pytest
import torture
import zstandard
from bounds import LIMIT_MB
from storekit import event, lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Tally

MIB = 1 << 20
LONG = torture.much(10 << 10, 48)  # MiB of one line
BOMB = torture.much(10 << 10, 300)  # MiB that a small file unpacks to
CAP = 256  # MiB from which the ratio counts
DAYS = torture.much(3_000, 200)


def told(ran: bounds.Ran, **wanted: Any) -> dict[str, Any]:
    """The summary of an ingest, which balances and says what is wanted."""
    assert "Traceback" not in ran.err, ran.err
    said = json.loads(ran.out)
    parts = ("stored", "duplicates", "rejected", "no_consent", "erased")
    assert said["read"] == sum(said[name] for name in parts), said
    assert {name: said[name] for name in wanted} == wanted, (said, ran.err)
    assert ran.peak_mb <= LIMIT_MB, ran
    return said


def take(root: Path, *words: str | Path, **more: Any) -> bounds.Ran:
    """Ingest, with a summary for machines."""
    return bounds.evlog(root, "ingest", "--format", "json", *words, **more)


def _long(*, closed: int) -> Iterator[bytes]:
    """A good line, one of `LONG` MiB, and where that one ends a good line again."""
    yield lines(event("before"))
    yield b'{"event_id":"long","ts":"2026-01-05T10:00:00Z","event_type":"seen","properties":{"a":"'
    piece = b"x" * MIB
    for _ in range(LONG):
        yield piece
    if closed:
        yield b'"}}\n' + lines(event("after"))


@pytest.mark.parametrize("closed", [1, 0] if torture.ALL else [1])
def test_a_line_without_end_is_refused_in_little_memory(closed: int, tally: Tally, tmp_path: Path) -> None:
    ran = take(tmp_path / "s", feed=_long(closed=closed))
    assert ran.code == 3
    told(ran, stored=1 + closed, rejected=1, reasons={"line_too_long": 1})
    assert sum(path.stat().st_size for path in (tmp_path / "s").rglob("*.rejects")) < MIB
    tally("long lines", lines=1, mib=LONG, peak_mb=round(ran.peak_mb))


@pytest.mark.parametrize("over", [-1, 0, 1] if torture.ALL else [1])
def test_lines_about_as_long_as_allowed(over: int, tally: Tally, tmp_path: Path) -> None:
    """Many lines one byte short of the limit, at it, and past it."""
    count = torture.much(200, 2)

    def feed() -> Iterator[bytes]:
        for number in range(count):
            bare = event(f"e{number:04d}", text="")
            yield lines(event(f"e{number:04d}", text="x" * (MIB + over - len(json.dumps(bare)))))
        yield lines(event("small"))

    ran = take(tmp_path / "s", feed=feed())
    if over > 0:
        told(ran, stored=1, rejected=count, reasons={"line_too_long": count})
    else:
        told(ran, stored=count + 1, rejected=0)
    assert ran.code == (3 if over > 0 else 0)
    tally("lines at the limit", lines=count, peak_mb=round(ran.peak_mb))


def _zeros() -> Iterator[bytes]:
    yield from (bytes(MIB) for _ in range(BOMB))


def _blanks() -> Iterator[bytes]:
    yield from (b"\n" * MIB for _ in range(BOMB))


def _gzip(path: Path, pieces: Iterator[bytes], *, members: int = 1) -> None:
    """Pack `pieces` into a file; one that has many members begins anew every so often."""
    with path.open("wb") as raw:
        every = max(1, BOMB // members)
        held = gzip.GzipFile(fileobj=raw, mode="wb", mtime=0)
        held.write(lines(event("first")))
        for number, piece in enumerate(pieces, 1):
            held.write(piece)
            if number % every == 0:
                held.close()
                held = gzip.GzipFile(fileobj=raw, mode="wb", mtime=0)
        held.close()


def _zstd(path: Path, pieces: Iterator[bytes]) -> None:
    with path.open("wb") as raw, zstandard.ZstdCompressor().stream_writer(raw) as packed:
        packed.write(lines(event("first")))
        for piece in pieces:
            packed.write(piece)


def _bz2(path: Path, pieces: Iterator[bytes]) -> None:
    with bz2.open(path, "wb") as packed:
        packed.write(lines(event("first")))
        for piece in pieces:
            packed.write(piece)


BOMBS = {
    "zeros.gz": lambda path: _gzip(path, _zeros()),
    "blanks.gz": lambda path: _gzip(path, _blanks()),
    "members.gz": lambda path: _gzip(path, _zeros(), members=20),
    "zeros.zst": lambda path: _zstd(path, _zeros()),
    "blanks.zst": lambda path: _zstd(path, _blanks()),
    "zeros.bz2": lambda path: _bz2(path, _zeros()),
    "blanks.bz2": lambda path: _bz2(path, _blanks()),
}


@pytest.mark.parametrize("name", BOMBS if torture.ALL else ["zeros.zst"])
def test_what_unpacks_to_a_thousand_times_its_size_is_stopped(name: str, tally: Tally, tmp_path: Path) -> None:
    BOMBS[name](tmp_path / name)
    assert (tmp_path / name).stat().st_size * 250 < BOMB * MIB
    ran = take(tmp_path / "s", tmp_path / name)
    assert ran.code == 3, ran
    told(ran, stored=1)
    assert "unpacks to more than 250 times its size; what came before is stored" in ran.err
    assert take(tmp_path / "s", tmp_path / name).code == 3
    tally("bombs", files=1, mib=BOMB, peak_mb=round(ran.peak_mb))


@pytest.mark.skipif(not torture.ALL, reason="runs under make torture")
def test_a_bomb_inside_a_bomb_is_a_line_that_is_no_event(tally: Tally, tmp_path: Path) -> None:
    """Only one layer is unpacked."""
    (tmp_path / "twice.gz").write_bytes(gzip.compress(gzip.compress(bytes(64 * MIB))))
    ran = take(tmp_path / "s", tmp_path / "twice.gz")
    assert ran.code == 3, ran
    assert told(ran, stored=0)["rejected"] > 0
    tally("bombs", files=1)


@pytest.mark.skipif(not torture.ALL, reason="runs under make torture")
def test_events_of_a_mebibyte_and_of_a_hundred_thousand_keys(tally: Tally, tmp_path: Path) -> None:
    count, keys = torture.much(40, 1), torture.much(100_000, 20_000)

    def feed() -> Iterator[bytes]:
        for number in range(count):
            yield lines(event(f"big{number}", text="x" * (MIB + 200)))
            yield lines(event(f"wide{number}", properties={f"{key:x}": key for key in range(keys)}))

    ran = take(tmp_path / "s", "--workers", "2", "--max-line", "4MiB", feed=feed())
    told(ran, stored=2 * count)
    for words in (("compact", "--all"), ("report", "events", "--all-time"), ("verify",)):
        done = bounds.evlog(tmp_path / "s", *words)
        assert done.code == 0, (words, done.err)
        assert done.peak_mb <= LIMIT_MB, (words, done.peak_mb)
    tally("wide events", events=2 * count, peak_mb=round(ran.peak_mb))


def test_a_batch_of_many_days(tally: Tally, tmp_path: Path) -> None:
    """Thousands of days in one batch, with no more than 256 files open, and the reports over all of them."""
    days = [date(2017, 1, 1) + timedelta(days=number) for number in range(DAYS)]
    feed = [lines(*(event(f"e{day}", day) for day in days))]
    ran = take(tmp_path / "s", "--max-age", "none", feed=feed, preexec_fn=few_files)
    assert ran.code == 0, ran.err
    told(ran, stored=DAYS)
    done = bounds.evlog(tmp_path / "s", "report", "dau", "--all-time", "--format", "csv", preexec_fn=few_files)
    assert (done.code, done.out.count(",1\n")) == (0, DAYS), done.err
    again = take(tmp_path / "s", "--max-age", "none", feed=feed, preexec_fn=few_files)
    told(again, stored=0, duplicates=DAYS)
    tally("many days", days=DAYS, peak_mb=round(max(ran.peak_mb, done.peak_mb)))


def few_files() -> None:
    """Let this process open no more than 256 files."""
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
