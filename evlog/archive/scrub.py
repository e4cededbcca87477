"""What a tombstone takes out of an archived event: all of it where the user was erased, mentions by others else.

A tombstone is a keyed hash, so a mention is found only where a value, or a word of it, is the id. An erasure of today,
which is told the id, finds more: run it again after a restore where that matters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evlog.store.tombstones import Tombstones

_ERASED = "[erased]"
_WORD = re.compile(r'[^\s"{}\[\]:,;()<>]+')
_IDS = ("anonymous_id", "session_id", "target_id")
_LONG = 8  # digits: a shorter number is an id by chance
_MOST = 65_536  # words that are remembered


@dataclass(slots=True)
class Scrub:
    """The tombstones, and what they said of the words seen so far."""

    tombstones: Tombstones
    _known: dict[str, bool] = field(default_factory=dict)

    def left(self, row: dict[str, Any]) -> dict[str, Any] | None:
        """What is left of an event (its JSON opened); None where it is one of an erased user."""
        if not self.tombstones.users:
            return row
        user = row["user_id"] if row["user_id"] is not None else row["anonymous_id"]
        if self._erased(user):
            return None
        told = {name: _ERASED for name in _IDS if self._erased(row[name])}
        return row | told | {name: self._without(row[name]) for name in ("properties", "context")}

    def _without(self, value: Any) -> Any:
        if isinstance(value, str):
            return _ERASED if self._erased(value) else _WORD.sub(self._word, value)
        if isinstance(value, dict):
            return {self._without(key): self._without(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._without(inner) for inner in value]
        if isinstance(value, int) and not isinstance(value, bool):
            return _ERASED if len(str(value)) >= _LONG and self._erased(str(value)) else value
        return value

    def _word(self, found: re.Match[str]) -> str:
        return _ERASED if self._erased(found[0]) else found[0]

    def _erased(self, word: str | None) -> bool:
        if word is None:
            return False
        known = self._known.get(word)
        if known is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            known = self._known[word] = self.tombstones.erased(word)
        return known
