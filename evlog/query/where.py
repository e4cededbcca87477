"""The language of `--where`: conditions as people write them, and as static SQL with named parameters.

`KEY OP VALUE`: KEY is a column of `events`, `properties.a.b` or `context.x`; a bare unknown KEY means `properties.KEY`.
Dots go into nested objects; a part in double quotes (`properties."a.b"`) is taken as it stands. What is absent (or JSON
null) matches nothing, under `!=` and `not-in` too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from evlog.errors import UsageError
from evlog.frozen import dataclass
from evlog.window import instant

if TYPE_CHECKING:
    from collections.abc import Sequence

Op = Literal["=", "!=", "<", "<=", ">", ">=", "~", "in", "not-in", "exists"]

COLUMNS = {
    "event_id": "event_id",
    "ts": "strftime(ts, '%Y-%m-%dT%H:%M:%S.%fZ')",
    "event_type": "event_type",
    "category": "category",
    "user_id": "user_id",
    "anonymous_id": "anonymous_id",
    "session_id": "session_id",
    "target_type": "target_type",
    "target_id": "target_id",
    "feature": "feature",
    "source": "source",
    "properties": "properties",
    "context": "context",
    "received_at": "strftime(received_at, '%Y-%m-%dT%H:%M:%S.%fZ')",
    "seq": "CAST(seq AS VARCHAR)",
    "date": "CAST(date AS VARCHAR)",
}
"""Each column of `events`, and the SQL of its text form."""

_INSTANTS = ("ts", "received_at")
_JSON = {
    "properties": "json_extract_string(properties, ${})",
    "context": "json_extract_string(context, ${})",
}
_PART = r'(?:"[^"]*"|[^\s=!<>~",.][^\s=!<>~,.]*)'
_KEY = rf"{_PART}(?:\.{_PART})*"
_SYMBOL = re.compile(rf"\s*({_KEY})\s*(!=|<=|>=|=|<|>|~)(.*)", re.DOTALL)
_WORD = re.compile(rf"\s*({_KEY})\s+(in|not-in|exists)(?:\s+(.*))?", re.DOTALL)
_NUMBER = "[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?"
_IS_NUMBER = re.compile(_NUMBER)
_WRITTEN_AS_IS = re.compile("[A-Za-z_][A-Za-z0-9_. -]*")  # by JSON: no number, and nothing that may be escaped
_HINT = "write 'KEY OP VALUE' with one of: = != < <= > >= ~ in not-in exists"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: a column or the path into a JSON column, an operator, and its values as text."""

    path: tuple[str, ...]  # ("event_type",) or ("properties", "a", "b")
    op: Op
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        key = ".".join(f'"{part}"' if re.search(r"[\s=!<>~.,]", part) else part for part in self.path)
        return " ".join(filter(None, (key, self.op, ",".join(self.values))))


def parse(text: str) -> Condition:
    """The condition that `text` says."""
    match = _SYMBOL.fullmatch(text) or _WORD.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is no condition", hint=_HINT)
    key, op, rest = match[1], match[2], (match[3] or "").strip()
    condition = Condition(path(key), op, _values(op, rest, text))  # type: ignore[arg-type]
    if condition.path[0] in _INSTANTS and op in {"=", "!=", "<", "<=", ">", ">=", "in", "not-in"}:
        for value in condition.values:
            instant(value, tz="UTC")  # told now, where the words are at hand
    return condition


def is_condition(text: str) -> bool:
    """Whether `text` begins with KEY OP, so that it is a condition and no further value of one before it."""
    return _SYMBOL.fullmatch(text) is not None or _WORD.fullmatch(text) is not None


