"""Starts and completions: which types are which, and their events (metrics §6, §10)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from evlog.errors import UsageError
from evlog.query import rolled
from evlog.query.ask import Reach
from evlog.query.scope import NEVER, Pair
from evlog.window import limit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evlog.query.ask import Question

_STARTS, _COMPLETES = "_start", "_complete"  # nobody may have completed anything yet
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive UTC
_USUAL = Pair("exercise_start", "exercise_complete")  # where there is no event that could give others away
_SEEN_TYPES = "SELECT DISTINCT event_type FROM seen ORDER BY event_type"
_ACTS = """
SELECT pair, abandon_after, target_type, coalesce(target_id, '(none)') AS target_id, person, grp, ts, seq, in_range,
       day < $first AS earlier,
       userless,
       event_type = start AS starts,
       event_type = complete AS completes,
       event_type = abandon AND abandon <> '' AS abandons{more}
FROM   seen
       JOIN (SELECT unnest($pair) AS pair, unnest($start) AS start, unnest($complete) AS complete,
                    unnest($abandon) AS abandon, unnest($abandon_after) AS abandon_after,
                    unnest($wanted) AS wanted)
       ON event_type = start OR event_type = complete OR event_type = abandon
WHERE  list_contains($acts, event_type)
       AND ($target_type IS NULL OR target_type = $target_type)
       AND (wanted = '' OR target_type = wanted)
"""
_READ = """
SELECT count(DISTINCT seq), count(DISTINCT seq) FILTER (userless AND in_range)
FROM   acts
"""
_FITTED = """
SELECT coalesce(bool_or(starts), FALSE), coalesce(bool_or(completes), FALSE), coalesce(bool_or(abandons), FALSE)
FROM   acts
"""


def asked(
    question: Question,
    start: str | None,
    complete: str | None,
    *,
    abandon: str | None = None,
    abandon_after: str | None = None,
) -> tuple[Pair, ...]:
    """The pair asked for, else the plan's, else those that event types give away by their names."""
    pairs = _pairs(question, start, complete)
    if abandon is not None:
        pairs = tuple(replace(pair, abandon=abandon) for pair in pairs)
    if abandon_after is not None:
        length = limit(abandon_after)
        pairs = tuple(replace(pair, abandon_after=NEVER if length is None else length) for pair in pairs)
    return pairs


def _pairs(question: Question, start: str | None, complete: str | None) -> tuple[Pair, ...]:
    if start and start == complete:
        raise UsageError(f"--start and --complete are both {start}", hint="give two event types")
    if start and complete:
        return (Pair(start, complete),)
    if start or complete:
        raise UsageError("--start and --complete go together", hint="give both, or neither for the pairs of the plan")
    return known(question, hint="give --start TYPE --complete TYPE")


def known(question: Question, *, hint: str) -> tuple[Pair, ...]:
    """The pairs of the plan, else those that event types give away by their names; UsageError if there are none."""
    pairs = question.scope.pairs or _by_name(question)
    if not pairs:
        raise UsageError("the plan names no start and complete pair, and no event types are named like one", hint=hint)
    return pairs


def _by_name(question: Question) -> tuple[Pair, ...]:
    """The pairs that `plan infer` would write down: `x_start` and `x_complete`, `x_open` and `x_submit`, the like."""
    from evlog.event.infer import infer

    seen = sorted({name for (name,) in question.rows(_SEEN_TYPES, reach=Reach(None, None))} | rolled.types(question))
    if not seen:
        return (_USUAL,)
    implied = [name.removesuffix(_STARTS) + _COMPLETES for name in seen if name.endswith(_STARTS)]
    found = infer({"event_type": name} for name in seen).pairs or infer({"event_type": n} for n in seen + implied).pairs
    return tuple(Pair(pair.start, pair.complete, abandon=pair.abandon) for pair in found.values())


def named(pairs: tuple[Pair, ...]) -> list[str]:
    """The pairs in words."""
    return [f"{pair.start} -> {pair.complete}" for pair in pairs]


def spelled(length: timedelta) -> str:
    """A length in words, in hours as far as it has them."""
    if length == NEVER:
        return "any time"
    hours = length / timedelta(hours=1)
    return f"{hours:g} h" if hours >= 1 else f"{length.total_seconds():g} s"


def keep(
    question: Question,
    pairs: tuple[Pair, ...],
    *,
    target_type: str | None,
    more: str = "",
    params: Mapping[str, Any] | None = None,
) -> None:
    """Keep all starts, completions and abandonments up to now as table `acts`; `more` are further columns, as SQL."""
    said = {
        **(params or {}),
        "pair": list(range(len(pairs))),
        "start": [pair.start for pair in pairs],
        "complete": [pair.complete for pair in pairs],
        "abandon": [pair.abandon or "" for pair in pairs],
        "abandon_after": [pair.abandon_after for pair in pairs],
        "wanted": [pair.target_type or "" for pair in pairs],
        "acts": sorted({kind for pair in pairs for kind in (pair.start, pair.complete, pair.abandon) if kind}),
        "target_type": target_type,
    }
    question.keep("acts", _ACTS.format(more=more), said, reach=Reach(None, None))


def read(question: Question) -> tuple[int, int]:
    """The acts read, and how many of them in the range have no user."""
    events, userless = question.engine.rows(_READ)[0]
    return int(events), int(userless)


def unfitted(question: Question, *asked_for: str | None) -> list[str]:
    """A note where there is no event of a type (start, complete, abandon) that was asked for: it may be misspelt."""
    fitted = question.engine.rows(_FITTED)[0]
    return [f"no event is a {name}" for name, known in zip(asked_for, fitted, strict=False) if name and not known]
