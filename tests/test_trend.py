"""Trends against brute force: periods, measures, slope, growth, forecast."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import measures as oracle
from questions import answers
from test_measures import close, measured
from torture import much

from evlog.kernel.forecast import forecast, least, slope
from evlog.query.measure import MEASURES

DAY = timedelta(1)


@settings(max_examples=much(45, 5), deadline=None)
@given(
    measured(["open", "send"]),
    st.booleans(),
    st.sampled_from(["day", "week", "month"]),
    st.lists(st.sampled_from(MEASURES), min_size=1, max_size=4, unique=True),
)
def test_a_trend_is_what_brute_force_finds(tmp_path_factory, question, cold, unit, names):
    events, scope = question
    options = {"of": "v", "measure": tuple(names), "period": unit, "compare": True}
    (result,) = answers(tmp_path_factory, events, scope, cold, trend=options)
    expected = oracle.trend(events, scope, unit, names)
    assert list(result.rows) == close(expected)
    window = scope.window
    whole = [n for n, row in enumerate(expected) if window.first <= row[0] and _end(row[0], unit) <= window.last]
    points = [
        (n, expected[n][2]) for n in whole if window.over(_end(expected[n][0], unit)) and expected[n][2] is not None
    ]
    told = oracle.slope(points)
    assert result.summary["slope"] == (None if told is None else pytest.approx(float(told), rel=1e-9, abs=1e-9))
    length = (window.last - window.first).days + 1
    now = oracle.total(events, scope, window.first, window.last, names[0])
    previous = oracle.total(events, scope, window.first - length * DAY, window.first - DAY, names[0])
    delta = None if None in (now, previous) else now - previous
    growth = delta / abs(previous) if delta is not None and previous else None
    assert close([tuple(result.summary[key] for key in ("now", "previous", "delta", "growth"))]) == [
        tuple(
            None if v is None else pytest.approx(float(v), rel=1e-9, abs=1e-9) for v in (now, previous, delta, growth)
        )
    ]
    assert result.partial == {n for n, row in enumerate(expected) if not window.over(_end(row[0], unit))}
    assert result.complete == (not result.partial)


def _end(begin, unit):
    if unit == "month":
        return (begin + 31 * DAY).replace(day=1) - DAY
    return begin + (6 * DAY if unit == "week" else 0 * DAY)


@settings(max_examples=much(18, 2), deadline=None)
@given(measured(["open", "send"]), st.booleans())
def test_without_a_property_events_and_users_are_counted(tmp_path_factory, question, cold):
    events, scope = question
    trend, dau = answers(tmp_path_factory, events, scope, cold, trend={"measure": ("users", "count")}, events={})
    assert list(trend.rows) == [
        (day, n, users, n) for day, n, users in oracle.trend(events, scope, "day", ["users"], of=False)
    ]
    assert sum(row[1] for row in trend.rows) == dau.summary["events"]  # additive; users are not
    assert trend.events_read == dau.events_read


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.none() | st.integers(-9, 99) | st.floats(-1e3, 1e3), max_size=40),
    st.sampled_from([1, 7]),
    st.integers(1, 20),
)
def test_a_forecast_is_its_rule_value_by_value(series, season, ahead):
    found = forecast(series, season, ahead)
    expected = oracle.forecast(series, season, ahead)
    if expected is None:
        assert found is None
        return
    assert len(found) == ahead
    assert [(one.expected, one.low, one.high) for one in found] == [pytest.approx(row, abs=1e-6) for row in expected]
    assert all(one.low <= one.expected + 1e-6 and one.expected <= one.high + 1e-6 for one in found) or len(series) < 12


@pytest.mark.parametrize("season", [1, 7])
def test_a_forecast_needs_two_seasons_and_seven_changes(season):
    need = least(season)
    assert need == max(2 * season, season + 7)
    assert forecast([1.0] * (need - 1), season, 1) is None
    assert forecast([1.0] * need, season, 1) is not None


@given(st.integers(-5, 5), st.lists(st.integers(-9, 9), min_size=7, max_size=7), st.integers(2, 5), st.integers(1, 20))
def test_what_repeats_every_week_and_drifts_evenly_is_foreseen_without_error(drift, week, weeks, ahead):
    series = [float(week[n % 7] + drift * (n // 7)) for n in range(7 * weeks + ahead)]
    found = forecast(series[: 7 * weeks], 7, ahead)
    assert [one.expected for one in found] == pytest.approx(series[7 * weeks :])
    assert all(one.low == pytest.approx(one.high) for one in found)


@given(st.integers(-9, 9), st.integers(-9, 9), st.sets(st.integers(0, 50), min_size=2))
def test_the_slope_of_a_line_is_its_own(steep, level, places):
    assert slope([(x, steep * x + level) for x in places]) == pytest.approx(steep)


def test_the_slope_of_a_point_is_unknown():
    assert slope([(3, 1.0)]) is None
    assert slope([]) is None
