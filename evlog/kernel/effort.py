"""How much may be tried where every set of steps must be (metrics §7.2)."""

from __future__ import annotations

from dataclasses import dataclass

MOST = 1 << 16  # sets of steps at once: they take room
_LEAST = 1 << 22
_EACH = 1 << 6  # what six steps come to where each event leads to all their sets


class TooManyWays(ValueError):
    """There are too many sets of steps to try them all."""


@dataclass(slots=True)
class Effort:
    """How many sets of steps may still be looked at."""

    left: int = _LEAST

    def spend(self, sets: int) -> None:
        """Look at so many more."""
        self.left -= sets
        if self.left < 0 or sets > MOST:
            raise TooManyWays


def allowed(events: int) -> Effort:
    """What may be spent on so many events."""
    return Effort(_LEAST + _EACH * events)
