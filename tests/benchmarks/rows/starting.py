"""Rows about starting: what evlog takes before it does anything, and for next to nothing."""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from benchmarks import peers
from benchmarks.measure import Cost, run
from benchmarks.row import Reach, Row, evlog
from benchmarks.stores import EVLOG

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.row import Bench

_STARTS = 7  # a start-up is measured so often a round; the median counts
_SAMPLES = peers.HERE.parents[1] / "sample_logs"


def _often(once: Callable[[], Cost]) -> Cost:
    costs = [once() for _ in range(_STARTS)]
    return replace(costs[0], wall_s=median(c.wall_s for c in costs), cpu_s=median(c.cpu_s for c in costs))


def say_version(_: Bench) -> Cost:
    """evlog --version."""
    return _often(lambda: run([EVLOG, "--version"]))


def dau_of_samples(bench: Bench) -> Cost:
    """evlog report dau on the compacted sample logs."""
    store = bench.fresh("samples")
    logs = sorted((_SAMPLES / "logs").iterdir())
    evlog("ingest", "--plan", _SAMPLES / "plan.toml", *logs, data=store, codes=(3,))
    evlog("compact", data=store)
    return _often(lambda: evlog("report", "dau", "--as-of", "2026-03-31", data=store))


def bare_python(_: Bench) -> Cost:
    """python -c pass."""
    return _often(peers.bare_python)


ROWS = (
    Row("version", "evlog --version", "python -c pass", Reach(more_ms=60), say_version, bare_python),
    Row("dau", "report dau, sample logs", "python -c pass", Reach(more_ms=300), dau_of_samples, bare_python),
)
