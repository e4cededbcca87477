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
    "opens: a user, a target and a session in which it was opened, however often; "
    "interactions: all with that target in that session; median: of an open; {}"
)


@dataclass(frozen=True, slots=True)
class _Opens:
    """Each (person, target, session) with an open; columns of equal length."""

    person: Ints
    pair: Ints
    target: Ints
    kind: Ints
    interactions: Ints
    group: Ints | None


def report(
    question: Question,
    *,
    open: Annotated[str | None, "event type that opens a target (default: x_open where there is x_interact)"] = None,  # noqa: A002 - the name of the option
    interact: Annotated[str | None, "event type that counts"] = None,
    timeout: Annotated[str | None, "a longer gap ends a session that has no id; none: no gap does"] = "30m",
) -> Result:
    """Opens of each target, and the interactions with it, in the sessions that begin in the window."""
    pairs = _pairs(question, open, interact)
    rule = sessions.Rule(sessions.timeout(timeout))
    texts = {"target": "coalesce(target_id, '(none)')", "kind": "coalesce(target_type, '')"}
    visits = sessions.read(
        question,
        rule,
        numbers={"act": _ACT},
        texts=texts if question.scope.by is None else {**texts, "grp": "grp"},
        params={"acts": [name for pair in pairs for name in pair]},
    )
    found = _found(question, visits)
    groups = grouped(
        question.scope,
        found.group,
        visits.words.get("grp", ()),
        person=found.person,
        events=found.interactions + 1,
    )
    rows = [row for label, held in groups.groups for row in _rows(label, visits, found, held)]
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
        read=(visits.events, visits.userless),
        withheld=groups.withheld + len(rows) - len(kept),
        notes=_unfitted(visits, pairs) if open else (),
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


def _found(question: Question, visits: Visits) -> _Opens:
    """The opens of the sessions that begin in the window."""
    import numpy as np

    rows = _acts(question, visits)
    target, kind, act = (visits.columns[name][rows] for name in ("target", "kind", "act"))
    pair, interacts = (act - 1) // 2, act % 2 == 0
    keys = (pair, kind, target, visits.session[rows])  # a session has one person
    order = np.lexsort(keys)
    rows, interacts = rows[order], interacts[order]
    fresh = np.ones(len(rows), bool)
    fresh[1:] = False
    for key in keys:
        fresh[1:] |= key[order][1:] != key[order][:-1]
    unit = np.cumsum(fresh) - 1
    first = np.unique(unit[~interacts], return_index=True)
    opened = rows[~interacts][first[1]]
    counts = np.bincount(unit[interacts], minlength=int(fresh.sum()))[first[0]]
    act = (visits.columns["act"][opened] - 1) // 2
    group = visits.columns["grp"][opened] if "grp" in visits.columns else None
    return _Opens(
        visits.person[opened], act, visits.columns["target"][opened], visits.columns["kind"][opened], counts, group
    )


def _acts(question: Question, visits: Visits) -> Ints:
    """The opens and interactions in sessions that begin in the window, as they came."""
    import numpy as np

    runs = visits.runs()
    begun = visits.within(question.window.first, question.window.last, day=visits.day[runs.first])
    at = np.flatnonzero((visits.columns["act"] > 0) & (visits.session >= 0))
    return at[begun[visits.session[at]]]


def _rows(label: str, visits: Visits, found: _Opens, held: Ints) -> Iterable[tuple[Any, ...]]:
    """A row for each target of one group, most opens first."""
    import numpy as np

    keys = np.stack((found.pair[held], found.kind[held], found.target[held]))
    names, number = np.unique(keys, axis=1, return_inverse=True)
    order = np.argsort(number.ravel(), kind="stable")
    cuts = np.cumsum(np.bincount(number.ravel(), minlength=names.shape[1]))[:-1]
    targets, kinds = visits.words["target"], visits.words["kind"]
    rows = [
        (label, targets[target], *_numbers(found, held[part]), kinds[kind] or None, pair)
        for (pair, kind, target), part in zip(names.T.tolist(), np.split(order, cuts), strict=bool(len(held)))
    ]
    return [row[:-1] for row in sorted(rows, key=lambda row: (-row[2], -row[3], row[1], row[-2] or "", row[-1]))]


def _numbers(found: _Opens, held: Ints) -> tuple[Any, ...]:
    """Opens, interactions, their mean and median, and users."""
    import numpy as np

    rising = sorted(found.interactions[held].tolist())
    mean = sum(rising) / len(rising) if rising else None
    return len(rising), sum(rising), mean, quantile(rising, 50), len(np.unique(found.person[held]))


def _summary(found: _Opens) -> dict[str, Any]:
    import numpy as np

    names = ("opens", "interactions", "per_open", "median", "users")
    return dict(zip(names, _numbers(found, np.arange(len(found.person))), strict=True))


def _unfitted(visits: Visits, pairs: Sequence[tuple[str, str]]) -> list[str]:
    """A note where no event is of a type that was asked for: it may be misspelt."""
    names = [name for pair in pairs for name in pair]
    seen = set(visits.columns["act"].tolist())
    return [f"no event is a {name}" for number, name in enumerate(names, 1) if number not in seen]
