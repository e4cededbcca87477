"""Event times: every way they come in, and the one way they are kept (metrics §0)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evlog.errors import UsageError
from evlog.event import times
from evlog.event.reject import Rejected

T = "2026-01-05T08:00:00.000000Z"
S = 1767600000  # the same instant
EPOCH = datetime(1970, 1, 1)


@pytest.mark.parametrize(
    ("came", "told"),
    [
        ("2026-01-05T08:00:00Z", T),
        ("2026-01-05t08:00:00z", T),
        ("2026-01-05T08:00Z", T),
        ("2026-01-05 08:00:00Z", T),
        ("2026-01-05T08:00:00+00:00", T),
        ("2026-01-05T08:00:00-00:00", T),
        ("2026-01-05 08:00:00 UTC", T),
        ("2026-01-05 08:00:00 GMT", T),
        ("2026-01-05T10:00:00+02:00", T),
        ("2026-01-05T10:00:00+0200", T),
        ("2026-01-05T10:00:00+02", T),
        ("2026-01-05 10:00:00 +02:00", T),
        ("2026-01-04T23:30:00-08:30", T),
        ("2026-01-05T13:45:00+05:45", T),
        ("  2026-01-05T08:00:00Z ", T),
        ("2026-01-05T00:30:00+01:00", "2026-01-04T23:30:00.000000Z"),
        ("2025-12-31T23:30:00-01:00", "2026-01-01T00:30:00.000000Z"),
        ("2026-01-05T08:00:00.1Z", "2026-01-05T08:00:00.100000Z"),
        ("2026-01-05T08:00:00.12Z", "2026-01-05T08:00:00.120000Z"),
        ("2026-01-05T08:00:00.123Z", "2026-01-05T08:00:00.123000Z"),
        ("2026-01-05T08:00:00,123Z", "2026-01-05T08:00:00.123000Z"),
        ("2026-01-05T08:00:00.123456Z", "2026-01-05T08:00:00.123456Z"),
        ("2026-01-05T08:00:00.123456000Z", "2026-01-05T08:00:00.123456Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000000Z"),
        ("2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000000Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z"),
        ("2016-12-31T23:59:60.5Z", "2017-01-01T00:00:00.500000Z"),
        ("2017-01-01T00:59:60+01:00", "2017-01-01T00:00:00.000000Z"),
        ("1999-12-31T23:59:59Z", "1999-12-31T23:59:59.000000Z"),  # a time; that it is too early is said elsewhere
    ],
)
def test_written_times(came, told):
    assert times.read(came) == times.Instant(told)


@pytest.mark.parametrize(
    ("came", "told"),
    [
        ("2026-01-05T08:00:00", T),
        ("2026-01-05 08:00:00", T),
        ("2026-01-05 08:00:00,000", T),
        ("2026-01-05T08:00", T),
        ("2026-01-05 08:00:00.5", "2026-01-05T08:00:00.500000Z"),
    ],
)
def test_a_time_without_an_offset_is_read_in_the_assumed_zone_and_says_so(came, told):
    assert times.read(came) == times.Instant(told, assumed_zone=True)
    berlin = times.read(came, times.zone("Europe/Berlin"))
    assert berlin.text == told.replace("T08", "T07")
    assert berlin.assumed_zone


@pytest.mark.parametrize("form", [int, float, str, lambda value: f"{value}.0"])
@pytest.mark.parametrize("units", [1, 1_000, 1_000_000, 1_000_000_000])
def test_epochs_of_every_unit_and_type(units, form):
    assert times.read(form(S * units)) == times.Instant(T, epoch=True)


@pytest.mark.parametrize(
    ("came", "told", "cut"),
    [
        (S + 0.5, "2026-01-05T08:00:00.500000Z", None),
        (S + 0.123456, "2026-01-05T08:00:00.123456Z", None),
        (f"{S}.123456", "2026-01-05T08:00:00.123456Z", None),
        (f"{S}.123456789", "2026-01-05T08:00:00.123456Z", f"{S}.123456789"),
        (S * 1000 + 123, "2026-01-05T08:00:00.123000Z", None),
        (S * 1000 + 123.5, "2026-01-05T08:00:00.123500Z", None),
        (S * 10**6 + 123456, "2026-01-05T08:00:00.123456Z", None),
        (S * 10**9 + 123456000, "2026-01-05T08:00:00.123456Z", None),
        (S * 10**9 + 123456789, "2026-01-05T08:00:00.123456Z", "1767600000123456789"),
        (str(S * 10**9 + 999), T, "1767600000000000999"),
        ("2026-01-05T08:00:00.1234567Z", "2026-01-05T08:00:00.123456Z", "2026-01-05T08:00:00.1234567Z"),
        ("2026-01-05T08:00:00.12345678Z", "2026-01-05T08:00:00.123456Z", "2026-01-05T08:00:00.12345678Z"),
        ("2026-01-05T08:00:00.999999999Z", "2026-01-05T08:00:00.999999Z", "2026-01-05T08:00:00.999999999Z"),
    ],
)
def test_digits_below_a_microsecond_are_cut_and_the_original_is_told(came, told, cut):
    found = times.read(came)
    assert (found.text, found.cut) == (told, cut)


@pytest.mark.parametrize(
    "came",
    [
        "", " ", "now", "yesterday", "2026-01-05", "20260105T080000Z", "2026-1-5T08:00:00Z", "05/01/2026 08:00",
        "2026-01-05T24:00:00Z", "2026-01-05T25:00:00Z", "2026-01-05T08:60:00Z", "2026-01-05T08:00:61Z",
        "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z",
        "2026-00-10T00:00:00Z", "2026-01-32T00:00:00Z", "0000-01-01T00:00:00Z", "2026-01-05T12:30:60Z",
        "2026-01-05T08:00:00+24:00", "2026-01-05T08:00:00+02:60", "2026-01-05T08:00:00+2", "2026-01-05T08:00:00 CET",
        "2026-01-05T08:00:00ZZ", "2026-01-05T08:00:00.Z", "2026-01-05T08:00:00.1234567890123Z", "2026-W01-1T08:00:00Z",
        "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00", "\uff12026-01-05T08:00:00Z", "2026-01-05T08:00:00Z\n;",
        "17/May/2015:10:05:03 +0000", "Mon, 05 Jan 2026 08:00:00 GMT", "1767600000s", "-1767600000", "+1767600000",
        "1.7676e9", "0x69", "946684799", "NaN", "Infinity", "True",
        0, 1, -1, 946_684_799, -S, 20260105, 1e30, float("inf"), float("nan"), 10**25, 4_102_444_800, 0.5,
        None, True, False, [], {}, ["2026-01-05T08:00:00Z"], {"$date": "2026-01-05T08:00:00Z"},
    ],
)  # fmt: skip
def test_anything_else_is_a_bad_time(came):
    with pytest.raises(Rejected) as refused:
        times.read(came)
    assert refused.value.code == "bad_time"
    assert "ts: expected an RFC 3339 time" in str(refused.value)


instants = st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30))


@settings(deadline=None)
@given(instants, st.integers(-14 * 60, 14 * 60), st.sampled_from(["T", " ", "t"]))
def test_any_offset_names_the_same_instant(moment, minutes, between):
    zone = timezone(timedelta(minutes=minutes))
    local = moment.replace(tzinfo=UTC).astimezone(zone)
    found = times.read(local.isoformat(sep=between))
    assert datetime.fromisoformat(found.text).replace(tzinfo=None) == moment
    assert found == times.Instant(moment.isoformat(timespec="microseconds") + "Z")


@settings(deadline=None)
@given(instants)
def test_any_epoch_is_told_apart_by_its_size(moment):
    micros = (moment - EPOCH) // timedelta(microseconds=1)
    told = moment.isoformat(timespec="microseconds") + "Z"
    assert times.read(micros).text == told
    assert times.read(str(micros * 1000)).text == told
    assert times.read(micros / 1_000_000).text == told
    assert times.read(micros // 1_000_000).text == moment.isoformat(timespec="seconds") + ".000000Z"


@settings(deadline=None)
@given(st.text(max_size=40) | st.integers() | st.floats() | st.from_regex(r"\A[0-9TtZz:. +,-]{1,40}\Z"))
def test_whatever_comes_gives_a_canonical_time_or_a_bad_time(came):
    try:
        found = times.read(came)
    except Rejected as refused:
        found = refused.code
    assert found == "bad_time" or (times.read(found.text).text == found.text and len(found.text) == len(T))


@pytest.mark.parametrize(
    ("name", "told"), [("UTC", "08"), ("utc", "08"), ("Z", "08"), ("+02:00", "06"), ("-0330", "11")]
)
def test_zones_by_name_and_offset(name, told):
    assert times.read("2026-01-05 08:00", times.zone(name)).text[11:13] == told


def test_a_zone_that_does_not_exist_is_an_error_of_the_call():
    with pytest.raises(UsageError, match="no time zone 'Mars/Base'"):
        times.zone("Mars/Base")
    for name in ("../etc/passwd", "+25:00", "+01:75", ""):
        with pytest.raises(UsageError):
            times.zone(name)
