"""Events parsed for their own sake: nothing is stored. For `plan check` and `plan infer`."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from evlog.cli import clock, rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from evlog.cli.call import Call
    from evlog.ingest.parsed import Parsed, Reject
    from evlog.ingest.rules import Rules
    from evlog.query.result import Result
    from evlog.store.layout import Store
    from evlog.store.snapshot import Snapshot

_MOST = 1000  # different verdicts that are told apart
_FIELDS = (
    "event_type",
    "category",
    "user_id",
    "anonymous_id",
    "session_id",
    "target_type",
    "target_id",
    "feature",
    "source",
)
_SELECT = "SELECT {names}, properties FROM ({events}) ORDER BY seq"

Verdict = tuple[str, str, str]


def verdicts(call: Call, files: Iterable[str]) -> Result:
    """What of the files would be refused: reason, field and expectation, how often, and where first."""
    from evlog.query.result import Column, Result

    counts: Counter[Verdict] = Counter()
    first: dict[Verdict, tuple[str, str]] = {}
    read = rejected = 0
    for parsed in _parsed(files, rules.held_against(call)):
        read, rejected = read + parsed.tally.read, rejected + parsed.tally.rejected
        for reject in parsed.rejects:
            _count(reject, counts, first)
    rows = tuple((*verdict, first[verdict][0], count, first[verdict][1]) for verdict, count in counts.most_common())
    kinds = {"lines": "count"}
    names = ("reason", "field", "expected", "got", "lines", "first")
    columns = tuple(Column(name, kinds.get(name, "text")) for name in names)  # type: ignore[arg-type]
    return Result("check", columns, rows, call.now, summary={"events": read, "rejected": rejected}, events_read=read)


def _count(reject: Reject, counts: Counter[Verdict], first: dict[Verdict, tuple[str, str]]) -> None:
    for problem in reject.problems:
        verdict = (problem.code, problem.field, problem.expected)
        if verdict in first or len(first) < _MOST:
            counts[verdict] += 1
            first.setdefault(verdict, (problem.got, f"{reject.source}:{reject.line}"))


def events(call: Call, files: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The events of the files, under their canonical names; no plan is held against them."""
    import orjson

    from evlog.event.plan import Plan

    for parsed in _parsed(files, rules.held_against(call, plan=Plan.open())):
        for day in parsed.days.values():
            yield from map(orjson.loads, bytes(day.lines).splitlines())
        yield from (orjson.loads(content) for _, _, content, _ in parsed.anonymous)


def stored_events(store: Store) -> Iterator[dict[str, Any]]:
    """The events of a store, a partition at a time."""
    from evlog.store.snapshot import snapshot, steady

    for day in snapshot(store).days:
        yield from steady(store, partial(_of_day, day), first=day, last=day)


def _of_day(_day: date, seen: Snapshot) -> list[dict[str, Any]]:
    import orjson

    from evlog.engine import connect
    from evlog.query import view

    relation, params = view.relation(seen.hot, seen.cold)
    with connect() as engine:
        rows = engine.rows(_SELECT.format(names=", ".join(_FIELDS), events=relation), params)
    names = (*_FIELDS, "properties")
    found = [dict(zip(names, row, strict=True)) for row in rows]
    for event in found:
        event["properties"] = orjson.loads(event["properties"] or b"{}")
    return found


def _parsed(files: Iterable[str], held: Rules) -> Iterator[Parsed]:
    from evlog.ingest.block import blocks
    from evlog.ingest.parse import Parser
    from evlog.ingest.rules import Moment
    from evlog.ingest.source import sources
    from evlog.store.tombstones import Tombstones

    nobody = Tombstones(bytes(32), frozenset(), None, ())
    parser = Parser(held, Moment.at(clock.now(), held, nobody))
    for block in blocks(sources(files), max_line=held.max_line, flush_interval=1.0):
        yield parser.parse(block)
