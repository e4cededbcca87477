"""From anybody's field names to ours: aliases, nested objects, consent; nothing a line says is lost.

The five shapes evlog reads without being told are documented in docs/events.md. The canonical name wins, then the order
of `ALIASES`; a field that loses to another goes into `properties`, and is counted as a conflict if it said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from evlog.event import decode
from evlog.event.consent import FIELDS as PRIVACY
from evlog.event.consent import given as consent
from evlog.event.consent import shared
from evlog.event.record import COLUMNS, encode
from evlog.event.reject import Problem, Rejected, shown

__all__ = ("ALIASES", "PROPERTIES", "Draft", "consent", "resolve", "shared")

ALIASES: dict[str, tuple[str, ...]] = {
    "event_type": ("event_type", "eventType", "event_name", "eventName", "event", "type"),
    "event_id": ("event_id", "eventId", "id", "uuid", "message_id", "messageId", "insert_id"),
    "ts": (
        "ts", "timestamp", "created_at", "createdAt", "time", "event_time", "eventTime", "occurred_at", "occurredAt",
        "datetime", "@timestamp",
    ),
    "category": ("category", "event_category", "eventCategory"),
    "user_id": ("user_id", "userId", "uid", "user", "distinct_id"),
    "anonymous_id": ("anonymous_id", "anonymousId", "anon_id", "anonId"),
    "session_id": ("session_id", "sessionId", "session"),
    "target_type": ("target_type", "targetType"),
    "target_id": ("target_id", "targetId"),
    "feature": ("feature",),
    "source": ("source",),
}  # fmt: skip
PROPERTIES = ("properties", "event_data", "eventData", "event_properties", "props", "data", "metadata", "payload")
"""Objects (or strings that hold one) whose members become properties; the first to name a key wins."""

ANONYMOUS = ("anonymousId", "anonymous_id")
"""Members of these objects (but `properties`) that are the anonymous id, where the event has none of its own."""

CONTEXT = ("context", "client_info", "clientInfo")
TARGETS = (("lessonId", "lesson"), ("lesson_id", "lesson"), ("moduleId", "module"), ("module_id", "module"),
           ("courseId", "course"), ("course_id", "course"))  # fmt: skip
"""Fields that name a target where `target_id` does not: the most specific one wins; all stay properties too."""

OURS = frozenset({"received_at", "seq", "date", "user_key"})
"""What evlog adds itself: dropped when it comes back with an export, where nothing but columns of `events` stands."""

_COLUMNS = frozenset(COLUMNS) | OURS
_SAY_SOMETHING = frozenset({"event_id", "ts"})  # an empty one is wrong; any other empty field is absent


@dataclass(slots=True)
class Draft:
    """An event under its canonical names, not yet checked."""

    values: dict[str, Any]
    properties: dict[str, Any]
    context: dict[str, Any]
    conflicts: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """Which key of an object serves as what; worked out once for each set of keys."""

    picks: tuple[tuple[str, tuple[str, ...]], ...]
    properties: tuple[str, ...]
    context: tuple[str, ...]
    extras: tuple[str, ...]
    targets: tuple[tuple[str, str], ...]
    privacy: tuple[str, ...]


def resolve(event: dict[str, Any], mapping: tuple[tuple[str, tuple[str, ...]], ...] = ()) -> Draft:
    """The draft of an event; `mapping` (canonical field, path) goes before every alias. Rejected if there is none."""
    mapped: dict[str, Any] = {}
    if mapping:
        event = dict(event)
        mapped = {name: value for name, path in mapping if (value := _taken(event, path)) is not None}
    shape = roles(tuple(event))
    draft = Draft(mapped, {}, {})
    losers = _pick(event, shape, draft)
    for key in shape.properties:
        _merge(draft, draft.properties, key, event[key])
    for key in shape.context:
        _merge(draft, draft.context, key, event[key])
    for key in shape.privacy:
        if event[key] is not None:
            draft.context.setdefault(key, event[key])
    for key in (*shape.extras, *losers):
        _add(draft, draft.properties, key, event[key])
    for name in [name for name in mapped if "." in name]:
        _put(draft, name, mapped.pop(name))
    _target(event, shape, draft)
    return draft


def naming(keys: tuple[str, ...]) -> dict[str, str] | None:
    """The name that each field has in an event with these keys, where they name fields and there is no more to it.

    None where a field has two names, a key becomes a property, or consent is spoken of.
    """
    shape = roles(keys)
    listed = [*shape.picks, ("properties", shape.properties), ("context", shape.context)]
    if any(len(names) > 1 for _, names in listed) or shape.extras or shape.targets or shape.privacy:
        return None
    return {field: names[0] for field, names in listed if names}


@lru_cache(maxsize=4096)
def roles(keys: tuple[str, ...]) -> Shape:
    """What each key of an object serves as."""
    there = set(keys)
    picks = tuple((name, found) for name, names in ALIASES.items() if (found := tuple(n for n in names if n in there)))
    properties = tuple(key for key in PROPERTIES if key in there)
    context = tuple(key for key in CONTEXT if key in there)
    known = {key for _, names in picks for key in names} | {*properties, *context, *PRIVACY}
    if there <= _COLUMNS:
        known |= OURS
    extras = tuple(key for key in keys if key not in known)
    targets = tuple((key, kind) for key, kind in TARGETS if key in there)
    return Shape(picks, properties, context, extras, targets, tuple(key for key in PRIVACY if key in there))


def _pick(event: dict[str, Any], shape: Shape, draft: Draft) -> list[str]:
    """Fill the draft's values; the keys that lost and say something else."""
    losers = []
    for name, keys in shape.picks:
        for key in keys:
            value = event[key]
            if value is None or (value == "" and name not in _SAY_SOMETHING):
                continue
            if key != name and isinstance(value, dict | list):
                losers.append(key)  # `user: {…}` is no user id; it is a property
            elif name not in draft.values:
                draft.values[name] = value
            elif str(value) != str(draft.values[name]):
                draft.conflicts += 1
                losers.append(key)
    return losers


