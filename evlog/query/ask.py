"""A question put to a store: one snapshot, one engine, the relations a report reads, and the shape of its answer.

A report reads `seen`: every event in its reach that the scope lets through, with all columns of `events` and
    day       its local date (`date` is the same here)
    person    whom its `user_id` or, without one, its `anonymous_id` means (query/identity.py): the user id itself
              where nothing was said of it; with include_anon else `anon:` and the anonymous id; null without any;
              but for a question `by_name`, it may be a number in place of the id (query/keyed.py)
    userless  whether it has no user, by no link either (metrics §1): what every report counts beside its numbers
    grp       the text of `--by`, `(none)` where absent; the empty text without `--by`; the label of its period where a
              question is of several periods `apart`
    active    whether it makes its person active (metrics §1)
    in_range  whether its local date lies in the window
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from evlog.engine import ASKED, connect
from evlog.frozen import dataclass, replace
from evlog.query import span, view
from evlog.query.gathered import gathered
from evlog.query.identity import Identity
from evlog.query.usable import Rollups
from evlog.store import links
from evlog.window import midnight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np

    from evlog.engine import Engine, Limits
    from evlog.query.result import Result
    from evlog.query.scope import Scope
    from evlog.store.layout import Store
    from evlog.store.links import Said
    from evlog.store.snapshot import Part, Segment, Snapshot
    from evlog.window import Window

_DAY = timedelta(days=1)
_UTC_DATE = "CAST(ts AS DATE)"
_LOCAL_DATE = "CAST(timezone($tz, CAST(ts AS TIMESTAMPTZ)) AS DATE)"
_USER = "coalesce({linked}{user})"
_ANYONE = "coalesce({linked}{user}, 'anon:' || anonymous_id)"
_LINKS = "links AS NOT MATERIALIZED (SELECT anonymous, id, {told} AS linked FROM linked),"
_ALONE = "dated"
_NOBODYS_LINKED = "dated LEFT JOIN links ON links.id = CASE WHEN user_id IS NULL THEN anonymous_id END"
_ANYONE_LINKED = """dated LEFT JOIN links ON links.anonymous = (user_id IS NULL)
                                   AND links.id = coalesce(user_id, anonymous_id)"""
_PERIOD = "CASE WHEN date BETWEEN $first AND $last THEN list_extract($labels, CAST(date - $first AS INTEGER) + 1) END"
_SOMETIMES = {"by_key", "labels", "tz", "types", "from_date", "to_date", *view.PARAMETERS}
"""Parameters of `seen` for some scopes and stores only."""
_DAYS = "date BETWEEN $from_date AND $to_date"
_NOT_INACTIVE = "NOT list_contains($types, event_type)"
_AMONG_ACTIVE = "list_contains($types, event_type)"

_PRESENT = """
SELECT   day,
         day BETWEEN $first AND $last AS in_range,
         {grp} AS grp,
         person,
         count(*) AS events,
         count(*) FILTER (userless) AS userless,
         count(*) FILTER (active) AS active
FROM     seen
GROUP BY day, {apart}person
"""

_SEEN = """
WITH events AS NOT MATERIALIZED ({events}),
     dated AS NOT MATERIALIZED (
         SELECT * REPLACE ({date} AS date)
         FROM   events
         WHERE  ts >= $from_instant AND ts < $before_instant),
     {links}
     seen AS NOT MATERIALIZED (
         SELECT dated.*,
                date AS day,
                {person} AS person,
                {userless} AS userless,
                {grp} AS grp,
                {person} IS NOT NULL AND {active} AS active,
                date BETWEEN $first AND $last AS in_range
         FROM   {dated}
         WHERE  {days} AND {where})
