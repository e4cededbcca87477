"""Where an id is spoken of: found in any string of any value, and taken out of it.

An id of eight bytes and more is a mention wherever it occurs. A shorter one counts as a whole value or a whole word, a
short number only as a whole value: `42` inside `1942` or `item 42` is nobody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

ERASED = "[erased]"
_LONG = 8


@dataclass(frozen=True)
class Mention:
    """The ways in which one id can be spoken of."""

    user: str

    @cached_property
    def needle(self) -> str:
        """The id as it stands inside a JSON string: what a raw search looks for before anything is parsed."""
        return msgspec.json.encode(self.user).decode()[1:-1]

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What counts as a mention inside a text."""
        told = re.escape(self.user)
        if len(self.user.encode()) >= _LONG:
            return re.compile(told)
        if self.user.isdigit():
            return re.compile(rf"\A{told}\Z")
        return re.compile(rf"(?<![\w-]){told}(?![\w-])")

    def within(self, raw: bytes) -> bool:
        """Whether raw JSON may speak of the id; cheap, and never wrong when it says no."""
        return self.needle.encode() in raw or b"\\u" in raw

    def spoken(self, value: Any) -> bool:
        """Whether any string in `value`, keys included, speaks of the id."""
        if isinstance(value, str):
            return self.pattern.search(value) is not None
        if isinstance(value, dict):
            return any(self.spoken(key) or self.spoken(inner) for key, inner in value.items())
        return isinstance(value, list | tuple) and any(map(self.spoken, value))

    def without(self, value: Any) -> Any:
        """`value` with `[erased]` in place of every mention."""
        if isinstance(value, str):
            return self.pattern.sub(ERASED, value)
        if isinstance(value, dict):
            return {self.without(key): self.without(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.without(inner) for inner in value]
        return value
