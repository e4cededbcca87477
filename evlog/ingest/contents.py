"""How often each content without an id came in a run: its ordinal keeps equal events apart (metrics §13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evlog.event.record import entry
from evlog.store import ids

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]

_PIECES = 8


class Contents:
    """Counts of contents, as sorted arrays of 64-bit hashes that are merged now and then: eight bytes an event."""

    def __init__(self) -> None:
        self._seen: list[Hashes] = []
        self.news = np.empty(0, np.uint64)  # what the last call added

    def ordinals(self, contents: list[bytes]) -> list[int]:
        """For each content, how many equal ones came before it in this run; they count from now on."""
        keys = ids.entries(b"".join(entry("", content) for content in contents)).content
        order = np.argsort(keys, kind="stable")
        arranged = keys[order]
        before = np.arange(len(keys)) - np.searchsorted(arranged, arranged)
        for old in self._seen:
            before += np.searchsorted(old, arranged, "right") - np.searchsorted(old, arranged)
        self.learn(arranged)
        found = np.empty(len(keys), np.int64)
        found[order] = before
        numbers: list[int] = found.tolist()
        return numbers

    def learn(self, arranged: Hashes) -> None:
        """Count contents (sorted hashes), perhaps of another process of this run."""
        self.news = arranged
        if len(self._seen) >= _PIECES:
            self._seen = [np.sort(np.concatenate(self._seen))]
        if len(arranged):
            self._seen.append(arranged)

    def forget(self) -> None:
        """Take back what was learned last: its events must be judged again."""
        if len(self.news):
            self._seen.pop()
        self.news = self.news[:0]
