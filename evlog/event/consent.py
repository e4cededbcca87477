"""Consent as events tell it: to everything or to one purpose, and the event by which a user changes their mind.

A statement is a purpose and a yes or no. It stands in `privacy` or `consent` (of the event, or of the envelope around
it), in a field such as `consent_given`, or in a CSV column such as `consent.marketing`. A refusal anywhere wins.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from evlog.event.reject import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Said = tuple[tuple[str, bool], ...]

UPDATE = "user_consent_update"
"""The event type by which a user gives or takes back consent; what it says holds from then on."""

EVERYTHING = ""
"""What a statement is about that names no purpose."""

PURPOSES = ("analytics", "personalisation", "marketing")
"""The purposes that are known where the plan names none; the first is that of event types that name none."""

WORDS = ("consent_given", "consentGiven", "consent", "given", "granted", "privacy", "purposes")
"""Names under which consent is given or refused as a whole; no purpose can have one of them."""

_WHOLE = ("privacy", "consent", "consent_given", "consentGiven")
_COLUMNS = tuple(
    f"{head}.{name}{tail}"
    for head in ("consent", "privacy")
    for name in (*PURPOSES, "personalization")
    for tail in ("", "_storage")
)
FIELDS = (*_WHOLE, "privacy.consent_given", "privacy.consentGiven", "privacy.consent", *_COLUMNS)
"""The fields of an event, and the columns of CSV, that speak of consent."""

_FIELDS = frozenset(FIELDS)
_OTHERWISE = {"ad": "marketing"}  # ad_storage is what tag managers call it
_REFUSED = frozenset({"false", "no", "n", "off", "0", "0.0", "denied", "declined", "refused", "revoked", "withdrawn"})
_GIVEN = frozenset({"true", "yes", "y", "on", "1", "1.0", "granted", "accepted", "given"})


@lru_cache(maxsize=1024)
def purpose(name: str) -> str:
    """The purpose that a name means, however it is spelt: `personalization_storage` is personalisation."""
    told = name.strip().lower()
    bare = told.removesuffix("_storage")
    return (_OTHERWISE.get(bare, bare) if bare != told else told).replace("personaliz", "personalis")


def shared(envelope: Any) -> dict[str, Any]:
    """What an envelope says of consent for all events in it."""
    return {key: envelope[key] for key in envelope.keys() & _FIELDS} if isinstance(envelope, dict) else {}


def statements(event: Any) -> Said:
    """Every statement of an event (or of an envelope), with the purpose it is about."""
    return tuple(said for key, value in shared(event).items() for said in _spoken(value, _about(key)))


def answers(properties: dict[str, Any]) -> Said:
    """Every statement in the properties of a consent event."""
    return tuple(_spoken(properties, EVERYTHING))


def verdict(said: Iterable[tuple[str, bool]], about: str) -> bool | None:
    """Whether the purpose `about` was agreed to: True, False, or None where nothing is said of it."""
    name = purpose(about)
    found = {value for named, value in said if named in {EVERYTHING, name}}
    return False if False in found else (True if True in found else None)


def given(event: Any, about: str = PURPOSES[0]) -> bool | None:
    """Whether the event says that its user agreed to a purpose: True, False, or None where it does not say."""
    return verdict(statements(event), about)


def _about(key: str) -> str:
    tail = key.rpartition(".")[2]
    return EVERYTHING if tail in WORDS else purpose(tail)


def _spoken(value: Any, about: str) -> Iterator[tuple[str, bool]]:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = _object(value)
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in WORDS:
                yield from _spoken(inner, about)
            elif about == EVERYTHING:
                yield from _spoken(inner, purpose(key))
        return
    word = str(value).strip().lower() if isinstance(value, str | int | float) else ""
    if word in _REFUSED or word in _GIVEN:
        yield about, word in _GIVEN


def _object(text: str) -> Any:
    """The object in `text`, or `text` itself where there is none."""
    try:
        from evlog.event import decode  # msgspec: 5 ms that a plan does not need

        return decode.load(text.encode())
    except Rejected:
        return text
