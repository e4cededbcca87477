"""Power losses of one command: each tree that may remain is put on disk, read, recovered, and the command run again.

`lost(NAME)` is the quick way in, a few seconds for one command of `acts.ACTS`. `breaks` is entered around the recorded
run and makes evlog worse; `bound` is how many trees a step may yield; `one_in` checks a share of those that differ;
`first` begins with the last steps and stops at the first finding, which is quick where something is wrong; `kills` are
steps before which the process dies, then runs again, and then the power goes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import one_engine
import storekit as kit
from acts import ACTS, STORE, seen
from remains import Lasting, trees, walked
from shim import ROOT, Recorder

from evlog.store import journal, layout, locks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from acts import Act
    from shim import Op, Tree

    Breaks = Callable[[], AbstractContextManager[object]]


@dataclass(slots=True)
class Told:
    """What was tried, and what was wrong."""

    steps: int = 0
    trees: int = 0  # that may remain, after any step
    differ: int = 0
    checked: int = 0
    findings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Remain:
    """A tree that may remain, the least state that it must hold, and after which step."""

    tree: Tree
    least: int
    step: str
    key: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found in a tree: what a reader saw, what was there after recovery, and what was wrong in any case."""

    seen: Any = None
    recovered: Any = None
    fault: str = ""
    unclean: str = ""  # what must not be once the command was acknowledged


def lost(
    name: str,
    *,
    bound: int = 16,
    one_in: int = 1,
    first: bool = False,
    kills: Sequence[int | None] = (None,),
    breaks: Breaks = contextlib.nullcontext,
) -> Told:
    """What a power loss at any step of a command leaves that is wrong."""
    act, home, told = ACTS[name], Path(mkdtemp(prefix="evlog-subsets-", dir=kit.FAST)), Told()
    try:
        base = _base(act, home / "base")
        states = _states(act, shutil.copytree(base, home / "states"))
        found: list[Remain] = []
        for number, kill in enumerate(kills):
            ops, before = recorded(act, shutil.copytree(base, home / f"recorded-{number}"), breaks, kill)
            told.steps += len(ops)
            found += _remains(ops, before, told, bound=bound)
        told.differ = len({remain.key for remain in found})
        with one_engine.shared():
            _check(act, states, _share(found, one_in, first=first), told, home, first=first)
    finally:
        shutil.rmtree(home)
    return told


def said(name: str) -> list[str]:
    """The steps of an undisturbed run, in words."""
    home = Path(mkdtemp(prefix="evlog-steps-", dir=kit.FAST))
    try:
        ops, _ = recorded(ACTS[name], _base(ACTS[name], home / "base"), contextlib.nullcontext, None)
        return [f"{op.what} {op.text}" for op in ops]
    finally:
        shutil.rmtree(home)


def recorded(act: Act, home: Path, breaks: Breaks, kill: int | None) -> tuple[list[Op], Tree]:
    """The steps of a run, and the tree before them; after a death, those of the dead and of the next run."""
    recorder = Recorder(home, kill=kill)
    for _ in range(1 if kill is None else 2):
        with breaks(), recorder.recording():
            act.run(home, lambda: recorder.mark("ack"))
    return recorder.ops, recorder.base


def _base(act: Act, home: Path) -> Path:
    """A home as the command finds it; copies of it have the same keys."""
    home.mkdir()
    act.build(home)
    return home


def _states(act: Act, home: Path) -> list[Any]:
    """What the store holds before, and after each acknowledgement, of a run that nothing disturbs."""
    found = [_left(act, home)]
    act.run(home, lambda: found.append(_left(act, home)))
    return found


def _left(act: Act, home: Path) -> Any:
    """What a reader sees, and all else that the store keeps; where there is none, that of an empty one."""
    if not _is_store(home):
        layout.create(home / "none" / STORE)
        home = home / "none"
    return seen(act, home), act.beside(layout.open_store(home / STORE))


def _is_store(home: Path) -> bool:
    return (home / STORE / layout.MARKER).exists()


def _remains(ops: list[Op], base: Tree, told: Told, *, bound: int) -> Iterator[Remain]:
    """Yield what may remain, each tree once for each least state; after a death what the next run leaves."""
    lasting, least, met = Lasting(base.copy()), 0, set()
    start = next((number for number, op in enumerate(ops) if op.what == "died"), 0)
    for number, op in enumerate(ops):
        lasting.follow(op)
        least = least + 1 if op.what == "ack" else 0 if op.what == "died" else least
        for tree in trees(lasting, bound=bound, seed=f"{number}") if number >= start else ():
            told.trees += 1
            key = fingerprint(tree)
            if (key, least) not in met:
                met.add((key, least))
                yield Remain(tree, least, f"{number} {op.what} {op.text}", key)


