"""Measure evlog beside its peers and print ratios: `make bench`, or `make bench SIZE=small` for a quick look.

In every round evlog and the peer do the same work in turn, on the same bytes, the same two cores and two threads;
every other round the peer goes first. Whole processes are measured: start-up, imports and fsync included.
Writes build/bench/results.json and results.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import generate  # noqa: E402 - siblings, whichever way this file is started
import peers  # noqa: E402
from measure import Cost, RunError  # noqa: E402
from rows import EVLOG, ROWS, Bench, Row  # noqa: E402
from table import Figures, markdown  # noqa: E402

SEED = 1


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured, how often."""

    events: int
    rounds: int


SIZES = {"small": Size(100_000, 2), "full": Size(1_000_000, 5)}


def generated(room: Path, events: int) -> Path:
    """The log of so many events; made when it is not there yet."""
    path = room / f"events-{events}-{SEED}.ndjson"
    if not path.exists():
        scratch = path.with_suffix(".part")
        with scratch.open("wb") as target:
            generate.write(target, events=events, seed=SEED)
        scratch.rename(path)
    return path


def measured(rows: list[Row], bench: Bench, rounds: int) -> list[Figures]:
    """The figures of all rows after all rounds; a row that fails says why, and the others go on."""
    found = {row.name: (list[Cost](), list[Cost](), list[str]()) for row in rows}
    for turn in range(rounds):
        bench.costs.clear()
        for row in rows:
            ours, theirs, trouble = found[row.name]
            print(f"round {turn + 1} of {rounds}: {row.work}", file=sys.stderr, flush=True)
            _measure(row, bench, (ours, theirs), trouble, peer_first=turn % 2 == 1)
    return [
        Figures(row, tuple(ours), tuple(theirs), "; ".join(dict.fromkeys(trouble)))
        for row, (ours, theirs, trouble) in ((row, found[row.name]) for row in rows)
    ]


def _measure(
    row: Row, bench: Bench, costs: tuple[list[Cost], list[Cost]], trouble: list[str], *, peer_first: bool
) -> None:
    """One round of a row: either side may fail without stopping the other."""
    for side in ("theirs", "ours") if peer_first else ("ours", "theirs"):
        try:
            if side == "ours":
                bench.costs[row.name] = row.ours(bench)
                costs[0].append(bench.costs[row.name])
            else:
                costs[1].append(row.theirs(bench))
        except (RunError, peers.PeerError, KeyError, ValueError) as error:
            trouble.append(f"{side}: {error}" if not isinstance(error, KeyError) else f"{side}: needs the row {error}")


def machine() -> dict[str, str | int]:
    """Where and with what this was measured."""
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "cpus": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "duckdb": peers.version("duckdb"),
    }


def main() -> int:
    """Measure and print; 1 when a row could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--events", type=int, help="instead of the size's number")
    parser.add_argument("--rounds", type=int, help="instead of the size's number")
    parser.add_argument("--rows", default=",".join(row.name for row in ROWS), help="only these, comma-separated")
    parser.add_argument("--out", type=Path, default=HERE.parents[1] / "build" / "bench")
    asked = parser.parse_args()
    if not EVLOG.exists():
        parser.error(f"there is no evlog beside {sys.executable}: run make bench")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: peers.THREADS])
    asked.out.mkdir(parents=True, exist_ok=True)
    size = SIZES[asked.size]
    events = asked.events or size.events
    bench = Bench(events, generated(asked.out, events), asked.out)
    chosen = [row for row in ROWS if row.name in asked.rows.split(",")]
    figures = measured(chosen, bench, asked.rounds or size.rounds)
    where = {"events": events, "bytes": bench.log.stat().st_size, "rounds": asked.rounds or size.rounds, **machine()}
    return report(figures, where, asked.out)


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
