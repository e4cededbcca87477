"""The points at which a command can be stopped: every system call that changes something, and what strace does to it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

import scenarios
from tracelint import CHANGING, Call, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scenarios import Scenario

Fault = Literal["KILL", "EIO", "ENOSPC"]
_STRACE = ("strace", "-f", "-qq")
_FAST = "--seccomp-bpf"  # stops at what is traced alone; but strace 6.1 then forgets the signal it was to inject
WRITES = ("write", "pwrite64", "writev", "fsync", "fdatasync", "ftruncate")
RENAMES = ("rename", "renameat", "renameat2")
RECORD = re.compile(r"/journal/\d+\.json$")
COUNTED = (*_STRACE, _FAST, "-y", "-s", "200", "-e", f"trace={','.join(CHANGING)}")


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """The `number`-th call of that name; each thread of each process counts for itself."""

    call: str
    number: int

    def under(self, fault: Fault) -> tuple[str, ...]:
        """The words before a command that kill it before this call, or make the call fail."""
        how = "signal=KILL" if fault == "KILL" else f"error={fault}"
        words = _STRACE if fault == "KILL" else (*_STRACE, _FAST)
        inject = f"inject={self.call}:{how}:when={self.number}"
        return (*words, "-o", "/dev/null", "-e", f"trace={self.call}", "-e", inject)


def points(scenario: Scenario, home: Path) -> list[Point]:
    """The points of an undisturbed run, in a home that is made for it.

    Of many equal calls upon one file or folder in a row, the first two and the last: between them nothing is different.
    """
    return sorted({point for thread in _counted(scenario, home) for point in _thinned(thread)})


def thinned(log: Path) -> list[Point]:
    """The points of a run that strace wrote this log of, thinned alike."""
    return sorted({point for thread in _threads(log) for point in _thinned(thread)})


def after_commit(scenario: Scenario, home: Path) -> list[Point]:
    """The renames that follow the first commit record: killed before them, a command leaves work to recovery."""
    for thread in _counted(scenario, home):
        renames = [call for call in thread if call.name in RENAMES]
        at = next((place for place, call in enumerate(renames) if RECORD.search(call.paths[1])), None)
        if at is not None:
            counts = Counter(call.name for call in renames[: at + 1])
            return list(_numbered(renames[at + 1 :], counts))
    raise AssertionError(f"{scenario.name} commits nothing")


def _counted(scenario: Scenario, home: Path) -> list[list[Call]]:
    """The calls of each thread of an undisturbed run."""
    store, log = scenarios.build(scenario, home), home.with_suffix(".log")
    done = scenarios.call(scenario, store, under=(*COUNTED, "-o", str(log)))
    assert done.returncode == scenario.ends, done.stderr
    return _threads(log)


def _threads(log: Path) -> list[list[Call]]:
    threads: dict[str, list[Call]] = {}
    for call in read(log):
        if call.name in CHANGING:
            threads.setdefault(call.thread, []).append(call)
    return list(threads.values())


def _thinned(thread: list[Call]) -> Iterator[Point]:
    counts: Counter[str] = Counter()
    for (name, _), group in groupby(thread, _upon):
        first = counts[name] + 1
        counts[name] += sum(1 for _ in group)
        yield from (Point(name, number) for number in {first, min(first + 1, counts[name]), counts[name]})


def _upon(call: Call) -> tuple[str, str]:
    """What a call is, and upon which file or folder."""
    path = call.paths[0] if call.paths else ""
    return call.name, call.file if call.name in WRITES else path.rpartition("/")[0]


def _numbered(calls: list[Call], counts: Counter[str]) -> Iterator[Point]:
    for call in calls:
        counts[call.name] += 1
        yield Point(call.name, counts[call.name])
