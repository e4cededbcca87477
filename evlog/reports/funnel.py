"""How many users take the steps of a funnel in order, where they stop, and how long each step takes (metrics §7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, get_args

from evlog.errors import UsageError
from evlog.kernel.quantile import quantile
from evlog.kernel.rules import FOREVER, Attribution, Rules, Ties
from evlog.query import answer
from evlog.query import steps as language
from evlog.query.ask import Reach
from evlog.query.result import Column
from evlog.window import limit

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
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive UTC
_TICK = timedelta(microseconds=1)
NONE, OTHER = answer.ABSENT, "(other)"

_TAKEN = """
WITH told AS (
         SELECT person, epoch_us(ts) AS ts, seq, grp, in_range, userless,
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
ORDER BY number, ts, seq
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
        window = FOREVER if self.window is None else min(self.window // _TICK, FOREVER)
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
    steps: Annotated[tuple[str, ...], "each 'EVENT', 'EVENT|EVENT' or '*', with '[KEY OP VALUE, …]' if need be"],
    window: Annotated[str | None, "the time from step 1 to the last, such as 7d; none: no limit"] = "14d",
    ties: Annotated[Ties, "events of one instant: in the order that helps, never both, or as they arrived"] = "step",
    attribution: Annotated[Attribution, "with --by: the first or the last value along the way"] = "first",
    cut: Annotated[bool, "only events inside the range count, for later steps too"] = False,
) -> Result:
    """Users at each step of the funnel, along each one's best attempt.

    Step 1 must lie in the range; later steps may come after it, up to what plays now, unless `cut`.
    """
    _one_of("ties", ties, get_args(Ties))
    _one_of("attribution", attribution, get_args(Attribution))
    limited = (window or "none").strip().lower()
    funnel = _Funnel(language.parse(steps), limit(limited), ties, attribution, cut)
    events, userless, fitted = _read(question, funnel)
    entrants = _entrants(question, funnel)
    groups, withheld = _groups(question, entrants)
    options = {"steps": [step.text for step in funnel.steps], "window": limited, "ties": ties, "cut": cut}
    return answer.result(
        question,
        "funnel",
        columns=COLUMNS,
        rows=[row for name, members in groups for row in _rows(name, funnel, entrants, members)],
        rule="users whose distinct events fill the steps in order, one event one step",
        summary=_summary(funnel, entrants),
        kinds={"conversion": "rate", "median_s": "seconds", "mean_s": "seconds"},
        options={**options, "attribution": attribution},
        definition=_definition(question, funnel, limited),
        read=(events, userless),
        withheld=withheld,
        partial=_growing(groups, entrants, len(funnel.steps)),
        partial_means=_open(int(entrants.still_open.sum()), funnel),
        notes=_unfitted(funnel, fitted),
    )


def _one_of(option: str, given: str, known: Sequence[str]) -> None:
    if given not in known:
        raise UsageError(f"--{option} {given!r} is unknown", hint=f"give one of: {', '.join(known)}")


def _read(question: Question, funnel: _Funnel) -> tuple[int, int, int]:
    """Events that fit a step, those of them in the range without a user, and all steps fit; keeps table `taken`.

    Only an event of the range can be step 1. Events that fit no step are not counted: they never leave the scan.
    """
    pieces: list[str] = []
    params: dict[str, Any] = {}
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
    return Reach(window.first, window.last + timedelta(days=funnel.window.days + 2))


def _entrants(question: Question, funnel: _Funnel) -> _Entrants:
    import numpy as np

    from evlog.kernel.funnel import Log, attempts, last_entries

    grouped = question.scope.by is not None
    found = question.engine.arrays(_LOG.format(grp=", grp" if grouped else ""))
    log = Log(*(np.asarray(found[name], np.int64) for name in ("number", "ts", "fills")))
    best = attempts(log, funnel.rules)
    group, names = _attributed(best.chain, found["grp"], funnel) if grouped else (np.zeros_like(best.level), ("",))
    unfinished = best.level < len(funnel.steps)
    still_open = unfinished & _running(log.ts[last_entries(log)], question.window, funnel)
    return _Entrants(best.level, log.ts[best.chain], still_open, group, names)


def _running(entered: Ints, window: Window, funnel: _Funnel) -> NDArray[np.bool_]:
    """Whether events still to come may lie in the funnel window of each entry (metrics §7.7)."""
    import numpy as np

    if funnel.cut and window.complete:
        return np.zeros(len(entered), bool)
    return entered + funnel.rules.window >= (window.until - _EPOCH) // _TICK


def _attributed(chain: Ints, texts: NDArray[np.object_], funnel: _Funnel) -> tuple[Ints, tuple[str, ...]]:
    """The number of each chain's group, and the groups' names by number."""
    import numpy as np

    from evlog.kernel.attribution import attributed

    numbers: dict[str, int] = {}
    values = np.full(len(texts), -1, np.int64)
    for row in np.unique(chain[chain >= 0]).tolist():
        if texts[row] != NONE:
            values[row] = numbers.setdefault(texts[row], len(numbers))
    group = attributed(chain, values, funnel.attribution)
    return np.where(group < 0, len(numbers), group), (*numbers, NONE)


def _groups(question: Question, entrants: _Entrants) -> tuple[list[tuple[str, Ints]], int]:
    """The groups to show with their entrants, the largest first, and how many are withheld (metrics §7.11)."""
    import numpy as np

    scope = question.scope
    if scope.by is None:
        return [("", np.arange(len(entrants.level)))], 0
    sizes = np.bincount(entrants.group, minlength=len(entrants.names)).tolist()
    ranked = sorted((number for number, size in enumerate(sizes) if size), key=lambda n: (-sizes[n], entrants.names[n]))
    order = np.argsort(entrants.group, kind="stable")
    members = dict(enumerate(np.split(order, np.cumsum(sizes)[:-1])))
    top = len(ranked) if scope.top is None else scope.top
    groups = [(entrants.names[number], members[number]) for number in ranked[:top]]
    if ranked[top:]:
        groups.append((OTHER, np.concatenate([members[number] for number in ranked[top:]])))
    shown = [group for group in groups if len(group[1]) >= scope.min_users]
    return shown, len(groups) - len(shown)


def _rows(name: str, funnel: _Funnel, entrants: _Entrants, members: Ints) -> Iterator[tuple[Any, ...]]:
    """A row for each step, over these entrants."""
    level, instants = entrants.level[members], entrants.instants[members]
    entered = before = len(members)
    for number, step in enumerate(funnel.steps):
        reached = instants[level > number]
        users = len(reached)
        times = _times(reached[:, number] - reached[:, number - 1]) if number else (None, None, None)
        yield (name, number + 1, step.text, users, _rate(users, entered), _rate(users, before), before - users, *times)
        before = users


def _summary(funnel: _Funnel, entrants: _Entrants) -> dict[str, Any]:
    """The whole funnel, over all groups."""
    entered = len(entrants.level)
    done = entrants.instants[entrants.level == len(funnel.steps)]
    median, mean, _ = _times(done[:, -1] - done[:, 0])
    return {
        "entered": entered,
        "converted": len(done),
        "conversion": _rate(len(done), entered),
        "median_s": median,
        "mean_s": mean,
        "open": int(entrants.still_open.sum()),
    }


def _times(microseconds: Ints) -> tuple[float | None, float | None, float | None]:
    """Median, mean and 90th percentile in seconds, of exact values (metrics §7.6, §12)."""
    rising = sorted(microseconds.tolist())
    if not rising:
        return None, None, None
    return _seconds(quantile(rising, 50)), sum(rising) / (len(rising) * 1_000_000), _seconds(quantile(rising, 90))


def _seconds(microseconds: float | None) -> float | None:
    return None if microseconds is None else microseconds / 1_000_000


def _rate(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _growing(groups: Sequence[tuple[str, Ints]], entrants: _Entrants, steps: int) -> list[int]:
    """The numbers of the rows that may still grow: later steps of groups in which someone may come further."""
    return [
        place * steps + step
        for place, (_, members) in enumerate(groups)
        if entrants.still_open[members].any()
        for step in range(1, steps)
    ]


def _open(count: int, funnel: _Funnel) -> str:
    """What the mark on a row that may still grow says."""
    who = "1 entrant" if count == 1 else f"{count:,} entrants"
    if funnel.window is None:
        return f"{who} may still come further"
    return f"window{'s' * (count != 1)} of {who} still open"


def _definition(question: Question, funnel: _Funnel, window: str) -> dict[str, Any]:
    """What the numbers mean, in words (metrics §7)."""
    attribution = {} if question.scope.by is None else {"attribution": funnel.attribution}
    return {
        "order": "ordered",
        "attempt": "best",
        "ties": funnel.ties,
        "funnel_window": window if funnel.window is None else f"{window} from step 1",
        "later_steps": "in the range" if funnel.cut else "up to as-of",
        **attribution,
    }


def _unfitted(funnel: _Funnel, fitted: int) -> list[str]:
    """A note where no event fits a step: a misspelt event looks like a step that nobody takes."""
    missing = [f"{number + 1} ({step.text})" for number, step in enumerate(funnel.steps) if not fitted >> number & 1]
    return [f"no event fits step {', '.join(missing)}"] if missing else []
