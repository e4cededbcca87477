"""The events of sessions as columns: what every answer over sessions counts from."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

from evlog.query.sessions.rule import ticks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from evlog.kernel.sessions import Runs
    from evlog.query.sessions.rule import Rule

    Ints = NDArray[np.int64]

T = TypeVar("T")

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Visits:
    """Columns of equal length, a row an event that has a person, sorted by (person, ts, seq)."""

    person: Ints  # a number
    ts: Ints  # microseconds
    day: Ints  # the local date, in days since 1970
    session: Ints  # a number; -1: none (an event that makes nobody active, outside all sessions)
    named: NDArray[np.bool_]  # it has a session id, and that counts
    columns: dict[str, Ints]  # what the caller asked for; of a text its number in `words`
    words: dict[str, tuple[str, ...]]  # rising
    events: int = 0  # in the window, whoever sent them
    userless: int = 0  # those of them without a user
    shared_ids: int = 0  # session ids in the window with more than one person: a session for each

    def runs(self) -> Runs:
        """The events of each session, by its number."""
        from evlog.kernel.sessions import runs

        return runs(self.session)

    def gaps(self, rule: Rule) -> int:
        """The sessions with an id in which two events are further apart than the timeout."""
        import numpy as np

        runs = self.runs()
        named = runs.rows[self.named[runs.rows]]
        long = np.diff(self.ts[named]) > ticks(rule.timeout)
        same = np.diff(self.session[named]) == 0
        return len(np.unique(self.session[named[1:]][long & same]))

    def within(self, first: date, last: date, *, day: Ints | None = None) -> NDArray[np.bool_]:
        """Whether each row (or each of these days) lies on a date from first to last."""
        days = self.day if day is None else day
        held: NDArray[np.bool_] = (days >= (first - _EPOCH).days) & (days <= (last - _EPOCH).days)
        return held


def joined(pieces: list[T]) -> T:
    """What was made of slices, a dataclass of columns each, as one of all their rows; the pieces are let go."""
    import numpy as np

    if len(pieces) == 1:
        return pieces[0]
    held: dict[str, Any] = {}
    for name in (one.name for one in fields(pieces[0])):  # type: ignore[arg-type]
        columns = [getattr(piece, name) for piece in pieces]
        held[name] = None if columns[0] is None else np.concatenate(columns)
    whole = type(pieces[0])(**held)
    pieces.clear()
    return whole
