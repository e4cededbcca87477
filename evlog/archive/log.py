"""Where archives went, as the audit log has it: what lies there is out of reach of an erasure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from evlog.store import audit

if TYPE_CHECKING:
    from evlog.archive.out import Written
    from evlog.store.layout import Store

WHAT = "archive"


@dataclass(frozen=True, slots=True)
class Archived:
    """One time that days were archived: when, where to, which days (the first and the last), how many events."""

    at: datetime  # naive UTC
    to: str
    first: date
    last: date
    days: int
    events: int
    manifest: str  # its SHA-256
    copied: bool  # the days stayed in the store too
    encryption: str


def archives(store: Store) -> list[Archived]:
    """Every time that days of this store were archived, oldest first."""
    return [_archived(entry) for entry in audit.read(store) if entry["what"] == WHAT]


def act(written: Written, at: datetime, by: str) -> audit.Act:
    """What the audit log says of days that were archived."""
    details = {
        "to": str(written.folder),
        "first": written.first.isoformat(),
        "last": written.last.isoformat(),
        "days": written.days,
        "events": written.events,
        "manifest": written.manifest,
        "copied": written.copied,
        "encryption": written.encryption,
    }
    return audit.Act(WHAT, at, by, details=details)


def _archived(entry: dict[str, Any]) -> Archived:
    said = entry["details"]
    return Archived(
        datetime.fromisoformat(entry["at"]).replace(tzinfo=None),
        str(said["to"]),
        date.fromisoformat(said["first"]),
        date.fromisoformat(said["last"]),
        int(said["days"]),
        int(said["events"]),
        str(said["manifest"]),
        bool(said["copied"]),
        str(said["encryption"]),
    )
