"""Measure evlog beside its peers and print ratios: `make bench`, or `make bench SIZE=small` for a quick look.

In every round evlog and the peer do the same work in turn, on the same bytes, the same two cores and two threads;
every other round the peer goes first. Whole processes are measured: start-up, imports and fsync included. Where both
give an answer, the answers must agree. Writes build/bench/results.json and results.md.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import zip_longest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # the folder that holds this package, whichever way this file is started

from benchmarks import generate, peers, stores  # noqa: E402
from benchmarks.measure import Cost, RunError  # noqa: E402
from benchmarks.people import Shape  # noqa: E402
from benchmarks.row import Bench, Row, Size  # noqa: E402
from benchmarks.rows import ROWS  # noqa: E402
from benchmarks.table import Figures, markdown  # noqa: E402

SMALL = Size(
    name="small",
    log=100_000,
    asked=Shape(300_000, 60),
    held=Shape(300_000, 120),
    light=Shape(30_000, 120),
    long=Shape(30_000, 1_200),
    day=20_000,
    rounds=2,
)
FULL = Size(
    name="full",
    log=1_000_000,
    asked=Shape(10_000_000, 60),
    held=Shape(10_000_000, 365),
    light=Shape(1_000_000, 365),
    long=Shape(1_000_000, 3_650),
    day=1_000_000,
    rounds=5,
)
SIZES = {size.name: size for size in (SMALL, FULL)}


@dataclass(slots=True)
class Found:
    """What the rounds of a row came to so far."""

    ours: list[Cost] = field(default_factory=list)
    theirs: list[Cost] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)

    def figures(self, row: Row) -> Figures:
        """The same, for the table."""
        return Figures(row, tuple(self.ours), tuple(self.theirs), "; ".join(dict.fromkeys(self.trouble)))


def measured(rows: list[Row], bench: Bench, rounds: int) -> list[Figures]:
    """The figures of all rows after all rounds; a row that fails says why, and the others go on."""
    found = {row.name: Found() for row in rows}
    for turn in range(rounds):
        bench.costs.clear()
        for row in rows:
            if turn < (row.rounds or rounds):
                _measure(row, bench, found[row.name], peer_first=turn % 2 == 1)
                _tell(found[row.name], f"round {turn + 1} of {row.rounds or rounds}: {row.name}")
    return [found[row.name].figures(row) for row in rows]


def _measure(row: Row, bench: Bench, found: Found, *, peer_first: bool) -> None:
    """One round of a row: either side may fail without stopping the other."""
    made: dict[str, Cost] = {}
    for side in ("theirs", "ours") if peer_first else ("ours", "theirs"):
        work = row.ours if side == "ours" else row.theirs
        try:
            if work is not None:
                made[side] = work(bench)
        except (RunError, peers.PeerError, subprocess.CalledProcessError, KeyError, ValueError) as error:
            found.trouble.append(f"{side}: {error!r}" if isinstance(error, KeyError) else f"{side}: {error}")
    if "ours" in made:
        bench.costs[row.name] = made["ours"]
    if row.theirs is None or len(made) == len(("ours", "theirs")):  # a ratio is one of the same round
        found.ours += [made["ours"]] if "ours" in made else []
        found.theirs += [made["theirs"]] if "theirs" in made else []
    found.trouble += disagreement(made)


def disagreement(made: dict[str, Cost]) -> list[str]:
    """Where the answers of both sides differ, at the first place: a wrong answer is not worth its time."""
    ours, theirs = (made[side].answer if side in made else None for side in ("ours", "theirs"))
    if ours is None or theirs is None or ours == theirs:
        return []
    if isinstance(ours, list) and isinstance(theirs, list):
        ours, theirs = next((a, b) for a, b in zip_longest(ours, theirs) if a != b)
    return [f"the answers differ: ours {ours}, theirs {theirs}"]


def _tell(found: Found, what: str) -> None:
    """Say how a row went, as it goes."""
    walls = [f"{costs[-1].wall_s:.2f} s" for costs in (found.ours, found.theirs) if costs]
    print(f"{what}: {' against '.join(walls)}", *found.trouble[-1:], file=sys.stderr, flush=True)


def machine() -> dict[str, str | int]:
    """Where and with what this was measured."""
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "cpus": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        **{peer: peers.version(peer) for peer in peers.NEEDS},
    }


def main() -> int:
    """Measure and print; 1 when a row could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--rounds", type=int, help="instead of the size's number")
    parser.add_argument("--rows", default="*", help="only these: names or patterns such as 'funnel*', comma-separated")
    parser.add_argument("--out", type=Path, default=HERE.parents[1] / "build" / "bench")
    asked = parser.parse_args()
    if not stores.EVLOG.exists():
        parser.error(f"there is no evlog beside {sys.executable}: run make bench")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: peers.THREADS])
    asked.out.mkdir(parents=True, exist_ok=True)
    compileall.compile_dir(HERE.parents[1] / "evlog", quiet=1)  # as the peers were when they were installed
    size = SIZES[asked.size]
    rounds = asked.rounds or size.rounds
    where: dict[str, str | int] = {"size": size.name, "rounds": rounds, **machine()}  # installs the peers
    bench = Bench(size, generate.made(asked.out, size.log), asked.out)
    figures = measured(chosen(asked.rows, size), bench, rounds)
    return report(figures, where, asked.out)


def chosen(patterns: str, size: Size) -> list[Row]:
    """The rows of a size that one of the patterns names."""
    return [
        row
        for row in ROWS
        if size.name in row.sizes and any(fnmatchcase(row.name, pattern) for pattern in patterns.split(","))
    ]


def report(figures: list[Figures], where: dict[str, str | int], out: Path) -> int:
    """Print the table and keep it, for people and for machines."""
    text = ", ".join(f"{key} {value}" for key, value in where.items()) + "\n\n" + markdown(figures)
    text += "".join(f"\n{figure.row.name}: {figure.trouble}\n" for figure in figures if figure.trouble)
    (out / "results.md").write_text(text, encoding="utf-8")
    facts = {"where": where, "rows": [figure.facts() for figure in figures]}
    (out / "results.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(text, end="")
    return int(any(figure.trouble for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
