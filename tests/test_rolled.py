"""Answers from rollups: the same numbers as from events, told from where, and what is left of them after a purge."""

import json
import os
import shutil
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
import rollkit
import storekit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torture import much

from evlog import engine, reports, window
from evlog.cli.run import run
from evlog.engine import EngineError
from evlog.errors import StoreDamaged
from evlog.query import where
from evlog.query.ask import ask
from evlog.query.identity import Identity
from evlog.query.scope import Pair, Scope
from evlog.query.standing import Standing
from evlog.store import layout

DAY = timedelta(days=1)
AS_OF = ("--as-of", "2026-04-03T00:00:00Z")
FIRST, LAST = date(2026, 3, 23), date(2026, 3, 31)  # Berlin turns its clocks on the 29th; a week and a half
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]
PAIRS = (Pair("start", "done"),)
ASKED = [  # every report that can be rolled up, with the options under which it is
    ("dau", {}),
    ("wau", {}),
    ("wau", {"calendar": True}),
    ("mau", {}),
    ("mau", {"calendar": True}),
    ("active", {}),
    ("events", {}),
    ("usage", {}),
    ("targets", {}),
    ("top", {"key": "category"}),
    ("top", {"key": "category", "order": "users"}),
    ("errors", {}),
    ("errors", {"per_day": True}),
    ("lifecycle", {}),
    ("lifecycle", {"period": "week"}),
    ("sessions", {}),
    ("frequency", {}),
    ("dropoff", {}),
    ("retention", {"period": "day"}),
    ("retention", {"period": "week", "periods": 3}),
]
SERIES = [  # those whose rows of purged periods must be what they were, and by which column they are told
    *(("dau", {}), ("wau", {}), ("mau", {}), ("active", {}), ("lifecycle", {}), ("errors", {"per_day": True})),
    *(("sessions", {}), ("lifecycle", {"period": "week"}), ("wau", {"calendar": True}), ("frequency", {})),
]


@st.composite
def events(draw, number, *, first=FIRST, last=LAST):
    """An event with what any of the reports looks at."""
    moment = datetime.combine(first, datetime.min.time()) + DAY * draw(st.integers(0, (last - first).days))
    moment += timedelta(hours=draw(st.sampled_from([0, 4, 12, 21, 23])), minutes=draw(st.sampled_from([0, 20])))
    fields = {
        "user_id": ["u1", "u2", "u3", None],
        "anonymous_id": ["a1", "a2", None, None],
        "feature": ["x", "y", None],
        "category": ["k", "[1]", None],
        "target_id": ["t1", "t2", None],
        "target_type": ["t", None],
        "session_id": ["s1", None, None],
    }
    said = {key: draw(st.sampled_from(values)) for key, values in fields.items()}
    kind = draw(st.sampled_from(["start", "done", "error", "view"]))
    told = storekit.event(f"e{number}", user=None, event_type=kind, ts=f"{moment.isoformat()}Z", **said)
    return {key: value for key, value in told.items() if value is not None}


@st.composite
def logs(draw, count=25):
    return [draw(events(number)) for number in range(draw(st.integers(3, count)))]


def scope_of(tz, instant, *, first=FIRST, last=LAST):
    now = window.at(instant, tz)
    return Scope(window.Window(first, last, now.instant, now.day, tz), pairs=PAIRS)


@st.composite
def windows(draw, tz, instant):
    """A range that may be a kept period, and an instant at or near that of the rollup."""
    ranges = [(FIRST, FIRST + 6 * DAY), (date(2026, 3, 1), LAST), (FIRST + 2 * DAY, FIRST + 31 * DAY)]
    day = FIRST + DAY * draw(st.integers(0, 8))
    ranges += [(day, day), (day, day), (day - 6 * DAY, day), (day - 29 * DAY, day), (day, day + 2 * DAY)]
    first, last = draw(st.sampled_from(ranges))
    scope = scope_of(tz, instant + draw(st.sampled_from([timedelta(0), timedelta(0), 3 * DAY, -4 * DAY])))
    return rollkit.scope_of(scope, first=min(first, scope.window.today), last=last)


