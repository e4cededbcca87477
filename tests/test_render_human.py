"""What people read: rounding, units, separators."""

import math
import re
from datetime import datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evlog.render import human

UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1, "ms": Fraction(1, 1000)}


def test_counts_have_separators():
    assert [human.count(n) for n in (0, 999, 1000, 1234567, -1000, 10**20)] == [
        "0", "999", "1,000", "1,234,567", "-1,000", "100,000,000,000,000,000,000",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fraction", "percent"),
    [
        (0, "0.0%"), (1, "100.0%"), (0.5, "50.0%"), (120 / 380, "31.6%"), (180 / 380, "47.4%"), (70 / 450, "15.6%"),
        (0.0005, "0.1%"), (0.00049, "0.0%"), (0.8445, "84.5%"), (0.1225, "12.3%"), (-0.1225, "-12.3%"), (12.5, "1,250.0%"),
        (-0.0001, "0.0%"), (math.inf, "inf"), (1e300, "1e+300"),
    ],
)  # fmt: skip
def test_a_rate_is_percent_with_one_decimal_half_away_from_zero(fraction, percent):
    assert human.rate(fraction) == percent


@given(st.integers(1, 10**6), st.data())
def test_a_rate_is_rounded_as_its_integers_are(whole, data):
    part = data.draw(st.integers(0, whole))
    tenths = (2000 * part + whole) // (2 * whole)
    assert human.rate(part / whole) == f"{tenths // 10}.{tenths % 10}%"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (0.0001, "<1ms"), (0.0005, "1ms"), (0.85, "850ms"), (0.9996, "1s"), (1, "1s"), (4.25, "4.3s"),
        (9.96, "10s"), (10.4, "10s"), (45, "45s"), (59.5, "1m"), (270, "4m 30s"), (3599.4, "59m 59s"), (3599.5, "1h"), (7500, "2h 5m"),
        (86399, "1d"), (183600, "2d 3h"), (86400 * 1200, "1,200d"), (-270, "-4m 30s"), (math.inf, "infs"), (1e300, "1e+300s"),
    ],
)  # fmt: skip
def test_a_duration_has_its_two_largest_units(seconds, text):
    assert human.duration(seconds) == text


@given(st.floats(0.001, 1e9))
def test_a_duration_is_true_to_half_its_smallest_unit(seconds):
    text = human.duration(seconds)
    parts = re.findall(r"([\d,.]+)([a-z]+)", text)
    told = sum(Fraction(number.replace(",", "")) * UNITS[unit] for number, unit in parts)
    step = Fraction(1, 1000) if seconds < 1 else Fraction(1, 10) if seconds < 10 else 1 if seconds < 3600 else 60
    assert abs(told - Fraction(seconds)) <= Fraction(1800 if seconds >= 86400 else step / 2) + Fraction(1, 10**6)
    assert len(parts) <= 2


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (123_456_789, "123.5 MB"),
        (10**18, "1000.0 PB"),
    ],
)
def test_sizes_are_decimal(octets, text):
    assert human.size(octets) == text


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        (12.345, None, "12.3"), (1.005, None, "1.01"), (0.0405, None, "0.041"), (3.0, None, "3"), (-0.0, None, "0"), (-0.04, 1, "0.0"),
        (1234567.25, None, "1,234,567.3"), (2.5, 0, "3"), (-2.5, 0, "-3"), (1e300, None, "1e+300"), (math.nan, None, "nan"), (5, 2, "5.00"),
    ],
)  # fmt: skip
def test_a_number_has_the_decimals_its_size_deserves(value, places, text):
    assert human.number(value, places=places) == text


def test_a_column_of_numbers_shares_its_decimals():
    assert [human.places_for(v) for v in ([], [1.0, 2.0], [0.5], [0.5, 3.25], [0.5, 300.25], [math.nan, math.inf])] == [
        0,
        0,
        3,
        2,
        1,
        0,
    ]


def test_instants_and_flags():
    moment = datetime(2026, 3, 1, 4, 5, 6, 789)
    assert (human.instant(moment), human.instant(moment, short=True)) == ("2026-03-01 04:05:06", "2026-03-01 04:05")
    assert (human.flag(value=True), human.flag(value=0)) == ("yes", "no")
