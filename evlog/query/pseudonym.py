"""Output without ids: an answer, or an event, in which pseudonyms stand for users, anonymous ids and sessions.

What is replaced is what is known to be an id: columns of these names, the group of a break-down by such a key, the user
that a report was asked about, a target that is a user; and in `properties` and `context` each text that is an id of its
own event. An id that stands elsewhere, another user's in a property, say, is not known to be one.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evlog.errors import UsageError
from evlog.query import answer, id_columns, steps, where
from evlog.store.pseudonym import Key, of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from evlog.query.result import Column, Result

__all__ = ["Key", "event", "of", "pseudonymised"]

PEOPLE = frozenset({"anonymous", "person", "user"})
"""Types of targets that are users."""

_WORDS = frozenset({"userid", "user", "personid", "person", "anonymousid", "sessionid", "distinctid", "deviceid"})
_JSON = ("properties", "context")
_TARGETS = ("target_id", "target")
_ANONYMOUS = "anon:"
_OWN = frozenset({"user_id", "anonymous_id", "session_id"})
_TOLD_BY = {"properties": _OWN, "context": _OWN, "target_id": frozenset({"target_type"})}
"""Columns of events in which an id is known only by others."""
_ASKED = ("user", "explain")  # options of reports that name a user
_KEYED = {"value": "key", "variant": "variant"}  # columns that hold the values of a key, and the option that names it


def event(key: Key, fields: Mapping[str, Any]) -> dict[str, Any]:
    """An event, or any row by the names of its columns, with pseudonyms for its ids.

    `properties` and `context` may be text or what it spells.
    """
    own, people = _own(fields.items())
    return {name: _field(key, name, value, own=own, people=people) for name, value in fields.items()}


def pseudonymised(result: Result, key: Key) -> Result:
    """The answer with pseudonyms for ids; UsageError for a SELECT of which nobody can tell where they stand."""
    if result.report == "sql":
        id_columns.vet(result.params["sql"])
        _vet_columns({column.name for column in result.columns})
    texts = _steps_with_ids(result.params, key)
    holding = {place for place, column in enumerate(result.columns) if _holds_ids(column, result)}
    rows = tuple(_row(key, result.columns, row, holding=holding, texts=texts) for row in result.rows)
    columns = tuple(_column(column) if place in holding else column for place, column in enumerate(result.columns))
    names = ", ".join(result.columns[place].name for place in sorted(holding))
    return replace(
        result,
        columns=columns,
        rows=rows,
        params=_params(result.params, key, texts),
        definition={**result.definition, "pseudonyms": names or "no column is known to hold ids"},
    )


def _vet_columns(names: set[str]) -> None:
    """Return if the columns of a SELECT tell of each other which texts are ids; UsageError names what is missing."""
    for name, needed in _TOLD_BY.items():
        if name in names and not needed <= names:
            missing = ", ".join(sorted(needed - names))
            hint = f"select {missing} too, or leave {name} out"
            raise UsageError(f"--pseudonymise: {name} may hold ids, which only {missing} would tell", hint=hint)


def _holds_ids(column: Column, result: Result) -> bool:
    """Whether each value of the column is an id."""
    if column.name == "group":
        return "by" in result.params and _is_id_key(result.params["by"])
    named = result.params.get(_KEYED.get(column.name, ""))
    return id_columns.is_id(column.name) or (named is not None and _is_id_key(named))


def _is_id_key(name: Any) -> bool:
    """Whether a key, as in `--by`, is one of ids: a column, or a property that is called so."""
    return isinstance(name, str) and re.sub("[^a-z]", "", where.path(name)[-1].lower()) in _WORDS


def _column(column: Column) -> Column:
    return replace(column, kind="text", bar=False)


def _row(
    key: Key, columns: Sequence[Column], row: tuple[Any, ...], *, holding: set[int], texts: Mapping[str, str]
) -> tuple[Any, ...]:
    own, people = _own((column.name, value) for column, value in zip(columns, row, strict=True))
    told = []
    for place, (column, value) in enumerate(zip(columns, row, strict=True)):
        if place in holding:
            told.append(_id(key, value))
        elif column.name == "event":
            told.append(texts.get(value, value))
        else:
            told.append(_field(key, column.name, value, own=own, people=people))
    return tuple(told)


def _own(fields: Iterable[tuple[str, Any]]) -> tuple[set[str], bool]:
    """The ids of an event, and whether its target is a user."""
    known = list(fields)
    people = any(name == "target_type" and str(value).lower() in PEOPLE for name, value in known)
    named = (value for name, value in known if id_columns.is_id(name) or (people and name in _TARGETS))
    return {value for value in named if isinstance(value, str)}, people


def _field(key: Key, name: str, value: Any, *, own: set[str], people: bool) -> Any:
    if value is None:
        return None
    if id_columns.is_id(name) or (people and name in _TARGETS):
        return _id(key, value)
    if name in _JSON and own:
        return _json(value, lambda text: of(key, text) if text in own else text)
    return value


def _id(key: Key, value: Any) -> Any:
    """The pseudonym of an id; of what is no single id (a list of them, say) one that stands for the whole."""
    if value is None or value in {answer.ABSENT, answer.OTHER}:
        return value
    text = str(value)
    if text.startswith(_ANONYMOUS):
        return f"{_ANONYMOUS}{of(key, text.removeprefix(_ANONYMOUS))}"
    return of(key, text)


def _json(value: Any, told: Callable[[str], str]) -> Any:
    """The same, spelled or not, with another text where `told` has one."""
    import orjson

    if not isinstance(value, str):
        return _walked(value, told)
    try:
        body = orjson.loads(value)
    except ValueError:
        return told(value)
    changed = _walked(body, told)
    return value if changed == body else orjson.dumps(changed).decode()


def _walked(value: Any, told: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {told(name): _walked(inner, told) for name, inner in value.items()}
    if isinstance(value, list):
        return [_walked(inner, told) for inner in value]
    return told(value) if isinstance(value, str) else value


def _params(params: Mapping[str, Any], key: Key, texts: Mapping[str, str]) -> dict[str, Any]:
    """What was asked, with pseudonyms where it names ids; a SELECT is left out."""
    found: dict[str, Any] = {}
    for name, value in params.items():
        if name in _ASKED and isinstance(value, str):
            found[name] = of(key, value)
        elif name == "where":
            found[name] = [str(_condition(where.parse(text), key)) for text in value]
        elif isinstance(value, (list, tuple)):
            found[name] = [texts.get(one, one) if isinstance(one, str) else one for one in value]
        elif name != "sql":
            found[name] = texts.get(value, value) if isinstance(value, str) else value
    return found


def _condition(condition: where.Condition, key: Key) -> where.Condition:
    if not _is_id_path(condition.path):
        return condition
    return replace(condition, values=tuple(of(key, value) for value in condition.values))


def _is_id_path(path: tuple[str, ...]) -> bool:
    return re.sub("[^a-z]", "", path[-1].lower()) in _WORDS


def _steps_with_ids(params: Mapping[str, Any], key: Key) -> dict[str, str]:
    """Steps that were asked for with a condition on an id, and how they read with its pseudonym."""
    found = {}
    for value in params.values():
        for text in value if isinstance(value, (list, tuple)) else [value]:
            step = _step(text)
            if step is not None and any(_is_id_path(one.path) for one in step.conditions):
                conditions = ", ".join(str(_condition(one, key)) for one in step.conditions)
                found[text] = f"{'|'.join(step.event_types) or '*'}[{conditions}]{'?' * step.optional}"
    return found


def _step(text: Any) -> steps.Step | None:
    if not isinstance(text, str) or "[" not in text:
        return None
    try:
        return steps.parse((text,))[0]
    except UsageError:
        return None
