"""What an erasure makes of a rollup: a value that speaks of a person is told without, and every number stays.

Two values that would become one stay two (`[erased]`, `[erased]+`), as not every number may be added up: who is counted
under both would be counted twice.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evlog.person.mention import counts, spread
from evlog.person.retold import IDS
from evlog.store import rollups

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from evlog.person.going import Going
    from evlog.person.mention import Mention, Mentions
    from evlog.store.rollups import Record, Section

_IDS = frozenset({*IDS, "user_id"})


def without(path: Path, going: Going) -> tuple[bytes, list[str]]:
    """The content of a rollup without the persons, and whom each value that changed spoke of."""
    period, sections = rollups.read(path)
    users: list[str] = []
    told = [_section(section, going, users) for section in sections.values()]
    return rollups.content(period, told), users


def _section(section: Section, going: Going, users: list[str]) -> Section:
    values = sorted({(one.dimension, one.of) for one in section.records if one.of})
    near = going.crowd.near_texts(spread(list(keys(*value))) for value in values)
    new: dict[tuple[str, str], list[Any]] = {}
    for value, whom in zip(values, near, strict=True):
        held = keys(*value)
        told = _told(value[0].split(","), held, whom, users)
        if told != held:
            new[value] = told
    question = _question(section.question, going, users)
    if not new and question == section.question:
        return section
    taken = {value for value in values if value not in new}
    names = {value: _apart(value[0], told, taken) for value, told in sorted(new.items())}
    return replace(section, question=question, records=tuple(_named(one, names) for one in section.records))


def _question(question: str, going: Going, users: list[str]) -> str:
    """The name of a standing question: its options may hold an id, if the plan does."""
    [near] = going.crowd.near_texts([spread(question)])
    for one in going.plain(near).each:
        if one.long and one.spoken(question):
            users.append(one.user)
            question = str(one.without(question))
    return question


def _told(names: list[str], held: list[Any], whom: Mentions, users: list[str]) -> list[Any]:
    """The values of the columns of a dimension, without those who go."""
    event, told = dict(zip(names, held, strict=False)), list(held)
    for one in whom.each:
        left = [_value(one, name, value, event) for name, value in zip(names, told, strict=True)]
        if left != told:
            users.append(one.user)
        told = left
    return told


def _value(mention: Mention, name: str, value: Any, event: dict[str, Any]) -> Any:
    if value is None or not counts(mention, name, event):
        return value
    return mention.unnamed(value) if name in _IDS and isinstance(value, str) else mention.without(value)


def _apart(dimension: str, told: list[Any], taken: set[tuple[str, str]]) -> str:
    """The new value of a dimension, spelled; another than all that there are."""
    while (dimension, spelled(told)) in taken:
        told = [*told[:-1], f"{told[-1]}+"]
    taken.add((dimension, spelled(told)))
    return spelled(told)


def _named(record: Record, names: dict[tuple[str, str], str]) -> Record:
    new = names.get((record.dimension, record.of))
    return record if new is None else replace(record, of=new)


def keys(dimension: str, of: str) -> list[Any]:
    """The values of the columns of a dimension (query/standing.py says how they are spelled)."""
    columns = dimension.count(",") + 1
    if of.startswith("["):
        try:
            held = json.loads(of)
        except ValueError:
            held = None
        if isinstance(held, list) and len(held) == columns:
            return held
    return [of, *([None] * (columns - 1))]


def spelled(values: Iterable[Any]) -> str:
    """The value of a dimension as it stands in a record: a text as it is, unless it looks like a list."""
    held = list(values)
    if len(held) == 1 and isinstance(held[0], str) and not held[0].startswith("["):
        return held[0]
    return json.dumps(held, separators=(",", ":"))
