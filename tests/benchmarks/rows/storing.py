"""Rows about the way in: a log becomes a store, and its days become Parquet."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks import peers
from benchmarks.measure import Cost, RunError, tree_size
from benchmarks.row import Reach, Row, evlog, same_as

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.row import Bench

PLAN = peers.HERE / "plan.toml"
TREE_MB = 400  # what the whole process tree of a command that writes may take
_DUCKDB = f"DuckDB, {peers.THREADS} threads"


def taken_in(log: Path, store: Path, *, read: int, stored: int) -> Cost:
    """The cost of ingesting a log from a pipe: plan, dedupe and fsync on."""
    words = ("ingest", "--plan", PLAN, "--workers", str(peers.THREADS), "--format", "json")
    cost = evlog(*words, data=store, stdin=log)
    told = json.loads(cost.out)
    if (told["read"], told["stored"], told["rejected"]) != (read, stored, 0):
        raise RunError(f"ingest says {cost.out[:300]}")
    return cost


def compacted(store: Path) -> Cost:
    """The cost of compacting all there is; `size` is that of the parts."""
    cost = evlog("compact", data=store)
    if not list(store.glob("parquet/date=*/*.parquet")) or list(store.glob("events/date=*")):
        raise RunError("compact left days without a part")
    return replace(cost, size=tree_size(store, "parquet/date=*/*.parquet"))


def ingest(bench: Bench) -> Cost:
    """All events into a new store."""
    return taken_in(bench.log, bench.fresh("store"), read=bench.events, stored=bench.events)


def again(bench: Bench) -> Cost:
    """The same events into the same store."""
    bench.cost("ingest")
    return taken_in(bench.log, bench.room / "store", read=bench.events, stored=0)


def compact(bench: Bench) -> Cost:
    """The store's thirty days become thirty sorted Parquet files."""
    bench.cost("ingest")
    return compacted(bench.room / "store")


def copy_to_ndjson(bench: Bench) -> Cost:
    """The same bytes through the same kind of pipe into a folder a day."""
    return peers.duckdb_copy(bench.log, bench.fresh("ndjson"), options="FORMAT json", piped=True, rows=bench.events)


def copy_to_parquet(bench: Bench) -> Cost:
    """DuckDB's Parquet as it comes, from the log as a file."""
    to = bench.fresh("parquet")
    return peers.duckdb_copy(bench.log, to, options="FORMAT parquet", piped=False, rows=bench.events)


def copy_to_zstd_parquet(bench: Bench) -> Cost:
    """DuckDB's Parquet with zstd, as evlog's parts have."""
    options = "FORMAT parquet, COMPRESSION zstd"
    return peers.duckdb_copy(bench.log, bench.fresh("parquet"), options=options, piped=False, rows=bench.events)


ROWS = (
    Row(
        "ingest",
        "ingest from a pipe",
        f"{_DUCKDB}: COPY to date-partitioned NDJSON",
        Reach(ratio=0.8, peak_mb=TREE_MB),
        ingest,
        copy_to_ndjson,
    ),
    Row(
        "again",
        "ingest again, all duplicates",
        "the first ingest",
        Reach(ratio=1, peak_mb=TREE_MB),
        again,
        same_as("ingest"),
    ),
    Row(
        "compact",
        "compact to Parquet",
        f"{_DUCKDB}: COPY to Parquet",
        Reach(ratio=1, bytes=0.8, peak_mb=TREE_MB),
        compact,
        copy_to_parquet,
    ),
    Row(
        "compact-zstd",
        "the same run",
        f"{_DUCKDB}: COPY to zstd Parquet",
        Reach(),
        same_as("compact"),
        copy_to_zstd_parquet,
    ),
)
