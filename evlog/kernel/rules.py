"""What makes a chain of events an attempt at a funnel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Ties = Literal["step", "strict", "seq"]
"""step: events of one instant in the order that helps; strict: each step strictly later; seq: as they arrived."""

Attribution = Literal["first", "last"]
"""The first or the last value along the chain that is not absent (metrics §7.11)."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The number of steps, the microseconds from step 1 in which they must be done (None: no limit), and the ties."""

    steps: int
    window: int | None = None
    ties: Ties = "step"