def path(key: str) -> tuple[str, ...]:
    """The column, or the path into a JSON column, that KEY names; UsageError if it names none."""
    written = key.strip()
    if re.fullmatch(_KEY, written) is None:
        raise UsageError(f"{key!r} is no key", hint="write a column of events, or properties.a.b")
    parts = tuple(part[1:-1] if part.startswith('"') else part for part in re.findall(_PART, written))
    if "" in parts:
        raise UsageError(f"{key!r} has an empty part", hint="write properties.a.b")
    if parts[0] in _JSON and not written.startswith('"'):
        return parts
    return parts if written in COLUMNS else ("properties", *parts)


def as_sql(conditions: Sequence[Condition], prefix: str) -> tuple[str, dict[str, Any]]:
    """The conditions, and-ed, as static SQL over the columns of `events`, and its parameters (`PREFIX_0_…`).

    Where a condition does not hold, the SQL is false or null.
    """
    pieces, params = [], {}
    for number, condition in enumerate(conditions):
        sql, values = _condition_sql(condition, f"{prefix}_{number}")
        pieces.append(sql)
        params.update(values)
    return " AND ".join(f"({piece})" for piece in pieces) or "TRUE", params


def text_sql(key: tuple[str, ...], param: str) -> tuple[str, dict[str, Any]]:
    """The SQL of the text form of a key (as `path` gives it), and its parameters; null where it is absent."""
    if len(key) == 1:
        return COLUMNS[key[0]], {}
    pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in key[1:])
    return _JSON[key[0]].format(param), {param: pointer}


def number_sql(key: tuple[str, ...], param: str) -> tuple[str, dict[str, Any]]:
    """The SQL of the number that a key holds, and its parameters; null where its text form is no number."""
    text, params = text_sql(key, param)
    return _number_sql(text), params


def _number_sql(text: str) -> str:
    return f"CAST(CASE WHEN regexp_full_match({text}, '{_NUMBER}') THEN {text} END AS DOUBLE)"


def _values(op: str, rest: str, text: str) -> tuple[str, ...]:
    if op == "exists":
        if rest:
            raise UsageError(f"{text!r} says something after exists", hint="write 'KEY exists'")
        return ()
    if op in {"in", "not-in"}:
        if not rest:
            raise UsageError(f"{text!r} names no value", hint=f"write 'KEY {op} a,b,c'")
        return tuple(value.strip() for value in rest.split(","))
    return (rest,)


def _condition_sql(condition: Condition, name: str) -> tuple[str, dict[str, Any]]:
    if condition.path[0] in _INSTANTS and condition.op not in {"~", "exists"}:
        return _instant_sql(condition, name)
    text, params = text_sql(condition.path, f"{name}_key")
    if condition.op == "exists":
        return f"{text} IS NOT NULL", params
    if condition.op == "~":
        return f"contains(lower({text}), lower(${name}))", {**params, name: condition.values[0]}
    if condition.op in {"in", "not-in"}:
        return _member_sql(condition.op, text, name), {**params, name: list(condition.values)}
    value = condition.values[0]
    if condition.op not in {"=", "!="} and condition.path != ("date",) and _IS_NUMBER.fullmatch(value):
        return f"{_number_sql(text)} {condition.op} ${name}", {**params, name: float(value)}
    says = f"{text} {condition.op} ${name}"
    if condition.op == "=" and len(condition.path) > 1 and _WRITTEN_AS_IS.fullmatch(value):
        says = f"contains({condition.path[0]}, ${name}) AND {says}"  # a fifth of what finding the key costs
    return says, {**params, name: value}


def _instant_sql(condition: Condition, name: str) -> tuple[str, dict[str, Any]]:
    column, values = condition.path[0], [instant(value, tz="UTC") for value in condition.values]
    if condition.op in {"in", "not-in"}:
        return _member_sql(condition.op, column, name), {name: values}
    return f"{column} {condition.op} ${name}", {name: values[0]}


def _member_sql(op: str, text: str, name: str) -> str:
    if op == "in":
        return f"list_contains(${name}, {text})"
    return f"{text} IS NOT NULL AND NOT list_contains(${name}, {text})"
