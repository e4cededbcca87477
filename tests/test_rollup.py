"""Rollups: a section is what its report says of that period; what changed is counted again, and nothing else is."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import feed
import logs
import pytest
import questions
import rollups as kept
import storekit as kit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import people
from oracle import rollup as oracle
from rollups import TODAY, asked, held, numbers, value
from storekit import DAY_1, DAY_2, DAY_3, event
from torture import much

from evlog import purge, reports, rollup
from evlog.ingest.rules import Rules
from evlog.person import erase, link
from evlog.query import rolled
from evlog.query.ask import ask
from evlog.query.scope import Pair
from evlog.query.standing import Standing, of_series, of_table
from evlog.reports import lifecycle
from evlog.rollup import count as counting
from evlog.rollup import run as running
from evlog.rollup.questions import HOURS, QUALITY, standing
from evlog.store import journal, layout, linked, locks, rollups, tombstones

if TYPE_CHECKING:
    from evlog.store.layout import Store

quick = feed.quick
DAY = timedelta(days=1)
PAIRS = (Pair("start", "stop"),)
FUNNEL = Standing(
    "funnel",
    grains=("day", "week", "month"),
    key=("step", "event"),
    metrics={"users": "users", "median_s": "median_s"},
    options={"steps": ["seen", "stop"], "window": "2d"},
    grain_option="per",
    period="period",
    onward=3,
)


FEW = (HOURS, QUALITY, rolled.DAU, rolled.WAU, rolled.MAU, rolled.EVENTS, *lifecycle.ROLLUP)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few questions of each kind: what is counted again, and when, is no matter of the report."""
    monkeypatch.setattr(running, "standing", lambda more: sorted((*FEW, *more), key=lambda one: one.name))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = layout.create(tmp_path / "s")
    kit.ingest(made, event("1"), event("2", user="ann"), event("3", DAY_2), event("4", DAY_3, user="ann"))
    return made


# -- what a section says -------------------------------------------------------------------------------------------------


def told(store: Store, scope: Any, one: Standing, period: rollups.Period) -> Any:
    """The records that the report's own answer to just this period makes, read from events."""
    narrow = replace(scope, window=replace(scope.window, first=period.first, last=period.last))
    module = reports.load(one.report)
    options = {**one.options} if one is FUNNEL else one.asked(period.grain)
    found = ask(store, narrow, module.report, limits=questions.ONE_THREAD, rollups=False, **options)
    return of_table(one, found) if one.key else of_series(one, found).get(period.first, ())


@pytest.mark.long
@settings(max_examples=much(18, 2), deadline=None, suppress_health_check=list(HealthCheck))
@given(questions.questions(["seen", "start", "stop"]), st.booleans(), st.randoms(use_true_random=False))
def test_every_section_is_what_its_report_says_of_that_period(tmp_path_factory, found, cold, dice) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "standing", standing)
        every_section(tmp_path_factory, found, cold=cold, dice=dice)


def every_section(tmp_path_factory: Any, found: Any, *, cold: bool, dice: Any) -> None:
    events, scope = found
    scope = replace(scope, where=(), include_anon=False, pairs=PAIRS)
    store = logs.store(tmp_path_factory.mktemp("store"), events, cold=cold)
    rollup.roll(store, rollup.Asked(scope, more=(FUNNEL,)))
    known, sections = {one.name: one for one in standing((FUNNEL,))}, held(store)
    happened = people.seen(events, scope)
    days = set(spread(min(e["date"] for e in happened), scope.window.today)) if happened else set()
    assert {day for grain, day, name in sections if (grain, name) == ("day", "dau")} == days
    periods = {(one.grain, one.first): one for one, _ in map(rollups.read, rollups.files(store).values())}
    for grain, first, name in dice.sample(sorted(sections), min(12, len(sections))):
        period, records = periods[grain, first], sections[grain, first, name].records
        if name in {"hours", "quality"}:
            narrow = replace(scope, window=replace(scope.window, first=period.first, last=period.last))
            {"hours": assert_hours, "quality": assert_quality}[name](records, events, narrow)
        else:
            assert records == told(store, scope, known[name], period), (grain, first, name)


