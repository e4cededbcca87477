"""The first-seen memory: since when each id was active, of days that are purged (metrics §13).

While its events are there, the first instant of an id is their minimum; a purge keeps that minimum here, in the commit
that removes the events. The file holds keyed hashes of ids, and no id; it falls under erasure. Its first line says
up to which day, and which event types are remembered apart and since when; sorted entries of fixed width follow.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from evlog.errors import StoreDamaged
from evlog.store import durable
from evlog.store.layout import FIRSTS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from evlog.store.layout import Store

ANY = ""
"""In place of an event type: any that makes active."""

USER, ANONYMOUS = 0, 1
"""What kind of id an entry is about: `user_id`, or an `anonymous_id` that came without one."""

_ENTRY = np.dtype([("what", ">u2"), ("kind", "u1"), ("high", ">u8"), ("low", ">u8"), ("ts", ">i8")])
_MOST = 2**16


def _none() -> NDArray[np.void]:
    return np.empty(0, _ENTRY)


@dataclass(frozen=True, slots=True)
class Firsts:
    """The memory of a store: which types are remembered, and the entries, sorted by type, kind and hash.

    `since` says for each type from which day on purged days are remembered; None: all of them are.
    """

    since: Mapping[str, date | None] = field(default_factory=dict)
    entries: NDArray[np.void] = field(default_factory=_none)
    before: date | None = None  # the first day that was not purged

    def read(self, whats: Collection[str]) -> Iterator[tuple[int, bytes, int]]:
        """Kind, hash and first instant (µs since 1970) of every id that did one of `whats`."""
        names = sorted(self.since)
        held = self.entries[np.isin(self.entries["what"], [names.index(what) for what in whats if what in names])]
        raw = np.ascontiguousarray(held[["high", "low"]]).astype([("high", ">u8"), ("low", ">u8")]).tobytes()
        kinds, moments = held["kind"].tolist(), held["ts"].tolist()
        return ((kind, raw[16 * n : 16 * n + 16], ts) for n, (kind, ts) in enumerate(zip(kinds, moments, strict=True)))


def entries(what: int, kinds: NDArray[Any], hashes: bytes, moments: NDArray[Any]) -> NDArray[np.void]:
    """Entries of one type (by its number among the sorted names): 16 bytes of hash for each kind and instant (µs)."""
    made = np.empty(len(moments), _ENTRY)
    halves = np.frombuffer(hashes, ">u8").reshape(-1, 2)
    made["what"], made["kind"], made["ts"] = what, kinds, moments
    made["high"], made["low"] = halves[:, 0], halves[:, 1]
    return made


def merged(
    known: Firsts, since: Mapping[str, date | None], found: Iterable[NDArray[np.void]], *, before: date | None
) -> Firsts:
    """The memory with what was found, numbered by the names of `since`, which holds all that are known: the minima."""
    names = sorted(since)
    old = known.entries.copy()
    if len(names) > _MOST:
        raise StoreDamaged(f"{len(names)} event types are too many to be remembered")
    place = np.array([names.index(name) for name in sorted(known.since)] or [0], ">u2")
    old["what"] = place[old["what"]]
    return Firsts(dict(since), _least(np.concatenate([old, *found]).astype(_ENTRY)), before)


def _least(found: NDArray[np.void]) -> NDArray[np.void]:
    """Sorted entries, of each id and type the earliest."""
    order = np.lexsort((found["ts"], found["low"], found["high"], found["kind"], found["what"]))
    sorted_ = found[order]
    first = np.ones(len(sorted_), bool)
    first[1:] = np.logical_or.reduce([sorted_[key][1:] != sorted_[key][:-1] for key in ("what", "kind", "high", "low")])
    kept: NDArray[np.void] = sorted_[first]
    return kept


def content(memory: Firsts) -> bytes:
    """The bytes of the file."""
    since = {name: _spelled(day) for name, day in sorted(memory.since.items())}
    head = json.dumps({"before": _spelled(memory.before), "since": since})
    return head.encode() + b"\n" + memory.entries.astype(_ENTRY).tobytes()


def _spelled(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def load(path: Path) -> Firsts:
    """The memory in the file at `path`; StoreDamaged if it is none."""
    head, newline, rest = durable.read(path).partition(b"\n")
    try:
        told = json.loads(head)
        since = {str(name): _day(day) for name, day in told["since"].items()}
        memory = Firsts(since, np.frombuffer(rest, _ENTRY), _day(told["before"]))
        whole = bool(newline) and _is_sorted(memory)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreDamaged(f"{path} is no memory of first instants") from error
    if not whole:
        raise StoreDamaged(f"{path} is not in order")
    return memory


def _is_sorted(memory: Firsts) -> bool:
    """Whether entries are in strictly rising order, and of types that the file names."""
    held = memory.entries
    order = np.lexsort((held["low"], held["high"], held["kind"], held["what"]))
    known = not len(held) or int(held["what"].max()) < len(memory.since)
    return known and len(_least(held)) == len(held) and bool((order == np.arange(len(held))).all())


def held(store: Store) -> Firsts:
    """The memory of a store that nobody is changing; an empty one where no purge has made any."""
    try:
        return load(store.root / FIRSTS)
    except FileNotFoundError:
        return Firsts()


def without(store: Store, subjects: Collection[str]) -> bytes | None:
    """The bytes of the file without these subjects (keyed hashes, as tombstones have them); None: nothing changes.

    The caller holds the commit lock and has recovered.
    """
    memory = held(store)
    gone = np.zeros(len(memory.entries), bool)
    for subject in subjects:
        high, low = int(subject[:16], 16), int(subject[16:], 16)
        gone |= (memory.entries["high"] == high) & (memory.entries["low"] == low)
    return content(Firsts(memory.since, memory.entries[~gone], memory.before)) if gone.any() else None
