"""Days with more or fewer events than their weekday has: against arithmetic of its own, and through the command."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import storekit as kit
from checkup import Desk, desk, event
from hypothesis import given, settings
from hypothesis import strategies as st

from evlog.check.volume import usual

__all__ = ["desk"]
COUNTS = st.lists(st.integers(0, 5_000), min_size=0, max_size=8)


def middle(values: list[float]) -> float:
    """The median, by counting who is below and above."""
    ordered = sorted(values)
    below, above = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return (below + above) / 2


@settings(max_examples=200, deadline=None)
@given(COUNTS, st.integers(0, 10_000), st.floats(0.1, 20))
def test_what_a_weekday_usually_holds(counts, count, limit):
    found = usual(counts)
    if len(counts) < 4 or middle(counts) == 0:
        assert found is None
        return
    m = middle(counts)
    spread = max(1.4826 * middle([abs(c - m) for c in counts]), m**0.5, 0.05 * m)
    assert found is not None
    assert (found.middle, found.spread) == (pytest.approx(m), pytest.approx(spread))
    low, high = found.range(limit)
    assert (low, high) == (pytest.approx(max(m - limit * spread, 0)), pytest.approx(m + limit * spread))
    off = abs(count - m) / spread
    assert found.off(count) == pytest.approx(off)
    if abs(off - limit) > 1e-6 and low > 0:
        assert (low <= count <= high) == (off <= limit)


def history(weekday: list[int], other: int = 20) -> list[dict]:
    """Weeks up to Tuesday 2026-03-10: Tuesdays with these counts, all other days with the same."""
    end, found = date(2026, 3, 10), []
    for back in range(7 * len(weekday)):
        day = end - timedelta(days=back)
        count = weekday[-1 - back // 7] if day.weekday() == 1 else other
        moment = datetime(day.year, day.month, day.day, 9)
        found += [event(f"{day}-{n}", moment + timedelta(seconds=n)) for n in range(count)]
    return found


def volume(desk: Desk, *words: str) -> tuple[int, dict, str]:
    code, found, err = desk.checked("--only", "volume", *(words or ("--as-of", "2026-03-10")))
    return code, found["volume"], err


@pytest.mark.parametrize(
    ("last", "verdict"), [(100, "ok"), (110, "ok"), (40, "failed"), (170, "failed"), (0, "failed")]
)
def test_a_day_is_held_against_its_own_weekday(desk, last, verdict):
    tuesdays = [98, 102, 96, 104, 100, 99, 101, 100, last]
    desk.ingest(*history([50, *tuesdays]))
    code, found, err = volume(desk)
    expected = abs(last - 100) / max(1.4826 * 1.0, 10.0, 5.0)  # their median is 100, its root 10
    assert (code, found["verdict"]) == (int(verdict == "failed"), verdict)
    if verdict == "failed":
        assert found["value"] == pytest.approx(expected)
        assert (found["since"], found["until"]) == ("2026-03-10", None)
        assert f"{last} events on 2026-03-10, expected 65 to 135 (of 8 Tuesdays before)" in err
        assert volume(desk, "--as-of", "2026-03-10", "--volume", "20")[0] == 0


def test_a_quiet_weekend_is_none(desk):
    desk.ingest(*(one for one in history([100] * 9) if not one["event_id"].startswith(("2026-03-08", "2026-03-07"))))
    code, found, _ = volume(desk)
    assert (code, found["since"], found["until"]) == (1, "2026-03-07", "2026-03-08")
    weekdays = [one for one in history([30] * 9, 30) if date.fromisoformat(one["event_id"][:10]).weekday() < 5]
    desk.evlog("ingest", "--data", "other", "--quiet")
    desk.ingest(*weekdays)
    desk.monkeypatch.setenv("EVLOG_DATA", "other")
    desk.ingest(*weekdays)
    code, found, _ = volume(desk)
    assert (code, found["verdict"]) == (0, "ok")


def test_a_day_that_runs_is_not_judged_and_a_short_history_judges_nothing(desk):
    desk.ingest(*history([100] * 8 + [1]))
    assert volume(desk, "--as-of", "2026-03-10T23:00:00Z")[0] == 0
    assert volume(desk, "--as-of", "2026-03-10")[0] == 1
    assert volume(desk, "--as-of", "2026-02-10", "--days", "1")[1]["value"] == 0  # of four Tuesdays, not of eight
    code, found, _ = volume(desk, "--as-of", "2026-02-03", "--days", "1")  # three Tuesdays before, and the first day
    assert (code, found["verdict"]) == (0, "no data")


def test_what_was_purged_is_not_taken_for_days_without_events(desk):
    desk.ingest(*history([100] * 12))
    assert volume(desk)[0] == 0
    kit.here(Path("evlog-data"), "purge", "2026-01-26")
    assert volume(desk)[1]["verdict"] == "ok"
    kit.here(Path("evlog-data"), "purge", "2026-02-10")
    assert volume(desk)[1]["verdict"] == "no data"
    Path("old.ndjson").write_text(json.dumps(event("late", "2026-01-12T09:00:00Z")) + "\n")
    assert desk.evlog("ingest", "old.ndjson", "--backfill")[0] == 0
    assert volume(desk)[1]["verdict"] == "no data"
