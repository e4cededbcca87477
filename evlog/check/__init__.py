"""Whether the numbers can be trusted: each check measures one thing over a range and holds it against a threshold.

A check is one function: it looks, and says what it found. One that has nothing to judge says `no data`; that is neither
fine nor a failure. One whose threshold is None does not run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from evlog.check import (
    abuse,
    accuracy,
    arrived,
    completeness,
    consistency,
    expect,
    ingested,
    jobs,
    paired,
    rolled,
    ruled,
    timeliness,
    volume,
)
from evlog.check.look import Limits, Look, Rule
from evlog.errors import UsageError
from evlog.query.ask import ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from evlog.check.expect import Expectation
    from evlog.check.finding import Finding
    from evlog.event.plan import Funnel, Plan
    from evlog.query.ask import Question
    from evlog.query.scope import Scope
    from evlog.store.layout import Store


@dataclass(frozen=True, slots=True)
class Check:
    """A check: its function, the threshold it is handed, and what must be kept before."""

    run: Callable[..., Iterable[Finding]]
    limit: str
    keeps: Callable[[Look], None] | None = None


CHECKS: dict[str, Check] = {
    "nulls": Check(completeness.nulls, "nulls"),
    "required": Check(completeness.required, "nulls", ruled.keep),
    "quarantine": Check(ingested.quarantined, "rejects"),
    "order": Check(accuracy.order, "wrong", paired.keep),
    "ranges": Check(accuracy.ranges, "wrong", ruled.keep),
    "clocks": Check(accuracy.clocks, "wrong"),
    "lag": Check(timeliness.lag, "lag"),
    "late": Check(timeliness.late, "late"),
    "freshness": Check(timeliness.freshness, "freshness"),
    "duplicates": Check(ingested.duplicates, "duplicates"),
    "ids": Check(consistency.ids, "duplicates"),
    "sessions": Check(consistency.sessions, "wrong"),
    "references": Check(consistency.references, "wrong", paired.keep),
    "rollups": Check(rolled.rollups_hold, "wrong"),
    "volume": Check(volume.volume, "volume"),
    "rejects": Check(ingested.rejects, "rejects"),
    "ingest_rate": Check(ingested.ingest_rate, "ingest_rate"),
    "rate_per_user": Check(abuse.rate_per_user, "rate_per_user"),
    "rollup_seconds": Check(jobs.rollup_seconds, "rollup_seconds"),
    "rollup_overdue": Check(jobs.rollup_overdue, "overdue"),
    "compact_overdue": Check(jobs.compact_overdue, "overdue"),
    "purge_overdue": Check(jobs.purge_overdue, "overdue"),
    "commits": Check(jobs.commits, "commits"),
}
"""Every check, by name, in the order of the table."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is checked beside the events: by which thresholds, which checks (none named: all), what is expected."""

    limits: Limits = field(default_factory=Limits)
    only: tuple[str, ...] = ()
    expect_rollup: bool = False
    expectations: Sequence[Expectation] = ()
    days: int | None = None  # how many whole days expectations are of; None: the last one
    report_options: Mapping[str, str] = field(default_factory=dict)


def run(store: Store, scope: Scope, options: Options, *, plan: Plan | None = None) -> list[Finding]:
    """What every check found, in the order of `CHECKS`; then the expectations."""
    chosen = _chosen(options.only)
    gathered: Any = partial(_gathered, chosen=chosen, options=options, rules=_rules(plan))
    found = cast("list[Finding]", ask(store, scope, gathered))
    return found + _expected(store, scope, options, plan.funnels if plan else {})


def _chosen(only: Sequence[str]) -> dict[str, Check]:
    unknown = [name for name in only if name not in CHECKS]
    if unknown:
        raise UsageError(f"--only: there is no check {unknown[0]!r}", hint=f"one of: {', '.join(CHECKS)}")
    return {name: check for name, check in CHECKS.items() if not only or name in only}


def _gathered(
    question: Question, *, chosen: Mapping[str, Check], options: Options, rules: Sequence[Rule]
) -> list[Finding]:
    """Ask each check in turn; what several count from is kept once. Persons go by name: a finding may be one."""
    question = question.by_name()
    look = Look(question, options.limits, rules, options.expect_rollup)
    arrived.keep(question)
    kept: set[Any] = set()
    found: list[Finding] = []
    for check in chosen.values():
        limit = getattr(options.limits, check.limit)
        if limit is None:
            continue
        if check.keeps is not None and check.keeps not in kept:
            check.keeps(look)
            kept.add(check.keeps)
        found.extend(check.run(look, limit))
    return found


def _expected(store: Store, scope: Scope, options: Options, funnels: Mapping[str, Funnel]) -> list[Finding]:
    if not options.expectations:
        return []
    from dataclasses import replace

    asked = expect.Asked(
        replace(scope, window=expect.whole_days(scope.window, options.days)),
        options.report_options,
        funnels,
        partial(ingested.reject_rate, store),
    )
    return [expect.judge(store, one, asked) for one in options.expectations]


def _rules(plan: Plan | None) -> tuple[Rule, ...]:
    """What the plan says that events in the store can still be held against."""
    if plan is None:
        return ()
    return tuple(rule for name, event in plan.events.items() for rule in _rules_of(name, event))


def _rules_of(name: str, event: Any) -> Iterable[Rule]:
    yield from (Rule(name, known, "", required=True) for known in event.required)
    for known, said in event.properties.items():
        rule = Rule(name, "", known, said.required, said.min, said.max, tuple(map(str, said.one_of)))
        if rule.required or rule.ranged:
            yield rule
