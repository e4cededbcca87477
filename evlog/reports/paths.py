"""Which event follows which: step by step from the begin of a session, or over all (metrics §18.10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from evlog.errors import UsageError
from evlog.query import answer, sessions
from evlog.query.ranked import grouped
from evlog.query.result import Column

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from evlog.kernel.sessions import Runs
    from evlog.query.ask import Question
    from evlog.query.result import Result
    from evlog.query.sessions import Visits

    Ints = NDArray[np.int64]
    Words = dict[str, tuple[str, ...]]

HELP = "which event follows which, step by step inside sessions or over all"
EXAMPLE = "evlog report paths --days 30 --top 20"

_COLUMNS = (
    Column("source"),
    Column("target"),
    Column("count", "count", bar=True),
    Column("users", "count"),
)
COLUMNS = (Column("position", "count"), *_COLUMNS)
Unit = Literal["session", "user"]
_RULE = "{what}; events of one instant as they arrived; a type that follows itself counts; users: distinct"
_WHAT = {
    ("session", False): "position n: from the n-th event of a session to the next",
    ("user", False): "position n: from a user's n-th event of the range to the next",
    ("session", True): "from each event of a session to the next",
    ("user", True): "from each event of a user in the range to the next, across sessions",
}


@dataclass(frozen=True, slots=True)
class _Steps:
    """Each step from one event to the next; columns of equal length."""

    position: Ints
    source: Ints
    target: Ints
    person: Ints
    group: Ints | None


def report(
    question: Question,
    *,
    unit: Annotated[
        Unit | None, "what a path is in: a session (so if not given), or all a user's events (so with --transitions)"
    ] = None,
    transitions: Annotated[bool, "whatever the position, over the whole histories of users"] = False,
    timeout: Annotated[str | None, "a longer gap ends a session that has no id; none: no gap does"] = "30m",
    start: Annotated[str | None, "only from the first such event of a path on"] = None,
    end: Annotated[str | None, "only up to the first such event of a path (after --start)"] = None,
) -> Result:
    """The steps from each event to the next, by position; `--top` keeps the most frequent."""
    unit = unit or ("user" if transitions else "session")
    if unit not in {"session", "user"}:
        raise UsageError(f"--unit {unit!r} is unknown", hint="give session or user")
    rule = sessions.Rule(sessions.timeout(timeout))
    texts = {"type": "event_type"} | ({} if question.scope.by is None else {"grp": "grp"})
    pieces, words, read = [], dict[str, tuple[str, ...]](), (0, 0)
    for visits in sessions.each(question, rule, texts=texts):
        paths = _paths(question, visits, unit)
        pieces.append(_steps(visits, paths, start=start, end=end, transitions=transitions))
        words, read = visits.words, (read[0] + visits.events, read[1] + visits.userless)
    steps = sessions.joined(pieces)
    rows, withheld = _rows(question, words, steps)
    what = _WHAT[unit, transitions] + (f"; {rule.said}" if unit == "session" else "")
    first = 1 if transitions else 0
    return answer.result(
        question,
        "paths",
        columns=COLUMNS[first:],
        rows=[(row[0], *row[1 + first :]) for row in rows],
        rule=_RULE.format(what=what),
        options={"unit": unit, "transitions": transitions, "timeout": rule.timeout, "start": start, "end": end},
        summary=_summary(steps),
        by="value at the source" if transitions else "value at the first event of the path",
        read=read,
        withheld=withheld,
        notes=_unfitted(words, start, end),
    )


def _paths(question: Question, visits: Visits, unit: str) -> Runs:
    """The sessions that begin in the window, whole; or each user's events of the window."""
    import numpy as np

    from evlog.kernel.sessions import Runs, runs

    window = question.window
    if unit == "session":
        found = visits.runs()
        kept = visits.within(window.first, window.last, day=visits.day[found.first])
        return Runs(found.rows, found.begins[kept], found.ends[kept])
    held = np.flatnonzero(visits.within(window.first, window.last))
    _, number = np.unique(visits.person[held], return_inverse=True)
    found = runs(number)
    return Runs(held[found.rows], found.begins, found.ends)


def _steps(visits: Visits, paths: Runs, *, start: str | None, end: str | None, transitions: bool) -> _Steps:
    """The steps of the paths; a path stands in the group of its first event, a transition in that of its own."""
    import numpy as np

    from evlog.kernel.edges import cut_to, edges

    kinds = visits.columns["type"]
    first = paths.first
    flags = [None if name is None else kinds == _number(visits, name) for name in (start, end)]
    paths, kept = cut_to(paths, *flags)
    found = edges(paths)
    group = None
    if "grp" in visits.columns:
        group = visits.columns["grp"][found.source if transitions else first[kept][found.run]]
    position = np.ones_like(found.position) if transitions else found.position
    return _Steps(position, kinds[found.source], kinds[found.target], visits.person[found.source], group)


def _number(visits: Visits, name: str) -> int:
    words = visits.words["type"]
    return words.index(name) if name in words else -1


def _rows(question: Question, words: Words, steps: _Steps) -> tuple[list[tuple[Any, ...]], int]:
    """A row for each group, position, source and target; and how many groups or rows are withheld.

    Without a break-down, `--top` keeps the most frequent rows.
    """
    scope = question.scope
    groups = grouped(scope, steps.group, words.get("grp", ()), person=steps.person)
    found = [row for label, held in groups.groups for row in _counted(label, words, steps, held)]
    kept = answer.large_enough(question, found, users=5)
    withheld = groups.withheld + len(found) - len(kept)
    if scope.by is None and scope.top is not None:
        kept = sorted(sorted(kept, key=lambda row: -row[4])[: scope.top], key=lambda row: row[1])
    return kept, withheld


def _counted(label: str, words: Words, steps: _Steps, held: Ints) -> list[tuple[Any, ...]]:
    """The rows of one group, by position, the most frequent first."""
    from evlog.kernel.edges import counted

    found = counted(steps.position[held], steps.source[held], steps.target[held], steps.person[held])
    kinds = words["type"]
    rows = [
        (label, position, kinds[source], kinds[target], count, users)
        for position, source, target, count, users in zip(
            *(column.tolist() for column in (found.position, found.source, found.target, found.count, found.users)),
            strict=True,
        )
    ]
    return sorted(rows, key=lambda row: (row[1], -row[4], row[2], row[3]))


def _summary(steps: _Steps) -> dict[str, Any]:
    """All steps and the users who took them, shown or not."""
    import numpy as np

    return {"transitions": len(steps.person), "users": len(np.unique(steps.person))}


def _unfitted(words: Words, *names: str | None) -> list[str]:
    """A note where no event bears a name that was asked for: it may be misspelt."""
    known = words["type"]
    return [f"no event is a {name}" for name in names if name is not None and name not in known]
