"""Which variant converts better, and whether that may be chance (metrics §18.10)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from math import isfinite
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any

from evlog.errors import UsageError
from evlog.kernel import lift
from evlog.query import answer, steps, where
from evlog.query.ask import Reach
from evlog.query.result import Column
from evlog.window import limit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evlog.query.ask import Question
    from evlog.query.result import Result
    from evlog.query.steps import Step
    from evlog.window import Window

HELP = "how the variants of an experiment convert, against its control"
EXAMPLE = "evlog report experiment --exposure page_view --variant properties.variant --goal signup --within 7d"
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive UTC
_TICK = timedelta(microseconds=1)
SUSPECT = 0.001  # a split this unlikely was not the one that was planned (metrics §18.10)

_ACTS = """
WITH told AS (
         SELECT person, grp, ts, seq, in_range, userless,
                coalesce(in_range AND {exposed}, FALSE) AS exposed,
                coalesce({converted}, FALSE) AS converted,
                {variant} AS variant
         FROM   seen)
SELECT *
FROM   told
WHERE  exposed OR converted
"""
_BASE = """
CREATE TEMP TABLE base AS
WITH entered AS (
         SELECT   person,
                  arg_min(grp, (ts, seq)) AS grp,
                  arg_min(variant, (ts, seq)) AS variant,
                  min(ts) AS ts,
                  arg_min(seq, (ts, seq)) AS seq,
                  count(DISTINCT variant) > 1 AS crossed
         FROM     acts
         WHERE    exposed AND person IS NOT NULL AND variant IS NOT NULL
         GROUP BY person)
SELECT entered.*,
       EXISTS (
           FROM  acts AS goal
           WHERE goal.person = entered.person AND goal.converted AND goal.ts >= entered.ts
                 AND goal.seq <> entered.seq AND epoch_us(goal.ts) - epoch_us(entered.ts) <= $within) AS converted,
       1 AS events,
       FALSE AS userless,
       TRUE AS in_range
FROM   entered
"""
_VARIANTS = """
SELECT   {place} AS place, {grp} AS grp, variant,
         count(*) AS users,
         count(*) FILTER (converted) AS converted,
         count(*) FILTER (NOT converted AND epoch_us(ts) + $within >= $until) AS open
FROM     {rows}
GROUP BY {place}, {grp}, variant
ORDER BY {place}, variant
"""
_BY_GROUP = _VARIANTS.format(place="place", grp="grp", rows="shown")
_OVERALL = _VARIANTS.format(place="1", grp="''", rows="base")
_READ = "SELECT count(*), count(*) FILTER (userless AND in_range) FROM acts"
_TOLD = """
SELECT (SELECT count(*) FROM base WHERE crossed),
       count(DISTINCT person) FILTER (exposed) - (SELECT count(*) FROM base),
       coalesce(bool_or(exposed), FALSE),
       coalesce(bool_or(converted), FALSE)
