"""Rows about purge: what it takes for a partition, however many events lie in it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.measure import Cost, RunError
from benchmarks.row import Reach, Row, evlog
from benchmarks.rows.storing import TREE_MB
from benchmarks.stores import AS_OF

if TYPE_CHECKING:
    from benchmarks.people import Shape
    from benchmarks.row import Bench

KEPT = 30  # days
_EACH = Reach(each_ms=2, peak_mb=TREE_MB)


def purged(bench: Bench, shape: Shape) -> Cost:
    """The cost of removing all days but the last thirty from a copy of a store; `count` is how many went."""
    store = bench.copy(shape)
    words = ("purge", "--older-than", f"{KEPT}d", "--as-of", AS_OF, "--yes", "--format", "json")
    cost = evlog(*words, data=store)
    days = json.loads(cost.out)["summary"]["days"]
    left = len(list(store.glob("parquet/date=*")))
    if days + left != shape.days or left > KEPT + 1:
        raise RunError(f"purge removed {days} of {shape.days} days, and {left} are left")
    return replace(cost, count=days)


ROWS = (
    Row("purge", "purge of a year, a tenth of the events", "", _EACH, lambda bench: purged(bench, bench.size.light)),
    Row("purge-more", "purge of a year, all events", "", _EACH, lambda bench: purged(bench, bench.size.held)),
    Row(
        "purge-long",
        "purge of ten years, a tenth of the events",
        "",
        _EACH,
        lambda bench: purged(bench, bench.size.long),
        sizes=("full",),
    ),
)
