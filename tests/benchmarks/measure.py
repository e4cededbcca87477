"""What a command costs: wall time, CPU seconds and peak memory, of the process and everything it starts."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EVERY = 0.05  # seconds between two looks at the memory, or more:
SPARE = 20  # so many times what a look took, for it walks all pages of what is measured
_UNWANTED = ("EVLOG_", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
"""Variables that are not handed on: with the second each run would compile all that it imports, as none does elsewhere."""


class RunError(RuntimeError):
    """The command did not do what it is measured for."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The price of one run. `peak_mb` is the proportional set size of the whole process tree: shared pages count once."""

    wall_s: float
    cpu_s: float
    peak_mb: float | None
    out: str = ""
    size: int | None = None  # bytes written, where that is a question
    count: int | None = None  # things done, where the price of one is a question
    answer: Any = None  # what both sides must agree on


def run(
    argv: Sequence[str | Path],
    *,
    stdin: Path | None = None,
    codes: tuple[int, ...] = (0,),
) -> Cost:
    """The cost of running `argv`; `stdin` comes to it through a pipe, whose writer does not count."""
    os.sync()  # what the run before left dirty is not this one's to write
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        feeder = subprocess.Popen(["cat", stdin], stdout=subprocess.PIPE) if stdin else None
        start = time.perf_counter()
        child = subprocess.Popen(
            [str(word) for word in argv],
            stdin=feeder.stdout if feeder else subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={name: value for name, value in os.environ.items() if not name.startswith(_UNWANTED)},
        )
        if feeder and feeder.stdout:
            feeder.stdout.close()
        with Watch(child.pid) as watch:
            _, status, usage = os.wait4(child.pid, 0)
            wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if feeder:
            feeder.wait()
        if child.returncode not in codes:
            err.seek(0)
            said = " ".join(err.read().decode(errors="replace").split())[-300:]
            raise RunError(f"{' '.join(map(str, argv[:6]))[:120]} exited {child.returncode}: {said}")
        out.seek(0)
        return Cost(wall, usage.ru_utime + usage.ru_stime, watch.peak_mb, out.read().decode())


class Watch:
    """Looks at the memory of a process tree again and again while it is entered."""

    def __init__(self, pid: int) -> None:
        self.peak_mb: float | None = None
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        pause = EVERY
        while not self._over.wait(pause):
            start = time.perf_counter()
            sizes = [size for pid in family(self._pid) if (size := pss_kb(pid)) is not None]
            if sizes:
                self.peak_mb = max(self.peak_mb or 0, sum(sizes) / 1024)
            pause = max(EVERY, SPARE * (time.perf_counter() - start))


def family(pid: int) -> Iterator[int]:
    """`pid` and all its descendants that live."""
    yield pid
    try:
        children = [
            child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
        ]
    except OSError:  # ended meanwhile
        return
    for child in children:
        yield from family(int(child))


def pss_kb(pid: int) -> int | None:
    """The proportional set size of a process; None where it has ended, or where there is no /proc."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), None)


def tree_size(root: Path, pattern: str) -> int:
    """The bytes of the files below `root` that match `pattern`."""
    return sum(path.stat().st_size for path in root.glob(pattern))
