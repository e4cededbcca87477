"""Expectations: `KEY OP NUMBER`, asked of whole days."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from evlog import reports
from evlog.check.finding import Finding
from evlog.errors import UsageError
from evlog.query.ask import ask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evlog.check.finding import Unit, Verdict
    from evlog.event.plan import Funnel
    from evlog.query.result import Result
    from evlog.query.scope import Scope
    from evlog.store.layout import Store
    from evlog.window import Window

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": lambda seen, asked: seen >= asked,
    "<=": lambda seen, asked: seen <= asked,
    "!=": lambda seen, asked: seen != asked,
    ">": lambda seen, asked: seen > asked,
    "<": lambda seen, asked: seen < asked,
    "=": lambda seen, asked: seen == asked,
}
REJECT_RATE = "reject_rate"
_SUMMED = {
    "dau": ("dau", "dau_avg"),
    "users": ("dau", "users"),
    "events": ("events", "events"),
    "sessions": ("sessions", "sessions"),
    "error_rate": ("errors", "error_rate"),
}
"""Keys that are one of a report's summary."""

_LAST = {"wau": ("wau", "wau"), "mau": ("mau", "mau")}
"""Keys that are a column of a report's last row."""

_DERIVED = {
    ("dropoff", "completion_rate"): ("completed", "started"),
    ("dropoff", "dropoff_rate"): ("dropped", "started"),
}
"""Rates that stand in the rows of a report, of all its rows: what, of what, in its summary."""

KEYS = ("dau", "wau", "mau", "events", "users", "sessions", "error_rate", REJECT_RATE)
_READ = re.compile(
    r"\s*(?P<key>[A-Za-z_][^<>=!]*?)\s*(?P<op>>=|<=|!=|==|=|>|<)\s*"
    r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*(?P<percent>%?)\s*"
)
_HINT = (
    f"write 'KEY OP NUMBER' in quotes, as in 'dau>=100'; OP is one of {' '.join(OPERATORS)};\n"
    f"KEY: {', '.join(KEYS)}, or REPORT.SUMMARYKEY as in dropoff.completion_rate"
)
_UNITS: Mapping[str, Unit] = {"rate": "rate", "seconds": "seconds", "number": "number"}


@dataclass(frozen=True, slots=True)
class Expectation:
    """What somebody expects of a number."""

    text: str
    key: str
    op: str
    number: float


@dataclass(frozen=True, slots=True)
class Asked:
    """What expectations are asked of: whole days of a scope, options of reports by name, the plan's funnels."""

    scope: Scope
    options: Mapping[str, str]
    funnels: Mapping[str, Funnel]
    reject_rate: Callable[[Window], float | None]


def parse(text: str) -> Expectation:
    """What `text` says; UsageError names the operators where it says nothing."""
    found = _READ.fullmatch(text)
    if found is None:
        raise UsageError(f"--expect: {text!r} is no expectation", hint=_HINT)
    number = float(found["number"]) / (100 if found["percent"] else 1)
    expectation = Expectation(text.strip(), found["key"].strip(), found["op"].replace("==", "="), number)
    _known(expectation)
    return expectation


def _known(expected: Expectation) -> None:
    word, dot, _ = expected.key.partition(".")
    if expected.key in KEYS or (dot and (word.split() or [""])[0] in reports.names()):
        return
    raise UsageError(f"--expect: there is no {expected.key!r} to expect something of", hint=_HINT)


def whole_days(window: Window, days: int | None) -> Window:
    """The last whole day before what plays now, or the last so many."""
    last = window.today if window.over(window.today) else window.today - timedelta(days=1)
    return replace(window, first=last - timedelta(days=(days or 1) - 1), last=last)


def judge(store: Store, expected: Expectation, asked: Asked) -> Finding:
    """Whether an expectation holds, and what was seen; a number that there is not holds nothing and breaks nothing."""
    seen, unit = _seen(store, expected, asked)
    window = asked.scope.window
    span = f"on {window.last}" if window.first == window.last else f"from {window.first} to {window.last}"
    name = f"expect {expected.key}{expected.op}{expected.number:.15g}"
    if seen is None:
        says = f"there is no {expected.key} {span}"
        return Finding(name, "expectation", "no data", None, expected.number, unit, says)
    held = OPERATORS[expected.op](seen, expected.number)
    says = f"{expected.key} is {_spelled(seen)} {span}, expected {expected.op} {_spelled(expected.number)}"
    verdict: Verdict = "ok" if held else "failed"
    since = None if held else window.first
    return Finding(name, "expectation", verdict, seen, expected.number, unit, says, since=since)


def _spelled(value: float) -> str:
    return f"{value:,.15g}" if value == int(value) else f"{value:.4g}"


def _seen(store: Store, expected: Expectation, asked: Asked) -> tuple[float | None, Unit]:
    if expected.key == REJECT_RATE:
        return asked.reject_rate(asked.scope.window), "rate"
    if expected.key in _LAST:
        report, column = _LAST[expected.key]
        found = _asked(store, report, asked, {})
        place = [one.name for one in found.columns].index(column)
        return float(found.rows[-1][place]), "count"
    report, key = _SUMMED.get(expected.key) or _named(expected.key)
    word, _, funnel = report.partition(" ")
    found = _asked(store, word, asked, _funnel(expected, funnel.strip(), asked) if funnel else {})
    return _of_summary(found, key, expected)


def _named(key: str) -> tuple[str, str]:
    report, _, name = key.rpartition(".")
    return report, name


def _funnel(expected: Expectation, name: str, asked: Asked) -> dict[str, Any]:
    """The options of a funnel that the plan names."""
    from inspect import signature

    if name not in asked.funnels:
        hint = f"it names {', '.join(sorted(asked.funnels)) or 'none'}: [funnels.NAME] in the plan"
        raise UsageError(f"--expect: {expected.text!r}: the plan names no funnel {name!r}", hint=hint)
    funnel = asked.funnels[name]
    known = signature(reports.load("funnel").report).parameters
    said = {field.name: getattr(funnel, field.name) for field in fields(funnel)}
    return {key: value for key, value in said.items() if key in known and value not in (None, False)}


def _asked(store: Store, report: str, asked: Asked, options: Mapping[str, Any]) -> Result:
    known = reports.options(report)
    missing = [one.name for one in known if _needed(one.default) and one.name not in options]
    if missing:
        hint = f"ask it with: evlog report {report}; expectations are of reports that need nothing said"
        raise UsageError(f"--expect: report {report} needs {', '.join(missing)}", hint=hint)
    fed = {one.name: asked.options[one.name] for one in known if one.name in asked.options}
    return ask(store, asked.scope, reports.load(report).report, **{**fed, **options})


def _needed(default: object) -> bool:
    from inspect import Parameter

    return default is Parameter.empty


def _of_summary(found: Result, key: str, expected: Expectation) -> tuple[float | None, Unit]:
    numbers = {name: value for name, value in found.summary.items() if _is_number(value)}
    if (found.report, key) in _DERIVED:
        part, whole = (numbers[name] for name in _DERIVED[found.report, key])
        return (part / whole if whole else None), "rate"
    if key not in numbers:
        hint = f"its summary has {', '.join(numbers) or 'no number'}"
        raise UsageError(f"--expect: {expected.text!r}: report {found.report} has no {key!r} in its summary", hint=hint)
    value = numbers[key]
    return None if value is None else float(value), _UNITS.get(found.summary_kinds.get(key, "count"), "count")


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
