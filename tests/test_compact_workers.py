"""Two processes make what is asked of them in order, no further ahead than they should, and end with their parent."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evlog.compact import workers
from evlog.compact.workers import WorkerDied, ahead
from evlog.errors import StoreDamaged
from evlog.store import locks

if TYPE_CHECKING:
    from collections.abc import Callable


def made(number: int) -> tuple[int, int]:
    time.sleep(random.Random(number).random() / 100)
    return number, os.getpid()


@pytest.mark.parametrize("count", [0, 1, 2, 7, 40])
def test_all_is_made_in_order_by_two(count: int) -> None:
    found = list(ahead(count, made, without=[]))
    assert [number for number, _ in found] == list(range(count))
    assert len({process for _, process in found}) == min(count, 2)
    assert os.getpid() not in {process for _, process in found}


def test_nobody_goes_far_ahead(tmp_path: Path) -> None:
    def noted(number: int) -> int:
        (tmp_path / str(number)).touch()
        return number

    with closing(ahead(20, noted, without=[])) as each:
        for number in each:
            time.sleep(0.02)
            assert len(list(tmp_path.iterdir())) <= number + workers._AHEAD


def test_answers_may_be_large() -> None:
    assert [len(one) for one in ahead(4, lambda number: b"x" * (number << 20), without=[])] == [
        0,
        1 << 20,
        2 << 20,
        3 << 20,
    ]


def test_what_fails_is_told_in_its_turn() -> None:
    def failing(number: int) -> int:
        if number == 3:
            raise StoreDamaged("it is broken", hint="mend it")
        time.sleep(0.02)
        return number

    found = []
    with pytest.raises(StoreDamaged, match="it is broken") as error:
        found.extend(ahead(9, failing, without=[]))
    assert error.value.hint == "mend it"
    each = ahead(9, failing, without=[])
    assert [next(each) for _ in range(3)] == [0, 1, 2]
    each.close()


def test_a_worker_that_is_killed_is_told() -> None:
    with pytest.raises(WorkerDied):
        list(ahead(9, lambda _number: os.kill(os.getpid(), signal.SIGKILL), without=[]))


def test_they_are_gone_in_the_end() -> None:
    each = ahead(9, made, without=[])
    workers = {next(each)[1] for _ in range(4)}
    each.close()
    assert not any(alive(worker) for worker in workers)


def test_they_end_with_their_parent_and_hold_no_lock_of_it(tmp_path: Path) -> None:
    lock = locks.owned(tmp_path / "lock")
    assert lock is not None

    def slow(number: int) -> int:
        (tmp_path / f"{number}.worker").write_text(str(os.getpid()))
        time.sleep(0.5)
        return number

    parent = os.fork()
    if parent == 0:
        list(ahead(9, slow, without=[lock]))
    os.close(lock)
    until(lambda: len(list(tmp_path.glob("*.worker"))) >= 2 and all(p.read_text() for p in tmp_path.glob("*.worker")))
    workers = [int(path.read_text()) for path in tmp_path.glob("*.worker")]
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert any(alive(worker) for worker in workers)
    again = locks.owned(tmp_path / "lock")
    assert again is not None
    os.close(again)
    until(lambda: not any(alive(worker) for worker in workers))


def alive(process: int) -> bool:
    """Whether a process runs: it is there, and has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(done: Callable[[], bool]) -> None:
    for _ in range(500):
        if done():
            return
        time.sleep(0.02)
    pytest.fail("it did not come to that")
