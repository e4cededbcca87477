"""What an erasure makes of one event: nothing, the same under a pseudonym, or the same without a mention."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from evlog.event.record import entry
from evlog.person.mention import ERASED, counts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evlog.person.mention import Mention, Mentions

Event = dict[str, Any]

IDS = ("event_id", "anonymous_id", "session_id", "target_id")
TEXTS = ("event_type", "category", "target_type", "feature", "source")
JSON = ("properties", "context")
COLUMNS = (*IDS, *TEXTS, *JSON)
SAME: Event = {}
"""Stands for an event that nothing is to be done about."""

_OWN = frozenset({"event_id", "anonymous_id", "session_id"})  # where a short id is no chance in their own events
_DERIVED = re.compile(r"d[0-9a-f]{32}")


@dataclass(slots=True)
class Share:
    """What of a file was one person's."""

    removed: int = 0
    renamed: int = 0
    mentions: int = 0


@dataclass(slots=True)
class Outcome:
    """What became of the events of one file."""

    kept: int = 0
    removed: int = 0
    renamed: int = 0  # events of the person that bear a pseudonym now
    mentions: int = 0  # events of others that spoke of them
    shares: dict[int, Share] = field(default_factory=lambda: defaultdict(Share))  # by the number of the person
    gone: list[str] = field(default_factory=list)  # event ids whose entry in the index goes
    new: list[bytes] = field(default_factory=list)  # entries that come into it
    former: list[str] = field(default_factory=list)  # event ids of others that spoke of them, as they were
    moved: bool = False  # whether an event has another user now

    @property
    def changed(self) -> bool:
        """Whether the file is another now."""
        return bool(self.removed or self.renamed or self.mentions)


@dataclass(frozen=True, slots=True)
class Retelling:
    """Who goes, and how: `owners` says which person each id is, `hashed` is the keyed hash of a text."""

    owners: Mapping[str, int]
    hashed: Callable[[str], str]
    anonymise: bool = False
    shared: Mapping[str, int] = field(default_factory=dict)  # ids that others used too: renamed, never gone

    def event(self, event: Event, near: Mentions, out: Outcome) -> Event | None:
        """What is left of an event: `SAME` of one that does not speak of anybody, None of one that goes."""
        user = event.get("user_id")
        who = user if user is not None else event.get("anonymous_id")
        owner = self.owners.get(who) if who is not None else None
        if owner is not None and not self.anonymise:
            out.removed += 1
            out.shares[owner].removed += 1
            out.gone.append(event["event_id"])
            return None
        return self._told(event, near, out) if owner is None else self._own(event, near, owner, out)

    def _told(self, event: Event, near: Mentions, out: Outcome) -> Event:
        """Somebody else's event, without the mentions."""
        told, persons = event, set()
        for one in near.each:
            changed = self._without(told, one, own=False)
            if changed is not told:
                told = changed
                persons.add(self.owners.get(one.user, self.shared.get(one.user, 0)))
        if not persons:
            return SAME
        if told["event_id"] != event["event_id"]:
            told["event_id"] += f".{self.hashed(event['event_id'])}"  # two ids may not become one
            self._reindexed(event, told, b"", out)
            out.former.append(event["event_id"])
        out.moved |= told.get("user_id") != event.get("user_id")
        out.mentions += 1
        for person in persons:
            out.shares[person].mentions += 1
        return told

    def _own(self, event: Event, near: Mentions, owner: int, out: Outcome) -> Event:
        """The person's own event under pseudonyms.

        Its entry in the index says nothing of what it was: that would tell a guess that is right from a wrong one. It
        need not, since the event cannot come again. An id that was made of what the event says is made anew.
        """
        told = dict(event)
        for one in near.each:
            told = self._without(told, one, own=True)
        if _DERIVED.fullmatch(told["event_id"]):
            told["event_id"] = f"d{os.urandom(16).hex()}"
        self._reindexed(event, told, os.urandom(16), out)
        out.moved |= told.get("user_id") != event.get("user_id")
        out.renamed += 1
        out.shares[owner].renamed += 1
        return told

    def _reindexed(self, event: Event, told: Event, content: bytes, out: Outcome) -> None:
        out.gone.append(event["event_id"])
        out.new.append(entry(told["event_id"], content))

    def _without(self, event: Event, mention: Mention, *, own: bool) -> Event:
        """The event with what stands in place of one id; the very same where it does not speak of it."""
        held = [name for name in COLUMNS if event.get(name) is not None]
        if not own:
            held = [name for name in held if counts(mention, name, event)]
        else:
            held = [name for name in held if name in _OWN or counts(mention, name, event)]
        told = {name: _value(mention, name, event[name]) for name in held}
        if "event_id" in told and not own:  # with its hash beside it a pseudonym could be guessed
            told["event_id"] = replace(mention, instead=ERASED).unnamed(event["event_id"])
        if self.anonymise:
            told |= {name: mention.renamed(told[name]) for name in JSON if name in told}
            if event.get("user_id") == mention.user:
                told["user_id"] = mention.instead
        return event if all(event[name] == value for name, value in told.items()) else event | told


def _value(mention: Mention, name: str, value: Any) -> Any:
    return mention.unnamed(value) if name in IDS else mention.without(value)
