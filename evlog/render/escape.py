"""Text that a terminal shows and does not obey; no data that came in from outside is printed without it."""

from __future__ import annotations

import re

# C0, DEL and C1 controls, line and paragraph separators, every bidirectional control, lone surrogates; and what takes
# no room, so that two values cannot look like one (but joiners and variants, which emoji and scripts need).
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)
_LETTERS = {2: "x", 4: "u", 8: "U"}
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_BYTE_FIRST, _BYTE_LAST = 0xDC80, 0xDCFF  # how Python carries the bytes of a file name that are no UTF-8


def escape(text: str) -> str:
    r"""Return `text` with all that steers a terminal written out: `\x1b`, `\n`, `\u202e`."""
    return _UNSAFE.sub(_written_out, text)


def _written_out(match: re.Match[str]) -> str:
    char = match.group()
    code = ord(char)
    if _BYTE_FIRST <= code <= _BYTE_LAST:
        code -= 0xDC00
    width = next(width for width in (2, 4, 8) if code < 16**width)
    return _NAMED.get(char) or f"\\{_LETTERS[width]}{code:0{width}x}"
