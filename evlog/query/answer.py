"""The shape of an answer: its groups, its definition, and what it says beside its rows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from evlog.query import rolled, suppression
from evlog.query.result import Column, Result
from evlog.query.rolled import Told
from evlog.query.standing import partitions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from evlog.query.ask import Question
    from evlog.query.result import Kind
    from evlog.query.where import Condition

ABSENT = "(none)"  # the group of events that lack the key
OTHER = "(other)"  # all groups past the top, counted anew
GROUPS = "SELECT DISTINCT label AS grp, place FROM groups WHERE NOT withheld"
"""The groups that are shown, once `group` has told them."""
ONE_GROUP = "SELECT '' AS grp, 1 AS place"
"""The same where all groups are taken as one."""

_ALL = 2**31
_QUOTES = ("'", '"')
_ONE_GROUP = "CREATE TEMP TABLE groups AS SELECT '' AS grp, '' AS label, 1 AS place, FALSE AS withheld"
_PERIODS = """
CREATE TEMP TABLE groups AS
SELECT grp, grp AS label, row_number() OVER (ORDER BY grp) AS place, FALSE AS withheld
FROM   (SELECT DISTINCT grp FROM base)
"""
_GROUPS = """
CREATE TEMP TABLE groups AS
WITH ranked AS (
         SELECT   grp,
                  row_number() OVER (ORDER BY count(DISTINCT person) DESC, sum(events) DESC, grp) AS place
         FROM     base
         GROUP BY grp),
     named AS (
         SELECT grp, CASE WHEN place <= $top THEN grp ELSE '(other)' END AS label, least(place, $top + 1) AS place
         FROM   ranked),
     sized AS (
         SELECT   label, count(DISTINCT person) AS users
         FROM     named JOIN base USING (grp)
         GROUP BY label)
SELECT   grp, label, place, users < $min_users AS withheld
FROM     named JOIN sized USING (label)
ORDER BY place, grp
"""
_SHOWN = """
CREATE TEMP VIEW shown AS
SELECT base.* REPLACE (label AS grp), place
FROM   base JOIN groups USING (grp)
WHERE  NOT withheld
"""
_SIZES = """
SELECT   label, count(DISTINCT person)
FROM     groups JOIN base USING (grp)
GROUP BY label
ORDER BY min(place)
"""
_TOGETHER = "SELECT count(DISTINCT person) FROM groups JOIN base USING (grp) WHERE list_contains($labels, label)"
_WITHHOLD = "UPDATE groups SET withheld = TRUE WHERE list_contains($labels, label)"
_PEOPLE = ("users", "mau", "entered")  # what a summary calls the number of all users
_PLACED = f"FROM ({GROUPS}) ORDER BY place"
_WITHHELD = "SELECT count(DISTINCT label) FROM groups WHERE withheld"
_READ = """
SELECT coalesce(sum(events), 0), coalesce(sum(userless) FILTER (in_range), 0)
FROM   base
"""


def group(question: Question) -> int:
    """The number of groups withheld; makes `shown` of the kept table `base`: its rows with `grp` as it is shown.

    `base` has `grp`, `person`, `events`, `userless` and `in_range`. Groups come by users, then events, then text; those
    past the top are one group, `(other)`; one with fewer than `min_users` users is withheld, and others with it if its
    numbers would follow from the totals. Of a question of periods `apart` each of them is a group.
    """
    scope = question.scope
    if scope.by is None:
        question.engine.run(_PERIODS if question.apart else _ONE_GROUP)
    else:
        question.engine.run(_GROUPS, {"top": _ALL if scope.top is None else scope.top, "min_users": scope.min_users})
        _withhold(question)
    question.engine.run(_SHOWN)
    return int(question.engine.rows(_WITHHELD)[0][0])


def _withhold(question: Question) -> None:
    """Withhold the groups from whose absence alone smaller ones could be computed."""
    if not question.scope.min_users:
        return
    found = question.engine.rows(_SIZES)

    def named(cells: Collection[int]) -> dict[str, list[str]]:
        return {"labels": [found[cell][0] for cell in sorted(cells)]}

    def together(cells: Collection[int]) -> int:
        return int(question.engine.rows(_TOGETHER, named(cells))[0][0])

    cut = suppression.hidden([users for _, users in found], question.scope.min_users, together=together)
    question.engine.run(_WITHHOLD, named(cut))


def groups(question: Question) -> list[tuple[str, int]]:
    """The groups that are shown, with their places; the one group of all where nothing is broken down."""
    return question.engine.rows(_PLACED)


def large_enough(question: Question, rows: Sequence[tuple[Any, ...]], *, users: int) -> list[tuple[Any, ...]]:
    """The rows whose column number `users` is not below `min_users`, and whose absence hides no smaller one.

    A row begins with its group, which may have a place before it.
    """
    least, sizes = question.scope.min_users, [row[users] for row in rows]
    if question.scope.by is None:
        cut = suppression.hidden(sizes, least)
    else:
        lines = suppression.crossed([_key(row) for row in rows], sizes, least)
        cut = suppression.hidden(sizes, least, lines=lines)
    return [row for number, row in enumerate(rows) if number not in cut]


def _key(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a row is about, beside its group: its texts, and what stands before the first of them."""
    rest = row[1:] if isinstance(row[0], str) else row[2:]
    first = next((place for place, value in enumerate(rest) if isinstance(value, str)), 0)
    texts = ((place, value) for place, value in enumerate(rest) if isinstance(value, str))
    return (*rest[:first], *texts)


