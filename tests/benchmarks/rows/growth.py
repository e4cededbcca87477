"""Rows about growth: ten times as much, held against a tenth of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks import generate
from benchmarks.row import Reach, Row, same_as
from benchmarks.rows.person import OFTEN, deleted, who
from benchmarks.rows.rollup import new_day
from benchmarks.rows.storing import TREE_MB, compacted, taken_in

if TYPE_CHECKING:
    from benchmarks.measure import Cost
    from benchmarks.row import Bench

MORE = 10
_TEN = Reach(ratio=11, peak_mb=TREE_MB)  # ten times, and a tenth of that
_EQUAL = Reach(ratio=1.1, peak_mb=TREE_MB)


def ingest_more(bench: Bench) -> Cost:
    """Ten times the events into a new store."""
    log = generate.made(bench.room, bench.events * MORE)
    return taken_in(log, bench.fresh("store-more"), read=bench.events * MORE, stored=bench.events * MORE)


def compact_more(bench: Bench) -> Cost:
    """Their thirty days become thirty parts."""
    bench.cost("growth-ingest")
    return compacted(bench.room / "store-more")


def delete_light(bench: Bench) -> Cost:
    """A person leaves a tenth of the events in as many days."""
    return replace(deleted(bench, bench.size.light, who(bench.size.light, OFTEN)), answer=None)


def delete_long(bench: Bench) -> Cost:
    """The same person leaves as many events in ten times the days."""
    return replace(deleted(bench, bench.size.long, who(bench.size.long, OFTEN)), answer=None)


FULL = ("full",)
ROWS = (
    Row(
        "growth-ingest",
        f"ingest of {MORE} times the events",
        "ingest",
        _TEN,
        ingest_more,
        same_as("ingest"),
        rounds=1,
        sizes=FULL,
    ),
    Row(
        "growth-compact",
        f"compact of {MORE} times the events",
        "compact",
        _TEN,
        compact_more,
        same_as("compact"),
        rounds=1,
        sizes=FULL,
    ),
    Row(
        "growth-purge",
        f"purge, {MORE} times the events",
        "purge",
        _EQUAL,
        same_as("purge-more"),
        same_as("purge"),
        sizes=FULL,
    ),
    Row(
        "growth-purge-days",
        f"purge, {MORE} times the days",
        "purge",
        _TEN,
        same_as("purge-long"),
        same_as("purge"),
        sizes=FULL,
    ),
    Row(
        "growth-rollup-days",
        f"rollup of a new day, {MORE} times the days",
        "the same in a year",
        _EQUAL,
        lambda bench: new_day(bench, bench.size.long, bench.size.day),
        lambda bench: new_day(bench, bench.size.light, bench.size.day),
        rounds=1,
        sizes=FULL,
    ),
    Row(
        "growth-delete",
        f"user delete, {MORE} times the events",
        "a tenth of the events",
        Reach(),
        same_as("delete"),
        delete_light,
        rounds=2,
        sizes=FULL,
    ),
    Row(
        "growth-delete-days",
        f"user delete, {MORE} times the days",
        "a tenth of the days",
        Reach(),
        delete_long,
        delete_light,
        rounds=2,
        sizes=FULL,
    ),
)
