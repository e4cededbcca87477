"""The members of a crowd: each a process of its own that calls the command line, or looks, until all is over."""

from __future__ import annotations

import faulthandler
import json
import os
import random
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import crowd
import storekit as kit
from crowd import Heard, Judge, Scene, say

from evlog import engine, reports
from evlog.cli.run import run
from evlog.query import view
from evlog.query.ask import Question
from evlog.query.scope import Scope
from evlog.rollup import questions
from evlog.rollup import run as rolling
from evlog.store import layout, links, snapshot
from evlog.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SHARE_KILLED = 0.15
_REPORTS = ("dau", "events")
_FEW = 10  # batches
_PATIENCE = 300.0  # seconds that no call takes


@dataclass(frozen=True, slots=True)
class Called:
    """How a call of the command line ended; `code` is None where it was killed."""

    code: int | None
    out: bytes
    err: bytes

    @property
    def summary(self) -> dict[str, Any]:
        """What it printed, as JSON."""
        found: dict[str, Any] = json.loads(self.out)
        return found


def called(scene: Scene, *words: str, given: bytes = b"", kill_after: float | None = None) -> Called:
    """Call evlog in a process of its own, forked off this one, which never ran anything of it but imports."""
    files = [os.memfd_create(name) for name in ("in", "out", "err")]
    os.write(files[0], given)
    os.lseek(files[0], 0, os.SEEK_SET)
    pid = os.fork()
    if pid == 0:
        _evlog(["--data", str(scene.data), *words], files)
    if kill_after is not None:
        killer = threading.Timer(kill_after, _killed, (pid,))
        killer.start()
    _, status = os.waitpid(pid, 0)
    if kill_after is not None:
        killer.cancel()
        killer.join()
    code = None if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    os.close(files[0])
    return Called(code, *map(_all, files[1:]))