def acts(day: date, number: int) -> list[dict[str, Any]]:
    """What some people and nobody do on a day, as all tables count it."""
    said = {"target_type": "page", "target_id": f"{number % 2}", "category": "a" * (number % 3 + 1), "feature": "f"}
    return [
        event(f"{number}-start", day, event_type="start", **said),
        event(f"{number}-stop", day, user="ann", event_type="stop", **said),
        event(f"{number}-again", day, user="ann", event_type="start", target_id="1", session_id="s"),
        event(f"{number}-error", day, event_type="error", target_id="1", properties={"status": 500 + number % 2}),
        event(f"{number}-odd", day, user="ann", event_type="error", properties={"status": "odd", "message": "no"}),
        event(f"{number}-nobody", day, user=None, anonymous_id="phone", event_type="stop", target_type="page"),
    ]


@pytest.mark.parametrize("pairs", [PAIRS, ()])
@pytest.mark.parametrize("tz", ["UTC", "America/New_York"])
def test_tables_of_many_periods_say_what_the_report_says_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tz: str, pairs: Any
) -> None:
    tables = [one for one in standing(()) if one.key]
    monkeypatch.setattr(running, "standing", lambda more: tables)
    made = layout.create(tmp_path / "s")
    first = date(2025, 12, 29)
    for number in (0, 1, 4, 9):  # days without events in between
        kit.ingest(made, *acts(first + number * DAY, number))
    scope = kept.scope(first + 12 * DAY, tz=tz, pairs=pairs)
    rollup.roll(made, rollup.Asked(scope))
    known, sections = {one.name: one for one in tables}, held(made)
    periods = {(one.grain, one.first): one for one, _ in map(rollups.read, rollups.files(made).values())}
    assert {name for _, _, name in sections} == known.keys()
    for (grain, day, name), section in sections.items():
        assert section.records == told(made, scope, known[name], periods[grain, day]), (grain, day, name)


def test_days_without_events_are_asked_of_no_more_than_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    spans: list[tuple[date, date]] = []
    known = counting.Counter.question

    def noted(self: Any, first: date, last: date) -> Any:
        spans.append((first, last))
        return known(self, first, last)

    monkeypatch.setattr(running, "standing", lambda more: (rolled.EVENTS,))
    monkeypatch.setattr(counting.Counter, "question", noted)
    rollup.roll(store, asked(TODAY), grains=("day",))
    near = len(spans)
    rollup.roll(store, asked(TODAY + 90 * DAY), grains=("day",))
    assert len(spans) - near <= near + 2  # further periods come in further commits
    assert len(held(store)) > 90


def spread(first: date, last: date) -> list[date]:
    return [first + timedelta(n) for n in range((last - first).days + 1)]


def assert_hours(records: Any, events: Any, scope: Any) -> None:
    wanted = oracle.hours(events, scope)
    counted = {(one.hour, one.of or None, one.metric): one.value for one in records}
    for (at, kind), (count, users) in wanted.items():
        assert counted.pop((at.isoformat() + "Z", kind, "events")) == count
        assert counted.pop((at.isoformat() + "Z", kind, "users")) == users
    assert set(counted.values()) <= {0}
    assert {kind for _, kind, _ in counted} <= {None}


def assert_quality(records: Any, events: Any, scope: Any) -> None:
    figures = {one.metric: one.value for one in records if one.metric != "rejected"}
    assert figures == pytest.approx(oracle.quality(events, scope, logs.RECEIVED))


