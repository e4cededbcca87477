"""Event times: RFC 3339 and epoch numbers in, one canonical UTC text out.

Metrics §0: no offset is read as the assumed zone and counted; epoch seconds, milli-, micro- and nanoseconds are told
apart by their size (between 2000 and 2100 the four ranges are disjoint) and counted; anything else is rejected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import ROUND_DOWN, Context, Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from evlog.errors import UsageError
from evlog.event.reject import Problem, Rejected, shown

OLDEST = "2000-01-01T00:00:00.000000Z"
"""No event is older: a clock that says 1970 was never set."""

TAILS = {20: ".000000Z", 24: "000Z", 27: "Z"}
"""The length of a UTC time with a Z → what its Z becomes in canonical form."""

_CLOCK = frozenset({"--T::Z", "--T::."})  # every third character of such a time, from the fifth to the twentieth
_EXPECTED = "an RFC 3339 time like 2026-01-31T09:30:00Z, or an epoch number between 2000 and 2100"
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,12}))?)?(?: ?(Z|z|UTC|GMT|[+-]\d\d(?::?\d\d)?))?",
    re.ASCII,
)
_EPOCH = re.compile(r"\d{9,19}(?:\.\d+)?", re.ASCII)
_LOW, _HIGH = 946_684_800, 4_102_444_800  # 2000-01-01 and 2100-01-01 in epoch seconds
_UNITS = (1, 1_000, 1_000_000, 1_000_000_000)  # units a second: s, ms, µs, ns
_MICRO = 1_000_000
_CUTTING = Context(prec=80, rounding=ROUND_DOWN)  # the usual 28 digits would round up what has more of them
_MICRO_DIGITS = 6
_LEAP = 60


@dataclass(frozen=True, slots=True)
class Instant:
    """An event's time: canonical text, and what had to be assumed or lost to get it."""

    text: str  # YYYY-MM-DDTHH:MM:SS.ffffffZ
    assumed_zone: bool = False
    epoch: bool = False
    cut: str | None = None  # the original, where digits below a microsecond were lost


def canonical(moment: datetime) -> str:
    """The canonical text of an aware `moment`: UTC, always six digits, so that texts sort as times do."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


@lru_cache(maxsize=64)
def zone(name: str) -> tzinfo:
    """The zone called `name` (an IANA name, or an offset like +02:00); UsageError when there is none."""
    try:
        if re.fullmatch(r"[+-]\d\d:?\d\d", name, re.ASCII):
            return _offset(name)
        return UTC if name.upper() in {"UTC", "Z"} else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        hint = "use an IANA name such as Europe/Berlin, or an offset such as +02:00"
        raise UsageError(f"there is no time zone {name!r}", hint=hint) from error


def read(value: object, assume: tzinfo = UTC) -> Instant:
    """The instant that `value` names; Rejected (`bad_time`) when it names none."""
    if isinstance(value, str):
        text = usual(value)
        return Instant(text) if text is not None else _text(value.strip(), assume)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _epoch(value, value)
    raise _bad(value)


def usual(text: str) -> str | None:
    """The canonical text of a UTC time with a Z and whole seconds, milli- or microseconds; None for any other."""
    tail = TAILS.get(len(text))
    if tail is None or text[-1] != "Z" or text[4:20:3] not in _CLOCK:
        return None
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return None
    return text[:-1] + tail


def _bad(value: object) -> Rejected:
    return Rejected(Problem("bad_time", "ts", _EXPECTED, shown(value)))


def _text(text: str, assume: tzinfo) -> Instant:
    match = _RFC3339.fullmatch(text)
    if match is None:
        if _EPOCH.fullmatch(text):
            return _epoch(Decimal(text) if "." in text else int(text), text)
        raise _bad(text)
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    digits = (fraction or "").ljust(_MICRO_DIGITS, "0")
    lost = bool(digits[_MICRO_DIGITS:].strip("0"))
    seconds = int(second or 0)
    leap = timedelta(seconds=1) if seconds == _LEAP else timedelta()  # 23:59:60 is the instant after 23:59:59
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour), int(minute), seconds - leap.seconds, int(digits[:6]),
            tzinfo=assume if offset is None else _offset(offset),
        )  # fmt: skip
        told = canonical(moment + leap)
    except (ValueError, OverflowError) as error:
        raise _bad(text) from error
    if leap and told[11:16] != "00:00":
        raise _bad(text)  # leap seconds come at the end of a UTC day
    return Instant(told, assumed_zone=offset is None, cut=text if lost else None)


def _offset(text: str) -> tzinfo:
    if text in {"Z", "z", "UTC", "GMT"}:
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:]) if len(text) > len("+00") else 0
    if minutes > 59:  # noqa: PLR2004
        raise ValueError(text)
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=hours, minutes=minutes))


def _epoch(number: float | Decimal, came: object) -> Instant:
    for units in _UNITS:
        if _LOW * units <= number < _HIGH * units:
            if isinstance(number, int):
                micros, rest = divmod(number * _MICRO, units)
                lost = rest != 0
            else:
                exact = _CUTTING.divide(_CUTTING.multiply(Decimal(number), _MICRO), units)
                # a float is only as fine as its digits go: what lies below a microsecond there is noise
                micros = round(exact) if isinstance(number, float) else int(exact)
                lost = micros != exact and not isinstance(number, float)
            return Instant(_from_micros(micros), epoch=True, cut=str(came) if lost else None)
    raise _bad(came)


def _from_micros(micros: int) -> str:
    return canonical(datetime.fromtimestamp(micros // 1_000_000, tz=UTC) + timedelta(microseconds=micros % 1_000_000))
