"""What is in quarantine, by day and reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from evlog.store import quarantine

if TYPE_CHECKING:
    from evlog.store.layout import Store


@dataclass(frozen=True, slots=True)
class Refused:
    """How many lines of a day were refused and why, and at which commit the newest of them were.

    The day is that of the event, UTC, or else of when the line came.
    """

    reasons: dict[date, Counter[str]] = field(default_factory=dict)
    newest: dict[date, int] = field(default_factory=dict)


def refused(store: Store) -> Refused:
    """All that is in quarantine."""
    found = Refused()
    for file in quarantine.files(store):
        for one in file.read():
            day = date.fromisoformat(str(one.body["day"] or one.body["received_at"])[:10])
            found.reasons.setdefault(day, Counter())[one.code] += 1
            found.newest[day] = max(file.name.batch, found.newest.get(day, 0))
    return found
