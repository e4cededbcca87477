"""The lines of the benchmark's table: each is what evlog does, what the peer does, and how they should compare.

A row is two functions and a few words; to add one, write them and put the row into ROWS. Rows of a round run in order
and share its store: what `ingest` stored, `compact` compacts.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Literal

import peers
from measure import Cost, RunError, run, tree_size

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
EVLOG = Path(sys.executable).with_name("evlog")
STARTS = 7  # a start-up is measured so often a round; the median counts


@dataclass(slots=True)
class Bench:
    """What the rows of a round work on."""

    events: int
    log: Path  # the generated events
    room: Path  # a folder for stores and outputs
    costs: dict[str, Cost] = field(default_factory=dict)  # of evlog, in this round
    prepared: set[str] = field(default_factory=set)  # stores that serve all rounds

    @property
    def store(self) -> Path:
        """evlog's store of this round."""
        return self.room / "store"

    def fresh(self, name: str) -> Path:
        """A path in the room where nothing is."""
        shutil.rmtree(self.room / name, ignore_errors=True)
        return self.room / name


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. `scale`: wall times are compared as ours / theirs, or as ours - theirs in milliseconds."""

    name: str
    work: str
    against: str
    reach: str
    ours: Callable[[Bench], Cost]
    theirs: Callable[[Bench], Cost]
    scale: Literal["ratio", "difference"] = "ratio"


def _evlog(*words: str | Path, data: Path, stdin: Path | None = None, codes: tuple[int, ...] = (0,)) -> Cost:
    return run([EVLOG, "--data", data, *words], stdin=stdin, codes=codes)


def _ingest(bench: Bench, *, stored: int) -> Cost:
    threads = str(peers.THREADS)
    words = ("ingest", "--plan", HERE / "plan.toml", "--workers", threads, "--format", "json")
    cost = _evlog(*words, data=bench.store, stdin=bench.log)
    told = json.loads(cost.out)
    if (told["read"], told["stored"], told["rejected"]) != (bench.events, stored, 0):
        raise RunError(f"ingest says {cost.out[:300]}")
    return cost


def ingest(bench: Bench) -> Cost:
    """All events from a pipe into a new store: plan, dedupe and fsync on."""
    bench.fresh("store")
    return _ingest(bench, stored=bench.events)


def copy_to_ndjson(bench: Bench) -> Cost:
    """The same bytes through the same kind of pipe into a folder a day."""
    return peers.duckdb_copy(bench.log, bench.fresh("ndjson"), options="FORMAT json", piped=True, rows=bench.events)


def ingest_again(bench: Bench) -> Cost:
    """The same events into the same store."""
    return _ingest(bench, stored=0)


def first_ingest(bench: Bench) -> Cost:
    """What the first ingest of this round took."""
    return bench.costs["ingest"]


def compact(bench: Bench) -> Cost:
    """The store's thirty days become thirty sorted Parquet files."""
    cost = _evlog("compact", data=bench.store)
    parts = len(list(bench.store.glob("parquet/date=*/*.parquet")))
    if parts != len(list(bench.store.glob("parquet/date=*"))) or parts < 1:
        raise RunError(f"compact left {parts} parts")
    return replace(cost, size=tree_size(bench.store, "parquet/date=*/*.parquet"))


def copy_to_parquet(bench: Bench) -> Cost:
    """DuckDB's Parquet as it comes, from the log as a file."""
    return peers.duckdb_copy(
        bench.log, bench.fresh("parquet"), options="FORMAT parquet", piped=False, rows=bench.events
    )


def copy_to_zstd_parquet(bench: Bench) -> Cost:
    """DuckDB's Parquet with zstd, as evlog's parts have."""
    options = "FORMAT parquet, COMPRESSION zstd"
    return peers.duckdb_copy(bench.log, bench.fresh("parquet"), options=options, piped=False, rows=bench.events)


def _often(once: Callable[[], Cost]) -> Cost:
    costs = [once() for _ in range(STARTS)]
    return replace(costs[0], wall_s=median(c.wall_s for c in costs), cpu_s=median(c.cpu_s for c in costs))


def say_version(_: Bench) -> Cost:
    """evlog --version."""
    return _often(lambda: run([EVLOG, "--version"]))


def dau_of_samples(bench: Bench) -> Cost:
    """evlog report dau on the compacted sample logs."""
    store = bench.room / "samples"
    if "samples" not in bench.prepared:
        logs = sorted((ROOT / "sample_logs" / "logs").iterdir())
        bench.fresh("samples")
        _evlog("ingest", "--plan", ROOT / "sample_logs" / "plan.toml", *logs, data=store, codes=(3,))
        _evlog("compact", data=store)
        bench.prepared.add("samples")
    return _often(lambda: _evlog("report", "dau", "--as-of", "2026-03-31", data=store))


def bare_python(_: Bench) -> Cost:
    """python -c pass."""
    return _often(peers.bare_python)


_DUCKDB = f"DuckDB, {peers.THREADS} threads"
ROWS = (
    Row(
        "ingest", "ingest from a pipe", f"{_DUCKDB}: COPY to date-partitioned NDJSON", "≤ 0.80", ingest, copy_to_ndjson
    ),
    Row("again", "ingest again, all duplicates", "the first ingest", "≤ 1", ingest_again, first_ingest),
    Row("compact", "compact to Parquet", f"{_DUCKDB}: COPY to Parquet", "≤ 1, bytes ≤ 0.8", compact, copy_to_parquet),
    Row(
        "compact-zstd",
        "the same run",
        f"{_DUCKDB}: COPY to zstd Parquet",
        "",
        lambda bench: bench.costs["compact"],
        copy_to_zstd_parquet,
    ),
    Row("version", "evlog --version", "python -c pass", "+ ≤ 60 ms", say_version, bare_python, "difference"),
    Row("dau", "report dau, sample logs", "python -c pass", "+ ≤ 300 ms", dau_of_samples, bare_python, "difference"),
)
