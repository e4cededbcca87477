"""Text that a terminal shows and does not obey; no data that came in from outside is printed without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.event.steering import STEERING

if TYPE_CHECKING:
    import re

_LETTERS = {2: "x", 4: "u", 8: "U"}
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_BYTE_FIRST, _BYTE_LAST = 0xDC80, 0xDCFF  # how Python carries the bytes of a file name that are no UTF-8


def escape(text: str) -> str:
    r"""Return `text` with all that steers a terminal written out: `\x1b`, `\n`, `\u202e`."""
    return STEERING.sub(_written_out, text)


def _written_out(match: re.Match[str]) -> str:
    char = match.group()
    code = ord(char)
    if _BYTE_FIRST <= code <= _BYTE_LAST:
        code -= 0xDC00
    width = next(width for width in (2, 4, 8) if code < 16**width)
    return _NAMED.get(char) or f"\\{_LETTERS[width]}{code:0{width}x}"