def _merge(draft: Draft, into: dict[str, Any], key: str, value: Any) -> None:
    """Merge the object `value` (or the object in the string `value`) into properties or context."""
    if value in (None, "", []):
        return
    if isinstance(value, str):
        value = _inner(key, value)
    if not isinstance(value, dict):
        if key in {"properties", "context", "event_data"}:
            raise Rejected(Problem("bad_property", key, "an object, or a string that holds one", shown(value)))
        value = {key: value}  # `data: 5` is a property called data
    for name, member in value.items():
        nameless = name in ANONYMOUS and into is draft.properties and "anonymous_id" not in draft.values
        if nameless and key != "properties" and _is_id(member):
            draft.values["anonymous_id"] = member
        else:
            _add(draft, into, name, member)


def _is_id(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""


def _inner(key: str, text: str) -> Any:
    stripped = text.strip()
    if not stripped.startswith("{"):
        return text if stripped not in {"null", ""} else {}
    try:
        return decode.load(stripped.encode())
    except Rejected as refused:
        if refused.code != "bad_json":
            raise
        raise Rejected(Problem("bad_property", key, "an object, or a string that holds one", shown(text))) from refused


def _add(draft: Draft, into: dict[str, Any], key: str, value: Any) -> None:
    if key not in into:
        into[key] = value
    elif into[key] != value or encode(into[key]) != encode(value):  # true is not 1, and 1 not 1.0
        draft.conflicts += 1
        kept = draft.context.setdefault("conflicts", {})
        if isinstance(kept, dict):
            kept.setdefault(key, value)


def _target(event: dict[str, Any], shape: Shape, draft: Draft) -> None:
    if draft.values.get("target_id") is None and draft.values.get("target_type") is None:
        for key, kind in shape.targets:
            if event[key] not in (None, ""):
                draft.values |= {"target_type": kind, "target_id": event[key]}
                return


def _taken(event: dict[str, Any], path: tuple[str, ...]) -> Any:
    """The value at `path`, taken out of the event; None where there is none."""
    *parents, last = path
    here: Any = event
    for key in parents:
        inner = here.get(key) if isinstance(here, dict) else None
        if isinstance(inner, str) and inner.lstrip().startswith("{"):
            inner = _inner(key, inner)
        if not isinstance(inner, dict):
            return None
        here[key] = inner = dict(inner)  # the caller's objects stay as they were
        here = inner
    return here.pop(last, None) if isinstance(here, dict) else None


def _put(draft: Draft, name: str, value: Any) -> None:
    root, *path = name.split(".")
    here = draft.properties if root == "properties" else draft.context
    for key in path[:-1]:
        inner = here.setdefault(key, {})
        here = inner if isinstance(inner, dict) else here
    here[path[-1]] = value
