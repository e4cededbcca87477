"""The real command in a process of its own, and how much memory it took with all its children.

Memory is the proportional set size of the process tree: a page that several processes share counts once. It is looked
at every few hundredths of a second, so a peak between two looks is not seen.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LIMIT_MB = 400  # invariant 15
EVERY = 0.03  # seconds between two looks
PATIENCE = 900  # seconds until a run counts as hung


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did: exit code, both streams, the most memory its process tree held, and how long it took."""

    code: int
    out: str
    err: str
    peak_mb: float = 0.0
    seconds: float = 0.0


def evlog(root: Path, *words: str | Path, feed: Iterable[bytes] | None = None, **more: Any) -> Ran:
    """Run evlog upon the store at `root`; `feed` comes to it through a pipe."""
    return command([sys.executable, "-m", "evlog", "--data", root, *words], feed=feed, **more)


def command(argv: Iterable[str | Path], *, feed: Iterable[bytes] | None = None, env: Any = None, **more: Any) -> Ran:
    """Run a command and watch its memory."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        streams = {"stdin": subprocess.DEVNULL if feed is None else subprocess.PIPE, "stdout": out, "stderr": err}
        began = time.monotonic()
        child = subprocess.Popen([str(word) for word in argv], env=plain(env), **(streams | more))
        with _Watch(child.pid) as watch:
            if feed is not None:
                _give(child.stdin, feed)
            code = _awaited(child)
        return Ran(code, _text(out), _text(err), watch.peak_mb, time.monotonic() - began)


def plain(more: dict[str, str] | None = None) -> dict[str, str]:
    """The environment without settings of evlog, and with `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EVLOG_")}
    return kept | {"PYTHONDONTWRITEBYTECODE": "1"} | (more or {})


def _awaited(child: subprocess.Popen[bytes]) -> int:
    try:
        return child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        raise


def _give(stream: IO[bytes] | None, feed: Iterable[bytes]) -> None:
    """Write what feeds a command, as far as it wants to hear it."""
    assert stream is not None
    try:
        with stream:
            for piece in feed:
                stream.write(piece)
    except BrokenPipeError:
        pass


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="backslashreplace")


def family(pid: int) -> Iterator[int]:
    """`pid` and all its descendants that live."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:  # ended meanwhile
            continue
        for child in children:
            yield from family(int(child))


def pss_mb(pid: int) -> float:
    """The proportional set size of a process; 0 where it has ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("Pss:")), 0.0)


class _Watch:
    """Looks at the memory of a process tree while it is entered."""

    def __init__(self, pid: int) -> None:
        self.peak_mb = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, args=(pid,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self, pid: int) -> None:
        while not self._over.wait(EVERY):
            self.peak_mb = max(self.peak_mb, sum(map(pss_mb, family(pid))))


def until(holds: Callable[[], bool], *, seconds: float = 30.0) -> bool:
    """Whether something came true while we waited for it."""
    give_up = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.01)
    return True
