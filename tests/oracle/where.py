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
    if value is None:
        return False
    if condition.op == "exists":
        return True
    if condition.op == "~":
        return condition.values[0].lower() in text(value).lower()
    wanted = list(condition.values)
    if isinstance(value, datetime):
        wanted = [datetime.fromisoformat(w).replace(tzinfo=None) for w in wanted]
    elif condition.op in {"<", "<=", ">", ">="} and NUMBER.fullmatch(wanted[0]) and condition.path != ("date",):
        if not NUMBER.fullmatch(text(value)):
            return False
        return ORDER[condition.op](float(text(value)), float(wanted[0]))
    else:
        value = text(value)
    if condition.op in {"in", "not-in"}:
        return (value in wanted) == (condition.op == "in")
    return ORDER[condition.op](value, wanted[0])
