"""From anybody's field names to ours: aliases, nested objects, consent; nothing a line says is lost.

The five shapes evlog reads without being told are documented in docs/events.md. The canonical name wins, then the order
of `ALIASES`; a field that loses to another goes into `properties`, and is counted as a conflict if it said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from evlog.event import decode
from evlog.event.reject import Problem, Rejected, shown

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

CONTEXT = ("context", "client_info", "clientInfo")
TARGETS = (("lessonId", "lesson"), ("lesson_id", "lesson"), ("moduleId", "module"), ("module_id", "module"),
           ("courseId", "course"), ("course_id", "course"))  # fmt: skip
"""Fields that name a target where `target_id` does not: the most specific one wins; all stay properties too."""

OURS = frozenset({"received_at", "seq", "user_key"})
"""What evlog adds itself: dropped when it comes back with an export."""

_CONSENT = ("consent_given", "consentGiven", "consent", "analytics", "analytics_storage", "given")
_PRIVACY = ("privacy", "consent", "consent_given", "consentGiven")
_REFUSED = frozenset({"false", "no", "0", "denied", "refused", "withdrawn"})
_GIVEN = frozenset({"true", "yes", "1", "granted", "given"})


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


def consent(event: dict[str, Any]) -> bool | None:
    """Whether the event says that its user agreed to analytics: True, False, or None where it does not say.

    A refusal anywhere wins.
    """
    said = [verdict for key in _PRIVACY if key in event for verdict in _verdicts(event[key])]
    return False if False in said else (True if True in said else None)


def _verdicts(value: Any) -> list[bool | None]:
    if isinstance(value, dict):
        return [verdict for key in _CONSENT if key in value for verdict in _verdicts(value[key])]
    word = str(value).strip().lower()
    return [False if word in _REFUSED else (True if word in _GIVEN else None)]


def resolve(event: dict[str, Any], mapping: tuple[tuple[str, tuple[str, ...]], ...] = ()) -> Draft:
    """The draft of an event; `mapping` (canonical field, path) goes before every alias. Rejected if it cannot be read."""
    mapped: dict[str, Any] = {}
    if mapping:
        event = dict(event)
        mapped = {name: value for name, path in mapping if (value := _taken(event, path)) is not None}
    shape = _shape(tuple(event))
    draft = Draft(mapped, {}, {})
    losers = _pick(event, shape, draft)
    for key in shape.properties:
        _merge(draft, draft.properties, key, event[key])
    _from_metadata(draft)
    for key in shape.context:
        _merge(draft, draft.context, key, event[key])
    for key in _PRIVACY:
        if event.get(key) is not None:
            draft.context.setdefault(key, event[key])
    for key in (*shape.extras, *losers):
        _add(draft, draft.properties, key, event[key])
    for name in [name for name in mapped if "." in name]:
        _put(draft, name, mapped.pop(name))
    _target(event, shape, draft)
    return draft


@lru_cache(maxsize=4096)
def _shape(keys: tuple[str, ...]) -> Shape:
    there = set(keys)
    picks = tuple((name, found) for name, names in ALIASES.items() if (found := tuple(n for n in names if n in there)))
    properties = tuple(key for key in PROPERTIES if key in there)
    context = tuple(key for key in CONTEXT if key in there)
    known = {key for _, names in picks for key in names} | {*properties, *context, *OURS, *_PRIVACY}
    if there >= OURS - {"user_key"}:
        known.add("date")  # an export of ours, coming back
    extras = tuple(key for key in keys if key not in known)
    return Shape(picks, properties, context, extras, tuple((key, kind) for key, kind in TARGETS if key in there))


def _pick(event: dict[str, Any], shape: Shape, draft: Draft) -> list[str]:
    """Fill the draft's values; the keys that lost and say something else."""
    losers = []
    for name, keys in shape.picks:
        for key in keys:
            value = event[key]
            if value is None:
                continue
            if key != name and isinstance(value, dict | list):
                losers.append(key)  # `user: {…}` is no user id; it is a property
            elif name not in draft.values:
                draft.values[name] = value
            elif value != draft.values[name]:
                draft.conflicts += 1
                losers.append(key)
    return losers


def _merge(draft: Draft, into: dict[str, Any], key: str, value: Any) -> None:
    """Merge the object `value` (or the object in the string `value`) into properties or context."""
    if value is None or value == "":
        return
    if isinstance(value, str):
        value = _inner(key, value)
    if not isinstance(value, dict):
        if key in {"properties", "context", "event_data"}:
            raise Rejected(Problem("bad_property", key, "an object, or a string that holds one", shown(value)))
        value = {key: value}  # `data: 5` is a property called data
    for name, member in value.items():
        _add(draft, into, name, member)


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
    elif into[key] != value:
        draft.conflicts += 1
        kept = draft.context.setdefault("conflicts", {})
        if isinstance(kept, dict):
            kept.setdefault(key, value)


def _from_metadata(draft: Draft) -> None:
    """`metadata.anonymousId` is the anonymous id where the event has none of its own."""
    for key in ("anonymousId", "anonymous_id"):
        value = draft.properties.get(key)
        if isinstance(value, str | int) and "anonymous_id" not in draft.values:
            draft.values["anonymous_id"] = draft.properties.pop(key)


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