"""


@dataclass(frozen=True, slots=True)
class Reach:
    """The local dates that a question reads, the window and beyond; None: no bound, but for what plays now."""

    first: date | None
    last: date | None


def ask(
    store: Store,
    scope: Scope,
    report: Callable[..., Result],
    /,
    *,
    limits: Limits = ASKED,
    rollups: bool = True,
    **options: Any,
) -> Result:
    """The report's answer from one snapshot of the store; asked again if files were replaced meanwhile.

    Without `rollups` it is counted from events, whatever rollups say.
    """

    def answered(snapshot: Snapshot, said: Sequence[Said]) -> Result:
        with connect(limits) as engine, gathered(snapshot, engine) as seen:
            return report(Question(engine, seen, scope, store=store, said=said, rollups=rollups), **options)

    return links.steady(store, answered)


class Question:
    """An open question: what a report reads through."""

    alone = True
    """Whether no other question will read the same events, so that what is read need not serve any other."""

    def __init__(
        self,
        engine: Engine,
        snapshot: Snapshot,
        scope: Scope,
        *,
        store: Store,
        said: Sequence[Said] = (),
        rollups: bool = True,
    ) -> None:
        self.engine = engine
        self.snapshot = snapshot
        self.scope = scope
        self.store = store
        self.said = said
        self.with_rollups = rollups
        self.apart: tuple[
            str, ...
        ] = ()  # for each day of the window the label of its period, where several are asked of
        self.numbered: bool | None = None  # as `by_key` tells, once it was asked
        self.rollups = Rollups(self)
        self.identity = Identity(engine, snapshot, said, until=scope.window.until)

    @property
    def window(self) -> Window:
        """The window of the scope."""
        return self.scope.window

    @property
    def by_key(self) -> bool:
        """Whether persons are numbers in `seen` (query/keyed.py): as long as a question lives, they are or are not."""
        if self.numbered is None:
            from evlog.query import keyed

            self.numbered = keyed.possible(self.store, self.snapshot, self.scope)
        return self.numbered

    def by_name(self) -> Question:
        """The same question with ids for persons, for who shows them or looks for one."""
        from copy import copy

        named = copy(self)
        named.numbered = False
        return named

    def told_as(self, persons: Iterable[str]) -> list[str] | list[int]:
        """What stands for these persons in `seen`."""
        if not self.by_key:
            return list(persons)
        from evlog.query import keyed

        return list(map(keyed.function(self.store), persons))

    def back(self, days: int) -> Reach:
        """The window, and `days` local dates before it."""
        return Reach(self.window.first - timedelta(days=days), self.window.last)

    @property
    def onward(self) -> Reach:
        """The window, and all that came after it up to what plays now."""
        return Reach(self.window.first, None)

    def narrowed(self, first: date) -> Question:
        """The same question from a later day on."""
        from copy import copy

        found = copy(self)
        found.scope = replace(self.scope, window=replace(self.window, first=first))
        return found

    def newest(self) -> datetime | None:
        """The instant of the newest event that plays now."""
        return span.newest(self.engine, self.snapshot, until=self.window.until)

    def fit(self, reach: Reach) -> None:
        """Settle who is who for the events of a reach, as if they were read."""
        self._settle(*self._files(reach))

    def _settle(self, hot: Sequence[Segment], cold: Sequence[Part]) -> None:
        """Settle who is who in these files; where the rollups know that nobody is linked, nothing is to be read."""
        if not self.rollups.nobody_linked:
            self.identity.fit(hot, cold)

    def files(self, reach: Reach) -> list[Segment | Part]:
        """The files that may hold events of a reach."""
        hot, cold = self._files(reach)
        return [*hot, *cold]

    def _files(self, reach: Reach) -> tuple[list[Segment], list[Part]]:
        return (
            view.pruned(self.snapshot.hot, reach.first, reach.last),
            view.pruned(self.snapshot.cold, reach.first, reach.last),
        )

    def rows(self, sql: str, params: Mapping[str, Any] | None = None, *, reach: Reach | None = None) -> list[Any]:
        """The rows of `sql` (a SELECT) over `seen`; the reach is the window unless said."""
        return self.engine.rows(*self._over_seen(sql, params, reach))

    def arrays(
        self, sql: str, params: Mapping[str, Any] | None = None, *, reach: Reach | None = None
    ) -> dict[str, np.ndarray[Any, Any]]:
        """The same as numpy columns."""
        return self.engine.arrays(*self._over_seen(sql, params, reach))

    def keep(
        self, table: str, sql: str, params: Mapping[str, Any] | None = None, *, reach: Reach | None = None
    ) -> None:
        """Keep the rows of `sql` over `seen` as a table of that name for this question: the files are read once."""
        text, known = self._over_seen(sql, params, reach)
        self.engine.run(f"CREATE TEMP TABLE {table} AS {text}", known)

    def keep_ever(self, table: str, sql: str, params: Mapping[str, Any] | None = None) -> None:
        """Keep the rows of `sql` over all that plays now, whatever the window is: a rollup reads them once."""
        self.keep(table, sql, params, reach=Reach(None, None))

    def keep_visits(self, table: str, sql: str, params: Mapping[str, Any]) -> None:
        """Keep the visits of all times (query/sessions/): each person's, by session id, of which `sql` asks."""
        self.keep(table, sql, params, reach=Reach(None, None))

    def keep_present(self, table: str, reach: Reach) -> None:
        """Keep who was there: a row for each day, group and person, with the number of events, userless and active."""
        one = self.scope.by is None and not self.apart
        grp, apart = ("''", "") if one else ("grp", "grp, ")
        self.keep(table, _PRESENT.format(grp=grp, apart=apart), reach=reach)

    def keep_daily(self, table: str, sql: str, params: Mapping[str, Any], *, reach: Reach) -> None:
        """Keep the rows of `sql`, which asks who was active: of `seen` but day, group, person, and the first instant.

        So any active event of a person and day may stand for the others; from no day on, the first of a person ever.
        """
        self.keep(table, sql, params, reach=reach)

    def _over_seen(self, sql: str, own: Mapping[str, Any] | None, reach: Reach | None) -> tuple[str, dict[str, Any]]:
        scope, window = self.scope, self.window
        reach = reach or Reach(window.first, window.last)
        hot, cold = self._files(reach)
        self._settle(hot, cold)
        if window.tz == "UTC":  # local dates are partitions
            hot = view.pruned(hot, reach.first, reach.last, more=0)
            cold = view.pruned(cold, reach.first, reach.last, more=0)
        if self.by_key and (hot or self.identity.count):
            from evlog.query import keyed

            self.engine.define(keyed.FUNCTION, keyed.function(self.store))
        events, params = view.relation(hot, cold, keyed=self.by_key)
        fragments, known = _fragments(scope, self.identity, by_key=self.by_key)
        if self.apart:
            fragments["grp"], known["labels"] = _PERIOD, list(self.apart)
        params |= known | _bounds(window, reach)
        clash = sorted((params.keys() | _SOMETIMES) & (own or {}).keys())
        assert not clash, f"parameters of `seen` given anew: {', '.join(clash)}"  # they would change what is seen
        params |= own or {}
        head = _SEEN.format(events=events, **fragments)
        rest = sql.strip()
        return (f"{head}, {rest[5:]}" if rest.startswith("WITH ") else f"{head} {rest}"), params


