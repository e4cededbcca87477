"""What an ingest holds every line against; fixed for a run but for the tombstones."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, timedelta, tzinfo
from typing import TYPE_CHECKING, Literal

from evlog.event.privacy import Guard
from evlog.event.times import canonical
from evlog.ingest.ledger import SILENCE, Heard

if TYPE_CHECKING:
    from datetime import datetime

    from evlog.event.plan import Plan
    from evlog.store.tombstones import Tombstones

MAX_LINE = 1 << 20
_AHEAD, _SKEW = timedelta(hours=24), timedelta(minutes=5)

Mapping = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """The plan and the settings of an ingest."""

    plan: Plan
    mapping: Mapping = ()
    assume: tzinfo = UTC
    max_line: int = MAX_LINE
    max_age: timedelta | None = None
    consent: Literal["optional", "required"] = "optional"
    placeholder_users: Literal["reject", "null"] = "reject"
    guard: Guard = field(default_factory=Guard)
    dedupe: bool = True
    backfill: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """What depends on when a batch is received: the limits of its event times, and who must stay out."""

    received: datetime  # naive UTC
    latest: str  # later times are in the future
    skewed_from: str  # later times are counted as skewed
    oldest: str | None
    tombstones: Tombstones
    heard: Heard = SILENCE  # what the run has heard of consent before

    @classmethod
    def at(cls, received: datetime, rules: Rules, tombstones: Tombstones, heard: Heard = SILENCE) -> Moment:
        """The limits for a batch received at `received` (naive UTC)."""
        now = received.replace(tzinfo=UTC)
        oldest = canonical(now - rules.max_age) if rules.max_age is not None else None
        return cls(received, canonical(now + _AHEAD), canonical(now + _SKEW), oldest, tombstones, heard)
