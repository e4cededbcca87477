"""What an ingest did, in numbers: every line offered is in exactly one of them (invariant 14)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Tally:
    """Counts of one block or one run; `read` = stored + duplicates + rejected + no_consent + erased."""

    read: int = 0
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    no_consent: int = 0
    erased: int = 0
    blank: int = 0
    redacted: int = 0
    derived_ids: int = 0
    assumed_tz: int = 0
    epoch: int = 0
    skewed: int = 0
    cut: int = 0
    conflicts: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    redacted_fields: Counter[str] = field(default_factory=Counter)
    partitions: Counter[str] = field(default_factory=Counter)
    batches: int = 0
    seconds: float = 0.0

    def add(self, other: Tally) -> None:
        """Add another tally to this one."""
        for name in self.__slots__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, Counter):
                mine.update(theirs)
            else:
                setattr(self, name, mine + theirs)

    @property
    def balanced(self) -> bool:
        """Whether every event offered is accounted for."""
        return self.read == self.stored + self.duplicates + self.rejected + self.no_consent + self.erased

    def summary(self) -> dict[str, Any]:
        """The summary of the contract, in its order."""
        return {
            "read": self.read,
            "stored": self.stored,
            "duplicates": self.duplicates,
            "rejected": self.rejected,
            "no_consent": self.no_consent,
            "erased": self.erased,
            "blank": self.blank,
            "redacted": self.redacted,
            "derived_ids": self.derived_ids,
            "assumed_tz": self.assumed_tz,
            "epoch": self.epoch,
            "skewed": self.skewed,
            "conflicts": self.conflicts,
            "reasons": dict(sorted(self.reasons.items())),
            "redacted_fields": dict(sorted(self.redacted_fields.items())),
            "partitions": dict(sorted(self.partitions.items())),
            "seconds": round(self.seconds, 3),
        }
