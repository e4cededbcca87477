"""Both cores: two worker processes parse blocks side by side and commit them in order.

Blocks go round robin; a token goes round the workers, and who holds it may commit. It carries the contents without ids
that the other has seen, so that equal events stay apart across blocks, and what was heard of consent. A worker whose
parent or neighbour is gone ends.
"""

from __future__ import annotations

import gc
import mmap
import multiprocessing
import signal
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

import numpy as np

from evlog.errors import EvlogError
from evlog.ingest.block import CAPACITY
from evlog.ingest.ledger import SILENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection

    from evlog.ingest.block import Block, Buffer
    from evlog.ingest.commit import Batch, Committer
    from evlog.ingest.tally import Tally

_SIZE = 2  # the token tells each worker what the other one saw; more workers would need it to tell more
_RARELY = 200_000
_PATIENCE = 5.0  # seconds for a worker to end by itself


@dataclass(frozen=True, slots=True)
class Work:
    """The two halves of handling a block: `prepare` runs side by side with others, `finish` in order."""

    prepare: Callable[[Block], Batch]
    finish: Callable[[Batch], Tally]
    committer: Committer


@dataclass(frozen=True, slots=True)
class _Ends:
    """What a worker holds: its parent, the token's pipes, the memory blocks come through, and what to close."""

    parent: Connection
    token_in: Connection
    token_out: Connection
    shared: tuple[mmap.mmap, ...]
    others: tuple[Connection, ...]


class Pool:
    """Two worker processes that handle blocks."""

    def __init__(self, work: Work) -> None:
        context = multiprocessing.get_context("fork")
        tokens = [context.Pipe(duplex=False) for _ in range(_SIZE)]
        self._workers: list[Connection] = []
        self._processes = []
        self._sent = 0
        self._shared = tuple(mmap.mmap(-1, CAPACITY) for _ in range(_SIZE + 1))
        for number in range(_SIZE):
            ours, theirs = context.Pipe()
            mine, following = tokens[number][0], tokens[(number + 1) % _SIZE][1]
            strange = [end for pair in tokens for end in pair if end not in (mine, following)]
            ends = _Ends(theirs, mine, following, self._shared, (*self._workers, ours, *strange))
            process = context.Process(target=_serve, args=(ends, work), daemon=True)
            process.start()
            theirs.close()
            self._workers.append(ours)
            self._processes.append(process)
        tokens[0][1].send((b"", SILENCE))
        for pair in tokens:
            pair[0].close()
            pair[1].close()

    def run(self, blocks: Iterable[Block]) -> Iterator[Tally]:
        """The tally of each block once it is durable, in order; where `blocks` raises, what was sent is finished."""
        waiting: list[Connection] = []
        turn = 0
        try:
            for block in blocks:
                worker = self._workers[turn % _SIZE]
                turn += 1
                while worker in waiting or (waiting and waiting[0].poll()):
                    yield _answer(waiting.pop(0))
                self._send(worker, block)
                waiting.append(worker)
        except (KeyboardInterrupt, EvlogError):
            yield from map(_answer, waiting)
            raise
        yield from map(_answer, waiting)

    def buffers(self) -> Iterator[Buffer]:
        """The memory that blocks are read into: one for each worker, and one to read ahead into meanwhile.

        The next one is free once a block was sent: three blocks before, it was sent to the same worker, which answered.
        """
        while True:
            yield self._shared[self._sent % len(self._shared)]

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.close()
        for process in self._processes:
            process.join(timeout=_PATIENCE)
            if process.is_alive():
                process.kill()

    def _send(self, worker: Connection, block: Block) -> None:
        """Hand over a block; its lines stand in memory that both see, but for lines of an unusual length."""
        place = next((number for number, shared in enumerate(self._shared) if shared is block.data), None)
        data = bytes(memoryview(block.data)[: block.size]) if place is None else b""
        try:
            worker.send((replace(block, data=data), place))
            self._sent += 1
        except (BrokenPipeError, ConnectionResetError) as error:  # not to be taken for a reader of stdout who left
            raise _died() from error


def _died() -> EvlogError:
    hint = "what the summary counts is stored; run the same command again for the rest"
    return EvlogError("a worker process died", hint=hint)


def _answer(worker: Connection) -> Tally:
    try:
        answer: Any = worker.recv()
    except (EOFError, ConnectionResetError) as error:
        raise _died() from error
    if isinstance(answer, BaseException):
        raise answer
    found: Tally = answer
    return found


def _serve(ends: _Ends, work: Work) -> None:
    """Handle blocks until there are no more."""
    for end in ends.others:
        end.close()  # or nobody would ever see the end of a pipe
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the parent decides what to finish
    gc.freeze()
    gc.set_threshold(_RARELY)  # parsing makes no cycles: looking for some every 700 objects is a twentieth of its time
    while True:
        try:
            if not _handle(ends, work):
                return
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return
        except (EvlogError, OSError, MemoryError) as error:
            ends.parent.send(error if isinstance(error, EvlogError) else EvlogError(str(error)))
            return


def _handle(ends: _Ends, work: Work) -> bool:
    """Handle one block; whether there may be more."""
    block: Block
    block, place = ends.parent.recv()
    if place is not None:
        block.data = ends.shared[place]
    batch = work.prepare(block)
    if ends.parent in wait([ends.token_in, ends.parent]):
        return False  # the parent is gone: it sends nothing before it has our answer
    contents = work.committer.contents
    seen, work.committer.heard = ends.token_in.recv()
    contents.learn(np.frombuffer(seen, np.uint64))
    contents.news = contents.news[:0]
    tally = work.finish(batch)
    ends.parent.send(tally)  # first: the neighbour takes a large token only once it has a block of its own
    ends.token_out.send((contents.news.tobytes(), work.committer.heard))
    return True
