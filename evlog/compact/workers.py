"""What is made ahead of its turn by two forked processes, side by side; threads would wait for the interpreter.

A worker hears a number and answers with what it made of it. It stages files and touches nothing else, so it is killed
once nobody waits for it; where its parent is gone, it ends when it sees so.
"""

from __future__ import annotations

import gc
import os
import pickle
import select
import signal
from collections import deque
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from evlog.errors import EvlogError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

T = TypeVar("T")

_WORKERS = 2
_AHEAD = 4  # numbers that are given out and not yet taken
_SIZE = 4  # bytes of a number


class WorkerDied(EvlogError):
    """A worker process ended before its work did: killed, or out of memory."""

    hint = "what was told is done; run the same command again for the rest"

    def __init__(self) -> None:
        super().__init__("a worker process died")


def ahead(count: int, make: Callable[[int], T], *, without: Sequence[int]) -> Generator[T]:
    """What `make` makes of each number below `count`, in order; what it raises is raised here.

    The workers let go of the descriptors `without`: locks of their parent, which end with it.
    """
    workers: list[_Worker] = []
    made: dict[int, Any] = {}
    given = 0
    try:
        for _ in range(min(_WORKERS, count)):
            workers.append(_Worker(make, [*without, *(end for one in workers for end in one.ends)]))
        for turn in range(count):
            while turn not in made or given < min(count, turn + _AHEAD):
                while given < min(count, turn + _AHEAD):
                    min(workers, key=lambda one: len(one.waiting)).give(given)
                    given += 1
                if turn not in made:
                    for worker in select.select([one for one in workers if one.waiting], [], [])[0]:
                        made[worker.waiting.popleft()] = worker.answer()
            if isinstance(made[turn], Exception):
                raise made[turn]
            yield made.pop(turn)
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """A process of its own, the numbers it was given, and the two ends of pipes that lead to it and from it."""

    def __init__(self, make: Callable[[int], Any], strange: Sequence[int]) -> None:
        theirs, orders = os.pipe()
        answers, told = os.pipe()
        self.ends = (orders, answers)
        self.waiting: deque[int] = deque()
        self._process = os.fork()
        if self._process == 0:
            _run(make, theirs, told, [*self.ends, *strange])
        os.close(theirs)
        os.close(told)

    def fileno(self) -> int:
        """The descriptor on which answers come."""
        return self.ends[1]

    def give(self, number: int) -> None:
        """Have something made of a number."""
        self.waiting.append(number)
        try:
            os.write(self.ends[0], number.to_bytes(_SIZE))
        except BrokenPipeError as error:  # not to be taken for a reader of stdout who left
            raise WorkerDied from error

    def answer(self) -> Any:
        """What was made of the number that was given first, or what was raised."""
        return pickle.loads(self._read(int.from_bytes(self._read(_SIZE))))  # noqa: S301 - from a process of our own

    def end(self) -> None:
        """Be rid of it."""
        for end in self.ends:
            os.close(end)
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            more = os.read(self.ends[1], size - len(found))
            if not more:
                raise WorkerDied
            found += more
        return found


def _run(make: Callable[[int], Any], orders: int, answers: int, strange: Sequence[int]) -> NoReturn:
    """Be a worker until there are no more orders."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # the parent decides
        for end in strange:
            os.close(end)  # or nobody would ever see the end of a pipe
        gc.freeze()
        with open(answers, "wb") as file:
            while order := os.read(orders, _SIZE):
                told = pickle.dumps(_made(make, int.from_bytes(order)))
                file.write(len(told).to_bytes(_SIZE) + told)
                file.flush()
    finally:
        os._exit(0)  # what a process does at its end is the parent's to do


def _made(make: Callable[[int], Any], number: int) -> Any:
    try:
        return make(number)
    except Exception as error:  # noqa: BLE001 - the parent raises it
        return error
