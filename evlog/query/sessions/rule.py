"""What ends a session, and how long that is (metrics §9)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from evlog.kernel.rules import FOREVER
from evlog.window import limit

USUAL = timedelta(minutes=30)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Rule:
    """What ends a session (metrics §9)."""

    timeout: timedelta | None = USUAL  # a longer gap ends it; None: no gap does
    split_midnight: bool = False  # local midnight ends it
    ignore_ids: bool = False  # `session_id` says nothing
    max_length: timedelta | None = None  # an event later than this after its first begins another
    split_idle: bool = False  # the timeout ends a session that an id names, too

    @property
    def said(self) -> str:
        """The rule in words."""
        gap = "a gap" if self.timeout is None else f"a gap of more than {spelled(self.timeout)}"
        ended = "no gap ends one" if self.timeout is None else f"{gap} ends one"
        words = [ended if self.ignore_ids else f"the events of a user with one session_id; without an id, {ended}"]
        if self.split_idle and not self.ignore_ids and self.timeout is not None:
            words.append("so it does with one")
        if self.max_length is not None:
            words.append(f"none is longer than {spelled(self.max_length)}")
        if self.split_midnight:
            words.append("midnight ends one")
        return "session: " + "; ".join(words)


def timeout(text: str | None) -> timedelta | None:
    """The timeout that the option says; `none`: no gap ends a session."""
    return USUAL if text is None else limit(text)


def spelled(length: timedelta) -> str:
    """`30 min`, `12 h`: the length in words."""
    seconds = length.total_seconds()
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def ticks(length: timedelta | None) -> int:
    """The length in microseconds; of no limit, longer than any log."""
    return FOREVER if length is None else min(length // _TICK, FOREVER)
