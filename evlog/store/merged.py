"""A line of one segment as it stands in another that several became: what the name of its own said, it says itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evlog.store.layout import SEQ_BITS

if TYPE_CHECKING:
    from evlog.store.layout import SegmentName

_RELATIVE = rb',"seq":(\d+)\}\n'  # the end of a line whose `seq` counts from its batch


def absolute(raw: bytes, name: SegmentName) -> bytes:
    """The lines of a segment with their `seq` in the store and their `received_at`."""
    base = name.batch << SEQ_BITS
    received = name.received_at.isoformat(timespec="microseconds").encode()

    def whole(found: re.Match[bytes]) -> bytes:
        return b',"seq":%d,"received_at":"%bZ"}\n' % (base + int(found[1]), received)

    return re.sub(_RELATIVE, whole, raw)
