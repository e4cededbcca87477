"""Both cores: worker processes parse blocks side by side and commit them in order.

Blocks go round robin; a token goes round the workers, and who holds it may commit. It carries the contents without ids
that the others have seen, so that equal events stay apart across blocks. A worker whose parent or neighbour is gone ends.
"""

from __future__ import annotations

import mmap
import multiprocessing
import signal
from dataclasses import replace
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

import numpy as np

from evlog.errors import EvlogError
from evlog.ingest.block import CAPACITY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection

    from evlog.ingest.block import Block
    from evlog.ingest.commit import Committer
    from evlog.ingest.tally import Tally


_SIZE = 2  # the token tells each worker what the other one saw; more workers would need it to tell more

class Pool:
    """Two worker processes that run `prepare` (parse, side by side) and then `finish` (commit, in order) for each block."""

    def __init__(
        self, prepare: Callable[[Block], Any], finish: Callable[[Any], Tally], committer: Committer
    ) -> None:
        context = multiprocessing.get_context("fork")
        tokens = [context.Pipe(duplex=False) for _ in range(_SIZE)]
        self._workers: list[Connection] = []
        self._processes = []
        self._shared = {}
        for number in range(_SIZE):
            ours, theirs = context.Pipe()
            self._shared[ours] = shared = mmap.mmap(-1, CAPACITY)
            ring = (tokens[number][0], tokens[(number + 1) % _SIZE][1])
            others = [*self._workers, ours, *(end for i, pair in enumerate(tokens) for end in pair if end not in ring)]
            process = context.Process(target=_work, args=(theirs, ring, others, shared, prepare, finish, committer), daemon=True)
            process.start()
            theirs.close()
            self._workers.append(ours)
            self._processes.append(process)
        tokens[0][1].send_bytes(b"")
        for pair in tokens:
            pair[0].close()
            pair[1].close()

    def run(self, blocks: Iterable[Block]) -> Iterator[Tally]:
        """The tally of each block once it is durable, in order. Where `blocks` raises, what was sent is finished first."""
        waiting: list[Connection] = []
        turn = 0
        try:
            for block in blocks:
                worker = self._workers[turn % len(self._workers)]
                turn += 1
                while worker in waiting or (waiting and waiting[0].poll()):
                    yield _answer(waiting.pop(0))
                self._send(worker, block)
                waiting.append(worker)
        except (KeyboardInterrupt, EvlogError):
            yield from map(_answer, waiting)
            raise
        yield from map(_answer, waiting)

    def _send(self, worker: Connection, block: Block) -> None:
        """Hand over a block; its lines go through memory that both see."""
        shared = self._shared[worker]
        if block.size <= len(shared):
            shared[: block.size] = memoryview(block.data)[: block.size]
            worker.send(replace(block, data=b""))
        else:
            worker.send(replace(block, data=bytes(memoryview(block.data)[: block.size])))

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.close()
        for process in self._processes:
            process.join(timeout=5)
            if process.is_alive():
                process.terminate()


def _answer(worker: Connection) -> Tally:
    try:
        answer = worker.recv()
    except EOFError as error:
        hint = "what the summary counts is stored; run the same command again for the rest"
        raise EvlogError("a worker process died", hint=hint) from error
    if isinstance(answer, BaseException):
        raise answer
    return answer  # type: ignore[no-any-return]


def _work(
    parent: Connection, ring: tuple[Connection, Connection], others: list[Connection], shared: mmap.mmap, prepare: Any,
    finish: Any, committer: Committer,
) -> None:  # fmt: skip
    for end in others:
        end.close()  # or nobody would ever see the end of a pipe
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what to finish
    mine, following = ring
    while True:
        try:
            block = parent.recv()
            block.data = block.data or shared
            prepared = prepare(block)
            if parent in wait([mine, parent]):
                return  # the parent is gone: it sends nothing before it has our answer
            contents = committer.contents
            contents.learn(np.frombuffer(mine.recv_bytes(), np.uint64))
            contents.news = contents.news[:0]
            tally = finish(prepared)
            following.send_bytes(contents.news.tobytes())
            parent.send(tally)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return
        except (EvlogError, OSError, MemoryError) as error:
            parent.send(error if isinstance(error, EvlogError) else EvlogError(str(error)))
            return
