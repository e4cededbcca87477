"""The lanes in which chains run: a user's events, told apart by session, held values, or values of the break-down.

What is counted (a user, a session, a value) is an *owner*; each lane belongs to one. A chain never leaves its lane.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evlog.kernel.sessions import OUTSIDE, numbered
from evlog.query.funnel.asked import TICK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from evlog.query.funnel.asked import Asked

    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Lanes:
    """Columns sorted by (lane, ts, arrival), and what is known of each lane."""

    lane: Ints
    columns: Mapping[str, Ints]
    owner: Ints  # of each lane
    value: Ints  # of each lane: of the break-down, where each value is a funnel of its own; else -1


def laid(columns: Mapping[str, Ints], asked: Asked, *, apart: bool) -> Lanes:
    """The columns in their lanes; with `apart` each value of the break-down has lanes of its own."""
    columns, owner, keys = dict(columns), columns["owner"], []
    if apart:
        columns["place"] = np.arange(len(owner))
    if asked.sessions:
        session = _sessions(columns, asked)
        kept = (session != OUTSIDE) & _counting(columns)
        columns, session = {name: column[kept] for name, column in columns.items()}, session[kept]
        owner = session if asked.unit == "session" else columns["owner"]
        keys = [session] if asked.unit != "session" else []
        columns["session"] = session
    if apart:
        kept = _carrying(owner, columns)
        columns, owner = {name: column[kept] for name, column in columns.items()}, owner[kept]
        keys = [*(key[kept] for key in keys), columns["value"]]
    if "held" in columns:
        keys.append(columns["held"])
    return _sorted(columns, owner, keys, apart=apart)


def merged(lanes: Lanes, values: Sequence[int], opens: Flags | None) -> tuple[Lanes, Flags | None]:
    """The lanes of these values as if they were one value; and `opens` in the order of their rows."""
    kept = np.flatnonzero(np.isin(lanes.value[lanes.lane], values))
    kept = kept[np.argsort(lanes.columns["place"][kept])]
    columns = {name: column[kept] for name, column in lanes.columns.items()}
    if opens is not None:
        columns["opens"] = opens[kept].astype(np.int64)
    owner = lanes.owner[lanes.lane[kept]]
    found = _sorted(columns, owner, [columns[name] for name in ("session", "held") if name in columns], apart=True)
    return found, None if opens is None else found.columns["opens"] != 0


def _sessions(columns: Mapping[str, Ints], asked: Asked) -> Ints:
    return numbered(
        columns["owner"],
        columns["explicit"],
        columns["ts"],
        timeout=asked.timeout // TICK,
        extends=columns["extends"] != 0,
    )


def _counting(columns: Mapping[str, Ints]) -> NDArray[np.bool_]:
    """Whether a row is more than what keeps a session going."""
    counting: NDArray[np.bool_] = columns["fills"] != 0
    for name in ("excluded", "side", "breaks"):
        if name in columns:
            counting |= columns[name] != 0
    return counting


def _carrying(owner: Ints, columns: Mapping[str, Ints]) -> NDArray[np.bool_]:
    """Whether a row counts in the funnel of its value: a value, or none where its owner has none anywhere."""
    valued: NDArray[np.bool_] = columns["value"] >= 0
    having = np.unique(owner[valued & (columns["fills"] != 0)])
    return valued | ~np.isin(owner, having)


def _sorted(columns: Mapping[str, Ints], owner: Ints, keys: list[Ints], *, apart: bool) -> Lanes:
    """The columns by lane; lanes are numbered by owner and then by what tells them apart."""
    if not keys and owner is columns["owner"]:  # sorted by owner already, and numbered from 0
        owners = np.arange(int(owner[-1]) + 1 if len(owner) else 0)
        return Lanes(owner, columns, owners, np.full(len(owners), -1, np.int64))
    parts = [owner, *keys]
    order = np.lexsort(parts[::-1])
    parts = [part[order] for part in parts]
    columns = {name: column[order] for name, column in columns.items()}
    first = np.zeros(len(owner), bool)
    first[:1] = True
    for part in parts:
        first[1:] |= part[1:] != part[:-1]
    value = columns["value"][first] if apart else np.full(int(first.sum()), -1, np.int64)
    return Lanes(np.cumsum(first) - 1, columns, parts[0][first], value)