def test_a_day_has_the_hours_of_its_clocks(tmp_path: Path) -> None:
    text = "2026-03-29 00:30 ann seen\n2026-03-29 01:30 ann seen\n2026-10-25 00:10 ann seen\n2026-10-25 01:10 bob seen"
    store = logs.store(tmp_path / "s", logs.events(text))
    rollup.roll(store, asked(date(2026, 10, 26), tz="Europe/Berlin"), grains=["hour"])

    def hours(day: date) -> dict[str, float | None]:
        records = held(store)["hour", day, "hours"].records
        return {one.hour: one.value for one in records if one.metric == "events" and not one.dimension}

    spring, autumn = hours(date(2026, 3, 29)), hours(date(2026, 10, 25))
    assert (len(spring), len(autumn)) == (23, 25)
    assert [at for at, count in spring.items() if count] == ["2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"]
    assert [at for at, count in autumn.items() if count] == ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"]


def test_hours_to_come_are_not_counted(store: Store) -> None:
    rollup.roll(store, asked(datetime(2026, 1, 5, 10, 30)), grains=["hour"])
    records = held(store)["hour", DAY_1, "hours"].records
    assert max(one.hour for one in records) == "2026-01-05T10:00:00Z"


def test_what_was_refused_is_counted_on_its_day_and_told_when_more_is(store: Store) -> None:
    kit.ingest(store, event("5", DAY_2, user="null"), event("6", DAY_2, user="undefined"))
    rollup.roll(store, asked())
    kit.ingest(store, event("7", DAY_2, user="none"))
    done = rollup.roll(store, asked())
    assert [(one.period, one.metric, one.of, one.old, one.new, one.why) for one in done.changed] == [
        ("2026-01-06", "rejected", "", 2, 3, "rejects"),
        ("2026-01-06", "rejected", "placeholder_user", 2, 3, "rejects"),
    ]


# -- what is counted again -----------------------------------------------------------------------------------------------

_steps = st.one_of(
    st.tuples(
        st.just("ingest"), st.integers(0, 9), st.sampled_from(["ann", "bob", None]), st.sampled_from(["x", "y", None])
    ),
    st.tuples(st.just("roll"), st.integers(0, 12), st.just(0), st.just(0)),
    st.tuples(st.just("compact"), st.integers(0, 9), st.just(0), st.just(0)),
    st.tuples(st.just("link"), st.just(0), st.sampled_from(["x", "y"]), st.sampled_from(["ann", "cid"])),
    st.tuples(st.just("unlink"), st.just(0), st.sampled_from(["x", "y"]), st.just(0)),
    st.tuples(st.just("erase"), st.just(0), st.sampled_from(["ann", "bob"]), st.just(0)),
)


def do(store: Store, number: int, step: Any, zone: str) -> None:
    what, offset, one, other = step
    day = DAY_1 + timedelta(offset)
    if what == "ingest":
        who = {"user": one, "anonymous_id": other, "event_type": ("seen", "start", "stop")[number % 3]}
        kit.ingest(store, {**event(f"e{number}", day, **who), "ts": f"{day}T{number % 24:02}:30:00Z"})
    elif what == "roll":
        rollup.roll(store, asked(day, tz=zone, pairs=PAIRS, more=(FUNNEL,)))
    elif what == "compact":
        kit.here(store.root, "compact", str(day))
    elif what == "link":
        with suppress(link.Erased):
            link.link(store, one, other, now=datetime(2026, 1, 20))
    elif what == "unlink":
        link.unlink(store, one, now=datetime(2026, 1, 20))
    else:
        erase.erase(store, one)


@pytest.mark.long
@settings(max_examples=much(24, 2), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(_steps, min_size=3, max_size=9), st.sampled_from(["UTC", "America/New_York"]))
def test_after_any_history_what_was_counted_bit_by_bit_is_what_is_counted_at_once(history: Any, zone: str) -> None:
    with tempfile.TemporaryDirectory(dir=kit.FAST) as folder:
        store = layout.create(Path(folder) / "s")
        for number, step in enumerate([*history, ("roll", 10, 0, 0)]):
            do(store, number, step, zone)
        known, bit_by_bit = held(store), kept.content(store)
        assert rollup.roll(store, asked(DAY_1 + 10 * DAY, tz=zone, pairs=PAIRS, more=(FUNNEL,))).periods == 0
        assert kept.content(store) == bit_by_bit
        shutil.rmtree(store.rollups)
        at_once = layout.open_store(store.root)
        do(at_once, 99, ("roll", 10, 0, 0), zone)
        wanted = numbers(at_once)
        assert {key: known[key].records for key in wanted if key in known} == wanted