def _killed(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _all(fd: int) -> bytes:
    with os.fdopen(fd, "rb") as file:
        file.seek(0)
        return file.read()


def _evlog(words: list[str], files: list[int]) -> None:
    """Become evlog."""
    code = 70
    try:
        for number, fd in enumerate(files):
            os.dup2(fd, number)
        faulthandler.dump_traceback_later(_PATIENCE, exit=True)  # tells where it waits for ever
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - open to the end
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        rolling.standing = _asked  # all questions would take seconds each time, and what is written is the same
        code = run(words)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - told, whatever it is
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _asked(more: Any) -> Any:
    """The standing questions that readers hold against events, and those that every rollup has."""
    kept = (questions.HOURS, questions.QUALITY)
    return tuple(one for one in questions.standing(more) if one in kept or one.report in _REPORTS)


def guarded(member: Callable[[Scene, str], None], scene: Scene, name: str) -> None:
    """Do what a member does; whatever goes wrong is a fault, and ends the crowd."""
    try:
        member(scene, name)
    except BaseException:  # noqa: BLE001 - told, whatever it is
        say(scene, name, fault=f"{name}: {traceback.format_exc()}")
        (scene.root / "over").touch()


def _perhaps(dice: random.Random, within: float, *, kills: bool = True) -> float | None:
    """After how many seconds a call is to be killed; mostly it is not."""
    return dice.uniform(0.0, within) if kills and dice.random() < _SHARE_KILLED else None


# -- who writes -------------------------------------------------------------------------------------------------------


def ingest(scene: Scene, name: str) -> None:
    """Bring batch after batch, in a file or on stdin; one that was killed is brought again until it is acknowledged."""
    dice, heard, number = random.Random(name), Heard(scene), 0
    while not scene.over and (number < scene.batches or heard.listen().counts["looks"] < scene.looks):
        one = crowd.batch(scene, name, number if number < 4 * scene.batches else dice.randrange(number))
        _brought(scene, name, one, dice, as_file=bool(number % 2))
        number += 1
        time.sleep(0.0 if number < scene.batches else 0.1)


def _brought(scene: Scene, name: str, one: crowd.Batch, dice: random.Random, *, as_file: bool) -> None:
    path, killed = scene.root / f"{name}.ndjson", 0
    path.write_bytes(one.content)
    workers = "2" if dice.random() < 0.2 else "1"
    words = ("ingest", "--format", "json", "--workers", workers, "--flush-interval", "60s")
    hushed = "suppressed" in Heard(scene).listen().done
    while not scene.over:
        given = ((*words, str(path)), b"") if as_file else ((*words, "-"), one.content)
        done = called(scene, *given[0], given=given[1], kill_after=_perhaps(dice, 0.15, kills=scene.kills))
        if done.code is not None:
            assert done.code == 3, done
            crowd.accounted(one, done.summary)
            assert done.summary["no_consent"] == 1 or not hushed, done
            fresh = hushed and not killed and not done.summary["duplicates"]  # no run before it stored any of it
            what = {"stored": one.label, "hushed": fresh, "events": done.summary["stored"], "killed": killed}
            say(scene, name, **what, counts={"ingests": 1})
            return
        killed += 1
        say(scene, name, counts={"killed": 1})


def maintain(scene: Scene, name: str) -> None:
    """Call maintenance again and again; where other maintenance is on its way it says so, and ends with 4."""
    dice, calls = random.Random(name), _CALLS[name]
    while not scene.over:
        for words in calls:
            asked = [word.format(today=scene.today) for word in words]
            done = called(scene, *asked, kill_after=_perhaps(dice, 0.6))
            assert done.code in (0, 4, None), (words, done)
            if done.code == 4:
                assert b"the store is locked for maintenance by evlog " in done.err, done
            say(scene, name, counts={f"{name}, {'killed' if done.code is None else f'exit {done.code}'}": 1})
            time.sleep(dice.uniform(0.1, 0.6))


_CALLS = {
    "compact": (("compact",), ("compact", "--all", "--wait", "2s"), ("compact",)),
    "rollup": (("rollup", "--grain", "day", "--days", "4", "--as-of", "{today}"),),
}


def erase(scene: Scene, name: str) -> None:
    """Erase one user after the other, while their events keep coming."""
    for turn, user in enumerate(crowd.DOOMED, 1):
        _until(scene, (2 * turn - 1) / (2 * len(crowd.DOOMED) + 1))
        told = _done(scene, name, "user", "delete", user, "--yes", "--wait", "none")
        removed = {key: count for key, count in told.items() if key.startswith("removed_")}
        assert told["found"] == 0, told
        say(scene, name, erased=user, events=removed["removed_events"] + removed["removed_parquet"])
    told = _done(scene, name, "user", "delete", crowd.MASKED, "--anonymise", "--yes", "--wait", "none")
    assert told["found"] == 0, told
    say(scene, name, done="masked")


def purge(scene: Scene, name: str) -> None:
    """Let the first day go for good, and then the second into an archive; where there is little time, both at once.

    In the end a day comes back that was archived before the crowd came.
    """
    asked = ("--as-of", str(scene.today), "--yes", "--wait", "none")
    if scene.batches > _FEW:
        _until(scene, 0.3)
        told = _done(scene, name, "purge", "--older-than", "5d", *asked)
        say(scene, name, gone=scene.days[0], events=told["events"])
    _until(scene, 0.5)
    told = _done(scene, name, "archive", "--older-than", "4d", "--to", str(scene.root / "archive"), *asked)
    for day in scene.doomed_days[scene.batches > _FEW :]:
        say(scene, name, gone=day, events=told.pop("events", 0))
    told = _done(scene, name, "archive", "restore", str(scene.root / "before"), "--wait", "none")
    say(scene, name, done="restored", events=told["stored"])


def steward(scene: Scene, name: str) -> None:
    """Suppress a user, then say whose each device is, as somebody at a terminal would, while everybody else works."""
    _until(scene, 0.25)
    _done(scene, name, "user", "suppress", crowd.HUSHED)
    say(scene, name, done="suppressed")
    for number, device in enumerate(crowd.DEVICES):
        _until(scene, 0.3 + 0.1 * number)
        _linked(scene, name, device, crowd.SAFE[number % len(crowd.SAFE)])


def _linked(scene: Scene, name: str, device: str, user: str) -> None:
    dice = random.Random(device)
    while (done := called(scene, "user", "link", device, user, kill_after=_perhaps(dice, 0.3))).code is None:
        say(scene, name, counts={f"{name}, killed": 1})
    assert done.code == 0, done
    say(scene, name, done=f"{device} {user}", counts={name: 1})


def _until(scene: Scene, share: float) -> None:
    """Return once that share of the batches is stored."""
    heard = Heard(scene)
    while not scene.over and len(heard.listen().stored) < share * scene.batches * len(crowd.INGESTS):
        time.sleep(0.02)


def _done(scene: Scene, name: str, *words: str) -> dict[str, Any]:
    """The summary of a call, which is made again where it was killed."""
    dice = random.Random(f"{name} {words}")
    kills = 2 if scene.kills else 0
    for _ in range(20):
        kill_after = dice.uniform(0.05, 0.8) if kills > 0 else None
        done = called(scene, *words, "--format", "json", kill_after=kill_after)
        if done.code == 1 and b"events kept coming into days" in done.err:
            say(scene, name, counts={f"{name}, gave way to late events": 1})
        elif done.code is not None:
            assert done.code == 0, (words, done)
            say(scene, name, counts={name: 1})
            found: dict[str, Any] = done.summary["summary"]
            return found
        else:
            kills -= 1
            say(scene, name, counts={f"{name}, killed": 1})
    raise AssertionError(f"{words} never came to an end")


# -- who reads --------------------------------------------------------------------------------------------------------


def read(scene: Scene, name: str) -> None:
    """Look at snapshot after snapshot."""
    judge, heard = Judge(scene), Heard(scene)
    store, number = layout.open_store(scene.data), 0
    with engine.connect(engine.Limits(threads=1)) as connection:

        def look(seen: snapshot.Snapshot) -> list[Any]:
            events, params = view.relation(seen.hot, seen.cold)
            return connection.rows(crowd.SQL.format(events=f"({events})"), params)

        while not scene.over:
            heard.listen()
            _judged(scene, name, judge.faults(snapshot.steady(store, look), heard))
            number += 1
            time.sleep(0.01 if heard.counts["looks"] < scene.looks else 0.5)
            if name.endswith("one") and number % 8 == 0:
                _judged(scene, name, links.steady(store, lambda seen, said: _rolled(scene, store, seen, said)))


def _judged(scene: Scene, name: str, faults: list[str]) -> None:
    say(scene, name, counts={"looks": 1})
    if faults:
        say(scene, name, fault=f"{name}: {faults[:20]}")
        (scene.root / "over").touch()


def _rolled(scene: Scene, store: layout.Store, seen: snapshot.Snapshot, said: Any) -> list[str]:
    """Where rollups answer otherwise than the events of the same snapshot, on days that stay."""
    as_of = datetime.combine(scene.today + timedelta(days=1), datetime.min.time())
    first, last = (datetime.fromisoformat(scene.days[place]).date() for place in (2, 3))
    scope, found = Scope(Window(first, last, as_of, scene.today)), []
    for report in _REPORTS:
        answers = []
        for rollups in (True, False):
            with engine.connect(engine.Limits(threads=1)) as connection:
                question = Question(connection, seen, scope, store=store, said=said, rollups=rollups)
                answers.append(reports.load(report).report(question))
        if answers[0].rows != answers[1].rows:
            found.append(f"{report}: rollups say {answers[0].rows}, events say {answers[1].rows}")
        say(scene, "rolled", counts={f"answers from {answers[0].source}": 1})
    return found


def ask(scene: Scene, name: str) -> None:
    """Ask by the command line: the same must hold of what it prints."""
    judge, heard = Judge(scene), Heard(scene)
    sql = crowd.SQL.format(events="events")
    while not scene.over:
        heard.listen()
        done = called(scene, "sql", sql, "--format", "ndjson")
        assert done.code == 0, done
        rows = [tuple(json.loads(line).values()) for line in done.out.splitlines() if line]
        _judged(scene, name, judge.faults(rows, heard))
        done = called(scene, "report", "dau", "--days", "7", "--as-of", str(scene.today), "--format", "json")
        assert done.code == 0, done
        say(scene, name, counts={"reports": 1})
        time.sleep(0.1 if heard.counts["looks"] < scene.looks else 1)


def stranger(scene: Scene, name: str) -> None:
    """Look into the cold tier as somebody who knows nothing of evlog; an error, where a file went, but no miscount."""
    import pyarrow.dataset as ds

    root, safe = scene.data, set[str]()
    while not scene.over:
        before = _parts(root)
        try:
            found = kit.outside(root)
            folder = root / "parquet"
            table = ds.dataset(folder, format="parquet", partitioning="hive").to_table(["event_id"]) if found else None
        except Exception as error:  # noqa: BLE001 - any error at all is what this looks for
            if _parts(root) == before or _kind(error) not in _LOUD:
                _judged(scene, name, [repr(error)])
            say(scene, name, counts={f"told an outside reader: {_kind(error)}": 1})
            continue
        if not found:
            time.sleep(0.05)
            continue
        names = [one for one, _ in found]
        if None in names and _parts(root) != before:  # the footer of one file, the pages of the next
            say(scene, name, counts={"an outside reader took two files for one": 1})
            continue
        stays = {one for one, day in found if str(day) in scene.days[2:] and one.startswith(("both", "clash"))}
        faults = kit.doubles(names) + [f"{one} is gone from the cold tier" for one in sorted(safe - stays)]
        if table is not None:
            faults += kit.doubles(table["event_id"].to_pylist())
        safe = stays
        say(scene, name, counts={"looks from outside": 1})
        if faults:
            _judged(scene, name, list(map(str, faults)))


_LOUD = {"TProtocolException", "IOException", "FileNotFoundError"}  # the file was replaced, or has gone


def _parts(root: Path) -> set[int]:
    return {path.stat().st_ino for path in (root / "parquet").glob("*/*.parquet")}


def _kind(error: Exception) -> str:
    return "TProtocolException" if "TProtocolException" in repr(error) else type(error).__name__


MEMBERS: dict[str, Callable[[Scene, str], None]] = {
    **dict.fromkeys(crowd.INGESTS, ingest),
    "compact": maintain,
    "rollup": maintain,
    "erase": erase,
    "purge": purge,
    "steward": steward,
    "reader one": read,
    "reader two": read,
    "reader three": read,
    "asker": ask,
    "stranger": stranger,
}
