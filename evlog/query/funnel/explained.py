"""One user's way through the funnel: the chain that counts, and why the next step did not (metrics §7)."""

from __future__ import annotations

from datetime import timedelta
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from evlog.kernel.columns import Attempts
from evlog.kernel.explained import explained as told_by_kernel
from evlog.kernel.optional import did_between
from evlog.query.funnel import read
from evlog.query.funnel.asked import TICK
from evlog.query.funnel.entrants import EPOCH, bounded, run
from evlog.query.funnel.lanes import laid
from evlog.query.result import Column
from evlog.window import spelled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from evlog.kernel.explained import Explained, Why
    from evlog.query.ask import Question
    from evlog.query.funnel.asked import Asked
    from evlog.query.funnel.entrants import Run

    Ints = NDArray[np.int64]

COLUMNS = (
    Column("step", "count"),
    Column("event"),
    Column("ts", "instant"),
    Column("gap_s", "seconds"),
    Column("status"),
    Column("why"),
)
ATTEMPT = Column("attempt", "count")
_TYPES = "SELECT seq, event_type FROM taken"
_KNOWN = "SELECT count(*) FROM taken"
_UNITS = (("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000))

Row = tuple[Any, ...]


def explained(question: Question, asked: Asked) -> tuple[list[Row], dict[str, int], list[str]]:
    """The rows (behind an empty group), a summary, and what there is to note."""
    if not question.engine.rows(_KNOWN)[0][0]:
        return [], {"reached": 0, "steps": len(asked.required)}, [_unknown(question, asked)]
    lanes = laid(read.arrays(question, asked), asked, apart=False)
    whole = run(lanes, asked, lanes.columns["day"] >= 0 if asked.free else None)
    attempts = _attempts(whole, asked, question)
    teller = _Teller(whole, asked, dict(question.engine.rows(_TYPES)))
    if not attempts:
        rows: list[Row] = list(teller.absent())
    else:
        rows = [row for number, one in enumerate(attempts, 1) for row in teller.told(one, number)]
    reached = max((len(one.rows) for one in attempts if not one.removed), default=0)
    return rows, {"reached": reached, "steps": len(asked.required)}, []


def columns(asked: Asked) -> tuple[Column, ...]:
    """The columns of the rows; several attempts are numbered."""
    return (ATTEMPT, *COLUMNS) if asked.rules.attempt == "all" else COLUMNS


def _unknown(question: Question, asked: Asked) -> str:
    window = question.window
    where = " that fits --where" if question.scope.where else ""
    return f"no event of user {asked.explain} from {window.first} on{where}: is the id right, and the range?"


def _attempts(whole: Run, asked: Asked, question: Question) -> Sequence[Explained]:
    """The attempts of the lane that counts; of all lanes where all count."""
    lanes = range(len(whole.lanes.owner))
    if asked.rules.attempt != "all":
        chain = whole.among(None, asked, question.window).chain
        lanes = range(0) if not len(chain) and not asked.rules.remove else lanes
        if len(chain):
            lane = int(whole.lanes.lane[chain[0, 0]])
            lanes = range(lane, lane + 1)
    with bounded():
        found = [one for lane in lanes for one in told_by_kernel(whole.log, lane, asked.rules)]
    if asked.rules.attempt == "all":
        return sorted(found, key=lambda one: (int(whole.log.ts[one.rows[0]]), one.rows))
    return sorted(found, key=lambda one: -len(one.rows))[:1]


class _Teller:
    """Attempts as rows."""

    def __init__(self, whole: Run, asked: Asked, types: dict[int, str]) -> None:
        self.whole = whole
        self.asked = asked
        self.types = types
        self.numbered = asked.rules.attempt == "all"

    def told(self, one: Explained, number: int) -> Iterator[Row]:
        """The steps done, in the order in which they were, and those that were not."""
        head = ("", number) if self.numbered else ("",)
        done = dict(zip(one.steps, one.rows, strict=True))
        side = self._side(one)
        missing = self._missing(one)
        before: int | None = None
        for step in self._places(one):
            if step in side:
                cells = (self._text(step), None, None, "done" if side[step] else "not done", "optional")
            elif (row := done.get(self.asked.required.index(step))) is not None:
                cells = self._done(one, row, before)
                before = row
            else:
                cells = (self._text(step), *next(missing))
            yield (*head, step + 1, *cells)

    def _done(self, one: Explained, row: int, before: int | None) -> Row:
        gap = None if before is None else (self._ts(row) - self._ts(before)) / 1_000_000
        status, why = ("removed", self._why(one)) if one.removed else ("done", None)
        return (self._type(row), _instant(self._ts(row)), gap, status, why)

    def _missing(self, one: Explained) -> Iterator[Row]:
        """The cells of the steps not done: what kept the next one out, and then nothing new."""
        kept_out = one.why is not None and not one.removed
        candidate = one.why.candidate if one.why is not None and kept_out else None
        would = None if candidate is None else _instant(self._ts(candidate))
        yield (would, None, "missing", self._why(one) if kept_out else None)
        further = None if one.removed or self.asked.rules.order == "any" else "the step before is missing"
        yield from repeat((None, None, "missing", further))

    def absent(self) -> Iterator[Row]:
        """The rows of somebody who took no first step."""
        head = ("", 1) if self.numbered else ("",)
        for step in range(len(self.asked.steps)):
            why = "the step before is missing" if step else "never done in the range"
            if step in self.asked.optional:
                why = "optional"
            yield (*head, step + 1, self._text(step), None, None, "missing", why)

    def _places(self, one: Explained) -> list[int]:
        """The steps as written, in the order in which they are told."""
        if self.asked.rules.order != "any":
            return list(range(len(self.asked.steps)))
        rest = [step for step in range(self.asked.rules.steps) if step not in one.steps]
        return [self.asked.required[step] for step in (*one.steps, *rest)]

    def _side(self, one: Explained) -> dict[int, bool]:
        found: dict[int, bool] = {}
        for bit, place in enumerate(self.asked.optional):
            after = sum(required < place for required in self.asked.required)
            matching = (self.whole.lanes.columns["side"] >> bit & 1) == 1
            chain = np.full((1, self.asked.rules.steps), -1, np.int64)
            chain[0, : len(one.rows)] = one.rows
            attempt = Attempts(np.zeros(1, np.int64), np.array([len(one.rows)]), chain)
            done = did_between(attempt, self.whole.log, self.asked.rules, matching=matching, after=after)
            found[place] = bool(done[0])
        return found

    def _why(self, one: Explained) -> str | None:
        """What kept the next step out, in words."""
        if one.why is None:
            return None
        elsewhere = self._elsewhere(one) if one.why.cause in {"never", "earlier"} else None
        if elsewhere is not None:
            return f"done at {spelled(_instant(self._ts(elsewhere)))}, in another {self._apart()}"
        return self._cause(one.why)

    def _cause(self, why: Why) -> str:
        at = "" if why.row is None else spelled(_instant(self._ts(why.row)))
        event = "" if why.row is None else self._type(why.row)
        late = _spelled(why.late or 0)
        return {
            "never": "never done",
            "earlier": f"done only before the step before, last at {at}",
            "tied": f"at the same instant as the step before (ties {self.asked.rules.ties})",
            "window": f"window over by {late}",
            "step_window": f"step window over by {late}",
            "between": f"{event} in between at {at}",
            "excluded": f"{event} excluded at {at}",
        }[why.cause]

    def _elsewhere(self, one: Explained) -> int | None:
        """The row of the first event of another lane that could have been next."""
        fills, lane = self.whole.log.fills, self.whole.log.person
        wanted = 1 << len(one.rows)
        if self.asked.rules.order == "any":
            wanted = sum(1 << step for step in range(self.asked.rules.steps) if step not in one.steps)
        other = (lane != lane[one.rows[0]]) & ((fills & wanted) != 0) & (self.whole.log.ts >= self._ts(one.rows[-1]))
        rows = np.flatnonzero(other)
        return int(rows[np.argmin(self.whole.log.ts[rows])]) if len(rows) else None

    def _apart(self) -> str:
        held = ", ".join(".".join(path) for path in self.asked.hold)
        return " or ".join(filter(None, ("session" if self.asked.sessions else "", held)))

    def _text(self, step: int) -> str:
        return self.asked.steps[step].text

    def _type(self, row: int) -> str:
        return self.types[int(self.whole.lanes.columns["seq"][row])]

    def _ts(self, row: int) -> int:
        return int(self.whole.lanes.columns["ts"][row])


def _instant(microseconds: int) -> datetime:
    return EPOCH + microseconds * TICK


def _spelled(microseconds: int) -> str:
    """A length of time in its two largest units: `1d 2h`, `3s`, `0.5s`."""
    if microseconds < _UNITS[-1][1]:
        return f"{timedelta(microseconds=microseconds).total_seconds():g}s"
    parts = []
    for unit, size in _UNITS:
        whole, microseconds = divmod(microseconds, size)
        if whole:
            parts.append(f"{whole}{unit}")
    return " ".join(parts[:2])
