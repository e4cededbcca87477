"""Which days of a store were purged: those before a date, but the ones that an archive brought back."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

from evlog.errors import StoreDamaged
from evlog.frozen import dataclass
from evlog.store import durable

if TYPE_CHECKING:
    from pathlib import Path

    from evlog.store.layout import Store

FILE = "days.json"


@dataclass(frozen=True, slots=True)
class Purged:
    """The purged days: all before `before` (None: there are none) that are not among the `restored` (ISO dates)."""

    before: date | None = None
    restored: frozenset[str] = frozenset()

    def any(self, first: date) -> bool:
        """Whether any of the partitions from the first on is purged; what is restored of them changes no number."""
        return self.before is not None and first < self.before


def load(store: Store) -> Purged:
    """The purged days as they stand now."""
    path = store.tombstones / FILE
    body = document(path, {"purged_before": None})
    try:
        before = date.fromisoformat(body["purged_before"]) if body["purged_before"] else None
        return Purged(before, frozenset(map(str, body.get("restored", ()))))
    except (KeyError, TypeError, ValueError) as error:
        raise StoreDamaged(f"{path} cannot be read: {error}") from error


def document(path: Path, default: dict[str, Any]) -> dict[str, Any]:
    """The JSON object that a file of the store holds; `default` where it is not there."""
    try:
        body = json.loads(durable.read(path))
    except FileNotFoundError:
        return default
    except ValueError as error:
        raise StoreDamaged(f"{path} is not JSON") from error
    if not isinstance(body, dict):
        raise StoreDamaged(f"{path} is not an object")
    return body