def test_a_rerun_changes_no_byte_and_makes_no_commit(store: Store) -> None:
    rollup.roll(store, asked())
    before, batch = kept.content(store), journal.newest(store)
    done = rollup.roll(store, asked())
    assert (done.periods, done.records, done.changed) == (0, 0, ())
    assert (kept.content(store), journal.newest(store)) == (before, batch)


@pytest.mark.long
def test_a_late_event_changes_its_day_and_the_windows_that_cover_it_and_says_so(store: Store) -> None:
    rollup.roll(store, asked())
    before = held(store)
    kit.ingest(store, event("late", DAY_1, user="cid"))
    done = rollup.roll(store, asked())
    assert {one.why for one in done.changed} == {"late events"}
    assert kept.days(done, "dau") == ["2026-01-05"]
    assert kept.days(done, "wau") == [f"2026-01-{day:02}" for day in range(5, 12)]
    assert kept.days(done, "mau") == [f"2026-01-{day:02}" for day in range(5, 21)]
    (dau,) = [one for one in done.changed if one.metric == "dau"]
    assert (dau.old, dau.new) == (2, 3)
    again = {key for key, one in held(store).items() if one.batch != before[key].batch}
    assert {day for grain, day, name in again if grain == "day" and name in {"dau", "events", "quality"}} == {DAY_1}
    assert {day for grain, day, name in again if grain == "hour"} == {DAY_1}
    assert {day for grain, day, name in again if (grain, name) == ("week", "events")} == {DAY_1}
    kit.sound(store)


@pytest.mark.long
def test_a_late_event_after_the_last_word_is_told_too(store: Store) -> None:
    first = rollup.roll(store, asked(date(2026, 3, 1)))
    assert (first.provisional, first.frozen) == (7, 0)  # the last two days and the hours of these, the week, the months
    kit.ingest(store, event("late", DAY_1, user="cid"))
    done = rollup.roll(store, asked(date(2026, 3, 1)))
    assert kept.days(done, "dau") == ["2026-01-05"]


def test_what_came_into_a_running_day_is_not_late(store: Store) -> None:
    rollup.roll(store, asked(datetime(2026, 1, 7, 12)))
    kit.ingest(store, event("new", DAY_3, user="bob"))
    done = rollup.roll(store, asked(datetime(2026, 1, 7, 13)))
    assert {one.why for one in done.changed} == {"new"}
    assert kept.days(done, "dau") == ["2026-01-07"]


def test_a_day_that_was_running_is_counted_again_once_it_is_over(store: Store) -> None:
    kit.ingest(store, {**event("evening", DAY_3, user="cid"), "ts": f"{DAY_3}T22:00:00Z"})
    rollup.roll(store, asked(datetime(2026, 1, 7, 12)))
    assert value(store, "day", DAY_3, "dau", "dau") == 1
    done = rollup.roll(store, asked(DAY_3))
    assert value(store, "day", DAY_3, "dau", "dau") == 2
    assert {one.why for one in done.changed if one.period == "2026-01-07"} == {"final"}


@pytest.mark.long
def test_an_earlier_instant_may_play_now(store: Store) -> None:
    rollup.roll(store, asked(DAY_2))
    early = kept.content(store)
    rollup.roll(store, asked())
    rollup.roll(store, asked(DAY_2))
    assert {day for grain, day, _ in held(store) if grain == "day"} == set(spread(DAY_1, TODAY))
    shutil.rmtree(store.rollups)
    rollup.roll(layout.open_store(store.root), asked(DAY_2))
    now = kept.content(store)
    assert {key: now[key] for key in early if "UTC" in key and "day" in key}.keys() == {
        key for key in now if "UTC" in key and "day" in key
    }


