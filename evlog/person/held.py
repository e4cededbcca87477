"""What the store holds of a person beside their events: ids, links, words of consent, refused lines, counted values."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evlog.event import decode, fields
from evlog.event.reject import Rejected
from evlog.person import closure, mention
from evlog.store import links, quarantine, rollups, tombstones

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evlog.person.closure import Closure
    from evlog.store.layout import Store

_FIELD = r'\\*"(?:{})\\*"\s*:\s*(?:\\*"([^"\\]{{1,256}})|(-?\d{{1,20}}))'
_USERS, _DEVICES = (re.compile(_FIELD.format("|".join(fields.ALIASES[name]))) for name in ("user_id", "anonymous_id"))
"""A field of users, or of anonymous ids, and the id in it, in a line that cannot be read."""

_SAID_OF_A_LINE = ("received_at", "code", "problems", "line", "raw", "raw_base64")


@dataclass(frozen=True, slots=True)
class Held:
    """What is held of one person beside their events, ready to be written as JSON."""

    whole: Closure
    links: tuple[dict[str, Any], ...]
    consent: tuple[dict[str, Any], ...]
    refused: tuple[dict[str, Any], ...]  # lines in quarantine that are theirs
    withheld: int  # lines in quarantine that speak of them, but are others' as well, or perhaps
    counted: tuple[dict[str, Any], ...]  # records of rollups that name them

    def told(self) -> dict[str, Any]:
        """All of it but the refused lines, which are a file of their own."""
        whole = self.whole
        return {
            "asked_for": whole.named,
            "person": whole.person,
            "ids": list(whole.ids),
            "shared_ids": list(whole.shared),
            "links": list(self.links),
            "consent": list(self.consent),
            "quarantined_lines": len(self.refused),
            "quarantined_lines_withheld": self.withheld,
            "rollup_values": list(self.counted),
        }


def of(store: Store, user: str) -> Held:
    """What the store holds of `user`, and of every id that means the same person, beside their events."""
    whole = closure.of(store, user)
    refused, withheld = _refused(store, whole)
    return Held(
        whole, tuple(_links(store, whole)), tuple(_consent(store, whole)), refused, withheld,
        tuple(_counted(store, whole)),
    )  # fmt: skip


def _links(store: Store, whole: Closure) -> Iterator[dict[str, Any]]:
    """What people said of these ids; who said it is not the person's to know."""
    ids = set(whole.ids)
    for file in links.files(store):
        with suppress(FileNotFoundError):
            for line in file.read():
                if line.source in ids or line.target in ids:
                    yield {"from": line.source, "to": line.target, "at": f"{line.at.isoformat()}Z"}


def _consent(store: Store, whole: Closure) -> Iterator[dict[str, Any]]:
    known = tombstones.load(store)
    for one in whole.ids:
        for purpose, word in sorted(known.suppressed.words.get(known.subject(one), {}).items()):
            yield {"id": one, "purpose": purpose or "everything", "at": word.at, "refused": word.refused}


def _counted(store: Store, whole: Closure) -> Iterator[dict[str, Any]]:
    mentions = mention.of(whole.ids)
    for path in rollups.files(store).values():
        with suppress(FileNotFoundError):
            period, sections = rollups.read(path)
            for section in sections.values():
                for one in section.records:
                    if one.of and _names(one.of, mentions):
                        body = {
                            "grain": period.grain,
                            "first": period.first.isoformat(),
                            "last": period.last.isoformat(),
                        }
                        told = {"metric": one.metric, "dimension": one.dimension, "of": one.of, "value": one.value}
                        yield {**body, "tz": period.tz, **told, **({"hour": one.hour} if one.hour else {})}


def _names(value: str, mentions: mention.Mentions) -> bool:
    """Whether the value of a dimension, or one of several in a JSON list, names one of the ids."""
    try:
        listed = json.loads(value) if value.startswith("[") else [value]
    except ValueError:
        listed = [value]
    return any(isinstance(one, str) and mentions.named(one) for one in listed)


def _refused(store: Store, whole: Closure) -> tuple[tuple[dict[str, Any], ...], int]:
    """The lines in quarantine that are theirs, and how many speak of them without being theirs alone."""
    ids, mentions = set(whole.ids), mention.of(whole.ids)
    found, withheld = [], 0
    for line in quarantine.rejects(store):
        if _theirs(line.raw, ids):
            found.append({key: line.body[key] for key in _SAID_OF_A_LINE if key in line.body})
        else:
            withheld += mentions.in_line(line.raw)
    return tuple(found), withheld


def _theirs(raw: bytes, ids: set[str]) -> bool:
    """Whether a line is about these ids, and about nobody else."""
    owners = _owners(raw)
    return bool(owners) and owners <= ids


def _owners(raw: bytes) -> set[str]:
    """Whose a line is: the user of each event in it, or its anonymous id where it has no user."""
    try:
        value = decode.load(raw)
        events = value if isinstance(value, list) else value.get("events", [value]) if isinstance(value, dict) else []
        drafts = [fields.resolve(one).values for one in events if isinstance(one, dict)]
    except (Rejected, TypeError):
        text = raw.decode(errors="replace")
        return {word or number for word, number in _USERS.findall(text) or _DEVICES.findall(text)}
    return {str(draft.get("user_id") or draft.get("anonymous_id") or "") for draft in drafts} - {""}
