"""The workbook: its exercises, prompts and tools, with how hard each is; and what one event of it says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 90
ORIGIN = int(FIRST_DAY.timestamp() * 1000)
DAY = 86_400_000
END = ORIGIN + DAYS * DAY  # the log stops here: 2026-03-31, midnight


@dataclass(frozen=True, slots=True)
class Exercise:
    """An exercise of the workbook: `part.module.exercise`, and how many of those who start it never complete it."""

    id: str
    drop: float
    prompts: int
    minutes: float
    tool: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool inside exercises; `items` is the usual length of what is saved, where it has a length."""

    name: str
    items: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Event:
    """One event as the product meant it, before anything went wrong on its way. Times are milliseconds."""

    id: str
    at: int
    user: str | None
    anonymous: str | None
    session: str
    type: str
    target_type: str | None
    target: str | None
    data: dict[str, Any] | None


EXERCISES = (
    Exercise("1.1.1", 0.10, 2, 6),
    Exercise("1.1.2", 0.16, 2, 8, "100000"),
    Exercise("1.1.3", 0.07, 1, 4),
    Exercise("1.2.1", 0.47, 4, 21, "100002"),  # the long form: the one to look at first
    Exercise("1.2.2", 0.14, 2, 9, "100000"),
    Exercise("1.2.3", 0.05, 1, 5),
    Exercise("1.3.1", 0.22, 2, 12, "100001"),
    Exercise("2.1.1", 0.11, 1, 7),
    Exercise("2.1.2", 0.29, 3, 15, "100000"),
    Exercise("2.2.1", 0.18, 2, 10, "100001"),
    Exercise("2.2.2", 0.33, 3, 18, "100002"),
    Exercise("2.3.1", 0.08, 1, 5, "100003"),
    Exercise("3.1.1", 0.20, 2, 9, "100003"),
    Exercise("3.1.2", 0.13, 2, 8, "100000"),
    Exercise("3.2.1", 0.24, 3, 17, "100004"),
    Exercise("3.2.2", 0.04, 1, 4),
)

TOOLS = {
    "100000": Tool("ListBuilder", 8.3, 270),
    "100001": Tool("FlowTracker", 5.1, 135),
    "100002": Tool("SOAREDForm", None, 765),
    "100003": Tool("RankingGrid", 10.0, 180),
    "100004": Tool("BudgetCalculator", 6.4, 320),
}

FAILURES = (
    ("/api/workbook/response", 500, "Database timeout"),
    ("/api/workbook/response", 409, "Response changed elsewhere"),
    ("/api/tools/save", 503, "Upstream unavailable"),
    ("/api/auth/session", 401, "Session expired"),
    ("/api/profile/export", 504, "Gateway timeout"),
    ("/api/analytics/track", 429, "Too many requests"),
)


def iso(at: int) -> str:
    """`at` as a browser writes it: 2026-01-05T09:12:33.123Z."""
    whole, ms = divmod(at, 1000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"


def day(at: int) -> str:
    """The UTC date of `at`."""
    return f"{FIRST_DAY + timedelta(days=(at - ORIGIN) // DAY):%Y-%m-%d}"


def week(at: int) -> str:
    """The ISO week of `at`, as in 2026-W05."""
    return f"{FIRST_DAY + timedelta(days=(at - ORIGIN) // DAY):%G-W%V}"
