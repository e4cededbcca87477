"""Days, weeks, months, zones and durations: the only calendar.

Instants are naive UTC datetimes throughout, local dates are dates. Nothing here reads the clock: the instant that
plays now is always given.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal

from evlog.errors import UsageError
from evlog.frozen import dataclass, replace

WeekStart = Literal["monday", "sunday"]
Unit = Literal["day", "week", "month"]
"""What a period of a report is: a local date, a week, a calendar month (metrics §5)."""

DEFAULT_DAYS = 30
MOST_DAYS = 36_525  # a century: more is a slip of the finger
_EARLIEST, _LATEST = date(1900, 1, 1), date(2999, 12, 31)  # so that days can be added and taken away
_TIMED = re.compile(r":|[0-9]T[0-9]")
_DURATION = re.compile(r"([0-9]{1,9})([smhdwy])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 365 * 86_400}
_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)


def duration(text: str) -> timedelta:
    """The length that `45s`, `30m`, `12h`, `90d`, `2w` or `1y` names; a day is 86,400 s, a year 365 days."""
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None:
        raise UsageError(f"{text!r} is no duration", hint="write 45s, 30m, 12h, 90d, 2w or 1y")
    try:
        return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
    except OverflowError:
        raise UsageError(f"{text!r} is too long a duration", hint="the longest is 999999999 days") from None


def limit(text: str) -> timedelta | None:
    """The length that `text` names; None for `none`, where no limit makes sense."""
    return None if text.strip().lower() == "none" else duration(text)


def zone(name: str) -> tzinfo:
    """The time zone of that name; UTC needs no zone database."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise UsageError(f"{name!r} is no time zone", hint="write a name like Europe/Berlin or UTC") from None


def midnight(day: date, tz: str) -> datetime:
    """The instant at which `day` begins in the zone; where that time is skipped, the instant of the skip."""
    if tz == "UTC":
        return datetime.combine(day, time())
    return datetime.combine(day, time(), zone(tz)).astimezone(UTC).replace(tzinfo=None)


def local_date(instant: datetime, tz: str) -> date:
    """The date that clocks in the zone show at `instant`."""
    return instant.replace(tzinfo=UTC).astimezone(zone(tz)).date()


def spelled(instant: datetime) -> str:
    """`instant` as UTC ISO 8601 with Z; a fraction only where there is one."""
    return instant.isoformat() + "Z"


@dataclass(frozen=True, slots=True)
class AsOf:
    """What plays now: the instant, and the local date it belongs to (a date stands for its end)."""

    instant: datetime
    day: date


def at(instant: datetime, tz: str) -> AsOf:
    """`instant` (the clock, or the newest event) as what plays now."""
    return AsOf(instant, local_date(instant, tz))


def as_of(text: str, *, tz: str, now: datetime) -> AsOf:
    """What `--as-of DATE|INSTANT` means: a date means its end; an instant without offset is read in the zone."""
    written = text.strip()
    if _TIMED.search(written) is None:
        day = parse_date(written, today=local_date(now, tz))
        return AsOf(midnight(day + _DAY, tz), day)
    found = instant(written, tz=tz)
    _bounded(found.date(), written)
    return at(found, tz)


def until(now: AsOf, tz: str) -> datetime:
    """The first instant that is still to come: events before it have happened."""
    if now.instant == midnight(now.day + _DAY, tz):
        return now.instant  # a date plays now: its end belongs to the day after
    return now.instant + _TICK


def instant(text: str, *, tz: str) -> datetime:
    """The instant that ISO text names, naive UTC; a date means its begin, a time without offset is read in the zone."""
    try:
        found = datetime.fromisoformat(text.strip())
        aware = found if found.tzinfo is not None else found.replace(tzinfo=zone(tz))
        return aware.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is no instant", hint="write 2026-03-01T12:00:00Z") from None


def parse_date(text: str, *, today: date) -> date:
    """The date that `text` names: ISO first, `today` and `yesterday`, else what dateutil makes of it."""
    written = text.strip()
    words = {"today": today, "yesterday": today - _DAY}
    if written.lower() in words:
        return words[written.lower()]
    try:
        return _bounded(date.fromisoformat(written), written)
    except ValueError:
        return _bounded(_guessed(written, today), written)


def _bounded(day: date, text: str) -> date:
    if not _EARLIEST <= day <= _LATEST:
        raise UsageError(f"{text!r} is out of range", hint=f"give a date from {_EARLIEST} to {_LATEST}")
    return day


def _guessed(text: str, today: date) -> date:
    from dateutil import parser

    try:
        found: datetime = parser.parse(text, default=datetime.combine(today, time()))  # missing parts come from today
        return found.date()
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is no date", hint="write 2026-03-01, today or yesterday") from None


def month_label(day: date) -> str:
    """`YYYY-MM` of the month that `day` lies in."""
    return f"{day.year:04d}-{day.month:02d}"


def week_begin(day: date, week_start: WeekStart) -> date:
    """The first day of the week that `day` lies in."""
    behind = day.weekday() if week_start == "monday" else (day.weekday() + 1) % 7
    return day - timedelta(days=behind)


