"""What a check found, as a table, as rows for machines, as a line of a mail, and as numbers for a monitor."""

from __future__ import annotations

from datetime import datetime, time
from typing import TYPE_CHECKING, Any

from evlog.cli import exposed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evlog.check.finding import Finding, Unit
    from evlog.query.result import Column, Result
    from evlog.query.scope import Scope
    from evlog.render.prometheus import Family

_RULE = (
    "each day of the range is judged alone; failed: on any day; since: the first day of the newest unbroken run of "
    "failing days"
)
_LIVE = "came within a day of its time, in a batch of which most did; what is brought in later has no lag"
_VOLUME = "against the median of the same weekday in the 8 weeks before, in robust deviations (MAD)"
_FACTS = ("check", "dimension", "verdict", "value", "threshold", "unit", "since", "until", "says", "todo")


def result(found: Sequence[Finding], scope: Scope, *, table: bool) -> Result:
    """The findings as rows: in words for a person, in numbers for a machine."""
    from evlog.query.result import Result

    window = scope.window
    counts = {kind: sum(one.verdict == kind for one in found) for kind in ("ok", "failed", "no data")}
    return Result(
        "check",
        _seen_columns() if table else _columns(),
        tuple(_seen(one) if table else tuple(getattr(one, name) for name in _FACTS) for one in found),
        window.as_of,
        params={"from": window.first.isoformat(), "to": window.last.isoformat(), "tz": window.tz},
        summary={"checks": len(found), "failed": counts["failed"], "ok": counts["ok"], "no_data": counts["no data"]},
        definition={
            "zone": window.tz,
            "window": f"{window.first} to {window.last}",
            "rule": _RULE,
            "live": _LIVE,
            "volume": _VOLUME,
            "as_of": window.as_of,
        },
        complete=window.complete,
        marks=frozenset(number for number, one in enumerate(found) if one.failed),
    )


def _columns() -> tuple[Column, ...]:
    from evlog.query.result import Column

    numbers, dates = {"value", "threshold"}, {"since", "until"}
    return tuple(Column(name, "number" if name in numbers else "date" if name in dates else "text") for name in _FACTS)


def _seen_columns() -> tuple[Column, ...]:
    from evlog.query.result import Column

    return tuple(map(Column, ("check", "is", "value", "at most", "since", "says")))


def _seen(one: Finding) -> tuple[Any, ...]:
    """A row for a person; what is fine needs no words."""
    limit = None if one.dimension == "expectation" else _spelled(one.threshold, one.unit)
    says = one.says if one.verdict != "ok" or one.dimension == "expectation" else ""
    return one.check, one.verdict, _spelled(one.value, one.unit), limit, str(one.since or ""), says


def _spelled(value: float | None, unit: Unit) -> str | None:
    from evlog.render import human

    if value is None:
        return None
    match unit:
        case "rate":
            return human.rate(value)
        case "seconds":
            return human.duration(value)
        case "count":
            return human.count(value)
    return human.number(value)


def line(one: Finding) -> str:
    """What failed and since when, in one line."""
    numbers = ""
    if one.dimension != "expectation":
        numbers = f" ({_spelled(one.value, one.unit)}, at most {_spelled(one.threshold, one.unit)})"
    since = f" since {one.since}" if one.since else ""
    over = f" until {one.until}" if one.until else ""
    return f"check {one.check} failed{since}{over}{numbers}: {one.says}{'; ' if one.todo else ''}{one.todo}"


def families(found: Sequence[Finding], scope: Scope) -> Iterator[Family]:
    """The findings as Prometheus reads them; what has no data has no value."""
    from evlog.render.prometheus import Family, Sample

    def labelled(one: Finding) -> dict[str, str]:
        return {"check": one.check, "dimension": one.dimension}

    judged = [one for one in found if one.verdict != "no data"]
    yield Family("evlog_check_ok", "1: the check holds, 0: it failed; a check with no data to judge has none.",
                 tuple(Sample(int(not one.failed), labelled(one)) for one in judged))  # fmt: skip
    yield Family("evlog_check_value", "What the check measured, of the worst day: fractions, seconds or counts.",
                 tuple(Sample(one.value, labelled(one)) for one in judged))  # fmt: skip
    yield Family("evlog_check_threshold", "The most that the value may be.",
                 tuple(Sample(one.threshold, labelled(one)) for one in judged))  # fmt: skip
    yield Family("evlog_check_failing_since_timestamp_seconds", "The first day of the newest run of failing days.",
                 tuple(Sample(exposed.seconds(datetime.combine(one.since, time())), labelled(one))
                       for one in judged if one.since))  # fmt: skip
    yield Family("evlog_checks_failed", "How many checks failed.", (Sample(sum(one.failed for one in found)),))
    yield Family("evlog_check_as_of_timestamp_seconds", "What played now when the checks ran.",
                 (Sample(exposed.seconds(scope.window.as_of)),))  # fmt: skip
