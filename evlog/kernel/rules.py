"""What makes a chain of events an attempt at a funnel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Ties = Literal["step", "strict", "seq"]
"""step: events of one instant in the order that helps; strict: each step strictly later; seq: as they arrived."""

Attribution = Literal["first", "last"]
"""The first or the last value along the chain that is not absent (metrics §7.11)."""


FOREVER = 1 << 62  # microseconds: longer than any log, and no sum with an instant overflows


@dataclass(frozen=True, slots=True)
class Rules:
    """The number of steps, the microseconds from step 1 within which all must be done, and what ties mean."""

    steps: int
    window: int = FOREVER
    ties: Ties = "step"
