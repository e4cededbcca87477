"""Which ids are one person: against loops that share no code, in reports over both tiers, and undone without a trace."""

from datetime import datetime, timedelta

import logs
import pytest
import storekit as kit
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import identity as oracle
from oracle import people
from questions import ONE_THREAD, scoped
from torture import much

from evlog import engine, reports
from evlog.person import link
from evlog.query import chains
from evlog.query.ask import ask
from evlog.query.identity import ALIASES, Identity
from evlog.store import layout, links
from evlog.store.links import Said
from evlog.store.snapshot import snapshot

BEGIN = datetime(2026, 3, 1, 9)
UNTIL = datetime(2026, 3, 3)
IDS = ["a", "b", "c", "u", "v", "w"]
ODD = ["undefined", "NULL", "[erased]", "x[redacted]"]
KEYS = ["previous_id", "previousId", "alias", "$anon_distinct_id", "from"]


@st.composite
def histories(draw):
    """Events that say much of each other, and lines of people between them."""
    ids = st.sampled_from([*IDS, *IDS, *ODD])
    moments = st.integers(0, 12).map(lambda n: BEGIN + timedelta(hours=6 * (n // 2), microseconds=n % 2))
    events = []
    for number in range(draw(st.integers(0, 14))):
        event = {
            "event_type": draw(st.sampled_from(["open", "open", *ALIASES, "$create_alias"])),
            "event_id": f"e{number}",
            "ts": draw(moments),
            "seq": number,
        }
        for key in ("user_id", "anonymous_id"):
            if draw(st.integers(0, 3)):
                event[key] = draw(ids)
        for key in draw(st.sets(st.sampled_from(KEYS), max_size=2)):
            event.setdefault("properties", {})[key] = draw(st.one_of(ids, st.just("")))
        events.append(event)
    lines = [
        (draw(ids), draw(st.one_of(ids, st.none())), draw(moments), 2**26 + number)
        for number in range(draw(st.integers(0, 4)))
    ]
    return events, lines


def found(store, lines=(), until=UNTIL):
    """What evlog finds: whom users mean, whom anonymous ids mean, and how many links were left out."""
    said = [Said(one, to, at, seq=seq) for one, to, at, seq in lines]
    with engine.connect(ONE_THREAD) as connection:
        identity = Identity(connection, snapshot(store), said, until=until)
        identity.whole()
        rows = connection.rows("SELECT anonymous, id, person FROM linked")
    assert identity.count == len({one for _, one, _ in rows})
    assert identity.renames == any(not anonymous for anonymous, _, _ in rows)
    assert len({row[:2] for row in rows}) == len(rows)
    users, nobodys = ({one: to for anonymous, one, to in rows if anonymous == which} for which in (False, True))
    return users, nobodys, identity.left_out


@settings(max_examples=much(75, 8), deadline=None)
@given(histories(), st.booleans(), st.sampled_from([UNTIL, BEGIN + timedelta(hours=12, microseconds=1)]))
def test_ids_mean_whom_plain_loops_find(tmp_path_factory, history, cold, until):
    events, lines = history
    store = logs.store(tmp_path_factory.mktemp("store"), events, cold=cold)
    assert found(store, lines, until) == oracle.resolve(events, until, lines)


LOG = """
2026-03-01 09:00 -   view anonymous_id=d1
2026-03-01 09:10 -   view anonymous_id=d2
2026-03-01 10:00 ann buy anonymous_id=d1
2026-03-02 09:00 -   view anonymous_id=d1
2026-03-02 09:30 bob buy
"""
SCOPE = {"from": "2026-03-01", "to": "2026-03-02"}


def told(store, name="dau", **options):
    scope, rest = scoped({**SCOPE, **options})
    return ask(store, scope, reports.load(name).report, limits=ONE_THREAD, **rest)


def say(store, source, target, *, at=datetime(2026, 3, 5)):
    """Write a line as `user link` does, without asking whether it may be said."""
    link._said(store, Said(source, target, at), since=0)


@pytest.mark.long
@pytest.mark.parametrize("cold", [False, True])
def test_reports_follow_links_and_forget_them(tmp_path, cold):
    store = logs.store(tmp_path, logs.events(LOG), cold=cold)
    before = {name: told(store, name) for name in ("dau", "events", "active")}
    assert [row[1] for row in before["dau"].rows] == [1, 2]
    assert before["dau"].definition["events_without_user"] == 1
    assert before["dau"].definition["linked"] == 1
    funnel = told(store, "funnel", steps=("view", "buy"))
    assert [row[2] for row in funnel.rows] == [1, 1]
    link.link(store, "d2", "bob", now=datetime(2026, 3, 5))
    assert [row[1] for row in told(store).rows] == [2, 2]
    assert told(store).definition["events_without_user"] == 0
    assert told(store).definition["linked"] == 2
    assert [row[2] for row in told(store, "funnel", steps=("view", "buy")).rows] == [2, 2]
    link.link(store, "bob", "ann", now=datetime(2026, 3, 5))
    assert [row[1] for row in told(store).rows] == [1, 1]
    for source in ("bob", "d2"):
        assert link.unlink(store, source, now=datetime(2026, 3, 5)).changed
    assert {name: told(store, name) for name in before} == before


@pytest.mark.parametrize(("until", "linked"), [("2026-03-02", None), ("2026-03-09", 2)])
def test_the_number_of_links_is_the_same_whatever_was_read(tmp_path, until, linked):
    """Ids that stand beside a user count where an event of nobody is asked of; what people say of users counts always."""
    log = LOG.replace("-   view", "ann view") + "2026-03-09 09:00 - view anonymous_id=d1\n2026-03-09 09:00 - view\n"
    hot, cold = (logs.store(tmp_path / tier, logs.events(log), cold=tier == "cold") for tier in ("hot", "cold"))
    assert all(told(one, to=until).definition.get("linked") == linked for one in (hot, cold))
    for store in (hot, cold):
        say(store, "bob", "ann")
    assert all(told(one, to=until).definition["linked"] == (linked or 0) + 1 for one in (hot, cold))


@pytest.mark.parametrize("cold", [False, True])
def test_only_what_the_window_can_know_counts(tmp_path, cold):
    """A link that an event says later than the window's end is not known yet; one that a person says always holds."""
    store = logs.store(tmp_path, logs.events(LOG.replace("2026-03-01 10:00 ann", "2026-03-03 10:00 ann")), cold=cold)
    assert "linked" not in told(store).definition
    assert [row[1] for row in told(store).rows] == [0, 1]
    say(store, "d1", "ann")
    assert [row[1] for row in told(store).rows] == [1, 2]


def test_without_links_an_anonymous_id_is_one_of_its_own(tmp_path):
    store = logs.store(tmp_path, logs.events(LOG))
    result = told(store, include_anon=True)
    assert [row[1] for row in result.rows] == [2, 2]
    say(store, "d1", None)
    assert [row[1] for row in told(store, include_anon=True).rows] == [3, 2]


def test_a_device_counts_for_whoever_used_it_last(tmp_path):
    log = "2026-03-01 09:00 ann open anonymous_id=d\n2026-03-01 10:00 bob open anonymous_id=d\n2026-03-02 09:00 - open anonymous_id=d"
    store = logs.store(tmp_path, logs.events(log))
    assert found(store) == ({}, {"d": "bob"}, 0)
    assert found(store, until=datetime(2026, 3, 1, 10)) == ({}, {"d": "ann"}, 0)


@pytest.mark.parametrize("order", [("anon-1", "u1"), ("u1", "anon-1")])
def test_create_alias_means_the_same_in_either_direction(tmp_path, order):
    events = [
        {"event_type": "open", "event_id": "e0", "ts": BEGIN, "seq": 0, "user_id": "anon-1"},
        {"event_type": "open", "event_id": "e1", "ts": BEGIN, "seq": 1, "user_id": "u1"},
        {"event_type": "$create_alias", "event_id": "e2", "ts": BEGIN, "seq": 2, "user_id": order[0],
         "properties": {"alias": order[1]}},
        {"event_type": "$create_alias", "event_id": "e3", "ts": BEGIN, "seq": 3, "user_id": "u1",
         "properties": {"alias": "anon-2"}},
    ]  # fmt: skip
    store = logs.store(tmp_path, events)
    users, nobodys, left_out = found(store)
    assert users == {"u1": "anon-1", "anon-2": "anon-1"}
    assert nobodys == {"u1": "anon-1", "anon-1": "anon-1", "anon-2": "anon-1"}
    assert left_out == 0
    assert told(store).summary["users"] == 1


def test_an_identify_event_as_it_is_sent(tmp_path):
    store = layout.create(tmp_path / "s")
    kit.ingest(
        store,
        {"event": "view", "distinct_id": "anon-9", "uuid": "1", "timestamp": "2026-01-05T10:00:00Z"},
        {"event": "$identify", "distinct_id": "u9", "uuid": "2", "timestamp": "2026-01-05T10:01:00Z",
         "properties": {"$anon_distinct_id": "anon-9"}},
        {"type": "alias", "userId": "u10", "previousId": "u9", "messageId": "3", "timestamp": "2026-01-06T10:01:00Z"},
    )  # fmt: skip
    assert found(store)[0] == {"anon-9": "u10", "u9": "u10"}


@settings(max_examples=much(24, 2), deadline=None)
@given(histories(), st.booleans(), st.booleans())
def test_users_of_a_day_are_those_that_brute_force_finds(tmp_path_factory, history, cold, anyone):
    events, lines = history
    store = logs.store(tmp_path_factory.mktemp("store"), events, cold=cold)
    for one, to, at, _ in lines:
        say(store, one, to, at=at)
    said = [(line.source, line.target, line.at, line.seq) for file in links.files(store) for line in file.read()]
    scope, _ = scoped({**SCOPE, "include_anon": anyone})
    happened = people.resolved(events, scope, said)
    result = ask(store, scope, reports.load("dau").report, limits=ONE_THREAD)
    assert list(result.rows) == people.rolling(happened, scope, 1)
    assert result.definition["events_without_user"] == people.userless(happened, scope)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(IDS), st.integers(0, 9))), st.randoms())
def test_every_chain_ends(found_links, random):
    """Whatever is said, each id means one in the end, which means itself; the order of asking is no matter."""
    claims = {(one, to): moment for one, to, moment in found_links if one != to}
    rows = [(one, to, moment) for (one, to), moment in claims.items()]
    named, cut = oracle._without_circles(rows)
    onward = oracle._latest(named)
    ends, left_out = chains.ends(rows, [])
    assert {one: end for one, end in ends.items() if one != end} == {one: oracle._end(onward, one) for one in onward}
    assert left_out == cut
    random.shuffle(rows)
    assert chains.ends(rows, []) == (ends, left_out)


def test_the_latest_link_of_a_circle_is_left_out():
    assert chains.ends([("a", "b", 1), ("b", "a", 2)], []) == ({"a": "b", "b": "b"}, 1)
    assert chains.ends([("a", "b", 2), ("b", "a", 1)], []) == ({"a": "a", "b": "a"}, 1)
    assert chains.ends([("x", "z", 1), ("y", "x", 2), ("x", "y", 3)], []) == ({"x": "z", "y": "z", "z": "z"}, 1)
