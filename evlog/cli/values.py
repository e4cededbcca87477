"""How the value of a setting is read, from a file (TOML values) as from a flag or the environment (text).

Each reader raises ValueError or UsageError when it is handed something else; the caller, who knows where the value
stood, says so.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, TypeVar

from evlog import window

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

T = TypeVar("T")
_SIZE = re.compile(r"(\d{1,12})\s*([kmg]?)(i?)b?", re.ASCII | re.IGNORECASE)
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)\s*%", re.ASCII)
_WHOLE = 100.0
_ENDLESS = 1e15
_NEARLY_ALL = 1 - 1e-12  # 100% of something, told from the number 1


def text(value: object) -> str:
    """Text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(value)
    return value.strip()


def moment(value: object) -> str:
    """Text that names a date or an instant; in a file it may stand bare, as TOML writes them."""
    return value.isoformat() if isinstance(value, date) else text(value)  # an instant of TOML is a date too


def listed(value: object) -> tuple[str, ...]:
    """Texts: a list in a file, repeated flags, or one text with commas."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise ValueError(value)  # noqa: TRY004
    return tuple(text(item) for item in items)


def number(low: int, high: int) -> Callable[[object], int]:
    """A reader of whole numbers from `low` to `high`."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError(value)  # noqa: TRY004
        found = int(value)
        if not low <= found <= high:
            raise ValueError(value)
        return found

    return read


def choice(*known: str) -> Callable[[object], str]:
    """A reader of one of `known`; case is ignored."""

    def read(value: object) -> str:
        found = text(value).lower()
        if found not in known:
            raise ValueError(value)
        return found

    return read


def optional(read: Callable[[object], T]) -> Callable[[object], T | None]:
    """A reader that takes `none` as None, and everything else as `read` does."""
    return lambda value: None if isinstance(value, str) and value.strip().lower() == "none" else read(value)


def duration(value: object) -> timedelta:
    """A duration such as 45s, 30m, 12h, 90d, 2w, 1y; 0s is one."""
    return window.duration(text(value))


def size(low: int, high: int) -> Callable[[object], int]:
    """A reader of sizes in bytes from `low` to `high`: 65536, 64k, 1MiB (k = Ki = 1024)."""
    within = number(low, high)

    def read(value: object) -> int:
        if isinstance(value, int):
            return within(value)
        match = _SIZE.fullmatch(text(value))
        if match is None:
            raise ValueError(value)
        return within(int(match[1]) << 10 * " kmg".index(match[2].lower() or " "))

    return read


def tolerance(value: object) -> int | float:
    """How many rejects are tolerated: a count (int), or a share of the events read (float, 0 to 1)."""
    if isinstance(value, str) and (match := _SHARE.fullmatch(value.strip())):
        share = float(match[1]) / _WHOLE
        if share > 1:
            raise ValueError(value)
        return share
    return number(0, 10**12)(value)


def share(value: object) -> float:
    """A share: 1%, or 0.01; a bare 1 may mean either, and is none."""
    if isinstance(value, str) and "%" in value:
        return float(tolerance(value))
    found = amount(value, least=0.0)
    if found >= 1:
        raise ValueError(value)
    return found


def amount(value: object, *, least: float = 1e-9) -> float:
    """A number, not below the least."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(value)  # noqa: TRY004
    found = float(value)
    if not least <= found < _ENDLESS:
        raise ValueError(value)
    return found


def amount_or_share(value: object) -> float:
    """A number from 1 on, or a share, which is below 1."""
    found = share(value) if isinstance(value, str) and "%" in value else amount(value)
    return min(found, _NEARLY_ALL) if isinstance(value, str) and "%" in value else found


def zone(value: object) -> str:
    """The name of a time zone that exists."""
    name = text(value)
    window.zone(name)
    return name


def event_zone(value: object) -> str:
    """The name of a time zone, or an offset such as +02:00."""
    name = text(value)
    if name == "UTC":
        return name
    from evlog.event import times

    times.zone(name)
    return name
