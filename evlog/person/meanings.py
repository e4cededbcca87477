"""What the columns of an export mean, and what the plan says of event types and properties; for machines and people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evlog.event.validator import expectation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from evlog.event.plan import EventRule, Plan

COLUMNS: dict[str, tuple[str, str]] = {
    "event_id": ("text", "What tells this event from every other; a retry brings the same one."),
    "ts": ("instant", "When it happened, in UTC."),
    "event_type": ("text", "What happened."),
    "category": ("text", "The group that the type of event belongs to."),
    "user_id": ("text", "The account under which it happened; empty if nobody was signed in."),
    "anonymous_id": ("text", "The device or browser on which it happened."),
    "session_id": ("text", "The visit in which it happened, as the application counts visits."),
    "target_type": ("text", "The kind of thing it was done to."),
    "target_id": ("text", "Which thing it was done to."),
    "feature": ("text", "The part of the product in which it happened."),
    "source": ("text", "The system that reported it."),
    "properties": ("JSON", "What else was said of the event; see the event types."),
    "context": ("JSON", "What was said of its surroundings: device, platform, version, consent."),
    "received_at": ("instant", "When it reached this store, in UTC."),
    "seq": ("integer", "Its place in the order of arrival."),
    "date": ("date", "The UTC day it happened on."),
}


def machine(plan: Plan | None) -> dict[str, Any]:
    """The meaning of every column, and of what the plan names, as JSON has it."""
    columns = {name: {"type": kind, "meaning": says} for name, (kind, says) in COLUMNS.items()}
    events = plan.events if plan is not None else {}
    return {
        "columns": columns,
        "event_types": {name: _event(plan, name, rule) for name, rule in sorted(events.items())},
    }


def _event(plan: Plan | None, name: str, rule: EventRule) -> dict[str, Any]:
    properties = {
        key: {"type": wanted.type, "expected": expectation(wanted), "meaning": wanted.description}
        for key, wanted in sorted(rule.properties.items())
    }
    purpose = plan.purpose_of(name) if plan is not None else None
    return {"meaning": rule.description, "category": rule.category, "purpose": purpose, "properties": properties}


def readable(told: Mapping[str, Any], files: Mapping[str, str]) -> str:
    """The same in Markdown, under a list of the files (name → what is in it)."""
    return "\n".join([*_head(files), *_columns(told["columns"]), *_events(told["event_types"])]) + "\n"


def _head(files: Mapping[str, str]) -> Iterator[str]:
    yield from ("# What is in these files", "")
    yield from _table(("file", "holds"), files.items())
    yield from ("", "`sha256sum -c` with the file of checksums shows that none of them was changed.", "")


def _columns(columns: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## Columns of an event", "")
    yield from _table(("column", "type", "meaning"), ((name, c["type"], c["meaning"]) for name, c in columns.items()))


def _events(events: Mapping[str, Any]) -> Iterator[str]:
    if events:
        yield from ("", "## Event types", "")
        rows = ((name, e["category"] or "", e["purpose"], e["meaning"]) for name, e in events.items())
        yield from _table(("event type", "category", "collected for", "meaning"), rows)
    for name, event in events.items():
        if event["properties"]:
            yield from ("", f"### Properties of {_cell(name)}", "")
            known = ((key, p["expected"], p["meaning"]) for key, p in event["properties"].items())
            yield from _table(("property", "is", "meaning"), known)


def _table(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(map(_cell, row))} |" for row in rows)


def _cell(value: object) -> str:
    return str(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
