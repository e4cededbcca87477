"""Numbers, times and sizes as people read them; what rounds, rounds half away from zero (metrics §12)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

_HUGE = 1e15  # from here on the digits after the point mean nothing
_MINUTE, _HOUR, _DAY_MINUTES = 60, 3600, 1440
_UNITS = ("kB", "MB", "GB", "TB", "PB")


def count(value: float) -> str:
    """Return a whole number with thousands separators: 1,234,567."""
    return f"{value:,}" if isinstance(value, int) else number(value, places=0)


def number(value: float, *, places: int | None = None) -> str:
    """Return a number with `places` decimals; by default as many as its size deserves."""
    if not math.isfinite(value) or abs(value) >= _HUGE:
        return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
    return f"{_rounded(value, places_for([value]) if places is None else places):,f}"


def places_for(values: list[float]) -> int:
    """Return the decimals that a column of these numbers wants: none for whole ones, more for small ones."""
    finite = [abs(value) for value in values if math.isfinite(value)]
    if all(value == int(value) for value in finite):
        return 0
    largest = max(finite)
    return 1 if largest >= 10 else 2 if largest >= 1 else 3  # noqa: PLR2004 - three figures that count


def rate(value: float) -> str:
    """Return a fraction as percent with one decimal: 0.4735 is 47.4%."""
    if not math.isfinite(value) or abs(value) >= _HUGE:
        return f"{value:.4g}"
    return f"{_rounded(value, 1, shift=2):,f}%"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: 850ms, 4.2s, 4m 30s, 2d 3h."""
    if not math.isfinite(seconds) or abs(seconds) >= _HUGE:
        return f"{seconds:.4g}s"
    return f"-{_span(-seconds)}" if seconds < 0 else _span(seconds)


def size(octets: int) -> str:
    """Return a number of bytes in decimal units: 999 B, 1.2 MB."""
    value, unit = float(octets), "B"
    for larger in _UNITS:
        if _rounded(value, 1) < 1000:  # noqa: PLR2004 - a thousand is the next unit
            break
        value, unit = value / 1000, larger
    return f"{octets} B" if unit == "B" else f"{_rounded(value, 1)} {unit}"


def instant(moment: datetime, *, short: bool = False) -> str:
    """Return a time to the second, or `short`: to the minute."""
    return moment.strftime("%Y-%m-%d %H:%M" if short else "%Y-%m-%d %H:%M:%S")


def flag(value: object) -> str:
    """Return yes or no."""
    return "yes" if value else "no"


def _rounded(value: float, places: int, *, shift: int = 0) -> Decimal:
    """Round the shortest decimal that stands for `value`, not its binary neighbour; never minus zero."""
    from decimal import ROUND_HALF_UP, Decimal  # 1 ms

    exact = Decimal(value) if isinstance(value, int) else Decimal(repr(float(value)))
    return exact.scaleb(shift).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP) + 0


def _span(seconds: float) -> str:
    """Return a duration that is not negative; each unit is rounded before it is chosen, so 59.7 s is 1m."""
    milliseconds, tenths, whole = int(_rounded(seconds * 1000, 0)), _rounded(seconds, 1), int(_rounded(seconds, 0))
    if milliseconds < 1000:  # noqa: PLR2004 - a second
        return f"{milliseconds}ms" if milliseconds else "<1ms" if seconds else "0s"
    if tenths < 10:  # noqa: PLR2004 - one figure before the point leaves room for one behind it
        return f"{tenths.normalize():f}s"
    if whole < _HOUR:
        return _pair(whole, _MINUTE, "m", "s")
    minutes, hours = int(_rounded(seconds / _MINUTE, 0)), int(_rounded(seconds / _HOUR, 0))
    return _pair(minutes, 60, "h", "m") if minutes < _DAY_MINUTES else _pair(hours, 24, "d", "h")


def _pair(total: int, per: int, large: str, small: str) -> str:
    whole, rest = divmod(total, per)
    return " ".join(f"{n:,}{unit}" for n, unit in ((whole, large), (rest, small)) if n)
