"""How many users take the steps of a funnel in order, where they stop, and how long each step takes (metrics §7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, get_args

from evlog.errors import UsageError
from evlog.kernel.quantile import quantile
from evlog.kernel.rules import Attribution, Rules, Ties
from evlog.query import answer
from evlog.query import steps as language
from evlog.query.ask import Reach
from evlog.query.result import Column
from evlog.window import limit, midnight

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from evlog.query.ask import Question
    from evlog.query.result import Result
    from evlog.query.steps import Step
    from evlog.window import Window

    Ints = NDArray[np.int64]

HELP = "users who take steps in order, and where they stop"

COLUMNS = (
    Column("step", "count"),
    Column("event"),
    Column("users", "count", bar=True),
    Column("conversion", "rate"),
    Column("step_conversion", "rate"),
    Column("dropped", "count"),
    Column("median_s", "seconds"),
    Column("mean_s", "seconds"),
    Column("p90_s", "seconds"),
)
NONE, OTHER = "(none)", "(other)"

_TAKEN = """
WITH told AS (
         SELECT person, epoch_us(ts) AS ts, seq, event_id, grp, in_range, user_id IS NULL AS userless,
                {fills} AS fills
         FROM   seen)
SELECT *
FROM   told
WHERE  fills <> 0
"""
_FILLS = "CASE WHEN {condition} THEN CAST({bit} AS BIGINT) ELSE 0 END"
_READ = """
SELECT count(*), count(*) FILTER (userless AND in_range), coalesce(bit_or(fills), 0)
FROM   taken
"""
_LOG = """
WITH entrants AS (
         SELECT person, row_number() OVER () AS number
         FROM   (SELECT DISTINCT person FROM taken WHERE fills & 1 = 1 AND person IS NOT NULL))
SELECT   number, ts, fills{grp}
FROM     taken JOIN entrants USING (person)
ORDER BY number, ts, seq, event_id
"""


@dataclass(frozen=True, slots=True)
class _Funnel:
    """The question, resolved."""

    steps: tuple[Step, ...]
    window: timedelta | None
    ties: Ties
    attribution: Attribution
    cut: bool

    @property
    def rules(self) -> Rules:
        """What makes a chain an attempt."""
        window = None if self.window is None else self.window // timedelta(microseconds=1)
        return Rules(len(self.steps), window, self.ties)


@dataclass(frozen=True, slots=True)
class _Entrants:
    """All who took step 1: how far, when, whether they may still come further, and their group's number."""

    level: Ints
    instants: Ints  # an entrant, a step: microseconds, of use below the level only
    still_open: NDArray[np.bool_]
    group: Ints
    names: tuple[str, ...]  # of the groups, by number


def report(
    question: Question,
    *,
    steps: tuple[str, ...],
    window: str | None = "14d",
    ties: Ties = "step",
    attribution: Attribution = "first",
    cut: bool = False,
) -> Result:
    """Users at each step of the funnel, along each one's best attempt.

    Step 1 must lie in the range; later steps may come after it, up to what plays now, unless `cut`.
    """
    _one_of("ties", ties, get_args(Ties))
    _one_of("attribution", attribution, get_args(Attribution))
    funnel = _Funnel(language.parse(steps), limit(window or "none"), ties, attribution, cut)
    events, userless, fitted = _read(question, funnel)
    entrants = _entrants(question, funnel)
    groups, withheld = _groups(question, entrants)
    rows = [row for name, members in groups for row in _rows(name, funnel, entrants, members)]
    return answer.result(
        question,
        "funnel",
        columns=COLUMNS,
        rows=rows,
        rule="users whose distinct events fill the steps in order",
        summary=_summary(funnel, entrants),
        kinds={"conversion": "rate", "median_s": "seconds", "mean_s": "seconds"},
        options={"steps": [step.text for step in funnel.steps], "window": funnel.window, "ties": ties, "cut": cut,
                 "attribution": attribution},
        definition=_definition(question, funnel),
        read=(events, userless),
        withheld=withheld,
        partial=_growing(groups, entrants, len(funnel.steps)),
        notes=_unfitted(funnel, fitted),
    )


def _one_of(option: str, given: str, known: Sequence[str]) -> None:
    if given not in known:
        raise UsageError(f"--{option} {given!r} is unknown", hint=f"give one of: {', '.join(known)}")


def _read(question: Question, funnel: _Funnel) -> tuple[int, int, int]:
    """Events that fit a step, those of them without a user, and the steps they fit; keeps them as table `taken`.

    Only an event of the range can be step 1.
    """
    pieces, params = [], {}
    for number, step in enumerate(funnel.steps):
        sql, values = language.as_sql(step, f"step_{number}")
        condition = sql if number else f"in_range AND {sql}"
        pieces.append(_FILLS.format(condition=condition, bit=1 << number))
        params |= values
    question.keep("taken", _TAKEN.format(fills=" | ".join(pieces)), params, reach=_reach(question.window, funnel))
    events, userless, fitted = question.engine.rows(_READ)[0]
    return events, userless, fitted


def _reach(window: Window, funnel: _Funnel) -> Reach:
    """The dates on which an event may count: up to the end of the funnel window of the last entrant."""
    if funnel.cut:
        return Reach(window.first, window.last)
    if funnel.window is None or funnel.window.days > (window.today - window.last).days:
        return Reach(window.first, None)
    return Reach(window.first, window.last + timedelta(days=funnel.window.days + 1))


def _entrants(question: Question, funnel: _Funnel) -> _Entrants:
    import numpy as np

    from evlog.kernel.funnel import Log, attempts

    grouped = question.scope.by is not None
    found = question.engine.arrays(_LOG.format(grp=", grp" if grouped else ""))
    log = Log(*(np.asarray(found[name], np.int64) for name in ("number", "ts", "fills")))
    best = attempts(log, funnel.rules)
    group, names = _attributed(best.chain, found["grp"], funnel) if grouped else (np.zeros_like(best.level), ("",))
    return _Entrants(best.level, log.ts[best.chain], _still_open(question.window, funnel, log, best.level), group, names)


def _still_open(window: Window, funnel: _Funnel, log: Any, level: Ints) -> NDArray[np.bool_]:
    """Whether each entrant may still come further: the funnel window of the latest entry is not over (metrics §7.7)."""
    import numpy as np

    unfinished = level < len(funnel.steps)
    if funnel.cut and window.complete:
        return np.zeros_like(unfinished)
    if funnel.window is None:
        return unfinished
    entries = np.flatnonzero(log.fills & 1)
    who = log.person[entries]
    latest = log.ts[entries[np.append(who[1:] != who[:-1], len(who) > 0)]] if len(who) else log.ts[entries]
    now = (window.as_of - _EPOCH) // timedelta(microseconds=1)
    return unfinished & (latest + funnel.rules.window > now)
