"""Rows about memory: every report over all days of the store, and how much it takes at its peak."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import people
from benchmarks.asking import REPORT_MB
from benchmarks.row import Reach, Row, evlog
from benchmarks.stores import AS_OF

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measure import Cost
    from benchmarks.row import Bench

_ANY = people.user(1)
REPORTS: dict[str, tuple[str, ...]] = {
    "active": (),
    "dau": ("--by", "context.platform"),
    "wau": ("--by", "context.platform"),
    "mau": ("--by", "context.platform"),
    "depth": ("--open", "exercise_start", "--interact", "exercise_complete"),
    "dropoff": ("--start", "exercise_start", "--complete", "exercise_complete"),
    "durations": ("--start", "exercise_start", "--complete", "exercise_complete"),
    "errors": (),
    "events": (),
    "experiment": ("--exposure", "exercise_start", "--variant", "properties.mode", "--goal", "exercise_complete"),
    "frequency": (),
    "funnel": ("*", "*", "*"),
    "journey": ("--user", _ANY),
    "lifecycle": (),
    "paths": (),
    "retention": ("--period", "day", "--periods", "30", "--where", "target_type!=tool"),
    "returns": ("--after", "exercise_complete"),
    "revisions": (),
    "sessions": (),
    "stickiness": (),
    "streaks": (),
    "targets": ("--avg", "duration_ms"),
    "top": ("properties.path",),
    "trend": ("--of", "properties.load_ms", "--measure", "p90"),
    "usage": (),
}


def _asked(name: str, options: tuple[str, ...]) -> Callable[[Bench], Cost]:
    words = ("report", name, *options, "--all-time", "--as-of", AS_OF, "--format", "json")
    return lambda bench: evlog(*words, data=bench.store(bench.size.asked))


ROWS = tuple(
    Row(
        f"memory-{name}",
        f"report {' '.join((name, *options))}",
        "",
        Reach(peak_mb=REPORT_MB),
        _asked(name, options),
        rounds=1,
    )
    for name, options in REPORTS.items()
)
