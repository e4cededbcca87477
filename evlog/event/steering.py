"""Signs that steer a terminal or hide in it: all that is printed is without them."""

from __future__ import annotations

import re

# C0, DEL and C1 controls, line and paragraph separators, every bidirectional control, lone surrogates; and what takes
# no room, so that two values cannot look like one (but joiners and variants, which emoji and scripts need).
STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)
