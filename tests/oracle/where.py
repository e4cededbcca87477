"""Conditions on one event, in plain Python: the text form of the value decides, as cli.md says."""

import json
import re
from datetime import date, datetime

NUMBER = re.compile(r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?")
ORDER = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def value_at(event, path):
    """What stands at the path; None where nothing does."""
    value = event.get(path[0])
    for part in path[1:]:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def text(value):
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds") + "Z"
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def matches(condition, event):
    """Whether the condition holds for the event (a dict with naive UTC `ts`, and `date`)."""
    value = value_at(event, condition.path)
    if value is None or condition.op == "exists":
        return value is not None
    if condition.op == "~":
        return condition.values[0].lower() in text(value).lower()
    value, wanted = _comparable(value, condition)
    if condition.op in {"in", "not-in"}:
        return (value in wanted) == (condition.op == "in")
    return value is not None and ORDER[condition.op](value, wanted[0])


def _comparable(value, condition):
    """The value and the condition's values as instants, as numbers (None: the value is none), or as text."""
    if isinstance(value, datetime):
        return value, [datetime.fromisoformat(wanted).replace(tzinfo=None) for wanted in condition.values]
    ordered = condition.op in {"<", "<=", ">", ">="} and condition.path != ("date",)
    if ordered and NUMBER.fullmatch(condition.values[0]):
        return float(text(value)) if NUMBER.fullmatch(text(value)) else None, [float(condition.values[0])]
    return text(value), list(condition.values)
