"""What a line that could not be read still says: that its user refused, or the id of somebody who was erased.

Such a line is not kept. Where in doubt it counts as saying so: keeping too little is the lesser harm.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

REACH = 512
"""How far what tells a refusal may stretch: who reads a line in pieces lets them overlap by so many bytes."""

_KEY = r"(?:privacy\.)?consent(?:_given|Given)?|privacy|(?:consent\.)?analytics(?:_storage)?"
_NO = r'(?:false|0(?:\.0)?)\b|"\s*(?:false|no?|off|0|denied|declined|refused|revoked|withdrawn)\s*"'
_MEMBER = r"given|granted|(?:analytics|marketing|personali[sz]ation|ad)(?:_storage)?"
_INNER = rf'"(?:consent|privacy)"\s*:\s*\{{[^{{}}]{{0,200}}"(?:{_MEMBER})"'
_REFUSAL = re.compile(rf'(?:"(?:{_KEY})"|{_INNER})\s*:\s*(?:{_NO})', re.IGNORECASE)
_NUMBER = re.compile(r"-?\d{1,20}")
_ESCAPE = re.compile(r'\\+(?:u([0-9a-fA-F]{4})|(["/\\]))')
_LONGEST = 256


def refuses(raw: bytes) -> bool:
    """Whether `raw` speaks of refused consent, in itself or in JSON inside its texts."""
    return any(_REFUSAL.search(text) for text in _readings(raw))


def names(raw: bytes) -> Iterator[str]:
    """Everything in `raw` that may be an id: whatever stands between two quotes, and every number."""
    for text in _readings(raw):
        yield from (piece for piece in text.split('"') if 0 < len(piece) <= _LONGEST)
        yield from _NUMBER.findall(text)


def _readings(raw: bytes) -> Iterator[str]:
    """`raw` as text, and once more with its escapes undone, however often they were escaped."""
    text = raw.decode(errors="replace")
    yield text
    if "\\" in text:
        yield _ESCAPE.sub(_unescaped, text)


def _unescaped(match: re.Match[str]) -> str:
    code, sign = match.groups()
    return chr(int(code, 16)) if code else str(sign)
