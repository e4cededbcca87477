"""What the suites say at the end: how many points each one ran, and how many it had to leave out, and why."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
import torture

if TYPE_CHECKING:
    from collections.abc import Callable


class Tally(Protocol):
    """Counts what a suite did (`points=`, `told=`, `snapshots=`); `skipped=` with a reason ends the test."""

    def __call__(self, suite: str, *, why: str = "", **counts: int) -> None: ...


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Tally:
    """What counts; the figures are printed at the end, and written to build/torture.json under `make torture`."""

    def count(suite: str, *, why: str = "", **counts: int) -> None:
        record_property("tally", [suite, why, counts])
        if "skipped" in counts:
            pytest.skip(f"{suite}: {counts['skipped']} left out, {why}")

    return count


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures, suite by suite."""
    sums: dict[str, Counter[str]] = {}
    for report in (one for outcome in ("passed", "failed", "skipped") for one in terminalreporter.getreports(outcome)):
        for name, said in getattr(report, "user_properties", ()):
            if name == "tally" and report.when in {"call", "setup"}:
                suite, why, counts = said
                _add(sums.setdefault(f"{suite} ({why})" if why else suite, Counter()), counts)
    if not sums:
        return
    terminalreporter.section("what was counted")
    for suite, counts in sorted(sums.items()):
        terminalreporter.line(f"{suite}: " + ", ".join(f"{number:,} {what}" for what, number in counts.items()))
    if torture.ALL:
        found = Path(os.environ.get("EVLOG_TORTURE_FIGURES", "build/torture.json"))
        found.parent.mkdir(parents=True, exist_ok=True)
        found.write_text(json.dumps({suite: dict(counts) for suite, counts in sorted(sums.items())}, indent=2) + "\n")


def _add(known: Counter[str], counts: dict[str, int]) -> None:
    """Add the counts of one test; of peaks the highest stays."""
    for what, number in counts.items():
        known[what] = max(known[what], number) if what.startswith("peak") else known[what] + number
