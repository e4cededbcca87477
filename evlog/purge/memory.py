"""What a purge remembers of the people in the days that go: since when each id was active (metrics §13)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evlog import engine
from evlog.query import view
from evlog.store import firsts, tombstones
from evlog.store.layout import FIRSTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from numpy.typing import NDArray

    from evlog.store.journal import Staging
    from evlog.store.layout import Store
    from evlog.store.snapshot import Snapshot, Stamp
    from evlog.store.tombstones import Tombstones

_THREADS = 2
_LIMITS = ("220MB", "1GB")  # of the engine; the second only where the first was too little
_SAID = "SET VARIABLE inactive = $inactive"
_SAID_TOO = "SET VARIABLE remembered = $remembered"
_FIRSTS = """
SELECT   CASE WHEN list_contains(CAST(getvariable('remembered') AS VARCHAR[]), event_type) THEN event_type END AS what,
         NOT list_contains(CAST(getvariable('inactive') AS VARCHAR[]), event_type) AS active,
         user_id IS NULL AS anonymous,
         coalesce(user_id, anonymous_id) AS id,
         epoch_us(min(ts)) AS ts
FROM     events
WHERE    id IS NOT NULL AND (what IS NOT NULL OR active)
GROUP BY what, active, anonymous, id
"""


@dataclass(slots=True)
class Memory:
    """The first instants that a purge keeps, in the making; each file is read once."""

    store: Store
    staged: Staging
    before: date
    inactive: Sequence[str]
    remember: Sequence[str]
    _taken: set[Stamp] = field(default_factory=set)
    _found: list[NDArray[Any]] = field(default_factory=list)

    def take(self, seen: Snapshot) -> None:
        """Take in what the files that go hold, but for those that were taken in already."""
        hot = [file for file in seen.hot if file.day < self.before and file.stamp not in self._taken]
        cold = [file for file in seen.cold if file.day < self.before and file.stamp not in self._taken]
        if not hot and not cold:
            return
        for memory in _LIMITS:
            with (
                suppress(*((engine.OutOfMemory,) if memory != _LIMITS[-1] else ())),
                engine.connect(engine.Limits(threads=_THREADS, memory=memory, spill=self.staged.path)) as connection,
            ):
                self._found += self._read(connection, hot, cold)
                break
        self._taken |= {file.stamp for file in hot} | {file.stamp for file in cold}

    def file(self) -> tuple[str, str]:
        """The staged file of the memory, and where it belongs."""
        known, earlier = firsts.held(self.store), tombstones.load(self.store).purged_before
        since = dict.fromkeys(self._names(), earlier) | dict(known.since)
        before = max(self.before, earlier or self.before)
        self.staged.write("firsts", [firsts.content(firsts.merged(known, since, self._found, before=before))])
        return "firsts", FIRSTS

    def _names(self) -> list[str]:
        """What is remembered: any activity, the types asked for, and those that were asked for before."""
        return sorted({firsts.ANY, *self.remember, *firsts.held(self.store).since})

    def _read(self, connection: engine.Engine, hot: Sequence[Any], cold: Sequence[Any]) -> list[NDArray[Any]]:
        names, known = self._names(), tombstones.load(self.store)
        view.offer(connection, hot, cold)
        connection.run(_SAID, {"inactive": list(self.inactive)})
        connection.run(_SAID_TOO, {"remembered": [name for name in names if name != firsts.ANY]})
        return [part for batch in connection.batches(_FIRSTS, rows=65_536) for part in _entries(batch, names, known)]


def _entries(batch: Any, names: Sequence[str], known: Tombstones) -> list[NDArray[Any]]:
    """The entries that a record batch of first instants makes: of each type, and of any where it is active."""
    import numpy as np

    what, ids = np.asarray(batch["what"].to_pylist(), object), batch["id"].to_pylist()
    active, anonymous = (batch[name].to_numpy(zero_copy_only=False) for name in ("active", "anonymous"))
    kinds, moments = np.where(anonymous, firsts.ANONYMOUS, firsts.USER), batch["ts"].to_numpy()
    hashes = np.frombuffer(bytes.fromhex("".join(map(known.subject, ids))), "V16")
    made = []
    for number, name in enumerate(names):
        chosen = active if name == firsts.ANY else what == name
        made.append(firsts.entries(number, kinds[chosen], hashes[chosen].tobytes(), moments[chosen]))
    return made
