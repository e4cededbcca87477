"""The dashboard: a few reports and what is new, of one snapshot. A section stands for itself, or says what it lacks."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any, cast

from evlog import reports
from evlog.engine import ASKED
from evlog.query import overview as asked
from evlog.query.ask import Reach, ask
from evlog.query.result import Column, Result
from evlog.store import quarantine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from evlog.engine import Limits
    from evlog.event.plan import Funnel
    from evlog.query.ask import Question
    from evlog.query.scope import Scope
    from evlog.store.layout import Store

_TOOL = "tool"
_MEASURES = ("items_count", "duration_ms")
_COUNTABLE = 16 << 20  # bytes of quarantine that are read to be counted

_ANYTHING = "SELECT 1 FROM seen LIMIT 1"


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the dashboard: its answer, or what to do to have one."""

    name: str
    result: Result | None = None
    absent: str = ""


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole dashboard: the totals and the definition of all, and the sections by name."""

    head: Result
    since: datetime
    sections: tuple[Section, ...]

    def __getitem__(self, name: str) -> Section:
        """The section of that name."""
        return next(section for section in self.sections if section.name == name)


def overview(
    store: Store,
    scope: Scope,
    /,
    *,
    since: datetime,
    funnel: tuple[str, Funnel] | None = None,
    limits: Limits = ASKED,
) -> Overview:
    """The dashboard of one snapshot; `since` is when somebody looked last, `funnel` one that the plan names."""
    gathered: Any = partial(_gathered, since=since, funnel=funnel)
    return cast("Overview", ask(store, scope, gathered, limits=limits, rollups=False))


def _gathered(question: Question, *, since: datetime, funnel: tuple[str, Funnel] | None) -> Overview:
    """Ask each section in turn; the tables that it keeps go with it, but for those of identity, which are read once."""
    scope = question.scope
    question.rows(_ANYTHING, reach=Reach(None, None))
    kept = frozenset(question.engine.made())

    def put(read: Callable[[Question], Any]) -> Any:
        try:
            return read(question)
        finally:
            question.engine.drop(one for one in question.engine.made() if one not in kept)

    active, held, now = put(_active)
    dropped = put(_dropoff)
    news = put(partial(asked.news, since=since))
    rejects = _rejects(question.store, since, scope.window.until)
    sections = (
        Section("active", active),
        *_completion(dropped, scope),
        _funnel(dropped, put, scope, funnel),
        put(_tools),
        put(_errors),
        Section("news", _news(news, active, since=since, rejects=rejects, least=scope.min_users)),
    )
    totals = {
        "events": held,
        "users": active.summary["users"],
        "users_5m": now[0],
        "users_30m": now[1],
        "events_ever": news.events,
        "users_ever": news.users,
    }
    return Overview(_head(active, totals), since, sections)


def _head(active: Result, totals: Mapping[str, int]) -> Result:
    """What is said of the whole: the totals, and how they are defined."""
    own = {"mau_window", "point", "by", "top"}
    return Result(
        "overview",
        (),
        (),
        active.as_of,
        params={key: value for key, value in active.params.items() if key not in own},
        summary=dict(totals),
        definition=active.definition,
        events_read=active.events_read,
        complete=active.complete,
        notes=active.notes,
    )


def _active(question: Question) -> tuple[Result, int, tuple[int, int]]:
    from evlog.reports import active

    found = active.report(question)
    return found, asked.in_range(question), asked.now(question)


@dataclass(frozen=True, slots=True)
class _Dropped:
    """Drop-off, and who started and completed the parts and the pairs; or why there is none."""

    result: Result | None
    parts: Sequence[tuple[Any, int, int]] = ()
    pairs: Sequence[tuple[int, int, int]] = ()
    absent: str = ""


def _dropoff(question: Question) -> _Dropped:
    from evlog.reports import dropoff

    found = dropoff.report(question)
    if not found.params["pairs"]:
        return _Dropped(None, absent="no pairs of start and completion: name them in the plan as [pairs.NAME]")
    return _Dropped(found, asked.parts(question), asked.pairs(question))


def _completion(dropped: _Dropped, scope: Scope) -> tuple[Section, Section]:
    """The overall completion of the pairs, and the targets of the first; both are sums over drop-off."""
    found = dropped.result
    if found is None or not found.rows:
        absent = dropped.absent or _withheld(found, scope) or "nothing was started in the range"
        return Section("completion", absent=absent), Section("dropoff", absent=absent)
    counts: dict[str, list[int]] = {}
    kinds = [column.name for column in found.columns].index("target_type")
    for row in found.rows:
        known = counts.setdefault(row[kinds] or "", [0, 0])
        known[0] += row[1]
        known[1] += row[2]
    ranked = sorted((kind for kind in counts if counts[kind][0]), key=lambda kind: (-counts[kind][0], kind))
    rows = [(kind or None, *counts[kind], _rate(counts[kind][1], counts[kind][0])) for kind in ranked]
    started, completed = (sum(known[n] for known in counts.values()) for n in (0, 1))
    summary = {"started": started, "completed": completed, "completion_rate": _rate(completed, started)}
    columns = (
        Column("target_type"),
        Column("started", "count"),
        Column("completed", "count"),
        Column("completion_rate", "rate", bar=True),
    )
    named = scope.pairs[0].target_type if scope.pairs else None
    kind = named if named in counts else ranked[0] or None if ranked else None
    return (
        Section("completion", _part(found, "completion", columns, rows, summary)),
        Section("dropoff", _only(found, kinds, [kind])),
    )


def _withheld(found: Result | None, scope: Scope) -> str:
    """That there are rows, but of too few users; nothing where there are none."""
    count = found.definition.get("withheld", 0) if found is not None else 0
    return f"{count} withheld: fewer than {scope.min_users} users" if count else ""


def _only(found: Result, place: int, kinds: Sequence[str | None]) -> Result:
    """The rows of some types of targets, with their marks."""
    kept = [number for number, row in enumerate(found.rows) if row[place] in kinds]
    marks = frozenset(new for new, number in enumerate(kept) if number in found.marks)
    params = {**found.params, "target_type": kinds[0] if len(kinds) == 1 else None}
    return replace(found, rows=tuple(found.rows[number] for number in kept), marks=marks, params=params)


def _rate(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _part(
    of: Result, name: str, columns: tuple[Column, ...], rows: Sequence[tuple[Any, ...]], summary: Mapping[str, Any]
) -> Result:
    return Result(
        name, columns, tuple(rows), of.as_of, summary=dict(summary), summary_kinds={"completion_rate": "rate"}
    )


def _funnel(
    dropped: _Dropped,
    put: Callable[[Callable[[Question], Any]], Any],
    scope: Scope,
    funnel: tuple[str, Funnel] | None,
) -> Section:
    """The funnel of the parts; without parts a funnel of the plan; without one the pairs."""
    if dropped.result is not None and scope.parts:
        steps = [
            (f"{part.title or part.name} {verb}", users)
            for part, started, completed in dropped.parts
            for verb, users in (("started", started), ("completed", completed))
        ]
        return _stepped(dropped.result, "parts", steps, scope.min_users)
    if funnel is not None:
        return Section("funnel", put(partial(_named, funnel=funnel[1])))
    if dropped.result is not None and dropped.pairs:
        named = [text.split(" -> ") for text in dropped.result.params["pairs"]]
        steps = [
            (event, users)
            for pair, started, completed in dropped.pairs
            for event, users in zip(named[pair], (started, completed), strict=True)
        ]
        return _stepped(dropped.result, "pairs", steps, scope.min_users)
    return Section("funnel", absent="no funnel: name parts ([parts.NAME]) or steps ([funnels.NAME]) in the plan")


def _stepped(of: Result, name: str, steps: Sequence[tuple[str, int]], least: int) -> Section:
    """Steps that each count their own users, beside the first."""
    first = steps[0][1] if steps else 0
    rows = tuple(
        (number, event, users, _rate(users, first)) for number, (event, users) in enumerate(steps, 1) if users >= least
    )
    columns = (
        Column("step", "count"),
        Column("event"),
        Column("users", "count"),
        Column("conversion", "rate", bar=True),
    )
    if steps and not rows:
        return Section("funnel", absent=f"{len(steps)} steps withheld: fewer than {least} users")
    return Section("funnel", _part(of, name, columns, rows, {}))


def _named(question: Question, *, funnel: Funnel) -> Result:
    from evlog.reports import funnel as kernel

    known = signature(kernel.report).parameters
    said = {field.name: getattr(funnel, field.name) for field in fields(funnel)}
    options = {key: value for key, value in said.items() if key in known and value not in (None, False)}
    return kernel.report(question, **options)


def _tools(question: Question) -> Section:
    """How tools are used: what is saved with them, where the plan says what that is; else every event of theirs."""
    from evlog.reports import targets

    uses = tuple(sorted({pair.complete for pair in question.scope.pairs if _TOOL in (pair.target_type or "")}))
    found = targets.report(question, event=uses, avg=_MEASURES)
    kinds = [column.name for column in found.columns].index("target_type")
    named = sorted({row[kinds] for row in found.rows if _TOOL in (row[kinds] or "")})
    if named:
        found = _only(found, kinds, named)
    if not found.rows:
        none = "no tool was used: events name one as target_type tool and a target_id"
        return Section("tools", absent=_withheld(found, question.scope) or none)
    return Section("tools", found)


def _errors(question: Question) -> Section:
    found = reports.load("errors").report(question)
    if not found.rows:
        return Section("errors", absent=_withheld(found, question.scope) or "no errors")
    return Section("errors", found)


def _news(news: asked.News, active: Result, *, since: datetime, rejects: int | None, least: int) -> Result:
    """What is new, one thing a row."""
    columns = (Column("kind"), Column("what"), Column("events", "count"), Column("first", "instant"))
    rows = [("event type", name, events, first) for name, events, first in news.types]
    rows += [
        ("error", " ".join(filter(None, (status, target, message))), events, first)
        for target, status, message, events, users, first in news.errors
        if users >= least
    ]
    summary = {
        "since": since,
        "users": news.new_users,
        "event_types": len(news.types),
        "errors": len(news.errors),
        "late": news.late,
        "quarantined": rejects,
    }
    return Result("news", columns, tuple(rows), active.as_of, summary=summary)


def _rejects(store: Store, since: datetime, until: datetime) -> int | None:
    """The lines that were refused since then; None where counting them would take longer than all else."""
    found = [file for file in quarantine.files(store) if since <= file.name.received_at < until]
    try:
        if sum(file.path.stat().st_size for file in found) > _COUNTABLE:
            return None
        return sum(1 for file in found for _ in file.read())
    except FileNotFoundError:  # replayed or purged just now
        return _rejects(store, since, until)
