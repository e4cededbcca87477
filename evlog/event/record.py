"""The canonical line of an event: one field order, sorted keys, the same bytes for the same content.

docs/design.md, "A stored line".
"""

from __future__ import annotations

from typing import Any

import msgspec
import xxhash

IDS = ("event_id", "user_id", "anonymous_id", "session_id", "target_id")
TEXTS = ("category", "target_type", "feature", "source")
COLUMNS = (
    "event_id", "ts", "event_type", "category", "user_id", "anonymous_id", "session_id", "target_type", "target_id",
    "feature", "source", "properties", "context", "received_at", "seq",
)  # fmt: skip
"""The columns of `events`, in the order of the contract (a `date` follows in views)."""

ID_BYTES = 24  # one entry of the id index: 16 bytes of id hash, 8 of content hash


class Line(msgspec.Struct, omit_defaults=True, gc=False):
    """One event as stored, without its `seq`; absent fields are None."""

    event_type: str
    event_id: str
    ts: str
    category: str | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    session_id: str | None = None
    target_type: str | None = None
    target_id: str | None = None
    feature: str | None = None
    source: str | None = None
    properties: dict[str, Any] | None = None
    context: dict[str, Any] | None = None


_encoder = msgspec.json.Encoder(order="deterministic")
encode = _encoder.encode
"""`encode(line) -> bytes`: canonical JSON without newline."""

encode_lines = _encoder.encode_lines
"""`encode_lines(lines) -> bytes`: the canonical JSON of many, each with its newline."""


def entry(event_id: str, content: bytes) -> bytes:
    """The id index entry of an event: hash of its id, then hash of its canonical line up to where `seq` begins."""
    return xxhash.xxh3_128_digest(event_id.encode()) + xxhash.xxh3_64_digest(content[:-1])


def derived_id(content: bytes, ordinal: int) -> str:
    """The id of an event that has none: a hash of its content and how many equal events came before it in its input.

    Two equal events of one input stay apart; the same input again gives the same ids (metrics §13).
    """
    return "d" + xxhash.xxh3_128_hexdigest(content + b"#%d" % ordinal)


def stored(content: bytes, ordinal: int) -> bytes:
    """The canonical line as it stands in a segment: with its place in the batch, and its newline."""
    return b'%b,"seq":%d}\n' % (content[:-1], ordinal)
