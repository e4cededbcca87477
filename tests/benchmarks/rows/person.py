"""Rows about one person in a year of events: evlog opens the partitions that hold them, grep reads everything."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks import peers, people, stores
from benchmarks.measure import Cost, RunError
from benchmarks.row import Reach, Row, evlog
from benchmarks.rows.storing import TREE_MB

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.people import Shape
    from benchmarks.row import Bench

_GREP = "grep over the same events as NDJSON"
OFTEN = 0.75  # of all people by when they came: one who came in the middle of the time, and stayed
SELDOM = 0.5 - 1e-4  # one who came right before it and left at once


def who(shape: Shape, share: float) -> str:
    """The id of a person, by when they came."""
    return people.user(int(shape.users * share))


def _export(share: float) -> Callable[[Bench], Cost]:
    def ours(bench: Bench) -> Cost:
        """Every event of the person; `answer` is how many."""
        cost = evlog("user", "export", who(bench.size.held, share), data=bench.store(bench.size.held))
        lines = cost.out.splitlines()
        days = {json.loads(line)["ts"][:10] for line in lines}
        return replace(cost, answer=len(lines), count=len(days))

    return ours


def deleted(bench: Bench, shape: Shape, user: str) -> Cost:
    """The cost of erasing a person from a copy of a store; `answer` is how many events went, `count` from how many days."""
    store = bench.copy(shape)
    cost = evlog("user", "delete", user, "--yes", "--format", "json", data=store)
    summary = json.loads(cost.out)["summary"]
    if evlog("user", "export", user, data=store).out:
        raise RunError("the person is there still")
    return replace(cost, answer=summary["removed_parquet"], count=len(summary["marked"]))


def _delete(share: float) -> Callable[[Bench], Cost]:
    return lambda bench: deleted(bench, bench.size.held, who(bench.size.held, share))


def _grep(share: float) -> Callable[[Bench], Cost]:
    def theirs(bench: Bench) -> Cost:
        log = stores.log(bench.room, bench.size.held)
        return peers.grep(f'"user_id":"{who(bench.size.held, share)}"', log)

    return theirs


ROWS = (
    Row("export", "user export", _GREP, Reach(ratio=0.05), _export(OFTEN), _grep(OFTEN)),
    Row("export-few", "user export, of few days", _GREP, Reach(ratio=0.05), _export(SELDOM), _grep(SELDOM)),
    Row("delete", "user delete", _GREP, Reach(ratio=0.05, peak_mb=TREE_MB), _delete(OFTEN), _grep(OFTEN), rounds=2),
    Row(
        "delete-few",
        "user delete, of few days",
        _GREP,
        Reach(ratio=0.05, peak_mb=TREE_MB),
        _delete(SELDOM),
        _grep(SELDOM),
        rounds=2,
    ),
)
