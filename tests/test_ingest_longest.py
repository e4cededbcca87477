"""Whatever is stored can be read back: the longest line that is let in, and the one that grows too long."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import feed
from feed import quick

from evlog.person import export

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["quick"]

RULES = replace(feed.OPEN, max_line=8 << 20)


def test_the_longest_line_is_read_back(tmp_path: Path) -> None:
    store = feed.new_store(tmp_path / "s")
    text = "x" * ((8 << 20) - 300)
    log = feed.written(tmp_path / "log.ndjson", feed.line(properties={"text": text}), feed.line(event_id="e2"))
    assert feed.feed(store, log, rules=RULES).tally.stored == 2
    told = export.export(store, "ann").rows
    assert [(row[0], len(row[11] or "")) for row in told] == [("e1", len(text) + len('{"text":""}')), ("e2", 0)]


def test_a_line_that_grows_too_long_is_refused(tmp_path: Path) -> None:
    """1e15 is written out when it is made canonical: four bytes become eighteen."""
    store = feed.new_store(tmp_path / "s")
    grows = b'{"event_id":"e1","ts":"2026-03-01T10:00:00Z","type":"view","properties":{"all":[%s]}}'
    log = feed.written(tmp_path / "log.ndjson", grows % b",".join([b"1e15"] * 700_000), feed.line(event_id="e2"))
    told = feed.feed(store, log, rules=RULES).tally
    assert (told.read, told.stored, dict(told.reasons)) == (2, 1, {"line_too_long": 1})
    assert feed.ids(store) == ["e2"]