def _fragments(scope: Scope, identity: Identity, *, by_key: bool) -> tuple[dict[str, str], dict[str, Any]]:
    """The parts of `seen` that depend on the scope: which of our fixed texts, and their parameters."""
    from evlog.query import where

    condition, params = where.as_sql(scope.where, "where")
    group = "''"
    if scope.by is not None:
        text, key = where.text_sql(where.path(scope.by), "by_key")
        group, params = f"coalesce({text}, '(none)')", params | key
    if scope.window.tz != "UTC":
        params["tz"] = scope.window.tz
    types = list(scope.active_events or scope.inactive)
    if types:
        params["types"] = types
    linked, user = "linked, " if identity.count else "", "user_key" if by_key else "user_id"
    dated = _ANYONE_LINKED if identity.renames else _NOBODYS_LINKED if identity.count else _ALONE
    fragments = {
        "links": _LINKS.format(told="user_key(person)" if by_key else "person") if identity.count else "",
        "dated": dated,
        "date": _UTC_DATE if scope.window.tz == "UTC" else _LOCAL_DATE,
        "person": (_ANYONE if scope.include_anon else _USER).format(linked=linked, user=user),
        "userless": f"{_USER} IS NULL".format(linked=linked, user=user),
        "active": _AMONG_ACTIVE if scope.active_events else _NOT_INACTIVE if types else "TRUE",
        "days": "TRUE" if scope.window.tz == "UTC" else _DAYS,
        "grp": group,
        "where": condition,
    }
    return fragments, params


def _bounds(window: Window, reach: Reach) -> dict[str, Any]:
    """In UTC instants decide. Elsewhere dates do, and instants, a day wider, only spare reading what cannot count."""
    utc = window.tz == "UTC"
    wider = timedelta(0) if utc else _DAY
    begin = midnight(reach.first, window.tz) - wider if reach.first else datetime(1, 1, 1)  # noqa: DTZ001 - naive UTC
    end = midnight(reach.last + _DAY, window.tz) + wider if reach.last else window.until
    dates = {} if utc else {"from_date": reach.first or date.min, "to_date": reach.last or date.max}
    return {
        "from_instant": begin,
        "before_instant": min(end, window.until),
        "first": window.first,
        "last": window.last,
        **dates,
    }