def result(
    question: Question,
    name: str,
    *,
    columns: Sequence[Column],
    rows: Iterable[tuple[Any, ...]],
    rule: str,
    summary: Mapping[str, Any] | None = None,
    kinds: Mapping[str, Kind] | None = None,
    options: Mapping[str, Any] | None = None,
    definition: Mapping[str, Any] | None = None,
    by: str = "",
    read: tuple[int, int] | None = None,
    withheld: int = 0,
    complete: bool | None = None,
    partial: Iterable[int] = (),
    partial_means: str = "still running",
    marks: Iterable[int] = (),
    notes: Iterable[str] = (),
    told: Told | None = None,
) -> Result:
    """The answer of report `name`. Each row begins with its group, which is dropped where nothing is broken down.

    `by` says whose value puts a row into its group, where that is not each event's own. `read` are the events read, and
    how many of those in the range had no user; if not given, table `base` tells. `told` is the part that
    rollups had in it.
    """
    told, notes = told or Told(), tuple(notes)
    grouped = question.scope.by is not None
    events, userless = read or base_read(question)
    kept = [tuple(row) for row in rows]
    said = {**(definition or {}), **({"by": by} if by and grouped else {}), **told.definition}
    return Result(
        report=name,
        columns=(*((Column("group"),) if grouped else ()), *columns),
        rows=tuple(row if grouped else row[1:] for row in kept),
        as_of=question.window.as_of,
        params=_params(question, options or {}),
        summary=_totals(question, summary or {}, withheld=withheld, shown=len(kept)),
        summary_kinds=dict(kinds or {}),
        definition=_definition(question, rule, said, told=told, userless=userless, withheld=withheld),
        events_read=events,
        source=told.source,
        complete=question.window.complete if complete is None else complete,
        marks=frozenset(marks),
        partial=frozenset(partial),
        partial_means=partial_means,
        notes=(
            *_noted(question, kept, withheld, looked=told.source == "events", events=events),
            *told.notes,
            *_lost(told, columns, kept, summary or {}),
            *_purged(question, told, notes),
            *notes,
        ),
    )


def _totals(question: Question, summary: Mapping[str, Any], *, withheld: int, shown: int) -> dict[str, Any]:
    """The summary; empty of numbers where they would be those of what is withheld."""
    least = question.scope.min_users
    few = any(isinstance(summary.get(name), int) and summary[name] < least for name in _PEOPLE)
    if withheld and (few or (withheld == 1 and not shown)):
        return dict.fromkeys(summary)
    return dict(summary)


def _noted(
    question: Question, rows: Sequence[tuple[Any, ...]], withheld: int, *, looked: bool, events: int
) -> Iterator[str]:
    """What there is to note of any answer."""
    yield from _ahead(question)
    if looked:
        yield from _empty(question, events)
    yield from _ungrouped(question, rows)
    yield from _withheld(question, withheld)