def week_label(begin: date, week_start: WeekStart) -> str:
    """`2026-W05` of the ISO week that begins on `begin`; weeks from Sunday are named by that date."""
    if week_start == "sunday":
        return begin.isoformat()
    year, week, _ = begin.isocalendar()
    return f"{year:04d}-W{week:02d}"


def period_begin(day: date, unit: Unit, week_start: WeekStart) -> date:
    """The first day of the period that `day` lies in."""
    if unit == "week":
        return week_begin(day, week_start)
    return day.replace(day=1) if unit == "month" else day


def period_after(begin: date, unit: Unit) -> date:
    """The first day of the period after the one that begins on `begin`."""
    if unit == "month":
        return (begin + timedelta(days=31)).replace(day=1)
    return begin + timedelta(days=7 if unit == "week" else 1)


@dataclass(frozen=True, slots=True)
class Window:
    """The local dates a question covers (both included), their zone, and what plays now.

    `as_of` is naive UTC, `today` the local date it stands for. No event after `as_of` counts.
    """

    first: date
    last: date
    as_of: datetime
    today: date
    tz: str = "UTC"
    week_start: WeekStart = "monday"

    @property
    def days(self) -> tuple[date, ...]:
        """Every date of the window that has begun."""
        count = (min(self.last, self.today) - self.first).days + 1
        return tuple(self.first + timedelta(days=n) for n in range(count))

    @property
    def start(self) -> datetime:
        """The instant at which the window begins."""
        return midnight(self.first, self.tz)

    @property
    def end(self) -> datetime:
        """The instant before which the window lies; never past what plays now."""
        return min(midnight(self.last + _DAY, self.tz), self.until)

    @property
    def until(self) -> datetime:
        """The first instant that is still to come."""
        return until(AsOf(self.as_of, self.today), self.tz)

    @property
    def complete(self) -> bool:
        """Whether the last day is over."""
        return self.over(self.last)

    def over(self, day: date) -> bool:
        """Whether `day` is over by what plays now."""
        return midnight(day + _DAY, self.tz) <= self.as_of

    @property
    def weeks(self) -> tuple[date, ...]:
        """The first day of every week that the window touches."""
        return self.periods("week")

    @property
    def months(self) -> tuple[date, ...]:
        """The first day of every month that the window touches."""
        return self.periods("month")

    def periods(self, unit: Unit) -> tuple[date, ...]:
        """The first day of every period that the window touches and that has begun."""
        return tuple(sorted({period_begin(day, unit, self.week_start) for day in self.days}))

    def widened(self, unit: Unit) -> Window:
        """The window from the first day of the first period it touches: what it cuts at its begin is taken in."""
        return replace(self, first=period_begin(self.first, unit, self.week_start))


def resolve(
    now: AsOf,
    *,
    tz: str = "UTC",
    week_start: WeekStart = "monday",
    days: int | None = None,
    first: str | None = None,
    last: str | None = None,
    all_time: bool = False,
    whole_days: bool = False,
    held: tuple[datetime, datetime] | None = None,
) -> Window:
    """The window that the words of a call mean: `--days`, or `--from` and `--to`, or `--all-time`, or 30 days.

    `held` are the instants of the first and the newest event of the store, for `all_time`.
    """
    _one_of(days=days, ends=first or last, all_time=all_time)
    newest = now.day - _DAY if whole_days else now.day
    if all_time:
        begin, end = _all_time(held, newest, tz=tz)
    else:
        begin, end = _dates(first, last, days=days or DEFAULT_DAYS, today=now.day, newest=newest)
    if begin > now.day:
        raise UsageError(f"the range begins ({begin}) after what plays now ({now.day})", hint="see --as-of")
    if end < begin:
        hint = "--whole-days ends yesterday" if end == newest < now.day else "give --from before --to"
        raise UsageError(f"the range ends ({end}) before it begins ({begin})", hint=hint)
    return Window(begin, end, now.instant, now.day, tz, week_start)


def _one_of(*, days: int | None, ends: str | None, all_time: bool) -> None:
    if (days is not None) + (ends is not None) + all_time > 1:
        raise UsageError("--days, --from/--to and --all-time exclude each other", hint="give one of them")
    if days is not None and not 1 <= days <= MOST_DAYS:
        raise UsageError(f"--days {days} is out of range", hint=f"give 1 to {MOST_DAYS}")


def _dates(first: str | None, last: str | None, *, days: int, today: date, newest: date) -> tuple[date, date]:
    end = _given("--to", last, today=today) if last else newest
    if newest < today:  # --whole-days
        end = min(end, newest)
    return (_given("--from", first, today=today) if first else end - timedelta(days=days - 1)), end


def _given(option: str, text: str, *, today: date) -> date:
    try:
        return parse_date(text, today=today)
    except UsageError as error:
        raise UsageError(f"{option}: {error}", hint=error.hint) from None


def _all_time(held: tuple[datetime, datetime] | None, newest: date, *, tz: str) -> tuple[date, date]:
    if held is None:
        return newest, newest
    begin, end = (local_date(instant, tz) for instant in held)
    return min(begin, newest), min(end, newest)
