"""A plan as TOML text, and a plan file with one event type more.

Written by hand: the standard library reads TOML and does not write it, and `add` must keep the comments of the file.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from evlog.errors import PlanError
from evlog.event.plan_file import parse
from evlog.event.plan_table import bare, literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evlog.event.plan import EventRule, Plan, Property


def dumps(plan: Plan) -> str:
    """`plan` as the text of a plan.toml: deterministic, only what differs from a default, `parse` gives it back."""
    blocks = ["\n".join(_members(plan, ("events", "pairs", "funnels", "parts", "indices")))]
    blocks += [_event(name, rule) for name, rule in sorted(plan.events.items())]
    for kind, named in (("pairs", sorted(plan.pairs.items())), ("funnels", sorted(plan.funnels.items()))):
        blocks += [_block(one, kind, name) for name, one in named]
    blocks += [_block(part, "parts", name) for name, part in plan.parts.items()]
    for name, index in sorted(plan.indices.items()):
        blocks.append(_block(index, "indices", name, skip=("components",)))
        blocks += [_block(one, "indices", name, "components", key) for key, one in index.components.items()]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _block(one: Any, *path: str, skip: tuple[str, ...] = ()) -> str:
    """The table at `path` that says what the dataclass `one` says."""
    return "\n".join([f"[{'.'.join(map(bare, path))}]", *_members(one, skip)])


def add(text: str, event_type: str, rule: EventRule, *, name: str = "plan.toml") -> str:
    """The plan file `text` with `event_type` added, or with those properties of `rule` added that it does not have yet.

    What stands in the file stays as it is, comments included; tables are appended. PlanError when nothing would be new,
    or when the file is written so that nothing can be appended (inline tables).
    """
    before = parse(text, name=name)
    held = before.events.get(event_type)
    block = _event(event_type, rule) if held is None else _new_properties(event_type, held, rule)
    if not block:
        raise PlanError(f"{name}: {event_type} has these properties already", hint="edit the file to change a rule")
    newline = "\r\n" if "\r\n" in text else "\n"
    gap = "" if not text.strip() else newline if text.endswith("\n") else newline * 2
    added = text + gap + (block + "\n").replace("\n", newline)
    _expect_superset(before, added, event_type, name=name)
    return added


def _expect_superset(before: Plan, text: str, event_type: str, *, name: str) -> None:
    """Raise PlanError unless `text` says all that `before` said, and more of `event_type` alone."""
    try:
        after = parse(text, name=name)
    except PlanError as error:
        hint = f"is `events` or `events.{event_type}` an inline table? write it as [events.{bare(event_type)}]"
        raise PlanError(f"{name}: cannot append {event_type} to this file", hint=hint) from error
    grown = {**after.events}
    new = grown.pop(event_type)
    old = dict(before.events)
    held = old.pop(event_type, None)
    rest = dataclasses.replace(after, events=grown) == dataclasses.replace(before, events=old)
    if not rest or (held is not None and not held.properties.items() <= new.properties.items()):
        raise PlanError(f"{name}: appending {event_type} would change other rules of this file")


def _new_properties(event_type: str, held: EventRule, rule: EventRule) -> str:
    fresh = {name: wanted for name, wanted in rule.properties.items() if name not in held.properties}
    return "\n\n".join(_property(event_type, name, wanted) for name, wanted in sorted(fresh.items()))


def _event(name: str, rule: EventRule) -> str:
    head = "\n".join([f"[events.{bare(name)}]", *_members(rule, ("properties",))])
    return "\n\n".join([head, *(_property(name, key, wanted) for key, wanted in sorted(rule.properties.items()))])


def _property(event_type: str, name: str, rule: Property) -> str:
    head = f"[events.{bare(event_type)}.properties.{bare(name)}]"
    return "\n".join([head, f'type = "{rule.type}"', *_members(rule, ("type",))])


def _members(one: Any, skip: tuple[str, ...] = ()) -> Iterator[str]:
    """A line for each field of the dataclass `one` that says something its default does not."""
    for member in dataclasses.fields(one):
        value = getattr(one, member.name)
        if member.name not in skip and value != member.default:
            yield f"{member.name} = {_value(value)}"


def _value(value: object) -> str:
    """The value of a field in TOML."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return literal(value)