def _lost(
    told: Told, columns: Sequence[Column], rows: Sequence[tuple[Any, ...]], summary: Mapping[str, Any]
) -> Iterator[str]:
    """A note of what nobody can tell any more, since days are purged."""
    known = {column.name: any(row[place] is None for row in rows) for place, column in enumerate(columns, 1)}
    lost = [name for name in dict.fromkeys(told.lost) if known.get(name) or (name in summary and summary[name] is None)]
    if lost:
        yield f"of purged days nobody can tell any more: {', '.join(lost)}"


def _purged(question: Question, told: Told, notes: Sequence[str]) -> Iterator[str]:
    """A note where days of the range are purged, and nothing else says so."""
    window = question.window
    said = told.frozen or told.notes or any("purged" in note for note in notes)
    if not said and question.rollups.gone(partitions(window.first, window.last, window.tz)[0]):
        yield "days of the range are purged: they count as empty"


def base_read(question: Question) -> tuple[int, int]:
    """The events in the kept table `base`, and how many of those in the range have no user."""
    events, userless = question.engine.rows(_READ)[0]
    return int(events), int(userless)


def _params(question: Question, options: Mapping[str, Any]) -> dict[str, Any]:
    scope, window = question.scope, question.window
    return {
        "from": window.first.isoformat(),
        "to": window.last.isoformat(),
        "days": (window.last - window.first).days + 1,
        "tz": window.tz,
        "where": [str(condition) for condition in scope.where],
        "by": scope.by,
        "top": scope.top,
        "min_users": scope.min_users,
        "include_anon": scope.include_anon,
        **{key: _plain(value) for key, value in options.items()},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return list(value) if isinstance(value, tuple) else value


def _definition(
    question: Question, rule: str, more: Mapping[str, Any], *, told: Told, userless: int, withheld: int
) -> dict[str, Any]:
    window = question.window
    linked = question.identity.count if told.linked is None else told.linked
    return {
        "zone": window.tz,
        "window": f"{window.first} to {window.last}",
        "rule": rule,
        **more,
        "as_of": window.as_of,
        "newest_event": rolled.newest(question),
        "quarantined": question.scope.quarantined,
        "events_without_user": userless,
        **({"linked": linked} if linked else {}),
        **({"withheld": withheld} if question.scope.min_users else {}),
    }


def _ahead(question: Question) -> list[str]:
    """A note where the range goes on after what plays now."""
    window = question.window
    return [f"the range ends after {window.today}, which plays now: later days have no rows"] * (
        window.last > window.today
    )


def _empty(question: Question, events: int) -> list[str]:
    """A note where nothing was counted: which days the store does hold, or what no event fits."""
    days, window, where = question.snapshot.days, question.window, question.scope.where
    if not days:
        return ["the store holds no event yet: evlog ingest FILE"]
    if events:
        return []
    if any(window.first <= day <= window.last for day in days):
        return [f"no event fits: {' and '.join(map(str, where))}{_quotes(where)}"] if where else []
    return [
        f"no event from {window.first} to {window.last}: the store holds {days[0]} to {days[-1]}; try --as-of latest"
    ]


def _quotes(where: Sequence[Condition]) -> str:
    """What to say of conditions whose values stand in quotes, as a shell or SQL would have them."""
    quoted = any(value[:1] in _QUOTES and value[:1] == value[-1:] for part in where for value in part.values if value)
    return " (quotes belong to the value: leave them out)" if quoted else ""


def _ungrouped(question: Question, rows: Sequence[tuple[Any, ...]]) -> list[str]:
    """A note where no event has the key of the break-down: it may be misspelt."""
    if question.scope.by is None or {row[0] for row in rows} != {ABSENT}:
        return []
    return [f"all are {ABSENT}: no event that counts has {question.scope.by}"]


def _withheld(question: Question, count: int) -> list[str]:
    if not count:
        return []
    least = question.scope.min_users
    if count == 1:
        return [f"1 group with fewer than {least} users withheld"]
    return [f"{count} groups withheld: fewer than {least} users, or else the numbers of such could be computed"]