def compared(store, scope, asked=ASKED):
    """How many answers came from rollups; each is the answer from events but for where it comes from."""
    told = 0
    for name, options in asked:
        answer, counted = rollkit.both(store, scope, name, **options)
        one, other = rollkit.same(answer, counted)
        assert one == other, (name, options, answer.source, scope)
        read = answer.events_read > 0
        assert (answer.source, read) in {("events", counted.events_read > 0), ("rollups", False), ("both", read)}
        told += answer.source == "rollups"
    return told


@pytest.fixture
def store(tmp_path):
    return layout.create(tmp_path / "s")


@pytest.mark.long
@settings(max_examples=much(6, 1), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_rollups_answer_as_events_do_also_after_late_events(tmp_path_factory, data):
    tz = data.draw(st.sampled_from(ZONES))
    instant = datetime(2026, 4, 1, 12) + data.draw(st.sampled_from([timedelta(0), DAY]))
    store = layout.create(tmp_path_factory.mktemp("store") / "s")
    storekit.ingest(store, *data.draw(logs()), now=datetime(2026, 4, 1))
    rollkit.roll(store, scope_of(tz, instant))
    some = st.lists(st.sampled_from(ASKED), min_size=6, max_size=6, unique_by=str)
    for _ in range(2):
        compared(store, data.draw(windows(tz, instant)), data.draw(some))
    storekit.ingest(store, data.draw(events(99)), now=datetime(2026, 4, 2))
    compared(store, data.draw(windows(tz, instant)), data.draw(some))


RUNNING = [("dau", {}), ("wau", {}), ("mau", {})]


@pytest.mark.long
@settings(max_examples=much(6, 2), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_days_that_are_not_rolled_up_yet_are_counted_beside_those_that_are(tmp_path_factory, data):
    tz = data.draw(st.sampled_from(ZONES))
    store = layout.create(tmp_path_factory.mktemp("store") / "s")
    storekit.ingest(store, *data.draw(logs()), now=datetime(2026, 4, 1))
    rollkit.roll(store, scope_of(tz, datetime(2026, 4, 1, 3)))
    today = [storekit.event(f"t{n}", user=f"u{n}", ts=f"2026-04-0{n}T01:00:00Z", anonymous_id="a2") for n in (1, 2)]
    storekit.ingest(store, *today[: data.draw(st.integers(0, 2))], now=datetime(2026, 4, 2))
    scope = scope_of(tz, datetime(2026, 4, 2, 12))
    for length in (3, 7, 14, 30):
        last = scope.window.today
        compared(store, rollkit.scope_of(scope, first=last - (length - 1) * DAY, last=last), RUNNING)


def test_of_the_day_that_is_running_its_own_events_are_read_and_the_users_of_the_range(rolled):
    store, scope = rolled
    later(store, ts="2026-04-03T01:00:00Z", user="u2", event_type="view")
    now = rollkit.at(scope, datetime(2026, 4, 3, 12))
    last = now.window.today
    for name, _ in RUNNING:
        assert source(store, now, last - 13 * DAY, last, name) == "both"
    assert source(store, now, last, last) == "events"  # no day of the range is told
    assert source(store, now, last - 13 * DAY, last, "active") == "events"
    storekit.ingest(store, storekit.event("more", ts="2026-03-25T01:00:00Z", user="u2"), now=datetime(2026, 4, 3))
    assert source(store, now, last - 13 * DAY, last) == "both"  # a late event made another day stale
    storekit.ingest(store, storekit.event("most", ts="2026-03-26T01:00:00Z", user="u2"), now=datetime(2026, 4, 3))
    assert source(store, now, last - 13 * DAY, last) == "events"


@pytest.mark.parametrize("name", ["dau", "wau", "mau", "active", "events"])
def test_an_answer_from_rollups_opens_no_engine_though_ids_are_linked(tmp_path, monkeypatch, name):
    store, scope = layout.create(tmp_path / "s"), scope_of("UTC", NOW)
    storekit.ingest(
        store,
        storekit.event("n1", ts=f"{DAY_1}T10:00:00Z", user=None, anonymous_id="a1"),
        storekit.event("n2", ts=f"{DAY_2}T10:00:00Z", user="u1", anonymous_id="a1"),
        storekit.event("n3", ts=f"{LAST}T10:00:00Z", user="u1"),
        now=datetime(2026, 4, 1),
    )
    rollkit.roll(store, scope)
    report = reports.load(name).report
    asked = [rollkit.scope_of(scope, first=day, last=day) for day in (DAY_1, DAY_2, LAST)]
    counted = [ask(store, one, report, limits=rollkit.ONE_THREAD, rollups=False) for one in asked]
    far = None if name in {"dau", "wau", "events"} else 1  # the others look back to the day of nobody
    assert [one.definition.get("linked") for one in counted] == [1, 1, far]

    def opened(_limits):
        raise AssertionError("an engine was opened")

    monkeypatch.setattr(engine, "_connected", opened)
    for one, was in zip(asked, counted, strict=True):
        told, events_ = rollkit.same(ask(store, one, report), was)
        assert told == events_


def test_where_nobody_is_linked_no_event_is_asked_who_is_who(rolled, monkeypatch):
    store, scope = rolled
    asked = []
    monkeypatch.setattr(Identity, "fit", lambda *_: asked.append(1))
    where_view = replace(rollkit.scope_of(scope, first=DAY_1, last=LAST), where=(where.parse("event_type = view"),))
    ask(store, where_view, reports.load("dau").report, limits=rollkit.ONE_THREAD)
    assert not asked
    storekit.here(store.root, "link", "a1", "u1")
    with suppress(EngineError):  # nobody made the table of links
        ask(store, where_view, reports.load("dau").report, limits=rollkit.ONE_THREAD)
    assert asked


# -- what may be used, and what not -------------------------------------------------------------------------------------

NOW = datetime(2026, 4, 3)
LOG = [
    storekit.event("e1", ts="2026-03-23T09:00:00Z", user="u1", event_type="start", target_id="t1", target_type="t"),
    storekit.event("e2", ts="2026-03-23T10:00:00Z", user=None, anonymous_id="a1", event_type="view", feature="x"),
    storekit.event("e3", ts="2026-03-24T09:00:00Z", user="u2", event_type="error", target_id="t1", status=500),
    storekit.event("e4", ts="2026-03-24T10:00:00Z", user="u1", event_type="done", target_id="t1", target_type="t"),
    storekit.event("e5", ts="2026-03-26T10:00:00Z", user="u2", event_type="view", feature="x", category="k"),
    storekit.event("e6", ts="2026-03-27T10:00:00Z", user="u3", event_type="start", target_id="t1", target_type="t"),
    storekit.event("e7", ts="2026-03-30T10:00:00Z", user="u1", event_type="view", category="k"),
]
STEPS = {"steps": ("start", "done", "view"), "window": "8d"}
FUNNEL = Standing(
    "funnel",
    grains=("day", "week", "month"),
    metrics={name: name for name in ("users", "median_s", "mean_s", "p90_s")},
    key=("step", "event"),
    options=STEPS,
    grain_option="per",
    onward=9,
)
DAY_1, DAY_2 = date(2026, 3, 23), date(2026, 3, 24)


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    store = layout.create(tmp_path_factory.mktemp("once") / "s")
    storekit.ingest(store, *LOG, now=datetime(2026, 4, 1))
    rollkit.roll(store, scope_of("UTC", NOW), more=(FUNNEL,))
    return store


@pytest.fixture
def rolled(once, tmp_path):
    """A store that is rolled up, and the scope in which it was."""
    shutil.copytree(once.root, tmp_path / "s")
    return layout.open_store(tmp_path / "s"), scope_of("UTC", NOW)


def again(store, scope):
    rollkit.roll(store, scope, more=(FUNNEL,))


def source(store, scope, first=DAY_1, last=DAY_1, name="dau", **options):
    one = rollkit.scope_of(scope, first=first, last=last)
    told, counted = rollkit.both(store, one, name, **options)
    assert rollkit.same(told, counted)[0] == rollkit.same(told, counted)[1]
    return told.source


def later(store, **fields):
    storekit.ingest(store, storekit.event("late", **{"ts": "2026-03-23T11:00:00Z", **fields}), now=datetime(2026, 4, 2))


@pytest.mark.long
@pytest.mark.parametrize(("name", "options"), ASKED)
def test_every_report_of_a_kept_period_is_told_by_rollups_unless_it_may_still_grow(rolled, name, options):
    grows = name in {"sessions", "frequency", "dropoff"}
    week = options.get("calendar") or options.get("period") == "week" or name == "frequency"
    last = DAY_1 + 6 * DAY if week else DAY_1
    if name == "mau" and options:
        first, last = date(2026, 3, 1), LAST
    else:
        first = DAY_1
    assert source(*rolled, first, last, name, **options) == ("events" if grows else "rollups")


def test_the_users_of_a_range_are_told_where_it_is_a_kept_period(rolled):
    ranges = [(DAY_1, DAY_1), (DAY_1, DAY_1 + 6 * DAY), (LAST - 29 * DAY, LAST), (date(2026, 3, 1), LAST)]
    assert [source(*rolled, *one) for one in ranges] == ["rollups"] * 4
    assert source(*rolled, DAY_1, DAY_2) == "both"  # its days are told, its users are counted


@pytest.mark.long
def test_a_late_event_makes_the_periods_in_its_reach_stale_until_they_are_counted_again(rolled):
    store, scope = rolled
    later(store, user="u9")
    assert source(store, scope, DAY_1) == "events"
    assert source(store, scope, DAY_2, DAY_2) == "rollups"
    assert source(store, scope, DAY_2, DAY_2, "wau") == "events"
    again(store, scope)
    assert source(store, scope, DAY_1) == source(store, scope, DAY_2, DAY_2, "wau") == "rollups"


@pytest.mark.long
def test_a_period_that_was_running_is_told_as_of_the_instant_of_its_rollup_only(tmp_path):
    store, noon = layout.create(tmp_path / "s"), datetime(2026, 3, 24, 12)
    storekit.ingest(store, *LOG, now=datetime(2026, 4, 1))
    rollkit.roll(store, scope_of("UTC", noon))
    assert source(store, scope_of("UTC", noon), DAY_2, DAY_2) == "rollups"
    assert source(store, scope_of("UTC", datetime(2026, 3, 24, 11)), DAY_2, DAY_2) == "events"
    assert source(store, scope_of("UTC", NOW), DAY_2, DAY_2) == "events"


@pytest.mark.parametrize(
    "changes",
    [
        {"inactive": ("start",)},
        {"include_anon": True},
        {"by": "event_type"},
        {"active_events": ("start",)},
        {"min_users": 1},
    ],
)
def test_another_definition_and_other_events_are_counted_anew(rolled, changes):
    store, scope = rolled
    assert source(store, replace(scope, **changes)) == "events"


def test_another_zone_and_another_first_day_of_the_week_are_counted_anew(rolled):
    store, scope = rolled
    assert source(store, rollkit.scope_of(scope, tz="Europe/Berlin")) == "events"
    week = rollkit.scope_of(scope, week_start="sunday")
    assert source(store, week, date(2026, 3, 22), date(2026, 3, 28), "wau", calendar=True) == "events"


@pytest.mark.long
def test_an_id_that_turns_out_to_be_somebodys_makes_its_days_stale(rolled):
    store, scope = rolled
    later(store, ts="2026-03-31T11:00:00Z", user="u8", anonymous_id="a1")
    assert source(store, scope, DAY_1) == "events"  # there a1 was nobody
    assert source(store, scope, DAY_2, DAY_2) == "rollups"
    again(store, scope)
    assert source(store, scope, DAY_1) == "rollups"


@pytest.mark.parametrize("fields", [{"anonymous_id": "zz"}, {"event_type": "view"}])
def test_what_says_nothing_new_of_who_is_who_leaves_other_days_as_they_are(rolled, fields):
    store, scope = rolled
    later(store, ts="2026-03-31T11:00:00Z", user="u8", **fields)
    assert source(store, scope, DAY_1) == "rollups"


@pytest.mark.long
def test_an_alias_and_a_link_by_hand_may_concern_any_day(rolled):
    store, scope = rolled
    storekit.here(store.root, "link", "a1", "u1")
    assert source(store, scope) == "events"
    again(store, scope)
    assert source(store, scope) == "rollups"
    later(store, ts="2026-03-31T11:00:00Z", user="u2", event_type="alias", properties={"previous_id": "u1"})
    assert source(store, scope) == "events"


@pytest.mark.long
def test_links_that_are_said_after_what_plays_now_are_not_known_yet(tmp_path):
    store, scope = layout.create(tmp_path / "s"), scope_of("UTC", NOW)
    storekit.ingest(store, *LOG, storekit.event("e8", ts="2026-04-02T10:00:00Z", user="u1", anonymous_id="a1"), now=NOW)
    again(store, scope)
    assert source(store, scope) == "rollups"
    assert source(store, scope_of("UTC", datetime(2026, 4, 1))) == "events"


def test_an_erasure_makes_the_days_of_the_user_stale(rolled):
    store, scope = rolled
    storekit.here(store.root, "delete", "u2")
    assert source(store, scope, DAY_1) == "rollups"
    assert source(store, scope, DAY_2, DAY_2) == "events"


def test_a_damaged_rollup_is_told(rolled):
    store, scope = rolled
    (store.rollups / "UTC" / "day" / f"{DAY_1}.rollup").write_bytes(b"{")
    with pytest.raises(StoreDamaged, match="is no rollup"):
        source(store, scope)


# -- after a purge ------------------------------------------------------------------------------------------------------

EDGE = date(2026, 3, 27)  # what lies before goes


def answered(store, scope, asked):
    return [rollkit.both(store, scope, name, **options)[0] for name, options in asked]


@pytest.mark.long
@settings(max_examples=much(6, 1), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_after_a_purge_the_rows_of_purged_periods_are_what_they_were(tmp_path_factory, data):
    tz = data.draw(st.sampled_from(ZONES))
    scope = rollkit.scope_of(scope_of(tz, NOW), first=DAY_1, last=DAY_1 + 13 * DAY)
    store = layout.create(tmp_path_factory.mktemp("store") / "s")
    plain = [{k: v for k, v in one.items() if k not in {"anonymous_id", "session_id"}} for one in data.draw(logs())]
    storekit.ingest(store, *plain, now=datetime(2026, 4, 1))
    before = answered(store, scope, [*SERIES, ("retention", {"period": "day"})])
    rollkit.purged(store, scope, EDGE)
    after = answered(store, scope, [*SERIES, ("retention", {"period": "day"})])
    for told, was in zip(after, before, strict=True):
        assert told.rows == was.rows, (told.report, told.source)
        assert told.definition["events_without_user"] == was.definition["events_without_user"], told.report
    held = {one["ts"][:10] for one in plain if one["ts"][:10] < str(EDGE)}
    assert all(told.definition["frozen"] >= f"to {max(held)}" for told in after if held)


@pytest.mark.long
def test_after_a_purge_a_kept_period_is_told_whole_and_of_others_what_may_be_added_up(rolled):
    store, scope = rolled
    tables = [
        ("events", {}),
        ("usage", {}),
        ("targets", {}),
        ("top", {"key": "category"}),
        ("errors", {}),
        ("dropoff", {}),
    ]
    week = rollkit.scope_of(scope, first=DAY_1, last=DAY_1 + 6 * DAY)
    whole = rollkit.scope_of(scope, first=DAY_1, last=LAST)
    kept, summed = answered(store, week, tables), answered(store, whole, tables)
    rollkit.purged(store, scope, EDGE, more=(FUNNEL,))
    for told, was in zip(answered(store, week, tables), kept, strict=True):
        assert (told.rows, told.summary, told.source) == (was.rows, was.summary, "rollups")
        assert told.definition["frozen"] == f"to {DAY_1 + 6 * DAY}"
    for told, was in zip(answered(store, whole, tables), summed, strict=True):
        assert told.source == "both"
        assert [row[0] for row in told.rows] == [row[0] for row in was.rows]
        assert any(note.startswith("of purged days nobody can tell any more: ") for note in told.notes)
        known = {name: value for name, value in told.summary.items() if value is not None}
        assert known == {name: was.summary[name] for name in known}
    events, usage, *_ = answered(store, whole, tables)
    assert [row[:2] for row in events.rows] == [row[:2] for row in summed[0].rows]
    assert [row[3:] for row in events.rows] == [row[3:] for row in summed[0].rows]
    assert usage.summary["funnel_steps"] == summed[1].summary["funnel_steps"]
    assert (events.summary["users"], usage.summary["mau"]) == (None, None)


def test_after_a_purge_the_users_of_a_range_are_known_while_its_own_days_are_there(rolled):
    store, scope = rolled
    rollkit.purged(store, scope, EDGE, more=(FUNNEL,))
    (told,) = answered(store, rollkit.scope_of(scope, first=EDGE, last=LAST), [("wau", {})])
    assert (told.source, told.summary["users"], told.definition["frozen"]) == ("both", 2, "to 2026-03-31")
    (lost,) = answered(store, rollkit.scope_of(scope, first=DAY_2, last=LAST), [("dau", {})])
    assert (lost.source, lost.summary["users"], lost.summary["peak"]) == ("rollups", None, 2)
    later(store, ts="2026-03-30T11:00:00Z", user="u1")
    (both,) = answered(store, rollkit.scope_of(scope, first=DAY_2, last=LAST), [("dau", {})])
    assert (both.source, both.rows, both.summary["users"]) == ("both", lost.rows, None)


@pytest.mark.long
def test_a_local_day_that_is_purged_in_part_is_counted_once(tmp_path):
    store, scope = layout.create(tmp_path / "s"), scope_of("Europe/Berlin", NOW)
    more = [storekit.event("f1", ts="2026-03-26T23:30:00Z", event_type="view", user="u5")]  # the 27th in Berlin
    storekit.ingest(store, *LOG, *more, now=datetime(2026, 4, 1))
    whole = rollkit.scope_of(scope, first=DAY_1, last=LAST)
    tables = [("events", {}), ("usage", {})]
    before = answered(store, whole, tables)
    rollkit.purged(store, scope, EDGE)
    events, usage = answered(store, whole, tables)
    assert events.definition["frozen"] == "to 2026-03-27"
    assert sorted(row[:2] for row in events.rows) == sorted(row[:2] for row in before[0].rows)
    assert usage.summary["total_events"] == before[1].summary["total_events"] == len(LOG) + 1


def test_days_that_are_purged_without_a_rollup_are_not_known(rolled):
    store, scope = rolled
    (store.rollups / "UTC" / "day" / f"{DAY_2}.rollup").unlink()
    storekit.here(store.root, "purge", str(EDGE))
    (told,) = answered(store, rollkit.scope_of(scope, first=DAY_1 - DAY, last=DAY_2 + DAY), [("dau", {})])
    assert [users for _, users in told.rows] == [0, 1, None, 0]
    assert (told.summary["dau_avg"], told.summary["peak"]) == (None, None)
    (store.rollups / "UTC" / "day" / f"{EDGE}.rollup").unlink()
    (week,) = answered(store, rollkit.scope_of(scope, first=EDGE, last=EDGE + DAY), [("wau", {})])
    assert [users for _, users in week.rows] == [None, 3]  # two of them, and who was there on purged days


def test_where_nothing_is_rolled_up_purged_days_are_told_to_be_so(rolled):
    store, scope = rolled
    rollkit.purged(store, scope, EDGE, more=(FUNNEL,))
    berlin = rollkit.scope_of(scope, tz="Europe/Berlin", first=DAY_1, last=LAST)
    said = "days of the range are purged, and not rolled up in Europe/Berlin: they count as empty"
    assert all(said in told.notes for told in answered(store, berlin, [("dau", {}), ("events", {})]))
    (told,) = answered(store, rollkit.scope_of(scope, first=DAY_1, last=LAST), [("streaks", {})])
    assert "days of the range are purged: they count as empty" in told.notes


def test_frozen_numbers_stay_when_the_plan_changes_and_it_is_told(rolled):
    store, scope = rolled
    rollkit.purged(store, scope, EDGE, more=(FUNNEL,))
    (told,) = answered(store, replace(scope, inactive=("start",)), [("dau", {})])
    assert told.rows[0] == (DAY_1, 1)
    assert "some of these were counted when the plan said otherwise" in told.notes


@pytest.mark.long
def test_a_funnel_of_the_plan_is_told_of_purged_periods(rolled):
    store, scope = rolled
    first = rollkit.scope_of(scope, last=DAY_1)
    asked = [("funnel", {**STEPS, "per": "day"}), ("funnel", STEPS | {"window": "192h"})]
    later(store, user="u9", event_type="start")
    (daily, _), (_, day) = answered(store, scope, asked), answered(store, first, asked)
    rollkit.purged(store, scope, EDGE, more=(FUNNEL,))
    (told, whole), (_, one) = answered(store, scope, asked), answered(store, first, asked)
    assert [row[2] for row in day.rows] == [2, 1, 1]
    assert (told.rows, told.source, told.definition["frozen"]) == (daily.rows, "both", "to 2026-03-26")
    assert (one.rows, one.source) == (day.rows, "rollups")
    assert one.summary == day.summary | {"median_s": None, "mean_s": None}
    assert (whole.source, whole.rows[0][2]) == ("events", 1)
    assert "days of the range are purged: who began then is not counted" in whole.notes


@pytest.mark.parametrize("other", [{"window": "9d"}, {"cut": True}, {"order": "any"}, {"steps": ("start", "done")}])
def test_another_funnel_is_not_told_by_that_of_the_plan(rolled, other):
    store, scope = rolled
    rollkit.purged(store, scope, EDGE, more=(FUNNEL,))
    (told,) = answered(store, rollkit.scope_of(scope, last=DAY_1), [("funnel", STEPS | other)])
    assert (told.source, told.summary["entered"]) == ("events", 0)


# -- as one calls it ----------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_report_says_on_the_command_line_what_it_was_made_of(tmp_path, monkeypatch, capfdbinary):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("EVLOG_")]:
        monkeypatch.delenv(name)

    def call(*words):
        code = run(words)
        out, err = capfdbinary.readouterr()
        assert code == 0, err
        return out.decode(), err.decode()

    def dau(*words):
        out, err = call("report", "dau", *AS_OF, "--format", "json", "--from", f"{DAY_1}", *words)
        body = json.loads(out)
        return body["source"], body["events_read"], [row["dau"] for row in body["rows"]], body["summary"]["users"], err

    call("ingest", str(storekit.written(tmp_path / "in.ndjson", *LOG)))
    assert dau("--to", f"{DAY_1}") == ("events", 2, [1], 1, "")
    call("rollup", *AS_OF, "--from", f"{DAY_1}")
    assert dau("--to", f"{DAY_1}") == ("rollups", 0, [1], 1, "")
    assert dau("--to", f"{DAY_2}") == ("both", 4, [1, 2], 2, "")
    call("purge", "--older-than", "8d", *AS_OF, "--yes")
    source, read, rows, users, err = dau("--to", "2026-03-30")
    assert (source, read, rows, users) == ("rollups", 0, [1, 2, 0, 1, 1, 0, 0, 1], None)
    assert err.splitlines() == [
        "to 2026-03-25 from rollups: the events are purged",
        "of purged days nobody can tell any more: users",
    ]
