"""The calendar: durations, dates, zones, weeks and windows."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evlog import window
from evlog.errors import UsageError
from evlog.window import AsOf, Window, resolve

NOON = AsOf(datetime(2026, 3, 10, 12), date(2026, 3, 10))
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati", "America/Santiago"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45s", 45), ("30m", 1800), ("12h", 43_200), ("90d", 7_776_000), ("2w", 1_209_600), ("1y", 31_536_000), ("0s", 0)],
)
def test_durations(text, seconds):
    assert window.duration(text) == timedelta(seconds=seconds)
    assert window.limit(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "d", "-1d", "1.5h", "5 min", "1h30m", "999999999y", "٣d", "none"])
def test_what_is_no_duration_is_told(text):
    with pytest.raises(UsageError, match="duration"):
        window.duration(text)


def test_none_is_no_limit():
    assert window.limit("none") is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2024-02-29", date(2024, 2, 29)),
        ("today", date(2026, 3, 10)),
        ("Yesterday", date(2026, 3, 9)),
        ("3 May", date(2026, 5, 3)),
        ("3 May 2025", date(2025, 5, 3)),
        (" 2026-W10-2 ", date(2026, 3, 3)),
    ],
)
def test_dates(text, found):
    assert window.parse_date(text, today=date(2026, 3, 10)) == found


@pytest.mark.parametrize("text", ["", "someday", "2026-02-30", "2026-13-01"])
def test_what_is_no_date_is_told(text):
    with pytest.raises(UsageError, match="is no date"):
        window.parse_date(text, today=date(2026, 3, 10))


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31", "1899-12-31"])
def test_a_date_out_of_range_is_told(text):
    with pytest.raises(UsageError, match="is out of range"):
        window.parse_date(text, today=date(2026, 3, 10))


@pytest.mark.parametrize("text", ["9999-12-31", "9999-12-31T23:59:59Z", "0001-01-01T00:00Z"])
def test_what_cannot_play_now_is_told(text):
    with pytest.raises(UsageError, match="is out of range"):
        window.as_of(text, tz="Asia/Tokyo", now=datetime(2026, 3, 10, 12))


@pytest.mark.parametrize("name", ["Mars/Base", "../etc/passwd", "", "Europe"])
def test_what_is_no_zone_is_told(name):
    with pytest.raises(UsageError, match="is no time zone"):
        window.zone(name)


@pytest.mark.parametrize(
    ("text", "tz", "instant", "day"),
    [
        ("2026-03-10", "UTC", datetime(2026, 3, 11), date(2026, 3, 10)),
        ("2026-03-28", "Europe/Berlin", datetime(2026, 3, 28, 23), date(2026, 3, 28)),
        ("2026-03-29", "Europe/Berlin", datetime(2026, 3, 29, 22), date(2026, 3, 29)),  # a day of 23 hours
        ("2026-03-10T12:00:00Z", "UTC", datetime(2026, 3, 10, 12), date(2026, 3, 10)),
        ("2026-03-10T23:30:00Z", "Europe/Berlin", datetime(2026, 3, 10, 23, 30), date(2026, 3, 11)),
        ("2026-03-10T12:00", "America/New_York", datetime(2026, 3, 10, 16), date(2026, 3, 10)),
        ("yesterday", "UTC", datetime(2026, 3, 10), date(2026, 3, 9)),
        ("2026-03-10T12", "UTC", datetime(2026, 3, 10, 12), date(2026, 3, 10)),
        ("20260310T233000Z", "Europe/Berlin", datetime(2026, 3, 10, 23, 30), date(2026, 3, 11)),
    ],
)
def test_what_plays_now(text, tz, instant, day):
    assert window.as_of(text, tz=tz, now=datetime(2026, 3, 10, 12)) == AsOf(instant, day)


@pytest.mark.parametrize(
    ("words", "first", "last"),
    [
        ({}, date(2026, 2, 9), date(2026, 3, 10)),
        ({"days": 1}, date(2026, 3, 10), date(2026, 3, 10)),
        ({"days": 7, "whole_days": True}, date(2026, 3, 3), date(2026, 3, 9)),
        ({"first": "2026-03-01"}, date(2026, 3, 1), date(2026, 3, 10)),
        ({"last": "2026-03-01"}, date(2026, 1, 31), date(2026, 3, 1)),
        ({"first": "2026-01-01", "last": "yesterday"}, date(2026, 1, 1), date(2026, 3, 9)),
        ({"first": "2026-01-01", "last": "2026-12-31"}, date(2026, 1, 1), date(2026, 12, 31)),
        ({"first": "2026-01-01", "last": "2026-12-31", "whole_days": True}, date(2026, 1, 1), date(2026, 3, 9)),
        ({"all_time": True}, date(2026, 3, 10), date(2026, 3, 10)),
        (
            {"all_time": True, "held": (datetime(2025, 1, 1), datetime(2026, 3, 8))},
            date(2025, 1, 1),
            date(2026, 3, 8),
        ),
    ],
)
def test_the_words_of_a_call(words, first, last):
    found = resolve(NOON, **words)
    assert (found.first, found.last, found.as_of) == (first, last, NOON.instant)


@pytest.mark.parametrize(
    "words",
    [
        {"days": 0},
        {"days": -1},
        {"days": 10**9},
        {"days": 7, "first": "2026-03-01"},
        {"days": 7, "all_time": True},
        {"all_time": True, "last": "2026-03-01"},
        {"first": "2026-03-05", "last": "2026-03-01"},
        {"first": "2026-04-01", "last": "2026-05-01"},
        {"first": "today", "whole_days": True},
    ],
)
def test_words_that_do_not_go_together(words):
    with pytest.raises(UsageError):
        resolve(NOON, **words)


@pytest.mark.parametrize(
    ("words", "says", "hint"),
    [
        ({"first": "soon"}, "--from: 'soon' is no date", "write 2026-03-01, today or yesterday"),
        ({"last": "soon"}, "--to: 'soon' is no date", "write 2026-03-01, today or yesterday"),
        ({"first": "2026-03-11"}, "the range begins (2026-03-11) after what plays now (2026-03-10)", "see --as-of"),
        (
            {"first": "today", "whole_days": True},
            "the range ends (2026-03-09) before it begins (2026-03-10)",
            "--whole-days ends yesterday",
        ),
        (
            {"first": "2026-03-05", "last": "2026-03-01", "whole_days": True},
            "the range ends (2026-03-01) before it begins (2026-03-05)",
            "give --from before --to",
        ),
    ],
)
def test_what_is_wrong_with_a_range_is_said_with_what_to_do(words, says, hint):
    with pytest.raises(UsageError) as told:
        resolve(NOON, **words)
    assert (str(told.value), told.value.hint) == (says, hint)


def test_all_time_reads_instants_in_the_zone():
    held = (datetime(2026, 1, 1, 23, 30), datetime(2026, 3, 10, 23, 30))
    found = resolve(AsOf(held[1], date(2026, 3, 11)), tz="Europe/Berlin", all_time=True, held=held)
    assert (found.first, found.last) == (date(2026, 1, 2), date(2026, 3, 11))


def test_days_that_have_not_begun_are_no_days_of_the_window():
    found = resolve(NOON, first="2026-03-09", last="2026-03-31")
    assert found.days == (date(2026, 3, 9), date(2026, 3, 10))
    assert not found.complete


@pytest.mark.parametrize(
    ("instant", "today", "complete", "end"),
    [
        (datetime(2026, 3, 11), date(2026, 3, 10), True, datetime(2026, 3, 11)),  # a date plays now: its end
        (datetime(2026, 3, 11), date(2026, 3, 11), True, datetime(2026, 3, 11)),  # midnight itself plays now
        (datetime(2026, 3, 10, 12), date(2026, 3, 10), False, datetime(2026, 3, 10, 12, 0, 0, 1)),
        (datetime(2026, 3, 12), date(2026, 3, 11), True, datetime(2026, 3, 11)),
    ],
)
def test_the_last_day_is_over_or_not(instant, today, complete, end):
    found = Window(date(2026, 3, 1), date(2026, 3, 10), instant, today)
    assert (found.complete, found.end) == (complete, end)


@pytest.mark.parametrize(
    ("day", "label"),
    [(date(2027, 1, 1), "2026-W53"), (date(2024, 12, 30), "2025-W01"), (date(2026, 1, 4), "2026-W01")],
)
def test_iso_weeks(day, label):
    assert window.week_label(window.week_begin(day, "monday"), "monday") == label


@given(st.dates(date(1999, 1, 1), date(2101, 1, 1)))
def test_weeks_hold_their_days(day):
    monday, sunday = window.week_begin(day, "monday"), window.week_begin(day, "sunday")
    assert monday.weekday() == 0
    assert sunday.weekday() == 6
    assert all(timedelta(0) <= day - begin < timedelta(7) for begin in (monday, sunday))
    assert window.week_label(monday, "monday") == day.strftime("%G-W%V")
    assert window.week_label(sunday, "sunday") == sunday.isoformat()


@given(st.dates(date(2000, 1, 2), date(2100, 1, 1)), st.sampled_from(ZONES))
def test_a_day_begins_with_its_first_instant(day, tz):
    begin = window.midnight(day, tz)
    assert window.local_date(begin, tz) == day
    assert window.local_date(begin - timedelta(microseconds=1), tz) == day - timedelta(1)


@given(st.datetimes(datetime(2000, 1, 2), datetime(2100, 1, 1)), st.sampled_from(ZONES))
def test_an_instant_lies_in_its_local_date(instant, tz):
    day = window.local_date(instant, tz)
    assert day == instant.replace(tzinfo=UTC).astimezone(ZoneInfo(tz)).date()
    assert window.midnight(day, tz) <= instant < window.midnight(day + timedelta(1), tz)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        (AsOf(datetime(2026, 3, 10, 23), date(2026, 3, 10)), datetime(2026, 3, 10, 23)),  # a date: its end in Berlin
        (AsOf(datetime(2026, 3, 10, 23), date(2026, 3, 11)), datetime(2026, 3, 10, 23, 0, 0, 1)),  # an instant
    ],
)
def test_an_event_at_the_instant_that_plays_now_has_happened(now, until):
    assert window.until(now, "Europe/Berlin") == until


def test_weeks_and_months_of_a_window():
    found = Window(date(2026, 1, 30), date(2026, 2, 2), datetime(2026, 3, 1), date(2026, 2, 28))
    assert found.weeks == (date(2026, 1, 26), date(2026, 2, 2))
    assert found.months == (date(2026, 1, 1), date(2026, 2, 1))
    assert window.month_label(found.months[1]) == "2026-02"