FROM   acts
"""
_FOREVER = 2**62  # microseconds
COLUMNS = (
    Column("variant"),
    Column("users", "count"),
    Column("converted", "count"),
    Column("rate", "rate", bar=True),
    Column("lift", "rate"),
    Column("ci_low", "rate"),
    Column("ci_high", "rate"),
    Column("p_value", "number"),
    Column("difference", "rate"),
)
_RULE = (
    "variant: of a user's first exposure in the range that names one; converted: a goal at or after it{}, up to as-of; "
    "lift: rate / control's rate - 1; ci: 95 % Newcombe interval of the difference of the rates; "
    "p_value: two-sided two-proportion z test, pooled"
)


@dataclass(frozen=True, slots=True)
class _Trial:
    """The question, resolved."""

    exposure: Step
    goal: Step
    variant: str
    within: timedelta | None

    @property
    def limits(self) -> dict[str, int]:
        """How long after the exposure a goal counts, in microseconds."""
        return {"within": _FOREVER if self.within is None else min(self.within // _TICK, _FOREVER)}


def report(
    question: Question,
    *,
    exposure: Annotated[str | None, "the step that shows a variant, such as page_view or 'view[page=/buy]'"] = None,
    goal: Annotated[str | None, "the step that counts as converted"] = None,
    variant: Annotated[str, "property of the exposure that names the variant"] = "variant",
    control: Annotated[str | None, "variant to compare with (default: control, else the first by name)"] = None,
    within: Annotated[str | None, "how long after the exposure a goal counts, such as 7d"] = "none",
    split: Annotated[str | None, "how users were to be split, in the order of the rows, such as 50,50"] = None,
) -> Result:
    """Users of each variant, how many reached the goal, and the difference to the control."""
    if exposure is None or goal is None:
        raise UsageError("an experiment needs --exposure STEP and --goal STEP", hint=f"such as: {EXAMPLE}")
    shown, wanted = steps.parse((exposure, goal))
    trial = _Trial(shown, wanted, variant, limit(within or "none"))
    read = _keep(question, trial)
    overall = question.engine.rows(_OVERALL, _times(question, trial))
    chosen = _control([row[2] for row in overall], control)
    suspicion = _suspicion(_ordered(overall, chosen), split)
    withheld = answer.group(question)
    found = [
        row
        for _, group in groupby(question.engine.rows(_BY_GROUP, _times(question, trial)), key=itemgetter(0))
        for row in _compared(list(group), chosen)
    ]
    kept = answer.large_enough(question, found, users=2)
    if len(kept) < len(found) or withheld:
        suspicion = None  # by it, and the number of all users, a variant that is withheld could be told
    unlikely = suspicion is not None and suspicion < SUSPECT
    return answer.result(
        question,
        "experiment",
        columns=COLUMNS,
        rows=[row[:-1] for row in kept],
        rule=_RULE.format("" if trial.within is None else f", {within} at most"),
        options={"exposure": exposure, "goal": goal, "variant": variant, "control": chosen, "within": trial.within},
        summary=_summary(question, overall, suspicion),
        kinds={"rate": "rate", "split_p_value": "number"},
        definition={"control": chosen},
        by="value at the exposure",
        read=read,
        withheld=withheld + len(found) - len(kept),
        partial=[number for number, row in enumerate(kept) if row[-1]],
        partial_means=f"{sum(row[-1] for row in kept):,} users may still convert",
        marks=range(len(kept)) if unlikely else (),
        notes=[*_split_note(suspicion, split), *_notes(question, trial)],
    )


def _keep(question: Question, trial: _Trial) -> tuple[int, int]:
    """Keep exposures and goals as `acts`, and each exposed user as `base`; what `answer` says was read."""
    exposed, known = steps.as_sql(trial.exposure, "exposed")
    converted, more = steps.as_sql(trial.goal, "converted")
    variant, key = where.text_sql(where.path(trial.variant), "variant_key")
    sql = _ACTS.format(exposed=f"({exposed})", converted=f"({converted})", variant=variant)
    question.keep("acts", sql, {**known, **more, **key}, reach=_reach(question.window, trial))
    question.engine.run(_BASE, trial.limits)
    events, userless = question.engine.rows(_READ)[0]
    return events, userless


def _reach(window: Window, trial: _Trial) -> Reach:
    """The dates on which a goal may count."""
    if trial.within is None or trial.within.days > (window.today - window.last).days:
        return Reach(window.first, None)
    return Reach(window.first, window.last + timedelta(days=trial.within.days + 2))


def _times(question: Question, trial: _Trial) -> dict[str, int]:
    return {**trial.limits, "until": (question.window.until - _EPOCH) // _TICK}


def _control(variants: Sequence[str], asked: str | None) -> str | None:
    """The variant that the others are compared with; None where there is none."""
    if asked is not None and variants and asked not in variants:
        raise UsageError(f"--control {asked!r}: nobody was shown it", hint=f"shown were: {', '.join(variants[:10])}")
    if asked is not None or not variants:
        return asked
    return "control" if "control" in variants else variants[0]


def _ordered(rows: Sequence[tuple[Any, ...]], control: str | None) -> list[tuple[Any, ...]]:
    """The control first, then the others by name."""
    return sorted(rows, key=lambda row: (row[2] != control, row[2]))


def _compared(rows: list[tuple[Any, ...]], control: str | None) -> Iterator[tuple[Any, ...]]:
    """The rows of one group; the last value is how many users may still convert."""
    users, converted = next(((row[3], row[4]) for row in rows if row[2] == control), (0, 0))
    for _, group, variant, whole, part, still_open in _ordered(rows, control):
        compared = variant != control and users > 0
        told = _against(part, whole, converted, users) if compared else (None,) * 5
        yield (group, variant, whole, part, part / whole, *told, still_open)


def _against(part: int, whole: int, base: int, base_whole: int) -> tuple[float | None, ...]:
    """Lift, interval, p-value and difference of a variant against the control."""
    low, high = lift.newcombe(part, whole, base, base_whole) or (None, None)
    chance = lift.p_value(part, whole, base, base_whole)
    return _lift(part, whole, base, base_whole), low, high, chance, part / whole - base / base_whole


def _lift(part: int, whole: int, base: int, base_whole: int) -> float | None:
    """The rate against the control's; None where the control's is 0. Of whole numbers, so that equal rates give 0."""
    return (part * base_whole - base * whole) / (base * whole) if base else None


def _suspicion(rows: Sequence[tuple[Any, ...]], split: str | None) -> float | None:
    """The p-value of the users having been split as planned: evenly, or as `split` says."""
    shares = [1.0] * len(rows) if split is None else _shares(split)
    if rows and len(shares) != len(rows):
        names = ", ".join(row[2] for row in rows[:10])
        raise UsageError(f"--split names {len(shares)} shares of {len(rows)} variants", hint=f"one each for: {names}")
    return lift.split_p_value([row[3] for row in rows], shares)


def _shares(text: str) -> list[float]:
    try:
        shares = [float(part) for part in text.split(",")]
    except ValueError:
        shares = []
    if not shares or not all(isfinite(share) and share > 0 for share in shares):
        raise UsageError(f"--split {text!r} is no list of numbers above 0", hint="write 50,50 or 1,1,2")
    return shares


def _summary(question: Question, overall: Sequence[tuple[Any, ...]], suspicion: float | None) -> dict[str, Any]:
    users, converted = sum(row[3] for row in overall), sum(row[4] for row in overall)
    crossed, unnamed, _, _ = question.engine.rows(_TOLD)[0]
    return {
        "users": users,
        "converted": converted,
        "rate": converted / users if users else None,
        "crossed": crossed,
        "without_variant": unnamed,
        "split_p_value": suspicion,
    }


def _split_note(suspicion: float | None, split: str | None) -> list[str]:
    if suspicion is None or suspicion >= SUSPECT:
        return []
    planned = "evenly" if split is None else split
    return [f"users were not split {planned} (p = {suspicion:.2g}): the comparison is not to be trusted"]


def _notes(question: Question, trial: _Trial) -> list[str]:
    """What to say where users crossed over, and where a step or the variant looks misspelt."""
    crossed, unnamed, exposed, converted = question.engine.rows(_TOLD)[0]
    notes = [f"{crossed} users were shown more than one variant: they count for their first"] if crossed else []
    if unnamed:
        notes.append(f"{unnamed} users were exposed without a {trial.variant}: they do not count")
    told = ((trial.exposure, exposed, "exposure"), (trial.goal, converted, "goal"))
    return notes + [f"no event fits the {name} {step.text}" for step, fitted, name in told if not fitted]