def _share(found: list[Remain], one_in: int, *, first: bool) -> list[Remain]:
    """One in so many of the trees that differ, with every least state of each."""
    keys = list(dict.fromkeys(remain.key for remain in (reversed(found) if first else found)))
    wanted = {key: number for number, key in enumerate(keys[::one_in])}
    return sorted((remain for remain in found if remain.key in wanted), key=lambda remain: wanted[remain.key])


def fingerprint(tree: Tree) -> bytes:
    """What makes a difference in a tree: all but locks, and files in a staging folder that no commit speaks of."""
    held = dict(walked(tree))
    records = b"".join(tree.files.get(node, b"") for path, node in held.items() if path.startswith(f"{STORE}/journal/"))
    digest = hashlib.blake2b(digest_size=16)
    for path, node in held.items():
        parts = path.split("/")
        staged = parts[:2] == [STORE, "staging"] and len(parts) > 3
        if parts[:2] == [STORE, "locks"] or (staged and parts[2].encode() not in records):
            continue
        digest.update(path.encode() + b"\0" + tree.files.get(node, b"/") + b"\0")
    return digest.digest()


def put(tree: Tree, home: Path) -> None:
    """Write a tree to disk; a file of two names is one file."""
    home.mkdir()
    where: dict[int, Path] = {ROOT: home}
    for path, node in walked(tree):
        target = home / path
        if node in tree.folders:
            target.mkdir(mode=0o700)
        elif node in where:
            os.link(where[node], target)
        else:
            where[node] = target
            target.touch(mode=0o600)
            target.write_bytes(tree.files[node])


def _check(act: Act, states: list[Any], remains: list[Remain], told: Told, home: Path, *, first: bool) -> None:
    """Judge each tree once, and hold it against the least state of each step that may leave it."""
    known: dict[bytes, Verdict] = {}
    for remain in remains:
        if remain.key not in known:
            told.checked += 1
            put(remain.tree, home / f"tree-{told.checked}")  # a path of its own: nothing may be remembered of another
            known[remain.key] = _judged(act, states, home / f"tree-{told.checked}")
            shutil.rmtree(home / f"tree-{told.checked}")
        fault = _fault(known[remain.key], states[remain.least :])
        if fault:
            told.findings.append(f"after step {remain.step}, at least state {remain.least}: {fault}")
            if first:
                return


def _fault(verdict: Verdict, allowed: list[Any]) -> str:
    if verdict.fault or (verdict.unclean and len(allowed) == 1):
        return verdict.fault or verdict.unclean
    if verdict.seen not in [state[0] for state in allowed]:
        return f"a reader sees {verdict.seen}"
    return "" if verdict.recovered in allowed else f"after recovery there is {verdict.recovered}"


def _judged(act: Act, states: list[Any], home: Path) -> Verdict:
    """Read a tree, recover it, run the command again; what was found on the way."""
    root = home / STORE
    there, recovered, unclean = None, None, ""
    try:
        assert kit.doubles(kit.outside(root)) == []
        if _is_store(home):
            there = seen(act, home)
            store = layout.open_store(root)
            with locks.commit(store):
                journal.recover(store)
        recovered = _left(act, home)
        there = there or recovered[0]  # where there is no store, what an empty one holds
        unclean = _unclean(act, home)
        _converges(act, states[-1], home)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was found
        where = traceback.extract_tb(error.__traceback__)[-1]
        return Verdict(there, recovered, f"{type(error).__name__} in {where.name}, line {where.lineno}: {error}")
    return Verdict(there, recovered, unclean=unclean)


def _unclean(act: Act, home: Path) -> str:
    """What is wrong with a tree if the command was acknowledged."""
    try:
        act.after(home)
    except Exception as error:  # noqa: BLE001 - whatever it is
        return f"{type(error).__name__}: {error}"
    return ""


def _converges(act: Act, last: Any, home: Path) -> None:
    """Assert that the same command again ends where an undisturbed run ends, and leaves nothing lying about."""
    act.run(home, lambda: None)
    ends = _left(act, home)
    assert ends == last, f"run again it ends at {ends}"
    store = layout.open_store(home / STORE)
    with locks.commit(store):
        journal.recover(store)
    kit.sound(store)
    act.after(home)