@pytest.mark.long
def test_an_erased_user_changes_the_days_with_events_of_theirs(store: Store) -> None:
    rollup.roll(store, asked())
    erase.erase(store, "ann")
    done = rollup.roll(store, asked())
    assert {one.why for one in done.changed} == {"erasure"}
    assert kept.days(done, "dau") == ["2026-01-05", "2026-01-07"]
    assert b"ann" not in feed.bytes_of(store)


@pytest.mark.long
def test_a_plan_that_says_otherwise_counts_all_again(store: Store) -> None:
    rollup.roll(store, asked(more=(FUNNEL,)))
    done = rollup.roll(store, asked(more=(FUNNEL,), inactive=("seen",)))
    assert {one.why for one in done.changed} == {"plan"}
    assert [(one.old, one.new) for one in done.changed if (one.metric, one.period) == ("dau", "2026-01-05")] == [(2, 0)]
    assert len({one.definition for key, one in held(store).items() if key[2] == "dau"}) == 1


def test_a_funnel_that_the_plan_does_not_name_any_more_falls(store: Store) -> None:
    rollup.roll(store, asked(more=(FUNNEL,)))
    assert ("day", DAY_1, FUNNEL.name) in held(store)
    rollup.roll(store, asked())
    assert not [key for key in held(store) if key[2] == FUNNEL.name]


def test_a_range_and_a_grain_are_counted_alone(store: Store) -> None:
    rollup.roll(store, asked(), grains=["day"], first=DAY_2, last=DAY_3)
    assert {(grain, day) for grain, day, _ in held(store)} == {("day", DAY_2), ("day", DAY_3)}
    rollup.roll(store, asked(), grains=["week"], first=DAY_2, last=DAY_2)
    rollup.roll(store, asked(), grains=["month"], first=DAY_2, last=date(2027, 1, 1))
    assert {day for grain, day, _ in held(store) if grain == "month"} == {date(2026, 1, 1)}
    assert {day for grain, day, _ in held(store) if grain == "week"} == {DAY_1}


def test_an_empty_store_has_nothing_to_count(tmp_path: Path) -> None:
    store = layout.create(tmp_path / "s")
    assert rollup.roll(store, asked()) == rollup.Done()
    assert rollup.plan(store, asked()) == ()
    kit.ingest(store, event("1"))
    assert rollup.roll(store, asked(DAY_1 - DAY)).periods == 0


def test_a_plan_says_what_will_be_done_and_changes_nothing(store: Store) -> None:
    before = kit.tree(store.root)
    due = rollup.plan(store, asked())
    assert kit.tree(store.root) == before
    done = rollup.roll(store, asked())
    assert len(due) == done.periods == len(rollups.files(store))
    assert {one.why for one in due} == {"new"}
    assert rollup.plan(store, asked()) == ()
    kit.ingest(store, event("late"))
    again = rollup.plan(store, asked(), grains=["day"], last=DAY_1)
    assert [(one.period, one.why) for one in again] == [(DAY_1, "late events")]


# -- who is who ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def strangers(tmp_path: Path) -> Store:
    made = layout.create(tmp_path / "s")
    kit.ingest(made, event("1", user=None, anonymous_id="device-1"), event("2", DAY_2, user="ann"))
    kit.ingest(made, event("3", DAY_3, user=None, anonymous_id="device-2"))
    rollup.roll(made, asked())
    return made


@pytest.mark.long
def test_an_event_with_both_ids_changes_the_days_before_on_which_the_one_was_nobody(strangers: Store) -> None:
    kit.ingest(strangers, event("login", DAY_3 + DAY, user="ann", anonymous_id="device-1"))
    done = rollup.roll(strangers, asked())
    assert kept.days(done, "dau") == ["2026-01-05", "2026-01-08"]
    assert {one.why for one in done.changed if one.period == "2026-01-05" and one.grain == "day"} == {"links"}
    assert rollup.roll(strangers, asked()).periods == 0


