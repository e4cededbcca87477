"""How much is done with what is opened: interactions per person, target and session that opened it (metrics §11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from evlog.errors import UsageError
from evlog.kernel.quantile import quantile
from evlog.query import answer, sessions
from evlog.query.ask import Reach
from evlog.query.ranked import grouped
from evlog.query.result import Column

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from evlog.query.ask import Question
    from evlog.query.result import Result
    from evlog.query.sessions import Visits

    Ints = NDArray[np.int64]

HELP = "interactions with each target in the sessions that open it"
EXAMPLE = "evlog report depth --open tool_open --interact tool_interact"
_OPEN, _INTERACT = "_open", "_interact"

COLUMNS = (
    Column("target_id"),
    Column("opens", "count"),
    Column("interactions", "count"),
    Column("per_open", "number", bar=True),
    Column("median", "number"),
    Column("users", "count"),
)
_ACT = "coalesce(list_position($acts, event_type), 0)"
_TYPES = "SELECT DISTINCT event_type FROM seen ORDER BY event_type"
_RULE = (
    "opens: events of users in the range that open the target; interactions: those there of the same user with the "
    "same target in a session with such an open; per_open: interactions / opens; "
    "median: of a user, target and session with an open; {}"
)


@dataclass(frozen=True, slots=True)
class _Opened:
    """Each (person, target, session) with an open in the range; columns of equal length."""

    person: Ints
    pair: Ints
    target: Ints
    kind: Ints
    opens: Ints
    interactions: Ints
    group: Ints | None


def report(
    question: Question,
    *,
    open: Annotated[str | None, "event type that opens a target (default: x_open where there is x_interact)"] = None,  # noqa: A002 - the name of the option
    interact: Annotated[str | None, "event type that counts"] = None,
    timeout: Annotated[str | None, "a longer gap ends a session that has no id; none: no gap does"] = "30m",
) -> Result:
    """Opens of each target, and the interactions with it in the sessions that open it."""
    import numpy as np

    pairs = _pairs(question, open, interact)
    rule = sessions.Rule(sessions.timeout(timeout))
    texts = {"target": "coalesce(target_id, '(none)')", "kind": "coalesce(target_type, '')"}
    pieces, acts, read = [], set[int](), (0, 0)
    words = dict[str, tuple[str, ...]]()
    for visits in sessions.each(
        question,
        rule,
        numbers={"act": _ACT},
        texts=texts if question.scope.by is None else {**texts, "grp": "grp"},
        params={"acts": [name for pair in pairs for name in pair]},
    ):
        pieces.append(_found(question, visits))
        acts |= set(np.unique(visits.columns["act"]).tolist())
        words, read = visits.words, (read[0] + visits.events, read[1] + visits.userless)
    found = sessions.joined(pieces)
    groups = grouped(
        question.scope,
        found.group,
        words.get("grp", ()),
        person=found.person,
        events=found.opens + found.interactions,
    )
    rows = [row for label, held in groups.groups for row in _rows(label, words, found, held)]
    kept = answer.large_enough(question, rows, users=6)
    return answer.result(
        question,
        "depth",
        columns=(*COLUMNS, Column("target_type", aside=len({row[-1] for row in kept}) < 2)),  # noqa: PLR2004 - types
        rows=kept,
        rule=_RULE.format(rule.said),
        options={"pairs": [f"{one} -> {other}" for one, other in pairs], "timeout": rule.timeout},
        summary=_summary(found),
        kinds={"per_open": "number", "median": "number"},
        definition={"pairs": [f"{one} -> {other}" for one, other in pairs]},
        by="value at the first opening",
        read=read,
        withheld=groups.withheld + len(rows) - len(kept),
        notes=_unfitted(acts, pairs) if open else (),
    )


def _pairs(question: Question, opens: str | None, interact: str | None) -> list[tuple[str, str]]:
    """The pair asked for, else those that event types give away by their names."""
    if opens and interact:
        if opens == interact:
            raise UsageError(f"--open and --interact are both {opens}", hint="name two event types")
        return [(opens, interact)]
    if opens or interact:
        raise UsageError("--open and --interact go together", hint="give both, or neither to go by names")
    known = {name for (name,) in question.rows(_TYPES, reach=Reach(None, None))}
    stems = sorted(name.removesuffix(_OPEN) for name in known if name.endswith(_OPEN))
    pairs = [(stem + _OPEN, stem + _INTERACT) for stem in stems if stem + _INTERACT in known]
    if not pairs:
        raise UsageError(
            "no event types are named like x_open and x_interact",
            hint="give --open TYPE --interact TYPE",
        )
    return pairs


def _found(question: Question, visits: Visits) -> _Opened:
    """What was opened in the range, and how often it was opened and interacted with there."""
    import numpy as np

    from evlog.kernel.columns import numbered

    window, act = question.window, visits.columns["act"]
    rows = np.flatnonzero((act > 0) & (visits.session >= 0) & visits.within(window.first, window.last))
    pair, kind, target = (act - 1) // 2, visits.columns["kind"], visits.columns["target"]
    keys = (pair, kind, target, visits.session)  # a session has one person
    rows = rows[np.lexsort(tuple(key[rows] for key in keys))]
    unit, opens = numbered(*(key[rows] for key in keys)), act[rows] % 2 == 1
    units = int(unit[-1]) + 1 if len(unit) else 0
    opened, first = np.unique(unit[opens], return_index=True)
    at = rows[opens][first]
    return _Opened(
        person=visits.person[at],
        pair=pair[at],
        target=target[at],
        kind=kind[at],
        opens=np.bincount(unit[opens], minlength=units)[opened],
        interactions=np.bincount(unit[~opens], minlength=units)[opened],
        group=visits.columns["grp"][at] if "grp" in visits.columns else None,
    )


def _rows(label: str, words: dict[str, tuple[str, ...]], found: _Opened, held: Ints) -> Iterable[tuple[Any, ...]]:
    """A row for each target of one group, most opens first."""
    import numpy as np

    keys = np.stack((found.pair[held], found.kind[held], found.target[held]))
    names, number = np.unique(keys, axis=1, return_inverse=True)
    order = np.argsort(number.ravel(), kind="stable")
    cuts = np.cumsum(np.bincount(number.ravel(), minlength=names.shape[1]))[:-1]
    targets, kinds = words["target"], words["kind"]
    rows = [
        (label, targets[target], *_numbers(found, held[part]), kinds[kind] or None, pair)
        for (pair, kind, target), part in zip(names.T.tolist(), np.split(order, cuts), strict=bool(len(held)))
    ]
    return [row[:-1] for row in sorted(rows, key=lambda row: (-row[2], -row[3], row[1], row[-2] or "", row[-1]))]


def _numbers(found: _Opened, held: Ints) -> tuple[Any, ...]:
    """Opens, interactions, their ratio, the median of interactions, and users."""
    import numpy as np

    opens, rising = int(found.opens[held].sum()), sorted(found.interactions[held].tolist())
    ratio = sum(rising) / opens if opens else None
    return opens, sum(rising), ratio, quantile(rising, 50), len(np.unique(found.person[held]))


def _summary(found: _Opened) -> dict[str, Any]:
    import numpy as np

    names = ("opens", "interactions", "per_open", "median", "users")
    return dict(zip(names, _numbers(found, np.arange(len(found.person))), strict=True))


def _unfitted(seen: set[int], pairs: Sequence[tuple[str, str]]) -> list[str]:
    """A note where no event is of a type that was asked for: it may be misspelt."""
    names = [name for pair in pairs for name in pair]
    return [f"no event is a {name}" for number, name in enumerate(names, 1) if number not in seen]