@pytest.mark.long
def test_a_link_by_hand_and_its_being_taken_back_change_the_days_of_that_id(strangers: Store) -> None:
    before = numbers(strangers)
    link.link(strangers, "device-2", "ann", now=datetime(2026, 1, 20))
    done = rollup.roll(strangers, asked())
    assert kept.days(done, "dau") == ["2026-01-07"]
    assert rollup.roll(strangers, asked()).periods == 0
    link.unlink(strangers, "device-2", now=datetime(2026, 1, 20))
    done = rollup.roll(strangers, asked())
    assert [(one.old, one.new) for one in done.changed if one.metric == "dau"] == [(1, 0)]
    assert numbers(strangers) == before
    assert rollup.roll(strangers, asked()).periods == 0
    kit.sound(strangers)


@pytest.mark.long
def test_a_link_is_not_lost_where_the_count_is_interrupted(strangers: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    link.link(strangers, "device-2", "ann", now=datetime(2026, 1, 20))

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(running.Run, "_files", interrupted)
        with pytest.raises(KeyboardInterrupt):
            rollup.roll(strangers, asked())
    done = rollup.roll(strangers, asked())
    assert kept.days(done, "dau") == ["2026-01-07"]
    assert {one.why for one in done.changed} == {"links"}


@pytest.mark.long
def test_who_is_who_is_kept_as_hashes_and_can_be_forgotten(strangers: Store) -> None:
    link.link(strangers, "device-2", "ann", now=datetime(2026, 1, 20))
    rollup.roll(strangers, asked())
    raw = (strangers.root / linked.LINKED).read_bytes()
    assert len(linked.load(strangers).entries) == 2  # with a user and without one
    assert b"device" not in raw
    assert b"ann" not in raw
    known = tombstones.load(strangers)
    assert linked.without(strangers, [known.subject("nobody")]) is None
    for one in ("device-2", "ann"):
        rest = linked.without(strangers, [known.subject(one)])
        assert rest == linked.content(replace(linked.load(strangers), entries=frozenset()))


def test_a_link_of_an_id_without_events_is_looked_at_once(strangers: Store) -> None:
    link.link(strangers, "device-9", "ann", now=datetime(2026, 1, 20))
    assert rollup.roll(strangers, asked()).periods == 0
    batch = journal.newest(strangers)
    assert rollup.roll(strangers, asked()).periods == 0
    assert journal.newest(strangers) == batch


def test_all_tables_of_who_is_who_outlive_a_question(strangers: Store) -> None:
    from evlog import engine
    from evlog.query.identity import Identity
    from evlog.rollup import count
    from evlog.store import snapshot

    link.link(strangers, "device-2", "ann", now=datetime(2026, 1, 20))
    with engine.connect(questions.ONE_THREAD) as connection:
        seen = snapshot.snapshot(strangers)
        from evlog.store import links

        Identity(connection, seen, links.seen(strangers, seen.batch) or [], until=datetime(2027, 1, 1)).whole()
        assert {name for _, name in connection.made()} == count._WHO


# -- what a purge leaves -------------------------------------------------------------------------------------------------


def purged(store: Store, before: date) -> None:
    rollup.finish(store, asked(), before=before)
    purge.apply(store, before)


@pytest.mark.long
def test_numbers_of_purged_days_stay_and_late_events_stand_beside_them(store: Store) -> None:
    purged(store, DAY_2)
    before = held(store)
    late = Rules(plan=kit.RULES.plan, backfill=True)
    kit.ingest(store, event("late", DAY_1, user="cid"), event("late-2", DAY_1, user="dan"), rules=late)
    kit.ingest(store, event("late-3", DAY_2, user="cid"))
    done = rollup.roll(store, asked(inactive=("seen",)), first=DAY_1, last=TODAY)
    after = held(store)
    for name in ("dau", "wau", "mau", "events", "quality"):
        assert after["day", DAY_1, name] == replace(before["day", DAY_1, name], late=2)
    assert after["hour", DAY_1, "hours"] == replace(before["hour", DAY_1, "hours"], late=2)
    assert after["day", DAY_2, "mau"] == replace(
        before["day", DAY_2, "mau"], late=1
    )  # its thirty days are not all there
    assert value(store, "day", DAY_2, "dau", "dau") == 0  # its own day does not
    told, _ = [one for one in done.changed if one.metric == "late" and one.grain == "day"]
    assert (told.period, told.old, told.new, told.why) == ("2026-01-05", 0, 2, "late events")
    assert done.frozen == 4  # the day, its hours, its week, its month
    content = kept.content(store)
    assert rollup.roll(store, asked(inactive=("seen",))).periods == 0
    assert kept.content(store) == content


def test_what_was_not_counted_before_a_purge_is_not_made_up_after_it(store: Store) -> None:
    purge.apply(store, DAY_2)
    rollup.roll(store, asked())
    days = {day for grain, day, name in held(store) if (grain, name) == ("day", "mau")}
    assert not days  # thirty days before each of them are not all there
    assert ("day", DAY_2, "dau") in held(store)
    assert ("day", DAY_1, "dau") not in held(store)


def test_the_last_count_takes_only_what_a_purge_will_freeze(store: Store) -> None:
    rollup.finish(store, asked(), before=DAY_2)
    found = held(store)
    assert {day for grain, day, name in found if (grain, name) == ("day", "dau")} == {DAY_1}
    assert {day for grain, day, name in found if (grain, name) == ("day", "wau")} == set(spread(DAY_1, DAY_1 + 6 * DAY))
    assert {day for grain, day, name in found if (grain, name) == ("week", "events")} == {DAY_1}


def test_the_last_count_can_be_made_under_the_lock_of_the_purge(store: Store) -> None:
    with locks.maintenance(store, "purge"):
        assert rollup.finish(store, asked(), before=DAY_2, held=True).periods
    assert value(store, "day", DAY_1, "dau", "dau") == 2


# -- crashes -------------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("when", range(4))
def test_what_is_interrupted_goes_on_and_ends_where_it_would_have(
    store: Store, monkeypatch: pytest.MonkeyPatch, when: int
) -> None:
    whole = layout.Store(shutil.copytree(store.root, store.root.with_name("whole")))
    rollup.roll(whole, asked())
    monkeypatch.setattr(running, "CHUNK", 3)
    real, calls = (journal.commit, []) if when % 2 else (journal._apply, [])

    def crashing(*args: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) > when:
            raise KeyboardInterrupt
        return real(*args, **more)

    with monkeypatch.context() as broken:
        broken.setattr(journal, real.__name__, crashing)
        with pytest.raises(KeyboardInterrupt):
            rollup.roll(store, asked())
    assert rollup.roll(store, asked()).periods
    assert numbers(store) == numbers(whole)
    kit.sound(store)


@pytest.mark.long
def test_what_comes_in_meanwhile_is_counted_next_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real = running.Run._files

    def slowly(self: Any, chunk: Any) -> Any:
        made = real(self, chunk)
        kit.ingest(store, event("meanwhile", DAY_1, user="cid"))
        return made

    with monkeypatch.context() as slow:
        slow.setattr(running.Run, "_files", slowly)
        rollup.roll(store, asked())
    assert value(store, "day", DAY_1, "dau", "dau") == 2
    rollup.roll(store, asked())
    assert value(store, "day", DAY_1, "dau", "dau") == 3


def test_questions_that_no_report_asks_are_not_among_the_reports() -> None:
    assert not {HOURS.report, QUALITY.report} & reports.names().keys()
